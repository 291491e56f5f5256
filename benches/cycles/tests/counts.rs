//! The plugin against programs whose counts were worked out by hand, in the emulators themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ocellus_cycles::report::{Bracket, Classes, Counts, CycleRange, Kind, Report, Target};

/// The plugin, which cargo built beside this test.
fn plugin() -> PathBuf {
    let test = std::env::current_exe().expect("path of this test");
    let folder = test.parent().expect("folder of this test");
    let plugin = folder.join("libocellus_cycles.so");
    assert!(
        plugin.is_file(),
        "{} is missing: cargo builds it with the library",
        plugin.display()
    );
    plugin
}

/// Runs a command to its end. A tool that is not there is a failure with a remedy, never a skip.
fn run(command: &mut Command, remedy: &str) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .output()
        .unwrap_or_else(|error| panic!("{name} does not start ({error}): {remedy}"))
}

/// Builds one of the bare programs in `fixtures/`.
fn build(fixture: &str, target: &str, options: &[&str], folder: &Path) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let image = folder.join(fixture);
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command
        .current_dir(&fixtures)
        .arg(format!("{fixture}.rs"))
        .arg("-o")
        .arg(&image);
    command
        .args([
            "--edition=2024",
            "-Copt-level=1",
            "-Cpanic=abort",
            "--target",
            target,
        ])
        .args(options);
    let built = run(&mut command, "install Rust with rustup");
    assert!(
        built.status.success(),
        "{fixture}.rs does not build; is the target there? rustup target add {target}\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    image
}

/// Runs `image` in an emulator with the plugin, and reads the report.
fn count(emulator: &str, options: &[&str], image: &Path, arguments: &str) -> Report {
    let out = image.with_extension("json");
    let load = ocellus_cycles::plugin_argument(&plugin(), &out).expect("a UTF-8 path");
    let mut command = Command::new(emulator);
    command
        .args(options)
        .arg("-plugin")
        .arg(format!("{load}{arguments}"));
    // The system emulators take the image as an option, the user ones as the last argument.
    if emulator.contains("system") {
        command.arg("-kernel");
    }
    let ran = run(
        command.arg(image),
        "install Debian's qemu-system-arm and qemu-user",
    );
    assert!(
        ran.status.success(),
        "{emulator}: {:?}\n{}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(ran.stderr, b"", "{}", String::from_utf8_lossy(&ran.stderr));
    Report::read(&out).expect("a report")
}

const SYSTEM: [&str; 5] = [
    "-nographic",
    "-monitor",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
];

fn count_m4(cpu_options: &[&str], arguments: &str) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let image = build(
        "m4",
        "thumbv7em-none-eabihf",
        &["-Clink-arg=-Tm4.ld"],
        folder.path(),
    );
    let options = [&["-machine", "mps2-an386"], cpu_options, &SYSTEM].concat();
    count("qemu-system-arm", &options, &image, arguments)
}

fn count_m55() -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ["-Clink-arg=-Tm55.ld", "-Ctarget-cpu=cortex-m55"];
    let image = build("m55", "thumbv8m.main-none-eabihf", &options, folder.path());
    count(
        "qemu-system-arm",
        &[&["-machine", "mps3-an547"][..], &SYSTEM].concat(),
        &image,
        ",check=on",
    )
}

fn count_a64(arguments: &str) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let options = [
        "-Clinker=rust-lld",
        "-Clinker-flavor=ld.lld",
        "-Clink-self-contained=no",
        "-Crelocation-model=static",
        "-Clink-arg=-nostdlib",
        "-Cdefault-linker-libraries=no",
    ];
    let image = build("a64", "aarch64-unknown-linux-musl", &options, folder.path());
    count("qemu-aarch64", &[], &image, arguments)
}

/// Counts as the Cortex-M4 model gives them.
fn m4(instructions: u64, cycles: u64, classes: Classes) -> Counts {
    Counts {
        instructions,
        estimated_cycles: Some(cycles),
        m55_cycles: None,
        classes,
    }
}

/// What holds for any report of a sound run.
fn assert_sound(report: &Report) {
    assert_eq!(report.warnings, [""; 0]);
    for bracket in &report.brackets {
        assert_eq!(bracket.counts.instructions, bracket.counts.classes.total());
        assert_eq!(
            bracket.instructions_checked,
            Some(bracket.counts.instructions),
            "{bracket:?}"
        );
    }
}

fn only(report: &Report, kind: Kind) -> &Bracket {
    let mut of_kind = report.of(kind);
    let bracket = of_kind.next().expect("a bracket");
    assert!(of_kind.next().is_none(), "more than one {kind:?}");
    bracket
}

#[test]
fn a_loop_counts_exactly_on_m4() {
    let report = count_m4(&[], ",check=on");
    assert_sound(&report);
    assert_eq!(report.target, Target::Thumb);
    let expected = Classes {
        data_processing: 2 + 2 * 1000,
        branch: 1000,
        branch_taken: 999,
        ..Classes::default()
    };
    let inference = report.of(Kind::Inference).next().expect("a bracket");
    assert_eq!(
        inference.counts,
        m4(2 + 3 * 1000, 2 + 3 * 1000 + 2 * 999, expected)
    );
    assert_eq!(inference.layers, []);
}

#[test]
fn markers_inside_a_block_split_it_on_m4() {
    let report = count_m4(&[], ",check=on");
    let kinds: Vec<_> = report.brackets.iter().map(|bracket| bracket.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Verify, Kind::Load, Kind::Inference, Kind::Inference]
    );
    let one = Classes {
        data_processing: 1,
        ..Classes::default()
    };
    assert_eq!(only(&report, Kind::Verify).counts, m4(1, 1, one));
    assert_eq!(
        only(&report, Kind::Load).counts,
        m4(0, 0, Classes::default())
    );
}

#[test]
fn every_class_has_its_cost_on_m4() {
    let report = count_m4(&[], ",check=on");
    let none = Classes::default();
    let expected = [
        m4(
            9,
            9,
            Classes {
                data_processing: 9,
                ..none
            },
        ),
        // mls costs 2.
        m4(
            4,
            5,
            Classes {
                multiply: 4,
                ..none
            },
        ),
        m4(
            5,
            5,
            Classes {
                long_multiply: 5,
                ..none
            },
        ),
        m4(
            10,
            10,
            Classes {
                dsp_mac: 10,
                ..none
            },
        ),
        // ldr 2, two paired 1, adds 1, ldr 2, ldrd 3, ldr 2, vldr paired 1, double vldr 3.
        m4(
            9,
            2 + 1 + 1 + 1 + 2 + 3 + 2 + 1 + 3,
            Classes {
                load: 8,
                data_processing: 1,
                ..none
            },
        ),
        // str 1, strh 1, ldr paired 1, strd 3, vstr 1.
        m4(
            5,
            1 + 1 + 1 + 3 + 1,
            Classes {
                store: 4,
                load: 1,
                ..none
            },
        ),
        // 4, 4, 8, 8, 4 and 4 registers, and 1 each.
        m4(
            6,
            6 + 32,
            Classes {
                load_store_multiple: 6,
                ..none
            },
        ),
        // movs; cbz not taken; cbnz, bl taken; movs, bx taken; bl taken; push 2; pop 2 and taken;
        // cmp; beq to the next instruction, not taken; b.w, tbb taken; nop.
        m4(
            14,
            14 + 2 + 2 * 7,
            Classes {
                data_processing: 3,
                branch: 8,
                branch_taken: 7,
                load_store_multiple: 2,
                other: 1,
                ..none
            },
        ),
        m4(2, 14, Classes { divide: 2, ..none }),
        // Three multiply-accumulates at 3, a division and a root at 14, seven at 1.
        m4(12, 3 * 3 + 2 * 14 + 7, Classes { float: 12, ..none }),
        // The skipped mov counts.
        m4(
            7,
            7,
            Classes {
                data_processing: 3,
                other: 4,
                ..none
            },
        ),
    ];
    let gallery = report
        .of(Kind::Inference)
        .nth(1)
        .expect("the second inference");
    assert_eq!(gallery.layers.len(), expected.len());
    for (index, (layer, expected)) in gallery.layers.iter().zip(&expected).enumerate() {
        assert_eq!(layer, expected, "layer {index}");
    }
    let sum: u64 = expected.iter().map(|layer| layer.instructions).sum();
    assert_eq!(gallery.counts.instructions, sum, "markers are not counted");
}

#[test]
fn blocks_of_one_instruction_give_the_same_counts() {
    // One instruction a block loses every pairing, and must lose nothing else.
    let whole = count_m4(&[], ",check=on");
    let single = count_m4(&["-singlestep"], ",check=on");
    assert_sound(&single);
    let classes = |report: &Report| {
        report
            .brackets
            .iter()
            .flat_map(|b| {
                b.layers
                    .iter()
                    .chain([&b.counts])
                    .map(|c| c.classes)
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(classes(&whole), classes(&single));
    let loads = |report: &Report| {
        report
            .of(Kind::Inference)
            .nth(1)
            .expect("the second inference")
            .layers[4]
            .estimated_cycles
    };
    assert_eq!((loads(&whole), loads(&single)), (Some(16), Some(19)));
}

#[test]
fn helium_loops_count_exactly_on_m55() {
    let report = count_m55();
    assert_sound(&report);
    let none = Classes::default();
    let m55 = |instructions, low, high, classes| Counts {
        instructions,
        estimated_cycles: None,
        m55_cycles: Some(CycleRange { low, high }),
        classes,
    };
    let inference = only(&report, Kind::Inference);
    let expected = [
        // ldr, movs, movs, dlstp, then 7 turns of vldrb, vaddva (which overlap) and letp.
        m55(
            4 + 7 * 3,
            4 + 7 * (2 + 1 + 1),
            4 + 7 * (2 + 2 + 1),
            Classes {
                data_processing: 2,
                load: 1,
                other: 1,
                helium: 14,
                branch: 7,
                branch_taken: 6,
                ..none
            },
        ),
        m55(
            3 + 50 * 2,
            3 + 50 * 2,
            3 + 50 * 2,
            Classes {
                data_processing: 2 + 50,
                other: 1,
                branch: 50,
                branch_taken: 49,
                ..none
            },
        ),
    ];
    assert_eq!(inference.layers[..2], expected);
    let gallery = inference.layers[2];
    assert_eq!(
        gallery.classes,
        Classes {
            load: 1,
            helium: 16,
            ..none
        }
    );
    assert_eq!(gallery.m55_cycles.map(|range| range.high), Some(1 + 2 * 16));
    assert_eq!(
        inference.counts.instructions,
        inference
            .layers
            .iter()
            .map(|layer| layer.instructions)
            .sum::<u64>()
    );
    assert_eq!(
        inference.counts.best_estimate(),
        inference.counts.m55_cycles.map(|range| range.high)
    );
}

#[test]
fn classes_and_loops_count_exactly_on_a64() {
    let report = count_a64(",check=on");
    assert_sound(&report);
    assert_eq!(report.target, Target::Aarch64);
    assert_eq!(only(&report, Kind::Load).counts.instructions, 1);
    let inference = only(&report, Kind::Inference);
    let a64 = |instructions, classes| Counts {
        instructions,
        estimated_cycles: None,
        m55_cycles: None,
        classes,
    };
    let none = Classes::default();
    let gallery = Classes {
        multiply: 1,
        long_multiply: 2,
        divide: 1,
        load: 4,
        store: 2,
        load_store_multiple: 2,
        float: 2,
        neon: 3,
        other: 3,
        ..none
    };
    // bl, ret, cbz not taken, tbnz taken.
    let branches = Classes {
        branch: 4,
        branch_taken: 3,
        ..none
    };
    assert_eq!(inference.layers, [a64(20, gallery), a64(4, branches)]);
    let counts = inference.counts;
    assert_eq!(counts.instructions, 1 + 3 * 1000 + 20 + 4);
    assert_eq!(
        (
            counts.classes.data_processing,
            counts.classes.branch,
            counts.classes.branch_taken
        ),
        (2001, 1004, 1002)
    );
    assert_eq!(counts.best_estimate(), None);
}

#[test]
fn without_the_check_the_counts_are_the_same() {
    let (with, mut without) = (count_a64(",check=on"), count_a64(""));
    for (bare, checked) in without.brackets.iter_mut().zip(&with.brackets) {
        assert_eq!(bare.instructions_checked, None);
        bare.instructions_checked = checked.instructions_checked;
    }
    assert_eq!(with, without);
}

#[test]
fn a_wrong_argument_stops_the_emulator() {
    let argument = format!("file={},outt=x", plugin().display());
    let ran = run(
        Command::new("qemu-system-arm")
            .args(["-machine", "mps2-an386"])
            .args(SYSTEM)
            .args(["-plugin", &argument]),
        "install Debian's qemu-system-arm",
    );
    assert!(!ran.status.success());
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        said.contains("unknown argument `outt=x`") && said.contains("out=PATH"),
        "{said}"
    );
}

#[test]
fn a_missing_or_foreign_report_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.json");
    let said = |path: &Path| Report::read(path).expect_err("no report").to_string();
    assert!(said(&path).contains("QEMU was killed or did not load the plugin"));
    std::fs::write(&path, "{}").expect("a file");
    assert!(said(&path).contains("is no instruction report"));
    std::fs::write(&path, r#"{"schema": 9}"#).expect("a file");
    assert!(said(&path).contains("schema 9"));
}
