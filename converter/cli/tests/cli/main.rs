//! The real program, as a user starts it: what it refuses and how it says so, what `--json` holds, what files it leaves.

mod bad_boards;
mod bad_calibration;
mod bad_files;
mod bad_inputs;
mod bad_models;
mod command_line;
mod conversion;
mod cuts;
mod json;
mod onnx;
mod planted;
mod report;
mod signatures;
mod tasks;
mod tflite;
mod workspace;
