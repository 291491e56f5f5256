use ocellus_format::ops::{ArgMax, GatherElements, Take, TopK};
use ocellus_kernels::{ArgMaxIo, Kernels, TakeIo};

use super::Run;
use crate::call::Call;

impl Run for ArgMax {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let x = call.input(0)?;
        let y = call.indices_out(self.index)?;
        kernels.arg_max_s8(self, ArgMaxIo { x, y });
        Some(())
    }
}

impl Run for TopK {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let x = call.input(0)?;
        let y = call.indices_out(self.index)?;
        kernels.top_k_s8(self, ArgMaxIo { x, y });
        Some(())
    }
}

impl Run for Take {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let io = TakeIo {
            x: call.input(0)?,
            indices: call.indices(1, self.index)?,
            y: call.output,
        };
        kernels.take_s8(self, io);
        Some(())
    }
}

impl Run for GatherElements {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        let io = TakeIo {
            x: call.input(0)?,
            indices: call.indices(1, self.index)?,
            y: call.output,
        };
        kernels.gather_elements_s8(self, io);
        Some(())
    }
}
