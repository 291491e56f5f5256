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
            10.0 * (self.signal / self.noise).log10()
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
