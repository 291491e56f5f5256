use ocellus_format::ops::{
    Conv2d, Conv2dAdd, DepthwiseConv2d, FullyConnected, TransposeConv2d, WIDE_CHANNELS_INPUT,
};
use ocellus_kernels::{Conv2dAddIo, ConvIo, Kernels, WideIo, reference};

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

/// Runs the kernel of a layer, and `wide` on its channels of wide weights, where it has some.
fn layer(
    call: Call<'_>,
    kernel: impl FnOnce(ConvIo<'_>),
    wide: impl FnOnce(WideIo<'_>),
) -> Option<()> {
    let channels = call.constant(WIDE_CHANNELS_INPUT);
    let wide_weights = call.constant(WIDE_CHANNELS_INPUT + 1);
    let io = conv_io(call)?;
    kernel(ConvIo {
        y: &mut *io.y,
        scratch: &mut *io.scratch,
        ..io
    });
    if let (Some(channels), Some(weights)) = (channels, wide_weights) {
        wide(WideIo {
            x: io.x,
            channels,
            weights,
            bias: io.bias,
            multipliers: io.multipliers,
            shifts: io.shifts,
            y: io.y,
        });
    }
    Some(())
}

impl Run for Conv2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let kernel = |io: ConvIo<'_>| kernels.conv_2d_s8(self, io);
        layer(call, kernel, |io| reference::conv_2d_wide_s8(self, io))
    }
}

impl Run for Conv2dAdd {
    fn run<K: Kernels>(&self, kernels: K, mut call: Call<'_>) -> Option<()> {
        let first = Conv2dAdd::FIRST_INPUTS;
        let (x, weights) = (call.input(first)?, call.input(first + 1)?);
        let bias = call.constant(first + 2)?;
        let (multipliers, shifts) = (call.constant(first + 3)?, call.constant(first + 4)?);
        let scratch = core::mem::take(&mut call.scratch);
        kernels.conv_2d_add_s8(
            self,
            Conv2dAddIo {
                a_y: call.in_out()?,
                x,
                weights,
                bias,
                multipliers,
                shifts,
                scratch,
            },
        );
        Some(())
    }
}

impl Run for DepthwiseConv2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let kernel = |io: ConvIo<'_>| kernels.depthwise_conv_2d_s8(self, io);
        layer(call, kernel, |io| {
            reference::depthwise_conv_2d_wide_s8(self, io)
        })
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
        let kernel = |io: ConvIo<'_>| kernels.fully_connected_s8(self, io);
        layer(call, kernel, |io| {
            reference::fully_connected_wide_s8(self, io)
        })
    }
}
