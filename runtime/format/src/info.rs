//! Where a model comes from, and the names that its user knows. Read on PCs only.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::FormatError;

/// The information section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// Version of the converter.
    pub tool_version: String,
    /// Options of the conversion, by name.
    pub options: Vec<(String, String)>,
    /// File name of the source.
    pub source_name: String,
    /// SHA-256 of the source file.
    pub source_sha256: [u8; 32],
    /// What the quantization was chosen with.
    pub calibration: Calibration,
    /// Name of each tensor, by its index. The writer fills it.
    pub tensor_names: Vec<String>,
    /// Name of each operator, by its index: the source's name of the layer. The writer fills it.
    pub layer_names: Vec<String>,
    /// Inputs of the model, as the user knows them; position `i` is the program's input `i`.
    pub inputs: Vec<BorderInput>,
    /// Outputs of the model, as the user knows them.
    pub outputs: Vec<BorderOutput>,
    /// What a user should know: assumptions, warnings.
    pub notes: Vec<String>,
    /// The ways to quantize that were tried; none where the way was given.
    pub attempts: Vec<Attempt>,
}

impl Info {
    /// Reads the section. Bytes behind are those of a later minor version, and ignored.
    pub(crate) fn decode(section: &[u8]) -> Result<Self, FormatError> {
        postcard::take_from_bytes(section)
            .map(|(info, _)| info)
            .map_err(|_| FormatError::Info)
    }
}

/// What the quantization was chosen with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// How ranges were chosen: `min-max`, `percentile:99.99`.
    pub method: String,
    /// From what.
    pub data: CalibrationData,
}

/// From what ranges were chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum CalibrationData {
    /// None was needed.
    #[default]
    None,
    /// Noise from this seed. Accuracy means nothing.
    Synthetic(u64),
    /// These. An evaluation refuses them.
    Samples(SampleSet),
}

/// Samples, by the SHA-256 of each one's file: one hash that names the set, and the beginnings of theirs, which know each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSet {
    /// SHA-256 of the samples' hashes one after another, sorted, each once.
    pub sha256: [u8; 32],
    /// The first 8 bytes of each sample's hash, sorted, each once. One of `n` samples and one of `m` other files begin alike with a chance of
    /// `n * m / 2^64`: for 400 and 50,000 about one in 10^12.
    pub prefixes: Vec<[u8; 8]>,
}

impl SampleSet {
    /// The set of samples with these hashes, in any order.
    pub fn new(mut hashes: Vec<[u8; 32]>) -> SampleSet {
        hashes.sort_unstable();
        hashes.dedup();
        let mut prefixes: Vec<[u8; 8]> = hashes.iter().map(SampleSet::prefix).collect();
        // Sorted already, as the hashes are.
        prefixes.dedup();
        SampleSet {
            sha256: Sha256::digest(hashes.as_flattened()).into(),
            prefixes,
        }
    }

    /// What is kept of a sample's hash.
    pub fn prefix(sha256: &[u8; 32]) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = *sha256;
        [a, b, c, d, e, f, g, h]
    }
}

/// A way to quantize that was tried, and how close it came to float on samples held back. Whole numbers, so that a last bit of the float
/// arithmetic does not show in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried: `min-max`, `percentile:99.999 without equalization`.
    pub way: String,
    /// Signal to noise in hundredths of a decibel; `None` where nothing differs.
    pub snr_centi_db: Option<i32>,
    /// Equal answers in hundredths of a percent; `None` where the model has no classes.
    pub agreement_centi_percent: Option<u16>,
    /// The file was made this way.
    pub taken: bool,
}

/// Element type at the border, as the user sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BorderType {
    /// Real numbers.
    F32,
    /// Raw bytes: the `s8` inside plus 128.
    U8,
    /// The `s8` inside.
    S8,
    /// Whole numbers: indices inside, or real numbers in `s8`.
    S32,
    /// As [`BorderType::S32`], in 64 bits.
    S64,
}

/// An input as the user knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BorderInput {
    /// Name in the source.
    pub name: String,
    /// Shape in the source, batch included where it has one.
    pub shape: Vec<u32>,
    /// The program's input is the source's, transposed by this order: axis `i` is the source's axis `order[i]`.
    pub order: Vec<u8>,
    /// Element type in the source.
    pub border: BorderType,
}

/// An output as the user knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BorderOutput {
    /// Name in the source.
    pub name: String,
    /// Shape in the source.
    pub shape: Vec<u32>,
    /// How it is made from the program's outputs.
    pub assembly: Assembly,
    /// Element type in the source.
    pub border: BorderType,
}

/// How an output of the source is made from outputs of the program: a tree, stored operands first, so that reading needs no recursion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assembly {
    /// Each step takes its operands from a stack and leaves its result there.
    pub steps: Vec<AssemblyStep>,
}

/// A step of an [`Assembly`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssemblyStep {
    /// Leaves the program's output at this position.
    Output(u16),
    /// Takes one, leaves the same values under this shape.
    Reshape(Vec<u32>),
    /// Takes one; axis `i` of the result is its axis `order[i]`.
    Transpose(Vec<u8>),
    /// Takes `count` and joins them along an axis.
    Concat {
        /// How many.
        count: u16,
        /// Along which axis.
        axis: u8,
    },
}

impl Assembly {
    /// The program's output at this position, as it is.
    pub fn output(position: u16) -> Assembly {
        Assembly {
            steps: [AssemblyStep::Output(position)].into(),
        }
    }

    /// The same values under another shape.
    #[must_use]
    pub fn reshape(mut self, shape: Vec<u32>) -> Assembly {
        self.steps.push(AssemblyStep::Reshape(shape));
        self
    }

    /// Axis `i` of the result is axis `order[i]`.
    #[must_use]
    pub fn transpose(mut self, order: Vec<u8>) -> Assembly {
        self.steps.push(AssemblyStep::Transpose(order));
        self
    }

    /// Joined along an axis.
    pub fn concat(parts: impl IntoIterator<Item = Assembly>, axis: u8) -> Assembly {
        let mut steps = Vec::new();
        let mut count = 0;
        for part in parts {
            steps.extend(part.steps);
            count += 1;
        }
        steps.push(AssemblyStep::Concat { count, axis });
        Assembly { steps }
    }

    /// The positions that it reads, in order.
    pub fn outputs(&self) -> impl Iterator<Item = u16> {
        self.steps.iter().filter_map(|step| match step {
            AssemblyStep::Output(position) => Some(*position),
            _ => None,
        })
    }

    /// Makes the output. `outputs` are the program's: shape and values, row-major.
    ///
    /// `None` where the steps contradict each other or the shapes.
    pub fn evaluate<T: Copy>(&self, outputs: &[(Vec<u32>, Vec<T>)]) -> Option<(Vec<u32>, Vec<T>)> {
        let mut stack: Vec<(Vec<u32>, Vec<T>)> = Vec::new();
        for step in &self.steps {
            match step {
                AssemblyStep::Output(position) => {
                    stack.push(outputs.get(usize::from(*position))?.clone())
                }
                AssemblyStep::Reshape(shape) => {
                    let (_, values) = stack.pop()?;
                    (element_count(shape)? == values.len()).then_some(())?;
                    stack.push((shape.clone(), values));
                }
                AssemblyStep::Transpose(order) => {
                    let (shape, values) = stack.pop()?;
                    stack.push(transpose(&shape, &values, order)?);
                }
                AssemblyStep::Concat { count, axis } => {
                    let first = stack.len().checked_sub(usize::from(*count))?;
                    let parts = stack.split_off(first);
                    stack.push(concat(&parts, usize::from(*axis))?);
                }
            }
        }
        let result = stack.pop()?;
        stack.is_empty().then_some(result)
    }
}

fn element_count(shape: &[u32]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |len, &size| len.checked_mul(size as usize))
}

fn transpose<T: Copy>(shape: &[u32], values: &[T], order: &[u8]) -> Option<(Vec<u32>, Vec<T>)> {
    let mut seen = alloc::vec![false; shape.len()];
    for &axis in order {
        let seen = seen.get_mut(usize::from(axis))?;
        (!*seen).then_some(())?;
        *seen = true;
    }
    (order.len() == shape.len() && element_count(shape)? == values.len()).then_some(())?;
    let mut strides = alloc::vec![1_usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        // Wraps only where a size is zero, and then nothing is read.
        strides[axis - 1] = strides[axis].wrapping_mul(shape[axis] as usize);
    }
    let to: Vec<u32> = order.iter().map(|&axis| shape[usize::from(axis)]).collect();
    let mut index = alloc::vec![0_u32; to.len()];
    let mut result = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let at: usize = index
            .iter()
            .zip(order)
            .map(|(&i, &axis)| i as usize * strides[usize::from(axis)])
            .sum();
        result.push(values[at]);
        for (i, &size) in index.iter_mut().zip(&to).rev() {
            *i += 1;
            if *i < size {
                break;
            }
            *i = 0;
        }
    }
    Some((to, result))
}

fn concat<T: Copy>(parts: &[(Vec<u32>, Vec<T>)], axis: usize) -> Option<(Vec<u32>, Vec<T>)> {
    let mut shape = parts.first()?.0.clone();
    let outer = element_count(shape.get(..axis)?)?;
    let inner = element_count(shape.get(axis + 1..)?)?;
    let mut joined = 0_u32;
    for (other, values) in parts {
        let fits = other.get(..axis) == shape.get(..axis)
            && other.get(axis + 1..) == shape.get(axis + 1..);
        (fits && element_count(other)? == values.len()).then_some(())?;
        joined = joined.checked_add(*other.get(axis)?)?;
    }
    let mut result = Vec::with_capacity(parts.iter().map(|(_, values)| values.len()).sum());
    for row in 0..outer {
        for (other, values) in parts {
            let width = other[axis] as usize * inner;
            result.extend_from_slice(&values[row * width..(row + 1) * width]);
        }
    }
    shape[axis] = joined;
    Some((shape, result))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_set_of_samples_has_one_hash_whatever_their_order() {
        let sample = |first: u8, last: u8| {
            let mut hash = [first; 32];
            hash[31] = last;
            hash
        };
        let (a, b, c) = (sample(1, 0), sample(2, 0), sample(2, 9));
        let set = SampleSet::new(vec![c, a, b, a]);
        assert_eq!(set, SampleSet::new(vec![a, b, c]));
        // `b` and `c` begin alike, and differ.
        assert_eq!(set.prefixes, [[1; 8], [2; 8]]);
        assert_ne!(set.sha256, SampleSet::new(vec![a, b]).sha256);
        let joined: [u8; 32] = Sha256::digest([a, b, c].concat()).into();
        assert_eq!(set.sha256, joined);
    }

    #[test]
    fn evaluates_a_tree_of_concat_transpose_and_reshape() {
        let a = (vec![2, 3], vec![1, 2, 3, 4, 5, 6]);
        let b = (vec![1, 2], vec![7, 8]);
        let tree = Assembly::concat(
            [
                Assembly::output(0).transpose(vec![1, 0]),
                Assembly::output(1),
            ],
            0,
        )
        .reshape(vec![8]);
        assert_eq!(
            tree.evaluate(&[a, b]),
            Some((vec![8], vec![1, 4, 2, 5, 3, 6, 7, 8]))
        );
        assert_eq!(tree.outputs().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn refuses_steps_that_contradict_the_shapes() {
        let a = [(vec![2, 3], vec![1, 2, 3, 4, 5, 6])];
        assert_eq!(Assembly::output(1).evaluate(&a), None);
        assert_eq!(Assembly::output(0).reshape(vec![5]).evaluate(&a), None);
        assert_eq!(Assembly::output(0).transpose(vec![0, 0]).evaluate(&a), None);
        assert_eq!(Assembly::output(0).transpose(vec![0]).evaluate(&a), None);
        assert_eq!(
            Assembly::concat([Assembly::output(0)], 2).evaluate(&a),
            None
        );
        assert_eq!(Assembly::default().evaluate(&a), None);
    }
}
