//! A model file run on this machine, to the bit as on a device, with every tensor kept that is asked for.

use std::collections::HashMap;

use ocellus::{Engine, Hook, Model, OpTable, Written};
use ocellus_format::ops::OpCode;
use ocellus_format::{AlignedBytes, Assembly, DType, Info, QParams};
use ocellus_kernels::Kernels;

/// Why a model file does not run here.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InterpretError {
    /// The file is refused.
    #[error("{0}")]
    Load(String),
    /// An input has another length than the model's.
    #[error("input {position} has {actual} bytes and the model's {expected}")]
    InputLength {
        /// Position among the model's inputs.
        position: usize,
        /// Bytes that the model wants.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// Another count of inputs than the model's.
    #[error("{actual} inputs were given and the model has {expected}")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Inputs that were given.
        actual: usize,
    },
    /// The run stopped.
    #[error("the run stopped: {0}")]
    Run(String),
}

/// A tensor after a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Tapped {
    /// Sizes.
    pub shape: Vec<usize>,
    /// Scale and zero point.
    pub qparams: QParams,
    /// Element type.
    pub dtype: DType,
    /// Bytes, row-major: the elements where the type is `s8`, little-endian ones where it is wider.
    pub values: Vec<i8>,
}

impl Tapped {
    /// The elements as real numbers.
    pub fn dequantized(&self) -> Vec<f32> {
        ocellus_format::elements(self.dtype, &self.values)
            .map(|q| self.qparams.dequantize(q))
            .collect()
    }
}

/// Which tensors a run keeps, beside the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taps<'a> {
    /// None.
    None,
    /// Those of these names.
    Named(&'a [&'a str]),
    /// All.
    All,
}

/// What a run made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The program's outputs, in its order.
    pub outputs: Vec<Tapped>,
    /// Tapped tensors by name.
    pub taps: HashMap<String, Tapped>,
}

/// A model file in memory, ready to run on this machine.
#[derive(Clone, Debug)]
pub struct Interpreter {
    file: AlignedBytes,
    info: Info,
    arena_bytes: usize,
    inputs: Vec<(DType, QParams)>,
}

struct Collector<'a> {
    names: &'a [String],
    taps: Taps<'a>,
    kept: HashMap<String, Tapped>,
}

impl Hook for Collector<'_> {
    fn after(&mut self, _index: u16, _code: OpCode, written: Written<'_>) {
        for position in 0..written.len() {
            let (Some(index), Some(tensor)) = (written.index(position), written.get(position))
            else {
                continue;
            };
            let Some(name) = self.names.get(usize::from(index)) else {
                continue;
            };
            let wanted = match self.taps {
                Taps::None => false,
                Taps::Named(names) => names.contains(&name.as_str()),
                Taps::All => true,
            };
            if wanted {
                self.kept.insert(name.clone(), tapped(&tensor));
            }
        }
    }
}

fn tapped(tensor: &ocellus::Tensor<'_>) -> Tapped {
    Tapped {
        shape: tensor
            .info
            .shape()
            .iter()
            .map(|&size| size as usize)
            .collect(),
        qparams: tensor.qparams(),
        dtype: tensor.info.dtype,
        values: tensor.values.to_vec(),
    }
}

impl Interpreter {
    /// Reads a file and proves it, as a device does.
    ///
    /// # Errors
    /// [`InterpretError::Load`]
    pub fn new(bytes: &[u8]) -> Result<Interpreter, InterpretError> {
        let file = AlignedBytes::from(bytes);
        let model = Model::load(&file, &OpTable::<ocellus_kernels::Reference>::ALL)
            .map_err(|e| InterpretError::Load(e.to_string()))?;
        let info = model
            .view()
            .info()
            .map_err(|e| InterpretError::Load(e.to_string()))?
            .unwrap_or_default();
        let inputs = (0..model.view().program().inputs.len())
            .filter_map(|position| model.input_info(position))
            .map(|info| (info.dtype, info.qparams))
            .collect();
        let arena_bytes = model.arena_bytes();
        Ok(Interpreter {
            file,
            info,
            arena_bytes,
            inputs,
        })
    }

    /// The information section.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Bytes of arena that a run takes.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// Real numbers into an input's bytes: rule 1 of `docs/numerics.md`, in `f32`; whole numbers as `s32` where the input holds indices.
    pub fn quantize_input(&self, position: usize, values: &[f32]) -> Vec<i8> {
        let (dtype, q) = self.inputs.get(position).copied().unwrap_or((
            DType::S8,
            QParams {
                scale: 1.0,
                zero_point: 0,
            },
        ));
        if dtype == DType::S32 {
            // A cast saturates.
            let bytes = |&v: &f32| (v.round_ties_even() as i32).to_le_bytes();
            return values.iter().flat_map(bytes).map(|b| b as i8).collect();
        }
        let zero_point = q.zero_point as f32;
        values
            .iter()
            .map(|&v| ((v / q.scale).round_ties_even() + zero_point).clamp(-128.0, 127.0) as i8)
            .collect()
    }

    /// Runs on this machine's kernels of the given instruction set; inputs are the program's, in its order.
    ///
    /// # Errors
    /// [`InterpretError::InputCount`], [`InterpretError::InputLength`], [`InterpretError::Load`], [`InterpretError::Run`]
    pub fn run<K: Kernels + 'static>(
        &self,
        kernels: K,
        inputs: &[Vec<i8>],
        taps: Taps<'_>,
    ) -> Result<Outcome, InterpretError> {
        if inputs.len() != self.inputs.len() {
            return Err(InterpretError::InputCount {
                expected: self.inputs.len(),
                actual: inputs.len(),
            });
        }
        let model = Model::load(&self.file, &OpTable::<K>::ALL)
            .map_err(|e| InterpretError::Load(e.to_string()))?;
        let mut arena = AlignedBytes::from(vec![0; self.arena_bytes].as_slice());
        let mut engine = Engine::new(model, kernels, &mut arena)
            .map_err(|e| InterpretError::Load(e.to_string()))?;
        let mut collector = Collector {
            names: &self.info.tensor_names,
            taps,
            kept: HashMap::new(),
        };
        for (position, values) in inputs.iter().enumerate() {
            let Some(input) = engine.input(position) else {
                continue;
            };
            if input.values.len() != values.len() {
                return Err(InterpretError::InputLength {
                    position,
                    expected: input.values.len(),
                    actual: values.len(),
                });
            }
            input.values.copy_from_slice(values);
        }
        engine
            .run(&mut collector)
            .map_err(|e| InterpretError::Run(e.to_string()))?;
        let outputs = (0..)
            .map_while(|position| engine.output(position))
            .map(|tensor| tapped(&tensor))
            .collect();
        Ok(Outcome {
            outputs,
            taps: collector.kept,
        })
    }

    /// The outputs as the source's user knows them, in real numbers: name, shape, values.
    pub fn assemble(&self, outcome: &Outcome) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let parts: Vec<(Vec<u32>, Vec<f32>)> = outcome
            .outputs
            .iter()
            .map(|tensor| {
                (
                    tensor.shape.iter().map(|&size| size as u32).collect(),
                    tensor.dequantized(),
                )
            })
            .collect();
        let evaluate = |assembly: &Assembly| assembly.evaluate(&parts).unwrap_or_default();
        self.info
            .outputs
            .iter()
            .map(|output| {
                let (shape, values) = evaluate(&output.assembly);
                (
                    output.name.clone(),
                    shape.into_iter().map(|size| size as usize).collect(),
                    values,
                )
            })
            .collect()
    }

    /// The outputs as the source's user knows them, in the device's integers. An output joined from parts keeps each part's own scale.
    pub fn assemble_quantized(&self, outcome: &Outcome) -> Vec<Vec<i8>> {
        let parts: Vec<(Vec<u32>, Vec<i8>)> = outcome
            .outputs
            .iter()
            .map(|tensor| {
                (
                    tensor.shape.iter().map(|&size| size as u32).collect(),
                    tensor.values.clone(),
                )
            })
            .collect();
        let outputs = self.info.outputs.iter();
        outputs
            .map(|output| {
                let values = output.assembly.evaluate(&parts);
                values.map(|(_, values)| values).unwrap_or_default()
            })
            .collect()
    }

    /// Element type of an input.
    pub fn input_dtype(&self, position: usize) -> Option<DType> {
        self.inputs.get(position).map(|&(dtype, _)| dtype)
    }

    /// Scale and zero point of an input.
    pub fn input_qparams(&self, position: usize) -> Option<QParams> {
        self.inputs.get(position).map(|&(_, qparams)| qparams)
    }
}
