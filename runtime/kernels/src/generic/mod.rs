//! Algorithms that several instruction sets share, each written portably beside the instructions that carry it out.

mod requantize;

pub use requantize::{
    SMMLA_SHIFTS, SQDMULH_SHIFT_MIN, requantize_smmla, requantize_sqdmulh, smmla_constant,
};
