//! Convolutions and fully connected layers as matrix products.
//!
//! An output pixel is a row of the product: its inputs are gathered into an im2col row (a 1x1 convolution of stride 1 reads them in place),
//! and all output channels follow from one pass over the weights. Depthwise has one product a tap and channel, so it runs directly.

use rayon::prelude::*;

use super::View;
use super::gemm::{Strided, dot, sgemm};
use crate::Window;

/// Output pixels that one work item computes: enough to pay for packing the weights, few enough for all threads to have some.
fn tile(pixels: usize) -> usize {
    pixels
        .div_ceil(4 * rayon::current_num_threads().max(1))
        .clamp(32, 512)
}

fn fill_bias(out: &mut [f32], bias: Option<&[f32]>) {
    if let Some(bias) = bias {
        out.chunks_exact_mut(bias.len())
            .for_each(|pixel| pixel.copy_from_slice(bias));
    }
}

/// The input index of a tap, where it is not padding.
pub(super) fn source(
    output: usize,
    tap: usize,
    axis: usize,
    window: &Window,
    size: usize,
) -> Option<usize> {
    (output * window.stride[axis] + tap * window.dilation[axis])
        .checked_sub(window.pad_before[axis])
        .filter(|&i| i < size)
}

/// Splits a pixel's number into batch, row and column.
fn position(pixel: usize, [oh, ow]: [usize; 2]) -> [usize; 3] {
    [pixel / (oh * ow), pixel / ow % oh, pixel % ow]
}

pub(super) fn conv_2d(
    x: View<'_>,
    w: View<'_>,
    bias: Option<&[f32]>,
    window: &Window,
    groups: usize,
    shape: &[usize],
    out: &mut [f32],
) {
    let [h, width, ic] = [x.shape[1], x.shape[2], x.shape[3]];
    let [oc, kh, kw, icg] = [w.shape[0], w.shape[1], w.shape[2], w.shape[3]];
    let size = [shape[1], shape[2]];
    let ocg = oc / groups;
    let tile = tile(shape[0] * size[0] * size[1]);
    if icg == 1 && groups > 1 {
        return depthwise(x, w, bias, window, size, tile, out);
    }
    let k = kh * kw * icg;
    let pointwise = kh == 1 && kw == 1 && window.stride == [1, 1] && window.is_unpadded();
    out.par_chunks_mut(tile * oc).enumerate().for_each_init(
        Vec::new,
        |im2col: &mut Vec<f32>, (item, out)| {
            fill_bias(out, bias);
            let pixels = out.len() / oc;
            let beta = if bias.is_some() { 1.0 } else { 0.0 };
            for group in 0..groups {
                let lhs = if pointwise {
                    Strided {
                        data: &x.data[item * tile * ic + group * icg..],
                        row: ic,
                        column: 1,
                    }
                } else {
                    im2col.clear();
                    for pixel in item * tile..item * tile + pixels {
                        let [n, oy, ox] = position(pixel, size);
                        for ky in 0..kh {
                            let iy = source(oy, ky, 0, window, h);
                            for kx in 0..kw {
                                match iy.zip(source(ox, kx, 1, window, width)) {
                                    Some((iy, ix)) => {
                                        let start = ((n * h + iy) * width + ix) * ic + group * icg;
                                        im2col.extend_from_slice(&x.data[start..start + icg]);
                                    }
                                    None => im2col.resize(im2col.len() + icg, 0.0),
                                }
                            }
                        }
                    }
                    Strided {
                        data: im2col,
                        row: k,
                        column: 1,
                    }
                };
                let rhs = Strided {
                    data: &w.data[group * ocg * k..(group + 1) * ocg * k],
                    row: 1,
                    column: k,
                };
                sgemm(
                    [pixels, k, ocg],
                    lhs,
                    rhs,
                    beta,
                    &mut out[group * ocg..],
                    oc,
                );
            }
        },
    );
}

fn depthwise(
    x: View<'_>,
    w: View<'_>,
    bias: Option<&[f32]>,
    window: &Window,
    size: [usize; 2],
    tile: usize,
    out: &mut [f32],
) {
    let [h, width, ic] = [x.shape[1], x.shape[2], x.shape[3]];
    let [oc, kh, kw] = [w.shape[0], w.shape[1], w.shape[2]];
    let multiplier = oc / ic;
    let mut taps = vec![0.0; w.data.len()];
    for (channel, kernel) in w.data.chunks_exact(kh * kw).enumerate() {
        for (tap, &value) in kernel.iter().enumerate() {
            taps[tap * oc + channel] = value;
        }
    }
    out.par_chunks_mut(tile * oc)
        .enumerate()
        .for_each(|(item, out)| {
            fill_bias(out, bias);
            for (i, out) in out.chunks_exact_mut(oc).enumerate() {
                let [n, oy, ox] = position(item * tile + i, size);
                for ky in 0..kh {
                    let Some(iy) = source(oy, ky, 0, window, h) else {
                        continue;
                    };
                    for kx in 0..kw {
                        let Some(ix) = source(ox, kx, 1, window, width) else {
                            continue;
                        };
                        let start = ((n * h + iy) * width + ix) * ic;
                        let x = &x.data[start..start + ic];
                        let w = &taps[(ky * kw + kx) * oc..][..oc];
                        if multiplier == 1 {
                            for (out, (x, w)) in out.iter_mut().zip(x.iter().zip(w)) {
                                *out += x * w;
                            }
                        } else {
                            for ((out, w), &x) in out
                                .chunks_exact_mut(multiplier)
                                .zip(w.chunks_exact(multiplier))
                                .zip(x)
                            {
                                out.iter_mut().zip(w).for_each(|(out, w)| *out += x * w);
                            }
                        }
                    }
                }
            }
        });
}

/// Each output row collects the input rows that reach it, one matrix product a tap.
pub(super) fn transpose_conv_2d(
    x: View<'_>,
    w: View<'_>,
    bias: Option<&[f32]>,
    window: &Window,
    groups: usize,
    shape: &[usize],
    out: &mut [f32],
) {
    let [h, width, ic] = [x.shape[1], x.shape[2], x.shape[3]];
    let [oc, kh, kw, icg] = [w.shape[0], w.shape[1], w.shape[2], w.shape[3]];
    let [oh, ow] = [shape[1], shape[2]];
    let ocg = oc / groups;
    out.par_chunks_mut(ow * oc).enumerate().for_each_init(
        || vec![0.0; width * ocg],
        |product, (row, out)| {
            fill_bias(out, bias);
            let (n, oy) = (row / oh, row % oh);
            for ky in 0..kh {
                let Some(at) = (oy + window.pad_before[0]).checked_sub(ky * window.dilation[0])
                else {
                    continue;
                };
                let iy = at / window.stride[0];
                if !at.is_multiple_of(window.stride[0]) || iy >= h {
                    continue;
                }
                for group in 0..groups {
                    let lhs = Strided {
                        data: &x.data[(n * h + iy) * width * ic + group * icg..],
                        row: ic,
                        column: 1,
                    };
                    for kx in 0..kw {
                        let start = (group * ocg * kh * kw + ky * kw + kx) * icg;
                        let rhs = Strided {
                            data: &w.data[start..],
                            row: 1,
                            column: kh * kw * icg,
                        };
                        sgemm([width, icg, ocg], lhs, rhs, 0.0, product, ocg);
                        for (ix, product) in product.chunks_exact(ocg).enumerate() {
                            let at = (ix * window.stride[1] + kx * window.dilation[1])
                                .checked_sub(window.pad_before[1]);
                            if let Some(ox) = at.filter(|&ox| ox < ow) {
                                let out = &mut out[ox * oc + group * ocg..][..ocg];
                                out.iter_mut().zip(product).for_each(|(out, p)| *out += p);
                            }
                        }
                    }
                }
            }
        },
    );
}

pub(super) fn fully_connected(x: View<'_>, w: View<'_>, bias: Option<&[f32]>, out: &mut [f32]) {
    let [oc, k] = [w.shape[0], w.shape[1]];
    fill_bias(out, bias);
    if k == 0 {
        return;
    }
    let rows = out.len() / oc;
    if rows >= 8 {
        let tile = tile(rows);
        out.par_chunks_mut(tile * oc)
            .enumerate()
            .for_each(|(item, out)| {
                let rows = out.len() / oc;
                let lhs = Strided {
                    data: &x.data[item * tile * k..],
                    row: k,
                    column: 1,
                };
                sgemm(
                    [rows, k, oc],
                    lhs,
                    Strided {
                        data: w.data,
                        row: 1,
                        column: k,
                    },
                    1.0,
                    out,
                    oc,
                );
            });
    } else {
        for (x, out) in x.data.chunks_exact(k).zip(out.chunks_exact_mut(oc)) {
            let few = (1 << 14) / k + 1;
            out.par_chunks_mut(few)
                .zip(w.data.par_chunks(few * k))
                .for_each(|(out, w)| {
                    out.iter_mut()
                        .zip(w.chunks_exact(k))
                        .for_each(|(out, w)| *out += dot(x, w));
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, eval};
    use crate::random::Random;
    use crate::{Op, Window};

    struct Case {
        x: [usize; 4],
        w: [usize; 4],
        groups: usize,
        window: Window,
    }

    fn cases() -> Vec<Case> {
        let window = |stride, dilation, pad_before, pad_after| Window {
            stride,
            dilation,
            pad_before,
            pad_after,
        };
        vec![
            Case {
                x: [1, 5, 7, 3],
                w: [4, 3, 3, 3],
                groups: 1,
                window: window([1, 1], [1, 1], [1, 1], [1, 1]),
            },
            Case {
                x: [2, 9, 8, 4],
                w: [6, 3, 2, 2],
                groups: 2,
                window: window([2, 3], [2, 1], [0, 2], [3, 1]),
            },
            Case {
                x: [1, 6, 6, 8],
                w: [5, 1, 1, 8],
                groups: 1,
                window: window([1, 1], [1, 1], [0, 0], [0, 0]),
            },
            Case {
                x: [1, 40, 33, 8],
                w: [12, 1, 1, 4],
                groups: 2,
                window: window([1, 1], [1, 1], [0, 0], [0, 0]),
            },
            Case {
                x: [1, 6, 5, 4],
                w: [4, 3, 3, 1],
                groups: 4,
                window: window([2, 1], [1, 1], [1, 1], [1, 1]),
            },
            Case {
                x: [1, 6, 5, 3],
                w: [6, 3, 3, 1],
                groups: 3,
                window: window([1, 1], [1, 2], [1, 2], [1, 2]),
            },
            Case {
                x: [1, 3, 3, 2],
                w: [3, 1, 1, 2],
                groups: 1,
                window: window([2, 2], [1, 1], [0, 0], [0, 0]),
            },
        ]
    }

    /// The definition, tap by tap, in `f64`.
    fn conv(case: &Case, x: &[f32], w: &[f32], bias: &[f32], shape: &[usize]) -> Vec<f32> {
        let ([_, h, width, ic], [oc, kh, kw, icg]) = (case.x, case.w);
        let mut out = Vec::new();
        for n in 0..shape[0] {
            for oy in 0..shape[1] {
                for ox in 0..shape[2] {
                    for o in 0..oc {
                        let mut acc = f64::from(bias[o]);
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let window = &case.window;
                                let iy = (oy * window.stride[0] + ky * window.dilation[0]) as isize
                                    - window.pad_before[0] as isize;
                                let ix = (ox * window.stride[1] + kx * window.dilation[1]) as isize
                                    - window.pad_before[1] as isize;
                                if iy < 0 || ix < 0 || iy >= h as isize || ix >= width as isize {
                                    continue;
                                }
                                for i in 0..icg {
                                    let c = o / (oc / case.groups) * icg + i;
                                    let xi = ((n * h + iy as usize) * width + ix as usize) * ic + c;
                                    acc += f64::from(x[xi])
                                        * f64::from(w[((o * kh + ky) * kw + kx) * icg + i]);
                                }
                            }
                        }
                        out.push(acc as f32);
                    }
                }
            }
        }
        out
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() <= 1e-4 * b.abs().max(1.0),
                "element {i}: {a} is not {b}"
            );
        }
    }

    #[test]
    fn convolution_matches_its_definition() {
        for (seed, case) in cases().into_iter().enumerate() {
            let mut random = Random::new(seed as u64);
            let [x, w] = [case.x, case.w].map(|shape| random.values(shape.iter().product()));
            let bias = random.values(case.w[0]);
            let op = Op::Conv2d {
                window: case.window,
                groups: case.groups,
            };
            let shape = op.output_shape(&[&case.x, &case.w]).unwrap();
            let views = [
                View {
                    shape: &case.x,
                    data: &x,
                },
                View {
                    shape: &case.w,
                    data: &w,
                },
                View {
                    shape: &[bias.len()],
                    data: &bias,
                },
            ];
            close(
                &eval(&op, None, &views).unwrap(),
                &conv(&case, &x, &w, &bias, &shape),
            );
            let zeros = vec![0.0; bias.len()];
            close(
                &eval(&op, None, &views[..2]).unwrap(),
                &conv(&case, &x, &w, &zeros, &shape),
            );
        }
    }

    /// The transposed convolution is the adjoint of the convolution: `<conv(x), y> = <x, transpose(y)>`.
    #[test]
    fn transposed_convolution_is_the_adjoint_of_convolution() {
        for (seed, case) in cases().into_iter().enumerate() {
            let mut random = Random::new(100 + seed as u64);
            let conv = Op::Conv2d {
                window: case.window,
                groups: case.groups,
            };
            let shape = conv.output_shape(&[&case.x, &case.w]).unwrap();
            let [x, w] = [case.x, case.w].map(|shape| random.values(shape.iter().product()));
            let y = random.values(shape.iter().product());
            let [oc, kh, kw, icg] = case.w;
            let (ocg, ic) = (oc / case.groups, case.x[3]);
            let mut swapped = vec![0.0; w.len()];
            for o in 0..oc {
                for tap in 0..kh * kw {
                    for i in 0..icg {
                        let group = o / ocg;
                        swapped[((group * icg + i) * kh * kw + tap) * ocg + o % ocg] =
                            w[(o * kh * kw + tap) * icg + i];
                    }
                }
            }
            let plain = Op::TransposeConv2d {
                window: case.window,
                output_padding: [0, 0],
                groups: case.groups,
            };
            let w_shape = [ic, kh, kw, ocg];
            let got = plain.output_shape(&[&shape, &w_shape]).unwrap();
            let output_padding = [case.x[1] - got[1], case.x[2] - got[2]];
            let op = Op::TransposeConv2d {
                window: case.window,
                output_padding,
                groups: case.groups,
            };
            let back = eval(
                &op,
                None,
                &[
                    View {
                        shape: &shape,
                        data: &y,
                    },
                    View {
                        shape: &w_shape,
                        data: &swapped,
                    },
                ],
            )
            .unwrap();
            let there = eval(
                &conv,
                None,
                &[
                    View {
                        shape: &case.x,
                        data: &x,
                    },
                    View {
                        shape: &case.w,
                        data: &w,
                    },
                ],
            )
            .unwrap();
            let product = |a: &[f32], b: &[f32]| {
                a.iter()
                    .zip(b)
                    .map(|(a, b)| f64::from(*a) * f64::from(*b))
                    .sum::<f64>()
            };
            assert!(
                (product(&there, &y) - product(&x, &back)).abs() < 1e-3,
                "case {seed}"
            );
        }
    }

    #[test]
    fn fully_connected_matches_its_definition_for_few_and_many_rows() {
        for rows in [1, 3, 50] {
            let mut random = Random::new(rows as u64);
            let [x, w, bias] = [rows * 11, 7 * 11, 7].map(|len| random.values(len));
            let views = [
                View {
                    shape: &[1, rows, 11],
                    data: &x,
                },
                View {
                    shape: &[7, 11],
                    data: &w,
                },
                View {
                    shape: &[7],
                    data: &bias,
                },
            ];
            let out = eval(&Op::FullyConnected, Some((-0.5, f32::INFINITY)), &views).unwrap();
            let expected = x.chunks(11).flat_map(|x| {
                let row = w
                    .chunks(11)
                    .zip(&bias)
                    .map(|(w, bias)| bias + x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>());
                row.map(|y| y.max(-0.5)).collect::<Vec<_>>()
            });
            close(&out, &expected.collect::<Vec<_>>());
        }
    }
}
