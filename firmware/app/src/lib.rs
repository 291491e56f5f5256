//! The firmware's main loop, generic over the board.
//!
//! The PC asks ([`ocellus_protocol::Request`]), the firmware answers, in order, until the link says that the conversation has ended. No heap, no
//! panic, no `cfg` for a board: the same function runs on a chip, in an emulator, under Linux and in a test.
#![no_std]
#![deny(unsafe_code)]

#[cfg(not(feature = "vision"))]
mod blind;
mod conformance;
mod idle;
mod loaded;
pub mod markers;
mod place;
#[cfg(feature = "signed")]
mod signed;
#[cfg(feature = "vision")]
mod vision;
mod watch;
mod wire;

use ocellus::OpTable;
use ocellus_board_api::{Board, LinkError};

#[cfg(not(feature = "vision"))]
use blind as vision;
use idle::Desk;
use wire::Wire;

/// Serves one conversation with the kernels of `board` and the operators of `ops`.
///
/// # Errors
/// [`LinkError`]: the link failed; the conversation is over
pub fn serve<B: Board>(board: &mut B, ops: &OpTable<B::Kernels>) -> Result<(), LinkError> {
    serve_any(
        board,
        ops,
        #[cfg(feature = "signed")]
        None,
    )
}

/// As [`serve`], but loads models only that carry a signature by `signer`, an Ed25519 public key.
///
/// # Errors
/// [`LinkError`]: the link failed; the conversation is over
#[cfg(feature = "signed")]
pub fn serve_signed<B: Board>(
    board: &mut B,
    ops: &OpTable<B::Kernels>,
    signer: &'static [u8; 32],
) -> Result<(), LinkError> {
    serve_any(board, ops, Some(signer))
}

fn serve_any<B: Board>(
    board: &mut B,
    ops: &OpTable<B::Kernels>,
    #[cfg(feature = "signed")] signer: Option<&'static [u8; 32]>,
) -> Result<(), LinkError> {
    let kernels = board.kernels();
    let parts = board.parts();
    let mut desk = Desk {
        wire: Wire::new(parts.link),
        name: parts.name,
        kernels,
        ops: *ops,
        models: parts.models,
        memory_use: parts.memory_use,
        #[cfg(feature = "signed")]
        signer,
    };
    let (mut arenas, mut frames) = (parts.arenas, parts.frames);
    let mut next = desk.serve_without_model(&mut arenas)?;
    while next == Next::Load {
        next = loaded::load_and_serve(
            &mut desk,
            parts.camera,
            parts.clock,
            &mut arenas,
            &mut frames,
        )?;
    }
    Ok(())
}

/// How a part of the conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The PC wants the model loaded, again or for the first time.
    Load,
    /// The PC has no more requests.
    End,
}
