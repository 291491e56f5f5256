//! Sums of pixels by eight output channels into outputs.

use core::arch::{aarch64::*, asm};

use super::requantize::{CHANNELS, Finish, Scales};

/// Outputs of pixels.
pub(super) struct Rows {
    /// First output of the first pixel.
    pub(super) y: *mut i8,
    /// From one pixel to the next.
    pub(super) stride: usize,
}

impl Rows {
    /// Rescales the sums of `P` pixels with eight channels and writes them. The short form of requantize is exact, and where `PLAIN`, that of [`Finish`].
    ///
    /// # Safety
    /// Eight outputs of `P` pixels can be written.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) unsafe fn write<const P: usize, const PLAIN: bool>(
        &self,
        acc: [[int32x4_t; 2]; P],
        scales: &Scales,
        finish: Finish,
    ) {
        let (low, upper) = (scales.scale4(0), scales.scale4(1));
        let (pairs, last) = acc.as_chunks::<2>();
        for (pair, [[a, b], [c, d]]) in pairs.iter().enumerate() {
            let sixteen = finish.sixteen_or::<PLAIN>([
                low.apply::<true>(*a),
                upper.apply::<true>(*b),
                low.apply::<true>(*c),
                upper.apply::<true>(*d),
            ]);
            // SAFETY: the caller says so.
            unsafe {
                let y = self.y.add(2 * pair * self.stride);
                vst1_s8(y, vget_low_s8(sixteen));
                vst1_s8(y.add(self.stride), vget_high_s8(sixteen));
            }
        }
        if let [[a, b]] = last {
            let eight = finish.eight(low.apply::<true>(*a), upper.apply::<true>(*b));
            // SAFETY: the caller says so.
            unsafe { vst1_s8(self.y.add((P - 1) * self.stride), eight) };
        }
    }

    /// As [`Rows::write`], for any shift and up to eight channels.
    ///
    /// # Safety
    /// `channels` outputs of each pixel can be written.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn write_any(
        &self,
        acc: &[[int32x4_t; 2]],
        scales: &Scales,
        finish: Finish,
        channels: usize,
    ) {
        for (pixel, &[a, b]) in acc.iter().enumerate() {
            let a = scales.scale4(0).apply::<false>(a);
            let b = scales.scale4(1).apply::<false>(b);
            let mut bytes = [0_i8; CHANNELS];
            // SAFETY: `bytes` has eight values; the caller says that those of the pixel can be written.
            unsafe {
                vst1_s8(bytes.as_mut_ptr(), finish.eight(a, b));
                let y = self.y.add(pixel * self.stride);
                for (channel, &byte) in bytes.iter().enumerate().take(channels) {
                    y.add(channel).write(byte);
                }
            }
        }
    }
}

/// Outputs of pixels, four channels of each.
pub(super) struct Fours {
    /// First output of the first pixel.
    pub(super) y: *mut i8,
    /// From one pixel to the next.
    pub(super) stride: usize,
    /// Outputs that may be written, from `y` on; more than four are left alone.
    pub(super) channels: usize,
}

impl Fours {
    /// Rescales the sums of `P` pixels, at most four, and writes them.
    ///
    /// # Safety
    /// The outputs of `P` pixels can be written.
    #[inline(always)]
    pub(super) unsafe fn write<const P: usize>(
        &self,
        acc: [int32x4_t; P],
        scales: &Scales,
        half: usize,
        high: bool,
        finish: Finish,
    ) {
        let scale = scales.scale4(half);
        let four: [int32x4_t; 4] = if high {
            core::array::from_fn(|pixel| scale.apply::<true>(acc[pixel.min(P - 1)]))
        } else {
            core::array::from_fn(|pixel| scale.apply::<false>(acc[pixel.min(P - 1)]))
        };
        // SAFETY: AArch64 has Advanced SIMD; the caller says that the outputs can be written.
        unsafe {
            let outputs = vreinterpretq_s32_s8(finish.sixteen(four));
            if self.channels >= 4 {
                let to = |pixel: usize| self.y.add(pixel * self.stride).cast::<i32>();
                to(0).write_unaligned(vgetq_lane_s32::<0>(outputs));
                if P > 1 {
                    to(1).write_unaligned(vgetq_lane_s32::<1>(outputs));
                }
                if P > 2 {
                    to(2).write_unaligned(vgetq_lane_s32::<2>(outputs));
                    to(3).write_unaligned(vgetq_lane_s32::<3>(outputs));
                }
                return;
            }
            let mut bytes = [0_i8; 16];
            vst1q_s8(bytes.as_mut_ptr(), vreinterpretq_s8_s32(outputs));
            for (pixel, four) in bytes.as_chunks::<4>().0.iter().enumerate().take(P) {
                for (channel, &byte) in four.iter().enumerate().take(self.channels) {
                    self.y.add(pixel * self.stride + channel).write(byte);
                }
            }
        }
    }
}

/// Where each of `P` pixels lies behind the first. The compiler cannot see that they are evenly spaced: it would add its way from one to the next
/// with an instruction each, where a load takes an offset for nothing.
#[inline(always)]
pub(super) fn offsets<const P: usize>(stride: usize) -> [usize; P] {
    offsets_opaque(core::array::from_fn(|pixel| pixel * stride))
}

/// As [`offsets`], of any offsets.
#[inline(always)]
pub(super) fn offsets_opaque<const P: usize>(offsets: [usize; P]) -> [usize; P] {
    offsets.map(|mut offset| {
        // SAFETY: no instruction.
        unsafe {
            asm!("/* {0} */", inout(reg) offset, options(pure, nomem, nostack, preserves_flags))
        };
        offset
    })
}
