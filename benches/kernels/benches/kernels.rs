//! Multiply-accumulates a second of each layer on each instruction set.
#![expect(missing_docs, reason = "criterion's macro writes a public function")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ocellus_format::Isa;
use ocellus_kernel_benches::{Run, layers};
use ocellus_kernels::{dispatch, is_available};

fn kernels(c: &mut Criterion) {
    for mut layer in layers() {
        let mut group = c.benchmark_group(layer.name);
        group
            .throughput(Throughput::Elements(layer.macs))
            .sample_size(10)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        for isa in Isa::ALL.into_iter().filter(|&isa| is_available(isa)) {
            group.bench_function(isa.name(), |b| {
                b.iter(|| dispatch(isa, Run(&mut layer)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
