//! Thumb-2 of ARMv7E-M, ARMv8-M and ARMv8.1-M with the floating point extension and Helium.
//!
//! Follows the encoding tables of the ARMv7-M and ARMv8-M architecture manuals from the top bits
//! down, no deeper than a class or a cost needs.

use super::Marker;
use crate::model::{Class, Helium, Insn};

/// Whether an instruction with this first halfword has a second one.
pub(crate) fn is_wide(first: u16) -> bool {
    first >= 0xe800
}

/// The marker that a wide instruction is, if it is one.
pub(crate) fn marker(first: u16, second: u16) -> Option<Marker> {
    if first == 0xf3af && second & 0xff00 == 0x8000 {
        Marker::from_hint(u32::from(second & 0xff))
    } else {
        None
    }
}

/// Decodes a 16-bit instruction.
pub(crate) fn narrow(word: u16) -> Insn {
    let simple = |class| Insn::new(class, 1);
    let listed = |count: u32| Insn::new(Class::LoadStoreMultiple, 1 + u64::from(count));
    let insn = match word >> 10 {
        0b00_0000..=0b00_1111 => simple(Class::DataProcessing),
        0b01_0000 if word & 0x03c0 == 0x0340 => simple(Class::Multiply),
        0b01_0000 => simple(Class::DataProcessing),
        // bx, blx; then add and mov into the program counter, which are branches in all but name.
        0b01_0001 if word & 0x0300 == 0x0300 => simple(Class::Branch),
        0b01_0001 if word & 0x0087 == 0x0087 && word & 0x0300 != 0x0100 => simple(Class::Branch),
        0b01_0001 => simple(Class::DataProcessing),
        0b01_0010 | 0b01_0011 => Insn::load(),
        0b01_0100..=0b01_0111 if word >> 9 & 7 < 3 => Insn::store(),
        0b01_0100..=0b01_0111 => Insn::load(),
        0b01_1000..=0b10_0111 if word & 0x0800 == 0 => Insn::store(),
        0b01_1000..=0b10_0111 => Insn::load(),
        0b10_1000..=0b10_1011 => simple(Class::DataProcessing),
        0b10_1100..=0b10_1111 => match word >> 8 & 0xf {
            0x1 | 0x3 | 0x9 | 0xb => simple(Class::Branch),
            0x4 | 0x5 => listed((word & 0x1ff).count_ones()),
            0xc | 0xd => listed((word & 0x1ff).count_ones()).writes_pc(word & 0x100 != 0),
            0x0 | 0x2 => simple(Class::DataProcessing),
            0xa if word & 0xc0 != 0x80 => simple(Class::DataProcessing),
            _ => simple(Class::Other),
        },
        0b11_0000..=0b11_0011 => listed((word & 0xff).count_ones()),
        0b11_0100..=0b11_0111 if word & 0x0e00 != 0x0e00 => simple(Class::Branch),
        0b11_0100..=0b11_0111 => simple(Class::Other),
        0b11_1000 | 0b11_1001 => simple(Class::Branch),
        _ => simple(Class::Other),
    };
    insn.sized(2)
}

/// Decodes a 32-bit instruction.
pub(crate) fn wide(first: u16, second: u16) -> Insn {
    match first >> 9 {
        0b111_0100 => block_or_dual(first, second),
        0b111_0101 => Insn::new(Class::DataProcessing, 1),
        0b111_0110 | 0b111_0111 | 0b111_1110 | 0b111_1111 => coprocessor(first, second),
        0b111_1000..=0b111_1011 if second & 0x8000 == 0 => Insn::new(Class::DataProcessing, 1),
        0b111_1000..=0b111_1011 => branch_or_control(first, second),
        0b111_1100 => single(first, second),
        _ if first & 0xff00 == 0xfa00 => Insn::new(Class::DataProcessing, 1),
        _ => multiply(first, second),
    }
}

/// `ldm`, `stm`; `ldrd`, `strd`, exclusives, table branches.
fn block_or_dual(first: u16, second: u16) -> Insn {
    let loads = first & 0x0010 != 0;
    if first & 0x0040 == 0 {
        // clrm is an ldm from the program counter.
        if first == 0xe89f {
            return Insn::new(Class::DataProcessing, 1);
        }
        let insn = Insn::new(Class::LoadStoreMultiple, 1 + u64::from(second.count_ones()));
        return insn.writes_pc(loads && second & 0x8000 != 0);
    }
    if first & 0x0120 != 0 {
        // sg, the secure gateway, sits among the dual loads.
        if (first, second) == (0xe97f, 0xe97f) {
            return Insn::new(Class::Other, 1);
        }
        return Insn::new(if loads { Class::Load } else { Class::Store }, 3);
    }
    if first & 0xfff0 == 0xe8d0 && second & 0x00e0 == 0 {
        return Insn::new(Class::Branch, 1);
    }
    if first & 0xfff0 == 0xe840 && second & 0xf03f == 0xf000 {
        return Insn::new(Class::Other, 1);
    }
    if loads { Insn::load() } else { Insn::store() }
}

/// Branches, low-overhead loops, `vctp`, and control instructions.
fn branch_or_control(first: u16, second: u16) -> Insn {
    let conditional = second & 0x5000 == 0 && first & 0x0380 != 0x0380;
    let direct = second & 0x1000 != 0;
    // le, letp, wls, wlstp; their kin dls, dlstp and lctp only set the counter.
    let ends_loop = second & 0x7001 == 0x4001;
    if conditional || direct || ends_loop {
        Insn::new(Class::Branch, 1)
    } else if first & 0xffc0 == 0xf000 && second == 0xe801 {
        Insn::new(Class::Helium(Helium::Arithmetic), 2)
    } else {
        Insn::new(Class::Other, 1)
    }
}

/// Loads and stores of one register.
fn single(first: u16, second: u16) -> Insn {
    let into_pc = second >> 12 == 15;
    match first & 0x0110 {
        0x0000 => Insn::store(),
        0x0100 => Insn::new(Class::Other, 1),
        // Bytes and halfwords "into the program counter" are the preloads.
        _ if into_pc && first & 0x0060 != 0x0040 => Insn::new(Class::Other, 1),
        _ => Insn::load().writes_pc(into_pc),
    }
}

/// `0xfb..`: products of all kinds, and division.
fn multiply(first: u16, second: u16) -> Insn {
    let op = second >> 4 & 0xf;
    match first >> 4 & 0xf {
        0x0 if op == 1 => Insn::new(Class::Multiply, 2),
        0x0 => Insn::new(Class::Multiply, 1),
        0x1..=0x7 => Insn::new(Class::DspMac, 1),
        0x9 | 0xb => Insn::new(Class::Divide, 7),
        0x8 | 0xa => Insn::new(Class::LongMultiply, 1),
        0xc | 0xd if op >= 8 => Insn::new(Class::DspMac, 1),
        0xc | 0xe => Insn::new(Class::LongMultiply, 1),
        _ => Insn::new(Class::Other, 1),
    }
}

/// `0xec..` to `0xef..` and `0xfc..` to `0xff..`: Helium, float, and true coprocessors.
fn coprocessor(first: u16, second: u16) -> Insn {
    let number = second >> 8 & 0xf;
    let moves_memory = first & 0x0200 == 0;
    let arithmetic = Insn::new(Class::Helium(Helium::Arithmetic), 2);
    match number {
        // Not memory: vmov between two core registers and two lanes.
        0xe | 0xf if moves_memory && first & 0xffa0 != 0xec00 => {
            Insn::new(Class::Helium(Helium::Memory), 2)
        }
        0xe | 0xf => arithmetic,
        _ if first & 0x0f00 == 0x0f00 => arithmetic,
        // vcmla
        0x8 if moves_memory && first & 0x1000 != 0 => arithmetic,
        // vdup from a core register
        0xb if first & 0xffb0 == 0xeea0 && second & 0x0010 != 0 => arithmetic,
        0x9..=0xb if moves_memory => float_memory(first, second),
        0x9..=0xb => float(first, second),
        _ => Insn::new(Class::Other, 1),
    }
}

/// `vldr`, `vstr`, `vldm`, `vstm`, and moves of two core registers.
fn float_memory(first: u16, second: u16) -> Insn {
    let loads = first & 0x0010 != 0;
    let double = second & 0x0f00 == 0x0b00;
    // Bits P, U and W choose the form.
    match first & 0x01a0 {
        0x0000 => Insn::new(Class::Float, 1),
        // vlldm and vlstm
        0x0020 => Insn::new(Class::Other, 1),
        0x0100 | 0x0180 if double => Insn::new(if loads { Class::Load } else { Class::Store }, 3),
        0x0100 | 0x0180 if loads => Insn::load(),
        0x0100 | 0x0180 => Insn::store(),
        // vscclrm is a vldm from the program counter.
        _ if first & 0xffbf == 0xec9f => Insn::new(Class::Float, 1),
        _ => Insn::new(Class::LoadStoreMultiple, 1 + u64::from(second & 0xff)),
    }
}

/// Float arithmetic, and moves of one core register.
fn float(first: u16, second: u16) -> Insn {
    let between_registers = second & 0x0010 != 0;
    if between_registers || first & 0x1000 != 0 {
        return Insn::new(Class::Float, 1);
    }
    let cycles = match first & 0x00b0 {
        // vmla, vnmla; vfma, vfnma
        0x0000 | 0x0010 | 0x0090 | 0x00a0 => 3,
        // vdiv
        0x0080 => 14,
        // vsqrt
        0x00b0 if first & 0xf == 1 && second & 0x00c0 == 0x00c0 => 14,
        _ => 1,
    };
    Insn::new(Class::Float, cycles)
}
