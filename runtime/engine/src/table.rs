//! The table of linked operators. An operator that no table names is not in the image.

use ocellus_format::Operator;
use ocellus_format::ops::{OpCode, OpError, Operands, Params};
use ocellus_kernels::Kernels;

use crate::call::Call;
use crate::ops::{self, Run};

/// Why an operator's record is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The attributes do not decode.
    Attributes,
    /// They contradict the tensors.
    Contradiction(OpError),
}

/// One linked operator.
#[derive(Clone, Copy, Debug)]
pub struct OpEntry<K> {
    pub(crate) code: OpCode,
    pub(crate) check: fn(&Operator<'_>, &Operands<'_>) -> Result<(), Refusal>,
    pub(crate) run: fn(K, Call<'_>) -> Option<()>,
}

impl<K: Kernels> OpEntry<K> {
    /// The entry of the operator with parameters `P`.
    pub(crate) const fn of<P: Run>() -> Self {
        OpEntry {
            code: <P as Params<'static>>::CODE,
            check: check::<P>,
            run: run::<K, P>,
        }
    }

    /// What it does.
    pub const fn code(&self) -> OpCode {
        self.code
    }
}

fn check<P: Run>(operator: &Operator<'_>, operands: &Operands<'_>) -> Result<(), Refusal> {
    let params: P = operator.params().ok_or(Refusal::Attributes)?;
    if operator.scratch_bytes < params.scratch_bytes() {
        return Err(Refusal::Contradiction(OpError::Scratch));
    }
    params.check(operands).map_err(Refusal::Contradiction)
}

fn run<K: Kernels, P: Run>(kernels: K, call: Call<'_>) -> Option<()> {
    let params: P = call.operator.params()?;
    params.run(kernels, call)
}

/// The operators that an image holds. [`op_table!`](crate::op_table) makes one.
#[derive(Debug)]
pub struct OpTable<K: 'static> {
    pub(crate) entries: &'static [OpEntry<K>],
}

impl<K> Clone for OpTable<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for OpTable<K> {}

impl<K: Kernels> OpTable<K> {
    /// Every operator.
    pub const ALL: OpTable<K> = OpTable::new(&[
        ops::conv_2d(),
        ops::depthwise_conv_2d(),
        ops::transpose_conv_2d(),
        ops::fully_connected(),
        ops::max_pool_2d(),
        ops::average_pool_2d(),
        ops::add(),
        ops::mul(),
        ops::minimum(),
        ops::maximum(),
        ops::lookup(),
        ops::prelu(),
        ops::softmax(),
        ops::concat(),
        ops::slice(),
        ops::pad(),
        ops::transpose(),
        ops::gather(),
        ops::resize_nearest(),
        ops::resize_bilinear(),
        ops::arg_max(),
        ops::batch_mat_mul(),
        ops::layer_norm(),
        ops::take(),
        ops::gather_elements(),
        ops::top_k(),
        ops::div(),
        ops::conv_2d_add(),
    ]);

    /// A table of these entries.
    pub const fn new(entries: &'static [OpEntry<K>]) -> Self {
        OpTable { entries }
    }

    /// True where the operator is linked.
    pub fn contains(&self, code: OpCode) -> bool {
        self.get(code).is_some()
    }

    pub(crate) fn get(&self, code: OpCode) -> Option<&'static OpEntry<K>> {
        self.entries.iter().find(|entry| entry.code == code)
    }
}

/// An [`OpTable`] of the named operators: `op_table![conv_2d, add, softmax]`. Names are those of [`OpCode::name`].
#[macro_export]
macro_rules! op_table {
    ($($op:ident),* $(,)?) => {
        const { $crate::OpTable::new(const { &[$($crate::ops::$op()),*] }) }
    };
}

#[cfg(test)]
mod tests {
    use ocellus_kernels::Reference;

    use super::*;

    #[test]
    fn all_holds_every_operator_in_order() {
        let codes = OpTable::<Reference>::ALL.entries.iter().map(OpEntry::code);
        assert!(codes.eq(OpCode::ALL));
    }

    #[test]
    fn a_table_holds_what_is_named() {
        let table: OpTable<Reference> = op_table![conv_2d, softmax];
        assert!(table.contains(OpCode::Conv2d) && table.contains(OpCode::Softmax));
        assert!(!table.contains(OpCode::Add));
    }
}
