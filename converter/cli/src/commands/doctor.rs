//! `ocellus doctor`: what is here, what is missing, how to get it.

use anyhow::{Result, bail};
use ocellus_board_file::Board;
use ocellus_setup::{Host, Need, Status, Terminal, ensure};
use serde_json::json;

use crate::args::DoctorArgs;
use crate::output::print_json;

pub(crate) fn run(args: &DoctorArgs, json: bool) -> Result<()> {
    let host = Host::here()?;
    let needs = Need::all(&Board::all()?);
    if args.fix {
        ensure(&needs, &host, &Terminal::new())?;
    }
    let states: Vec<(String, Status)> = needs
        .iter()
        .map(|need| (need.title(), need.check(&host)))
        .collect();
    let missing = states
        .iter()
        .filter(|(_, status)| !status.is_present())
        .count();
    if json {
        let rows: Vec<_> = states
            .iter()
            .map(|(title, status)| match status {
                Status::Present { what } => {
                    json!({ "need": title, "present": true, "detail": what })
                }
                Status::Missing { how } => json!({ "need": title, "present": false, "how": how }),
                other => json!({ "need": title, "present": other.is_present() }),
            })
            .collect();
        print_json(json!({ "needs": rows, "missing": missing }))?;
    } else {
        for (title, status) in &states {
            match status {
                Status::Present { what } => println!("ok       {title}: {what}"),
                Status::Missing { how } => println!("missing  {title}: {how}"),
                other => println!(
                    "{}  {title}",
                    if other.is_present() {
                        "ok     "
                    } else {
                        "missing"
                    }
                ),
            }
        }
    }
    if missing > 0 {
        bail!(
            "{missing} of {} things are missing; `ocellus doctor --fix` gets them",
            states.len()
        );
    }
    Ok(())
}
