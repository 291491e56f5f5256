//! What the tests of device images share: a board with all it needs, and a look into an image.
//!
//! `tests/images.rs` reads images, `tests/kernels.rs` runs them. What is missing is installed; where it cannot be, the test fails.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use ocellus_board_file::Board;
use ocellus_board_host::{Contents, Image, Variant, build_image};
use ocellus_setup::{Host, Need, Terminal, ensure};

/// A board whose compiler and emulator are installed.
#[derive(Debug)]
pub struct Target {
    /// The machine that builds.
    pub host: Host,
    /// The board.
    pub board: Board,
}

impl Target {
    /// The board of that name.
    ///
    /// # Panics
    /// Where there is none, or its compiler or emulator cannot be installed.
    pub fn named(name: &str) -> Target {
        let host = Host::here().expect("the source tree");
        let board = Board::find(name).expect("a board of the tree");
        if let Err(error) = ensure(&Need::for_board(&board), &host, &Terminal::new()) {
            panic!("{name} cannot be tested: {error}");
        }
        Target { host, board }
    }

    /// Its image.
    ///
    /// # Panics
    /// Where it does not build, or the board is the PC itself.
    pub fn image(&self, contents: &Contents, variant: Variant) -> Image {
        match build_image(&self.host, &self.board, contents, variant, &Terminal::new()) {
            Ok(Some(image)) => image,
            Ok(None) => panic!("{} has no image", self.board.name),
            Err(error) => panic!("{error}"),
        }
    }
}

/// What a linked image holds.
#[derive(Debug)]
pub struct Linked {
    /// Paths of its functions, without generic arguments and hashes, sorted; with repetitions.
    pub functions: Vec<String>,
    /// Its code.
    code: Vec<Vec<u8>>,
}

impl Linked {
    /// Reads an image.
    ///
    /// # Panics
    /// Where it is none, or its symbols were removed: then no test could find anything.
    pub fn read(elf: &Path) -> Linked {
        let bytes = fs::read(elf).expect("the image");
        let file = object::File::parse(bytes.as_slice()).expect("an ELF file");
        let mut functions: Vec<String> = file
            .symbols()
            .filter_map(|symbol| symbol.name().ok())
            .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
            .collect();
        functions.sort();
        assert!(
            functions.iter().any(|name| name.starts_with("ocellus")),
            "{}: no symbols",
            elf.display()
        );
        let code = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .map(|section| section.data().expect("its bytes").to_vec())
            .collect();
        Linked { functions, code }
    }

    /// Functions whose path holds one of these.
    pub fn with_any<'s>(&'s self, parts: &[&str]) -> Vec<&'s str> {
        self.functions
            .iter()
            .map(String::as_str)
            .filter(|name| parts.iter().any(|part| name.contains(part)))
            .collect()
    }

    /// How often an instruction stands in the code; all its encodings are multiples of two bytes.
    pub fn count(&self, instruction: [u8; 4]) -> usize {
        self.code
            .iter()
            .flat_map(|code| code.windows(4).step_by(2))
            .filter(|window| *window == instruction)
            .count()
    }
}
