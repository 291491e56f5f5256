//! Whole models against LiteRT and ONNX Runtime, from the folder of `litert.py models` and `onnx_runtime.py models` that `OCELLUS_PEERS` names: the
//! long form.

use std::io::Write;
use std::path::PathBuf;

use ocellus_ir::{Executor, Graph, View, eval};

use crate::operators::{as_the_user_sees, compiled, graphs, on_the_device};
use crate::vectors::{Case, read_whole};

fn say(line: &str) {
    // Nothing is lost with it but the line.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Differences of one output over samples.
#[derive(Default)]
struct Tally {
    worst: f32,
    samples: usize,
    /// Samples with the same strongest place.
    same: usize,
    /// Samples of which a value is off by more than two.
    beyond_two: usize,
    /// The largest number of the peer.
    largest: f32,
}

impl Tally {
    fn add(&mut self, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len());
        let strongest = |values: &[f32]| {
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            values.iter().position(|&v| v == largest)
        };
        let mut beyond = false;
        for (a, b) in ours.iter().zip(theirs) {
            let off = (a - b).abs();
            beyond |= off > 2.0;
            self.largest = self.largest.max(b.abs());
            self.worst = if off.is_nan() {
                f32::INFINITY
            } else {
                self.worst.max(off)
            };
        }
        self.beyond_two += usize::from(beyond);
        self.samples += 1;
        self.same += usize::from(strongest(ours) == strongest(theirs));
    }
}

/// One layer from the peer's own inputs: how many steps the farthest value is off, by the rule of the graph's rounding.
fn layers(case: &Case, graph: &Graph) -> Option<(f32, String)> {
    let mut worst = None;
    for node in &graph.nodes {
        let output = graph.tensor(node.output);
        let (Some(theirs), Some(grid)) = (case.tensors.get(&output.name), &output.grid) else {
            continue;
        };
        let real = |id: &ocellus_ir::TensorId| {
            let tensor = graph.tensor(*id);
            if let Some(values) = &tensor.value {
                return Some(values.to_vec());
            }
            let stored = case.tensors.get(&tensor.name)?;
            let integers = stored.values.to_f32();
            let grid = tensor.grid.as_ref()?;
            let above = match stored.values {
                ocellus_data::Values::U8(_) => 128,
                _ => 0,
            };
            let zero = (grid.zero_point + above) as f32;
            Some(integers.iter().map(|q| (q - zero) * grid.scale()).collect())
        };
        let Some(inputs) = node.inputs.iter().map(real).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let views: Vec<View<'_>> = node
            .inputs
            .iter()
            .zip(&inputs)
            .map(|(id, data)| View {
                shape: &graph.tensor(*id).shape,
                data,
            })
            .collect();
        let mut ours = eval(&node.op, node.clamp, &views).expect("a sound node");
        grid.round_all(&mut ours);
        let above = match theirs.values {
            ocellus_data::Values::U8(_) => 128,
            _ => 0,
        };
        let zero = (grid.zero_point + above) as f32;
        let off = ours
            .iter()
            .zip(theirs.values.to_f32())
            .map(|(v, q)| ((v / grid.scale()).round_ties_even() + zero - q).abs())
            .fold(0.0, f32::max);
        let limit = if node.op.name() == "softmax" {
            2.0
        } else {
            1.0
        };
        assert!(
            off <= limit,
            "{}: layer `{}` ({}) is off by {off}",
            case.name,
            node.name,
            node.op.name()
        );
        if worst.as_ref().is_none_or(|(most, _)| off > *most) {
            worst = Some((off, node.name.clone()));
        }
    }
    worst
}

#[test]
fn whole_models_agree_with_their_peers() {
    let Some(folder) = std::env::var_os("OCELLUS_PEERS").map(PathBuf::from) else {
        say(
            "SKIPPED whole_models_agree_with_their_peers: OCELLUS_PEERS names no folder of vectors",
        );
        return;
    };
    let files = std::fs::read_dir(&folder).expect("the folder of OCELLUS_PEERS");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    for path in files {
        let case = read_whole(&path);
        let [imported, graph] = graphs(&case);
        let mut computed = graph.nodes.iter().map(|node| graph.tensor(node.output));
        let quantized = computed.any(|tensor| tensor.grid.is_some());
        let samples = case.inputs[0].shape[0];
        // What the device cannot hold yet is said, and the graph compared all the same.
        let device = quantized.then(|| compiled(&case.name, &graph));
        let device = device.and_then(|made| made.inspect_err(|error| say(error)).ok());
        let mut executor = Executor::new(&graph).expect("a sound graph");
        let (mut in_float, mut in_integers) = (Tally::default(), Tally::default());
        for sample in 0..samples {
            let part = |array: &ocellus_data::Array| {
                let values = array.values.to_f32();
                let one = values.len() / samples;
                values[sample * one..][..one].to_vec()
            };
            let inputs: Vec<Vec<f32>> = case.inputs.iter().map(part).collect();
            let views: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let results = executor.run(&views, &mut |_, _| ()).expect("it runs");
            let device = device
                .as_ref()
                .map(|device| on_the_device(device, &graph, &inputs));
            for (i, output) in graph.outputs.iter().enumerate() {
                let theirs = part(&case.outputs[i]);
                in_float.add(&as_the_user_sees(&graph, output, &results[i]), &theirs);
                if let Some(device) = &device {
                    in_integers.add(&device[i], &theirs);
                }
            }
        }
        let mut line = format!(
            "{}: {samples} samples; graph off by {}, strongest equal {} of {}",
            case.name, in_float.worst, in_float.same, in_float.samples
        );
        if device.is_some() {
            line += &format!(
                "; device off by {}, by more than 2 in {} samples, strongest equal {} of {}",
                in_integers.worst, in_integers.beyond_two, in_integers.same, in_integers.samples
            );
        }
        if let Some((off, layer)) = layers(&case, &imported) {
            line += &format!("; farthest layer `{layer}` off by {off}");
        }
        say(&line);
        if !quantized {
            let relative = in_float.worst / in_float.largest.max(1.0);
            // This file's weights are int8 between float tensors: LiteRT then rounds activations as it runs.
            let limit = if case.name == "kws_ref_f32" {
                0.05
            } else {
                1e-4
            };
            assert!(relative < limit, "{}: off by {relative}", case.name);
        }
        // What rebuilds its input names no class. Of ResNet-8 on 400 pictures LiteRT's built-in kernels agree with its own reference on 98 %
        // and with XNNPACK on 96.5 %: where halves go decides there, and more than that cannot be asked of a third implementation.
        if quantized && !case.name.starts_with("ad01") {
            for tally in [in_float, in_integers] {
                assert!(tally.same * 100 >= tally.samples * 95, "{}", case.name);
            }
        }
    }
}
