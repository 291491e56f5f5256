//! The arena: one memory, or one for each of its parts.

use core::mem::take;

use ocellus_format::{Extent, MAX_PARTS};

/// A run of the arena's bytes in one memory, behind the offset that the first of them has in the arena.
pub(crate) type Piece<B> = (usize, B);

/// Pieces that an arena can fall into while an operator runs: each part, cut by the output and by the scratch.
const MAX_PIECES: usize = MAX_PARTS + 2;

/// The arena's memories.
#[derive(Debug)]
pub(crate) struct Arena<'a> {
    /// In the order of their offsets; unused ones are empty.
    memories: [Piece<&'a mut [u8]>; MAX_PARTS],
}

impl<'a> Arena<'a> {
    pub(crate) fn new(memories: [Piece<&'a mut [u8]>; MAX_PARTS]) -> Self {
        Arena { memories }
    }

    /// The bytes of a tensor; `None` where it does not lie in the arena.
    #[inline(never)]
    pub(crate) fn get(&self, tensor: &Extent) -> Option<&[u8]> {
        let (offset, len) = (tensor.offset as usize, tensor.len_bytes as usize);
        self.memories.iter().find_map(|(start, bytes)| {
            let at = offset.checked_sub(*start)?;
            bytes.get(at..at.checked_add(len)?)
        })
    }

    /// The same, to write.
    #[inline(never)]
    pub(crate) fn get_mut(&mut self, tensor: &Extent) -> Option<&mut [u8]> {
        let (offset, len) = (tensor.offset as usize, tensor.len_bytes as usize);
        self.memories.iter_mut().find_map(|(start, bytes)| {
            let at = offset.checked_sub(*start)?;
            bytes.get_mut(at..at.checked_add(len)?)
        })
    }

    /// The whole, to cut.
    pub(crate) fn pieces(&mut self) -> Pieces<'_> {
        let mut pieces: [Piece<&mut [u8]>; MAX_PIECES] = Default::default();
        for (piece, (start, bytes)) in pieces.iter_mut().zip(&mut self.memories) {
            *piece = (*start, &mut **bytes);
        }
        Pieces(pieces)
    }
}

/// The arena less what was cut out of it.
pub(crate) struct Pieces<'a>([Piece<&'a mut [u8]>; MAX_PIECES]);

impl<'a> Pieces<'a> {
    /// Cuts out `len` bytes, not 0, at an offset; at most two cuts. `None` where they do not lie in one piece.
    #[inline(never)]
    pub(crate) fn cut(&mut self, offset: usize, len: usize) -> Option<&'a mut [u8]> {
        let end = offset.checked_add(len)?;
        let (start, bytes) = self.0.iter_mut().find(|(start, bytes)| {
            let at = offset.checked_sub(*start);
            at.is_some_and(|at| at < bytes.len())
        })?;
        let (before, rest) = take(bytes).split_at_mut_checked(offset.checked_sub(*start)?)?;
        *bytes = before;
        let (cut, after) = rest.split_at_mut_checked(len)?;
        *self.0.iter_mut().find(|(_, bytes)| bytes.is_empty())? = (end, after);
        Some(cut)
    }

    /// What is left, to read.
    pub(crate) fn shared(self) -> Shared<'a> {
        Shared(self.0.map(|(start, bytes)| (start, &*bytes)))
    }
}

/// The arena less output and scratch of an operator.
#[derive(Debug)]
pub(crate) struct Shared<'a>([Piece<&'a [u8]>; MAX_PIECES]);

impl<'a> Shared<'a> {
    /// The bytes of a tensor; `None` where they do not lie in one piece.
    #[inline(never)]
    pub(crate) fn get(&self, tensor: &Extent) -> Option<&'a [u8]> {
        let (offset, len) = (tensor.offset as usize, tensor.len_bytes as usize);
        self.0.iter().find_map(|&(start, bytes)| {
            let at = offset.checked_sub(start)?;
            bytes.get(at..at.checked_add(len)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_out_is_not_left() {
        let (mut fast, mut slow) = ([1_u8; 32], [2_u8; 64]);
        let mut arena = Arena::new([
            (0, &mut fast),
            (32, &mut slow),
            (96, &mut []),
            (96, &mut []),
        ]);
        for (output, scratch) in [
            ((32, 16), (64, 16)),
            ((64, 16), (32, 16)),
            ((48, 16), (0, 32)),
            ((32, 64), (16, 16)),
        ] {
            let mut pieces = arena.pieces();
            for (offset, len) in [output, scratch] {
                let cut = pieces.cut(offset, len).unwrap();
                let filled = if offset < 32 { 1 } else { 2 };
                assert!(cut.len() == len && cut.iter().all(|&byte| byte == filled));
            }
            let left = pieces.shared();
            let holds = |at: usize| {
                left.0
                    .iter()
                    .any(|(start, bytes)| (*start..start + bytes.len()).contains(&at))
            };
            for at in 0..96 {
                let is_cut = [output, scratch]
                    .iter()
                    .any(|&(offset, len)| (offset..offset + len).contains(&at));
                assert_ne!(holds(at), is_cut, "byte {at} of {output:?}, {scratch:?}");
            }
        }
    }

    #[test]
    fn nothing_lies_across_memories() {
        let (mut fast, mut slow) = ([0_u8; 32], [0_u8; 32]);
        let mut arena = Arena::new([
            (0, &mut fast),
            (32, &mut slow),
            (64, &mut []),
            (64, &mut []),
        ]);
        assert!(arena.pieces().cut(16, 32).is_none());
        assert!(arena.pieces().cut(48, 32).is_none());
        assert!(arena.pieces().cut(usize::MAX, 32).is_none());
    }
}
