//! The kernels' cases, run where the kernels run.

use ocellus::kernels::Kernels;
use ocellus_board_api::{Link, LinkError, MemorySlots};

use crate::wire::Wire;

/// Runs the cases in the first memory that holds them, and sends what became of them.
#[cfg(feature = "conformance")]
pub(crate) fn run<K: Kernels, L: Link>(
    kernels: K,
    count: u32,
    memories: &mut MemorySlots<'_>,
    wire: &mut Wire<'_, L>,
) -> Result<(), LinkError> {
    use ocellus::format::ops::OpCode;
    use ocellus_cases::{Report, run_case};
    use ocellus_protocol::{CaseOutcome, DeviceError, Response, Verdict};

    /// Room for the cases and for the scratch of any kernel.
    const NEEDED_BYTES: usize = ocellus_cases::MEMORY_BYTES + (64 << 10);

    let largest_bytes = memories
        .iter()
        .flatten()
        .map(|memory| memory.bytes.len())
        .max()
        .unwrap_or(0) as u32;
    let Some(memory) = memories
        .iter_mut()
        .flatten()
        .find(|memory| memory.bytes.len() >= NEEDED_BYTES)
    else {
        return wire.refuse(DeviceError::ArenaTooSmall {
            needed_bytes: NEEDED_BYTES as u32,
            largest_bytes,
        });
    };
    let mut report = Report::new();
    for op in OpCode::ALL {
        for seed in 0..u64::from(count) {
            report.add(op, seed, run_case(kernels, op, seed, memory.bytes));
        }
        // Operator by operator, so that the PC sees progress.
        if let Some((_, row)) = report.rows().find(|(code, _)| *code == op) {
            wire.answer(&Response::Case(CaseOutcome {
                operator: op.name(),
                equal: row.equal,
                default_method: row.default_method,
                failed: row.failed,
                failed_seed: row.smallest.map(|smallest| smallest.seed),
            }))?;
        }
    }
    wire.answer(&Response::Conformance(Verdict {
        equal: report.equal(),
        failed: report.failed(),
        digest: report.digest,
    }))
}

/// Refuses: the cases are not in this image.
#[cfg(not(feature = "conformance"))]
pub(crate) fn run<K: Kernels, L: Link>(
    _: K,
    _: u32,
    _: &mut MemorySlots<'_>,
    wire: &mut Wire<'_, L>,
) -> Result<(), LinkError> {
    wire.refuse(ocellus_protocol::DeviceError::NotInImage)
}
