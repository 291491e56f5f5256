//! What users hand in, as a model's inputs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ocellus_data::{Array, Picture, read_npy};
use ocellus_format::{Preprocess, QParams};
use ocellus_image::{FrameError, Geometry, InputSize, into_f32, into_s8};

use crate::layout::{from_nhwc, transpose};
use crate::source::picture_axes;

/// An input of a model in its user's terms.
#[derive(Clone, Debug)]
pub(crate) struct Border {
    pub(crate) name: String,
    /// In the source's order of axes.
    pub(crate) shape: Vec<usize>,
    /// Axis `i` of the graph's tensor is the source's axis `order[i]`.
    pub(crate) order: Vec<usize>,
}

/// One value for a model's input.
pub(crate) enum Given {
    Picture(Box<Picture>),
    Array { path: PathBuf, array: Array },
}

impl Given {
    pub(crate) fn open(path: &Path) -> Result<Given> {
        if path.extension().is_some_and(|extension| extension == "npy") {
            return Ok(Given::Array {
                path: path.to_owned(),
                array: read_npy(path)?,
            });
        }
        Ok(Given::Picture(Box::new(Picture::open(path)?)))
    }

    pub(crate) fn picture(&self) -> Option<&Picture> {
        match self {
            Given::Picture(picture) => Some(picture),
            Given::Array { .. } => None,
        }
    }

    /// As real numbers in the source's order of axes, and where a picture lies in them.
    pub(crate) fn in_file_order(
        &self,
        border: &Border,
        preprocess: &Preprocess,
    ) -> Result<(Vec<f32>, Option<Geometry>)> {
        match self {
            Given::Array { path, array } => {
                if !same_axes(&array.shape, &border.shape) {
                    bail!(
                        "{}: the array has shape {:?} and input `{}` needs {:?}; save it in that shape",
                        path.display(),
                        array.shape,
                        border.name,
                        border.shape
                    );
                }
                Ok((array.values.to_f32(), None))
            }
            Given::Picture(picture) => {
                let axes = picture_axes(&border.name, &border.shape)?;
                let size = InputSize {
                    height_px: axes.height as u32,
                    width_px: axes.width as u32,
                    channels: axes.channels as u32,
                };
                let mut pixels = vec![0.0; axes.height * axes.width * axes.channels];
                let geometry = into_f32(&picture.frame(), preprocess, size, &mut pixels)
                    .map_err(|e| anyhow::anyhow!("input `{}`: {}", border.name, frame_fault(e)))?;
                Ok((from_nhwc(axes, pixels), Some(geometry)))
            }
        }
    }

    /// As real numbers in the graph's order of axes.
    fn in_graph_order(
        &self,
        border: &Border,
        preprocess: &Preprocess,
    ) -> Result<(Vec<f32>, Option<Geometry>)> {
        let (values, geometry) = self.in_file_order(border, preprocess)?;
        Ok((transpose(&border.shape, &values, &border.order), geometry))
    }

    /// As a device makes its input: pictures through the device's integer path, arrays by rule 1.
    pub(crate) fn quantized(
        &self,
        border: &Border,
        preprocess: &Preprocess,
        q: QParams,
        quantize: impl Fn(&[f32]) -> Vec<i8>,
    ) -> Result<(Vec<i8>, Option<Geometry>)> {
        if let Given::Picture(picture) = self {
            let axes = picture_axes(&border.name, &border.shape)?;
            let size = InputSize {
                height_px: axes.height as u32,
                width_px: axes.width as u32,
                channels: axes.channels as u32,
            };
            let mut pixels = vec![0; axes.height * axes.width * axes.channels];
            let geometry = into_s8(&picture.frame(), preprocess, q, size, &mut pixels)
                .map_err(|e| anyhow::anyhow!("input `{}`: {}", border.name, frame_fault(e)))?;
            let in_file_order = from_nhwc(axes, pixels);
            return Ok((
                transpose(&border.shape, &in_file_order, &border.order),
                Some(geometry),
            ));
        }
        let (values, geometry) = self.in_graph_order(border, preprocess)?;
        Ok((quantize(&values), geometry))
    }
}

/// The same axes, but for those of size 1; or a list of as many values, row-major.
pub(crate) fn same_axes(given: &[usize], wanted: &[usize]) -> bool {
    let axes = |shape: &[usize]| {
        let long = shape.iter().copied().filter(|&size| size != 1);
        long.collect::<Vec<_>>()
    };
    axes(given) == axes(wanted) || *given == [wanted.iter().product::<usize>()]
}

fn frame_fault(error: FrameError) -> &'static str {
    match error {
        FrameError::Size => "the picture has a side of 0 or above 16,384 pixels; use a smaller one",
        FrameError::TooShort { .. } => "the picture has fewer pixels than its sizes say",
        _ => "the model's input is no picture with 1 or 3 channels; give a .npy file",
    }
}

/// Sorts `INPUT`s of the command line to the model's inputs: `NAME=file`, or one file for the only input.
pub(crate) fn assign(borders: &[Border], inputs: &[String]) -> Result<Vec<Given>> {
    let names = || {
        borders
            .iter()
            .map(|border| border.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut given: Vec<Option<Given>> = borders.iter().map(|_| None).collect();
    for input in inputs {
        let named = input
            .split_once('=')
            .and_then(|(name, path)| Some((borders.iter().position(|b| b.name == name)?, path)));
        let (position, path) = match named {
            Some((position, path)) => (position, PathBuf::from(path)),
            None if borders.len() == 1 => (0, PathBuf::from(input)),
            None => bail!(
                "the model has several inputs ({}); give each as NAME=file.npy",
                names()
            ),
        };
        if given[position].is_some() {
            bail!("input `{}` is given twice", borders[position].name);
        }
        given[position] = Some(Given::open(&path)?);
    }
    given
        .into_iter()
        .zip(borders)
        .map(|(given, border)| {
            given.with_context(|| {
                format!(
                    "input `{}` is missing; the inputs are {}",
                    border.name,
                    names()
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_size_1_may_be_left_out_and_others_not_exchanged() {
        let wanted = [1, 3, 8, 8];
        for good in [&[1, 3, 8, 8][..], &[3, 8, 8], &[192]] {
            assert!(same_axes(good, &wanted), "{good:?}");
        }
        for bad in [&[1, 8, 8, 3][..], &[3, 64], &[191], &[2, 3, 8, 8], &[]] {
            assert!(!same_axes(bad, &wanted), "{bad:?}");
        }
        assert!(same_axes(&[640], &[1, 640]) && same_axes(&[], &[1]));
    }
}
