//! Fetches every pinned package file; `--check` only says what is here. This one needs the network.

use ocellus_board_file::Board;
use ocellus_setup::{Host, Need, Status, Terminal, ensure};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Host::here()?;
    let needs = Need::all(&Board::all()?);
    for need in &needs {
        match need.check(&host) {
            Status::Present { what } => println!("{}: {what}", need.title()),
            Status::Missing { how } => println!("{}: missing; {how}", need.title()),
            other => println!("{}: {other:?}", need.title()),
        }
    }
    if std::env::args().nth(1).as_deref() != Some("--check") {
        let packages: Vec<_> = needs
            .into_iter()
            .filter(|n| matches!(n, Need::Package(_)))
            .collect();
        ensure(&packages, &host, &Terminal::new())?;
    }
    Ok(())
}
