//! Constants of a model file: typed values that the importer computes with.

use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};
use ocellus_ir::Grid;
use tract_onnx::pb::{TensorProto, tensor_proto::DataType};

use crate::error::{Outcome, Refusal};

/// No tensor of a file may hold more elements: 1 GiB of `f32`.
const MAX_STORED_ELEMENTS: usize = 1 << 28;

/// No constant that the import makes may hold more, but for one that is made of as many: a file of a few kilobytes must not ask for gigabytes.
const MAX_MADE_ELEMENTS: usize = 1 << 25;

/// Element types that the importer knows. All real types become `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElementType {
    Real,
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    S64,
}

impl ElementType {
    /// From the number in a file.
    pub(crate) fn from_onnx(number: i32) -> Outcome<Self> {
        Ok(match DataType::try_from(number) {
            Ok(DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) => {
                ElementType::Real
            }
            Ok(DataType::Bool) => ElementType::Bool,
            Ok(DataType::Uint8) => ElementType::U8,
            Ok(DataType::Int8) => ElementType::S8,
            Ok(DataType::Uint16) => ElementType::U16,
            Ok(DataType::Int16) => ElementType::S16,
            Ok(DataType::Uint32) => ElementType::U32,
            Ok(DataType::Int32) => ElementType::S32,
            Ok(DataType::Int64 | DataType::Uint64) => ElementType::S64,
            Ok(DataType::Undefined) | Err(_) => {
                return Err(Refusal::malformed(format!(
                    "element type {number} does not exist"
                )));
            }
            Ok(other) => {
                let name = other.as_str_name();
                return Err(Refusal::unsupported(format!(
                    "element type {name} is not supported; use FLOAT"
                )));
            }
        })
    }

    /// The word for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ElementType::Real => "float",
            ElementType::Bool => "bool",
            ElementType::U8 => "uint8",
            ElementType::S8 => "int8",
            ElementType::U16 => "uint16",
            ElementType::S16 => "int16",
            ElementType::U32 => "uint32",
            ElementType::S32 => "int32",
            ElementType::S64 => "int64",
        }
    }

    /// The range of an integer type.
    pub(crate) fn range(self) -> (i64, i64) {
        match self {
            ElementType::Bool => (0, 1),
            ElementType::U8 => (0, 255),
            ElementType::S8 => (-128, 127),
            ElementType::U16 => (0, 0xffff),
            ElementType::S16 => (-0x8000, 0x7fff),
            ElementType::U32 => (0, 0xffff_ffff),
            ElementType::S32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            ElementType::S64 | ElementType::Real => (i64::MIN, i64::MAX),
        }
    }
}

/// Values of a constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Real(Arc<[f32]>),
    Int(Arc<[i64]>),
}

/// What a real constant is made of, where it comes out of a file's 8-bit numbers: `real = scale * (q - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Steps {
    /// One, or one an element.
    pub(crate) scales: Arc<[f32]>,
    /// Of the device's `s8`; 0 where there are several scales.
    pub(crate) zero_point: i32,
}

/// A tensor that does not depend on the model's inputs. Row-major; the count of values always is the product of the shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    pub(crate) ty: ElementType,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
    /// Real values that are whole steps; an operator that computes with them drops this.
    pub(crate) steps: Option<Steps>,
}

/// Elements of a tensor of the file, where that is a sane number.
pub(crate) fn stored_count(shape: &[usize]) -> Outcome<usize> {
    count_within(shape, MAX_STORED_ELEMENTS)
}

/// Elements of a shape that the import makes, where that is a sane number.
pub(crate) fn element_count(shape: &[usize]) -> Outcome<usize> {
    count_within(shape, MAX_MADE_ELEMENTS)
}

fn count_within(shape: &[usize], limit: usize) -> Outcome<usize> {
    // Sizes of zero count as one here, so that strides stay small too.
    let bound = shape
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size.max(1)));
    match bound.filter(|&n| n <= limit) {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(count) => Ok(count),
        None => Err(Refusal::unsupported(format!(
            "a tensor of shape {shape:?} is larger than the limit of {limit} elements"
        ))),
    }
}

impl Constant {
    pub(crate) fn real(shape: Vec<usize>, values: impl Into<Arc<[f32]>>) -> Self {
        Constant {
            ty: ElementType::Real,
            shape,
            data: Data::Real(values.into()),
            steps: None,
        }
    }

    pub(crate) fn int(ty: ElementType, shape: Vec<usize>, values: impl Into<Arc<[i64]>>) -> Self {
        Constant {
            ty,
            shape,
            data: Data::Int(values.into()),
            steps: None,
        }
    }

    /// A list of `int64`.
    pub(crate) fn list(values: Vec<i64>) -> Self {
        Constant::int(ElementType::S64, vec![values.len()], values)
    }

    pub(crate) fn len(&self) -> usize {
        match &self.data {
            Data::Real(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }

    /// The real values, or a refusal where the type is an integer.
    pub(crate) fn reals(&self, what: &str) -> Outcome<&Arc<[f32]>> {
        match &self.data {
            Data::Real(values) => Ok(values),
            Data::Int(_) => Err(Refusal::malformed(format!(
                "{what} must be float, but is {}",
                self.ty.name()
            ))),
        }
    }

    /// The integers, or a refusal where the type is real.
    pub(crate) fn ints(&self, what: &str) -> Outcome<&Arc<[i64]>> {
        match &self.data {
            Data::Int(values) => Ok(values),
            Data::Real(_) => Err(Refusal::malformed(format!(
                "{what} must be integers, but is float"
            ))),
        }
    }

    /// The one real value of a tensor that holds one.
    pub(crate) fn scalar(&self, what: &str) -> Outcome<f32> {
        match **self.reals(what)? {
            [value] if !value.is_nan() => Ok(value),
            [_] => Err(Refusal::malformed(format!("{what} is NaN"))),
            _ => Err(Refusal::malformed(format!(
                "{what} must be one value, but has shape {:?}",
                self.shape
            ))),
        }
    }

    /// The one integer of a tensor that holds one.
    pub(crate) fn integer(&self, what: &str) -> Outcome<i64> {
        match **self.ints(what)? {
            [value] => Ok(value),
            _ => Err(Refusal::malformed(format!(
                "{what} must be one value, but has shape {:?}",
                self.shape
            ))),
        }
    }

    /// The same values under another shape of as many elements.
    pub(crate) fn with_shape(&self, shape: Vec<usize>) -> Outcome<Self> {
        if stored_count(&shape)? != self.len() {
            return Err(Refusal::malformed(format!(
                "shape {:?} cannot become {shape:?}: the counts differ",
                self.shape
            )));
        }
        Ok(Constant {
            ty: self.ty,
            shape,
            data: self.data.clone(),
            steps: self.steps.clone(),
        })
    }

    /// Element `i` of the result is element `source(i)` of this one, with indices along each axis.
    /// `source` writes the indices; they must lie in this shape.
    pub(crate) fn pick(
        &self,
        shape: Vec<usize>,
        source: impl Fn(&[usize], &mut [usize]),
    ) -> Outcome<Self> {
        let count = count_within(&shape, MAX_MADE_ELEMENTS.max(self.len()))?;
        let strides = strides(&self.shape);
        let mut at = vec![0usize; shape.len()];
        let mut from = vec![0usize; self.shape.len()];
        let mut order = Vec::with_capacity(count);
        for _ in 0..count {
            source(&at, &mut from);
            order.push(from.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>());
            for axis in (0..shape.len()).rev() {
                at[axis] += 1;
                if at[axis] < shape[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
        let data = match &self.data {
            Data::Real(values) => Data::Real(take(values, &order)?),
            Data::Int(values) => Data::Int(take(values, &order)?),
        };
        let steps = match &self.steps {
            Some(Steps { scales, zero_point }) if scales.len() > 1 => Some(Steps {
                scales: take(scales, &order)?,
                zero_point: *zero_point,
            }),
            steps => steps.clone(),
        };
        Ok(Constant {
            ty: self.ty,
            shape,
            data,
            steps,
        })
    }

    /// The grid of a constant whose steps are the same for all, or for each index of the first axis.
    pub(crate) fn grid(&self) -> Option<Grid> {
        let Steps { scales, zero_point } = self.steps.as_ref()?;
        let first = *scales.first()?;
        if scales.iter().all(|&scale| scale == first) {
            return Some(Grid::new(first, *zero_point));
        }
        let row = scales.len().checked_div(*self.shape.first()?)?;
        let rows = scales.chunks(row.max(1));
        let firsts = rows.map(|row| {
            let first = *row.first()?;
            row.iter().all(|&scale| scale == first).then_some(first)
        });
        firsts.collect::<Option<Vec<f32>>>().map(Grid::weights)
    }

    /// The real values times a number above zero.
    pub(crate) fn scaled(&self, factor: f32) -> Outcome<Self> {
        let values = self.reals("a constant operand")?;
        let times = |values: &[f32]| values.iter().map(|v| v * factor).collect::<Vec<f32>>();
        let steps = self.steps.as_ref().filter(|_| factor > 0.0);
        Ok(Constant {
            steps: steps.map(|steps| Steps {
                scales: times(&steps.scales).into(),
                zero_point: steps.zero_point,
            }),
            ..Constant::real(self.shape.clone(), times(values))
        })
    }

    /// Repeats along axes of size 1, and in front, up to `shape`.
    pub(crate) fn broadcast_to(&self, shape: &[usize]) -> Outcome<Self> {
        if self.shape == shape {
            return Ok(self.clone());
        }
        let fits = self.shape.len() <= shape.len()
            && self
                .shape
                .iter()
                .rev()
                .zip(shape.iter().rev())
                .all(|(&a, &b)| a == b || a == 1);
        if !fits {
            return Err(Refusal::malformed(format!(
                "shape {:?} does not broadcast to {shape:?}",
                self.shape
            )));
        }
        let lead = shape.len() - self.shape.len();
        let own = self.shape.clone();
        self.pick(shape.to_vec(), |at, from| {
            for (axis, index) in from.iter_mut().enumerate() {
                *index = if own[axis] == 1 { 0 } else { at[axis + lead] };
            }
        })
    }
}

fn take<T: Copy>(values: &[T], order: &[usize]) -> Outcome<Arc<[T]>> {
    order
        .iter()
        .map(|&i| values.get(i).copied())
        .collect::<Option<Vec<T>>>()
        .map(Arc::from)
        .ok_or_else(|| Refusal::malformed("an index is out of range"))
}

/// Row-major strides in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Reads a stored tensor; `folder` is where external data may lie.
pub(crate) fn load(proto: &TensorProto, folder: Option<&Path>) -> Outcome<Constant> {
    let shape = proto
        .dims
        .iter()
        .map(|&dim| {
            usize::try_from(dim).map_err(|_| Refusal::malformed(format!("size {dim} is negative")))
        })
        .collect::<Outcome<Vec<usize>>>()?;
    let count = stored_count(&shape)?;
    if proto.segment.is_some() {
        return Err(Refusal::unsupported(
            "tensors stored in segments are not supported; save the model again",
        ));
    }
    let ty = ElementType::from_onnx(proto.data_type)?;
    let data_type = DataType::try_from(proto.data_type).unwrap_or(DataType::Undefined);
    let external = proto.data_location == Some(1);
    let raw = match external {
        true => Some(read_external(proto, folder, count * bytes_of(data_type))?),
        false if !proto.raw_data.is_empty() => Some(proto.raw_data.clone()),
        false => None,
    };
    let data = match raw {
        Some(bytes) => decode_raw(data_type, &bytes, count)?,
        None => decode_fields(data_type, proto)?,
    };
    let constant = Constant {
        ty,
        shape,
        data,
        steps: None,
    };
    if constant.len() != count {
        return Err(Refusal::malformed(format!(
            "its shape {:?} asks for {count} values, but {} are stored",
            constant.shape,
            constant.len()
        )));
    }
    check(&constant)?;
    Ok(constant)
}

/// Refuses NaN, and integers beyond the range of their type.
pub(crate) fn check(constant: &Constant) -> Outcome<()> {
    match &constant.data {
        Data::Real(values) => {
            if let Some(at) = values.iter().position(|v| v.is_nan()) {
                return Err(Refusal::malformed(format!(
                    "value {at} is NaN; the model is damaged or its training diverged, export it again"
                )));
            }
        }
        Data::Int(values) => {
            let (min, max) = constant.ty.range();
            if values.iter().any(|v| !(min..=max).contains(v)) {
                return Err(Refusal::malformed(format!(
                    "it holds values beyond the range of {}",
                    constant.ty.name()
                )));
            }
        }
    }
    Ok(())
}

fn bytes_of(ty: DataType) -> usize {
    match ty {
        DataType::Uint8 | DataType::Int8 | DataType::Bool => 1,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        _ => 8,
    }
}

pub(crate) fn decode_raw(ty: DataType, bytes: &[u8], count: usize) -> Outcome<Data> {
    if bytes.len() != count * bytes_of(ty) {
        return Err(Refusal::malformed(format!(
            "its shape asks for {count} values of {}, {} bytes, but {} bytes are stored",
            ty.as_str_name(),
            count * bytes_of(ty),
            bytes.len()
        )));
    }
    fn words<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| read(*chunk))
            .collect()
    }
    let real = |values: Vec<f32>| Ok(Data::Real(values.into()));
    let int = |values: Vec<i64>| Ok(Data::Int(values.into()));
    match ty {
        DataType::Float => real(words(bytes, f32::from_le_bytes)),
        DataType::Double => real(words(bytes, |b| f64::from_le_bytes(b) as f32)),
        DataType::Float16 => real(words(bytes, |b| f16::from_le_bytes(b).to_f32())),
        DataType::Bfloat16 => real(words(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        DataType::Uint8 => int(words(bytes, |[b]: [u8; 1]| i64::from(b))),
        DataType::Bool => int(words(bytes, |[b]: [u8; 1]| i64::from(b != 0))),
        DataType::Int8 => int(words(bytes, |b| i64::from(i8::from_le_bytes(b)))),
        DataType::Uint16 => int(words(bytes, |b| i64::from(u16::from_le_bytes(b)))),
        DataType::Int16 => int(words(bytes, |b| i64::from(i16::from_le_bytes(b)))),
        DataType::Uint32 => int(words(bytes, |b| i64::from(u32::from_le_bytes(b)))),
        DataType::Int32 => int(words(bytes, |b| i64::from(i32::from_le_bytes(b)))),
        DataType::Int64 => int(words(bytes, i64::from_le_bytes)),
        DataType::Uint64 => unsigned(words(bytes, u64::from_le_bytes)),
        other => Err(Refusal::unsupported(format!(
            "element type {} is not supported",
            other.as_str_name()
        ))),
    }
}

fn unsigned(values: Vec<u64>) -> Outcome<Data> {
    let values: Result<Vec<i64>, _> = values.into_iter().map(i64::try_from).collect();
    values
        .map(|values| Data::Int(values.into()))
        .map_err(|_| Refusal::unsupported("it holds uint64 values beyond 2^63"))
}

fn decode_fields(ty: DataType, proto: &TensorProto) -> Outcome<Data> {
    let halves = |read: fn(u16) -> f32| {
        let values: Vec<f32> = proto
            .int32_data
            .iter()
            .map(|&bits| read(bits as u16))
            .collect();
        Data::Real(values.into())
    };
    Ok(match ty {
        DataType::Float => Data::Real(proto.float_data.as_slice().into()),
        DataType::Double => Data::Real(proto.double_data.iter().map(|&v| v as f32).collect()),
        DataType::Float16 => halves(|bits| f16::from_bits(bits).to_f32()),
        DataType::Bfloat16 => halves(|bits| bf16::from_bits(bits).to_f32()),
        DataType::Int64 => Data::Int(proto.int64_data.as_slice().into()),
        DataType::Uint32 | DataType::Uint64 => unsigned(proto.uint64_data.clone())?,
        DataType::Bool => Data::Int(
            proto
                .int32_data
                .iter()
                .map(|&v| i64::from(v != 0))
                .collect(),
        ),
        _ => Data::Int(proto.int32_data.iter().map(|&v| i64::from(v)).collect()),
    })
}

fn read_external(proto: &TensorProto, folder: Option<&Path>, len: usize) -> Outcome<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let entry = |key: &str| {
        proto
            .external_data
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.value.as_str())
    };
    let number = |key: &str| {
        entry(key)
            .map(|text| {
                text.parse::<u64>().map_err(|_| {
                    Refusal::malformed(format!("its external data has the {key} `{text}`"))
                })
            })
            .transpose()
    };
    let location =
        entry("location").ok_or_else(|| Refusal::malformed("its external data names no file"))?;
    let relative = Path::new(location);
    let inside = relative.components().all(|c| {
        matches!(
            c,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if !inside {
        return Err(Refusal::malformed(format!(
            "its data lies in `{location}`, outside the model's folder"
        )));
    }
    let folder = folder.ok_or_else(|| {
        Refusal::options(format!(
            "its data lies in another file, `{location}`; give the model as a path"
        ))
    })?;
    let stored = number("length")?;
    if stored.is_some_and(|stored| u64::try_from(len) != Ok(stored)) {
        return Err(Refusal::malformed(format!(
            "its shape asks for {len} bytes, but its external data states another length"
        )));
    }
    let path = folder.join(relative);
    let failed = |error: std::io::Error| {
        Refusal::unreadable(format!(
            "its data lies in {}, which cannot be read: {error}; keep the files of the model together",
            path.display()
        ))
    };
    let mut file = std::fs::File::open(&path).map_err(failed)?;
    let offset = number("offset")?.unwrap_or(0);
    let have = file.metadata().map_err(failed)?.len();
    let end = offset.checked_add(u64::try_from(len).unwrap_or(u64::MAX));
    if end.is_none_or(|end| end > have) {
        return Err(Refusal::malformed(format!(
            "its data lies in {} from byte {offset}, {len} bytes, but that file ends at {have}",
            path.display()
        )));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = vec![0; len];
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
