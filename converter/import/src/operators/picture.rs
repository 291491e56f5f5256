//! Operators on pictures: the way from the file's layout to `Nhwc` and back, and the geometry of sliding windows.

use ocellus_ir::{Op, TensorId, Window};

use crate::attributes::small;
use crate::error::{Outcome, Refusal};
use crate::values::{Cx, Value};

/// A picture in `Nhwc`. A signal of one spatial axis is a picture of one row.
pub(crate) struct Picture {
    pub(crate) id: TensorId,
    /// Spatial axes in the file: 1 or 2.
    pub(crate) dims: usize,
    /// Rows and columns.
    pub(crate) size: [usize; 2],
    pub(crate) channels: usize,
}

impl Cx<'_, '_> {
    /// Takes a value of shape `[n, c, h, w]` or `[n, c, l]` to `Nhwc`.
    pub(crate) fn picture(&mut self, value: &Value) -> Outcome<Picture> {
        let shape = self.shape_of(value);
        let x = self.real(value)?;
        let name = format!("{}/nhwc", self.name);
        if let [n, _, ..] = shape[..]
            && n != 1
        {
            return Err(Refusal::unsupported(format!(
                "its input has shape {shape:?}, a batch of {n}; only a batch of 1 is supported, fix it with `--input NAME=SHAPE`"
            )));
        }
        if shape.contains(&0) {
            return Err(Refusal::malformed(format!(
                "its input has shape {shape:?}, which is empty"
            )));
        }
        match shape[..] {
            [_, c, h, w] => {
                let id = self.emit_as(
                    &name,
                    Op::Transpose {
                        order: vec![0, 2, 3, 1],
                    },
                    &[x],
                )?;
                Ok(Picture {
                    id,
                    dims: 2,
                    size: [h, w],
                    channels: c,
                })
            }
            [n, c, l] => {
                let id = self.emit_as(
                    &name,
                    Op::Transpose {
                        order: vec![0, 2, 1],
                    },
                    &[x],
                )?;
                let id = self.emit_as(
                    &name,
                    Op::Reshape {
                        shape: vec![n, 1, l, c],
                    },
                    &[id],
                )?;
                Ok(Picture {
                    id,
                    dims: 1,
                    size: [1, l],
                    channels: c,
                })
            }
            [_, _, _, _, _] => Err(Refusal::unsupported(format!(
                "its input has shape {shape:?}; three spatial axes are not supported"
            ))),
            _ => Err(Refusal::malformed(format!(
                "its input has shape {shape:?}, not batch, channels and one or two spatial axes"
            ))),
        }
    }

    /// Takes the result of an operator on a picture back to the file's layout.
    pub(crate) fn file_layout(&mut self, id: TensorId, dims: usize) -> Outcome<Value> {
        let name = format!("{}/nchw", self.name);
        let id = if dims == 2 {
            self.emit_as(
                &name,
                Op::Transpose {
                    order: vec![0, 3, 1, 2],
                },
                &[id],
            )?
        } else {
            let shape = &self.importer.graph.tensor(id).shape;
            let [n, 1, l, c] = shape[..] else {
                return Err(Refusal::malformed(format!(
                    "the result of a signal has shape {shape:?}"
                )));
            };
            let id = self.emit_as(
                &name,
                Op::Reshape {
                    shape: vec![n, l, c],
                },
                &[id],
            )?;
            self.emit_as(
                &name,
                Op::Transpose {
                    order: vec![0, 2, 1],
                },
                &[id],
            )?
        };
        Ok(self.live(id))
    }
}

/// How a node pads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    Explicit,
    SameUpper,
    SameLower,
    Valid,
}

/// The window of a convolution or pool as the file describes it: lists over the spatial axes.
pub(crate) struct WindowAttributes {
    pub(crate) kernel: Vec<usize>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
    pub(crate) padding: Padding,
}

impl WindowAttributes {
    /// Reads `strides`, `dilations`, `pads`, `auto_pad`; `kernel` has one size a spatial axis.
    pub(crate) fn read(cx: &Cx<'_, '_>, kernel: Vec<usize>) -> Outcome<Self> {
        let attributes = cx.attributes();
        let dims = kernel.len();
        let stride = attributes.spatial("strides", dims, 1, 1)?;
        let dilation = attributes.spatial("dilations", dims, 1, 1)?;
        let padding = match attributes.text("auto_pad")?.unwrap_or("NOTSET") {
            "" | "NOTSET" => Padding::Explicit,
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            "VALID" => Padding::Valid,
            other => {
                return Err(Refusal::malformed(format!(
                    "attribute `auto_pad` holds `{other}`"
                )));
            }
        };
        for &size in &kernel {
            small("kernel_shape", i64::try_from(size).unwrap_or(i64::MAX), 1)?;
        }
        let (mut before, mut after) = (vec![0; dims], vec![0; dims]);
        if let (Padding::Explicit, Some(pads)) = (padding, attributes.ints("pads")?) {
            if pads.len() != 2 * dims {
                return Err(Refusal::malformed(format!(
                    "attribute `pads` has {} values for {dims} spatial axes",
                    pads.len()
                )));
            }
            for (axis, &pad) in pads.iter().enumerate() {
                if (-(1 << 20)..0).contains(&pad) {
                    return Err(Refusal::unsupported(format!(
                        "the padding {pad} is negative; use a Slice"
                    )));
                }
                let list = if axis < dims { &mut before } else { &mut after };
                list[axis % dims] = small("pads", pad, 0)?;
            }
        }
        Ok(WindowAttributes {
            kernel,
            stride,
            dilation,
            before,
            after,
            padding,
        })
    }

    /// Input elements that the kernel spans on an axis.
    pub(crate) fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    pub(crate) fn stride(&self, axis: usize) -> usize {
        self.stride[axis]
    }

    pub(crate) fn pads(&self, axis: usize) -> (usize, usize) {
        (self.before[axis], self.after[axis])
    }

    pub(crate) fn set_pads(&mut self, axis: usize, before: usize, after: usize) {
        self.before[axis] = before;
        self.after[axis] = after;
    }

    /// Makes SAME padding explicit for an input of these spatial sizes.
    pub(crate) fn resolve_same(&mut self, size: &[usize]) {
        if !matches!(self.padding, Padding::SameUpper | Padding::SameLower) {
            return;
        }
        for (axis, &size) in size.iter().enumerate() {
            let out = size.div_ceil(self.stride[axis]);
            let covered = out.saturating_sub(1) * self.stride[axis] + self.extent(axis);
            let total = covered.saturating_sub(size);
            let (less, more) = (total / 2, total - total / 2);
            match self.padding {
                Padding::SameUpper => self.set_pads(axis, less, more),
                _ => self.set_pads(axis, more, less),
            }
        }
    }

    /// Makes the rounding up of the output size explicit as padding at the end. True where that added any.
    ///
    /// A window that would start in the padding at the end is left out.
    pub(crate) fn resolve_ceil(&mut self, size: &[usize]) -> bool {
        let mut added = false;
        for (axis, &size) in size.iter().enumerate() {
            let (stride, extent) = (self.stride[axis], self.extent(axis));
            let (before, after) = self.pads(axis);
            let Some(room) = (size + before + after).checked_sub(extent) else {
                continue;
            };
            let mut steps = room.div_ceil(stride);
            if steps * stride >= size + before {
                steps -= 1;
            }
            let needed = (steps * stride + extent).saturating_sub(size + before);
            if needed > after {
                added = true;
                self.after[axis] = needed;
            }
        }
        added
    }

    /// The graph's window; a signal gets rows of one.
    pub(crate) fn window(&self) -> Window {
        Window {
            stride: two(&self.stride, 1),
            dilation: two(&self.dilation, 1),
            pad_before: two(&self.before, 0),
            pad_after: two(&self.after, 0),
        }
    }

    /// Rows and columns of the kernel.
    pub(crate) fn kernel(&self) -> [usize; 2] {
        two(&self.kernel, 1)
    }
}

/// A list over one or two spatial axes as (rows, columns).
pub(crate) fn two(values: &[usize], missing: usize) -> [usize; 2] {
    match *values {
        [rows, columns] => [rows, columns],
        [columns] => [missing, columns],
        _ => [missing; 2],
    }
}
