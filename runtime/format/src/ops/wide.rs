use super::{OpError, Operands};
use crate::DType;

/// Position of the list of wide channels among the inputs of a layer, where it has one; their weights are behind it.
pub const WIDE_CHANNELS_INPUT: usize = 5;

/// Proves the count of a layer's operands, and of those that only a layer with wide channels has: the numbers of output channels whose
/// weights do not fit `s8` (`u16[n]`, ascending), and these channels' weights (`s16[n, taps]`). What the layer's own weights say of them does
/// not count.
///
/// # Errors
/// [`OpError::OperandCount`], [`OpError::Input`]
pub(super) fn expect_layer(operands: &Operands<'_>, out_c: u64, taps: u64) -> Result<(), OpError> {
    if operands.expect_counts(WIDE_CHANNELS_INPUT, 1).is_ok() {
        return Ok(());
    }
    operands.expect_counts(WIDE_CHANNELS_INPUT + 2, 1)?;
    let count = operands
        .inputs
        .get(WIDE_CHANNELS_INPUT)
        .map_or(0, |list| u64::from(list.len));
    if count == 0 || count > out_c {
        return Err(OpError::Input {
            index: WIDE_CHANNELS_INPUT as u8,
        });
    }
    operands.expect_constant(WIDE_CHANNELS_INPUT, DType::U16, count)?;
    operands.expect_constant(WIDE_CHANNELS_INPUT + 1, DType::S16, count * taps)
}
