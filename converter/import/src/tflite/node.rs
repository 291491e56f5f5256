//! An operator of a file while it is imported: its inputs as numbers and lists, and fused activations.

use ocellus_ir::{Op, UnaryOp};
use tract_tflite::tflite::{ActivationFunctionType, Operator};

use crate::error::{Outcome, Refusal};
use crate::tflite::file::{TensorInfo, TfLiteFile};
use crate::values::{Context, Value};

/// An operator of a TensorFlow Lite file being imported.
pub(crate) type Tx<'i, 'a> = Context<'i, TfLiteFile<'a>>;

impl<'a> Tx<'_, 'a> {
    pub(super) fn operator(&self) -> Operator<'a> {
        self.node.operator
    }

    /// What the file says of input `index`.
    pub(super) fn input_info(&self, index: usize) -> Outcome<&TensorInfo<'a>> {
        let listed = self.node.operator.inputs();
        let tensor = listed.and_then(|inputs| inputs.iter().nth(index));
        let missing = || Refusal::malformed(format!("input {index} is missing"));
        Ok(self.importer.file.tensor(tensor.ok_or_else(missing)?)?.1)
    }

    /// What the file says of output `index`.
    pub(super) fn output_info(&self, index: usize) -> Outcome<&TensorInfo<'a>> {
        let listed = self.node.operator.outputs();
        let tensor = listed.and_then(|outputs| outputs.iter().nth(index));
        let missing = || Refusal::malformed(format!("output {index} is missing"));
        Ok(self.importer.file.tensor(tensor.ok_or_else(missing)?)?.1)
    }

    /// How many outputs the operator has.
    pub(super) fn output_count(&self) -> usize {
        self.node.operator.outputs().map_or(0, |list| list.len())
    }

    /// A constant list of integers.
    pub(super) fn integers(&self, index: usize, what: &str) -> Outcome<Vec<i64>> {
        Ok(self.constant(index, what)?.ints(what)?.to_vec())
    }

    /// A fused activation, applied to the operator's result.
    pub(super) fn activate(
        &mut self,
        value: Value,
        activation: ActivationFunctionType,
    ) -> Outcome<Value> {
        let infinity = f32::INFINITY;
        let (min, max) = match activation {
            ActivationFunctionType::NONE => return Ok(value),
            ActivationFunctionType::RELU => (0.0, infinity),
            ActivationFunctionType::RELU_N1_TO_1 => (-1.0, 1.0),
            ActivationFunctionType::RELU6 => (0.0, 6.0),
            // TANH and SIGN_BIT are in the schema, but LiteRT's own kernels pass over them in silence.
            other => {
                return Err(Refusal::unsupported(format!(
                    "the fused activation {} is not supported; use RELU or RELU6",
                    other.variant_name().unwrap_or("with an unknown number")
                )));
            }
        };
        let nodes_before = self.importer.file.nodes_before;
        let own = self.importer.graph.nodes.len() > nodes_before;
        if let (Value::Live(live), Some(last)) = (&value, self.importer.graph.nodes.last_mut())
            && own
            && last.output == live.id
            && last.clamp.is_none()
            && last.op.takes_clamp()
        {
            last.clamp = Some((min, max));
            return Ok(value);
        }
        self.emit_real(Op::Unary(UnaryOp::Clip { min, max }), &value)
    }
}

/// Options that an operator cannot do without.
pub(super) fn needed<T>(options: Option<T>) -> Outcome<T> {
    options
        .ok_or_else(|| Refusal::malformed("its options are missing or those of another operator"))
}

/// A size, stride or dilation out of the options.
pub(super) fn positive(name: &str, value: i32) -> Outcome<usize> {
    crate::attributes::small(name, i64::from(value), 1)
}
