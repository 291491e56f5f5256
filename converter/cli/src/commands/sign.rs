//! `ocellus keygen`, `ocellus sign`, `ocellus verify`: model files of a known signer.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use ocellus_data::write_whole;
use serde_json::json;

use crate::args::{KeygenArgs, SignArgs, VerifyArgs};
use crate::commands::convert::{check_output, sha256};
use crate::keys::{self, Signed};
use crate::output::print_json;
use crate::source::ModelFile;

pub(crate) fn keygen(args: &KeygenArgs, json: bool) -> Result<()> {
    let with = |suffix: &str| {
        let mut name = args.output.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (private, public) = (with(".pem"), with(".pub.pem"));
    let key = hex::encode(keys::generate(&private, &public)?);
    if json {
        return print_json(json!({ "private": private, "public": public, "key": key }));
    }
    println!(
        "{}: keep it secret; whoever has it signs models",
        private.display()
    );
    println!(
        "{}: for `ocellus verify --key` and `ocellus build --require-signature`",
        public.display()
    );
    Ok(())
}

pub(crate) fn sign(args: &SignArgs, json: bool) -> Result<()> {
    let output = args.output.as_ref().unwrap_or(&args.model);
    check_output(output)?;
    let file = ModelFile::open(&args.model)?;
    let (signed, key) =
        keys::sign(&file.bytes, &args.key).with_context(|| args.model.display().to_string())?;
    write_whole(output, &signed)?;
    let key = hex::encode(key);
    if json {
        return print_json(json!({
            "model": output, "sha256": hex::encode(sha256(&signed)), "model_bytes": signed.len(), "key": key,
        }));
    }
    println!("{}: signed by {key}", output.display());
    Ok(())
}

pub(crate) fn verify(args: &VerifyArgs, json: bool) -> Result<()> {
    let name = || args.model.display().to_string();
    let wanted = args.key.as_deref().map(keys::public).transpose()?;
    let file = ModelFile::open(&args.model)?;
    let signer = match (keys::verify(&file.bytes).with_context(name)?, wanted) {
        (Signed::No, Some(_)) => bail!(
            "{}: this file is not signed; sign it with `ocellus sign`",
            name()
        ),
        (Signed::By(key), Some(wanted)) if key != wanted => bail!(
            "{}: this file is signed by another key, {}; use the public key of its signer, or sign it again",
            name(),
            hex::encode(key)
        ),
        (Signed::No, None) => None,
        (Signed::By(key), _) => Some(hex::encode(key)),
    };
    if json {
        return print_json(json!({
            "model": args.model, "sha256": hex::encode(sha256(&file.bytes)), "signed": signer.is_some(), "key": signer, "trusted": wanted.is_some(),
        }));
    }
    match (signer, wanted) {
        (Some(key), Some(_)) => println!("{}: whole, and signed by {key}", name()),
        (Some(key), None) => println!(
            "{}: whole, and signed by {key}; --key proves whose that is",
            name()
        ),
        (None, _) => println!("{}: whole, and not signed", name()),
    }
    Ok(())
}
