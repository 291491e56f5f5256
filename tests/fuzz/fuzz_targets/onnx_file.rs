//! Any bytes named as a file of .onnx become a sound graph or an error.
#![no_main]

#[path = "../src/import.rs"]
mod import;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    import::check("fuzzed.onnx", bytes);
});
