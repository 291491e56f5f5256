//! `ocellus inspect`: what is in a model, and which kernel each layer gets.

use std::path::Path;

use anyhow::{Result, bail};
use ocellus_board_file::Board;
use ocellus_format::Isa;
use ocellus_import::SourceFormat;
use ocellus_kernels::best;
use serde_json::json;

use crate::anatomy;
use crate::args::InspectArgs;
use crate::board;
use crate::commands::convert::isa_named;
use crate::layers::{Layer, layers, simd_share};
use crate::output::{grouped, print_json, table};
use crate::sizes;
use crate::source::{FloatModel, ModelFile, Source, is_model_file};

pub(crate) fn run(args: &InspectArgs, json: bool) -> Result<()> {
    if !is_model_file(&args.model)? {
        if args.board.is_some() {
            bail!(
                "{}: kernels are chosen for .oce files; convert the model first",
                args.model.display()
            );
        }
        return inspect_float(&args.model, &Source::new(&args.source)?, json);
    }
    let file = ModelFile::open(&args.model)?;
    let view = file.view()?;
    let program = view.program();
    let info = file.interpreter.info();
    let board = args.board.as_deref().map(board::find).transpose()?;
    let isa: Isa = match &board {
        Some(board) => isa_of_board(board)?,
        None if program.isa == Isa::Reference => best(),
        None => program.isa,
    };
    let layers = layers(&file, isa)?;
    let memory = anatomy::memory_on(&file, board.as_ref())?;
    let regions = match &board {
        Some(board) => {
            let image = sizes::image(board, &file)?;
            // A model that does not fit is inspected all the same.
            sizes::regions(board, &file, image.as_ref()).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let tensors: Vec<_> = (0..view.tensor_count() as u16)
        .filter_map(|index| Some((index, view.tensor(index)?)))
        .filter(|(_, tensor)| tensor.class != ocellus_format::Class::Constant)
        .collect();
    if json {
        return print_json(json!({
            "model": args.model, "board": args.board, "isa": isa.name(), "file_isa": program.isa.name(),
            "model_bytes": file.bytes.len(), "arena_bytes": program.arena_bytes, "arena_lower_bound_bytes": memory.lower_bound_bytes,
            "arena_parts": memory.parts, "macs": program.macs,
            "macs_on_simd_share": simd_share(&layers),
            "source": info.source_name, "source_sha256": hex::encode(info.source_sha256), "converter": info.tool_version,
            "options": info.options, "notes": info.notes, "calibration_method": info.calibration.method,
            "inputs": info.inputs.iter().map(|i| json!({ "name": i.name, "shape": i.shape })).collect::<Vec<_>>(),
            "outputs": info.outputs.iter().map(|o| json!({ "name": o.name, "shape": o.shape })).collect::<Vec<_>>(),
            "layers": layers.iter().map(Layer::to_json).collect::<Vec<_>>(), "regions": regions,
            "tensors": tensors.iter().map(|(index, t)| json!({
                "name": info.tensor_names.get(usize::from(*index)), "shape": t.shape(), "scale": t.qparams.scale, "zero_point": t.qparams.zero_point,
                "offset": t.offset, "bytes": t.len_bytes, "first_step": t.first_step, "last_step": t.last_step,
            })).collect::<Vec<_>>(),
        }));
    }
    println!(
        "{}: from {} by ocellus {}",
        args.model.display(),
        info.source_name,
        info.tool_version
    );
    println!(
        "{} bytes; arena {} bytes (no plan of this order of operators needs less than {}); {} multiply-accumulates, {:.1} % of them on {} kernels",
        grouped(file.bytes.len() as u64),
        grouped(memory.arena_bytes),
        grouped(memory.lower_bound_bytes),
        grouped(program.macs),
        100.0 * simd_share(&layers),
        isa.name()
    );
    if memory.parts.len() > 1 {
        let parts = memory.parts.iter().map(|part| match &part.region {
            Some(region) => format!("{} bytes in {region}", grouped(part.bytes)),
            None => format!("{} bytes", grouped(part.bytes)),
        });
        println!(
            "parts of the arena, fast first: {}",
            parts.collect::<Vec<_>>().join(", ")
        );
    }
    for note in &info.notes {
        println!("note: {note}");
    }
    if !regions.is_empty() {
        print!("\n{}", sizes::regions_table(&regions));
    }
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|l| {
            vec![
                l.name.clone(),
                l.op.to_owned(),
                format!("{:?}", l.shape),
                grouped(l.macs),
                l.kernel.clone(),
            ]
        })
        .collect();
    print!(
        "\n{}",
        table(&["layer", "operator", "output", "macs", "kernel"], &rows)
    );
    let rows: Vec<Vec<String>> = tensors
        .iter()
        .map(|(index, t)| {
            vec![
                info.tensor_names
                    .get(usize::from(*index))
                    .cloned()
                    .unwrap_or_default(),
                format!("{:?}", t.shape()),
                format!("{:.6}", t.qparams.scale),
                t.qparams.zero_point.to_string(),
                t.offset.to_string(),
                grouped(u64::from(t.len_bytes)),
                format!("{}..{}", t.first_step, t.last_step),
            ]
        })
        .collect();
    print!(
        "\n{}",
        table(
            &[
                "tensor",
                "shape",
                "scale",
                "zero point",
                "arena offset",
                "bytes",
                "alive"
            ],
            &rows
        )
    );
    Ok(())
}

/// The kernels that a model gets on a board.
pub(crate) fn isa_of_board(board: &Board) -> Result<Isa> {
    // The PC runs what it has; every other board names its instruction set.
    if board.emulator.is_none() && !board.is_bare_metal() {
        Ok(best())
    } else {
        isa_named(board.isa.name())
    }
}

fn inspect_float(path: &Path, source: &Source, json: bool) -> Result<()> {
    let model = FloatModel::open(path, source, &[])?;
    let graph = model.graph();
    let rows: Vec<Vec<String>> = graph
        .nodes
        .iter()
        .map(|node| {
            vec![
                node.name.clone(),
                node.op.name().to_owned(),
                format!("{:?}", graph.tensor(node.output).shape),
            ]
        })
        .collect();
    let (format, opset) = match model.imported.format {
        SourceFormat::Onnx { opset } => ("onnx", Some(opset)),
        _ => ("tflite", None),
    };
    if json {
        return print_json(json!({
            "model": path, "format": format, "opset": opset, "producer": model.imported.producer, "notes": model.imported.notes,
            "inputs": graph.inputs.iter().map(|i| json!({ "name": i.name, "shape": i.shape })).collect::<Vec<_>>(),
            "outputs": graph.outputs.iter().map(|o| json!({ "name": o.name, "shape": o.shape })).collect::<Vec<_>>(),
            "layers": graph.nodes.iter().map(|n| json!({
                "name": n.name, "op": n.op.name(), "shape": graph.tensor(n.output).shape,
            })).collect::<Vec<_>>(),
            "passes": model.passes.iter().map(|p| json!({ "name": p.name, "changes": p.changes, "macs_saved": p.macs_saved })).collect::<Vec<_>>(),
        }));
    }
    let words = match opset {
        Some(opset) => format!("ONNX opset {opset}"),
        None => "TensorFlow Lite".to_owned(),
    };
    println!(
        "{}: {words}, by {}",
        path.display(),
        model.imported.producer
    );
    for input in &graph.inputs {
        println!("input {} {:?}", input.name, input.shape);
    }
    for output in &graph.outputs {
        println!("output {} {:?}", output.name, output.shape);
    }
    for summary in model.passes.iter().filter_map(crate::source::pass_summary) {
        println!("{summary}");
    }
    print!("\n{}", table(&["layer", "operator", "output"], &rows));
    Ok(())
}
