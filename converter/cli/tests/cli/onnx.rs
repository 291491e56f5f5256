//! Small ONNX files, encoded by hand: the program is tested on bytes that none of its own code wrote.

/// A protocol-buffers message under construction.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: i64) -> Message {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Message {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Message {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Message) -> Message {
        self.bytes(field, &message.0)
    }
}

/// Element type `FLOAT`.
const FLOAT: i64 = 1;

/// A size of an input.
pub(crate) enum Size {
    /// A number.
    Is(i64),
    /// Open, with a name.
    Open(&'static str),
}

/// A model under construction.
#[derive(Clone)]
pub(crate) struct Onnx {
    graph: Message,
    nodes: usize,
}

/// A layer's numbers, the same on every machine: `-0.5..0.5`, from a seed.
pub(crate) fn weights(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect()
}

impl Onnx {
    /// No inputs yet; the output is `y`.
    pub(crate) fn new() -> Onnx {
        Onnx {
            graph: Message::default().text(2, "g"),
            nodes: 0,
        }
    }

    fn value(name: &str, shape: Option<&[Size]>) -> Message {
        let mut tensor = Message::default().int(1, FLOAT);
        if let Some(shape) = shape {
            let dims = shape.iter().fold(Message::default(), |dims, size| {
                let dim = match size {
                    Size::Is(size) => Message::default().int(1, *size),
                    Size::Open(name) => Message::default().text(2, name),
                };
                dims.message(1, &dim)
            });
            tensor = tensor.message(2, &dims);
        }
        Message::default()
            .text(1, name)
            .message(2, &Message::default().message(1, &tensor))
    }

    /// A float input with sizes that may be open.
    pub(crate) fn open_input(mut self, name: &str, shape: &[Size]) -> Onnx {
        self.graph = self.graph.message(11, &Onnx::value(name, Some(shape)));
        self
    }

    /// A float input.
    pub(crate) fn input(self, name: &str, shape: &[i64]) -> Onnx {
        let sizes: Vec<Size> = shape.iter().map(|&size| Size::Is(size)).collect();
        self.open_input(name, &sizes)
    }

    /// A stored tensor.
    pub(crate) fn constant(mut self, name: &str, shape: &[i64], values: &[f32]) -> Onnx {
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let tensor = shape
            .iter()
            .fold(Message::default(), |tensor, &size| tensor.int(1, size));
        let tensor = tensor.int(2, FLOAT).text(8, name).bytes(9, &raw);
        self.graph = self.graph.message(5, &tensor);
        self
    }

    /// A node whose attributes are lists of integers.
    pub(crate) fn node(
        mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, &[i64])],
    ) -> Onnx {
        let node = inputs
            .iter()
            .fold(Message::default(), |node, input| node.text(1, input));
        let mut node = node
            .text(2, output)
            .text(3, &format!("{op}_{}", self.nodes))
            .text(4, op);
        for (name, values) in attributes {
            // Type 7: a list of integers.
            let attribute = values
                .iter()
                .fold(Message::default().text(1, name), |list, &value| {
                    list.int(8, value)
                });
            node = node.message(5, &attribute.int(20, 7));
        }
        self.graph = self.graph.message(1, &node);
        self.nodes += 1;
        self
    }

    /// A 3x3 convolution that keeps the size of the picture, and its activation.
    pub(crate) fn conv(self, x: &str, y: &str, channels: [i64; 2], values: &[f32]) -> Onnx {
        let [input, output] = channels;
        let (weight, sum) = (format!("{y}_w"), format!("{y}_sum"));
        let attributes: [(&str, &[i64]); 2] = [("kernel_shape", &[3, 3]), ("pads", &[1, 1, 1, 1])];
        self.constant(&weight, &[output, input, 3, 3], values)
            .node("Conv", &[x, &weight], &sum, &attributes)
            .node("Relu", &[&sum], y, &[])
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.with_output("y")
    }

    /// The file, with another output.
    pub(crate) fn with_output(&self, name: &str) -> Vec<u8> {
        let graph = self.graph.clone().message(12, &Onnx::value(name, None));
        let set = Message::default().text(1, "").int(2, 13);
        Message::default()
            .int(1, 8)
            .text(2, "hand")
            .message(7, &graph)
            .message(8, &set)
            .0
    }
}

/// A classifier of 8x8 pictures into 4 classes: two convolutions, a mean over space.
pub(crate) fn classifier() -> Onnx {
    Onnx::new()
        .input("x", &[1, 3, 8, 8])
        .conv("x", "a", [3, 8], &weights(1, 8 * 3 * 9))
        .conv("a", "b", [8, 4], &weights(2, 4 * 8 * 9))
        .node("GlobalAveragePool", &["b"], "m", &[])
        .node("Flatten", &["m"], "y", &[])
}

/// The sum of two inputs of 4 values.
pub(crate) fn two_inputs() -> Onnx {
    Onnx::new()
        .input("left", &[1, 4])
        .input("right", &[1, 4])
        .node("Add", &["left", "right"], "y", &[])
}
