use ocellus_format::ops::{ResizeBilinear, ResizeNearest};
use ocellus_kernels::{IndexedIo, Kernels};

use super::Run;
use crate::call::Call;

fn resize_io(call: Call<'_>) -> Option<IndexedIo<'_>> {
    Some(IndexedIo {
        x: call.input(0)?,
        rows: call.constant(1)?,
        columns: call.constant(2)?,
        y: call.output,
    })
}

impl Run for ResizeNearest {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.resize_nearest_s8(self, resize_io(call)?);
        Some(())
    }
}

impl Run for ResizeBilinear {
    fn run<K: Kernels>(&self, kernels: K, call: Call<'_>) -> Option<()> {
        kernels.resize_bilinear_s8(self, resize_io(call)?);
        Some(())
    }
}
