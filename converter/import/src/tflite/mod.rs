//! TensorFlow Lite files: inputs, operators in the file's order, outputs.
//!
//! The file's layout is the graph's, `Nhwc`. Tensors are numbers in the file; their names serve messages and comparisons. Integers with a
//! scale stand for real numbers, and the graph holds those.

mod dilation;
mod ending;
mod file;
mod node;
mod operators;
mod sparse;
mod tensor;

use ocellus_ir::{BorderType, Rounding};
use sha2::{Digest, Sha256};
use tract_tflite::tflite::{Model, Operator, TensorType};

use crate::constant::ElementType;
use crate::error::{Outcome, Place, Refusal};
use crate::fold::fold;
use crate::masks;
use crate::source::{
    ImportOptions, Imported, SourceFormat, StatedSize, check_overrides, left_out, settle_shape,
};
use crate::tflite::file::{Node, TensorInfo, TfLiteFile, code, main_graph, name_of};
use crate::tflite::node::Tx;
use crate::values::{Importer, Live, Value};

pub use operators::supported_tflite_operators;

/// The names of the inputs, in order.
pub(crate) fn input_names(bytes: &[u8]) -> Outcome<Vec<String>> {
    let file = TfLiteFile::new(file::open(bytes)?)?;
    input_indices(&file)?
        .into_iter()
        .map(|index| Ok(file.tensors[index].name.clone()))
        .collect()
}

fn input_indices(file: &TfLiteFile<'_>) -> Outcome<Vec<usize>> {
    let inputs = main_graph(&file.model)?.inputs();
    let indices: Vec<i32> = inputs.iter().flatten().collect();
    indices
        .into_iter()
        .map(|index| Ok(file.tensor(index)?.0))
        .collect()
}

/// Imports the file's bytes.
pub(crate) fn import(bytes: &[u8], options: &ImportOptions) -> Outcome<Imported> {
    let model = file::open(bytes)?;
    let mut file = TfLiteFile::new(model)?;
    file.cut_to(&options.outputs)?;
    let operators = file::operators(&main_graph(&model)?)?;
    dilation::find(&mut file, &operators)?;
    let ended = match options.outputs.is_empty() {
        true => {
            let needed = needed(&file, &operators)?;
            ending::end(&mut file, &operators, &needed)?
        }
        false => Vec::new(),
    };
    let mut importer = Importer::new(file, bytes.len());
    importer.notes.extend(ended);
    inputs(&mut importer, options)?;
    let needed = needed(&importer.file, &operators)?;
    for (index, operator) in operators.iter().enumerate() {
        if needed[index] {
            run_operator(&mut importer, index, *operator)
                .map_err(|refusal| refusal.at(place_of(&importer.file, index, operator)))?;
        }
    }
    outputs(&mut importer)?;
    importer.graph.rounding = Rounding::LiteRt {
        unsigned: stores_unsigned(&importer.file, &operators)?,
    };
    let subgraphs = model.subgraphs().map_or(0, |graphs| graphs.len());
    if subgraphs > 1 {
        importer.notes.push(format!(
            "the file holds {subgraphs} graphs; the first was taken"
        ));
    }
    masks::settle(&mut importer.graph);
    importer
        .graph
        .verify()
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    Ok(Imported {
        graph: importer.graph,
        format: SourceFormat::TfLite,
        producer: model.description().unwrap_or_default().to_owned(),
        metadata: metadata(&model),
        source_sha256: Sha256::digest(bytes).into(),
        notes: importer.notes,
    })
}

/// True for files of the older scheme, which store activations as `uint8`.
fn stores_unsigned(file: &TfLiteFile<'_>, operators: &[Operator<'_>]) -> Outcome<bool> {
    for operator in operators {
        for index in operator.outputs().iter().flatten() {
            let (_, info) = file.tensor(index)?;
            if info.ty == TensorType::UINT8 && info.quantization.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The file's own entries, as far as they are text.
pub(crate) fn read_metadata(bytes: &[u8]) -> Outcome<Vec<(String, String)>> {
    Ok(metadata(&file::open(bytes)?))
}

fn metadata(model: &Model<'_>) -> Vec<(String, String)> {
    let entries = model.metadata();
    entries
        .iter()
        .flatten()
        .filter_map(|entry| {
            let at = usize::try_from(entry.buffer()).ok()?;
            let buffers = model.buffers().filter(|buffers| at < buffers.len())?;
            let bytes = buffers.get(at).data()?.bytes();
            let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
            let printable = !text.is_empty() && !text.chars().any(char::is_control);
            printable.then(|| (entry.name().unwrap_or_default().to_owned(), text.to_owned()))
        })
        .collect()
}

fn inputs(importer: &mut Importer<TfLiteFile<'_>>, options: &ImportOptions) -> Outcome<()> {
    let indices = input_indices(&importer.file)?;
    let infos: Vec<TensorInfo<'_>> = indices
        .iter()
        .map(|&index| importer.file.tensors[index].clone())
        .collect();
    let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
    check_overrides(&names, options)?;
    for (index, info) in indices.into_iter().zip(&infos) {
        let place = || Place::Input(info.name.clone());
        if importer.file.values[index].is_some() {
            return Err(Refusal::malformed("it is an input twice").at(place()));
        }
        let value = input(importer, info, options).map_err(|refusal| refusal.at(place()))?;
        importer.file.values[index] = Some(value);
    }
    Ok(())
}

fn input(
    importer: &mut Importer<TfLiteFile<'_>>,
    info: &TensorInfo<'_>,
    options: &ImportOptions,
) -> Outcome<Value> {
    let sizes: Vec<StatedSize> = info
        .shape
        .iter()
        .zip(&info.open)
        .map(|(&size, &open)| match open || size == 0 {
            true => Err("?".to_owned()),
            false => Ok(size),
        })
        .collect();
    let shape = settle_shape(&info.name, Some(sizes), options, &mut importer.notes)?;
    let (border, ty) = match info.ty {
        TensorType::FLOAT32 => (BorderType::F32, ElementType::Real),
        TensorType::UINT8 => (BorderType::U8, ElementType::U8),
        TensorType::INT8 => (BorderType::S8, ElementType::S8),
        TensorType::INT32 => (BorderType::S32, ElementType::S32),
        TensorType::INT64 => (BorderType::S64, ElementType::S64),
        other => {
            let name = other.variant_name().unwrap_or("unknown");
            return Err(Refusal::unsupported(format!(
                "its type {name} is not supported; use FLOAT32, UINT8 or INT8, for indices INT32 or INT64"
            )));
        }
    };
    let Some(grid) = info.grid()? else {
        let id = importer.graph.add_input(info.name.clone(), shape, border);
        return Ok(Value::Live(Live {
            id,
            ty,
            quantized: false,
        }));
    };
    // The user hands in the integers; the graph computes with what they stand for.
    let id = importer
        .graph
        .add_grid_input(info.name.clone(), shape, border, grid)
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    Ok(Value::Live(Live {
        id,
        ty: ElementType::Real,
        quantized: false,
    }))
}

/// Which operators the outputs depend on.
fn needed(file: &TfLiteFile<'_>, operators: &[Operator<'_>]) -> Outcome<Vec<bool>> {
    let mut wanted = vec![false; file.tensors.len()];
    for &output in &file.outputs {
        wanted[file.tensor(output)?.0] = true;
    }
    let mut needed = vec![false; operators.len()];
    for (index, operator) in operators.iter().enumerate().rev() {
        let at = |refusal: Refusal| refusal.at(place_of(file, index, operator));
        for output in operator.outputs().iter().flatten() {
            needed[index] |= wanted[file.tensor(output).map_err(at)?.0];
        }
        if !needed[index] {
            continue;
        }
        for input in operator.inputs().iter().flatten().filter(|&i| i != -1) {
            wanted[file.tensor(input).map_err(at)?.0] = true;
        }
    }
    Ok(needed)
}

fn place_of(file: &TfLiteFile<'_>, index: usize, operator: &Operator<'_>) -> Place {
    let named = operator
        .outputs()
        .and_then(|outputs| outputs.iter().next())
        .and_then(|output| file.tensor(output).ok());
    Place::Node {
        index,
        name: named.map_or_else(String::new, |(_, info)| info.name.clone()),
        operator: code(&file.model, operator).map_or_else(
            |_| "operator".to_owned(),
            |(code, custom)| name_of(code, custom),
        ),
    }
}

fn run_operator<'a>(
    importer: &mut Importer<TfLiteFile<'a>>,
    index: usize,
    operator: Operator<'a>,
) -> Outcome<()> {
    let (code, custom) = code(&importer.file.model, &operator)?;
    let listed: Vec<i32> = operator.inputs().iter().flatten().collect();
    let results: Vec<i32> = operator.outputs().iter().flatten().collect();
    let results = results
        .into_iter()
        .map(|output| Ok(importer.file.tensor(output)?.0))
        .collect::<Outcome<Vec<usize>>>()?;
    operators::refuse_unknown(&importer.file, code, custom, &listed)?;
    let mut inputs = Vec::with_capacity(listed.len());
    for input in listed {
        inputs.push(match input {
            -1 => None,
            input => {
                let at = importer.file.tensor(input)?.0;
                Some(importer.file.value(at)?)
            }
        });
    }
    let name = match results.first() {
        Some(&first) => importer.file.tensors[first].name.clone(),
        None => return Err(Refusal::malformed("it has no output")),
    };
    let tensors_before = importer.graph.tensors.len();
    importer.file.nodes_before = importer.graph.nodes.len();
    let mut cx = Tx {
        importer,
        node: Node { index, operator },
        inputs,
        name,
    };
    let values = operators::import_operator(&mut cx, code, custom)?;
    let first = importer.file.nodes_before;
    let values = fold(importer, first, values)?;
    for (&tensor, value) in results.iter().zip(values) {
        if importer.file.values[tensor].is_some() {
            return Err(Refusal::malformed(
                "its output is already provided by something else",
            ));
        }
        let value = match value {
            Value::Live(live) => Value::Live(settle(importer, tensor, live, tensors_before)?),
            constant => constant,
        };
        importer.file.values[tensor] = Some(value);
    }
    Ok(())
}

/// Gives an operator's result the name and the grid of the file's tensor.
fn settle(
    importer: &mut Importer<TfLiteFile<'_>>,
    tensor: usize,
    live: Live,
    tensors_before: usize,
) -> Outcome<Live> {
    let info = &importer.file.tensors[tensor];
    let (name, grid) = (info.name.clone(), info.grid()?);
    let fresh = live.id.0 >= tensors_before;
    let id = match grid {
        Some(_) if live.ty != ElementType::Real => {
            return Err(Refusal::unsupported("bytes without a scale cannot get one"));
        }
        Some(grid) if fresh => {
            importer.graph.set_grid(live.id, grid);
            live.id
        }
        Some(grid) => importer
            .graph
            .quantized(&name, live.id, grid)
            .map_err(|error| Refusal::malformed(error.to_string()))?,
        None => live.id,
    };
    if id.0 >= tensors_before {
        importer.graph.tensors[id.0].name = name;
    }
    Ok(Live { id, ..live })
}

fn outputs(importer: &mut Importer<TfLiteFile<'_>>) -> Outcome<()> {
    let indices = importer.file.outputs.clone();
    if indices.is_empty() {
        return Err(Refusal::malformed("it has no outputs"));
    }
    let mut constant = Vec::new();
    for index in indices {
        let index = importer.file.tensor(index)?.0;
        let info = importer.file.tensors[index].clone();
        let at = |refusal: Refusal| refusal.at(Place::Output(info.name.clone()));
        match importer.file.value(index).map_err(at)? {
            Value::Live(live) => output(importer, &live, &info).map_err(at)?,
            Value::Constant(_) => constant.push(info.name),
        }
    }
    match constant.first() {
        Some(first) if importer.graph.outputs.is_empty() => {
            let reason =
                "it does not depend on the model's inputs; remove this output from the model";
            Err(Refusal::unsupported(reason).at(Place::Output(first.clone())))
        }
        _ => {
            importer
                .notes
                .extend(constant.iter().map(|name| left_out(name)));
            Ok(())
        }
    }
}

fn output(
    importer: &mut Importer<TfLiteFile<'_>>,
    live: &Live,
    info: &TensorInfo<'_>,
) -> Outcome<()> {
    let border = match info.ty {
        TensorType::FLOAT32 => BorderType::F32,
        TensorType::UINT8 => BorderType::U8,
        TensorType::INT8 => BorderType::S8,
        TensorType::INT32 if live.ty == ElementType::S32 => BorderType::S32,
        TensorType::INT64 if live.ty == ElementType::S64 => BorderType::S64,
        other => {
            return Err(Refusal::unsupported(format!(
                "its type {} is not supported; use FLOAT32, INT8 or UINT8",
                other.variant_name().unwrap_or("unknown")
            )));
        }
    };
    if border != BorderType::F32 && live.ty == ElementType::Real && info.grid()?.is_none() {
        return Err(Refusal::malformed(
            "its integers stand for real numbers, but it has no scale",
        ));
    }
    importer
        .graph
        .add_output(info.name.clone(), live.id, border);
    Ok(())
}
