//! Pools over windows of pictures.

use rayon::prelude::*;

use super::View;
use super::convolution::source;
use crate::Window;

/// Calls `pixel(out, taps)` for every output pixel, where `taps` are the input pixels (channel slices) that are not padding.
fn for_each_pixel(
    x: View<'_>,
    kernel: [usize; 2],
    window: &Window,
    shape: &[usize],
    out: &mut [f32],
    pixel: impl Fn(&mut [f32], &[&[f32]]) + Sync,
) {
    let [h, w, c] = [x.shape[1], x.shape[2], x.shape[3]];
    let [oh, ow] = [shape[1], shape[2]];
    out.par_chunks_mut(ow * c)
        .enumerate()
        .for_each_init(Vec::new, |taps, (row, out)| {
            let (n, oy) = (row / oh, row % oh);
            for (ox, out) in out.chunks_exact_mut(c).enumerate() {
                taps.clear();
                for iy in (0..kernel[0]).filter_map(|ky| source(oy, ky, 0, window, h)) {
                    for ix in (0..kernel[1]).filter_map(|kx| source(ox, kx, 1, window, w)) {
                        let start = ((n * h + iy) * w + ix) * c;
                        taps.push(&x.data[start..start + c]);
                    }
                }
                pixel(out, taps);
            }
        });
}

pub(super) fn max_pool_2d(
    x: View<'_>,
    kernel: [usize; 2],
    window: &Window,
    shape: &[usize],
    out: &mut [f32],
) {
    for_each_pixel(x, kernel, window, shape, out, |out, taps| {
        // A window of padding alone gives the lowest number, as in ONNX.
        out.fill(f32::MIN);
        for tap in taps {
            out.iter_mut()
                .zip(*tap)
                .for_each(|(out, x)| *out = out.max(*x));
        }
    });
}

pub(super) fn average_pool_2d(
    x: View<'_>,
    kernel: [usize; 2],
    window: &Window,
    include_pad: bool,
    shape: &[usize],
    out: &mut [f32],
) {
    for_each_pixel(x, kernel, window, shape, out, |out, taps| {
        out.fill(0.0);
        for tap in taps {
            out.iter_mut().zip(*tap).for_each(|(out, x)| *out += x);
        }
        let count = if include_pad {
            kernel[0] * kernel[1]
        } else {
            taps.len().max(1)
        };
        out.iter_mut().for_each(|out| *out /= count as f32);
    });
}

#[cfg(test)]
mod tests {
    use super::super::{View, eval};
    use crate::{Op, Window};

    const PADDED: Window = Window {
        stride: [2, 2],
        dilation: [1, 1],
        pad_before: [1, 1],
        pad_after: [0, 0],
    };

    #[test]
    fn pools_treat_padding_as_absent_or_as_zero() {
        let x: Vec<f32> = (1..=9).map(|v| -(v as f32)).collect();
        let view = [View {
            shape: &[1, 3, 3, 1],
            data: &x,
        }];
        let max = eval(
            &Op::MaxPool2d {
                kernel: [2, 2],
                window: PADDED,
            },
            None,
            &view,
        )
        .unwrap();
        assert_eq!(max, [-1.0, -2.0, -4.0, -5.0]);
        let mean = |count_include_pad| {
            eval(
                &Op::AveragePool2d {
                    kernel: [2, 2],
                    window: PADDED,
                    count_include_pad,
                },
                None,
                &view,
            )
        };
        assert_eq!(mean(false).unwrap(), [-1.0, -2.5, -5.5, -7.0]);
        assert_eq!(mean(true).unwrap(), [-0.25, -1.25, -2.75, -7.0]);
    }

    #[test]
    fn pools_keep_channels_and_batches_apart() {
        let x: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let op = Op::MaxPool2d {
            kernel: [2, 1],
            window: Window::UNIT,
        };
        let out = eval(
            &op,
            Some((5.0, 14.0)),
            &[View {
                shape: &[2, 2, 2, 2],
                data: &x,
            }],
        )
        .unwrap();
        assert_eq!(out, [5.0, 5.0, 6.0, 7.0, 12.0, 13.0, 14.0, 14.0]);
    }
}
