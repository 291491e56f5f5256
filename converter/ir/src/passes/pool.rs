//! Frames taken into windows, and means as pools.

use super::edit::Links;
use crate::{Graph, GraphError, Op, UnaryOp, Window};

pub(super) fn fold_pad(graph: &mut Graph, links: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Some(pad) = node.inputs.first().and_then(|x| links.producer(*x)) else {
        return Ok(false);
    };
    let Op::Pad {
        before,
        after,
        value,
    } = &graph.nodes[pad].op
    else {
        return Ok(false);
    };
    let &[0, top, left, 0] = before.as_slice() else {
        return Ok(false);
    };
    let &[0, bottom, right, 0] = after.as_slice() else {
        return Ok(false);
    };
    let framed = |window: &Window| Window {
        pad_before: [window.pad_before[0] + top, window.pad_before[1] + left],
        pad_after: [window.pad_after[0] + bottom, window.pad_after[1] + right],
        ..*window
    };
    let source = graph.nodes[pad].inputs[0];
    if !graph.is_as_before(source, graph.nodes[pad].output) {
        return Ok(false);
    }
    let op = match &node.op {
        Op::Conv2d { window, groups } if *value == 0.0 => Op::Conv2d {
            window: framed(window),
            groups: *groups,
        },
        // Padding of the pool itself counts as zero only where it is in the divisor.
        Op::AveragePool2d {
            kernel,
            window,
            count_include_pad,
        } if *value == 0.0 && (*count_include_pad || window.is_unpadded()) => Op::AveragePool2d {
            kernel: *kernel,
            window: framed(window),
            count_include_pad: true,
        },
        Op::MaxPool2d { kernel, window } => {
            // A pool's own padding never wins. Neither does a frame that no value is below, as long as each window holds a value.
            let framed = framed(window);
            let beyond = |i: usize| framed.pad_before[i].max(framed.pad_after[i]) >= kernel[i];
            let input_floor = links.producer(source).and_then(|i| {
                let node = &graph.nodes[i];
                let floor = match node.op {
                    Op::Unary(UnaryOp::Clip { min, .. }) => min,
                    _ => node.clamp?.0,
                };
                Some(graph.grid(source).map_or(floor, |grid| grid.round(floor)))
            });
            let harmless = *value <= f32::MIN || input_floor.is_some_and(|floor| *value <= floor);
            if !harmless || framed.dilation != [1, 1] || beyond(0) || beyond(1) {
                return Ok(false);
            }
            Op::MaxPool2d {
                kernel: *kernel,
                window: framed,
            }
        }
        _ => return Ok(false),
    };
    let node = &mut graph.nodes[index];
    node.op = op;
    node.inputs[0] = source;
    Ok(true)
}

/// Means over axes 1 and 2 of four, or over axis 1 of three, of one picture.
pub(super) fn mean_to_pool(graph: &mut Graph, _: &Links, index: usize) -> Result<bool, GraphError> {
    let node = &graph.nodes[index];
    let Op::Mean { axes, .. } = &node.op else {
        return Ok(false);
    };
    let (x, name) = (node.inputs[0], node.name.clone());
    let shape = graph.shape(x);
    let picture = match (shape, axes.as_slice()) {
        (&[1, h, w, c], [1] | [2] | [1, 2]) => [1, h, w, c],
        (&[1, h, c], [1]) => [1, h, 1, c],
        _ => return Ok(false),
    };
    let kernel = [
        if axes.contains(&1) { picture[1] } else { 1 },
        if axes.contains(&2) { picture[2] } else { 1 },
    ];
    let reshape = (shape != picture).then_some(picture);
    let target = graph.shape(node.output).to_vec();
    let mut nodes = Vec::new();
    let mut at = x;
    if let Some(picture) = reshape {
        nodes.push(graph.stage(
            format!("{name}.picture"),
            Op::Reshape {
                shape: picture.to_vec(),
            },
            &[at],
        )?);
        at = nodes[0].output;
    }
    let pool = Op::AveragePool2d {
        kernel,
        window: Window {
            stride: [1, 1],
            ..Window::UNIT
        },
        count_include_pad: false,
    };
    let mut pooled = graph.stage(format!("{name}.pool"), pool, &[at])?;
    at = pooled.output;
    graph.share_grid(&pooled, graph.nodes[index].output);
    pooled.name = name.clone();
    nodes.push(pooled);
    if graph.shape(at) != target {
        nodes.push(graph.stage(
            format!("{name}.shape"),
            Op::Reshape { shape: target },
            &[at],
        )?);
    }
    graph.replace_node(index, nodes);
    Ok(true)
}
