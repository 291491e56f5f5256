//! The definition of every operator: plain loops, safe, on any machine. `docs/numerics.md`, rule 4.
//!
//! Reads outside a slice give 0 and writes outside one are dropped, so that no operands, however wrong, cause a panic.

mod access;
mod add;
mod average_pool_2d;
mod binary;
mod concat;
mod conv_2d;
mod depthwise_conv_2d;
mod fully_connected;
mod gather;
mod lookup;
mod max_pool_2d;
mod maximum;
mod minimum;
mod mul;
mod pad;
mod prelu;
mod requantize;
mod resize_bilinear;
mod resize_nearest;
mod slice;
mod softmax;
mod transpose;
mod transpose_conv_2d;
mod wide;

pub use add::add_s8;
pub use average_pool_2d::average_pool_2d_s8;
pub use concat::concat_s8;
pub use conv_2d::conv_2d_s8;
pub use depthwise_conv_2d::depthwise_conv_2d_s8;
pub use fully_connected::fully_connected_s8;
pub use gather::gather_s8;
pub use lookup::lookup_s8;
pub use max_pool_2d::max_pool_2d_s8;
pub use maximum::maximum_s8;
pub use minimum::minimum_s8;
pub use mul::mul_s8;
pub use pad::pad_s8;
pub use prelu::prelu_s8;
pub use requantize::requantize;
pub use resize_bilinear::resize_bilinear_s8;
pub use resize_nearest::resize_nearest_s8;
pub use slice::slice_s8;
pub use softmax::softmax_s8;
pub use transpose::transpose_s8;
pub use transpose_conv_2d::transpose_conv_2d_s8;
pub use wide::{conv_2d_wide_s8, depthwise_conv_2d_wide_s8, fully_connected_wide_s8};
