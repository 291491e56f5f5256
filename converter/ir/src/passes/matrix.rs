//! Products of computed matrices.

use super::edit::Links;
use crate::{Graph, GraphError, Op};

/// A transpose that brings an operand's innermost axis before the last is left to the product, which reads its operands either way.
pub(super) fn take_transpose(
    graph: &mut Graph,
    links: &Links,
    index: usize,
) -> Result<bool, GraphError> {
    let node = graph.nodes[index].clone();
    let Op::BatchMatMul { mut transposed } = node.op else {
        return Ok(false);
    };
    for position in 0..2 {
        let Some((source, mut order)) = graph.transpose_before(links, node.inputs[position]) else {
            continue;
        };
        let rank = order.len();
        if rank < 2 || order[rank - 2] != rank - 1 {
            continue;
        }
        order.swap(rank - 1, rank - 2);
        transposed[position] = !transposed[position];
        let mut inputs = node.inputs.clone();
        let mut nodes = Vec::new();
        if order.is_sorted() {
            inputs[position] = source;
        } else {
            let staged = graph.stage(
                format!("{}.operand", node.name),
                Op::Transpose { order },
                &[source],
            )?;
            graph.share_grid(&staged, node.inputs[position]);
            inputs[position] = staged.output;
            nodes.push(staged);
        }
        let mut product = node.clone();
        (product.op, product.inputs) = (Op::BatchMatMul { transposed }, inputs);
        nodes.push(product);
        graph.replace_node(index, nodes);
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use crate::passes::{Options, optimize};
    use crate::{BorderType, Graph, Op};

    /// What attention of two heads does: `[1, n, 2, d]` to `[1, 2, n, d]`, and the second operand further to `[1, 2, d, n]`.
    #[test]
    fn the_second_operand_of_an_attention_keeps_its_rows_whole() {
        let mut graph = Graph::default();
        let q = graph.add_input("q", vec![1, 5, 2, 3], BorderType::F32);
        let k = graph.add_input("k", vec![1, 7, 2, 3], BorderType::F32);
        let mut transpose = |x, order: [usize; 4]| {
            let order = order.to_vec();
            graph.add_node("t", Op::Transpose { order }, &[x]).unwrap()
        };
        let (q, k) = (transpose(q, [0, 2, 1, 3]), transpose(k, [0, 2, 3, 1]));
        let transposed = [false; 2];
        let y = graph
            .add_node("y", Op::BatchMatMul { transposed }, &[q, k])
            .unwrap();
        graph.add_output("y", y, BorderType::F32);
        optimize(&mut graph, &Options::default()).unwrap();
        let product = graph.nodes.iter().find(|node| node.name == "y").unwrap();
        assert_eq!(
            product.op,
            Op::BatchMatMul {
                transposed: [false, true]
            }
        );
    }
}
