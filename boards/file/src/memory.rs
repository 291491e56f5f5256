//! Regions, slots, and the rules that hold between them.

use std::fmt;

use serde::Deserialize;

use crate::{Board, BoardError, EmulatorKind};

/// A memory, as the core sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Region {
    /// Name in reports and linker scripts.
    pub name: String,
    /// Whether the firmware may write it.
    pub kind: RegionKind,
    /// First address, in the alias that the firmware uses.
    pub origin: u64,
    /// Size.
    pub size_bytes: u64,
    /// On the chip, or on a bus outside.
    pub on_chip: bool,
    /// 0 is the fastest memory of the board.
    pub speed_rank: u8,
}

/// Whether the firmware may write a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RegionKind {
    /// Written when the board is flashed, read afterwards.
    Flash,
    /// Read and written.
    Ram,
}

impl RegionKind {
    /// The word used in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flash => "flash",
            Self::Ram => "ram",
        }
    }
}

/// A part of a region and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Slot {
    /// What it is for.
    pub role: Role,
    /// Name of its region.
    pub region: String,
    /// Distance from the region's origin.
    pub offset_bytes: u64,
    /// Size.
    pub size_bytes: u64,
}

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// Vector table, text, constants, initial values of statics. Exactly one.
    Code,
    /// The model file, read in place.
    Model,
    /// Statics from the bottom, stack from the top. Exactly one.
    Statics,
    /// The engine's arena.
    Arena,
    /// Frames from the camera.
    Frames,
}

impl Role {
    /// The word used in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Model => "model",
            Self::Statics => "statics",
            Self::Arena => "arena",
            Self::Frames => "frames",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Arena and weights need 16-byte alignment; linker sections are aligned further down.
const ALIGN_BYTES: u64 = 16;

impl Board {
    /// The region of that name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|r| r.name == name)
    }

    /// Slots of a role with their regions, in order of preference.
    pub fn slots_of(&self, role: Role) -> impl Iterator<Item = (&Slot, &Region)> {
        self.slots
            .iter()
            .filter(move |s| s.role == role)
            .filter_map(|s| Some((s, self.region(&s.region)?)))
    }

    /// First address of a slot of this board.
    #[must_use]
    pub fn origin(&self, slot: &Slot) -> Option<u64> {
        self.region(&slot.region)?
            .origin
            .checked_add(slot.offset_bytes)
    }

    /// The first slot of a role that holds `needed_bytes`.
    ///
    /// # Errors
    /// - [`BoardError::NoRoom`]: none does; boards without regions have none at all
    pub fn place(&self, role: Role, needed_bytes: u64) -> Result<(&Slot, &Region), BoardError> {
        self.slots_of(role)
            .find(|(s, _)| s.size_bytes >= needed_bytes)
            .ok_or_else(|| BoardError::NoRoom {
                board: self.name.clone(),
                role,
                needed_bytes,
                largest: self
                    .slots_of(role)
                    .max_by_key(|(s, _)| s.size_bytes)
                    .map(|(s, r)| (r.name.clone(), s.size_bytes)),
            })
    }

    /// Bytes of the statics' slot that are set aside for the stack: the lower half, so that running over it leaves the memory, which faults,
    /// instead of damaging variables. 0 on boards with an operating system.
    #[must_use]
    pub fn stack_bytes(&self) -> u64 {
        let slot = self.slots_of(Role::Statics).next();
        slot.map_or(0, |(slot, _)| (slot.size_bytes / 2) & !(ALIGN_BYTES - 1))
    }

    /// Says what contradicts itself, in a sentence; [`Board::parse`] calls it.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!(
                "name `{}` may hold lower-case letters, digits and dashes only",
                self.name
            ));
        }
        if let Some(e) = &self.emulator
            && (e.kind == EmulatorKind::System) != e.machine.is_some()
        {
            return Err("emulator: `machine` belongs to kind `system`, and to it alone".to_owned());
        }
        self.check_regions()?;
        self.check_slots()
    }

    fn check_regions(&self) -> Result<(), String> {
        for (i, r) in self.regions.iter().enumerate() {
            let end = end_of(r)
                .ok_or_else(|| format!("region {}: ends past the 32-bit address space", r.name))?;
            if r.size_bytes == 0 || r.origin % ALIGN_BYTES != 0 || r.size_bytes % ALIGN_BYTES != 0 {
                return Err(format!(
                    "region {}: origin and size must be multiples of {ALIGN_BYTES}, size not 0",
                    r.name
                ));
            }
            for other in self.regions.iter().skip(i + 1) {
                if other.name == r.name {
                    return Err(format!("region {}: declared twice", r.name));
                }
                if end_of(other).is_some_and(|other_end| r.origin < other_end && other.origin < end)
                {
                    return Err(format!("regions {} and {} overlap", r.name, other.name));
                }
            }
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), String> {
        for (i, s) in self.slots.iter().enumerate() {
            let what = format!("slot {} in {}", s.role, s.region);
            let region = self
                .region(&s.region)
                .ok_or_else(|| format!("{what}: no such region"))?;
            let end = s
                .offset_bytes
                .checked_add(s.size_bytes)
                .filter(|e| *e <= region.size_bytes);
            let end = end.ok_or_else(|| {
                format!("{what}: ends past the region's {} bytes", region.size_bytes)
            })?;
            if s.size_bytes == 0
                || s.offset_bytes % ALIGN_BYTES != 0
                || s.size_bytes % ALIGN_BYTES != 0
            {
                return Err(format!(
                    "{what}: offset and size must be multiples of {ALIGN_BYTES}, size not 0"
                ));
            }
            let writes = matches!(s.role, Role::Statics | Role::Arena | Role::Frames);
            if writes && region.kind != RegionKind::Ram {
                return Err(format!("{what}: needs a region of kind `ram`"));
            }
            for o in self
                .slots
                .iter()
                .skip(i + 1)
                .filter(|o| o.region == s.region)
            {
                if s.offset_bytes < o.offset_bytes.saturating_add(o.size_bytes)
                    && o.offset_bytes < end
                {
                    return Err(format!("{what}: overlaps slot {}", o.role));
                }
            }
        }
        if self.is_bare_metal() {
            for (role, most) in [
                (Role::Code, 1),
                (Role::Statics, 1),
                (Role::Model, 8),
                (Role::Arena, 8),
            ] {
                let count = self.slots_of(role).count();
                if count == 0 || count > most {
                    return Err(format!(
                        "{count} slots of role {role}; a board without operating system has 1 to {most}"
                    ));
                }
            }
            if self.triple.is_none() || self.target_cpu.is_none() {
                return Err("a board with regions needs `triple` and `target_cpu`".to_owned());
            }
        }
        Ok(())
    }
}

/// End of a region, exclusive, if it is inside the 32-bit address space.
fn end_of(r: &Region) -> Option<u64> {
    r.origin.checked_add(r.size_bytes).filter(|e| *e <= 1 << 32)
}
