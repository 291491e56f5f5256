//! Compiles a model and compares int8 with float, on samples from a raw file.
//!
//! `cargo run --release -p ocellus-compile --example try -- MODEL.onnx SAMPLES.f32 CALIBRATION_COUNT [method=min-max] [isa=helium] [without=PASS] [NAME=1x2x3] [out=FILE]`
//!
//! `SAMPLES.f32` holds little-endian floats, one sample of the first input after the other. The first `CALIBRATION_COUNT` calibrate, the rest
//! are measured: agreement of the largest value of output 0, and signal to noise of every output.

use std::error::Error;
use std::path::Path;

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_compile::{Calibration, Method, Options, Sample, Target, compile};
use ocellus_format::Isa;
use ocellus_import::{ImportOptions, import_onnx};
use ocellus_ir::Executor;
use ocellus_kernels::{Kernels, WithKernels};

struct Run<'a> {
    interpreter: &'a Interpreter,
    input: Vec<i8>,
}

impl WithKernels for Run<'_> {
    type Output =
        Result<ocellus_compile::interpret::Outcome, ocellus_compile::interpret::InterpretError>;

    fn run<K: Kernels>(self, kernels: K) -> Self::Output {
        self.interpreter.run(kernels, &[self.input], Taps::None)
    }
}

fn largest(values: &[f32]) -> usize {
    values
        .iter()
        .enumerate()
        .fold(0, |best, (i, v)| if *v > values[best] { i } else { best })
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, samples, calibration_count, rest @ ..] = args.as_slice() else {
        return Err("MODEL.onnx SAMPLES.f32 CALIBRATION_COUNT".into());
    };
    let calibration_count: usize = calibration_count.parse()?;
    let mut options = Options::default();
    let mut method = Method::default();
    let mut import = ImportOptions::default();
    let mut out = None;
    for arg in rest {
        let (name, value) = arg.split_once('=').ok_or("NAME=VALUE")?;
        match name {
            "method" => method = value.parse()?,
            "isa" => {
                options.target =
                    Target::Isa(Isa::from_name(value).ok_or("unknown instruction set")?)
            }
            "without" => options.passes = options.passes.without(value).ok_or("unknown pass")?,
            "out" => out = Some(value),
            _ => import.input_shapes.push((
                name.into(),
                value.split('x').map(str::parse).collect::<Result<_, _>>()?,
            )),
        }
    }
    let mut graph = import_onnx(Path::new(model), &import)?.graph;
    ocellus_ir::passes::optimize(&mut graph, &Default::default())?;
    let len: usize = graph.inputs[0].shape.iter().product();
    let floats: Vec<f32> = std::fs::read(samples)?
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    let all: Vec<&[f32]> = floats.chunks_exact(len).collect();
    let given = all[..calibration_count].iter().map(|x| Sample {
        inputs: vec![x.to_vec()],
        sha256: None,
    });
    let calibration = Calibration::collect(&graph, given, method, |done| {
        if done % 50 == 0 {
            eprintln!("calibrated {done}");
        }
    })?;
    let compiled = compile(&graph, &calibration, &options, None)?;
    let report = &compiled.report;
    for layer in &report.layers {
        println!(
            "{:40.40} {:18} {:30} {:>11} MAC {:?} {} B alive{}",
            layer.name,
            layer.op,
            layer.kernel,
            layer.macs,
            layer.shape,
            layer.live_bytes,
            if layer.in_place { ", in place" } else { "" }
        );
    }
    for note in &report.notes {
        println!("note: {note}");
    }
    println!(
        "{} operators, {} MAC, model {} B, arena {} B (bound {} B), {} channels: {} dead, {} widened, {} slow",
        report.layers.len(),
        report.macs,
        report.model_bytes,
        report.arena_bytes,
        report.arena_lower_bound_bytes,
        report.channels,
        report.dead_channels,
        report.widened_channels,
        report.slow_requants
    );
    if let Some(out) = out {
        std::fs::write(out, &compiled.bytes)?;
    }

    let interpreter = Interpreter::new(&compiled.bytes)?;
    let mut executor = Executor::new(&graph)?;
    let mut agree = 0;
    let mut power = vec![[0f64; 2]; graph.outputs.len()];
    let measured = &all[calibration_count..];
    for (index, x) in measured.iter().enumerate() {
        let float = executor.run(&[x], &mut |_, _| {})?;
        let input = in_graph_order(x, &graph.inputs[0].shape, &graph.inputs[0].order);
        let run = Run {
            interpreter: &interpreter,
            input: interpreter.quantize_input(0, &input),
        };
        let outcome = ocellus_kernels::dispatch(ocellus_kernels::best(), run).ok_or("no kernels")??;
        let int8 = interpreter.assemble(&outcome);
        for ((float, (_, _, int8)), power) in float.iter().zip(&int8).zip(&mut power) {
            for (a, b) in float.iter().zip(int8) {
                power[0] += f64::from(*a).powi(2);
                power[1] += f64::from(a - b).powi(2);
            }
        }
        agree += usize::from(largest(&float[0]) == largest(&int8[0].2));
        if index % 200 == 199 {
            eprintln!("measured {}", index + 1);
        }
    }
    for (output, [signal, noise]) in graph.outputs.iter().zip(&power) {
        println!(
            "output `{}` {:?}: {:.1} dB",
            output.name,
            output.shape,
            10.0 * (signal / noise).log10()
        );
    }
    println!(
        "{model} {method}: agreement {:.2} % of {}",
        100.0 * agree as f64 / measured.len().max(1) as f64,
        measured.len()
    );
    Ok(())
}

/// Values of the source's order of axes in the graph's.
fn in_graph_order(x: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let shape: Vec<u32> = shape.iter().map(|&size| size as u32).collect();
    let order = order.iter().map(|&axis| axis as u8).collect();
    let transposed = ocellus_format::Assembly::output(0)
        .transpose(order)
        .evaluate(&[(shape, x.to_vec())]);
    transposed.map(|(_, values)| values).unwrap_or_default()
}
