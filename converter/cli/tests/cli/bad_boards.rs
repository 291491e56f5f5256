//! Boards that are unknown, wrong or too small.

use crate::workspace::Workspace;

/// A board with its own memory: RAM for the arena and flash for the model, in bytes.
fn board(name: &str, arena_bytes: u32, model_bytes: u32) -> String {
    format!(
        r#"
name = "{name}"
title = "A user's own board"
chip = "none"
target_cpu = "cortex-m4"
triple = "thumbv7em-none-eabihf"
isa = "cortex-m-dsp"

[sensor]
kind = "semihosting"
formats = ["rgb888"]
max_width_px = 64
max_height_px = 64

[link]
kind = "semihosting"

[[region]]
name = "FLASH"
kind = "flash"
origin = 0x0800_0000
size_bytes = 0x0010_0000
on_chip = true
speed_rank = 0

[[region]]
name = "SRAM"
kind = "ram"
origin = 0x2000_0000
size_bytes = 0x0010_0000
on_chip = true
speed_rank = 0

[[slot]]
role = "code"
region = "FLASH"
offset_bytes = 0
size_bytes = 0x0008_0000

[[slot]]
role = "model"
region = "FLASH"
offset_bytes = 0x0008_0000
size_bytes = {model_bytes}

[[slot]]
role = "statics"
region = "SRAM"
offset_bytes = 0
size_bytes = 0x0008_0000

[[slot]]
role = "arena"
region = "SRAM"
offset_bytes = 0x0008_0000
size_bytes = {arena_bytes}

[[slot]]
role = "frames"
region = "SRAM"
offset_bytes = 0x000c_0000
size_bytes = 0x0001_0000
"#
    )
}

#[test]
fn a_board_that_is_unknown() {
    let w = Workspace::converted();
    w.picture("p.ppm", 1);
    let words = ["`arduino`", "qemu-m4", "path of a board file"];
    w.convert_refused("model.onnx", &["--board", "arduino"], &words);
    w.refused(&["run", "model.oce", "p.ppm", "--board", "arduino"], &words);
    w.refused(&["bench", "model.oce", "--board", "arduino"], &words);
    w.refused(&["inspect", "model.oce", "--board", "arduino"], &words);
    w.refused(&["build", "model.oce", "--board", "arduino"], &words);
    w.refused(&["flash", "model.oce", "--board", "arduino"], &words);
    w.refused(
        &["bench", "model.oce", "--board", "none.toml"],
        &["none.toml", "No such file"],
    );
}

#[test]
fn a_board_with_too_little_ram() {
    let w = Workspace::converted();
    let tiny = without_scratch(&board("tiny", 512, 0x4_0000));
    w.write("tiny.toml", tiny.as_bytes());
    let words = [
        "tiny",
        "512",
        "RAM",
        "`SRAM`",
        "layer `",
        "With `--input x=1x3x6x6` it fits",
    ];
    w.convert_refused("model.onnx", &["--board", "tiny.toml"], &words);
    w.write("small.toml", board("small", PORTABLE, 0x4_0000).as_bytes());
    w.refused(
        &["build", "model.oce", "--board", "small.toml"],
        &["small", "RAM", "1904", "`SRAM`", "instead of 8x8 would fit"],
    );
}

/// Bytes that a portable file does not fit in, with the scratch of the most demanding kernels, and would with a smaller picture.
const PORTABLE: u32 = 1904;

/// The board with the instruction set whose kernels want no scratch: what does not fit are tensors.
fn without_scratch(board: &str) -> String {
    board.replace("cortex-m-dsp", "reference")
}

/// A board with two memories for arenas.
fn two_memories(name: &str, fast_bytes: u32, slow_bytes: u32) -> String {
    let second = format!(
        r#"
[[slot]]
role = "arena"
region = "SLOW"
offset_bytes = 0
size_bytes = {slow_bytes}

[[region]]
name = "SLOW"
kind = "ram"
origin = 0x6000_0000
size_bytes = 0x0010_0000
on_chip = false
speed_rank = 1
"#
    );
    board(name, fast_bytes, 0x4_0000) + &second
}

#[test]
fn memories_that_hold_an_arena_only_together() {
    let w = Workspace::new();
    w.write(
        "two.toml",
        without_scratch(&two_memories("two", 512, 256)).as_bytes(),
    );
    w.write(
        "less.toml",
        without_scratch(&two_memories("less", 512, 240)).as_bytes(),
    );
    w.write(
        "slow.toml",
        without_scratch(&two_memories("slow", 512, 4096)).as_bytes(),
    );
    let convert = |board: &str, more: &[&str]| {
        let args = "convert model.onnx -o out.oce --calibrate synthetic:7 --board";
        let args: Vec<&str> = args.split(' ').chain([board]).collect();
        w.json(&[args.as_slice(), more].concat())
    };
    let parts = |value: &serde_json::Value| -> Vec<(String, u64)> {
        let parts = value["arena_parts"].as_array().expect("parts").iter();
        parts
            .map(|part| {
                let region = part["region"].as_str().expect("a region").to_owned();
                (region, part["bytes"].as_u64().expect("bytes"))
            })
            .collect()
    };
    let value = convert("two.toml", &[]);
    let both = [("SRAM".to_owned(), 512), ("SLOW".to_owned(), 256)];
    assert_eq!(parts(&value), both);
    assert_eq!(value["arena_region"], "SRAM + SLOW");
    assert_eq!(value["arena_bytes"], 768);
    assert!(value["notes"].to_string().contains("2 memories"), "{value}");
    let inspected = w.json(&["inspect", "out.oce", "--board", "two.toml"]);
    assert_eq!(parts(&inspected), both);
    assert_eq!(inspected["arena_lower_bound_bytes"], 768);
    // On this PC both parts lie in one memory.
    w.picture("p.ppm", 1);
    w.succeed(&["run", "out.oce", "p.ppm"]);
    w.convert_refused(
        "model.onnx",
        &["--board", "less.toml"],
        &["less", "752 bytes together"],
    );
    // A memory that holds everything is used alone where the fast one is not asked for.
    assert_eq!(parts(&convert("slow.toml", &[])).len(), 2);
    let alone = convert("slow.toml", &["--no-pass", "fast-memory"]);
    assert_eq!(parts(&alone), [("SLOW".to_owned(), 768)]);
}

/// What a refusal says to do is enough.
#[test]
fn the_input_that_a_refusal_names_fits() {
    let w = Workspace::new();
    w.write("tiny.toml", board("tiny", 640, 0x4_0000).as_bytes());
    let convert = |more: &[&str]| {
        let args = [
            "convert",
            "model.onnx",
            "-o",
            "out.oce",
            "--board",
            "tiny.toml",
        ];
        w.run(&[&args[..], &["--calibrate", "synthetic:7", "--json"], more].concat())
    };
    let refused = convert(&[]);
    assert_eq!(refused.output.status.code(), Some(1));
    let text = refused.stderr;
    let option = text
        .split_once("With `--input ")
        .and_then(|(_, rest)| rest.split_once('`'))
        .unwrap_or_else(|| panic!("{text}"));
    let converted = convert(&["--input", option.0]);
    assert!(converted.output.status.success(), "{}", converted.stderr);
    let value: serde_json::Value = serde_json::from_str(&converted.stdout).unwrap();
    let bytes = format!(" {} bytes of RAM (tried)", value["arena_bytes"]);
    assert!(option.1.contains(&bytes), "{value}: {text}");
}

/// An export with its input's size in a constant.
#[test]
fn a_file_that_takes_no_other_input_is_to_be_exported_again() {
    let w = Workspace::new();
    let fixed = crate::onnx::Onnx::new()
        .input("x", &[1, 3, 8, 8])
        .conv("x", "a", [3, 8], &crate::onnx::weights(1, 8 * 3 * 9))
        .constant("map", &[1, 8, 8, 8], &crate::onnx::weights(2, 8 * 8 * 8))
        .node("Add", &["a", "map"], "y", &[]);
    w.write("fixed.onnx", &fixed.bytes());
    w.write("tiny.toml", board("tiny", 512, 0x4_0000).as_bytes());
    w.convert_refused(
        "fixed.onnx",
        &["--board", "tiny.toml"],
        &[
            "instead of 8x8 would fit",
            "made for one size",
            "export it again",
            "`Add` (Add_2)",
        ],
    );
}

#[test]
fn a_report_of_a_model_without_a_place_says_so() {
    let w = Workspace::converted();
    w.write("tiny.toml", board("tiny", PORTABLE, 0x4_0000).as_bytes());
    let args = [
        "report",
        "model.oce",
        "--board",
        "tiny.toml",
        "-o",
        "r.html",
    ];
    let report = w.json(&args);
    let first = &report["fits"][0];
    assert_eq!(first["board"], "tiny");
    let why = first["why_not"].as_str().unwrap();
    assert!(why.contains("instead of 8x8 would fit"), "{why}");
    let page = String::from_utf8(w.read("r.html")).unwrap();
    let header = page.split("</header>").next().unwrap();
    assert!(header.contains("It does not fit tiny: "), "{header}");
}

#[test]
fn a_board_with_too_little_flash() {
    let w = Workspace::converted();
    w.write("tiny.toml", board("tiny", 0x4_0000, 1024).as_bytes());
    w.convert_refused(
        "model.onnx",
        &["--board", "tiny.toml"],
        &["tiny", "1024", "`FLASH`", "most weights", "flash"],
    );
    w.refused(&["bench", "model.oce", "--board", "tiny.toml"], &["tiny"]);
}

#[test]
fn a_board_that_has_room() {
    let w = Workspace::new();
    w.write("large.toml", board("large", 0x4_0000, 0x4_0000).as_bytes());
    let args = [
        "convert",
        "model.onnx",
        "-o",
        "out.oce",
        "--calibrate",
        "synthetic:7",
        "--board",
        "large.toml",
    ];
    let value = w.json(&args);
    assert_eq!(
        (&value["arena_region"], &value["model_region"]),
        (&"SRAM".into(), &"FLASH".into())
    );
    assert_eq!(value["isa"], "cortex-m-dsp");
}

#[test]
fn a_board_that_cannot_be_started_is_not_measured_here_instead() {
    let w = Workspace::converted();
    w.write("own.toml", board("own", 0x4_0000, 0x4_0000).as_bytes());
    w.picture("p.ppm", 1);
    let words = ["`own`", "[emulator]", "ocellus build"];
    w.refused(&["bench", "model.oce", "--board", "own.toml"], &words);
    w.refused(
        &["run", "model.oce", "p.ppm", "--board", "own.toml"],
        &words,
    );
    w.refused(&["flash", "model.oce", "--board", "own.toml"], &words);
    let inspected = w.json(&["inspect", "model.oce", "--board", "own.toml"]);
    assert_eq!(inspected["isa"], "cortex-m-dsp");
}

#[test]
fn a_picture_for_a_board_is_read_before_its_image_is_built() {
    let w = Workspace::converted();
    w.write("p.png", b"no picture");
    for args in [
        &[
            "flash",
            "model.oce",
            "--board",
            "qemu-m4",
            "--camera",
            "p.png",
        ][..],
        &["run", "model.oce", "p.png", "--board", "qemu-m4"],
    ] {
        w.refused(args, &["p.png", "decode"]);
    }
}

#[test]
fn a_board_file_with_mistakes() {
    let w = Workspace::new();
    let good = board("own", 0x4_0000, 0x4_0000);
    for (from, to, words) in [
        ("chip =", "chips =", &["own.toml", "line", "chips"][..]),
        (
            "isa = \"cortex-m-dsp\"",
            "isa = \"mmx\"",
            &["own.toml", "line", "mmx", "helium"],
        ),
        (
            "region = \"SRAM\"\noffset_bytes = 0\n",
            "region = \"DDR\"\noffset_bytes = 0\n",
            &["own.toml", "DDR"],
        ),
        (
            "origin = 0x2000_0000",
            "origin = 0x0800_1000",
            &["own.toml", "FLASH", "SRAM", "overlap"],
        ),
        (
            "role = \"arena\"\nregion = \"SRAM\"",
            "role = \"arena\"\nregion = \"FLASH\"",
            &["own.toml", "arena", "FLASH"],
        ),
    ] {
        assert!(good.contains(from), "{from}");
        w.write("own.toml", good.replace(from, to).as_bytes());
        w.convert_refused("model.onnx", &["--board", "own.toml"], words);
    }
    w.write("own.toml", b"\xff\xfe");
    w.convert_refused("model.onnx", &["--board", "own.toml"], &["own.toml"]);
}
