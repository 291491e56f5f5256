//! Normalization by the statistics of the data, as exporters spell it out: mean, difference, square, mean, square root, quotient. As one operator its
//! intermediate values, whose ranges differ by orders of magnitude, are never rounded.

use super::edit::Links;
use super::{moments, softmax};
use crate::{BinaryOp, Graph, GraphError, Op, TensorId, UnaryOp};

/// A deviation from the mean: the tensor that it is of, and the axes of the mean. Without a mean it is the tensor itself.
struct Deviation {
    x: TensorId,
    axes: Vec<usize>,
    centered: bool,
    epsilon: f32,
    /// What the quotient is multiplied by: where not the mean square is taken but a multiple of it, such as the sum.
    factor: f32,
}

/// Finds the quotient that ends a normalization, and takes factors and offsets behind one into it.
pub(super) fn join(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let op = &graph.nodes[index].op;
    let quotient = matches!(op, Op::Binary(BinaryOp::Div | BinaryOp::Mul));
    let linear = matches!(op, Op::Binary(_) | Op::Unary(UnaryOp::Affine { .. }));
    if matches!(op, Op::Binary(BinaryOp::Add | BinaryOp::Sub))
        && moments::collect(graph, links, index)?
    {
        return Ok(true);
    }
    if quotient && (compose(graph, links, index)? || softmax::find(graph, links, index)?) {
        return Ok(true);
    }
    Ok(linear && fold(graph, links, index)?)
}

/// The operator that writes a tensor which is not rounded, and what it reads.
pub(super) fn made_by<'g>(
    graph: &'g Graph,
    links: &Links,
    id: TensorId,
) -> Option<(&'g Op, &'g [TensorId])> {
    let node = &graph.nodes[links.producer(id)?];
    let plain = node.clamp.is_none() && graph.grid(id).is_none();
    plain.then_some((&node.op, node.inputs.as_slice()))
}

/// The tensor that has the same values in another shape.
pub(super) fn before_reshapes(graph: &Graph, links: &Links, mut id: TensorId) -> TensorId {
    while let Some((Op::Reshape { .. }, &[x])) = made_by(graph, links, id) {
        id = x;
    }
    id
}

/// The tensor that is repeated along axes of 1, which whoever reads it beside the whole would do anyway.
pub(super) fn before_repeats(graph: &Graph, links: &Links, mut id: TensorId) -> TensorId {
    while let Some((Op::Gather { axis, .. }, &[x])) = made_by(graph, links, id)
        && graph.shape(x)[*axis] == 1
    {
        id = x;
    }
    id
}

/// The mean of a tensor over axes, whether they stay or come back in a reshape.
pub(super) fn mean_of(
    graph: &Graph,
    links: &Links,
    id: TensorId,
) -> Option<(TensorId, Vec<usize>)> {
    match made_by(graph, links, before_reshapes(graph, links, id))? {
        (Op::Mean { axes, .. }, &[x]) => Some((x, axes.clone())),
        _ => None,
    }
}

/// True where a tensor has the shape of `x` with axes of 1 in the place of `axes`.
pub(super) fn stands_for(graph: &Graph, id: TensorId, x: TensorId, axes: &[usize]) -> bool {
    let shape = graph.shape(x).iter().enumerate();
    let kept: Vec<usize> = shape
        .map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
        .collect();
    graph.shape(id) == kept
}

/// The tensor that is squared.
pub(super) fn square_of(graph: &Graph, links: &Links, id: TensorId) -> Option<TensorId> {
    match made_by(graph, links, id)? {
        (&Op::Unary(UnaryOp::Pow { exponent: 2.0 }), &[x]) => Some(x),
        (Op::Binary(BinaryOp::Mul), &[a, b]) if a == b => Some(a),
        _ => None,
    }
}

/// A mean square below its root.
pub(super) struct Root {
    pub(super) variance: TensorId,
    /// -1/2 or 1/2.
    pub(super) exponent: f32,
    /// The variance is multiplied by this and has that added before the root is taken.
    scale: f32,
    offset: f32,
}

/// Limits that keep exporters from dividing by zero. Lengths as small as these are zeros to every quantization, so leaving them out changes nothing that stays.
const SMALLEST_LENGTH: f32 = 1e-6;

/// What a root is of.
pub(super) fn root_of(graph: &Graph, links: &Links, id: TensorId) -> Option<Root> {
    let mut root = Root {
        variance: id,
        exponent: 1.0,
        scale: 1.0,
        offset: 0.0,
    };
    loop {
        root.variance = before_reshapes(graph, links, root.variance);
        let Some((&Op::Unary(op), &[inner])) = made_by(graph, links, root.variance) else {
            break;
        };
        match op {
            UnaryOp::Sqrt => root.exponent *= 0.5,
            UnaryOp::Pow { exponent: by } => root.exponent *= by,
            UnaryOp::Clip { min, max } if max == f32::INFINITY && min <= SMALLEST_LENGTH => {}
            UnaryOp::Affine { scale, offset } if root.exponent.abs() == 0.5 && scale > 0.0 => {
                root.offset += root.scale * offset;
                root.scale *= scale;
            }
            _ => return None,
        }
        root.variance = inner;
    }
    (root.exponent.abs() == 0.5).then_some(root)
}

/// The normalization that the quotient of `deviation` and `root` is.
fn normalization(
    graph: &Graph,
    links: &Links,
    deviation: TensorId,
    root: TensorId,
    exponent: f32,
) -> Option<Deviation> {
    let root = before_repeats(graph, links, root);
    let found = root_of(graph, links, root)?;
    let (square, axes) = mean_of(graph, links, found.variance)?;
    let (epsilon, factor) = (found.offset / found.scale, found.scale.sqrt().recip());
    let whole = found.exponent == exponent
        && epsilon >= 0.0
        && epsilon.is_finite()
        && factor.is_finite()
        && stands_for(graph, root, square, &axes);
    if !whole || square_of(graph, links, square)? != deviation {
        return None;
    }
    let centered = match made_by(graph, links, deviation) {
        Some((Op::Binary(BinaryOp::Sub), &[x, mean])) => mean_of(graph, links, mean)
            .filter(|(of, over)| *of == x && *over == axes && stands_for(graph, mean, x, over)),
        _ => None,
    };
    Some(match centered {
        Some((x, axes)) => Deviation {
            x,
            axes,
            centered: true,
            epsilon,
            factor,
        },
        None => Deviation {
            x: deviation,
            axes,
            centered: false,
            epsilon,
            factor,
        },
    })
}

fn compose(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = graph.nodes[index].clone();
    let &[a, b] = node.inputs.as_slice() else {
        return Ok(false);
    };
    if node.clamp.is_some() {
        return Ok(false);
    }
    let found = match node.op {
        Op::Binary(BinaryOp::Div) => normalization(graph, links, a, b, 0.5),
        _ => normalization(graph, links, a, b, -0.5)
            .or_else(|| normalization(graph, links, b, a, -0.5)),
    };
    let Some(Deviation {
        x,
        axes,
        centered,
        epsilon,
        factor,
    }) = found
    else {
        return Ok(false);
    };
    let rank = graph.shape(x).len();
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    // The normalized axes go to the end.
    let order: Vec<usize> = kept.iter().chain(&axes).copied().collect();
    let mut back = vec![0; rank];
    for (at, &axis) in order.iter().enumerate() {
        back[axis] = at;
    }
    let gamma = graph.add_constant(format!("{}.gamma", node.name), vec![1], vec![factor]);
    let beta = graph.add_constant(format!("{}.beta", node.name), vec![1], vec![0.0]);
    let first = graph.stage(
        format!("{}.axes_last", node.name),
        Op::Transpose { order },
        &[x],
    )?;
    let op = Op::LayerNorm {
        axis: kept.len(),
        run: 1,
        epsilon,
        centered,
    };
    let mut norm = graph.stage(
        format!("{}.norm", node.name),
        op,
        &[first.output, gamma, beta],
    )?;
    let mut last = graph.stage(
        format!("{}.axes_back", node.name),
        Op::Transpose { order: back },
        &[norm.output],
    )?;
    norm.name = format!("{}.normalized", node.name);
    last.name = node.name;
    graph.replace_node(index, vec![first, norm, last]);
    Ok(true)
}

/// A factor and an offset, each one number or one for each place of the normalized axes.
fn linear(graph: &Graph, index: usize, x: TensorId, row: &[usize]) -> Option<[Vec<f32>; 2]> {
    let node = &graph.nodes[index];
    let count: usize = row.iter().product();
    let spread = |id: TensorId| -> Option<Vec<f32>> {
        let values = graph.constant(id)?;
        let own = graph.shape(id);
        if values.len() == 1 {
            return Some(values.to_vec());
        }
        // Leading axes of 1, then those of the row.
        let lead = own.len().checked_sub(row.len())?;
        let fits = own[lead..] == *row && own[..lead].iter().all(|&size| size == 1);
        (fits && values.len() == count).then(|| values.to_vec())
    };
    let (one, zero) = (vec![1.0], vec![0.0]);
    let negative = |values: Vec<f32>| values.into_iter().map(|v| -v).collect::<Vec<f32>>();
    match (&node.op, node.inputs.as_slice()) {
        (&Op::Unary(UnaryOp::Affine { scale, offset }), _) => Some([vec![scale], vec![offset]]),
        (Op::Binary(op), &[a, b]) => {
            let (constant, first) = if a == x { (b, true) } else { (a, false) };
            let values = spread(constant)?;
            Some(match op {
                BinaryOp::Mul => [values, zero],
                BinaryOp::Add => [one, values],
                BinaryOp::Sub if first => [one, negative(values)],
                BinaryOp::Sub => [vec![-1.0], values],
                _ => return None,
            })
        }
        _ => None,
    }
}

/// Takes a factor or an offset behind a normalization into it.
fn fold(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = graph.nodes[index].clone();
    let computed = node.inputs.iter().find(|id| graph.constant(**id).is_none());
    let (Some(&x), None) = (computed, node.clamp) else {
        return Ok(false);
    };
    let before = links
        .producer(x)
        .filter(|_| links.has_one_reader(x) && graph.grid(x).is_none())
        .map(|producer| graph.nodes[producer].clone());
    let Some(norm) = before else {
        return Ok(false);
    };
    let (&Op::LayerNorm { axis, run: 1, .. }, &[source, gamma, beta]) =
        (&norm.op, norm.inputs.as_slice())
    else {
        return Ok(false);
    };
    let shape = graph.shape(source).to_vec();
    let same_shape = graph.shape(node.output) == shape;
    let (Some([factor, offset]), Some(gamma), Some(beta), true) = (
        linear(graph, index, x, &shape[axis..]),
        graph.constant(gamma).cloned(),
        graph.constant(beta).cloned(),
        same_shape,
    ) else {
        return Ok(false);
    };
    let count = [&factor[..], &offset, &gamma, &beta]
        .iter()
        .map(|list| list.len())
        .max()
        .unwrap_or(1);
    let lists_fit = [&factor[..], &offset, &gamma, &beta]
        .iter()
        .all(|list| list.len() == 1 || list.len() == count);
    if !lists_fit {
        return Ok(false);
    }
    let at = |list: &[f32], i: usize| list[i % list.len()];
    let new_gamma: Vec<f32> = (0..count).map(|i| at(&gamma, i) * at(&factor, i)).collect();
    let new_beta: Vec<f32> = (0..count)
        .map(|i| at(&beta, i) * at(&factor, i) + at(&offset, i))
        .collect();
    if !new_gamma.iter().chain(&new_beta).all(|v| v.is_finite()) {
        return Ok(false);
    }
    let gamma = graph.add_constant(format!("{}.gamma", node.name), vec![count], new_gamma);
    let beta = graph.add_constant(format!("{}.beta", node.name), vec![count], new_beta);
    let node = &mut graph.nodes[index];
    (node.op, node.inputs) = (norm.op, vec![source, gamma, beta]);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use crate::passes::spelled::{self, node};
    use crate::random::Random;
    use crate::{BinaryOp, BorderType, Graph, Op, TensorId, UnaryOp};

    struct Spelling {
        axes: Vec<usize>,
        /// Of the variance's mean; a normalization has the same.
        variance_axes: Vec<usize>,
        centered: bool,
        square: fn(&mut Graph, TensorId) -> TensorId,
        quotient: fn(&mut Graph, TensorId, TensorId) -> TensorId,
    }

    fn power(graph: &mut Graph, x: TensorId, exponent: f32) -> TensorId {
        node(graph, Op::Unary(UnaryOp::Pow { exponent }), &[x])
    }

    fn spelled_out(spelling: &Spelling) -> Graph {
        let mut graph = Graph::default();
        let mut random = Random::new(5);
        let x = graph.add_input("x", vec![1, 4, 5, 6], BorderType::F32);
        let mean = |graph: &mut Graph, x, axes: &[usize]| {
            let op = Op::Mean {
                axes: axes.to_vec(),
                keep_dims: true,
            };
            node(graph, op, &[x])
        };
        let difference = if spelling.centered {
            let mean = mean(&mut graph, x, &spelling.axes);
            node(&mut graph, Op::Binary(BinaryOp::Sub), &[x, mean])
        } else {
            x
        };
        let square = (spelling.square)(&mut graph, difference);
        let variance = mean(&mut graph, square, &spelling.variance_axes);
        let epsilon = graph.add_constant("epsilon", vec![], vec![1e-3]);
        let sum = node(&mut graph, Op::Binary(BinaryOp::Add), &[variance, epsilon]);
        let normal = (spelling.quotient)(&mut graph, difference, sum);
        let gamma = graph.add_constant("gamma", vec![6], random.values(6));
        let scaled = node(&mut graph, Op::Binary(BinaryOp::Mul), &[gamma, normal]);
        let beta = graph.add_constant("beta", vec![1, 1, 6], random.values(6));
        let y = node(&mut graph, Op::Binary(BinaryOp::Add), &[scaled, beta]);
        graph.add_output("y", y, BorderType::F32);
        graph
    }

    fn root(graph: &mut Graph, x: TensorId) -> TensorId {
        node(graph, Op::Unary(UnaryOp::Sqrt), &[x])
    }

    /// What is left after all passes, and how far its result is from the original's.
    fn optimized(spelling: &Spelling) -> (Vec<&'static str>, f32) {
        spelled::optimized(spelled_out(spelling))
    }

    fn usual() -> Spelling {
        Spelling {
            axes: vec![3],
            variance_axes: vec![3],
            centered: true,
            square: |graph, x| power(graph, x, 2.0),
            quotient: |graph, x, sum| {
                let root = root(graph, sum);
                node(graph, Op::Binary(BinaryOp::Div), &[x, root])
            },
        }
    }

    #[test]
    fn every_spelling_becomes_one_operator() {
        let spellings = [
            usual(),
            Spelling {
                square: |graph, x| node(graph, Op::Binary(BinaryOp::Mul), &[x, x]),
                ..usual()
            },
            Spelling {
                quotient: |graph, x, sum| {
                    let root = root(graph, sum);
                    let reciprocal = power(graph, root, -1.0);
                    node(graph, Op::Binary(BinaryOp::Mul), &[x, reciprocal])
                },
                ..usual()
            },
            Spelling {
                quotient: |graph, x, sum| {
                    let reciprocal = power(graph, sum, -0.5);
                    node(graph, Op::Binary(BinaryOp::Mul), &[reciprocal, x])
                },
                ..usual()
            },
            Spelling {
                centered: false,
                ..usual()
            },
            // Of the sum instead of the mean, and kept from zero.
            Spelling {
                quotient: |graph, x, sum| {
                    let scale = 6.0;
                    let sum = node(
                        graph,
                        Op::Unary(UnaryOp::Affine { scale, offset: 0.0 }),
                        &[sum],
                    );
                    let root = root(graph, sum);
                    let limits = UnaryOp::Clip {
                        min: 1e-12,
                        max: f32::INFINITY,
                    };
                    let root = node(graph, Op::Unary(limits), &[root]);
                    node(graph, Op::Binary(BinaryOp::Div), &[x, root])
                },
                ..usual()
            },
        ];
        for (at, spelling) in spellings.iter().enumerate() {
            let (names, worst) = optimized(spelling);
            assert_eq!(names, ["layer_norm"], "spelling {at}");
            assert!(worst < 1e-5, "spelling {at}: {worst}");
        }
    }

    #[test]
    fn axes_before_the_innermost_are_brought_there_and_back() {
        let (names, worst) = optimized(&Spelling {
            axes: vec![1],
            variance_axes: vec![1],
            ..usual()
        });
        assert!(names.contains(&"layer_norm"), "{names:?}");
        assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn a_variance_over_other_axes_is_none() {
        let (names, worst) = optimized(&Spelling {
            variance_axes: vec![2],
            ..usual()
        });
        assert!(!names.contains(&"layer_norm") || worst < 1e-5, "{names:?}");
        assert!(names.contains(&"sub"), "{names:?}");
    }
}
