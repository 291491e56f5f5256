//! Whole models: from a graph or an ONNX file to the same bytes on every board.

mod accuracy;
mod channels;
mod counting;
mod fleet;
mod graphs;
mod identity;
mod memories;
mod models;
mod sizes;
