//! Every kernel against the reference, on every instruction set.
