//! Keys, signatures, and boards that run signed models only.

use std::path::Path;

use ocellus_format::{AlignedBytes, ModelView, seal};

use crate::workspace::{Workspace, paragraph};

/// `model.oce`, and `mine` and `other`, pairs of keys.
fn with_keys() -> Workspace {
    let w = Workspace::converted();
    for name in ["mine", "other"] {
        w.succeed(&["keygen", "-o", name]);
    }
    w
}

/// A file with one bit of its weights changed, and the digest made right again.
fn changed(file: &[u8]) -> Vec<u8> {
    let mut bad = file.to_vec();
    let aligned = AlignedBytes::from(file);
    let weights = ModelView::new_checked(&aligned).unwrap().weights();
    bad[weights.as_ptr().addr() - aligned.as_ptr().addr()] ^= 1;
    seal(&mut bad);
    bad
}

#[test]
fn a_signature_changes_nothing_that_it_covers() {
    let w = with_keys();
    let plain = w.read("model.oce");
    let value = w.json(&["sign", "model.oce", "--key", "mine.pem", "-o", "signed.oce"]);
    let signed = w.read("signed.oce");
    assert_eq!(value["model_bytes"], signed.len());
    // An entry of the section table and a section, both padded to 16 bytes.
    assert!(signed.len() > plain.len() && signed.len() <= plain.len() + 16 + 100 + 15);
    let (a, b) = (
        AlignedBytes::from(&plain[..]),
        AlignedBytes::from(&signed[..]),
    );
    let (a, b) = (
        ModelView::new_checked(&a).unwrap(),
        ModelView::new_checked(&b).unwrap(),
    );
    assert!(a.weights() == b.weights() && a.info_bytes() == b.info_bytes());
    assert_eq!(format!("{:?}", a.program()), format!("{:?}", b.program()));
    w.picture("p.ppm", 3);
    let outputs = |model: &str| w.json(&["run", model, "p.ppm"])["outputs"].clone();
    assert_eq!(outputs("model.oce"), outputs("signed.oce"));

    // The same bytes each time, and another signature takes the place of the first.
    w.succeed(&["sign", "signed.oce", "--key", "other.pem"]);
    assert_eq!(w.read("signed.oce").len(), signed.len());
    assert!(w.read("signed.oce") != signed);
    w.succeed(&["sign", "signed.oce", "--key", "mine.pem"]);
    assert!(w.read("signed.oce") == signed);
}

#[test]
fn verify_tells_who_signed_and_what_was_changed() {
    let w = with_keys();
    let value = w.json(&["verify", "model.oce"]);
    assert_eq!(
        (&value["signed"], &value["key"]),
        (&false.into(), &serde_json::Value::Null)
    );
    w.refused(
        &["verify", "model.oce", "--key", "mine.pub.pem"],
        &["model.oce", "not signed"],
    );
    w.succeed(&["sign", "model.oce", "--key", "mine.pem"]);
    let value = w.json(&["verify", "model.oce", "--key", "mine.pub.pem"]);
    assert_eq!(
        (&value["signed"], &value["trusted"]),
        (&true.into(), &true.into())
    );
    w.refused(
        &["verify", "model.oce", "--key", "other.pub.pem"],
        &["model.oce", "another key"],
    );
    w.refused(
        &["verify", "model.oce", "--key", "mine.pem"],
        &["mine.pem", "public key"],
    );
    w.refused(
        &["sign", "model.oce", "--key", "mine.pub.pem"],
        &["mine.pub.pem", "private key"],
    );
    w.write("changed.oce", &changed(&w.read("model.oce")));
    w.refused(
        &["verify", "changed.oce"],
        &["changed.oce", "changed after signing"],
    );
}

#[test]
fn private_keys_are_private_and_never_overwritten() {
    let w = with_keys();
    let before = w.read("mine.pem");
    w.refused(
        &["keygen", "-o", "mine"],
        &["mine.pem", "never overwritten"],
    );
    std::fs::remove_file(w.path("other.pem")).unwrap();
    w.refused(
        &["keygen", "-o", "other"],
        &["other.pub.pem", "never overwritten"],
    );
    assert!(w.read("mine.pem") == before && before.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    #[cfg(unix)]
    {
        let mode = |name: &str| {
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(w.path(name)).unwrap()) & 0o777
        };
        assert_eq!(mode("mine.pem"), 0o600);
    }
    assert!(Path::new(&w.path("mine.pub.pem")).exists());
}

/// A link that leads nowhere stands for a disk that is full after the first key.
#[cfg(unix)]
#[test]
fn half_a_pair_of_keys_does_not_stay() {
    let w = Workspace::new();
    std::os::unix::fs::symlink("nowhere", w.path("mine.pub.pem")).unwrap();
    w.refused(&["keygen", "-o", "mine"], &["mine.pub.pem"]);
    assert!(!w.path("mine.pem").exists());
    std::fs::remove_file(w.path("mine.pub.pem")).unwrap();
    w.succeed(&["keygen", "-o", "mine"]);
}

#[test]
fn a_board_refuses_what_its_signer_has_not_signed() {
    let w = with_keys();
    let key = ["--require-signature", "mine.pub.pem"];
    let flash = |model: &str| {
        w.run(&[&["flash", model, "--board", "qemu-m4", "--json"][..], &key].concat())
    };
    let refused = |model: &str, words: &[&str]| {
        let said = flash(model);
        assert_eq!(
            (said.output.status.code(), said.stdout.as_str()),
            (Some(1), ""),
            "{}",
            said.stderr
        );
        // Behind the lines on the image that was built.
        let error = said.stderr.lines().find(|line| line.starts_with("error: "));
        paragraph(error.unwrap_or(&said.stderr), words);
    };
    refused(
        "model.oce",
        &["qemu-m4", "refused to load the model", "no signature"],
    );
    w.succeed(&["sign", "model.oce", "--key", "other.pem", "-o", "other.oce"]);
    refused("other.oce", &["qemu-m4", "another key"]);
    w.succeed(&["sign", "model.oce", "--key", "mine.pem", "-o", "signed.oce"]);
    w.write("changed.oce", &changed(&w.read("signed.oce")));
    refused("changed.oce", &["qemu-m4", "changed after signing"]);
    let said = flash("signed.oce");
    assert!(said.output.status.success(), "{}", said.stderr);
    // An image that requires none takes signed and unsigned files.
    w.succeed(&["flash", "signed.oce", "--board", "qemu-m4"]);
}

#[test]
fn a_board_with_an_operating_system_requires_no_signature() {
    let w = with_keys();
    for command in ["build", "bench"] {
        w.refused(
            &[
                command,
                "model.oce",
                "--board",
                "host",
                "--require-signature",
                "mine.pub.pem",
            ],
            &["host", "operating system"],
        );
    }
}
