//! Weights and bias of a layer: one scale an output channel, chosen so that the accumulator provably holds.

use ocellus_format::{QParams, Requant};

use super::requant::{
    FactorTooLarge, Likely, USUAL_STEPS, is_fast, requant, requant_as, single_precision,
};

/// A layer in real numbers.
#[derive(Clone, Copy, Debug)]
pub struct RealLayer<'a> {
    /// `[out_c, taps]`, row-major.
    pub weights: &'a [f32],
    /// One an output channel.
    pub bias: &'a [f32],
    /// Of the input.
    pub input: QParams,
    /// Of the output.
    pub output: QParams,
    /// Integers and scales that were chosen before; a channel whose accumulator they could overflow is rounded anew.
    pub chosen: Option<ChosenWeights<'a>>,
    /// What the source file says of weights that are whole steps already: their integers stay what they are.
    pub of_file: Option<OfFile<'a>>,
}

/// The arithmetic of a layer in a model that is quantized already.
#[derive(Clone, Copy, Debug)]
pub struct OfFile<'a> {
    /// Of the weights, one an output channel.
    pub scales: &'a [f32],
    /// Least and largest integer of the output that no limit cuts off, without its zero point.
    pub steps: [i32; 2],
}

/// Why a layer does not become integers.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LayerError {
    /// Weights times inputs are beyond the output's range by more than the arithmetic can express.
    #[error(transparent)]
    Factor(#[from] FactorTooLarge),
    /// The source file's own integers add up to more than an accumulator holds.
    #[error(
        "the sums of output channel {channel}, with the weights and the bias of the file, can leave 32 bits"
    )]
    Accumulator {
        /// Which.
        channel: usize,
    },
}

/// The integers of a layer.
#[derive(Clone, Copy, Debug)]
pub struct ChosenWeights<'a> {
    /// `[out_c, taps]`.
    pub weights: &'a [i8],
    /// One an output channel.
    pub scales: &'a [f64],
}

/// A layer in integers.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerLayer {
    /// `[out_c, taps]`, each in `-127..=127`; those of the source file may be in `-255..=255`.
    pub weights: Vec<i16>,
    /// Real value of one step, one an output channel.
    pub scales: Vec<f64>,
    /// At `scale_in * scale`, without the input's zero point.
    pub bias: Vec<i32>,
    /// Into the output's scale.
    pub requants: Vec<Requant>,
    /// Largest magnitude that an accumulator can reach: below `2^31`.
    pub acc_bound: u32,
    /// Channels whose weights are all zero.
    pub dead_channels: usize,
    /// Channels whose scale was widened so that bias or accumulator fit.
    pub widened_channels: usize,
    /// Channels whose rescale is outside the fast range of every kernel.
    pub slow_requants: usize,
}

impl IntegerLayer {
    /// Appends a channel's integers, and the bound of its accumulator.
    fn add(&mut self, weights: &[i16], bias: i32, bound: u32) {
        self.weights.extend_from_slice(weights);
        self.bias.push(bias);
        self.acc_bound = self.acc_bound.max(bound);
    }

    /// Appends a channel's scale, and the rescale into the output's.
    fn rescale(&mut self, scale: f64, r: Requant) {
        self.slow_requants += usize::from(!is_fast(r));
        self.scales.push(scale);
        self.requants.push(r);
    }

    /// Weights of 8 bits; one beyond is cut off, and its channel among [`wide_channels`](Self::wide_channels).
    pub fn narrow(&self) -> Vec<i8> {
        self.weights
            .iter()
            .map(|&w| w.clamp(-128, 127) as i8)
            .collect()
    }

    /// Output channels with a weight beyond 8 bits.
    pub fn wide_channels(&self) -> Vec<usize> {
        let taps = (self.weights.len() / self.bias.len().max(1)).max(1);
        let rows = self.weights.chunks(taps).enumerate();
        rows.filter(|(_, row)| row.iter().any(|w| i8::try_from(*w).is_err()))
            .map(|(oc, _)| oc)
            .collect()
    }

    /// The bias with the input's zero point folded in, as kernels want it that multiply raw values.
    pub fn folded_bias(&self, zero_point_in: i32) -> Vec<i32> {
        let taps = self.weights.len() / self.bias.len().max(1);
        self.weights
            .chunks(taps.max(1))
            .zip(&self.bias)
            .map(|(row, &bias)| {
                let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
                // `|zero_point| * sum(|w|) + |bias|` is within the proved bound.
                (i64::from(bias) - i64::from(zero_point_in) * sum) as i32
            })
            .collect()
    }
}

/// Largest magnitude of a bias. Leaves half of the accumulator to the products.
const BIAS_MAX: f64 = (1u32 << 30) as f64;

/// What the accumulator must stay below.
const ACC_LIMIT: f64 = (1u64 << 31) as f64;

/// Rescale of a channel without weights: any would do, this one is fast and leaves 10 bits for the bias.
const DEAD_FACTOR: f64 = 1.0 / 1024.0;

/// Smallest rescale: the fast range's lower end. A channel below it never moves the output by more than a few steps.
const FACTOR_MIN: f64 = 1.0 / (1 << 24) as f64;

/// Largest magnitude of a weight's integer.
pub const WEIGHT_MAX: f64 = 127.0;

/// The scale of a channel and whether its bias widened it; `None` where it has no weights.
pub fn channel_scale(
    largest: f64,
    bias: f64,
    scale_in: f64,
    scale_out: f64,
) -> Option<(f64, bool)> {
    if largest == 0.0 {
        return None;
    }
    let wanted = (largest / WEIGHT_MAX).max(FACTOR_MIN * scale_out / scale_in);
    let for_bias = bias.abs() / (scale_in * BIAS_MAX);
    Some((wanted.max(for_bias), for_bias > wanted))
}

/// Rounds a layer to integers.
///
/// # Errors
/// [`LayerError`]
pub fn quantize_layer(real: RealLayer<'_>) -> Result<IntegerLayer, LayerError> {
    let out_c = real.bias.len();
    let taps = real.weights.len() / out_c.max(1);
    let scale_in = f64::from(real.input.scale);
    let scale_out = f64::from(real.output.scale);
    let input_max = f64::from((127 - real.input.zero_point).max(real.input.zero_point + 128));
    let mut layer = IntegerLayer {
        weights: Vec::with_capacity(real.weights.len()),
        scales: Vec::with_capacity(out_c),
        bias: Vec::with_capacity(out_c),
        requants: Vec::with_capacity(out_c),
        acc_bound: 0,
        dead_channels: 0,
        widened_channels: 0,
        slow_requants: 0,
    };
    for (oc, (row, &bias)) in real.weights.chunks(taps.max(1)).zip(real.bias).enumerate() {
        let largest = row
            .iter()
            .fold(0f64, |largest, &w| largest.max(f64::from(w).abs()));
        let bias = f64::from(bias);
        // Nothing is kept of a channel of zeros.
        if let Some(file) = real.of_file.filter(|_| largest > 0.0) {
            let scale = f64::from(file.scales[oc]);
            let steps: Vec<f64> = (row.iter())
                .map(|&w| (f64::from(w) / scale).round_ties_even())
                .collect();
            let magnitude: f64 = steps.iter().map(|w| w.abs()).sum();
            let quantized_bias = (bias / (scale_in * scale)).round_ties_even();
            let bound = magnitude * input_max + quantized_bias.abs();
            if bound >= ACC_LIMIT {
                return Err(LayerError::Accumulator { channel: oc });
            }
            let weights: Vec<i16> = steps.iter().map(|&w| w as i16).collect();
            layer.add(&weights, quantized_bias as i32, bound as u32);
            let factor = real.input.scale * file.scales[oc] / real.output.scale;
            let length = steps.iter().map(|w| w * w).sum::<f64>().sqrt();
            let likely = Likely {
                middle: quantized_bias,
                deviation: USUAL_STEPS * length,
            };
            let peer = single_precision(factor);
            let r = requant_as(peer, f64::from(factor), file.steps, likely)?;
            layer.rescale(scale, r);
            continue;
        }
        let chosen = real.chosen.map(|chosen| {
            let row = &chosen.weights[oc * taps..(oc + 1) * taps];
            (row, chosen.scales[oc])
        });
        let mut scale = match channel_scale(largest, bias, scale_in, scale_out) {
            None => {
                layer.dead_channels += 1;
                DEAD_FACTOR * scale_out / scale_in
            }
            Some((scale, widened)) => {
                layer.widened_channels += usize::from(widened);
                chosen.map_or(scale, |(_, scale)| scale)
            }
        };
        let mut widened = false;
        let (quantized, quantized_bias, bound) = loop {
            let quantized: Vec<i16> = match chosen {
                Some((row, _)) if !widened && largest > 0.0 => {
                    row.iter().map(|&w| i16::from(w)).collect()
                }
                _ => row
                    .iter()
                    .map(|&w| {
                        (f64::from(w) / scale)
                            .round_ties_even()
                            .clamp(-WEIGHT_MAX, WEIGHT_MAX) as i16
                    })
                    .collect(),
            };
            let quantized_bias = (bias / (scale_in * scale))
                .round_ties_even()
                .clamp(-BIAS_MAX, BIAS_MAX);
            let magnitude: f64 = quantized.iter().map(|&w| f64::from(w).abs()).sum();
            let bound = magnitude * input_max + quantized_bias.abs();
            if bound < ACC_LIMIT {
                break (quantized, quantized_bias as i32, bound as u32);
            }
            widened = true;
            scale *= (bound / ACC_LIMIT) * 1.01;
        };
        layer.widened_channels += usize::from(widened);
        layer.add(&quantized, quantized_bias, bound);
        layer.rescale(scale, requant(scale_in * scale / scale_out)?);
    }
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::params::from_range;

    fn layer(weights: &[f32], bias: &[f32], input: QParams, output: QParams) -> IntegerLayer {
        quantize_layer(RealLayer {
            weights,
            bias,
            input,
            output,
            chosen: None,
            of_file: None,
        })
        .unwrap()
    }

    /// The true largest accumulator of a channel, by trying both ends of the input for every tap.
    fn worst(l: &IntegerLayer, zero_point: i32) -> i64 {
        let taps = l.weights.len() / l.bias.len();
        let ends = [i64::from(127 - zero_point), i64::from(-128 - zero_point)];
        l.weights
            .chunks(taps)
            .zip(&l.bias)
            .flat_map(|(row, &bias)| {
                let high: i64 = row
                    .iter()
                    .map(|&w| ends.map(|e| i64::from(w) * e).into_iter().max().unwrap())
                    .sum();
                let low: i64 = row
                    .iter()
                    .map(|&w| ends.map(|e| i64::from(w) * e).into_iter().min().unwrap())
                    .sum();
                [
                    (high + i64::from(bias)).abs(),
                    (low + i64::from(bias)).abs(),
                ]
            })
            .max()
            .unwrap()
    }

    #[test]
    fn dead_channels_keep_their_bias_and_a_fast_rescale() {
        let output = from_range(-4.0, 4.0);
        let l = layer(&[0.0; 6], &[1.5, 1e9], from_range(0.0, 1.0), output);
        assert_eq!(
            (l.dead_channels, l.slow_requants, l.widened_channels),
            (2, 0, 0)
        );
        let r = l.requants[0];
        let steps = f64::from(l.bias[0]) * f64::from(r.multiplier) / 2f64.powi(i32::from(r.shift));
        assert!((steps - 1.5 / f64::from(output.scale)).abs() < 0.01);
        // Beyond the range: saturates, and stays in bounds.
        assert!(f64::from(l.bias[1]) * DEAD_FACTOR > 256.0 && l.acc_bound < 1 << 31);
    }

    #[test]
    fn a_large_bias_widens_the_scale_of_its_channel_only() {
        let l = layer(
            &[1e-6, 1e-6, 1.0, 1.0],
            &[1e4, 0.5],
            from_range(0.0, 1.0),
            from_range(0.0, 1e4),
        );
        assert_eq!(l.widened_channels, 1);
        assert!(l.bias[0].unsigned_abs() <= 1 << 30);
        assert_eq!(l.weights[2], 127);
    }

    #[test]
    fn the_accumulator_bound_is_true_and_kept() {
        let taps = 200_000;
        let weights: Vec<f32> = (0..taps)
            .map(|i| if i % 3 == 0 { 1.0 } else { -0.99 })
            .collect();
        let input = from_range(0.0, 1.0);
        let l = layer(&weights, &[0.0], input, from_range(-1e5, 1e5));
        assert_eq!(l.widened_channels, 1);
        assert!(worst(&l, input.zero_point) <= i64::from(l.acc_bound));
        assert!(l.acc_bound < 1 << 31 && l.weights.iter().any(|&w| w > 20));
        let small = layer(
            &[0.5, -1.0, 0.25, 0.7],
            &[0.1, -3.0],
            from_range(-1.0, 2.0),
            from_range(-3.0, 3.0),
        );
        assert!(worst(&small, from_range(-1.0, 2.0).zero_point) <= i64::from(small.acc_bound));
    }

    #[test]
    fn folded_bias_equals_subtracting_the_zero_point() {
        let input = from_range(-1.0, 2.0);
        let l = layer(
            &[0.5, -1.0, 0.25, 0.7],
            &[0.1, -3.0],
            input,
            from_range(-3.0, 3.0),
        );
        let folded = l.folded_bias(input.zero_point);
        let x = [17, -90];
        for (oc, folded) in folded.into_iter().enumerate() {
            let row = &l.weights[oc * 2..oc * 2 + 2];
            let sum = |zero_point: i32| -> i32 {
                row.iter()
                    .zip(x)
                    .map(|(&w, x)| i32::from(w) * (x - zero_point))
                    .sum()
            };
            assert_eq!(sum(input.zero_point) + l.bias[oc], sum(0) + folded);
        }
    }
}
