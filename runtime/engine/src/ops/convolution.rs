use ocellus_format::ops::{Conv2d, DepthwiseConv2d, FullyConnected, TransposeConv2d};
use ocellus_kernels::{ConvIo, Kernels};

use super::Run;
use crate::call::Call;

fn conv_io(call: Call<'_>) -> Option<ConvIo<'_>> {
    Some(ConvIo {
        x: call.input(0)?,
        weights: call.input(1)?,
        bias: call.constant(2)?,
        multipliers: call.constant(3)?,
        shifts: call.constant(4)?,
        y: call.output,
        scratch: call.scratch,
    })
}

impl Run for Conv2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.conv_2d_s8(self, conv_io(call)?);
        Some(())
    }
}

impl Run for DepthwiseConv2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.depthwise_conv_2d_s8(self, conv_io(call)?);
        Some(())
    }
}

impl Run for TransposeConv2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.transpose_conv_2d_s8(self, conv_io(call)?);
        Some(())
    }
}

impl Run for FullyConnected {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.fully_connected_s8(self, conv_io(call)?);
        Some(())
    }
}
