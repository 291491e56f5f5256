use serde::{Deserialize, Serialize};

use super::{OpCode, OpError, Operands, Params};
use crate::DType;

/// `y = table[x + 128]`: any function of one value, changes of scale included.
///
/// Inputs: `x` `s8[len]`, table `s8[256]`. Output: `y` `s8[len]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Values.
    pub len: u32,
}

impl Params<'_> for Lookup {
    const CODE: OpCode = OpCode::Lookup;

    fn check(&self, operands: &Operands<'_>) -> Result<(), OpError> {
        operands.expect_counts(2, 1)?;
        operands.expect_input(0, DType::S8, u64::from(self.len))?;
        operands.expect_constant(1, DType::S8, 256)?;
        operands.expect_output(0, DType::S8, u64::from(self.len))
    }
}
