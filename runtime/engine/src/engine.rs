use ocellus_kernels::Kernels;

use crate::call::Call;
use crate::{Hook, LoadError, Model, RunError, Tensor, TensorMut, Written};

/// A model in its arena, ready to run.
#[derive(Debug)]
pub struct Engine<'m, 'a, K: 'static> {
    model: Model<'m, K>,
    kernels: K,
    arena: &'a mut [u8],
}

impl<'m, 'a, K: Kernels> Engine<'m, 'a, K> {
    /// Takes an arena of at least [`Model::arena_bytes`] bytes that begins at a multiple of 16, or up to 15 more.
    ///
    /// # Errors
    /// [`LoadError::ArenaTooSmall`]
    pub fn new(model: Model<'m, K>, kernels: K, arena: &'a mut [u8]) -> Result<Self, LoadError> {
        let skip = arena.as_ptr().addr().wrapping_neg() & 15;
        let given_bytes = arena.len();
        let needed_bytes = model.arena_bytes().saturating_add(skip);
        let arena = arena
            .get_mut(skip..needed_bytes)
            .ok_or(LoadError::ArenaTooSmall {
                needed_bytes,
                given_bytes,
            })?;
        Ok(Engine {
            model,
            kernels,
            arena,
        })
    }

    /// The model.
    pub fn model(&self) -> &Model<'m, K> {
        &self.model
    }

    /// The input at a position, to fill before each run: a run may reuse its memory.
    pub fn input(&mut self, position: usize) -> Option<TensorMut<'_>> {
        TensorMut::find(self.arena, self.model.input_info(position)?)
    }

    /// The output at a position, as the last run left it.
    pub fn output(&self, position: usize) -> Option<Tensor<'_>> {
        Tensor::find(self.arena, self.model.output_info(position)?)
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
            let call = Call::new(view, operator, self.arena).ok_or(changed)?;
            (entry.run)(self.kernels, call).ok_or(changed)?;
            hook.after(
                index,
                operator.code,
                Written {
                    view,
                    outputs: operator.outputs,
                    arena: self.arena,
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
