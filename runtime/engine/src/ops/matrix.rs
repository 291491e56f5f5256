use ocellus_format::ops::{BatchMatMul, LayerNorm};
use ocellus_kernels::{BatchMatMulIo, Kernels, LayerNormIo};

use super::Run;
use crate::call::Call;

impl Run for BatchMatMul {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let io = BatchMatMulIo {
            a: call.input(0)?,
            b: call.input(1)?,
            y: call.output,
        };
        kernels.batch_mat_mul_s8(self, io);
        Some(())
    }
}

impl Run for LayerNorm {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let io = LayerNormIo {
            x: call.input(0)?,
            multipliers: call.constant(1)?,
            shifts: call.constant(2)?,
            offsets: call.constant(3)?,
            y: call.output,
        };
        kernels.layer_norm_s8(self, io);
        Some(())
    }
}
