use ocellus_format::ops::{Concat, Gather, Pad, Slice, Transpose};
use ocellus_kernels::{IndexedIo, Kernels, UnaryIo};

use super::Run;
use crate::call::Call;

impl Run for Concat {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let outer = self.outer as usize;
        let total = call.output.len().checked_div(outer)?;
        let mut column = 0;
        for position in 0..call.operator.inputs.len() {
            let x = call.input(position)?;
            kernels.concat_s8(
                self,
                column,
                total,
                UnaryIo {
                    x,
                    y: &mut *call.output,
                },
            );
            column += x.len().checked_div(outer)?;
        }
        Some(())
    }
}

impl Run for Slice {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.slice_s8(
            self,
            UnaryIo {
                x: call.input(0)?,
                y: call.output,
            },
        );
        Some(())
    }
}

impl Run for Pad {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.pad_s8(
            self,
            UnaryIo {
                x: call.input(0)?,
                y: call.output,
            },
        );
        Some(())
    }
}

impl Run for Transpose {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.transpose_s8(
            self,
            UnaryIo {
                x: call.input(0)?,
                y: call.output,
            },
        );
        Some(())
    }
}

impl Run for Gather {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let io = IndexedIo {
            x: call.input(0)?,
            rows: call.constant(1)?,
            columns: &[],
            y: call.output,
        };
        kernels.gather_s8(self, io);
        Some(())
    }
}
