use ocellus_format::{DType, QParams, TensorInfo};

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
    pub(crate) fn find(arena: &'a [u8], info: TensorInfo) -> Option<Self> {
        let start = info.offset as usize;
        let bytes = arena.get(start..start.checked_add(info.len_bytes as usize)?)?;
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

    /// The elements, whatever their type; those of a type that no tensor in the arena has are 0.
    pub fn integers(&self) -> impl Iterator<Item = i32> + use<'a> {
        let dtype = self.info.dtype;
        let bytes: &'a [u8] = bytemuck::try_cast_slice(self.values).unwrap_or_default();
        let width = match dtype {
            DType::S16 | DType::U16 => 2,
            DType::S32 | DType::U32 | DType::F32 => 4,
            _ => 1,
        };
        bytes
            .chunks_exact(width)
            .map(move |bytes| match (dtype, bytes) {
                (DType::S8, &[a]) => i32::from(a as i8),
                (DType::U8, &[a]) => i32::from(a),
                (DType::S16, &[a, b]) => i32::from(i16::from_le_bytes([a, b])),
                (DType::U16, &[a, b]) => i32::from(u16::from_le_bytes([a, b])),
                (DType::S32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
                _ => 0,
            })
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
    pub(crate) fn find(arena: &'a mut [u8], info: TensorInfo) -> Option<Self> {
        let start = info.offset as usize;
        let bytes = arena.get_mut(start..start.checked_add(info.len_bytes as usize)?)?;
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
