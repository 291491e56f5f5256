//! Whole models end to end.
