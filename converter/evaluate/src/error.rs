//! How far an int8 tensor is from its float twin.

use serde::Serialize;

/// Error of one tensor, accumulated over inputs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LayerError {
    /// The tensor.
    pub name: String,
    /// Values compared.
    pub values: u64,
    /// Largest absolute difference.
    pub max_abs: f64,
    #[serde(skip)]
    signal: f64,
    #[serde(skip)]
    noise: f64,
    #[serde(skip)]
    other: f64,
    #[serde(skip)]
    dot: f64,
}

impl LayerError {
    /// Nothing compared yet.
    pub fn new(name: impl Into<String>) -> LayerError {
        LayerError {
            name: name.into(),
            ..LayerError::default()
        }
    }

    /// Adds one input's values. Both slices have the same length.
    pub fn add(&mut self, float: &[f32], int8: &[f32]) {
        for (&a, &b) in float.iter().zip(int8) {
            let (a, b) = (f64::from(a), f64::from(b));
            self.signal += a * a;
            self.other += b * b;
            self.dot += a * b;
            self.noise += (a - b) * (a - b);
            self.max_abs = self.max_abs.max((a - b).abs());
        }
        self.values += float.len() as u64;
    }

    /// Signal to noise in decibels: `10 log10(sum a^2 / sum (a - b)^2)`; infinite where equal.
    pub fn snr_db(&self) -> f64 {
        if self.noise == 0.0 {
            f64::INFINITY
        } else {
            10.0 * libm::log10(self.signal / self.noise)
        }
    }

    /// Cosine between the two; 1 where equal, and where both are zero.
    pub fn cosine(&self) -> f64 {
        let norm = (self.signal * self.other).sqrt();
        if norm == 0.0 {
            if self.signal == self.other { 1.0 } else { 0.0 }
        } else {
            self.dot / norm
        }
    }
}

/// Error that a layer makes itself: int8 against float on the same inputs, those that the int8 layer read. Accumulated over inputs, channel by
/// channel, so that one bad channel among many good ones shows.
///
/// What lies outside the output's range cannot be right in int8, and is counted apart: a layer behind a bad one clips much without being
/// wrong. Inside the range a channel's error is its mean square above a quarter step squared (what rounding makes at most, which no layer
/// can avoid), as a share of the channel's mean square plus one step squared: a channel of a few steps is not judged by its last one.
#[derive(Clone, Debug, Default)]
pub struct OwnError {
    channels: Vec<Channel>,
    /// Values of each channel so far.
    values: u64,
    step: f64,
}

/// Sums of squares.
#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    /// The float values.
    signal: f64,
    /// The float values, limited to the output's range.
    inside: f64,
    /// What of the difference is not clipping.
    wrong: f64,
    /// What the limit takes away.
    clipped: f64,
}

/// A channel and how large its error is: 0 where there is none, about 1 where nothing is as it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Position along the last axis.
    pub channel: usize,
    /// Error against signal, both squared.
    pub error: f64,
}

impl OwnError {
    /// Adds one input's values, both with the channels along the last axis. `step` is the output's scale, `range` what its `s8` can hold.
    pub fn add(
        &mut self,
        float: &[f32],
        int8: &[f32],
        channels: usize,
        step: f32,
        range: (f32, f32),
    ) {
        if channels == 0 {
            return;
        }
        self.channels.resize(channels, Channel::default());
        for (float, int8) in float.chunks(channels).zip(int8.chunks(channels)) {
            for ((&a, &b), channel) in float.iter().zip(int8).zip(&mut self.channels) {
                let limited = f64::from(a.max(range.0).min(range.1));
                let (a, b) = (f64::from(a), f64::from(b));
                channel.signal += a * a;
                channel.inside += limited * limited;
                channel.wrong += (limited - b) * (limited - b);
                channel.clipped += (a - limited) * (a - limited);
            }
        }
        self.values += (float.len() / channels) as u64;
        self.step = f64::from(step);
    }

    /// The channel that is most wrong inside the range.
    pub fn worst(&self) -> Option<Share> {
        let step = self.step * self.step * self.values as f64;
        self.largest(|channel| ((channel.wrong - step / 4.0).max(0.0), channel.inside + step))
    }

    /// The channel that loses most outside the range.
    pub fn worst_clipped(&self) -> Option<Share> {
        self.largest(|channel| (channel.clipped, channel.signal))
    }

    fn largest(&self, parts: impl Fn(&Channel) -> (f64, f64)) -> Option<Share> {
        let shares = self.channels.iter().enumerate().map(|(channel, sums)| {
            let (error, signal) = parts(sums);
            let error = if error == 0.0 { 0.0 } else { error / signal };
            Share { channel, error }
        });
        // The first of equals.
        shares.reduce(|best, next| if next.error > best.error { next } else { best })
    }
}

/// Sorts by signal to noise, worst first.
pub fn worst_first(layers: &mut [LayerError]) {
    layers.sort_by(|a, b| a.snr_db().total_cmp(&b.snr_db()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_noise_is_twenty_decibels() {
        let mut layer = LayerError::new("a");
        layer.add(&[1.0, -1.0], &[1.1, -0.9]);
        assert!((layer.snr_db() - 20.0).abs() < 1e-4, "{}", layer.snr_db());
        assert!(layer.cosine() > 0.99 && layer.max_abs < 0.11);
    }

    #[test]
    fn rounding_is_no_error_and_one_bad_channel_is() {
        let float: Vec<f32> = (0..400)
            .map(|i| libm::sinf(i as f32 * 0.37) * 9.0)
            .collect();
        let rounded: Vec<f32> = float.iter().map(|v| v.round()).collect();
        let mut own = OwnError::default();
        own.add(&float, &rounded, 4, 1.0, (-10.0, 10.0));
        let none = Some(Share {
            channel: 0,
            error: 0.0,
        });
        assert_eq!((own.worst(), own.worst_clipped()), (none, none));
        let sixteenth = |(i, &v): (usize, &f32)| {
            if i % 4 == 2 {
                (v / 16.0).round()
            } else {
                v.round()
            }
        };
        let planted: Vec<f32> = float.iter().enumerate().map(sixteenth).collect();
        own.add(&float, &planted, 4, 1.0, (-10.0, 10.0));
        let worst = own.worst().unwrap();
        assert!(
            worst.channel == 2 && (0.3..1.0).contains(&worst.error),
            "{worst:?}"
        );
    }

    #[test]
    fn clipping_is_counted_apart() {
        let float = [1.0, 30.0, -1.0, 40.0];
        let mut own = OwnError::default();
        own.add(&float, &[1.0, 12.0, -1.0, 12.0], 2, 0.1, (-12.0, 12.0));
        let (worst, clipped) = (own.worst().unwrap(), own.worst_clipped().unwrap());
        assert_eq!((worst.error, clipped.channel), (0.0, 1));
        assert!(
            (clipped.error - 1108.0 / 2500.0).abs() < 1e-9,
            "{clipped:?}"
        );
    }

    #[test]
    fn equal_tensors_are_last() {
        let mut equal = LayerError::new("equal");
        equal.add(&[0.5], &[0.5]);
        let mut bad = LayerError::new("bad");
        bad.add(&[0.5], &[-0.5]);
        let mut layers = [equal, bad];
        worst_first(&mut layers);
        assert_eq!(layers[0].name, "bad");
        assert_eq!(layers[1].cosine(), 1.0);
    }
}
