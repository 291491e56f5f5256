//! Single instructions that stable Rust has no name for.

use core::arch::asm;

/// `acc + a[0] * b[0] + a[1] * b[1]`, 16 bits each, wrapping.
#[inline(always)]
pub(super) fn smlad(a: u32, b: u32, acc: i32) -> i32 {
    let sum;
    // SAFETY: arithmetic on registers; it may set the sticky Q flag, which is not promised to be preserved.
    unsafe {
        asm!("smlad {}, {}, {}, {}", out(reg) sum, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack));
    }
    sum
}

/// `acc + a[0] * b[0]`, 16 bits each, wrapping.
#[inline(always)]
pub(super) fn smlabb(a: u32, b: u32, acc: i32) -> i32 {
    let sum;
    // SAFETY: as `smlad`.
    unsafe {
        asm!("smlabb {}, {}, {}, {}", out(reg) sum, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack));
    }
    sum
}

/// `acc + a[1] * b[1]`, 16 bits each, wrapping.
#[inline(always)]
pub(super) fn smlatt(a: u32, b: u32, acc: i32) -> i32 {
    let sum;
    // SAFETY: as `smlad`.
    unsafe {
        asm!("smlatt {}, {}, {}, {}", out(reg) sum, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack));
    }
    sum
}

/// `acc + a[1] * b[0]`, 16 bits each, wrapping.
#[inline(always)]
pub(super) fn smlatb(a: u32, b: u32, acc: i32) -> i32 {
    let sum;
    // SAFETY: as `smlad`.
    unsafe {
        asm!("smlatb {}, {}, {}, {}", out(reg) sum, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack));
    }
    sum
}

/// The halves of `a` less those of `b`, wrapping.
#[inline(always)]
pub(super) fn minus(a: u32, b: u32) -> u32 {
    let difference;
    // SAFETY: arithmetic on registers; it sets the GE flags, which are not promised to be preserved.
    unsafe {
        asm!("ssub16 {}, {}, {}", out(reg) difference, in(reg) a, in(reg) b, options(pure, nomem, nostack));
    }
    difference
}

/// The larger of each two bytes.
#[inline(always)]
pub(super) fn larger(a: u32, b: u32) -> u32 {
    let largest;
    // SAFETY: arithmetic on registers; `SEL` takes the flags that the subtraction before it has set.
    unsafe {
        asm!(
            "ssub8 {t}, {a}, {b}",
            "sel {y}, {a}, {b}",
            t = out(reg) _,
            y = lateout(reg) largest,
            a = in(reg) a,
            b = in(reg) b,
            options(pure, nomem, nostack)
        );
    }
    largest
}

/// A value in both halves.
#[inline(always)]
pub(super) fn both_halves(value: i8) -> u32 {
    u32::from(i16::from(value) as u16) * 0x1_0001
}

/// Bytes 0 and 2, sign-extended to 16 bits each.
#[inline(always)]
pub(super) fn even(word: u32) -> u32 {
    let halves;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("sxtb16 {}, {}", out(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
    }
    halves
}

/// Bytes 1 and 3, sign-extended to 16 bits each.
#[inline(always)]
pub(super) fn odd(word: u32) -> u32 {
    let halves;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("sxtb16 {}, {}, ror #8", out(reg) halves, in(reg) word, options(pure, nomem, nostack, preserves_flags));
    }
    halves
}

/// The high word of `(acc << 32) + a * b`.
#[inline(always)]
pub(super) fn smmla(a: i32, b: i32, acc: i32) -> i32 {
    let high;
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!("smmla {}, {}, {}, {}", out(reg) high, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack, preserves_flags));
    }
    high
}

/// Saturates to `s8`.
#[inline(always)]
pub(super) fn saturate(value: i32) -> i8 {
    let saturated: i32;
    // SAFETY: as `smlad`.
    unsafe {
        asm!("ssat {}, #8, {}", out(reg) saturated, in(reg) value, options(pure, nomem, nostack));
    }
    saturated as i8
}

/// Each byte limited to those of `min` and `max`.
#[inline(always)]
pub(super) fn clamp_bytes(value: u32, min: u32, max: u32) -> u32 {
    let clamped;
    // SAFETY: arithmetic on registers; `SEL` takes the flags that the subtraction before it has set.
    unsafe {
        asm!(
            "ssub8 {t}, {v}, {min}",
            "sel {v}, {v}, {min}",
            "ssub8 {t}, {v}, {max}",
            "sel {v}, {max}, {v}",
            t = out(reg) _,
            v = inout(reg) value => clamped,
            min = in(reg) min,
            max = in(reg) max,
            options(pure, nomem, nostack)
        );
    }
    clamped
}

/// 0 where each byte lies in `min..=max`, without sign.
#[inline(always)]
pub(super) fn beyond(bytes: u32, min: u8, max: u8) -> u32 {
    let all = |byte: u8| u32::from(byte) * 0x0101_0101;
    let (below, above): (u32, u32);
    // SAFETY: arithmetic on registers.
    unsafe {
        asm!(
            "uqsub8 {below}, {min}, {bytes}",
            "uqsub8 {above}, {bytes}, {max}",
            below = out(reg) below,
            above = lateout(reg) above,
            bytes = in(reg) bytes,
            min = in(reg) all(min),
            max = in(reg) all(max),
            options(pure, nomem, nostack)
        );
    }
    below | above
}

/// Four bytes as they lie in memory.
#[inline(always)]
pub(super) fn word(bytes: &[i8; 4]) -> u32 {
    u32::from_le_bytes(bytemuck::cast(*bytes))
}

/// As many of four bytes as there are, the others 0.
#[inline]
pub(super) fn partial_word(bytes: &[i8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u32::from(byte as u8))
}
