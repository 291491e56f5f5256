//! Writes what differs between boards: linker script, memory slots, and the table of linked operators.
//!
//! - `OCELLUS_BOARD`: path of the board data file
//! - `OCELLUS_OPERATORS`: names of operators, separated by commas, or `all`

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use ocellus_board_file::{Board, Role};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=OCELLUS_BOARD");
    println!("cargo:rerun-if-env-changed=OCELLUS_OPERATORS");
    println!("cargo:rerun-if-changed=build.rs");
    let file = PathBuf::from(
        env::var("OCELLUS_BOARD").map_err(|_| "OCELLUS_BOARD must name a board data file")?,
    );
    let operators = env::var("OCELLUS_OPERATORS")
        .map_err(|_| "OCELLUS_OPERATORS must list operators, or say `all`")?;
    println!("cargo:rerun-if-changed={}", file.display());
    println!("cargo:rerun-if-env-changed=OCELLUS_SIGNER");
    let board = Board::load(&file)?;
    if !board.is_bare_metal() {
        return Err(format!(
            "{} has no memory regions: it is no bare-metal board",
            board.name
        )
        .into());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let script = out.join("link.x");
    fs::write(&script, link_script(&board)?)?;
    fs::write(out.join("slots.rs"), slots(&board)?)?;
    fs::write(out.join("operators.rs"), operator_table(&operators)?)?;
    if env::var_os("CARGO_FEATURE_SIGNED").is_some() {
        let key = env::var("OCELLUS_SIGNER")
            .map_err(|_| "OCELLUS_SIGNER must hold the signer's public key")?;
        fs::write(out.join("signer.rs"), signer(&key)?)?;
    }
    println!("cargo:rustc-link-arg=-T{}", script.display());
    if env::var("TARGET")?.starts_with("thumbv8m.main") {
        println!("cargo:rustc-cfg=ocellus_stack_limit");
    }
    Ok(())
}

/// The slot of a role that has exactly one: address and size.
fn only(board: &Board, role: Role) -> Result<(u64, u64), String> {
    let (slot, _) = board
        .slots_of(role)
        .next()
        .ok_or_else(|| format!("{}: no slot of role {role}", board.name))?;
    let origin = board
        .origin(slot)
        .ok_or_else(|| format!("{}: slot {role} has no address", board.name))?;
    Ok((origin, slot.size_bytes))
}

/// The stack lies below the variables ([`Board::stack_bytes`]).
fn link_script(board: &Board) -> Result<String, String> {
    let (code, code_bytes) = only(board, Role::Code)?;
    let (statics, statics_bytes) = only(board, Role::Statics)?;
    let stack_bytes = board.stack_bytes();
    let (data, data_bytes) = (statics + stack_bytes, statics_bytes - stack_bytes);
    let stack_top = statics + stack_bytes;
    Ok(format!(
        "MEMORY {{
    CODE (rx) : ORIGIN = {code:#x}, LENGTH = {code_bytes:#x}
    DATA (rw) : ORIGIN = {data:#x}, LENGTH = {data_bytes:#x}
}}
ENTRY(ocellus_reset)
__stack_low = {statics:#x};
__stack_top = {stack_top:#x};
SECTIONS {{
    .text : {{
        KEEP(*(.vectors))
        *(.text .text.*)
        . = ALIGN(4);
    }} > CODE
    .rodata : {{
        *(.rodata .rodata.*)
        . = ALIGN(4);
    }} > CODE
    .data : ALIGN(4) {{
        __data_start = .;
        *(.data .data.*)
        . = ALIGN(4);
        __data_end = .;
    }} > DATA AT > CODE
    __data_load = LOADADDR(.data);
    .bss (NOLOAD) : ALIGN(4) {{
        __bss_start = .;
        *(.bss .bss.* COMMON)
        . = ALIGN(4);
        __bss_end = .;
    }} > DATA
    /DISCARD/ : {{ *(.ARM.exidx .ARM.exidx.* .ARM.extab .ARM.extab.*) }}
}}
"
    ))
}

/// `slots.rs`: the board's name and its memories.
fn slots(board: &Board) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "/// The board's name.\nconst NAME: &str = {:?};\n",
        board.name
    );
    for (role, name) in [
        (Role::Model, "MODELS"),
        (Role::Arena, "ARENAS"),
        (Role::Frames, "FRAMES"),
    ] {
        let count = board.slots_of(role).count();
        writeln!(
            text,
            "/// Slots of role {role}.\nconst {name}: [Slot; {count}] = ["
        )?;
        for (slot, region) in board.slots_of(role) {
            let origin = board
                .origin(slot)
                .ok_or_else(|| format!("slot {role} has no address"))?;
            writeln!(
                text,
                "    Slot {{ region: {:?}, origin: {origin:#x}, len: {:#x} }},",
                region.name, slot.size_bytes
            )?;
        }
        writeln!(text, "];")?;
    }
    Ok(text)
}

/// `signer.rs`: the bytes of a public key in hexadecimal.
fn signer(key: &str) -> Result<String, Box<dyn Error>> {
    let byte = |at: usize| {
        key.get(at..at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(byte).collect();
    let bytes = bytes.filter(|_| key.len() == 64);
    let bytes = bytes.ok_or("OCELLUS_SIGNER: 64 hexadecimal digits are needed")?;
    Ok(format!("{bytes:?}"))
}

/// `operators.rs`: the table that keeps an image free of kernels that no model of its set needs.
fn operator_table(list: &str) -> Result<String, Box<dyn Error>> {
    let plain = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if list == "all" {
        return Ok("ocellus::OpTable::ALL".into());
    }
    let mut names: Vec<&str> = list.split(',').map(str::trim).collect();
    names.sort_unstable();
    names.dedup();
    if let Some(wrong) = names.iter().find(|name| !plain(name)) {
        return Err(format!("OCELLUS_OPERATORS: `{wrong}` is no operator's name").into());
    }
    Ok(format!("ocellus::op_table![{}]", names.join(", ")))
}
