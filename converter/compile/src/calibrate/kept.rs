//! Samples that calibration keeps, for what needs them a second time.
//!
//! Their memory is bounded: where the next one does not fit, every second one goes, and from then on every second is taken. What is kept depends on
//! the order of samples alone.

/// Bytes of samples.
const KEPT_BYTES: usize = 192 << 20;

/// Values of one input.
#[derive(Clone, Debug, PartialEq)]
enum Values {
    /// Whole numbers from 0 to 255: pixels.
    Bytes(Vec<u8>),
    Real(Vec<f32>),
}

impl Values {
    fn new(values: &[f32]) -> Values {
        let is_byte = |&v: &f32| (0.0..=255.0).contains(&v) && v.fract() == 0.0;
        if values.iter().all(is_byte) {
            Values::Bytes(values.iter().map(|&v| v as u8).collect())
        } else {
            Values::Real(values.to_vec())
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Values::Bytes(values) => values.len(),
            Values::Real(values) => 4 * values.len(),
        }
    }

    fn get(&self) -> Vec<f32> {
        match self {
            Values::Bytes(values) => values.iter().map(|&v| f32::from(v)).collect(),
            Values::Real(values) => values.clone(),
        }
    }
}

/// Samples, evenly spread over those that were offered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeptSamples {
    samples: Vec<Vec<Values>>,
    /// Every how many samples one is kept.
    stride: usize,
    offered: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Default for KeptSamples {
    fn default() -> KeptSamples {
        KeptSamples {
            samples: Vec::new(),
            stride: 1,
            offered: 0,
            bytes: 0,
            bytes_max: KEPT_BYTES,
        }
    }
}

impl KeptSamples {
    /// Takes a sample, or not.
    pub(super) fn offer(&mut self, inputs: &[Vec<f32>]) {
        let number = self.offered;
        self.offered += 1;
        if !number.is_multiple_of(self.stride) {
            return;
        }
        let sample: Vec<Values> = inputs.iter().map(|values| Values::new(values)).collect();
        let bytes = |sample: &[Values]| sample.iter().map(Values::bytes).sum::<usize>();
        self.bytes += bytes(&sample);
        self.samples.push(sample);
        while self.bytes > self.bytes_max && self.samples.len() > 1 {
            let mut index = 0;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
            self.bytes = self.samples.iter().map(|sample| bytes(sample)).sum();
        }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The inputs of a kept sample.
    pub(super) fn get(&self, index: usize) -> Vec<Vec<f32>> {
        self.samples
            .get(index)
            .map(|sample| sample.iter().map(Values::get).collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_spread_evenly_and_bounded() {
        let mut kept = KeptSamples {
            bytes_max: 100,
            ..KeptSamples::default()
        };
        for number in 0..50u8 {
            kept.offer(&[vec![f32::from(number); 9], vec![0.5]]);
        }
        let numbers: Vec<f32> = (0..kept.len()).map(|i| kept.get(i)[0][0]).collect();
        assert_eq!(numbers, [0.0, 8.0, 16.0, 24.0, 32.0, 40.0, 48.0]);
        assert!(kept.bytes <= 100);
        assert_eq!(kept.get(1), [vec![8.0; 9], vec![0.5]]);
    }

    #[test]
    fn a_sample_larger_than_the_bound_is_kept_alone() {
        let mut kept = KeptSamples {
            bytes_max: 10,
            ..KeptSamples::default()
        };
        for _ in 0..5 {
            kept.offer(&[vec![0.25; 100]]);
        }
        assert_eq!(kept.len(), 1);
    }
}
