//! Header and section table, byte by byte. `docs/model-format.md`, file.

use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::FormatError;

/// First bytes of every model file.
pub const MAGIC: [u8; 8] = *b"OCELLUS\x1a";
/// Version of the format, arithmetic included.
pub const FORMAT_VERSION: u16 = 1;
/// What section offsets, tensor offsets and the model's base are multiples of.
pub const ALIGN: usize = 16;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// [`MAGIC`].
pub const HEADER_MAGIC: Range<usize> = 0..8;
/// [`FORMAT_VERSION`], `u16`.
pub const HEADER_VERSION: Range<usize> = 8..10;
/// Count of sections, `u16`.
pub const HEADER_SECTION_COUNT: Range<usize> = 10..12;
/// Bytes of the whole file, `u32`.
pub const HEADER_FILE_BYTES: Range<usize> = 12..16;
/// Zero.
pub const HEADER_RESERVED: Range<usize> = 16..32;
/// SHA-256 of the whole file, these bytes taken as zero.
pub const HEADER_SHA256: Range<usize> = 32..64;

/// Bytes of one entry of the section table, which follows the header.
pub const SECTION_ENTRY_BYTES: usize = 16;
/// [`Tag`], four letters.
pub const SECTION_TAG: Range<usize> = 0..4;
/// Flags, `u32`: [`SECTION_REQUIRED`].
pub const SECTION_FLAGS: Range<usize> = 4..8;
/// Offset from the beginning of the file, `u32`, a multiple of 16.
pub const SECTION_OFFSET: Range<usize> = 8..12;
/// Bytes, `u32`, without the padding behind.
pub const SECTION_LEN: Range<usize> = 12..16;
/// Flag bit: a reader that does not know the section refuses the file.
pub const SECTION_REQUIRED: u32 = 1;
/// Most sections of a file.
pub const MAX_SECTIONS: u16 = 32;

/// Name of a section: four letters, as they lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tag(pub [u8; 4]);

impl Tag {
    /// The program: entry points and operators.
    pub const PROGRAM: Tag = Tag(*b"PROG");
    /// Tensor records.
    pub const TENSORS: Tag = Tag(*b"TENS");
    /// Sizes of the arena's parts, where there are several.
    pub const PARTS: Tag = Tag(*b"PART");
    /// Constants.
    pub const WEIGHTS: Tag = Tag(*b"WGHT");
    /// Where the model comes from, names; for PCs.
    pub const INFO: Tag = Tag(*b"INFO");
    /// What the model is for: preparation of the picture, decoding of the outputs.
    pub const TASK: Tag = Tag(*b"TASK");
    /// A signature.
    pub const SIGNATURE: Tag = Tag(*b"SIGN");
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_ascii())
    }
}

/// Where the known sections lie.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sections<'m> {
    pub(crate) program: Option<&'m [u8]>,
    pub(crate) tensors: Option<&'m [u8]>,
    pub(crate) parts: Option<&'m [u8]>,
    pub(crate) weights: Option<&'m [u8]>,
    pub(crate) info: Option<&'m [u8]>,
    pub(crate) task: Option<&'m [u8]>,
    pub(crate) signature: Option<&'m [u8]>,
}

/// The file without what follows its stated length.
pub(crate) fn trim(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let given_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let header = bytes.get(..HEADER_BYTES).ok_or(FormatError::Truncated {
        needed_bytes: HEADER_BYTES as u32,
        given_bytes,
    })?;
    if header.get(HEADER_MAGIC) != Some(MAGIC.as_slice()) {
        return Err(FormatError::Magic);
    }
    let version = u16_at(header, HEADER_VERSION).ok_or(FormatError::Header)?;
    if version != FORMAT_VERSION {
        return Err(FormatError::Version { found: version });
    }
    let file_bytes = u32_at(header, HEADER_FILE_BYTES).ok_or(FormatError::Header)?;
    if (file_bytes as usize) < HEADER_BYTES {
        return Err(FormatError::Header);
    }
    bytes
        .get(..file_bytes as usize)
        .ok_or(FormatError::Truncated {
            needed_bytes: file_bytes,
            given_bytes,
        })
}

/// Proves the section table of a trimmed file and finds the known sections.
pub(crate) fn sections(file: &[u8]) -> Result<Sections<'_>, FormatError> {
    let zeros = file.get(HEADER_RESERVED).ok_or(FormatError::Header)?;
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(FormatError::Header);
    }
    let count = u16_at(file, HEADER_SECTION_COUNT).ok_or(FormatError::Header)?;
    if count > MAX_SECTIONS {
        return Err(FormatError::Header);
    }
    let mut end = HEADER_BYTES + usize::from(count) * SECTION_ENTRY_BYTES;
    let table = file.get(HEADER_BYTES..end).ok_or(FormatError::Header)?;
    let mut found = Sections::default();
    for (index, entry) in (0_u16..).zip(table.chunks_exact(SECTION_ENTRY_BYTES)) {
        let damaged = FormatError::Section { index };
        let tag = entry
            .get(SECTION_TAG)
            .and_then(|tag| tag.try_into().ok())
            .map(Tag)
            .ok_or(damaged)?;
        let flags = u32_at(entry, SECTION_FLAGS).ok_or(damaged)?;
        let offset = u32_at(entry, SECTION_OFFSET).ok_or(damaged)? as usize;
        let len = u32_at(entry, SECTION_LEN).ok_or(damaged)? as usize;
        if flags & !SECTION_REQUIRED != 0 || !offset.is_multiple_of(ALIGN) || offset < end {
            return Err(damaged);
        }
        end = offset.checked_add(len).ok_or(damaged)?;
        let section = file.get(offset..end).ok_or(damaged)?;
        let slot = match tag {
            Tag::PROGRAM => &mut found.program,
            Tag::TENSORS => &mut found.tensors,
            Tag::PARTS => &mut found.parts,
            Tag::WEIGHTS => &mut found.weights,
            Tag::INFO => &mut found.info,
            Tag::TASK => &mut found.task,
            Tag::SIGNATURE => &mut found.signature,
            _ if flags & SECTION_REQUIRED != 0 => return Err(FormatError::RequiredSection { tag }),
            _ => continue,
        };
        if slot.replace(section).is_some() {
            return Err(damaged);
        }
    }
    Ok(found)
}

/// A section as the table names it.
pub(crate) struct Entry<'m> {
    pub(crate) tag: Tag,
    pub(crate) flags: u32,
    pub(crate) bytes: &'m [u8],
}

/// The sections of a file whose table [`sections`] has proved, in the table's order.
pub(crate) fn entries(file: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let count = u16_at(file, HEADER_SECTION_COUNT).unwrap_or(0);
    let table = file.get(HEADER_BYTES..HEADER_BYTES + usize::from(count) * SECTION_ENTRY_BYTES);
    let entries = table.unwrap_or_default().chunks_exact(SECTION_ENTRY_BYTES);
    entries.filter_map(|entry| {
        let offset = u32_at(entry, SECTION_OFFSET)? as usize;
        let len = u32_at(entry, SECTION_LEN)? as usize;
        Some(Entry {
            tag: Tag(entry.get(SECTION_TAG)?.try_into().ok()?),
            flags: u32_at(entry, SECTION_FLAGS)?,
            bytes: file.get(offset..offset.checked_add(len)?)?,
        })
    })
}

pub(crate) fn u16_at(bytes: &[u8], range: Range<usize>) -> Option<u16> {
    bytes.get(range)?.try_into().ok().map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], range: Range<usize>) -> Option<u32> {
    bytes.get(range)?.try_into().ok().map(u32::from_le_bytes)
}

/// Places a value at an address that is a multiple of 16, as a model's bytes and the arena need it.
///
/// ```
/// use ocellus_format::Aligned;
///
/// static MODEL: &Aligned<[u8]> = &Aligned(*b"include_bytes! of a model file goes here");
/// static ARENA: Aligned<[u8; 1024]> = Aligned([0; 1024]);
/// assert!(MODEL.0.as_ptr().addr().is_multiple_of(16));
/// # let _ = &ARENA;
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);
