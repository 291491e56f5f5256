//! Models of one signer only.

use ed25519_compact::{PublicKey, Signature};
use ocellus::format::{signature_of, signed_message};
use ocellus_protocol::{DeviceError, SignatureFault};

/// Proves that a model is as its signer left it. Its structure is proved afterwards, as that of any other.
///
/// # Errors
/// - [`DeviceError::Load`]: header or section table are damaged
/// - [`DeviceError::Signature`]: not signed, signed by another key, or changed after signing
pub(crate) fn check(model: &[u8], signer: &[u8; 32]) -> Result<(), DeviceError> {
    let damaged = |error: ocellus::format::FormatError| DeviceError::Load(error.into());
    let record = signature_of(model)
        .map_err(damaged)?
        .ok_or(DeviceError::Signature(SignatureFault::Absent))?;
    if record.public_key != *signer {
        return Err(DeviceError::Signature(SignatureFault::AnotherKey));
    }
    let message = signed_message(model).map_err(damaged)?;
    PublicKey::new(*signer)
        .verify(message, &Signature::new(record.signature))
        .map_err(|_| DeviceError::Signature(SignatureFault::Wrong))
}
