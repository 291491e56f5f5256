//! What the model is for: how a picture becomes the input, and how outputs become answers.

use serde::{Deserialize, Serialize};

use crate::{FormatError, take_record};

/// How a picture of another size becomes the input's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fit {
    /// Each axis scaled by itself.
    Stretch,
    /// Scaled as a whole, centred, the rest filled with [`Fit::GREY`].
    Letterbox,
    /// Scaled as a whole, the rest filled.
    Padded {
        /// The picture is at the top left; else centred.
        is_at_corner: bool,
        /// Value of all channels of the rest.
        fill: u8,
    },
    /// The middle of the picture, of the input's shape.
    Crop {
        /// Its longer side as a share of the largest such part, in thousandths: 1 to 1000, and what is outside counts as the nearest of them.
        per_mille: u16,
    },
}

impl Fit {
    /// The grey of a letterbox where nothing else is said.
    pub const GREY: u8 = 114;
}

/// Channels of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel.
    Gray,
}

/// How a picture becomes the input: `normalized = (pixel - mean) / std`, pixels `0..=255`, in the order of `colour`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// How sizes are made equal.
    pub fit: Fit,
    /// Which channels in which order.
    pub colour: Colour,
    /// Subtracted from each channel.
    pub mean: [f32; 3],
    /// Divides each channel; not zero.
    pub std: [f32; 3],
}

/// How outputs become answers. Outputs are named by their position among the model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Task {
    /// Nothing is known of the outputs.
    None,
    /// The best of output 0.
    Classify {
        /// How many.
        top_k: u8,
        /// Output 0 are logits: their softmax is the score.
        softmax: bool,
    },
    /// CenterFace: heat map, size, offset and landmarks on a grid.
    CenterFace {
        /// Pixels of the input from one cell to the next.
        stride: u8,
        /// Smallest score of a face.
        score_threshold: f32,
        /// Overlap from which the weaker of two faces is dropped.
        nms_iou: f32,
        /// Output with the scores, `[h, w, 1]`.
        heat: u8,
        /// Output with log sizes in cells, `[h, w, 2]`: height, width.
        size: u8,
        /// Output with offsets in cells, `[h, w, 2]`: row, column.
        offset: u8,
        /// Output with five landmarks, `[h, w, 10]`.
        landmarks: u8,
    },
}

/// The task section.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord<'m> {
    /// How a picture becomes input 0; `None` where inputs are not pictures.
    pub preprocess: Option<Preprocess>,
    /// How outputs become answers.
    pub task: Task,
    /// Names of classes, one a line; empty where there are none.
    pub labels: &'m str,
}

impl<'m> TaskRecord<'m> {
    /// Reads the section. Bytes behind are those of a later minor version, and ignored.
    pub(crate) fn decode(section: &'m [u8]) -> Result<Self, FormatError> {
        let mut rest = section;
        take_record(&mut rest).ok_or(FormatError::Task)
    }

    /// The name of a class.
    pub fn label(&self, class: usize) -> Option<&'m str> {
        // Not `lines`: its code can panic as far as the compiler sees.
        let mut start = 0_usize;
        for (index, line) in self
            .labels
            .as_bytes()
            .split(|&byte| byte == b'\n')
            .enumerate()
        {
            let end = start + line.len();
            if index == class {
                return self
                    .labels
                    .get(start..end)
                    .filter(|label| !label.is_empty());
            }
            start = end + 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lines() {
        let record = TaskRecord {
            preprocess: None,
            task: Task::None,
            labels: "cat\nhérisson\ndog",
        };
        assert_eq!(
            [0, 1, 2, 3].map(|class| record.label(class)),
            [Some("cat"), Some("hérisson"), Some("dog"), None]
        );
        assert_eq!(
            TaskRecord {
                labels: "",
                ..record
            }
            .label(0),
            None
        );
    }
}
