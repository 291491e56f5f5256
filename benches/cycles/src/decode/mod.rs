//! From instruction words to classes, costs and markers.

pub(crate) mod aarch64;
pub(crate) mod thumb;

use crate::report::Kind;

/// A hint that opens or closes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Begin(Kind),
    End(Kind),
    BeginLayer,
    EndLayer,
}

impl Marker {
    /// The marker of a hint's number, the same on both instruction sets.
    pub(crate) fn from_hint(number: u32) -> Option<Marker> {
        Some(match number {
            0x40 => Marker::Begin(Kind::Inference),
            0x41 => Marker::BeginLayer,
            0x42 => Marker::Begin(Kind::Load),
            0x43 => Marker::Begin(Kind::Verify),
            0x50 => Marker::End(Kind::Inference),
            0x51 => Marker::EndLayer,
            0x52 => Marker::End(Kind::Load),
            0x53 => Marker::End(Kind::Verify),
            _ => return None,
        })
    }
}
