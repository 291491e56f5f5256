//! The same bytes every time, and how many: a change of these numbers is a decision.

use ocellus::{Engine, Model as Program, OpTable};
use ocellus_compile::Target;
use ocellus_format::{AlignedBytes, Isa};
use ocellus_kernels::Reference;

use crate::graphs;
use crate::models::{
    ANOMALY, FASTESTDET, KEYWORDS, MOBILENET, Model, RESNET8, ULTRAFACE, VISUAL_WAKE_WORDS,
};

/// Bytes of arena and of the model file, portable and packed for Helium.
type Sizes = [(u64, u64); 2];

fn sizes(model: &Model) -> Sizes {
    [Target::Portable, Target::Isa(Isa::Helium)].map(|target| {
        let compiled = model.compiled(target);
        assert_eq!(compiled.report.model_bytes, compiled.bytes.len() as u64);
        (compiled.report.arena_bytes, compiled.report.model_bytes)
    })
}

fn check(model: &Model, expected: Sizes) -> Option<String> {
    let actual = sizes(model);
    (actual != expected).then(|| format!("{}: {actual:?} instead of {expected:?}", model.name))
}

#[test]
fn arena_and_file_of_generated_networks() {
    let expected: [(&str, Sizes); 4] = [
        ("residual", [(14_944, 26_240), (14_944, 26_368)]),
        ("separable", [(4_320, 15_984), (4_320, 16_768)]),
        ("detector", [(10_304, 24_832), (8_960, 25_296)]),
        ("mixed", [(5_168, 13_031), (5_168, 14_512)]),
    ];
    let wrong: Vec<String> = expected
        .into_iter()
        .filter_map(|(name, sizes)| check(&graphs::generated(name), sizes))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn arena_and_file_of_real_models() {
    let expected = [
        (&RESNET8, [(36_224, 93_792), (36_224, 93_952)]),
        (&VISUAL_WAKE_WORDS, [(55_616, 79_744), (55_616, 81_968)]),
        (&KEYWORDS, [(17_680, 42_640), (17_024, 43_184)]),
        (&ANOMALY, [(1_792, 286_208), (768, 287_296)]),
        (&MOBILENET, [(82_240, 548_928), (82_240, 549_536)]),
        (&ULTRAFACE, [(922_112, 325_152), (922_112, 325_392)]),
        (&FASTESTDET, [(1_054_080, 309_040), (1_054_080, 311_360)]),
    ];
    let wrong: Vec<String> = expected
        .into_iter()
        .filter_map(|(real, sizes)| check(&real.model()?, sizes))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Calibration splits its work among threads; how many there are must not show.
#[test]
fn a_conversion_gives_the_same_bytes_on_any_count_of_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| {
            ["residual", "separable", "detector", "mixed"]
                .map(|name| graphs::generated(name).compiled(Target::Portable).bytes)
        })
    };
    let one = with(1);
    for threads in [1, 2, 5] {
        assert_eq!(one, with(threads), "{threads} threads");
    }
}

#[test]
fn an_arena_one_byte_short_is_refused() {
    for name in ["residual", "detector"] {
        let compiled = graphs::generated(name).compiled(Target::Portable);
        let file = AlignedBytes::from(compiled.bytes.as_slice());
        let len = compiled.report.arena_bytes as usize;
        let engine = |len: usize| {
            let program = Program::load(&file, &OpTable::<Reference>::ALL).expect("a sound file");
            let mut arena = AlignedBytes::from(vec![0; len].as_slice());
            Engine::new(program, Reference, &mut arena).map(|_| ())
        };
        assert!(
            engine(len).is_ok(),
            "{name}: what the report says is enough"
        );
        let refusal = engine(len - 1).expect_err("one byte is missing");
        assert!(
            refusal.to_string().contains(&len.to_string()),
            "{name}: {refusal}"
        );
    }
}
