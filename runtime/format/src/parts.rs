//! The parts of the arena: ranges of its offsets that may lie in memories of their own.

use core::ops::Range;

use crate::FormatError;
use crate::layout::ALIGN;

/// Most parts of an arena.
pub const MAX_PARTS: usize = 4;

/// The parts of an arena, one behind the other, those for fast memories first. No tensor and no scratch crosses the end of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Where each ends; unused places repeat the arena's end.
    ends: [u32; MAX_PARTS],
    count: u8,
}

impl Parts {
    /// The sizes in a section, two or more that add up to the arena; one part where there is no section.
    #[inline(never)]
    pub(crate) fn decode(section: Option<&[u8]>, arena_bytes: u32) -> Result<Self, FormatError> {
        let mut parts = Parts {
            ends: [arena_bytes; MAX_PARTS],
            count: 1,
        };
        let Some(section) = section else {
            return Ok(parts);
        };
        let (sizes, rest) = section.as_chunks::<4>();
        if sizes.len() < 2 || sizes.len() > MAX_PARTS || !rest.is_empty() {
            return Err(FormatError::Parts);
        }
        let mut end = 0_u32;
        for (slot, size) in parts.ends.iter_mut().zip(sizes) {
            let size = u32::from_le_bytes(*size);
            if size == 0 || !size.is_multiple_of(ALIGN as u32) {
                return Err(FormatError::Parts);
            }
            end = end.checked_add(size).ok_or(FormatError::Parts)?;
            *slot = end;
        }
        if end != arena_bytes {
            return Err(FormatError::Parts);
        }
        parts.count = sizes.len() as u8;
        Ok(parts)
    }

    /// How many there are, at least one.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// The offsets of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u32>> {
        let mut start = 0;
        self.ends
            .into_iter()
            .take(usize::from(self.count))
            .map(move |end| core::mem::replace(&mut start, end)..end)
    }

    /// Bytes of each, in order; 0 in unused places.
    pub fn sizes(&self) -> [u32; MAX_PARTS] {
        let mut start = 0;
        self.ends
            .map(|end| end.wrapping_sub(core::mem::replace(&mut start, end)))
    }

    /// True where a range of bytes, not empty, lies in one part.
    #[inline(never)]
    pub(crate) fn hold(&self, offset: u32, len: u32) -> bool {
        let part = self.ends.iter().find(|&&end| offset < end);
        let end = offset.checked_add(len);
        part.zip(end).is_some_and(|(part, end)| end <= *part)
    }
}
