//! Ranges by what the layer behind makes of a tensor.
//!
//! What is read by functions of one value alone need not be fine where those are flat: below -3 a hard-swish is zero, so a scale that reaches to the
//! least value seen would spend most of its 256 steps on nothing.

use ocellus_ir::{Graph, Node, Op};

use crate::calibrate::{Histogram, narrowed};

/// Hundredths of a side's length that may go: at least 2 % stay.
const STEPS: u32 = 98;

/// A function of one value on the bins of a histogram.
struct Reader<'f> {
    f: Box<dyn Fn(f64) -> f64 + 'f>,
    /// By bin: the count over the variance of the function's values, the function at the middle, the square of its slope over 12.
    bins: Vec<(f64, f64, f64)>,
}

/// The function that a node is of its only computed input.
fn function(node: &Node) -> Option<Box<dyn Fn(f64) -> f64 + '_>> {
    let (low, high) = node.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let limited = move |y: f64| y.max(f64::from(low)).min(f64::from(high));
    match &node.op {
        Op::Unary(op) => Some(Box::new(move |x| limited(op.exact(x)))),
        Op::Function(function) => Some(Box::new(move |x| limited(function.exact(x)))),
        _ => None,
    }
}

impl<'f> Reader<'f> {
    /// None where the function has no finite variance on what was seen.
    fn new(f: Box<dyn Fn(f64) -> f64 + 'f>, middles: &[(f64, f64)], width: f64) -> Option<Self> {
        let values: Vec<f64> = middles.iter().map(|&(x, _)| f(x)).collect();
        let total: f64 = middles.iter().map(|&(_, count)| count).sum();
        let mean = |of: &dyn Fn(f64) -> f64| {
            let sum = values
                .iter()
                .zip(middles)
                .map(|(&y, &(_, count))| count * of(y));
            sum.sum::<f64>() / total
        };
        let average = mean(&|y| y);
        let variance = mean(&|y| (y - average).powi(2));
        if !variance.is_finite() || variance <= 0.0 {
            return None;
        }
        let bins = middles.iter().zip(&values).map(|(&(x, count), &y)| {
            let slope = (f(x + width / 2.0) - f(x - width / 2.0)) / width;
            (count / total / variance, y, slope * slope / 12.0)
        });
        let bins: Vec<_> = bins.collect();
        Some(Reader { f, bins })
    }

    /// Mean squared error of the function's values over their variance: rounding within `low` to `high`, clipping outside.
    fn error(&self, middles: &[(f64, f64)], low: f64, high: f64) -> f64 {
        let step = (high - low) / 255.0;
        let (at_low, at_high) = ((self.f)(low), (self.f)(high));
        let errors = middles.iter().zip(&self.bins);
        let errors = errors.map(|(&(x, _), &(weight, y, slope))| {
            if x < low {
                weight * (y - at_low).powi(2)
            } else if x > high {
                weight * (y - at_high).powi(2)
            } else {
                weight * slope * step * step
            }
        });
        errors.sum()
    }
}

/// The part of a tensor's range that its readers tell apart best, or none where one of them is no function of one value.
pub(super) fn range(
    graph: &Graph,
    readers: &[usize],
    histogram: &Histogram,
    (min, max): (f32, f32),
) -> Option<(f32, f32)> {
    let middles: Vec<(f64, f64)> = histogram
        .bins()
        .filter(|&(.., count)| count > 0)
        .map(|(edge, width, count)| (edge + width / 2.0, count as f64))
        .collect();
    let width = histogram.bins().next()?.1;
    let readers: Option<Vec<Reader<'_>>> = readers
        .iter()
        .map(|&node| Reader::new(function(&graph.nodes[node])?, &middles, width))
        .collect();
    let readers = readers.filter(|readers| !readers.is_empty())?;
    let error =
        |low: f64, high: f64| -> f64 { readers.iter().map(|r| r.error(&middles, low, high)).sum() };
    let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
    let (low, high) = narrowed((min, max), STEPS, error);
    (high > low).then_some((low as f32, high as f32))
}

#[cfg(test)]
mod tests {
    use ocellus_ir::{BorderType, UnaryOp};

    use super::*;

    /// Values from -10 to 10, read by one function.
    fn chosen(op: Op) -> Option<(f32, f32)> {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 4], BorderType::F32);
        graph.add_node("y", op, &[x]).unwrap();
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (0..20_000).map(|i| i as f32 / 1000.0 - 10.0).collect();
        assert!(histogram.add(&values));
        range(&graph, &[0], &histogram, (-10.0, 10.0))
    }

    #[test]
    fn what_a_function_does_not_tell_apart_is_left_out() {
        let (low, high) = chosen(Op::Unary(UnaryOp::HardSwish)).unwrap();
        assert!(
            (-3.0..=-1.5).contains(&low) && high > 9.5,
            "hard-swish is zero below -3: {low} to {high}"
        );
        let (low, high) = chosen(Op::Unary(UnaryOp::Sigmoid)).unwrap();
        assert!(
            low > -7.0 && low < -3.0 && high > 3.0 && high < 7.0,
            "sigmoid is flat on both sides: {low} to {high}"
        );
    }

    #[test]
    fn what_is_told_apart_stays() {
        let affine = UnaryOp::Affine {
            scale: -2.0,
            offset: 1.0,
        };
        let (low, high) = chosen(Op::Unary(affine)).unwrap();
        assert!(low <= -9.7 && high >= 9.7, "{low} to {high}");
        assert_eq!(chosen(Op::Softmax { axis: 1 }), None);
    }
}
