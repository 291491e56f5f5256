//! Sets `cfg(ocellus_isa)`: which vector instructions an M-profile chip has. Stable Rust shows no `cfg(target_feature)` for them, and
//! chips with and without Helium share a target triple, so the build's `target-cpu` decides.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo:rustc-check-cfg=cfg(ocellus_isa, values(\"cortex_m_dsp\", \"helium\"))");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if let Some(isa) = isa(&target, target_cpu(&flags)) {
        println!("cargo:rustc-cfg=ocellus_isa=\"{isa}\"");
    }
}

/// The last `-C target-cpu=NAME`, in either spelling.
fn target_cpu(encoded_flags: &str) -> Option<&str> {
    encoded_flags
        .split('\x1f')
        .filter_map(|flag| {
            flag.strip_prefix("-C")
                .unwrap_or(flag)
                .trim_start()
                .strip_prefix("target-cpu=")
        })
        .next_back()
}

fn isa(target: &str, cpu: Option<&str>) -> Option<&'static str> {
    if !target.starts_with("thumb") {
        return None;
    }
    match cpu {
        Some("cortex-m52" | "cortex-m55" | "cortex-m85") => Some("helium"),
        Some("cortex-m4" | "cortex-m7" | "cortex-m33" | "cortex-m35p") => Some("cortex_m_dsp"),
        // Every Armv7E-M has the DSP extension; in Armv8-M it is an option, so without a name nothing is assumed.
        None if target.starts_with("thumbv7em") => Some("cortex_m_dsp"),
        _ => None,
    }
}
