//! What the names of a model file stand for while it is imported, and the steps that work on constants and on tensors alike.

use std::collections::HashMap;
use std::path::Path;

use ocellus_ir::{Graph, Op, TensorId};
use tract_onnx::pb::{NodeProto, TensorProto};

use crate::attributes::Attributes;
use crate::constant::{Constant, ElementType, load};
use crate::error::{Outcome, Place, Refusal, shown};

/// A tensor of the graph, and what the file's type for it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) id: TensorId,
    /// `Real`, or `U8`/`S8` for raw inputs that no Cast has read yet and for quantized outputs.
    pub(crate) ty: ElementType,
    /// Comes out of a QuantizeLinear, not from a raw input.
    pub(crate) quantized: bool,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Constant(Constant),
    Live(Live),
}

/// Constants that the import makes may hold this many elements in all, and one for each byte of the file: a damaged file must not fill the memory, and a large
/// one may have all its weights moved.
const FOLD_BUDGET_ELEMENTS: usize = 1 << 26;

/// A format of model files: what an import knows of the file, and what a node looks like in it.
pub(crate) trait Format {
    /// A node as the file has it.
    type Node: Copy;
}

/// The state of an import.
pub(crate) struct Importer<F> {
    pub(crate) graph: Graph,
    pub(crate) notes: Vec<String>,
    names: HashMap<String, usize>,
    /// Elements that folded constants may still hold.
    budget_elements: usize,
    /// What the import knows of the file.
    pub(crate) file: F,
}

/// An ONNX file during its import.
pub(crate) struct OnnxFile<'a> {
    pub(crate) opset: i64,
    pub(crate) folder: Option<&'a Path>,
    pub(crate) initializers: HashMap<&'a str, &'a TensorProto>,
    pub(crate) values: HashMap<String, Value>,
    /// Outputs that are not computed, and the operators that would.
    pub(crate) left_out: HashMap<&'a str, &'a str>,
}

impl<'a> Format for OnnxFile<'a> {
    type Node = &'a NodeProto;
}

impl OnnxFile<'_> {
    /// What a name stands for; loads a stored tensor on its first use.
    pub(crate) fn lookup(&mut self, name: &str) -> Outcome<Value> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        if let Some(operator) = self.left_out.get(name) {
            return Err(Refusal::unsupported(format!(
                "`{}` is a further output of `{}`, which is not computed; remove what reads it",
                shown(name),
                shown(operator)
            )));
        }
        let Some(proto) = self.initializers.get(name) else {
            return Err(Refusal::malformed(format!(
                "`{}` is neither an input, a stored tensor nor the output of another node",
                shown(name)
            )));
        };
        let constant = load(proto, self.folder)
            .map_err(|refusal| refusal.at(Place::Initializer(name.to_owned())))?;
        let value = Value::Constant(constant);
        self.values.insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

impl<F> Importer<F> {
    pub(crate) fn new(file: F, file_bytes: usize) -> Self {
        Importer {
            graph: Graph::default(),
            notes: Vec::new(),
            names: HashMap::new(),
            budget_elements: FOLD_BUDGET_ELEMENTS.saturating_add(file_bytes),
            file,
        }
    }

    /// Counts elements of folded constants.
    pub(crate) fn book(&mut self, elements: usize) -> Outcome<()> {
        let left = self.budget_elements.checked_sub(elements);
        self.budget_elements = left.ok_or_else(|| {
            Refusal::unsupported(format!(
                "folding the model's constants takes more than 2^{} elements and one for each byte of the file",
                FOLD_BUDGET_ELEMENTS.ilog2()
            ))
        })?;
        Ok(())
    }

    /// `base`, or `base` with a number where it is taken.
    pub(crate) fn unique(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        loop {
            let uses = self.names.entry(name.clone()).or_insert(0);
            *uses += 1;
            if *uses == 1 {
                return name;
            }
            name = format!("{base}.{uses}");
        }
    }
}

/// A node being imported.
pub(crate) struct Context<'i, F: Format> {
    pub(crate) importer: &'i mut Importer<F>,
    pub(crate) node: F::Node,
    pub(crate) inputs: Vec<Option<Value>>,
    /// The node's name, or its first output's.
    pub(crate) name: String,
}

/// A node of an ONNX file being imported.
pub(crate) type Cx<'i, 'a> = Context<'i, OnnxFile<'a>>;

impl<'a> Cx<'_, 'a> {
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes(self.node)
    }

    pub(crate) fn opset(&self) -> i64 {
        self.importer.file.opset
    }

    /// True where somebody may read that output.
    pub(crate) fn wants_output(&self, index: usize) -> bool {
        self.node
            .output
            .get(index)
            .is_some_and(|name| !name.is_empty())
    }
}

impl<F: Format> Context<'_, F> {
    /// An input that may be left out.
    pub(crate) fn optional(&self, index: usize) -> Option<Value> {
        self.inputs.get(index).cloned().flatten()
    }

    /// An input that must be there.
    pub(crate) fn input(&self, index: usize) -> Outcome<Value> {
        self.optional(index)
            .ok_or_else(|| Refusal::malformed(format!("input {index} is missing")))
    }

    /// An input that must be constant.
    pub(crate) fn constant(&self, index: usize, what: &str) -> Outcome<Constant> {
        self.optional_constant(index, what)?
            .ok_or_else(|| Refusal::malformed(format!("input {index} ({what}) is missing")))
    }

    /// An input that must be constant where it is given.
    pub(crate) fn optional_constant(&self, index: usize, what: &str) -> Outcome<Option<Constant>> {
        match self.optional(index) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(Value::Live(_)) => Err(Refusal::unsupported(format!(
                "{what} is computed from the model's input; only a constant is supported"
            ))),
        }
    }

    pub(crate) fn shape_of(&self, value: &Value) -> Vec<usize> {
        match value {
            Value::Constant(constant) => constant.shape.clone(),
            Value::Live(live) => self.importer.graph.tensor(live.id).shape.clone(),
        }
    }

    /// Books a folded constant and hands it out.
    pub(crate) fn folded(&mut self, constant: Constant) -> Outcome<Value> {
        self.importer.book(constant.len())?;
        Ok(Value::Constant(constant))
    }

    /// A value as a tensor of the graph that holds real numbers.
    pub(crate) fn real(&mut self, value: &Value) -> Outcome<TensorId> {
        match value {
            Value::Constant(constant) => {
                constant.reals("a constant input")?;
                self.emit_constant(constant)
            }
            Value::Live(live) if live.ty == ElementType::Real => Ok(live.id),
            Value::Live(live) if live.quantized => Err(Refusal::unsupported(
                "it computes with the integers of a quantized tensor; only operators on real numbers, between DequantizeLinear and QuantizeLinear, and the QLinear operators are supported",
            )),
            Value::Live(live) => Err(Refusal::malformed(format!(
                "its input is {} and needs a Cast to float first",
                live.ty.name()
            ))),
        }
    }

    /// As [`real`](Self::real), for an operand of a sum: minus infinity may be a mask, which shows when the graph is complete ([`crate::masks`]).
    pub(crate) fn addend(&mut self, value: &Value) -> Outcome<TensorId> {
        match value {
            Value::Constant(constant) => {
                self.constant_where(constant, |v| v.is_finite() || v == f32::NEG_INFINITY)
            }
            Value::Live(_) => self.real(value),
        }
    }

    /// A constant of the graph.
    pub(crate) fn emit_constant(&mut self, constant: &Constant) -> Outcome<TensorId> {
        self.constant_where(constant, f32::is_finite)
    }

    fn constant_where(
        &mut self,
        constant: &Constant,
        allowed: impl Fn(f32) -> bool,
    ) -> Outcome<TensorId> {
        let values = constant.reals("a constant input")?;
        if let Some(at) = values.iter().position(|&v| !allowed(v)) {
            let value = values[at];
            return Err(Refusal::unsupported(format!(
                "a constant holds {value} at {at}; only finite numbers can be quantized; the file is damaged or its training diverged, so export it again"
            )));
        }
        let name = format!("{}/constant", self.name);
        let (graph, shape) = (&mut self.importer.graph, constant.shape.clone());
        let id = graph.add_constant(name, shape, values.clone());
        if let Some(grid) = constant.grid() {
            graph.set_grid(id, grid);
        }
        Ok(id)
    }

    /// A constant of the graph that was made out of the file's.
    pub(crate) fn emit_folded(&mut self, constant: &Constant) -> Outcome<TensorId> {
        self.folded(constant.clone())?;
        self.emit_constant(constant)
    }

    /// A new constant of the graph.
    pub(crate) fn weights(&mut self, shape: Vec<usize>, values: Vec<f32>) -> Outcome<TensorId> {
        let constant = Constant::real(shape, values);
        self.folded(constant.clone())?;
        self.emit_constant(&constant)
    }

    /// Appends an operator to the graph.
    pub(crate) fn emit(&mut self, op: Op, inputs: &[TensorId]) -> Outcome<TensorId> {
        let name = self.name.clone();
        self.emit_as(&name, op, inputs)
    }

    /// Appends an operator that prepares another: its name says so.
    pub(crate) fn emit_as(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Outcome<TensorId> {
        let name = self.importer.unique(name);
        self.importer
            .graph
            .add_node(name, op, inputs)
            .map_err(|error| {
                let text = error.to_string();
                // The message starts with the graph's name of the node, which the place already says.
                Refusal::malformed(
                    text.split_once(": ")
                        .map_or(text.clone(), |(_, reason)| reason.to_owned()),
                )
            })
    }

    /// Appends an operator of one real input.
    pub(crate) fn emit_real(&mut self, op: Op, value: &Value) -> Outcome<Value> {
        let x = self.real(value)?;
        let id = self.emit(op, &[x])?;
        Ok(self.live(id))
    }

    /// A tensor of real numbers as a value.
    pub(crate) fn live(&self, id: TensorId) -> Value {
        Value::Live(Live {
            id,
            ty: ElementType::Real,
            quantized: false,
        })
    }

    /// Appends an operator that only moves values, so that bytes stay bytes.
    fn emit_move(&mut self, op: Op, live: Live) -> Outcome<Value> {
        let id = self.emit(op, &[live.id])?;
        if let Some(grid) = self.importer.graph.tensor(live.id).grid.clone()
            && live.quantized
        {
            self.importer.graph.set_grid(id, grid);
        }
        Ok(Value::Live(Live { id, ..live }))
    }

    /// Another shape.
    pub(crate) fn reshape(&mut self, value: &Value, shape: Vec<usize>) -> Outcome<Value> {
        if self.shape_of(value) == shape {
            return Ok(value.clone());
        }
        match value {
            Value::Constant(constant) => Ok(Value::Constant(constant.with_shape(shape)?)),
            Value::Live(live) => self.emit_move(Op::Reshape { shape }, *live),
        }
    }

    /// Output axis `i` is input axis `order[i]`.
    pub(crate) fn transpose(&mut self, value: &Value, order: &[usize]) -> Outcome<Value> {
        let shape = self.shape_of(value);
        if !ocellus_ir::is_permutation(order, shape.len()) {
            return Err(Refusal::malformed(format!(
                "{order:?} does not order the axes of shape {shape:?}"
            )));
        }
        if order.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(value.clone());
        }
        match value {
            Value::Constant(constant) => {
                let out = order.iter().map(|&axis| shape[axis]).collect();
                let moved = constant.pick(out, |at, from| {
                    for (i, &axis) in order.iter().enumerate() {
                        from[axis] = at[i];
                    }
                })?;
                self.folded(moved)
            }
            Value::Live(live) => self.emit_move(
                Op::Transpose {
                    order: order.to_vec(),
                },
                *live,
            ),
        }
    }

    /// A box with positive steps that lies inside.
    pub(crate) fn slice(
        &mut self,
        value: &Value,
        begin: Vec<usize>,
        size: Vec<usize>,
        step: Vec<usize>,
    ) -> Outcome<Value> {
        if self.shape_of(value) == size {
            return Ok(value.clone());
        }
        match value {
            Value::Constant(constant) => {
                let cut = constant.pick(size, |at, from| {
                    for (axis, index) in from.iter_mut().enumerate() {
                        *index = begin[axis] + at[axis] * step[axis];
                    }
                })?;
                self.folded(cut)
            }
            Value::Live(live) => {
                if size.contains(&0) {
                    return Err(Refusal::unsupported("the result is empty"));
                }
                self.emit_move(Op::Slice { begin, size, step }, *live)
            }
        }
    }

    /// Chosen indices of an axis, all in range.
    pub(crate) fn gather(
        &mut self,
        value: &Value,
        axis: usize,
        indices: Vec<usize>,
    ) -> Outcome<Value> {
        match value {
            Value::Constant(constant) => {
                let mut shape = constant.shape.clone();
                shape[axis] = indices.len();
                let taken = constant.pick(shape, |at, from| {
                    from.copy_from_slice(at);
                    from[axis] = indices[at[axis]];
                })?;
                self.folded(taken)
            }
            Value::Live(live) => {
                if indices.is_empty() {
                    return Err(Refusal::unsupported("the result is empty"));
                }
                self.emit_move(Op::Gather { axis, indices }, *live)
            }
        }
    }
}
