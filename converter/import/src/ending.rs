//! Where a model ends by itself: before the selection of boxes that exporters put behind a detector, and whose result depends on the data.
//!
//! The layers with weights are the model. Where none of them lies behind the selection, what does is left to the program that reads the outputs, and the
//! model ends at the fewest tensors from which it can be computed, the latest of them: a smallest cut between the layers and what is lost. So a detector
//! ends at its boxes and its scores, and not at the many pieces into which an exporter takes them apart.

use std::collections::VecDeque;

use crate::error::shown;

/// A model that would end at more tensors than this has no boxes and scores to end at.
const MAX_ENDS: usize = 8;

/// An operator that is not known has weights where it reads more constant numbers than this at once.
pub(crate) const MAX_SETTINGS: usize = 1024;

/// What a node is to the choice of an end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has weights.
    Layer,
    /// What it gives, or the shape of it, depends on the data.
    Selection,
    /// Anything else.
    Plain,
}

/// A node that the outputs need. Tensors are numbers; those that do not hang on the model's inputs are left out.
pub(crate) struct Step {
    pub(crate) reads: Vec<usize>,
    pub(crate) writes: Vec<usize>,
    pub(crate) role: Role,
}

/// A model, as far as its end depends on it.
pub(crate) struct Sketch {
    /// Each after those that it reads.
    pub(crate) steps: Vec<Step>,
    pub(crate) outputs: Vec<usize>,
    /// For each tensor, whether a model can end there.
    pub(crate) may_end: Vec<bool>,
}

/// Where a model ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The tensors, in the order in which they are computed, then the outputs that stay.
    pub(crate) tensors: Vec<usize>,
    /// The first node that is left out, by its position among the steps.
    pub(crate) before: usize,
}

impl Ending {
    /// A sentence for the user.
    pub(crate) fn note<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        operator: &str,
        node: &str,
    ) -> String {
        let names: Vec<String> = names.map(|name| format!("`{}`", shown(name))).collect();
        format!(
            "the model ends at {}, before `{}` ({}), whose result depends on the data: selecting boxes is left to the program that reads these outputs (docs/cli.md lists the tasks of a recipe that do it); `--cut` sets another end",
            names.join(", "),
            shown(operator),
            shown(node)
        )
    }
}

/// True for the name of an operator that selects boxes, whoever defines it.
pub(crate) fn selects_boxes(operator: &str) -> bool {
    let name = operator.to_ascii_lowercase().replace('_', "");
    ["nonmaxsuppression", "nms", "detectionpostprocess"]
        .iter()
        .any(|word| name.contains(word))
}

/// Where the model ends, if not at its own outputs; none where nothing is selected, a layer lies behind it, or no few tensors come before it.
pub(crate) fn ending(sketch: &Sketch) -> Option<Ending> {
    let count = sketch.may_end.len();
    let mut lost = vec![false; count];
    let mut lost_steps = vec![false; sketch.steps.len()];
    let mut has_layer = false;
    for (index, step) in sketch.steps.iter().enumerate() {
        if step.role == Role::Selection || step.reads.iter().any(|&tensor| lost[tensor]) {
            if step.role == Role::Layer {
                return None;
            }
            lost_steps[index] = true;
            step.writes.iter().for_each(|&tensor| lost[tensor] = true);
        }
        has_layer |= step.role == Role::Layer;
    }
    let before = lost_steps.iter().position(|&lost| lost)?;
    if !has_layer {
        return None;
    }
    let mut tensors = smallest_cut(sketch, &lost_steps)?;
    let mut ends = vec![false; count];
    tensors.iter().for_each(|&tensor| ends[tensor] = true);
    for &output in sketch.outputs.iter().filter(|&&tensor| !lost[tensor]) {
        if !std::mem::replace(&mut ends[output], true) {
            tensors.push(output);
        }
    }
    Some(Ending { tensors, before })
}

/// The fewest tensors, the latest of them, that every way from a layer to a lost step leads over.
fn smallest_cut(sketch: &Sketch, lost_steps: &[bool]) -> Option<Vec<usize>> {
    let count = sketch.may_end.len();
    let (before, behind) = (|tensor: usize| 2 * tensor, |tensor: usize| 2 * tensor + 1);
    let step_at = |index: usize| 2 * count + index;
    let source = 2 * count + sketch.steps.len();
    let sink = source + 1;
    let mut flow = Flow::new(sink + 1);
    for (tensor, &may_end) in sketch.may_end.iter().enumerate() {
        let room = if may_end { 1 } else { UNBOUNDED };
        flow.edge(before(tensor), behind(tensor), room);
    }
    for (index, step) in sketch.steps.iter().enumerate() {
        let to = if lost_steps[index] {
            sink
        } else {
            step_at(index)
        };
        for &tensor in &step.reads {
            flow.edge(behind(tensor), to, UNBOUNDED);
        }
        if lost_steps[index] {
            continue;
        }
        for &tensor in &step.writes {
            flow.edge(to, before(tensor), UNBOUNDED);
            if step.role == Role::Layer {
                flow.edge(source, before(tensor), UNBOUNDED);
            }
        }
    }
    for found in 0.. {
        match flow.augment(source, sink) {
            Some(1) if found < MAX_ENDS => {}
            None if found > 0 => break,
            // Too many, or a way over tensors at which no model can end, or none.
            _ => return None,
        }
    }
    let late = flow.reaching(sink);
    let mut cut: Vec<usize> = (0..count)
        .filter(|&tensor| !late[before(tensor)] && late[behind(tensor)])
        .collect();
    let mut written = vec![usize::MAX; count];
    for (index, step) in sketch.steps.iter().enumerate() {
        step.writes
            .iter()
            .for_each(|&tensor| written[tensor] = index);
    }
    cut.sort_by_key(|&tensor| written[tensor]);
    Some(cut)
}

/// More than any flow that is looked for.
const UNBOUNDED: usize = MAX_ENDS + 2;

/// A network of edges with room for so much; each edge's reverse follows it in the list.
struct Flow {
    edges: Vec<(usize, usize)>,
    from: Vec<Vec<usize>>,
}

impl Flow {
    fn new(vertices: usize) -> Self {
        Flow {
            edges: Vec::new(),
            from: vec![Vec::new(); vertices],
        }
    }

    fn edge(&mut self, from: usize, to: usize, room: usize) {
        self.from[from].push(self.edges.len());
        self.edges.push((to, room));
        self.from[to].push(self.edges.len());
        self.edges.push((from, 0));
    }

    /// Sends as much as fits along a shortest way, and says how much; none where there is no way.
    fn augment(&mut self, source: usize, sink: usize) -> Option<usize> {
        let mut came_by = vec![usize::MAX; self.from.len()];
        let mut queue = VecDeque::from([source]);
        while let Some(vertex) = queue.pop_front() {
            for &edge in &self.from[vertex] {
                let (to, room) = self.edges[edge];
                if room > 0 && to != source && came_by[to] == usize::MAX {
                    came_by[to] = edge;
                    queue.push_back(to);
                }
            }
        }
        let mut way = Vec::new();
        let mut vertex = sink;
        while vertex != source {
            let edge = *came_by.get(vertex).filter(|&&edge| edge != usize::MAX)?;
            way.push(edge);
            vertex = self.edges[edge ^ 1].0;
        }
        let sent = way.iter().map(|&edge| self.edges[edge].1).min()?;
        for edge in way {
            self.edges[edge].1 -= sent;
            self.edges[edge ^ 1].1 += sent;
        }
        Some(sent)
    }

    /// From where something could still be sent to `sink`.
    fn reaching(&self, sink: usize) -> Vec<bool> {
        let mut reaching = vec![false; self.from.len()];
        reaching[sink] = true;
        let mut stack = vec![sink];
        while let Some(vertex) = stack.pop() {
            for &edge in &self.from[vertex] {
                let (from, _) = self.edges[edge];
                if self.edges[edge ^ 1].1 > 0 && !reaching[from] {
                    reaching[from] = true;
                    stack.push(from);
                }
            }
        }
        reaching
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, Role, Sketch, Step, ending, selects_boxes};

    fn step(role: Role, reads: &[usize], writes: &[usize]) -> Step {
        Step {
            reads: reads.to_vec(),
            writes: writes.to_vec(),
            role,
        }
    }

    fn sketch(steps: Vec<Step>, outputs: &[usize], tensors: usize) -> Sketch {
        Sketch {
            steps,
            outputs: outputs.to_vec(),
            may_end: vec![true; tensors],
        }
    }

    /// Two heads (1, 2); the scores (3) are taken apart into 4, 5 and 6 before the selection.
    fn detector() -> Sketch {
        let steps = vec![
            step(Role::Layer, &[0], &[1]),
            step(Role::Layer, &[0], &[2]),
            step(Role::Plain, &[2], &[3]),
            step(Role::Plain, &[3], &[4]),
            step(Role::Plain, &[3], &[5]),
            step(Role::Plain, &[3], &[6]),
            step(Role::Selection, &[4, 1], &[7]),
            step(Role::Selection, &[5, 1], &[8]),
            step(Role::Plain, &[6, 7, 8], &[9]),
        ];
        sketch(steps, &[9], 10)
    }

    #[test]
    fn the_fewest_and_the_latest_tensors() {
        let found = ending(&detector()).unwrap();
        assert_eq!(
            found,
            Ending {
                tensors: vec![1, 3],
                before: 6
            }
        );
        // No model ends at a truth value: the tensor before it is taken.
        let mut earlier = detector();
        earlier.may_end[3] = false;
        assert_eq!(ending(&earlier).unwrap().tensors, [1, 2]);
        // One tensor that both come from, behind the layers, is fewer than two.
        let steps = vec![
            step(Role::Layer, &[0], &[1]),
            step(Role::Plain, &[1], &[2]),
            step(Role::Plain, &[2], &[3]),
            step(Role::Plain, &[2], &[4]),
            step(Role::Selection, &[3, 4], &[5]),
        ];
        assert_eq!(ending(&sketch(steps, &[5, 1], 6)).unwrap().tensors, [2, 1]);
    }

    #[test]
    fn models_that_keep_their_end_or_have_none() {
        let mut plain = detector();
        plain
            .steps
            .retain(|step| step.role != Role::Selection && !step.reads.contains(&7));
        assert_eq!(ending(&plain), None);
        let mut two_stages = detector();
        two_stages.steps.push(step(Role::Layer, &[9], &[10]));
        two_stages.may_end.push(true);
        assert_eq!(ending(&two_stages), None);
        let mut no_layers = detector();
        for step in &mut no_layers.steps {
            if step.role == Role::Layer {
                step.role = Role::Plain;
            }
        }
        assert_eq!(ending(&no_layers), None);
        // Nowhere to end: no tensor may.
        let mut nowhere = detector();
        nowhere.may_end.fill(false);
        assert_eq!(ending(&nowhere), None);
        // More than a few tensors.
        let mut steps = Vec::new();
        for head in 0..9 {
            steps.push(step(Role::Layer, &[0], &[1 + head]));
            steps.push(step(Role::Selection, &[1 + head], &[10 + head]));
        }
        let outputs: Vec<usize> = (10..19).collect();
        assert_eq!(ending(&sketch(steps, &outputs, 19)), None);
    }

    #[test]
    fn names_of_operators_that_select_boxes() {
        for name in [
            "NonMaxSuppression",
            "EfficientNMS_TRT",
            "TFLite_Detection_PostProcess",
            "NON_MAX_SUPPRESSION_V5",
            "FlexNonMaxSuppressionV3",
        ] {
            assert!(selects_boxes(name), "{name}");
        }
        assert!(!selects_boxes("GroupNorm") && !selects_boxes("Convolution2DTransposeBias"));
    }
}
