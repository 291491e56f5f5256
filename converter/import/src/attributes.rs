//! Typed access to a node's attributes.

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

use crate::error::{Outcome, Refusal, shown};

/// The attributes of a node.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a NodeProto);

impl<'a> Attributes<'a> {
    fn find(self, name: &str, ty: AttributeType) -> Outcome<Option<&'a AttributeProto>> {
        let Some(found) = self.0.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        if !found.ref_attr_name.is_empty() {
            return Err(Refusal::unsupported(format!(
                "attribute `{name}` refers to a function's attribute; inline the model's functions"
            )));
        }
        // Files older than version 4 of the format leave the type out.
        if found.r#type != ty as i32 && found.r#type != AttributeType::Undefined as i32 {
            let has = AttributeType::try_from(found.r#type)
                .map_or("of an unknown type", |t| t.as_str_name());
            return Err(Refusal::malformed(format!(
                "attribute `{name}` must be {}, but is {has}",
                ty.as_str_name()
            )));
        }
        Ok(Some(found))
    }

    /// Refuses attributes that are not in the list: ignoring one could change the result.
    pub(crate) fn only(self, known: &[&str]) -> Outcome<()> {
        match self
            .0
            .attribute
            .iter()
            .find(|a| !known.contains(&a.name.as_str()))
        {
            Some(unknown) => Err(Refusal::unsupported(format!(
                "attribute `{}` is not known for this operator; export the model for ONNX operator set 13 to 18",
                shown(&unknown.name)
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0.attribute.iter().any(|a| a.name == name)
    }

    pub(crate) fn int(self, name: &str) -> Outcome<Option<i64>> {
        Ok(self.find(name, AttributeType::Int)?.map(|a| a.i))
    }

    pub(crate) fn flag(self, name: &str, default: bool) -> Outcome<bool> {
        Ok(self.int(name)?.map_or(default, |value| value != 0))
    }

    pub(crate) fn ints(self, name: &str) -> Outcome<Option<&'a [i64]>> {
        Ok(self
            .find(name, AttributeType::Ints)?
            .map(|a| a.ints.as_slice()))
    }

    pub(crate) fn float(self, name: &str) -> Outcome<Option<f32>> {
        let value = self.find(name, AttributeType::Float)?.map(|a| a.f);
        match value {
            Some(value) if value.is_nan() => {
                Err(Refusal::malformed(format!("attribute `{name}` is NaN")))
            }
            value => Ok(value),
        }
    }

    pub(crate) fn floats(self, name: &str) -> Outcome<Option<&'a [f32]>> {
        let values = self
            .find(name, AttributeType::Floats)?
            .map(|a| a.floats.as_slice());
        match values {
            Some(values) if values.iter().any(|v| v.is_nan()) => {
                Err(Refusal::malformed(format!("attribute `{name}` holds NaN")))
            }
            values => Ok(values),
        }
    }

    pub(crate) fn text(self, name: &str) -> Outcome<Option<&'a str>> {
        self.find(name, AttributeType::String)?
            .map(|a| {
                std::str::from_utf8(&a.s)
                    .map_err(|_| Refusal::malformed(format!("attribute `{name}` is not text")))
            })
            .transpose()
    }

    pub(crate) fn tensor(self, name: &str) -> Outcome<Option<&'a TensorProto>> {
        self.find(name, AttributeType::Tensor)?
            .map(|a| {
                a.t.as_ref().ok_or_else(|| {
                    Refusal::malformed(format!("attribute `{name}` holds no tensor"))
                })
            })
            .transpose()
    }

    /// A pair for (rows, columns) from a list of one (1-D: columns) or two; each in `min..=max`.
    pub(crate) fn spatial(
        self,
        name: &str,
        dims: usize,
        default: usize,
        min: i64,
    ) -> Outcome<Vec<usize>> {
        let Some(values) = self.ints(name)? else {
            return Ok(vec![default; dims]);
        };
        if values.len() != dims {
            return Err(Refusal::malformed(format!(
                "attribute `{name}` has {} values for {dims} spatial axes",
                values.len()
            )));
        }
        values.iter().map(|&v| small(name, v, min)).collect()
    }
}

/// Strides, kernels and paddings beyond this are nonsense, and below it no arithmetic on them overflows.
const MAX_SPATIAL: i64 = 1 << 20;

/// A number of a window, within sane limits.
pub(crate) fn small(name: &str, value: i64, min: i64) -> Outcome<usize> {
    if !(min..=MAX_SPATIAL).contains(&value) {
        return Err(Refusal::malformed(format!(
            "attribute `{name}` holds {value}, outside {min}..={MAX_SPATIAL}"
        )));
    }
    usize::try_from(value)
        .map_err(|_| Refusal::malformed(format!("attribute `{name}` holds {value}")))
}

/// Resolves an axis that may count from the end; `rank` is one more where the axis names a gap.
pub(crate) fn axis(value: i64, rank: usize) -> Outcome<usize> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let index = if value < 0 {
        value.checked_add(signed)
    } else {
        Some(value)
    };
    index
        .and_then(|i| usize::try_from(i).ok())
        .filter(|&i| i < rank)
        .ok_or_else(|| Refusal::malformed(format!("axis {value} does not exist; there are {rank}")))
}
