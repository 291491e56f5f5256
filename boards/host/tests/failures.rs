//! What happens when a board, an image or a model is not what it should be.

#[path = "../../../runtime/engine/tests/sample/mod.rs"]
mod sample;

use std::time::{Duration, Instant};

use ocellus_board_file::Board;
use ocellus_board_host::{
    Answer, BoardError, Contents, DeviceError, Image, Job, OperatorSet, Step, Variant, build_image,
    run,
};
use ocellus_format::ops::OpCode;
use ocellus_setup::{Host, Need, Terminal, ensure};

fn prepare(contents: &Contents, variant: Variant) -> (Host, Board, Image) {
    let host = Host::here().expect("the source tree");
    let board = Board::find("qemu-m4").expect("a board of the tree");
    ensure(&Need::for_board(&board), &host, &Terminal::new()).expect("emulator and compiler");
    let image =
        build_image(&host, &board, contents, variant, &Terminal::new()).expect("the image builds");
    (host, board, image.expect("a bare-metal board has an image"))
}

fn ask(host: &Host, board: &Board, image: &Image, job: &Job) -> Result<Vec<Answer>, BoardError> {
    run(host, board, Some(image), job, &mut |_| ())
}

#[test]
fn an_image_holds_only_the_operators_asked_for() {
    let some = Contents {
        operators: OperatorSet::Only([OpCode::Conv2d, OpCode::Softmax].into()),
        vision: false,
    };
    let (host, board, small) = prepare(&some, Variant::Plain);
    let (.., whole) = prepare(&Contents::ALL, Variant::Plain);
    assert!(
        small.code_bytes < whole.code_bytes,
        "{} and {} bytes",
        small.code_bytes,
        whole.code_bytes
    );
    let mut job = Job::new(sample::every_operator());
    job.steps = vec![Step::Load, Step::Infer { progress: false }, Step::Hello];
    let answers = ask(&host, &board, &small, &job).expect("the board answers");
    let Answer::Refused(error @ DeviceError::Load(_)) = answers[0] else {
        panic!("{answers:?}")
    };
    assert!(error.to_string().contains("is not linked"), "{error}");
    assert_eq!(answers[1], Answer::Refused(DeviceError::NotLoaded));
    assert!(
        matches!(answers[2], Answer::Hello { operators: 2, .. }),
        "{answers:?}"
    );
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let (host, board, image) = prepare(&Contents::ALL, Variant::Plain);
    let mut model = sample::every_operator();
    let last = model.len() - 1;
    model[last] ^= 1;
    let mut job = Job::new(model);
    job.steps = vec![Step::Verify];
    let answers = ask(&host, &board, &image, &job).expect("the board answers");
    let Answer::Refused(error) = answers[0] else {
        panic!("{answers:?}")
    };
    assert!(error.to_string().contains("SHA-256"), "{error}");
    let mut job = Job::new(b"no model at all, but bytes all the same".to_vec());
    job.steps = vec![Step::Load];
    let answers = ask(&host, &board, &image, &job).expect("the board answers");
    assert!(
        matches!(answers[0], Answer::Refused(DeviceError::Load(_))),
        "{answers:?}"
    );
}

#[test]
fn a_model_larger_than_every_slot_is_refused_before_starting() {
    let (host, board, image) = prepare(&Contents::ALL, Variant::Plain);
    let mut job = Job::new(vec![0; 64 << 20]);
    job.steps = vec![Step::Load];
    let error = ask(&host, &board, &image, &job).expect_err("no room");
    assert!(matches!(error, BoardError::Place(_)), "{error}");
}

#[test]
fn a_dead_emulator_is_reported_with_what_it_said() {
    let (host, board, mut image) = prepare(&Contents::ALL, Variant::Plain);
    image.elf = host.root.join("boards/qemu/no-such-image.elf");
    let mut job = Job::new(Vec::new());
    job.steps = vec![Step::Hello];
    let error = ask(&host, &board, &image, &job).expect_err("there is no image");
    assert!(
        matches!(
            error,
            BoardError::Died {
                answered: 0,
                asked: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("no-such-image.elf"), "{error}");
}

#[test]
fn a_silent_board_is_stopped() {
    let (host, board, image) = prepare(&Contents::ALL, Variant::Conformance);
    let mut job = Job::new(Vec::new());
    // More cases than it can run in that time, and the first word comes after an operator's last one.
    job.steps = vec![Step::Conformance { cases: 1_000_000 }];
    job.patience = Duration::from_millis(500);
    let start = Instant::now();
    let error = ask(&host, &board, &image, &job).expect_err("it takes longer");
    assert!(
        matches!(
            error,
            BoardError::Silent {
                answered: 0,
                asked: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(60));
}
