//! SHA-256 over the file.

use sha2::{Digest, Sha256};

use crate::FormatError;
use crate::layout::{self, HEADER_SHA256};

/// Proves that the file is byte for byte what the converter wrote. Structure is another question: [`ModelView::new_checked`](crate::ModelView::new_checked).
///
/// # Errors
/// - [`FormatError::Truncated`], [`FormatError::Magic`], [`FormatError::Version`]: no such file
/// - [`FormatError::Digest`]: a byte differs
pub fn verify(bytes: &[u8]) -> Result<(), FormatError> {
    let file = layout::trim(bytes)?;
    let (actual, stated) = (digest(file), file.get(HEADER_SHA256));
    if stated == Some(actual.as_slice()) {
        Ok(())
    } else {
        Err(FormatError::Digest)
    }
}

/// SHA-256 of a file, the digest's own bytes taken as zero.
pub fn digest(file: &[u8]) -> [u8; 32] {
    let (before, after) = (
        file.get(..HEADER_SHA256.start),
        file.get(HEADER_SHA256.end..),
    );
    hash([
        before.unwrap_or_default(),
        &[0; 32],
        after.unwrap_or_default(),
    ])
}

/// SHA-256 of bytes that are no model file.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    hash([bytes, &[], &[]])
}

/// SHA-256 of parts one behind the other. Once in an image: what it calls is generic.
#[inline(never)]
fn hash(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
