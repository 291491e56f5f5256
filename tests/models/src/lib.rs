//! Whole models end to end. Everything is in `tests/whole`: one executable, since each would link the importer again.
#![forbid(unsafe_code)]
