use ocellus_format::{QParams, TensorInfo};

use crate::arena::Arena;

/// A tensor to read.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// What the file says of it.
    pub info: TensorInfo,
    /// Its bytes, row-major: the elements where the type is `s8`, little-endian ones where it is wider.
    pub values: &'a [i8],
}

impl<'a> Tensor<'a> {
    /// Finds a tensor of the arena; `None` where it does not lie there.
    pub(crate) fn find(arena: &'a Arena<'_>, info: TensorInfo) -> Option<Self> {
        let bytes = arena.get(&info.extent())?;
        Some(Tensor {
            info,
            values: bytemuck::try_cast_slice(bytes).ok()?,
        })
    }

    /// Scale and zero point.
    pub fn qparams(&self) -> QParams {
        self.info.qparams
    }

    /// The elements as real numbers.
    pub fn dequantized(&self) -> impl Iterator<Item = f32> + use<'a> {
        let qparams = self.info.qparams;
        self.integers().map(move |q| qparams.dequantize(q))
    }

    /// The elements, whatever their integer type.
    pub fn integers(&self) -> impl Iterator<Item = i32> + use<'a> {
        ocellus_format::elements(self.info.dtype, self.values)
    }
}

/// A tensor to fill.
#[derive(Debug)]
pub struct TensorMut<'a> {
    /// What the file says of it.
    pub info: TensorInfo,
    /// Its bytes, row-major: the elements where the type is `s8`, little-endian ones where it is wider.
    pub values: &'a mut [i8],
}

impl<'a> TensorMut<'a> {
    /// Finds a tensor of the arena; `None` where it does not lie there.
    pub(crate) fn find(arena: &'a mut Arena<'_>, info: TensorInfo) -> Option<Self> {
        let bytes = arena.get_mut(&info.extent())?;
        Some(TensorMut {
            info,
            values: bytemuck::try_cast_slice_mut(bytes).ok()?,
        })
    }

    /// Scale and zero point.
    pub fn qparams(&self) -> QParams {
        self.info.qparams
    }
}
