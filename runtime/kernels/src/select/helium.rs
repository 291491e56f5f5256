//! Kernels of [`ocellus_format::Isa::Helium`].

use super::{Choice, Operator};

/// The Helium kernel of an operator, where there is one for these parameters.
pub(super) fn choice(operator: Operator<'_>) -> Option<Choice> {
    let _ = operator;
    None
}
