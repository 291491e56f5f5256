//! Key files of signers: PEM as OpenSSL reads and writes it, PKCS#8 for private keys.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use ed25519_compact::{KeyPair, PublicKey, Signature};
use ocellus_data::write_new;
use ocellus_format::{SignatureRecord, signature_of, signed_message, with_signature};

/// What a model file says of its signer.
pub(crate) enum Signed {
    /// Nothing.
    No,
    /// That this key signed it, which is true.
    By([u8; 32]),
}

/// Makes a pair of keys: the private one readable by its owner only, and neither in the place of another file.
pub(crate) fn generate(private: &Path, public: &Path) -> Result<[u8; 32]> {
    for path in [private, public] {
        if path.exists() {
            bail!(
                "{}: this file exists, and a key is never overwritten; choose another name, or move it away first",
                path.display()
            );
        }
    }
    let pair = KeyPair::generate();
    write_new(private, pair.sk.to_pem().as_bytes(), 0o600)?;
    if let Err(error) = write_new(public, pair.pk.to_pem().as_bytes(), 0o644) {
        // Half a pair is of no use, and would be in the way of the next try.
        let _ = std::fs::remove_file(private);
        return Err(error.into());
    }
    Ok(*pair.pk)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// A public key.
pub(crate) fn public(path: &Path) -> Result<[u8; 32]> {
    let key = PublicKey::from_pem(&read(path)?).map_err(|_| {
        anyhow!(
            "{}: no Ed25519 public key in PEM; `ocellus keygen` makes a pair, and the public one ends in .pub.pem",
            path.display()
        )
    })?;
    Ok(*key)
}

/// The file, signed.
pub(crate) fn sign(file: &[u8], key: &Path) -> Result<(Vec<u8>, [u8; 32])> {
    let pair = KeyPair::from_pem(&read(key)?).map_err(|_| {
        anyhow!(
            "{}: no Ed25519 private key in PEM (PKCS#8); `ocellus keygen` makes one",
            key.display()
        )
    })?;
    let message = signed_message(file).map_err(|e| anyhow!("{e}"))?;
    let record = SignatureRecord {
        public_key: *pair.pk,
        // Without noise, so that the same file and key give the same bytes.
        signature: *pair.sk.sign(message, None),
    };
    let signed = with_signature(file, &record).map_err(|e| anyhow!("{e}"))?;
    Ok((signed, *pair.pk))
}

/// Who signed a file.
///
/// # Errors
/// The signature does not belong to the file.
pub(crate) fn verify(file: &[u8]) -> Result<Signed> {
    let Some(record) = signature_of(file).map_err(|e| anyhow!("{e}"))? else {
        return Ok(Signed::No);
    };
    let message = signed_message(file).map_err(|e| anyhow!("{e}"))?;
    PublicKey::new(record.public_key)
        .verify(message, &Signature::new(record.signature))
        .map_err(|_| {
            anyhow!(
                "the signature does not belong to this file: it was changed after signing; take the original, or sign it again"
            )
        })?;
    Ok(Signed::By(record.public_key))
}
