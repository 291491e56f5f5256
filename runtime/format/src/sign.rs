//! What a signature covers, and the section that holds it. `docs/model-format.md`, `SIGN`. The arithmetic of signatures is elsewhere: an
//! image that requires none links none.

use sha2::{Digest, Sha256};

use crate::layout::{self, HEADER_VERSION, Tag};
use crate::{FormatError, ModelView};

/// First bytes of what is signed, so that a key's signature on a model means nothing anywhere else.
pub const SIGN_CONTEXT: [u8; 16] = *b"ocellus model v1";
/// Number of the only scheme: Ed25519.
pub const SIGN_ED25519: u32 = 1;
/// Bytes of the section.
pub const SIGN_BYTES: usize = 100;

/// The signature section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureRecord {
    /// The signer's public key.
    pub public_key: [u8; 32],
    /// Over [`signed_message`].
    pub signature: [u8; 64],
}

impl SignatureRecord {
    /// Reads the section; `None` where it is not one of this version.
    pub fn decode(section: &[u8]) -> Option<SignatureRecord> {
        let scheme = layout::u32_at(section, 0..4)?;
        (section.len() == SIGN_BYTES && scheme == SIGN_ED25519).then_some(())?;
        Some(SignatureRecord {
            public_key: section.get(4..36)?.try_into().ok()?,
            signature: section.get(36..SIGN_BYTES)?.try_into().ok()?,
        })
    }

    /// The section's bytes.
    #[cfg(feature = "write")]
    pub fn encode(&self) -> alloc::vec::Vec<u8> {
        let mut section = alloc::vec::Vec::with_capacity(SIGN_BYTES);
        section.extend(SIGN_ED25519.to_le_bytes());
        section.extend(self.public_key);
        section.extend(self.signature);
        section
    }
}

impl ModelView<'_> {
    /// The signature, where the file has one of this version.
    pub fn signature(&self) -> Option<SignatureRecord> {
        self.signature_bytes().and_then(SignatureRecord::decode)
    }
}

/// The signature of a file whose structure need not be proved, where it has one of this version.
///
/// # Errors
/// What is wrong with header or section table.
pub fn signature_of(bytes: &[u8]) -> Result<Option<SignatureRecord>, FormatError> {
    let found = layout::sections(layout::trim(bytes)?)?;
    Ok(found.signature.and_then(SignatureRecord::decode))
}

/// What is signed: [`SIGN_CONTEXT`], then the SHA-256 over the format's version and, for every section but the signature in the table's order,
/// its tag, its flags, its length and its bytes. Offsets and the header's digest are no part of it, so that adding the signature changes
/// nothing of what it covers.
///
/// # Errors
/// What is wrong with header or section table.
pub fn signed_message(bytes: &[u8]) -> Result<[u8; 48], FormatError> {
    let file = layout::trim(bytes)?;
    layout::sections(file)?;
    let mut hash = Sha256::new();
    hash.update(file.get(HEADER_VERSION).unwrap_or_default());
    for entry in layout::entries(file) {
        if entry.tag != Tag::SIGNATURE {
            hash.update(entry.tag.0);
            hash.update(entry.flags.to_le_bytes());
            hash.update((entry.bytes.len() as u32).to_le_bytes());
            hash.update(entry.bytes);
        }
    }
    let mut message = [0; 48];
    let (context, digest) = message.split_at_mut(SIGN_CONTEXT.len());
    context.copy_from_slice(&SIGN_CONTEXT);
    digest.copy_from_slice(&hash.finalize());
    Ok(message)
}

/// The file with a signature, in the place of an earlier one. The other sections keep their bytes and their order.
///
/// # Errors
/// What is wrong with header or section table; [`FormatError::Limit`]: no room for a section more.
#[cfg(feature = "write")]
pub fn with_signature(
    bytes: &[u8],
    record: &SignatureRecord,
) -> Result<alloc::vec::Vec<u8>, FormatError> {
    let file = layout::trim(bytes)?;
    layout::sections(file)?;
    let mut sections: alloc::vec::Vec<_> = layout::entries(file)
        .filter(|entry| entry.tag != Tag::SIGNATURE)
        .map(|entry| (entry.tag, entry.flags, entry.bytes.to_vec()))
        .collect();
    sections.push((Tag::SIGNATURE, 0, record.encode()));
    if sections.len() > usize::from(layout::MAX_SECTIONS) {
        return Err(FormatError::Limit);
    }
    crate::write::assemble(&sections).map_err(|_| FormatError::Limit)
}
