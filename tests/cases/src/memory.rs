//! The caller's memory, handed out in slices.

use crate::compare::Fault;

/// Guard bytes on each side of what a kernel writes.
const GUARD: usize = 64;
const CANARY: u8 = 0xc3;

/// What of the memory is not handed out yet.
pub(crate) struct Memory<'m> {
    free: &'m mut [u8],
}

impl<'m> Memory<'m> {
    pub(crate) fn new(all: &'m mut [u8]) -> Memory<'m> {
        Memory { free: all }
    }

    /// `len` bytes, `misalign` bytes behind an address that is a multiple of 16.
    pub(crate) fn bytes(&mut self, len: usize, misalign: usize) -> Result<&'m mut [u8], Fault> {
        let free = core::mem::take(&mut self.free);
        let skip = free.as_ptr().align_offset(16).saturating_add(misalign);
        let given = free.len();
        let (_, free) = free
            .split_at_mut_checked(skip)
            .ok_or_else(|| Fault::MemoryTooSmall {
                missing: skip - given,
            })?;
        let given = free.len();
        let (slice, free) =
            free.split_at_mut_checked(len)
                .ok_or_else(|| Fault::MemoryTooSmall {
                    missing: len - given,
                })?;
        self.free = free;
        Ok(slice)
    }

    pub(crate) fn s8(&mut self, len: usize, misalign: usize) -> Result<&'m mut [i8], Fault> {
        Ok(bytemuck::cast_slice_mut(self.bytes(len, misalign)?))
    }

    pub(crate) fn s32(&mut self, len: usize) -> Result<&'m mut [i32], Fault> {
        Ok(bytemuck::cast_slice_mut(self.bytes(len * 4, 0)?))
    }

    pub(crate) fn u32(&mut self, len: usize) -> Result<&'m mut [u32], Fault> {
        Ok(bytemuck::cast_slice_mut(self.bytes(len * 4, 0)?))
    }

    pub(crate) fn u16(&mut self, len: usize) -> Result<&'m mut [u16], Fault> {
        Ok(bytemuck::cast_slice_mut(self.bytes(len * 2, 0)?))
    }

    pub(crate) fn s16(&mut self, len: usize) -> Result<&'m mut [i16], Fault> {
        Ok(bytemuck::cast_slice_mut(self.bytes(len * 2, 0)?))
    }

    pub(crate) fn guarded(&mut self, len: usize, misalign: usize) -> Result<Guarded<'m>, Fault> {
        let whole = self.bytes(GUARD + len + GUARD, misalign)?;
        whole.fill(CANARY);
        Ok(Guarded { whole, len })
    }
}

/// Memory between canaries.
pub(crate) struct Guarded<'m> {
    whole: &'m mut [u8],
    len: usize,
}

impl Guarded<'_> {
    pub(crate) fn inside(&mut self) -> &mut [u8] {
        &mut self.whole[GUARD..GUARD + self.len]
    }

    pub(crate) fn is_intact(&self) -> bool {
        let (before, rest) = self.whole.split_at(GUARD);
        let after = &rest[self.len..];
        before.iter().chain(after).all(|&byte| byte == CANARY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_beside_the_output_shows() {
        for beside in [GUARD - 1, GUARD + 10] {
            let mut all = [0; 512];
            let mut memory = Memory::new(&mut all);
            let mut guarded = memory.guarded(10, 3).unwrap();
            guarded.inside().fill(0);
            assert!(guarded.is_intact());
            guarded.whole[beside] = 0;
            assert!(!guarded.is_intact());
        }
    }

    #[test]
    fn slices_lie_as_far_from_alignment_as_asked() {
        let mut all = [0; 512];
        let mut memory = Memory::new(&mut all);
        for misalign in [0, 1, 15] {
            assert_eq!(
                memory.s8(5, misalign).unwrap().as_ptr().addr() % 16,
                misalign
            );
        }
    }
}
