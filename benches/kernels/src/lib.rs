//! Kernel benchmarks on the PC.
