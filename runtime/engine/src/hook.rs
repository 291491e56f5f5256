use ocellus_format::ops::OpCode;
use ocellus_format::{ModelView, TensorIds};

use crate::Tensor;
use crate::arena::Arena;

/// Watches a run, operator by operator: profiles, progress, taps. `()` watches nothing and costs nothing.
pub trait Hook {
    /// Operator `index` is about to run.
    fn before(&mut self, index: u16, code: OpCode) {
        let _ = (index, code);
    }

    /// Operator `index` has run, and `written` is what it wrote. Later operators may reuse the memory: copy what has to stay.
    fn after(&mut self, index: u16, code: OpCode, written: Written<'_>) {
        let _ = (index, code, written);
    }
}

impl Hook for () {}

impl<H: Hook> Hook for &mut H {
    fn before(&mut self, index: u16, code: OpCode) {
        (**self).before(index, code);
    }

    fn after(&mut self, index: u16, code: OpCode, written: Written<'_>) {
        (**self).after(index, code, written);
    }
}

/// The outputs that an operator has just written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub(crate) view: &'a ModelView<'a>,
    pub(crate) outputs: TensorIds<'a>,
    pub(crate) arena: &'a Arena<'a>,
}

impl<'a> Written<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.outputs.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Index in the file of the output at a position.
    pub fn index(&self, position: usize) -> Option<u16> {
        self.outputs.get(position)
    }

    /// The output at a position.
    pub fn get(&self, position: usize) -> Option<Tensor<'a>> {
        Tensor::find(self.arena, self.view.tensor(self.outputs.get(position)?)?)
    }
}
