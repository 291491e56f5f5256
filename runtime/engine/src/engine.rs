use ocellus_format::MAX_PARTS;
use ocellus_kernels::Kernels;

use crate::arena::Arena;
use crate::call::Call;
use crate::{Hook, LoadError, Model, RunError, Tensor, TensorMut, Written};

/// A model in its arena, ready to run.
#[derive(Debug)]
pub struct Engine<'m, 'a, K: 'static> {
    model: Model<'m, K>,
    kernels: K,
    arena: Arena<'a>,
}

impl<'m, 'a, K: Kernels> Engine<'m, 'a, K> {
    /// Takes an arena of at least [`Model::arena_bytes`] bytes that begins at a multiple of 16, or up to 15 more. It holds all parts.
    ///
    /// # Errors
    /// [`LoadError::ArenaTooSmall`]
    pub fn new(model: Model<'m, K>, kernels: K, arena: &'a mut [u8]) -> Result<Self, LoadError> {
        let arena = aligned(arena, model.arena_bytes())?;
        let mut memories: [(usize, &'a mut [u8]); MAX_PARTS] = Default::default();
        if let Some(first) = memories.first_mut() {
            *first = (0, arena);
        }
        Ok(Engine {
            model,
            kernels,
            arena: Arena::new(memories),
        })
    }

    /// Takes a memory for each part of the arena ([`ModelView::parts`](ocellus_format::ModelView::parts)), in their order: each at least as long
    /// as its part, and at a multiple of 16 or with up to 15 bytes more. Memories beyond the last part are not used.
    ///
    /// # Errors
    /// [`LoadError::ArenaTooSmall`]: a memory is shorter than its part
    pub fn in_parts(
        model: Model<'m, K>,
        kernels: K,
        memories: [&'a mut [u8]; MAX_PARTS],
    ) -> Result<Self, LoadError> {
        let mut placed: [(usize, &'a mut [u8]); MAX_PARTS] = Default::default();
        let parts = model.view().parts().iter();
        for ((part, memory), place) in parts.zip(memories).zip(&mut placed) {
            *place = (part.start as usize, aligned(memory, part.len())?);
        }
        Ok(Engine {
            model,
            kernels,
            arena: Arena::new(placed),
        })
    }

    /// The model.
    pub fn model(&self) -> &Model<'m, K> {
        &self.model
    }

    /// The input at a position, to fill before each run: a run may reuse its memory.
    pub fn input(&mut self, position: usize) -> Option<TensorMut<'_>> {
        TensorMut::find(&mut self.arena, self.model.input_info(position)?)
    }

    /// The output at a position, as the last run left it.
    pub fn output(&self, position: usize) -> Option<Tensor<'_>> {
        Tensor::find(&self.arena, self.model.output_info(position)?)
    }

    /// Runs every operator once.
    ///
    /// # Errors
    /// [`RunError::ModelChanged`]: the file's memory is no longer what was loaded
    pub fn run(&mut self, hook: &mut impl Hook) -> Result<(), RunError> {
        let view = self.model.view();
        let ops = self.model.ops();
        let mut index = 0;
        for operator in view.program().operators() {
            let changed = RunError::ModelChanged { index };
            let entry = ops.get(operator.code).ok_or(changed)?;
            hook.before(index, operator.code);
            let call = Call::new(view, operator, &mut self.arena).ok_or(changed)?;
            (entry.run)(self.kernels, call).ok_or(changed)?;
            hook.after(
                index,
                operator.code,
                Written {
                    view,
                    outputs: operator.outputs,
                    arena: &self.arena,
                },
            );
            index += 1;
        }
        if index == view.program().operator_count {
            Ok(())
        } else {
            Err(RunError::ModelChanged { index })
        }
    }
}

/// The first `len` bytes of a memory from a multiple of 16 on.
fn aligned(memory: &mut [u8], len: usize) -> Result<&mut [u8], LoadError> {
    let skip = memory.as_ptr().addr().wrapping_neg() & 15;
    let given_bytes = memory.len();
    let needed_bytes = len.saturating_add(skip);
    memory
        .get_mut(skip..needed_bytes)
        .ok_or(LoadError::ArenaTooSmall {
            needed_bytes,
            given_bytes,
        })
}
