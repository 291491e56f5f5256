//! Every board with its image, made once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ocellus_board_file::Board;
use ocellus_board_host::{Answer, Contents, Image, Job, Variant, build_image, run};
use ocellus_format::Isa;
use ocellus_kernels::best;
use ocellus_setup::{Host, Need, Terminal, ensure};

/// All boards, and the instruction set that each one's firmware has to find.
pub(crate) const BOARDS: [(&str, Option<Isa>); 8] = [
    ("host", None),
    ("qemu-a53", Some(Isa::Neon)),
    ("qemu-a76", Some(Isa::NeonDot)),
    ("qemu-max", Some(Isa::NeonI8mm)),
    ("qemu-m4", Some(Isa::CortexMDsp)),
    ("qemu-m7", Some(Isa::CortexMDsp)),
    ("qemu-m33", Some(Isa::CortexMDsp)),
    ("qemu-m55", Some(Isa::Helium)),
];

/// A board, ready to run.
pub(crate) struct Member {
    pub(crate) host: Host,
    pub(crate) board: Board,
    image: Option<Image>,
    /// What its firmware runs on.
    pub(crate) isa: Isa,
}

type Key = (String, &'static str);

static FLEET: LazyLock<Mutex<HashMap<Key, Arc<Member>>>> = LazyLock::new(Mutex::default);

/// The board of that name with an image of all operators; what it needs is installed.
pub(crate) fn member(name: &str, variant: Variant) -> Arc<Member> {
    // Images are built one after the other: each build uses all cores by itself.
    let mut fleet = FLEET.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (name.to_owned(), variant.name());
    if let Some(member) = fleet.get(&key) {
        return Arc::clone(member);
    }
    let host = Host::here().expect("the source tree");
    let board = Board::find(name).expect("a board of the tree");
    ensure(&Need::for_board(&board), &host, &Terminal::new())
        .unwrap_or_else(|error| panic!("{name} cannot be tested: {error}"));
    let image = build_image(&host, &board, &Contents::ALL, variant, &Terminal::new())
        .unwrap_or_else(|error| panic!("{error}"));
    let isa = BOARDS
        .iter()
        .find(|(board, _)| *board == name)
        .and_then(|(_, isa)| *isa)
        .unwrap_or_else(best);
    let member = Arc::new(Member {
        host,
        board,
        image,
        isa,
    });
    fleet.insert(key, Arc::clone(&member));
    member
}

impl Member {
    /// What the board answers.
    pub(crate) fn run(&self, job: &Job) -> Vec<Answer> {
        run(
            &self.host,
            &self.board,
            self.image.as_ref(),
            job,
            &mut |_| (),
        )
        .unwrap_or_else(|error| panic!("{}: {error}", self.board.name))
    }

    /// What a file that is packed for the board is packed for.
    pub(crate) fn packed_for(&self) -> Isa {
        Isa::from_name(self.board.isa.name())
            .filter(|_| self.board.triple.is_some())
            .unwrap_or(self.isa)
    }
}
