//! Where a model lies on a board.

use ocellus_board_file::{Board, Role};

use crate::BoardError;

/// Where a model lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPlace {
    /// First address.
    pub address: u64,
    /// Memory region.
    pub region: String,
    /// Bytes of the slot.
    pub slot_bytes: u64,
}

/// The first of a board's model slots that holds `model_bytes`; `None` on boards with an operating system, where a model is a file.
///
/// # Errors
/// [`BoardError::Place`]: no slot is large enough
pub fn model_place(board: &Board, model_bytes: u64) -> Result<Option<ModelPlace>, BoardError> {
    if !board.is_bare_metal() {
        return Ok(None);
    }
    let (slot, region) = board.place(Role::Model, model_bytes)?;
    Ok(board.origin(slot).map(|address| ModelPlace {
        address,
        region: region.name.clone(),
        slot_bytes: slot.size_bytes,
    }))
}
