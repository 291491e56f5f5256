//! A whole ONNX file: inputs with their sizes, nodes in order, outputs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::Path;

use ocellus_ir::BorderType;
use prost::Message;
use sha2::{Digest, Sha256};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, tensor_shape_proto::dimension,
    type_proto,
};

use crate::constant::ElementType;
use crate::cut::{advice, hanging, own_end, reads};
use crate::error::{ImportError, Outcome, Place, Refusal, shown};
use crate::fold::fold;
use crate::inline::inline;
use crate::masks;
use crate::operators::{can_import, import_node};
use crate::source::{
    ImportOptions, Imported, SourceFormat, StatedSize, check_overrides, find_output, left_out,
    read, settle_shape,
};
use crate::values::{Cx, Importer, Live, OnnxFile, Value};

/// The operator sets whose meanings this importer knows.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=23;
/// More nodes than this are no model for a device.
const MAX_NODES: usize = 20_000;

/// Imports an ONNX file.
///
/// # Errors
/// An [`ImportError`], which names the file, the place and what to do.
pub fn import_onnx(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|refusal| refusal.in_file(&name))?;
    import(&bytes, path.parent(), options).map_err(|refusal| refusal.in_file(&name))
}

/// Imports an ONNX file's bytes; `name` is for messages. Tensors stored in other files are refused.
///
/// # Errors
/// As [`import_onnx`].
pub fn import_onnx_bytes(
    name: &str,
    bytes: &[u8],
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    import(bytes, None, options).map_err(|refusal| refusal.in_file(name))
}

/// Decodes the file and its graph.
pub(crate) fn decode(bytes: &[u8]) -> Outcome<ModelProto> {
    if bytes.is_empty() {
        return Err(Refusal::malformed("it is empty"));
    }
    let model = ModelProto::decode(bytes).map_err(|error| {
        Refusal::malformed(format!(
            "it is no ONNX file, or it is cut off or damaged ({error}); fetch or export it again"
        ))
    })?;
    if model.graph.is_none() {
        return Err(Refusal::malformed(
            "it holds no graph, so it is no ONNX model; fetch or export it again",
        ));
    }
    Ok(model)
}

/// Imports the file's bytes; `folder` is where tensors stored in other files lie.
pub(crate) fn import(
    bytes: &[u8],
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Outcome<Imported> {
    let mut model = decode(bytes)?;
    write_out(&mut model)?;
    let ended = cut_to(&mut model, options)?;
    let opset = model
        .opset_import
        .iter()
        .find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"))
        .map(|set| set.version)
        .ok_or_else(|| Refusal::malformed("it names no ONNX operator set"))?;
    if !OPSETS.contains(&opset) {
        return Err(Refusal::unsupported(format!(
            "it uses ONNX operator set {opset}; {} to {} are supported, export it for one of them",
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    let Some(file) = &model.graph else {
        return Err(Refusal::malformed("it holds no graph"));
    };
    if !file.sparse_initializer.is_empty() {
        return Err(Refusal::unsupported(
            "it stores sparse tensors, which are not supported; store them dense",
        ));
    }
    let known = OnnxFile {
        opset,
        folder,
        initializers: file
            .initializer
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor))
            .collect(),
        values: HashMap::new(),
        left_out: HashMap::new(),
    };
    let mut importer = Importer::new(known, bytes.len());
    importer.notes.extend(ended);
    inputs(&mut importer, file, options)?;
    let steps = order(file)?;
    for (step, &index) in steps.iter().enumerate() {
        let here = &file.node[index];
        if let Err(mut refusal) = node(&mut importer, index, here) {
            if !can_import(here) || here.op_type == "NonZero" {
                let values = &importer.file.values;
                let live = |name: &str| matches!(values.get(name), Some(Value::Live(_)));
                if let Some(advice) = advice(file, &steps, step, live) {
                    refusal.reason = format!("{}; {advice}", refusal.reason);
                }
            }
            return Err(refusal);
        }
    }
    outputs(&mut importer, file)?;
    masks::settle(&mut importer.graph);
    importer
        .graph
        .verify()
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    let mut producer = model.producer_name.clone();
    if !model.producer_version.is_empty() {
        producer = format!("{producer} {}", model.producer_version);
    }
    Ok(Imported {
        graph: importer.graph,
        format: SourceFormat::Onnx { opset },
        producer,
        metadata: key_values(&model),
        source_sha256: Sha256::digest(bytes).into(),
        notes: importer.notes,
    })
}

/// Writes the model's own functions out, and refuses a graph with more nodes than are looked at.
fn write_out(model: &mut ModelProto) -> Outcome<()> {
    inline(model, MAX_NODES)?;
    match &model.graph {
        Some(file) if file.node.len() > MAX_NODES => Err(Refusal::unsupported(format!(
            "it has {} nodes; the limit is {MAX_NODES}",
            file.node.len()
        ))),
        _ => Ok(()),
    }
}

/// Makes the tensors that the options name the outputs of the model; without them, those at which it ends by itself, and no constants. The sentences that
/// come back say where that is not as the file has it.
fn cut_to(model: &mut ModelProto, options: &ImportOptions) -> Outcome<Vec<String>> {
    let Some(file) = &mut model.graph else {
        return Ok(Vec::new());
    };
    let mut notes = Vec::new();
    let names = if options.outputs.is_empty() {
        let order = order(file)?;
        let inputs = real_inputs(file).map(|info| info.name.as_str());
        let hanging = hanging(file, &order, inputs);
        let outputs = file.output.iter().map(|info| info.name.as_str());
        let (live, constant): (Vec<&str>, Vec<&str>) =
            outputs.partition(|name| hanging.contains(name));
        if live.is_empty() {
            return Ok(notes);
        }
        notes.extend(constant.iter().map(|name| left_out(name)));
        match own_end(file, &order, &hanging) {
            Some((names, note)) => {
                notes.push(note);
                names
            }
            None if notes.is_empty() => return Ok(notes),
            None => live.into_iter().map(str::to_owned).collect(),
        }
    } else {
        let computed = file.node.iter().flat_map(|node| &node.output);
        let named = file.input.iter().map(|info| &info.name).chain(computed);
        let named = named.map(String::as_str);
        let wanted = options.outputs.iter();
        let names = wanted.map(|wanted| Ok(find_output(wanted, named.clone())?.to_owned()));
        names.collect::<Outcome<Vec<String>>>()?
    };
    let mut stated: HashMap<&str, &ValueInfoProto> = HashMap::new();
    for info in file.output.iter().chain(&file.value_info) {
        stated.entry(info.name.as_str()).or_insert(info);
    }
    let outputs = names
        .into_iter()
        .map(|name| match stated.get(name.as_str()) {
            Some(&info) => info.clone(),
            None => ValueInfoProto {
                name,
                ..Default::default()
            },
        });
    file.output = outputs.collect();
    Ok(notes)
}

/// As [`cut_to`], without the nodes that the outputs do not need, for readers that do not look what is needed.
pub(crate) fn cut_off(model: &mut ModelProto, options: &ImportOptions) -> Outcome<()> {
    write_out(model)?;
    if cut_to(model, options)?.is_empty() && options.outputs.is_empty() {
        return Ok(());
    }
    if let Some(file) = &mut model.graph {
        let mut needed = vec![false; file.node.len()];
        for index in order(file)? {
            needed[index] = true;
        }
        let mut needed = needed.into_iter();
        file.node.retain(|_| needed.next().unwrap_or(true));
    }
    Ok(())
}

/// The element type and the stated sizes of an input.
pub(crate) fn declared(info: &ValueInfoProto) -> Outcome<(i32, Option<Vec<StatedSize>>)> {
    let Some(TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..
    }) = &info.r#type
    else {
        return Err(Refusal::unsupported(
            "it is no tensor; sequences, maps and optional values are not supported",
        ));
    };
    let sizes = tensor.shape.as_ref().map(|shape| {
        let dims = shape.dim.iter();
        dims.map(|dim| match &dim.value {
            Some(dimension::Value::DimValue(size)) if *size > 0 => {
                usize::try_from(*size).map_err(|_| "?".to_owned())
            }
            Some(dimension::Value::DimParam(name)) if !name.is_empty() => Err(name.clone()),
            // Some exporters write 0 or -1 for an open size.
            _ => Err("?".to_owned()),
        })
        .collect()
    });
    Ok((tensor.elem_type, sizes))
}

/// The type and the shape of an input, from the file and the options; `notes` takes what was assumed.
pub(crate) fn input_shape(
    info: &ValueInfoProto,
    options: &ImportOptions,
    notes: &mut Vec<String>,
) -> Outcome<(ElementType, Vec<usize>)> {
    let (ty, sizes) = declared(info)?;
    let ty = ElementType::from_onnx(ty)?;
    Ok((ty, settle_shape(&info.name, sizes, options, notes)?))
}

/// The names of a file's inputs, in order, without the stored tensors that old files list among them.
pub(crate) fn onnx_input_names(bytes: &[u8]) -> Outcome<Vec<String>> {
    let graph = decode(bytes)?.graph.unwrap_or_default();
    Ok(real_inputs(&graph).map(|info| info.name.clone()).collect())
}

/// The key and value pairs that a file holds about itself.
pub(crate) fn onnx_metadata(bytes: &[u8]) -> Outcome<Vec<(String, String)>> {
    Ok(key_values(&decode(bytes)?))
}

fn key_values(model: &ModelProto) -> Vec<(String, String)> {
    let props = model.metadata_props.iter();
    props
        .map(|prop| (prop.key.clone(), prop.value.clone()))
        .collect()
}

/// The model's inputs: those that are not stored tensors, which old files list as well.
pub(crate) fn real_inputs(file: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let stored: HashSet<&str> = file
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    file.input
        .iter()
        .filter(move |info| !stored.contains(info.name.as_str()))
}

fn inputs(
    importer: &mut Importer<OnnxFile<'_>>,
    file: &GraphProto,
    options: &ImportOptions,
) -> Outcome<()> {
    let names: Vec<&str> = real_inputs(file).map(|info| info.name.as_str()).collect();
    check_overrides(&names, options)?;
    for info in real_inputs(file) {
        let place = || Place::Input(info.name.clone());
        let (ty, shape) = input_shape(info, options, &mut importer.notes)
            .map_err(|refusal| refusal.at(place()))?;
        let border = match ty {
            ElementType::Real => BorderType::F32,
            ElementType::U8 => BorderType::U8,
            ElementType::S8 => BorderType::S8,
            ElementType::S32 => BorderType::S32,
            ElementType::S64 => BorderType::S64,
            other => {
                let reason = format!(
                    "its type {} is not supported; use float, uint8, int8, int32 or int64",
                    other.name()
                );
                return Err(Refusal::unsupported(reason).at(place()));
            }
        };
        let id = importer.graph.add_input(info.name.clone(), shape, border);
        let value = Value::Live(Live {
            id,
            ty,
            quantized: false,
        });
        if importer
            .file
            .values
            .insert(info.name.clone(), value)
            .is_some()
        {
            return Err(Refusal::malformed("two inputs have this name").at(place()));
        }
    }
    Ok(())
}

fn place_of(index: usize, node: &NodeProto) -> Place {
    Place::Node {
        index,
        name: node.name.clone(),
        operator: node.op_type.clone(),
    }
}

/// The nodes that outputs need, each after those that it reads, otherwise as in the file.
fn order(file: &GraphProto) -> Outcome<Vec<usize>> {
    let mut writer: HashMap<&str, usize> = HashMap::new();
    let mut given: HashSet<&str> = file
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    given.extend(file.input.iter().map(|info| info.name.as_str()));
    for (index, node) in file.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if writer.insert(output, index).is_some() || given.contains(output.as_str()) {
                let reason = format!(
                    "its output `{}` is already provided by something else",
                    shown(output)
                );
                return Err(Refusal::malformed(reason).at(place_of(index, node)));
            }
        }
    }
    let read_by = |index: usize| {
        reads(&file.node[index])
            .into_iter()
            .filter_map(|name| writer.get(name).copied())
    };
    let mut needed = vec![false; file.node.len()];
    let mut stack: Vec<usize> = file
        .output
        .iter()
        .filter_map(|output| writer.get(output.name.as_str()).copied())
        .collect();
    while let Some(index) = stack.pop() {
        if !std::mem::replace(&mut needed[index], true) {
            stack.extend(read_by(index));
        }
    }
    let mut waits = vec![0usize; file.node.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); file.node.len()];
    let mut ready = BinaryHeap::new();
    for index in (0..file.node.len()).filter(|&index| needed[index]) {
        for before in read_by(index) {
            waits[index] += 1;
            readers[before].push(index);
        }
        if waits[index] == 0 {
            ready.push(Reverse(index));
        }
    }
    let mut done = Vec::new();
    while let Some(Reverse(index)) = ready.pop() {
        done.push(index);
        needed[index] = false;
        for &reader in &readers[index] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    // What is left reads, over some steps back, its own result.
    if let Some(mut index) = needed.iter().position(|&left| left) {
        for _ in 0..file.node.len() {
            index = read_by(index)
                .find(|&before| needed[before])
                .unwrap_or(index);
        }
        let reason = "it reads its own result, over other nodes or directly: the graph has a cycle";
        return Err(Refusal::malformed(reason).at(place_of(index, &file.node[index])));
    }
    Ok(done)
}

fn node<'a>(
    importer: &mut Importer<OnnxFile<'a>>,
    index: usize,
    node: &'a NodeProto,
) -> Outcome<()> {
    let before = importer.graph.tensors.len();
    let first = importer.graph.nodes.len();
    let outputs = match constant_condition(importer, node) {
        Some(condition) => branch(importer, node, condition),
        None => run_node(importer, node),
    };
    let outputs = outputs
        .and_then(|outputs| fold(importer, first, outputs))
        .map_err(|refusal| refusal.at(place_of(index, node)))?;
    let unread = node.output.iter().skip(outputs.len());
    importer
        .file
        .left_out
        .extend(unread.map(|name| (name.as_str(), node.op_type.as_str())));
    for (name, value) in node.output.iter().zip(outputs) {
        if name.is_empty() {
            continue;
        }
        if let Value::Live(live) = &value
            && let Some(tensor) = importer.graph.tensors.get_mut(live.id.0)
            && live.id.0 >= before
        {
            tensor.name.clone_from(name);
        }
        importer.file.values.insert(name.clone(), value);
    }
    Ok(())
}

/// What decides an `If` whose condition does not depend on the model's inputs.
fn constant_condition(importer: &mut Importer<OnnxFile<'_>>, node: &NodeProto) -> Option<bool> {
    if node.op_type != "If" || !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return None;
    }
    match importer.file.lookup(node.input.first()?).ok()? {
        Value::Constant(condition) => Some(condition.integer("the condition").ok()? != 0),
        Value::Live(_) => None,
    }
}

/// The branch that is taken, in place of the condition; it reads names from around it.
fn branch<'a>(
    importer: &mut Importer<OnnxFile<'a>>,
    condition: &'a NodeProto,
    taken: bool,
) -> Outcome<Vec<Value>> {
    let name = if taken { "then_branch" } else { "else_branch" };
    let graph: &'a GraphProto = condition
        .attribute
        .iter()
        .find(|attribute| attribute.name == name)
        .and_then(|attribute| attribute.g.as_ref())
        .ok_or_else(|| Refusal::malformed(format!("attribute `{name}` is missing")))?;
    let file = &mut importer.file;
    let stored = graph.initializer.iter();
    file.initializers
        .extend(stored.map(|tensor| (tensor.name.as_str(), tensor)));
    for index in order(graph)? {
        node(importer, index, &graph.node[index])?;
    }
    let outputs = graph.output.iter();
    outputs
        .map(|info| importer.file.lookup(&info.name))
        .collect()
}

fn run_node<'a>(importer: &mut Importer<OnnxFile<'a>>, node: &'a NodeProto) -> Outcome<Vec<Value>> {
    let mut inputs = Vec::with_capacity(node.input.len());
    for name in &node.input {
        inputs.push(if name.is_empty() {
            None
        } else {
            Some(importer.file.lookup(name)?)
        });
    }
    let first_output = node.output.first().map_or("", String::as_str);
    let name = if node.name.is_empty() {
        first_output
    } else {
        &node.name
    }
    .to_owned();
    let mut cx = Cx {
        importer,
        node,
        inputs,
        name,
    };
    import_node(&mut cx)
}

fn outputs(importer: &mut Importer<OnnxFile<'_>>, file: &GraphProto) -> Outcome<()> {
    if file.output.is_empty() {
        return Err(Refusal::malformed("it has no outputs"));
    }
    for info in &file.output {
        let place = || Place::Output(info.name.clone());
        let value = importer
            .file
            .lookup(&info.name)
            .map_err(|refusal| refusal.at(place()))?;
        let Value::Live(live) = value else {
            let reason =
                "it does not depend on the model's inputs; remove this output from the model";
            return Err(Refusal::unsupported(reason).at(place()));
        };
        let border = match live.ty {
            ElementType::U8 => BorderType::U8,
            ElementType::S8 => BorderType::S8,
            ElementType::S32 => BorderType::S32,
            ElementType::S64 => BorderType::S64,
            _ => BorderType::F32,
        };
        importer
            .graph
            .add_output(info.name.clone(), live.id, border);
    }
    Ok(())
}
