//! What the linker put into the images.

use std::collections::BTreeSet;

use ocellus_board_file::Board;
use ocellus_board_host::{Contents, OperatorSet, Variant, build_signed_image};
use ocellus_cases::choice;
use ocellus_format::Isa;
use ocellus_format::ops::OpCode;
use ocellus_setup::Terminal;
use ocellus_target_tests::{Linked, Target};

/// Paths that only code that can panic, format text or allocate brings in.
const FORBIDDEN: [&str; 8] = [
    "core::panicking",
    "panic_fmt",
    "panic_bounds_check",
    "rust_begin_unwind",
    "core::fmt::",
    "core::result::unwrap_failed",
    "core::option::unwrap_failed",
    "alloc::",
];

/// Seeds that show which kernels an instruction set has.
const SEEDS: u64 = 200;

fn linked(target: &Target, contents: &Contents, variant: Variant) -> Linked {
    Linked::read(&target.image(contents, variant).elf)
}

fn cannot_panic_or_format(name: &str) {
    let target = Target::named(name);
    for variant in [Variant::Plain, Variant::Profile] {
        let image = linked(&target, &Contents::ALL, variant);
        assert_eq!(
            image.with_any(&FORBIDDEN),
            Vec::<&str>::new(),
            "the {} image of {name}",
            variant.name()
        );
    }
}

/// Operators with kernels of their own on an instruction set.
fn accelerated(isa: Isa) -> Vec<OpCode> {
    let has_kernel = |op: &OpCode| {
        (0..SEEDS).any(|seed| choice(isa, *op, seed).is_some_and(|choice| choice.isa == isa))
    };
    // It has no kernel of its own: it runs those of `conv_2d` and `add`.
    let own = |op: &OpCode| *op != OpCode::Conv2dAdd;
    OpCode::ALL
        .into_iter()
        .filter(own)
        .filter(has_kernel)
        .collect()
}

fn holds_the_kernels_that_are_chosen(name: &str) {
    let target = Target::named(name);
    let isa = Isa::from_name(target.board.isa.name()).expect("the board's instruction set");
    let module = format!("ocellus_kernels::{}::", isa.name().replace('-', "_"));
    let operators = accelerated(isa);
    let plain = linked(&target, &Contents::ALL, Variant::Plain);
    assert_eq!(
        plain.with_any(&[&module]).is_empty(),
        operators.is_empty(),
        "{name}: kernels in the image, kernels that are chosen: {operators:?}"
    );
    // A kernel with one caller is inlined into it. The cases call each one a second time.
    let cases = linked(&target, &Contents::ALL, Variant::Conformance);
    for op in operators {
        let (own, method) = (
            format!("{module}{}::", op.name()),
            format!("as ocellus_kernels::Kernels>::{}_s8", op.name()),
        );
        let found = cases
            .with_any(&[&own, &method])
            .into_iter()
            .any(|function| function.contains(&module));
        assert!(
            found,
            "{name}: no {}-{} in the image",
            isa.name(),
            op.name()
        );
    }
}

macro_rules! bare_metal {
    ($($module:ident: $name:literal,)*) => {
        /// Boards with tests of their own.
        const TESTED: &[&str] = &[$($name),*];

        $(mod $module {
            #[test]
            fn can_neither_panic_nor_format() {
                super::cannot_panic_or_format($name);
            }

            #[test]
            fn holds_the_kernels_that_are_chosen() {
                super::holds_the_kernels_that_are_chosen($name);
            }
        })*
    };
}

bare_metal! {
    cortex_m4: "qemu-m4",
    cortex_m7: "qemu-m7",
    cortex_m33: "qemu-m33",
    cortex_m55: "qemu-m55",
}

#[test]
fn only_an_image_that_requires_signatures_links_them() {
    let target = Target::named("qemu-m4");
    let plain = linked(&target, &Contents::ALL, Variant::Plain);
    assert_eq!(plain.with_any(&["ed25519"]), Vec::<&str>::new());
    let (host, board) = (&target.host, &target.board);
    let signed = build_signed_image(host, board, &Contents::ALL, &[9; 32], &Terminal::new());
    let signed = signed.expect("it builds").expect("an image");
    let signed = Linked::read(&signed.elf);
    assert!(!signed.with_any(&["ed25519"]).is_empty());
    // The bounds checks of its tables can panic; nothing formats or allocates.
    let texts = ["core::fmt::", "unwrap_failed", "alloc::"];
    assert_eq!(signed.with_any(&texts), Vec::<&str>::new());
}

#[test]
fn every_bare_metal_board_is_tested() {
    let boards = Board::all().expect("the boards of the tree");
    let names: BTreeSet<&str> = boards
        .iter()
        .filter(|board| board.is_bare_metal())
        .map(|board| board.name.as_str())
        .collect();
    assert_eq!(names, TESTED.iter().copied().collect());
}

/// The search for forbidden code finds it where it is: a program with an operating system can panic and format.
#[test]
fn a_process_can_panic_and_format() {
    let image = linked(&Target::named("qemu-a53"), &Contents::ALL, Variant::Plain);
    for path in ["core::panicking", "core::fmt::", "alloc::"] {
        assert!(!image.with_any(&[path]).is_empty(), "{path}");
    }
}

#[test]
fn an_operator_that_is_not_asked_for_is_not_linked() {
    let target = Target::named("qemu-m4");
    let few = [OpCode::Conv2d, OpCode::Add];
    let all = linked(&target, &Contents::ALL, Variant::Plain);
    let small = linked(
        &target,
        &Contents {
            operators: OperatorSet::Only(few.into_iter().collect()),
            vision: false,
        },
        Variant::Plain,
    );
    // The engine's function that runs an operator exists once an operator.
    let entries = |image: &Linked| image.with_any(&["ocellus::table::run"]).len();
    assert_eq!(entries(&small), few.len());
    assert!(
        entries(&all) > OpCode::ALL.len() - 4,
        "{}: near one an operator, fewer where two compile to the same code",
        entries(&all)
    );
    let kernels_of = |image: &Linked, op: OpCode| {
        let parts = [format!("::{}::", op.name()), format!("::{}_s8", op.name())];
        image
            .with_any(&[&parts[0], &parts[1]])
            .iter()
            .filter(|function| function.contains("ocellus_kernels::"))
            .count()
    };
    // A kernel with one caller is inlined into it. The cases call each one a second time.
    let cases = linked(&target, &Contents::ALL, Variant::Conformance);
    assert!(
        kernels_of(&cases, OpCode::Softmax) > 0 && kernels_of(&cases, OpCode::Prelu) > 0,
        "the search finds kernels where they are"
    );
    for op in OpCode::ALL.into_iter().filter(|op| !few.contains(op)) {
        assert_eq!(kernels_of(&small, op), 0, "{} is linked", op.name());
    }
}

/// The images of MLPerf Tiny's models: inference, link and proof of the file, with every kernel that they may call.
#[test]
fn code_stays_small() {
    use OpCode::{Add, AveragePool2d, Conv2d, Conv2dAdd, DepthwiseConv2d, FullyConnected, Softmax};
    let target = Target::named("qemu-m4");
    let classes: [(&[OpCode], u64); 3] = [
        // Image classification.
        (
            &[
                Conv2d,
                Conv2dAdd,
                Add,
                AveragePool2d,
                FullyConnected,
                Softmax,
            ],
            44_500,
        ),
        // Visual wake words, keyword spotting.
        (
            &[
                Conv2d,
                DepthwiseConv2d,
                AveragePool2d,
                FullyConnected,
                Softmax,
            ],
            46_500,
        ),
        // Anomaly detection.
        (&[FullyConnected], 21_500),
    ];
    for (operators, most) in classes {
        let contents = Contents {
            operators: OperatorSet::Only(operators.iter().copied().collect()),
            vision: false,
        };
        let image = target.image(&contents, Variant::Plain);
        assert!(
            image.code_bytes <= most,
            "{operators:?}: {} bytes, more than {most}",
            image.code_bytes
        );
    }
}

#[test]
fn only_an_image_with_vision_links_it() {
    let target = Target::named("qemu-m4");
    let blind = Contents {
        vision: false,
        ..Contents::ALL
    };
    let parts = ["ocellus_image::", "ocellus_tasks::", "vision::task"];
    let blind = linked(&target, &blind, Variant::Plain);
    assert_eq!(blind.with_any(&parts), Vec::<&str>::new());
    let seeing = linked(&target, &Contents::ALL, Variant::Plain);
    assert!(!seeing.with_any(&parts).is_empty());
}

/// `.inst.w 0xf3af8040` and its like, as they lie in memory.
const fn thumb(low: u16) -> [u8; 4] {
    let [a, b] = 0xf3af_u16.to_le_bytes();
    let [c, d] = low.to_le_bytes();
    [a, b, c, d]
}

/// `hint #number` of AArch64.
const fn hint(number: u32) -> [u8; 4] {
    (0xd503_201f | (number << 5)).to_le_bytes()
}

fn markers_stand_where_a_counter_finds_them(name: &str, encode: fn(u8) -> [u8; 4]) {
    let target = Target::named(name);
    let plain = linked(&target, &Contents::ALL, Variant::Plain);
    let profile = linked(&target, &Contents::ALL, Variant::Profile);
    // Inference, load, verify: each begins and ends at one place.
    for marker in [0x40, 0x50, 0x42, 0x52, 0x43, 0x53] {
        assert_eq!(plain.count(encode(marker)), 1, "{name}: {marker:#x}");
        assert_eq!(profile.count(encode(marker)), 1, "{name}: {marker:#x}");
    }
    // Layers: in the profiling image only.
    for marker in [0x41, 0x51] {
        assert_eq!(plain.count(encode(marker)), 0, "{name}: {marker:#x}");
        assert_eq!(profile.count(encode(marker)), 1, "{name}: {marker:#x}");
    }
    // Never inlined: where a process's linker keeps no other copy, the address is the marker's own.
    for function in ["begin_inference", "end_inference"] {
        let path = format!("ocellus_app::markers::{function}");
        assert_eq!(plain.with_any(&[&path]).len(), 1, "{name}: {path}");
    }
}

#[test]
fn cortex_m_markers_stand_where_a_counter_finds_them() {
    for name in TESTED {
        markers_stand_where_a_counter_finds_them(name, |marker| thumb(0x8000 | u16::from(marker)));
    }
}

#[test]
fn aarch64_markers_stand_where_a_counter_finds_them() {
    markers_stand_where_a_counter_finds_them("qemu-a53", |marker| hint(u32::from(marker)));
}
