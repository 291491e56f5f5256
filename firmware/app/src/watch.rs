//! What happens between operators: taps and progress, or per-layer markers.

use ocellus::format::ops::OpCode;
use ocellus::{Hook, Written};
use ocellus_board_api::{Link, LinkError};
use ocellus_protocol::Response;

use crate::wire::Wire;

/// Most tensors tapped at once.
pub(crate) const MAX_TAPS: usize = 16;

/// Tensors that each inference sends.
#[derive(Default)]
pub(crate) struct Taps {
    tensors: [u16; MAX_TAPS],
    len: usize,
}

impl Taps {
    /// False where there is no room.
    pub(crate) fn add(&mut self, tensor: u16) -> bool {
        if self.contains(tensor) {
            return true;
        }
        match self.tensors.get_mut(self.len) {
            Some(place) => {
                *place = tensor;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn contains(&self, tensor: u16) -> bool {
        self.tensors
            .iter()
            .take(self.len)
            .any(|&tapped| tapped == tensor)
    }
}

/// Sends taps and progress during an inference.
pub(crate) struct Watch<'w, 'b, L> {
    pub(crate) wire: &'w mut Wire<'b, L>,
    pub(crate) taps: &'w Taps,
    pub(crate) progress: bool,
    pub(crate) total: u16,
    /// The first failure of the link; a run cannot be stopped, so it is reported after it.
    pub(crate) failed: Option<LinkError>,
}

impl<L: Link> Watch<'_, '_, L> {
    fn report(&mut self, index: u16, written: Written<'_>) -> Result<(), LinkError> {
        for position in 0..written.len() {
            let (Some(tensor), Some(values)) = (written.index(position), written.get(position))
            else {
                continue;
            };
            if self.taps.contains(tensor) {
                self.wire.stream(
                    bytemuck::try_cast_slice(values.values).unwrap_or_default(),
                    0,
                    |offset, data| Response::TapData {
                        tensor,
                        offset,
                        data,
                    },
                )?;
            }
        }
        if self.progress {
            self.wire.answer(&Response::Progress {
                done: index.saturating_add(1),
                total: self.total,
            })?;
        }
        Ok(())
    }
}

impl<L: Link> Hook for Watch<'_, '_, L> {
    fn after(&mut self, index: u16, _: OpCode, written: Written<'_>) {
        if self.failed.is_none() {
            self.failed = self.report(index, written).err();
        }
    }
}

/// The hook of an undisturbed inference: markers in profiling images, nothing in others.
pub(crate) struct Undisturbed;

#[cfg(feature = "profile")]
impl Hook for Undisturbed {
    fn before(&mut self, _: u16, _: OpCode) {
        crate::markers::begin_layer();
    }

    fn after(&mut self, _: u16, _: OpCode, _: Written<'_>) {
        crate::markers::end_layer();
    }
}

#[cfg(not(feature = "profile"))]
impl Hook for Undisturbed {}
