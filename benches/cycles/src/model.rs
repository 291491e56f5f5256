//! The cycle models, applied to a straight run of instructions.
//!
//! Cortex-M4, in order, no wait states: see [`Insn::cycles`], which the decoder fills in. Two things depend on
//! the neighbours: a load costs 1 instead of 2 right after a single load or store, and a branch
//! costs 2 more when taken. The first is known when a block is summed; the second only when the
//! next block begins, so [`TAKEN_CYCLES`] is added by the recorder.
//!
//! Cortex-M55: scalar 1, Helium 2; at the lower end 1 when a Helium access and Helium arithmetic alternate.

use crate::report::{Classes, CycleRange};

/// What a branch costs the Cortex-M4 beyond its own cycle when it is taken.
pub(crate) const TAKEN_CYCLES: u64 = 2;

/// The class of an instruction; one each per field of [`Classes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    DataProcessing,
    Multiply,
    LongMultiply,
    DspMac,
    Load,
    Store,
    LoadStoreMultiple,
    Branch,
    Divide,
    Float,
    Helium(Helium),
    Neon,
    Other,
}

/// The two pipes of Helium, which can overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Helium {
    Memory,
    Arithmetic,
}

/// How an instruction takes part in the pairing of loads on the Cortex-M4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// A single load: shortens the next, may be shortened itself.
    Load,
    /// A single store: shortens the next load.
    Store,
    /// Anything else.
    None,
}

/// One decoded instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) class: Class,
    /// Cortex-M4 cycles, unpaired and not taken.
    pub(crate) cycles: u64,
    pub(crate) pairing: Pairing,
    /// Whether it may write the program counter.
    pub(crate) flow: bool,
    pub(crate) size_bytes: u64,
}

impl Insn {
    /// An instruction that goes on to the next and does not pair.
    pub(crate) fn new(class: Class, cycles: u64) -> Insn {
        Insn {
            class,
            cycles,
            pairing: Pairing::None,
            flow: class == Class::Branch,
            size_bytes: 4,
        }
    }

    /// A load of one register.
    pub(crate) fn load() -> Insn {
        Insn {
            pairing: Pairing::Load,
            ..Insn::new(Class::Load, 2)
        }
    }

    /// A store of one register.
    pub(crate) fn store() -> Insn {
        Insn {
            pairing: Pairing::Store,
            ..Insn::new(Class::Store, 1)
        }
    }

    /// The same, writing the program counter if `flow`.
    pub(crate) fn writes_pc(self, flow: bool) -> Insn {
        Insn {
            flow: self.flow || flow,
            ..self
        }
    }

    /// The same, of another size.
    pub(crate) fn sized(self, size_bytes: u64) -> Insn {
        Insn { size_bytes, ..self }
    }
}

/// Sums of instructions and cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) classes: Classes,
    pub(crate) m4_cycles: u64,
    pub(crate) m55_cycles: CycleRange,
}

impl Tally {
    /// The sums of instructions executed one after another from the start of a block, not taken at the end.
    pub(crate) fn of(insns: &[Insn]) -> Tally {
        let mut tally = Tally::default();
        let mut before: Option<Insn> = None;
        for insn in insns {
            *tally.classes.field(insn.class) += 1;
            let paired =
                insn.pairing == Pairing::Load && before.is_some_and(|b| b.pairing != Pairing::None);
            tally.m4_cycles += if paired { 1 } else { insn.cycles };
            let (low, high) = match (before.map(|b| b.class), insn.class) {
                (Some(Class::Helium(one)), Class::Helium(two)) if one != two => (1, 2),
                (_, Class::Helium(_)) => (2, 2),
                _ => (1, 1),
            };
            tally.m55_cycles.low += low;
            tally.m55_cycles.high += high;
            before = Some(*insn);
        }
        tally
    }

    /// Adds `other`, `times` over.
    pub(crate) fn add_scaled(&mut self, other: &Tally, times: u64) {
        self.classes.add_scaled(&other.classes, times);
        self.m4_cycles += other.m4_cycles * times;
        self.m55_cycles.low += other.m55_cycles.low * times;
        self.m55_cycles.high += other.m55_cycles.high * times;
    }

    /// Adds taken branches.
    pub(crate) fn add_taken(&mut self, taken: u64) {
        self.classes.branch_taken += taken;
        self.m4_cycles += TAKEN_CYCLES * taken;
    }
}

impl Classes {
    fn field(&mut self, class: Class) -> &mut u64 {
        match class {
            Class::DataProcessing => &mut self.data_processing,
            Class::Multiply => &mut self.multiply,
            Class::LongMultiply => &mut self.long_multiply,
            Class::DspMac => &mut self.dsp_mac,
            Class::Load => &mut self.load,
            Class::Store => &mut self.store,
            Class::LoadStoreMultiple => &mut self.load_store_multiple,
            Class::Branch => &mut self.branch,
            Class::Divide => &mut self.divide,
            Class::Float => &mut self.float,
            Class::Helium(_) => &mut self.helium,
            Class::Neon => &mut self.neon,
            Class::Other => &mut self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_short_after_a_single_access_only() {
        let double = Insn::new(Class::Load, 3);
        let alu = Insn::new(Class::DataProcessing, 1);
        let run = [
            Insn::load(),
            Insn::load(),
            Insn::store(),
            Insn::load(),
            double,
            Insn::load(),
            alu,
            Insn::load(),
        ];
        assert_eq!(Tally::of(&run).m4_cycles, 2 + 1 + 1 + 1 + 3 + 2 + 1 + 2);
    }

    #[test]
    fn helium_overlaps_only_across_kinds() {
        let load = Insn::new(Class::Helium(Helium::Memory), 2);
        let mac = Insn::new(Class::Helium(Helium::Arithmetic), 2);
        let alu = Insn::new(Class::DataProcessing, 1);
        let range = Tally::of(&[load, mac, mac, alu, load]).m55_cycles;
        assert_eq!(
            (range.low, range.high),
            (2 + 1 + 2 + 1 + 2, 2 + 2 + 2 + 1 + 2)
        );
    }
}
