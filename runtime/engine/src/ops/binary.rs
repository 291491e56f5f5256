use ocellus_format::ops::{Add, Div, Maximum, Minimum, Mul};
use ocellus_kernels::{BinaryIo, Kernels};

use super::Run;
use crate::call::Call;

fn binary_io(call: Call<'_>) -> Option<BinaryIo<'_>> {
    let b = call.input(1)?;
    Some(BinaryIo {
        a_y: call.in_out()?,
        b,
    })
}

impl Run for Add {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.add_s8(self, binary_io(call)?);
        Some(())
    }
}

impl Run for Mul {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.mul_s8(self, binary_io(call)?);
        Some(())
    }
}

impl Run for Minimum {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.minimum_s8(self, binary_io(call)?);
        Some(())
    }
}

impl Run for Maximum {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.maximum_s8(self, binary_io(call)?);
        Some(())
    }
}

impl Run for Div {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.div_s8(self, binary_io(call)?);
        Some(())
    }
}
