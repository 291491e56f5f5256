use ocellus_format::ops::{AveragePool2d, MaxPool2d};
use ocellus_kernels::{AveragePoolIo, Kernels, UnaryIo};

use super::Run;
use crate::call::Call;

impl Run for MaxPool2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.max_pool_2d_s8(
            self,
            UnaryIo {
                x: call.input(0)?,
                y: call.output,
            },
        );
        Some(())
    }
}

impl Run for AveragePool2d {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let io = AveragePoolIo {
            x: call.input(0)?,
            multipliers: call.constant(1)?,
            shifts: call.constant(2)?,
            y: call.output,
        };
        kernels.average_pool_2d_s8(self, io);
        Some(())
    }
}
