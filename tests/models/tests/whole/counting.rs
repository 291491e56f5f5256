//! The image without markers in its layers gives the totals; the other one must not cost more than what it measures.

use ocellus_board_host::{Answer, Job, Step, Variant};
use ocellus_compile::Target;
use ocellus_compile::interpret::Interpreter;
use ocellus_cycles::plugin_argument;
use ocellus_cycles::report::{Kind, Report};
use ocellus_setup::{Terminal, cycles_plugin};

use crate::fleet::member;
use crate::graphs;
use crate::models::{Model, RESNET8};

/// Instructions of an inference, and of each of its layers where the image marks them.
fn count(board: &str, variant: Variant, model: &Model) -> (u64, Vec<u64>) {
    let member = member(board, variant);
    let compiled = model.compiled(Target::Portable);
    let interpreter = Interpreter::new(&compiled.bytes).expect("a sound file");
    let plugin = cycles_plugin(&member.host, &Terminal::new()).expect("the counter builds");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("counts.json");
    let mut job = Job::new(compiled.bytes);
    job.plugin = plugin_argument(&plugin, &out);
    job.steps.push(Step::Load);
    let inputs = model.inputs(&interpreter).swap_remove(0);
    for (index, values) in (0..).zip(inputs) {
        let data = values.into_iter().map(|v| v as u8).collect();
        job.steps.push(Step::Input { index, data });
    }
    job.steps.push(Step::Infer { progress: false });
    let answers = member.run(&job);
    assert!(
        matches!(answers.last(), Some(Answer::Inferred { .. })),
        "{answers:?}"
    );
    let report = Report::read(&out).expect("a report");
    let bracket = report.of(Kind::Inference).next().expect("an inference");
    let layers = bracket.layers.iter().map(|layer| layer.instructions);
    (bracket.counts.instructions, layers.collect())
}

fn markers_cost_little(board: &str, model: &Model) {
    let (plain, none) = count(board, Variant::Plain, model);
    let (profile, layers) = count(board, Variant::Profile, model);
    assert_eq!(none, Vec::<u64>::new(), "markers in the plain image");
    assert_eq!(
        layers.len(),
        model.compiled(Target::Portable).report.layers.len(),
        "one count a layer"
    );
    let in_layers: u64 = layers.iter().sum();
    for (what, other) in [("the profile", profile), ("the sum of layers", in_layers)] {
        let difference = plain.abs_diff(other);
        assert!(
            difference * 200 <= plain,
            "{} on {board}: {what} has {other} instructions and the plain image {plain}",
            model.name
        );
    }
}

#[test]
fn markers_cost_little_in_a_network() {
    markers_cost_little("qemu-m4", &graphs::generated("residual"));
}

#[test]
fn markers_cost_little_in_resnet_8() {
    if let Some(model) = RESNET8.model() {
        for board in ["qemu-m4", "qemu-m55", "qemu-a53"] {
            markers_cost_little(board, &model);
        }
    }
}
