//! A model file in ONNX's encoding (protobuf), written field by field: for commands, which read files.

use ocellus_ir::random::Random;

/// Number, as protobuf writes it: seven bits a byte.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field that is a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that has a length: text, bytes, a message.
fn block(field: u64, content: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(content.len() as u64),
        content.to_vec(),
    ]
    .concat()
}

fn text(field: u64, content: &str) -> Vec<u8> {
    block(field, content.as_bytes())
}

const FLOAT: u64 = 1;
const INTS: u64 = 7;

/// `TensorProto`
fn tensor(name: &str, shape: &[u64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims = shape.iter().flat_map(|&size| number(1, size)).collect();
    [dims, number(2, FLOAT), text(8, name), block(9, &raw)].concat()
}

/// `ValueInfoProto`
fn value(name: &str, shape: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = shape
        .iter()
        .flat_map(|&size| block(1, &number(1, size)))
        .collect();
    let tensor_type = [number(1, FLOAT), block(2, &dims)].concat();
    [text(1, name), block(2, &block(1, &tensor_type))].concat()
}

/// `AttributeProto` of integers
fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&v| number(8, v)).collect();
    [text(1, name), values, number(20, INTS)].concat()
}

/// `NodeProto`
fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| text(1, name)).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| block(5, a)).collect();
    [
        inputs,
        text(2, output),
        text(3, output),
        text(4, op),
        attributes,
    ]
    .concat()
}

/// Two convolutions and a rectifier over a picture of 3 x `side` x `side`.
pub(crate) fn small_network(side: u64) -> Vec<u8> {
    let random = &mut Random::new(21);
    let mut weights = |name: &str, shape: &[u64]| {
        let values = random.values(shape.iter().product::<u64>() as usize);
        block(5, &tensor(name, shape, &values))
    };
    let same = || integers("pads", &[1, 1, 1, 1]);
    let graph = [
        block(1, &node("Conv", &["x", "w1", "b1"], "c1", &[same()])),
        block(1, &node("Relu", &["c1"], "r1", &[])),
        block(1, &node("Conv", &["r1", "w2", "b2"], "y", &[same()])),
        text(2, "network"),
        weights("w1", &[16, 3, 3, 3]),
        weights("b1", &[16]),
        weights("w2", &[8, 16, 3, 3]),
        weights("b2", &[8]),
        block(11, &value("x", &[1, 3, side, side])),
        block(12, &value("y", &[1, 8, side, side])),
    ]
    .concat();
    let opset = [text(1, ""), number(2, 13)].concat();
    [number(1, 8), block(7, &graph), block(8, &opset)].concat()
}
