//! Nearest and bilinear resizing. Which pixels an output reads is decided by the public functions here, for every reader of the graph.

use rayon::prelude::*;

use super::View;
use crate::{CoordinateMode, NearestMode, ResizeMode};

/// Where output index `index` lies in the input, in `f32` as the runtimes compute it; not yet limited to the picture.
pub fn source_coordinate(
    mode: CoordinateMode,
    index: usize,
    scale: f32,
    input: usize,
    output: usize,
) -> f32 {
    let i = index as f32;
    match mode {
        CoordinateMode::HalfPixel => (i + 0.5) / scale - 0.5,
        CoordinateMode::PytorchHalfPixel if output > 1 => (i + 0.5) / scale - 0.5,
        CoordinateMode::AlignCorners if output > 1 => {
            i * (input.saturating_sub(1)) as f32 / (output - 1) as f32
        }
        CoordinateMode::PytorchHalfPixel | CoordinateMode::AlignCorners => 0.0,
        CoordinateMode::Asymmetric => i / scale,
    }
}

/// The pixel that a nearest-neighbour resize copies; `input` is at least 1.
pub fn nearest_index(mode: NearestMode, coordinate: f32, input: usize) -> usize {
    let rounded = match mode {
        NearestMode::RoundPreferFloor => (coordinate - 0.5).ceil(),
        NearestMode::RoundPreferCeil => (coordinate + 0.5).floor(),
        NearestMode::Floor => coordinate.floor(),
        NearestMode::Ceil => coordinate.ceil(),
    };
    // `as` saturates below at 0.
    (rounded as usize).min(input.saturating_sub(1))
}

/// The two pixels that a linear resize mixes, and the weight of the second; `input` is at least 1.
pub fn linear_taps(coordinate: f32, input: usize) -> (usize, usize, f32) {
    let last = input.saturating_sub(1);
    let coordinate = coordinate.clamp(0.0, last as f32);
    let low = (coordinate as usize).min(last);
    (low, (low + 1).min(last), coordinate - low as f32)
}

pub(super) fn resize(
    x: View<'_>,
    mode: ResizeMode,
    coordinates: CoordinateMode,
    scale: [f32; 2],
    shape: &[usize],
    out: &mut [f32],
) {
    let [h, w, c] = [x.shape[1], x.shape[2], x.shape[3]];
    let [oh, ow] = [shape[1], shape[2]];
    let taps = |axis: usize, input: usize, output: usize| -> Vec<(usize, usize, f32)> {
        let coordinate = |i| source_coordinate(coordinates, i, scale[axis], input, output);
        (0..output)
            .map(|i| match mode {
                ResizeMode::Nearest(nearest) => {
                    (nearest_index(nearest, coordinate(i), input), 0, 0.0)
                }
                ResizeMode::Linear => linear_taps(coordinate(i), input),
            })
            .collect()
    };
    let (rows, columns) = (taps(0, h, oh), taps(1, w, ow));
    out.par_chunks_mut(ow * c)
        .enumerate()
        .for_each(|(row, out)| {
            let (y0, y1, fy) = rows[row % oh];
            let pixel =
                |y: usize, x_index: usize| &x.data[((row / oh * h + y) * w + x_index) * c..][..c];
            for (out, &(x0, x1, fx)) in out.chunks_exact_mut(c).zip(&columns) {
                if mode != ResizeMode::Linear {
                    out.copy_from_slice(pixel(y0, x0));
                    continue;
                }
                let (top, bottom) = (
                    [pixel(y0, x0), pixel(y0, x1)],
                    [pixel(y1, x0), pixel(y1, x1)],
                );
                for (i, out) in out.iter_mut().enumerate() {
                    let top = top[0][i] * (1.0 - fx) + top[1][i] * fx;
                    let bottom = bottom[0][i] * (1.0 - fx) + bottom[1][i] * fx;
                    *out = top * (1.0 - fy) + bottom * fy;
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::super::{View, eval};
    use crate::{CoordinateMode, NearestMode, Op, ResizeMode};

    fn row(mode: ResizeMode, coordinates: CoordinateMode, x: &[f32], columns: usize) -> Vec<f32> {
        let scale = [1.0, columns as f32 / x.len() as f32];
        let op = Op::Resize {
            mode,
            coordinates,
            size: [1, columns],
            scale,
        };
        eval(
            &op,
            None,
            &[View {
                shape: &[1, 1, x.len(), 1],
                data: x,
            }],
        )
        .unwrap()
    }

    // Expected rows: the examples of the ONNX specification's Resize operator (one row of each).
    #[test]
    fn linear_follows_each_coordinate_rule() {
        let x = [1.0, 2.0];
        assert_eq!(
            row(ResizeMode::Linear, CoordinateMode::HalfPixel, &x, 4),
            [1.0, 1.25, 1.75, 2.0]
        );
        assert_eq!(
            row(ResizeMode::Linear, CoordinateMode::Asymmetric, &x, 4),
            [1.0, 1.5, 2.0, 2.0]
        );
        let aligned = row(ResizeMode::Linear, CoordinateMode::AlignCorners, &x, 4);
        assert!(
            aligned
                .iter()
                .zip([1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0])
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{aligned:?}"
        );
        assert_eq!(
            row(
                ResizeMode::Linear,
                CoordinateMode::HalfPixel,
                &[1.0, 2.0, 3.0, 4.0],
                2
            ),
            [1.5, 3.5]
        );
        assert_eq!(
            row(
                ResizeMode::Linear,
                CoordinateMode::PytorchHalfPixel,
                &[1.0, 2.0, 3.0, 4.0],
                1
            ),
            [1.0]
        );
        assert_eq!(
            row(
                ResizeMode::Linear,
                CoordinateMode::AlignCorners,
                &[1.0, 2.0, 3.0, 4.0],
                2
            ),
            [1.0, 4.0]
        );
    }

    #[test]
    fn nearest_follows_each_rounding_rule() {
        let x = [0.0, 1.0, 2.0, 3.0];
        let nearest =
            |mode, coordinates, columns| row(ResizeMode::Nearest(mode), coordinates, &x, columns);
        let two = |mode| nearest(mode, CoordinateMode::HalfPixel, 2);
        assert_eq!(two(NearestMode::RoundPreferFloor), [0.0, 2.0]);
        assert_eq!(two(NearestMode::RoundPreferCeil), [1.0, 3.0]);
        assert_eq!(two(NearestMode::Floor), [0.0, 2.0]);
        assert_eq!(two(NearestMode::Ceil), [1.0, 3.0]);
        let doubled = nearest(NearestMode::Floor, CoordinateMode::Asymmetric, 8);
        assert_eq!(doubled, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(
            nearest(NearestMode::RoundPreferFloor, CoordinateMode::HalfPixel, 8),
            doubled
        );
    }

    #[test]
    fn rows_and_columns_resize_apart_and_channels_stay_together() {
        let x: Vec<f32> = (0..8).map(|v| v as f32).collect();
        let op = Op::Resize {
            mode: ResizeMode::Linear,
            coordinates: CoordinateMode::Asymmetric,
            size: [4, 2],
            scale: [2.0, 1.0],
        };
        let out = eval(
            &op,
            None,
            &[View {
                shape: &[1, 2, 2, 2],
                data: &x,
            }],
        )
        .unwrap();
        assert_eq!(out[..4], x[..4]);
        assert_eq!(out[4..8], [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(out[8..12], x[4..]);
    }
}
