use ocellus_format::ops::Operands;
use ocellus_format::{
    Class, DType, MAX_INPUTS, MAX_OUTPUTS, MAX_RANK, ModelView, Operator, QParams, TensorInfo,
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
    /// - [`LoadError::InputType`]: an input is not `s8`
    pub fn load(bytes: &'m [u8], ops: &OpTable<K>) -> Result<Self, LoadError> {
        let view = ModelView::new_checked(bytes)?;
        for (position, tensor) in (0..).zip(view.program().inputs.iter()) {
            if view
                .tensor(tensor)
                .is_none_or(|info| info.dtype != DType::S8)
            {
                return Err(LoadError::InputType { position });
            }
        }
        for (index, operator) in (0..).zip(view.program().operators()) {
            let code = operator.code;
            let entry = ops
                .get(code)
                .ok_or(LoadError::OpNotLinked { index, code })?;
            let operands = OperandInfos::gather(&view, &operator);
            (entry.check)(&operator, &operands.as_operands()).map_err(|refusal| match refusal {
                Refusal::Attributes => LoadError::Attributes { index, code },
                Refusal::Contradiction(error) => LoadError::Operator { index, code, error },
            })?;
        }
        Ok(Model { view, ops: *ops })
    }

    /// The file.
    pub fn view(&self) -> &ModelView<'m> {
        &self.view
    }

    /// Bytes of arena that a run needs.
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

/// The tensors of one operator, side by side.
struct OperandInfos {
    inputs: [TensorInfo; MAX_INPUTS],
    outputs: [TensorInfo; MAX_OUTPUTS],
    input_count: usize,
    output_count: usize,
}

/// No operator accepts it: its length is 0.
const NO_TENSOR: TensorInfo = TensorInfo {
    class: Class::Constant,
    dtype: DType::S8,
    offset: 0,
    len_bytes: 0,
    len: 0,
    first_step: 0,
    last_step: 0,
    qparams: QParams {
        scale: 0.0,
        zero_point: 0,
    },
    rank: 0,
    dims: [0; MAX_RANK],
};

impl OperandInfos {
    fn gather(view: &ModelView<'_>, operator: &Operator<'_>) -> Self {
        let mut infos = OperandInfos {
            inputs: [NO_TENSOR; MAX_INPUTS],
            outputs: [NO_TENSOR; MAX_OUTPUTS],
            input_count: operator.inputs.len(),
            output_count: operator.outputs.len(),
        };
        for (info, tensor) in infos.inputs.iter_mut().zip(operator.inputs.iter()) {
            *info = view.tensor(tensor).unwrap_or(NO_TENSOR);
        }
        for (info, tensor) in infos.outputs.iter_mut().zip(operator.outputs.iter()) {
            *info = view.tensor(tensor).unwrap_or(NO_TENSOR);
        }
        infos
    }

    fn as_operands(&self) -> Operands<'_> {
        Operands {
            inputs: self.inputs.get(..self.input_count).unwrap_or_default(),
            outputs: self.outputs.get(..self.output_count).unwrap_or_default(),
        }
    }
}
