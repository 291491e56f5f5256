//! Algorithms that several instruction sets share, each written portably beside the instructions that carry it out.

#[cfg(any(
    ocellus_isa = "cortex_m_dsp",
    ocellus_isa = "helium",
    target_arch = "x86_64",
    target_arch = "aarch64"
))]
mod binary_rows;
mod requantize;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod resize_bilinear;

#[cfg(any(
    ocellus_isa = "cortex_m_dsp",
    ocellus_isa = "helium",
    target_arch = "x86_64",
    target_arch = "aarch64"
))]
pub(crate) use binary_rows::RowsOf;
pub use requantize::{
    SMMLA_SHIFTS, SQDMULH_SHIFT_MIN, requantize_smmla, requantize_sqdmulh, smmla_constant,
};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use resize_bilinear::resize_bilinear;
