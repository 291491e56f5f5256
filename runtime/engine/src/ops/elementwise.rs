use ocellus_format::ops::{Lookup, Prelu, Softmax};
use ocellus_kernels::{Kernels, LookupIo, PreluIo, SoftmaxIo};

use super::Run;
use crate::call::Call;

impl Run for Lookup {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let table = call.constant(1)?;
        kernels.lookup_s8(
            self,
            LookupIo {
                x_y: call.in_out()?,
                table,
            },
        );
        Some(())
    }
}

impl Run for Prelu {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let (multipliers, shifts) = (call.constant(1)?, call.constant(2)?);
        kernels.prelu_s8(
            self,
            PreluIo {
                x_y: call.in_out()?,
                multipliers,
                shifts,
            },
        );
        Some(())
    }
}

impl Run for Softmax {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.softmax_s8(
            self,
            SoftmaxIo {
                x: call.input(0)?,
                table: call.constant(1)?,
                y: call.output,
            },
        );
        Some(())
    }
}
