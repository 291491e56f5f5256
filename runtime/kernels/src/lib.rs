//! Integer kernels: the reference, and one implementation for each instruction set.
