//! Accuracy, agreement and per-layer error.
