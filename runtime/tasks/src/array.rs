//! An output of the model: numbers by index, quantized or real.

use ocellus_format::QParams;

/// Real numbers by index, row-major. A task reads outputs through this, so that the same code decodes a device's `s8` and a float reference.
pub trait Reals {
    /// How many.
    fn len(&self) -> usize;

    /// The real value at an index; zero outside the array.
    fn real(&self, index: usize) -> f32;

    /// True where there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A quantized array.
#[derive(Clone, Copy, Debug)]
pub struct ArrayS8<'a> {
    /// Values.
    pub data: &'a [i8],
    /// What they mean.
    pub qparams: QParams,
}

impl Reals for ArrayS8<'_> {
    fn len(&self) -> usize {
        self.data.len()
    }

    #[inline]
    fn real(&self, index: usize) -> f32 {
        self.data
            .get(index)
            .map_or(0.0, |&q| self.qparams.dequantize(i32::from(q)))
    }
}

impl Reals for &[f32] {
    fn len(&self) -> usize {
        <[f32]>::len(self)
    }

    #[inline]
    fn real(&self, index: usize) -> f32 {
        self.get(index).copied().unwrap_or(0.0)
    }
}
