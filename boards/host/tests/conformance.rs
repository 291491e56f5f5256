//! The kernels of every board hold their cases where they run.

use ocellus_board_file::Board;
use ocellus_board_host::{Answer, Job, OperatorSet, Step, Variant, build_image, run};
use ocellus_cases::{DIGEST, DIGEST_COUNT};
use ocellus_setup::{Host, Need, Terminal, ensure};

fn kernels_hold_their_cases(name: &str) {
    let host = Host::here().expect("the source tree");
    let board = Board::find(name).expect("a board of the tree");
    ensure(&Need::for_board(&board), &host, &Terminal::new()).expect("emulator and compiler");
    let image = build_image(
        &host,
        &board,
        &OperatorSet::All,
        Variant::Conformance,
        &Terminal::new(),
    )
    .expect("the image builds");
    let mut job = Job::new(Vec::new());
    job.steps = vec![
        Step::Hello,
        Step::Conformance {
            cases: DIGEST_COUNT as u32,
        },
    ];
    let answers = run(&host, &board, image.as_ref(), &job, &mut |_| ()).expect("the board answers");
    let [
        Answer::Hello { isa, .. },
        Answer::Conformance { rows, verdict },
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    for row in rows {
        println!(
            "{isa}-{}: {} equal, {} by the reference, {} failed",
            row.operator, row.equal, row.default_method, row.failed
        );
    }
    assert_eq!(verdict.failed, 0, "{rows:?}");
    assert_eq!(
        verdict.digest, DIGEST,
        "the reference was compiled wrongly for {name}"
    );
    assert_eq!(rows.len(), 20);
}

macro_rules! boards {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            kernels_hold_their_cases($name);
        }
    )*};
}

boards! {
    cortex_a53_kernels_hold_their_cases: "qemu-a53",
    cortex_a76_kernels_hold_their_cases: "qemu-a76",
    cortex_m4_kernels_hold_their_cases: "qemu-m4",
    cortex_m7_kernels_hold_their_cases: "qemu-m7",
    cortex_m33_kernels_hold_their_cases: "qemu-m33",
    cortex_m55_kernels_hold_their_cases: "qemu-m55",
}
