//! Model files into the converter's graph.
