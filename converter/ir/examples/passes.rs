//! Optimizes a model file and says what each pass did, whether the results stayed the same, and how long float inference takes.
//!
//! `cargo run --release -p ocellus-ir --example passes -- MODEL.onnx [INPUT=1x3x448x640]...`

use std::error::Error;
use std::time::Instant;

use ocellus_import::{ImportOptions, import};
use ocellus_ir::random::Random;
use ocellus_ir::{Executor, Graph, Options, optimize};

fn run(graph: &Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let mut executor = Executor::new(graph)?;
    let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
    executor.run(&inputs, &mut |_, _| {})?;
    let start = Instant::now();
    let outputs = executor.run(&inputs, &mut |_, _| {})?;
    println!(
        "{} nodes, {} MACs, {:.1?} an inference",
        graph.nodes.len(),
        graph.macs(),
        start.elapsed()
    );
    Ok(outputs)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args
        .next()
        .ok_or("usage: passes MODEL.onnx [INPUT=1x3x448x640]...")?;
    let input_shapes = args.map(|arg| {
        let (name, shape) = arg.split_once('=').ok_or("INPUT=SHAPE")?;
        let shape = shape
            .split('x')
            .map(str::parse)
            .collect::<Result<Vec<usize>, _>>()?;
        Ok((name.to_owned(), shape))
    });
    let input_shapes = input_shapes.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let options = ImportOptions {
        input_shapes,
        ..Default::default()
    };
    let mut graph = import(path.as_ref(), &options)?.graph;
    let mut random = Random::new(1);
    let inputs: Vec<_> = graph
        .inputs
        .iter()
        .map(|input| random.values(input.shape.iter().product()))
        .collect();
    let before = run(&graph, &inputs)?;
    let start = Instant::now();
    for report in optimize(&mut graph, &Options::default())?
        .iter()
        .filter(|report| report.changes > 0)
    {
        println!(
            "{:>5} x {}: {} nodes, {} MACs less",
            report.changes, report.name, report.nodes_saved, report.macs_saved
        );
    }
    println!("optimized in {:.1?}", start.elapsed());
    let after = run(&graph, &inputs)?;
    for (i, node) in graph.nodes.iter().enumerate() {
        println!(
            "{i:>4} {:<20} {:?} {:?} {}",
            node.op.name(),
            graph.tensor(node.output).shape,
            node.clamp,
            node.name
        );
    }
    for (output, (a, b)) in graph.outputs.iter().zip(before.iter().zip(&after)) {
        let largest = a.iter().fold(0.0f32, |max, v| max.max(v.abs()));
        let error = a
            .iter()
            .zip(b)
            .fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
        println!(
            "{}: {:?}, largest value {largest}, largest change {error}",
            output.name, output.assembly
        );
    }
    Ok(())
}
