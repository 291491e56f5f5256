//! Stored tensors: their bytes, their scales, and the sparse ones among them.

use ocellus_ir::Grid;
use tract_onnx::pb::tensor_proto::DataType;
use tract_tflite::tflite::{Model, QuantizationParameters, Tensor, TensorType};

use crate::constant::{Constant, Data, ElementType, Steps, check, decode_raw, stored_count};
use crate::error::{Outcome, Refusal};
use crate::tflite::file::{TensorInfo, element_type};
use crate::tflite::sparse;

/// How integers stand for real numbers: `scale * (q - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantization {
    /// One, or one for each index of `axis`.
    pub(crate) scales: Vec<f32>,
    /// As many.
    pub(crate) zero_points: Vec<i64>,
    /// The axis that several belong to.
    pub(crate) axis: usize,
}

impl Quantization {
    /// The graph's word for it; of several scales it fits only where they belong to the first axis.
    pub(crate) fn grid(&self, ty: ElementType) -> Grid {
        // The device holds `s8`: a `u8` is 128 higher.
        let below = if ty == ElementType::U8 { 128 } else { 0 };
        let zero_point = match self.zero_points[..] {
            [one] => i32::try_from(one.saturating_sub(below)).unwrap_or(i32::MAX),
            _ => 0,
        };
        Grid {
            scales: self.scales.as_slice().into(),
            zero_point,
        }
    }

    /// The grid of a computed tensor.
    pub(crate) fn computed(&self, ty: ElementType) -> Outcome<Grid> {
        let grid = self.grid(ty);
        if grid.scales.len() != 1 {
            return Err(Refusal::unsupported(
                "a computed tensor with more than one scale is not supported",
            ));
        }
        if !grid.is_valid() {
            return Err(Refusal::malformed(
                "its scale or zero point is not one of 8 bits",
            ));
        }
        Ok(grid)
    }
}

/// Reads scales and zero points; `None` where the file gives none.
pub(super) fn quantization(
    parameters: QuantizationParameters<'_>,
    shape: &[i32],
) -> Outcome<Option<Quantization>> {
    let scales: Vec<f32> = parameters.scale().iter().flatten().collect();
    if scales.is_empty() {
        return Ok(None);
    }
    if parameters.details_type().0 != 0 {
        return Err(Refusal::unsupported(
            "it is quantized in a custom way, which is not supported",
        ));
    }
    if let Some(wrong) = scales.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
        return Err(Refusal::malformed(format!(
            "its scale {wrong} is not a positive number"
        )));
    }
    let mut zero_points: Vec<i64> = parameters.zero_point().iter().flatten().collect();
    if zero_points.is_empty() {
        zero_points.push(0);
    }
    if zero_points.len() == 1 {
        zero_points.resize(scales.len(), zero_points[0]);
    }
    if zero_points.len() != scales.len() {
        return Err(Refusal::malformed(format!(
            "it has {} scales, but {} zero points",
            scales.len(),
            zero_points.len()
        )));
    }
    let axis = match scales.len() {
        1 => 0,
        count => {
            let axis = usize::try_from(parameters.quantized_dimension()).unwrap_or(usize::MAX);
            let size = shape.get(axis).and_then(|&size| usize::try_from(size).ok());
            if size != Some(count) {
                return Err(Refusal::malformed(format!(
                    "it has {count} scales for axis {} of shape {shape:?}",
                    parameters.quantized_dimension()
                )));
            }
            axis
        }
    };
    Ok(Some(Quantization {
        scales,
        zero_points,
        axis,
    }))
}

/// The bytes of a stored tensor; `None` for one that is computed.
pub(super) fn stored_bytes<'a>(
    model: &Model<'a>,
    tensor: &Tensor<'a>,
) -> Outcome<Option<&'a [u8]>> {
    let index = tensor.buffer();
    // Buffer 0 is empty by rule, and stands for none.
    if index == 0 {
        return Ok(None);
    }
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    let buffer = model
        .buffers()
        .filter(|buffers| at < buffers.len())
        .map(|buffers| buffers.get(at))
        .ok_or_else(|| Refusal::malformed(format!("its buffer {index} does not exist")))?;
    Ok(buffer.data().map(|data| data.bytes()))
}

fn data_type(ty: TensorType) -> Option<(DataType, usize)> {
    Some(match ty {
        TensorType::FLOAT32 => (DataType::Float, 4),
        TensorType::FLOAT16 => (DataType::Float16, 2),
        TensorType::FLOAT64 => (DataType::Double, 8),
        TensorType::BOOL => (DataType::Bool, 1),
        TensorType::UINT8 => (DataType::Uint8, 1),
        TensorType::INT8 => (DataType::Int8, 1),
        TensorType::UINT16 => (DataType::Uint16, 2),
        TensorType::INT16 => (DataType::Int16, 2),
        TensorType::UINT32 => (DataType::Uint32, 4),
        TensorType::INT32 => (DataType::Int32, 4),
        TensorType::UINT64 => (DataType::Uint64, 8),
        TensorType::INT64 => (DataType::Int64, 8),
        _ => return None,
    })
}

/// Reads a stored tensor. Integers with a scale become the real numbers that they stand for.
pub(super) fn load(info: &TensorInfo<'_>, bytes: &[u8]) -> Outcome<Constant> {
    let ty = element_type(info.ty)?;
    let count = stored_count(&info.shape)?;
    let stored_values = match info.tensor.sparsity() {
        None => count,
        Some(_) if info.ty == TensorType::INT4 => {
            return Err(Refusal::unsupported("sparse INT4 is not supported"));
        }
        // As many as there are; the structure says where they belong.
        Some(_) => bytes.len() / data_type(info.ty).map_or(1, |(_, size)| size),
    };
    let data = match (info.ty, data_type(info.ty)) {
        (TensorType::INT4, _) => Data::Int(nibbles(bytes, count)?.into()),
        (_, Some((ty, _))) => decode_raw(ty, bytes, stored_values)?,
        (_, None) => return Err(Refusal::unsupported("its element type is not supported")),
    };
    let data = match info.tensor.sparsity() {
        Some(structure) => sparse::densify(&structure, &info.shape, &data)?,
        None => data,
    };
    let constant = Constant {
        ty,
        shape: info.shape.clone(),
        data,
        steps: None,
    };
    check(&constant)?;
    match &info.quantization {
        Some(quantization) => dequantized(&constant, quantization),
        None => Ok(constant),
    }
}

/// Two signed numbers a byte, the lower half first.
fn nibbles(bytes: &[u8], count: usize) -> Outcome<Vec<i64>> {
    if bytes.len() != count.div_ceil(2) {
        return Err(Refusal::malformed(format!(
            "its shape asks for {count} values of INT4, {} bytes, but {} bytes are stored",
            count.div_ceil(2),
            bytes.len()
        )));
    }
    let halves = bytes.iter().flat_map(|&byte| [byte << 4, byte & 0xf0]);
    Ok(halves
        .take(count)
        .map(|high| i64::from(high.cast_signed() >> 4))
        .collect())
}

/// `scale * (q - zero_point)`, along the axis where there are several.
fn dequantized(constant: &Constant, quantization: &Quantization) -> Outcome<Constant> {
    let Data::Int(values) = &constant.data else {
        // Converters leave the range of float tensors in the file; it means nothing.
        return Ok(constant.clone());
    };
    let inner: usize = constant.shape.iter().skip(quantization.axis + 1).product();
    let count = quantization.scales.len();
    let steps = quantization.scales.iter().zip(&quantization.zero_points);
    let parameters: Vec<(f32, i64)> = steps.map(|(&scale, &zero)| (scale, zero)).collect();
    let real = values
        .iter()
        .enumerate()
        .map(|(i, &q)| {
            let (scale, zero_point) = parameters[i / inner.max(1) % count];
            (q.saturating_sub(zero_point)) as f32 * scale
        })
        .collect::<Vec<f32>>();
    let eight_bits = matches!(constant.ty, ElementType::S8 | ElementType::U8);
    let steps = eight_bits.then(|| Steps {
        scales: match parameters[..] {
            [(scale, _)] => [scale].into(),
            _ => (0..values.len())
                .map(|i| parameters[i / inner.max(1) % count].0)
                .collect(),
        },
        zero_point: quantization.grid(constant.ty).zero_point,
    });
    Ok(Constant {
        steps,
        ..Constant::real(constant.shape.clone(), real)
    })
}
