//! Every board answers the same conversation with the same bytes.

#[path = "../../../runtime/engine/tests/sample/mod.rs"]
mod sample;

use ocellus::kernels::Reference;
use ocellus::{Engine, Model, OpTable};
use ocellus_board_api::PixelFormat;
use ocellus_board_file::{Board, Role};
use ocellus_board_host::{
    Answer, Contents, DeviceError, Event, Frame, Image, Job, Step, Variant, build_image, run,
};
use ocellus_format::ops::Lookup;
use ocellus_format::{
    AlignedBytes, Assembly, BorderInput, BorderOutput, BorderType, Colour, Fit, Info, Isa,
    ModelView, Preprocess, QParams, Scratch, Task, TaskRecord, Writer,
};
use ocellus_protocol::CameraFault;
use ocellus_setup::{Host, Need, Terminal, ensure};
use sha2::{Digest, Sha256};

/// What the definition computes: input, and each output's bytes.
fn expected(file: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let file = AlignedBytes::from(file);
    let model = Model::load(&file, &OpTable::ALL).expect("the sample loads");
    let (inputs, outputs) = (
        model.view().program().inputs.len(),
        model.view().program().outputs.len(),
    );
    assert_eq!(inputs, 1);
    let mut arena = AlignedBytes::from(vec![0; model.arena_bytes()].as_slice());
    let mut engine = Engine::new(model, Reference, &mut arena).expect("the arena is large enough");
    let input = engine.input(0).expect("an input");
    let data: Vec<u8> = (0..input.values.len())
        .map(|i| (i * 37 % 251) as u8)
        .collect();
    for (to, &from) in input.values.iter_mut().zip(&data) {
        *to = from as i8;
    }
    engine.run(&mut ()).expect("the sample runs");
    let bytes = |i| {
        engine
            .output(i)
            .expect("an output")
            .values
            .iter()
            .map(|&v| v as u8)
            .collect()
    };
    (data, (0..outputs).map(bytes).collect())
}

fn prepare(name: &str, contents: &Contents, variant: Variant) -> (Host, Board, Option<Image>) {
    let host = Host::here().expect("the source tree");
    let board = Board::find(name).expect("a board of the tree");
    ensure(&Need::for_board(&board), &host, &Terminal::new()).expect("emulator and compiler");
    let image =
        build_image(&host, &board, contents, variant, &Terminal::new()).expect("the image builds");
    (host, board, image)
}

fn answers_like_the_definition(name: &str) {
    let (host, board, image) = prepare(name, &Contents::ALL, Variant::Plain);
    if let Some(image) = image.as_ref().filter(|_| board.is_bare_metal()) {
        assert_eq!(
            image.panic_symbols,
            Vec::<String>::new(),
            "nothing in the image can panic"
        );
        assert!(image.code_bytes > 10_000, "{image:?}");
    }
    let file = sample::every_operator();
    let (input, outputs) = expected(&file);
    let mut job = Job::new(file.clone());
    job.steps = vec![
        Step::Hello,
        Step::Infer { progress: false },
        Step::Verify,
        Step::Load,
    ];
    job.steps.push(Step::Input {
        index: 0,
        data: input,
    });
    job.steps.push(Step::Tap { tensor: 0 });
    job.steps.push(Step::Tap { tensor: 1 });
    job.steps.push(Step::Infer { progress: true });
    for (index, output) in (0..).zip(&outputs) {
        job.steps.push(Step::Output {
            index,
            len: output.len() as u32,
        });
        job.steps.push(Step::OutputHash { index });
    }
    job.steps.push(Step::Input {
        index: 0,
        data: vec![0; 1 << 12],
    });
    job.steps.push(Step::Memory);
    let mut progress = Vec::new();
    let answers = run(&host, &board, image.as_ref(), &job, &mut |event| {
        if let Event::Progress { done, total } = event {
            progress.push((done, total));
        }
    })
    .expect("the board answers");

    let operators = ModelView::new_checked(&AlignedBytes::from(file.as_slice()))
        .expect("sound")
        .program()
        .operator_count;
    assert_eq!(
        progress,
        (1..=operators)
            .map(|done| (done, operators))
            .collect::<Vec<_>>()
    );
    let mut answers = answers.into_iter();
    let mut next = || answers.next().expect("an answer a step");
    let hello = next();
    assert!(
        matches!(&hello, Answer::Hello { board, operators: 28, .. } if board == name),
        "{hello:?}"
    );
    assert_eq!(
        next(),
        Answer::Refused(DeviceError::NotLoaded),
        "inference before loading"
    );
    assert!(matches!(next(), Answer::Verified(_)));
    let loaded = next();
    assert!(
        matches!(loaded, Answer::Loaded { inputs: 1, .. }),
        "{loaded:?}"
    );
    assert_eq!(next(), Answer::Done);
    assert_eq!((next(), next()), (Answer::Done, Answer::Done));
    let inferred = next();
    let Answer::Inferred { taps, .. } = &inferred else {
        panic!("{inferred:?}")
    };
    assert_eq!(
        taps.iter().map(|(tensor, _)| *tensor).collect::<Vec<_>>(),
        [1],
        "tensor 0 is the input: no operator writes it"
    );
    for output in outputs {
        assert_eq!(next(), Answer::Output(output.clone()));
        assert_eq!(next(), Answer::OutputHash(Sha256::digest(&output).into()));
    }
    assert!(
        matches!(next(), Answer::Refused(DeviceError::OutOfRange { .. })),
        "more input than there is"
    );
    let memory = next();
    let Answer::Memory {
        stack_bytes,
        stack_used_bytes,
        arena_bytes,
        ..
    } = memory
    else {
        panic!("{memory:?}")
    };
    assert!(arena_bytes > 0);
    if board.is_bare_metal() {
        let (all, used) = (
            stack_bytes.expect("measured"),
            stack_used_bytes.expect("measured"),
        );
        assert!((256..all).contains(&used), "stack: {used} of {all} bytes");
    }
}

/// An arena of three parts gives the same bytes, wherever the parts lie; the board says where.
fn runs_in_parts(name: &str) {
    let (host, board, image) = prepare(name, &Contents::ALL, Variant::Plain);
    let (input, outputs) = expected(&sample::every_operator());
    let file = sample::every_operator_in_parts();
    let aligned = AlignedBytes::from(file.as_slice());
    let view = ModelView::new_checked(&aligned).expect("sound");
    let mut job = Job::new(file);
    let run_once = |job: &mut Job| {
        job.steps.push(Step::Load);
        job.steps.push(Step::Input {
            index: 0,
            data: input.clone(),
        });
        job.steps.push(Step::Infer { progress: false });
        let lens = (0..).zip(&outputs);
        job.steps.extend(lens.map(|(index, output)| Step::Output {
            index,
            len: output.len() as u32,
        }));
        job.steps.push(Step::Memory);
    };
    // Twice: an earlier model's memories are free again.
    run_once(&mut job);
    run_once(&mut job);
    let answers = run(&host, &board, image.as_ref(), &job, &mut |_| ()).expect("it answers");
    let region = board
        .slots_of(Role::Arena)
        .next()
        .map_or("heap", |(_, region)| &region.name);
    let placed: Vec<_> = (view.parts().iter())
        .map(|part| (region.to_owned(), part.len() as u32))
        .collect();
    assert_eq!(placed.len(), 3);
    let mut seen = 0;
    for answer in &answers {
        match answer {
            Answer::Loaded { parts, .. } | Answer::Memory { parts, .. } => {
                assert_eq!(*parts, placed);
                seen += 1;
            }
            Answer::Refused(error) => panic!("{error:?}"),
            _ => {}
        }
    }
    assert_eq!(seen, 4);
    let there = answers.into_iter().filter_map(|answer| match answer {
        Answer::Output(bytes) => Some(bytes),
        _ => None,
    });
    assert_eq!(
        there.collect::<Vec<_>>(),
        [outputs.clone(), outputs].concat()
    );
}

/// A model that negates an 8 by 8 picture; its values are the scores. Its arena is larger than any on-chip memory.
fn negative() -> Vec<u8> {
    let q = QParams {
        scale: 1.0,
        zero_point: -128,
    };
    let mut writer = Writer::new(Isa::Reference);
    let table: Vec<i8> = (0..256).map(|i| (127 - i) as i8).collect();
    let table = writer
        .constant("table", &[256], None, &table)
        .expect("table");
    let x = writer.activation("x", &[8, 8, 3], q, 0).expect("x");
    let y = writer.activation("y", &[8, 8, 3], q, 4 << 20).expect("y");
    writer
        .operator(
            "negate",
            &Lookup { len: 192 },
            &[x, table],
            &[y],
            Scratch::default(),
        )
        .expect("sound");
    let task = TaskRecord {
        preprocess: Some(Preprocess {
            fit: Fit::Stretch,
            colour: Colour::Bgr,
            mean: [0.0; 3],
            std: [1.0; 3],
        }),
        task: Task::Classify {
            top_k: 5,
            softmax: true,
        },
        labels: "",
    };
    let border = |name: &str| (name.to_owned(), vec![8, 8, 3]);
    let ((name, shape), (output, output_shape)) = (border("x"), border("y"));
    let info = Info {
        inputs: vec![BorderInput {
            name,
            shape,
            order: vec![0, 1, 2],
            border: BorderType::F32,
        }],
        outputs: vec![BorderOutput {
            name: output,
            shape: output_shape,
            assembly: Assembly::output(0),
            border: BorderType::F32,
        }],
        ..Info::default()
    };
    writer
        .finish("main", &[x], &[y], info, Some(&task))
        .expect("a sound model")
}

fn sees_like_the_pc(name: &str) {
    let (host, board, image) = prepare(name, &Contents::ALL, Variant::Plain);
    let mut job = Job::new(negative());
    let (width_px, height_px) = (1280, 926);
    let pixels = (0..u32::from(width_px) * u32::from(height_px) * 2)
        .map(|i| (i.wrapping_mul(i) >> 3) as u8)
        .collect();
    job.frames = vec![Frame {
        width_px,
        height_px,
        format: PixelFormat::Rgb565,
        pixels,
    }];
    job.steps = vec![
        Step::Load,
        Step::Capture { index: 0 },
        Step::Tap { tensor: 1 },
        Step::Infer { progress: false },
    ];
    job.steps.extend([Step::Task, Step::Capture { index: 0 }]);
    let ask = |host: &Host, board: &Board, image| {
        run(host, board, image, &job, &mut |_| ()).expect("the board answers")
    };
    let here = ask(&host, &Board::find("host").expect("this PC"), None);
    let there = ask(&host, &board, image.as_ref());
    let external = ["heap", "PSRAM", "DDR"];
    let loaded = &there[0];
    assert!(
        matches!(loaded, Answer::Loaded { region, .. } if external.contains(&region.as_str())),
        "{loaded:?}"
    );
    let captured = &there[1];
    assert!(
        matches!(
            captured,
            Answer::Captured {
                width_px: 1280,
                height_px: 926,
                region,
            } if external.contains(&region.as_str())
        ),
        "{captured:?}"
    );
    // Not the time that it took.
    let taps = |answer: &Answer| {
        if let Answer::Inferred { taps, .. } = answer {
            taps.clone()
        } else {
            panic!("{answer:?}")
        }
    };
    assert_eq!(taps(&there[3]), taps(&here[3]));
    assert!(
        matches!(&there[4], Answer::Task { classes, .. } if classes.len() == 5),
        "{:?}",
        there[4]
    );
    assert_eq!(there[4], here[4]);
    assert_eq!(
        there[5],
        Answer::Refused(DeviceError::Camera(CameraFault::Ended))
    );
}

macro_rules! boards {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            answers_like_the_definition($name);
            runs_in_parts($name);
            sees_like_the_pc($name);
        }
    )*};
}

boards! {
    host_answers_like_the_definition: "host",
    cortex_a53_answers_like_the_definition: "qemu-a53",
    cortex_a76_answers_like_the_definition: "qemu-a76",
    armv8_6_answers_like_the_definition: "qemu-max",
    cortex_m4_answers_like_the_definition: "qemu-m4",
    cortex_m7_answers_like_the_definition: "qemu-m7",
    cortex_m33_answers_like_the_definition: "qemu-m33",
    cortex_m55_answers_like_the_definition: "qemu-m55",
}
