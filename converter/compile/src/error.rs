//! Why a graph does not become a model file.

use ocellus_format::ops::OpError;
use ocellus_ir::{ExecError, GraphError};

/// Why a graph does not become a model file. The caller adds the file's name in front.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// An operator, or its use, that the device has nothing for.
    #[error("node `{node}`, operator `{op}`: {reason}; {remedy}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What is not supported.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// An operator whose sizes or parameters are outside what the model file allows.
    #[error(
        "node `{node}`, operator `{op}`: its sizes are beyond the limits of the model format ({reason:?}); use a smaller input or split the layer"
    )]
    Limits {
        /// The node.
        node: String,
        /// The device operator.
        op: &'static str,
        /// What the format says.
        reason: OpError,
    },
    /// A constant holds a value that is not a finite number.
    #[error(
        "constant `{tensor}` holds {value}, at index {index}; the file is damaged or its training diverged"
    )]
    NotFinite {
        /// The constant.
        tensor: String,
        /// Where.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// Calibration was given nothing.
    #[error("calibration needs at least one sample; give a folder of pictures or an array file")]
    NoSamples,
    /// Too few samples to hold some back.
    #[error(
        "trying several ways to quantize needs at least three calibration samples, and {given} were given; give more, or name a method"
    )]
    TooFewSamples {
        /// Samples that were given.
        given: usize,
    },
    /// A calibration sample does not fit the model's inputs.
    #[error("calibration sample {sample}: {source}; check the shape of the calibration data")]
    Sample {
        /// Which sample, from 0.
        sample: usize,
        /// What does not fit.
        source: ExecError,
    },
    /// The model computes something that is not a finite number.
    #[error(
        "calibration sample {sample}: tensor `{tensor}` becomes infinite or not a number; check the normalization of the input"
    )]
    ActivationNotFinite {
        /// Which sample, from 0.
        sample: usize,
        /// The tensor.
        tensor: String,
    },
    /// The calibration is that of another graph.
    #[error("tensor `{tensor}` was not calibrated: the calibration is that of another graph")]
    NotCalibrated {
        /// The tensor.
        tensor: String,
    },
    /// A model that is quantized already leaves a tensor without a scale, and there are no samples to choose one by.
    #[error(
        "tensor `{tensor}` ({origin}) has no scale in the file, and none follows from its neighbours; give samples with --calibrate to choose one"
    )]
    NoScale {
        /// The tensor.
        tensor: String,
        /// What makes it.
        origin: String,
    },
    /// An output of the model does not depend on its inputs.
    #[error(
        "output `{output}` is a constant, and a device has nothing to compute for it; remove it from the model"
    )]
    ConstantOutput {
        /// The output.
        output: String,
    },
    /// More operators, tensors or bytes than a model file can hold.
    #[error("the model needs {needed} {what}, and a model file holds {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        needed: u64,
        /// How much a file holds.
        limit: u64,
    },
    /// The model does not fit the board.
    #[error("{0}")]
    Budget(#[from] crate::budget::OverBudget),
    /// The graph contradicts itself: a fault of the importer or of a pass.
    #[error("the graph is not sound ({0}); please report this with the model")]
    Graph(#[from] GraphError),
    /// What was made does not pass the device's own checks: a fault of this converter.
    #[error(
        "the converter made a file that the engine refuses ({0}); please report this with the model"
    )]
    Rejected(String),
}
