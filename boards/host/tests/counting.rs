//! The instruction counter finds what the image brackets.

#[path = "../../../runtime/engine/tests/sample/mod.rs"]
mod sample;

use ocellus_board_file::Board;
use ocellus_board_host::{Answer, Contents, Job, Step, Variant, build_image, run};
use ocellus_cycles::plugin_argument;
use ocellus_cycles::report::{Kind, Report};
use ocellus_format::ops::OpCode;
use ocellus_setup::{Host, Need, Terminal, cycles_plugin, ensure};

/// Operators of the sample: one of each kind.
const LAYERS: usize = OpCode::ALL.len();

fn count(name: &str, variant: Variant) -> Report {
    let host = Host::here().expect("the source tree");
    let board = Board::find(name).expect("a board of the tree");
    ensure(&Need::for_board(&board), &host, &Terminal::new()).expect("emulator and compiler");
    let plugin = cycles_plugin(&host, &Terminal::new()).expect("the counter builds");
    let image = build_image(&host, &board, &Contents::ALL, variant, &Terminal::new())
        .expect("the image builds");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("counts.json");
    let mut job = Job::new(sample::every_operator());
    job.steps = vec![Step::Verify, Step::Load, Step::Infer { progress: false }];
    job.plugin = plugin_argument(&plugin, &out);
    let answers = run(&host, &board, image.as_ref(), &job, &mut |_| ()).expect("the board answers");
    assert!(matches!(answers[2], Answer::Inferred { .. }), "{answers:?}");
    Report::read(&out).expect("a report")
}

fn brackets_are_found(name: &str) {
    let (plain, profile) = (count(name, Variant::Plain), count(name, Variant::Profile));
    for report in [&plain, &profile] {
        for kind in [Kind::Inference, Kind::Load, Kind::Verify] {
            assert_eq!(report.of(kind).count(), 1, "{kind:?} in {report:?}");
        }
    }
    let total = |report: &Report| {
        report
            .of(Kind::Inference)
            .map(|b| b.counts.instructions)
            .sum::<u64>()
    };
    let layers: Vec<_> = profile
        .of(Kind::Inference)
        .flat_map(|b| &b.layers)
        .collect();
    assert_eq!(layers.len(), LAYERS, "one a layer");
    assert!(
        plain.of(Kind::Inference).all(|b| b.layers.is_empty()),
        "markers in the plain image"
    );
    let in_layers: u64 = layers.iter().map(|l| l.instructions).sum();
    assert!(
        in_layers < total(&profile),
        "{in_layers} of {}",
        total(&profile)
    );
    // The sample's layers are tiny, so that the markers weigh more than in a model: their share is bounded by a count a layer.
    let difference = total(&profile).abs_diff(total(&plain));
    assert!(
        difference < 40 * LAYERS as u64,
        "{difference} instructions between {} and {}",
        total(&plain),
        total(&profile)
    );
}

#[test]
fn brackets_are_found_on_cortex_m4() {
    brackets_are_found("qemu-m4");
}

#[test]
fn brackets_are_found_on_cortex_a53() {
    brackets_are_found("qemu-a53");
}
