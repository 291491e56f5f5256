//! The board files of the tree, and files that must be refused.

use std::path::Path;

use ocellus_board_file::{Board, BoardError, Isa, Role, workspace_root};

fn m4_text() -> String {
    let root = workspace_root().expect("tests run inside the tree");
    std::fs::read_to_string(root.join("boards/qemu/boards/qemu-m4.toml")).expect("the board's file")
}

fn refusal(text: &str) -> String {
    Board::parse(text, Path::new("mine.toml"))
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn every_file_parses_and_is_named_as_its_board() {
    let boards = Board::all().expect("all parse");
    let names: Vec<_> = boards.iter().map(|b| b.name.clone()).collect();
    assert_eq!(names, Board::names());
    for name in [
        "host", "qemu-a53", "qemu-a76", "qemu-m33", "qemu-m4", "qemu-m55", "qemu-m7", "qemu-max",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} is missing");
    }
}

#[test]
fn bare_metal_boards_hold_a_small_model_on_chip() {
    for board in Board::all()
        .expect("all parse")
        .iter()
        .filter(|b| b.is_bare_metal())
    {
        let (_, region) = board.place(Role::Arena, 200_000).expect("a small arena");
        assert!(region.on_chip, "{}", board.name);
        assert!(
            board.place(Role::Model, 2_000_000).is_ok(),
            "{}",
            board.name
        );
    }
}

#[test]
fn demo_detector_lives_in_ddr_of_the_m55() {
    let board = Board::find("qemu-m55").expect("known");
    assert_eq!(board.isa, Isa::Helium);
    let (slot, region) = board.place(Role::Arena, 8_600_000).expect("fits");
    assert_eq!(
        (region.name.as_str(), board.origin(slot)),
        ("DDR", Some(0x6000_0000))
    );
}

#[test]
fn no_room_names_the_largest_slot() {
    let board = Board::find("qemu-m4").expect("known");
    let e = board
        .place(Role::Arena, 100_000_000)
        .expect_err("too large");
    assert_eq!(
        e.to_string(),
        "board `qemu-m4` has no room for 100000000 bytes of arena: the largest slot is 12582912 bytes in PSRAM"
    );
}

#[test]
fn unknown_name_lists_the_known_ones() {
    let e = Board::find("qemu-m99").expect_err("unknown");
    assert!(
        matches!(&e, BoardError::Unknown { known, .. } if known.contains(&"qemu-m4".to_owned()))
    );
    assert!(e.to_string().contains("qemu-m55"), "{e}");
}

#[test]
fn file_outside_the_tree_works_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("mine.toml");
    std::fs::write(
        &path,
        m4_text().replace("name = \"qemu-m4\"", "name = \"mine\""),
    )
    .expect("written");
    let board = Board::find(path.to_str().expect("UTF-8")).expect("loads");
    assert_eq!(board.name, "mine");
    let missing = Board::find(dir.path().join("other.toml").to_str().expect("UTF-8"));
    assert!(matches!(missing, Err(BoardError::Read { .. })));
}

#[test]
fn refuses_what_contradicts_itself() {
    let good = m4_text();
    let cases = [
        (
            "size_bytes = 0x0010_0000",
            "size_bytes = 0x0010_0010",
            "overlaps slot model",
        ),
        (
            "size_bytes = 0x0030_0000",
            "size_bytes = 0x0030_0010",
            "ends past the region",
        ),
        ("origin = 0x2100_0000", "origin = 0x2000_0010", "overlap"),
        ("origin = 0x2100_0000", "origin = 0xffff_0000", "32-bit"),
        ("region = \"PSRAM\"", "region = \"XRAM\"", "no such region"),
        (
            "role = \"statics\"",
            "role = \"arena\"",
            "0 slots of role statics",
        ),
        ("machine = \"mps2-an386\"", "", "`machine`"),
        ("clock_hz", "clock_mhz", "clock_mhz"),
        ("isa = \"cortex-m-dsp\"", "isa = \"avx9\"", "avx9"),
        ("name = \"qemu-m4\"", "name = \"Qemu M4\"", "lower-case"),
        (
            "kind = \"ram\"",
            "kind = \"flash\"",
            "needs a region of kind `ram`",
        ),
    ];
    for (from, to, says) in cases {
        assert!(good.contains(from), "{from}");
        let e = refusal(&good.replacen(from, to, 1));
        assert!(
            e.contains(says) && e.contains("mine.toml"),
            "{from} -> {to}: {e}"
        );
    }
}
