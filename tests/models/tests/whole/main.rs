//! Whole models: from a graph, an ONNX or a TensorFlow Lite file to the same bytes on every board.

mod accuracy;
mod channels;
mod closeness;
mod counting;
mod fleet;
mod graphs;
mod identity;
mod memories;
mod models;
mod sizes;
