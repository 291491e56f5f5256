//! A64. There is no cycle model for these cores, so only classes and branches matter.

use super::Marker;
use crate::model::{Class, Insn};

/// The marker that an instruction is, if it is one.
pub(crate) fn marker(word: u32) -> Option<Marker> {
    if word & 0xffff_f01f == 0xd503_201f {
        Marker::from_hint(word >> 5 & 0x7f)
    } else {
        None
    }
}

/// Decodes an instruction.
pub(crate) fn decode(word: u32) -> Insn {
    // The manual's top-level table: bits 28 to 25.
    let class = match word >> 25 & 0xf {
        0b1000 | 0b1001 => Class::DataProcessing,
        0b1010 | 0b1011 => branch_or_system(word),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory(word),
        0b0101 | 0b1101 => registers(word),
        0b0111 | 0b1111 => vector_or_float(word),
        0b0010 => Class::Neon,
        _ => Class::Other,
    };
    Insn::new(class, 1)
}

fn branch_or_system(word: u32) -> Class {
    let unconditional = word & 0x7c00_0000 == 0x1400_0000;
    let compare_or_test = word & 0x7c00_0000 == 0x3400_0000;
    let conditional = word & 0xfe00_0000 == 0x5400_0000;
    let register = word & 0xfe00_0000 == 0xd600_0000;
    if unconditional || compare_or_test || conditional || register {
        Class::Branch
    } else {
        Class::Other
    }
}

fn memory(word: u32) -> Class {
    let vector = word & 1 << 26 != 0;
    let opc = word >> 22 & 3;
    let by_direction = |loads: bool| if loads { Class::Load } else { Class::Store };
    match word >> 28 & 3 {
        // Exclusives and ordered accesses; ld1 to ld4 and st1 to st4.
        0 => by_direction(opc & 1 != 0),
        // Literals, of which one form is a prefetch; then rcpc accesses and tags.
        1 if word & 1 << 24 == 0 => {
            if word >> 30 == 3 && !vector {
                Class::Other
            } else {
                Class::Load
            }
        }
        1 => by_direction(opc != 0),
        2 => Class::LoadStoreMultiple,
        _ if !vector && word >> 30 == 3 && opc == 2 => {
            // Of a 64-bit access "signed, to 64 bits" is a prefetch; atomics and authenticated loads use the bits otherwise.
            let atomic = word & 1 << 24 == 0 && word & 1 << 21 != 0 && word >> 10 & 3 != 2;
            if atomic { Class::Load } else { Class::Other }
        }
        _ if vector => by_direction(opc & 1 != 0),
        _ => {
            let atomic = word & 1 << 24 == 0 && word & 1 << 21 != 0 && word >> 10 & 3 != 2;
            by_direction(opc != 0 || atomic)
        }
    }
}

fn registers(word: u32) -> Class {
    if word & 0x1f00_0000 == 0x1b00_0000 {
        return if word >> 21 & 7 == 0 {
            Class::Multiply
        } else {
            Class::LongMultiply
        };
    }
    let two_sources = word & 0x5fe0_0000 == 0x1ac0_0000;
    if two_sources && word >> 11 & 0x1f == 1 {
        Class::Divide
    } else {
        Class::DataProcessing
    }
}

fn vector_or_float(word: u32) -> Class {
    let scalar = word & 0x5e00_0000 == 0x1e00_0000;
    if scalar { Class::Float } else { Class::Neon }
}
