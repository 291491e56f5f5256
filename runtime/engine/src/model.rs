use ocellus_format::ops::Operands;
use ocellus_format::{
    Class, DType, Extent, MAX_INPUTS, MAX_OUTPUTS, ModelView, Operator, TensorIds, TensorInfo,
};
use ocellus_kernels::Kernels;

use crate::table::Refusal;
use crate::{LoadError, OpTable};

/// A model whose structure has been proved, and whose operators are linked.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m, K: 'static> {
    view: ModelView<'m>,
    ops: OpTable<K>,
}

impl<'m, K: Kernels> Model<'m, K> {
    /// Proves a file: format version, bounds, alignment, the arena plan, each operator against its tensors. Weights are not read; whether they are
    /// the converter's is [`format::verify`](ocellus_format::verify)'s question. Any bytes are refused or safe to run.
    ///
    /// `bytes` begin at a multiple of 16: [`Aligned`](crate::Aligned).
    ///
    /// # Errors
    /// - [`LoadError::Format`]: not a model file, damaged, or of another version
    /// - [`LoadError::Attributes`], [`LoadError::Operator`]: an operator contradicts its tensors
    /// - [`LoadError::OpNotLinked`]: `ops` does not hold an operator that the model uses
    /// - [`LoadError::InputType`]: an input is neither `s8` nor `s32`
    pub fn load(bytes: &'m [u8], ops: &OpTable<K>) -> Result<Self, LoadError> {
        let view = ModelView::new_checked(bytes)?;
        for (position, tensor) in (0..).zip(view.program().inputs.iter()) {
            if view
                .extent(tensor)
                .is_none_or(|extent| !matches!(extent.dtype, DType::S8 | DType::S32))
            {
                return Err(LoadError::InputType { position });
            }
        }
        let mut operands = OperandExtents {
            inputs: [NO_TENSOR; MAX_INPUTS],
            outputs: [NO_TENSOR; MAX_OUTPUTS],
        };
        for (index, operator) in (0..).zip(view.program().operators()) {
            let code = operator.code;
            let entry = ops
                .get(code)
                .ok_or(LoadError::OpNotLinked { index, code })?;
            (entry.check)(&operator, &operands.gather(&view, &operator)).map_err(|refusal| {
                match refusal {
                    Refusal::Attributes => LoadError::Attributes { index, code },
                    Refusal::Contradiction(error) => LoadError::Operator { index, code, error },
                }
            })?;
        }
        Ok(Model { view, ops: *ops })
    }

    /// The file.
    pub fn view(&self) -> &ModelView<'m> {
        &self.view
    }

    /// Bytes of arena that a run needs, all parts together.
    pub fn arena_bytes(&self) -> usize {
        self.view.program().arena_bytes as usize
    }

    /// The input at a position.
    pub fn input_info(&self, position: usize) -> Option<TensorInfo> {
        self.view.tensor(self.view.program().inputs.get(position)?)
    }

    /// The output at a position.
    pub fn output_info(&self, position: usize) -> Option<TensorInfo> {
        self.view.tensor(self.view.program().outputs.get(position)?)
    }

    pub(crate) fn ops(&self) -> OpTable<K> {
        self.ops
    }
}

/// Room for the tensors of one operator, side by side.
struct OperandExtents {
    inputs: [Extent; MAX_INPUTS],
    outputs: [Extent; MAX_OUTPUTS],
}

/// No operator accepts it: its length is 0.
const NO_TENSOR: Extent = Extent {
    class: Class::Constant,
    dtype: DType::S8,
    offset: 0,
    len_bytes: 0,
    len: 0,
};

impl OperandExtents {
    fn gather(&mut self, view: &ModelView<'_>, operator: &Operator<'_>) -> Operands<'_> {
        Operands {
            inputs: fill(&mut self.inputs, view, operator.inputs),
            outputs: fill(&mut self.outputs, view, operator.outputs),
        }
    }
}

#[inline(never)]
fn fill<'a>(
    extents: &'a mut [Extent],
    view: &ModelView<'_>,
    tensors: TensorIds<'_>,
) -> &'a [Extent] {
    for (extent, tensor) in extents.iter_mut().zip(tensors.iter()) {
        *extent = view.extent(tensor).unwrap_or(NO_TENSOR);
    }
    extents.get(..tensors.len()).unwrap_or_default()
}
