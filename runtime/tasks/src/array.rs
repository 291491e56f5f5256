//! An output of the model: quantized values and what they mean.

use ocellus_format::QParams;

/// A quantized array.
#[derive(Clone, Copy, Debug)]
pub struct ArrayS8<'a> {
    /// Values, row-major.
    pub data: &'a [i8],
    /// What they mean.
    pub qparams: QParams,
}

impl ArrayS8<'_> {
    /// The real value at an index; zero outside the array.
    #[inline]
    pub fn real(&self, index: usize) -> f32 {
        self.data
            .get(index)
            .map_or(0.0, |&q| self.qparams.dequantize(i32::from(q)))
    }
}
