//! Functions that a model defines itself, written out: each call becomes the nodes of its body.

use std::collections::HashMap;

use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};

use crate::error::{Outcome, Refusal, shown};

/// Calls within calls; a function that calls itself would never end.
const MAX_DEPTH: usize = 32;

/// Writes every call of a model's own functions out.
///
/// `max_nodes` bounds the result.
pub(crate) fn inline(model: &mut ModelProto, max_nodes: usize) -> Outcome<()> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions = std::mem::take(&mut model.functions);
    let mut inliner = Inliner {
        functions: functions
            .iter()
            .map(|f| {
                let domain = f.domain.as_deref().unwrap_or_default();
                ((domain, f.name.as_deref().unwrap_or_default()), f)
            })
            .collect(),
        calls: 0,
        nodes: 0,
        max_nodes,
    };
    if let Some(graph) = &mut model.graph {
        inliner.graph(graph, 0)?;
    }
    Ok(())
}

struct Inliner<'f> {
    /// By domain and name.
    functions: HashMap<(&'f str, &'f str), &'f FunctionProto>,
    calls: usize,
    nodes: usize,
    max_nodes: usize,
}

/// What stands for the names and attributes of a function's body in one call of it.
struct Call<'c> {
    names: HashMap<String, String>,
    prefix: String,
    function: &'c FunctionProto,
    attributes: &'c [AttributeProto],
}

impl Call<'_> {
    fn name(&self, name: &str) -> String {
        match self.names.get(name) {
            Some(outer) => outer.clone(),
            None if name.is_empty() => String::new(),
            None => format!("{}{name}", self.prefix),
        }
    }

    /// A node of the body as it stands in the caller.
    fn node(&self, node: &mut NodeProto) -> Outcome<()> {
        for name in node.input.iter_mut().chain(&mut node.output) {
            *name = self.name(name);
        }
        if !node.name.is_empty() {
            node.name = format!("{}{}", self.prefix, node.name);
        }
        let mut kept = Vec::with_capacity(node.attribute.len());
        for mut attribute in std::mem::take(&mut node.attribute) {
            if !attribute.ref_attr_name.is_empty() {
                let Some(given) = self.given(&attribute)? else {
                    continue;
                };
                attribute = given;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.graph(graph)?;
            }
            kept.push(attribute);
        }
        node.attribute = kept;
        Ok(())
    }

    /// What the call gives for an attribute of the function; none where it leaves it to the operator.
    fn given(&self, attribute: &AttributeProto) -> Outcome<Option<AttributeProto>> {
        let wanted = &attribute.ref_attr_name;
        if let Some(given) = self.attributes.iter().find(|a| a.name == *wanted) {
            return Ok(Some(AttributeProto {
                name: attribute.name.clone(),
                ..given.clone()
            }));
        }
        match self.function.attribute.contains(wanted) {
            true => Ok(None),
            false => Err(Refusal::unsupported(format!(
                "function `{}` has a default for its attribute `{}`, which is not supported; inline the model's functions",
                shown(self.function.name.as_deref().unwrap_or_default()),
                shown(wanted)
            ))),
        }
    }

    /// A graph inside of the body: the branch of a condition.
    fn graph(&self, graph: &mut GraphProto) -> Outcome<()> {
        for info in graph.input.iter_mut().chain(&mut graph.output) {
            info.name = self.name(&info.name);
        }
        for tensor in &mut graph.initializer {
            tensor.name = self.name(&tensor.name);
        }
        graph.node.iter_mut().try_for_each(|node| self.node(node))
    }
}

impl<'f> Inliner<'f> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Outcome<()> {
        let mut nodes = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node) {
            self.write_out(node, depth, &mut nodes)?;
        }
        graph.node = nodes;
        Ok(())
    }

    fn write_out(
        &mut self,
        mut node: NodeProto,
        depth: usize,
        nodes: &mut Vec<NodeProto>,
    ) -> Outcome<()> {
        let key = (node.domain.as_str(), node.op_type.as_str());
        let Some(&function) = self.functions.get(&key) else {
            for attribute in &mut node.attribute {
                for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.graph(graph, depth)?;
                }
            }
            self.nodes += 1;
            if self.nodes > self.max_nodes {
                return Err(Refusal::unsupported(format!(
                    "with its functions written out it has more than {} nodes",
                    self.max_nodes
                )));
            }
            nodes.push(node);
            return Ok(());
        };
        if depth >= MAX_DEPTH {
            return Err(Refusal::malformed(format!(
                "function `{}` calls itself, or calls lie {MAX_DEPTH} deep",
                shown(&node.op_type)
            )));
        }
        self.calls += 1;
        let label = match node.name.as_str() {
            "" => node.output.first().map_or("", String::as_str),
            name => name,
        };
        let prefix = format!("{label}#{}/", self.calls);
        let mut names = HashMap::new();
        for (i, inner) in function.input.iter().enumerate() {
            // An input that the call leaves out is left out inside.
            names.insert(
                inner.clone(),
                node.input.get(i).cloned().unwrap_or_default(),
            );
        }
        for (inner, outer) in function.output.iter().zip(&node.output) {
            if outer.is_empty() {
                continue;
            }
            // An input that is handed through has two names outside.
            if let Some(passed) = function.input.contains(inner).then(|| names[inner].clone()) {
                nodes.push(NodeProto {
                    op_type: "Identity".to_owned(),
                    name: format!("{prefix}{inner}"),
                    input: vec![passed],
                    output: vec![outer.clone()],
                    ..Default::default()
                });
                continue;
            }
            names.insert(inner.clone(), outer.clone());
        }
        let call = Call {
            names,
            prefix,
            function,
            attributes: &node.attribute,
        };
        for body in &function.node {
            let mut body = body.clone();
            call.node(&mut body)?;
            self.write_out(body, depth + 1, nodes)?;
        }
        Ok(())
    }
}
