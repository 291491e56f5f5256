//! Kernels of [`Isa::Avx2`] and [`Isa::Avx512Vnni`].

use ocellus_format::Isa;

use super::{Choice, Operator};

/// The x86-64 kernel of an operator, where there is one for these parameters.
pub(super) fn choice(isa: Isa, operator: Operator<'_>) -> Option<Choice> {
    let _ = (isa, operator);
    None
}
