//! Converts random graphs and prints the SHA-256 of each file: what `tests/target` compares between kinds of processors.
//!
//!     cargo run --release -p ocellus-compile --example conversions -- 20

use std::error::Error;

use ocellus_compile::{Calibration, Method, Options, Sample, compile};
use ocellus_ir::passes::{self, optimize};
use ocellus_ir::random::{Random, random_graph};
use sha2::{Digest, Sha256};

/// Ways to choose ranges, one a graph in turn.
const METHODS: [Method; 3] = [Method::PerTensor, Method::Entropy, Method::LeastError];

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(20), |n| n.parse())?;
    let mut methods = METHODS.into_iter().cycle();
    for seed in 0..count {
        let mut graph = random_graph(seed)?;
        // A device takes one sample at a time.
        if graph.inputs.iter().any(|input| input.shape[0] != 1) {
            continue;
        }
        let method = methods.next().unwrap_or(Method::PerTensor);
        optimize(&mut graph, &passes::Options::default())?;
        let mut random = Random::new(seed);
        let samples = (0..4).map(|_| Sample {
            inputs: (graph.inputs.iter())
                .map(|input| random.values(input.shape.iter().product()))
                .collect(),
            sha256: None,
        });
        let calibration = Calibration::collect(&graph, samples, method, |_| {})?;
        let file = compile(&graph, &calibration, &Options::default(), None)?;
        let hash = Sha256::digest(&file.bytes);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{seed} {method:?} {} bytes {hex}", file.bytes.len());
    }
    Ok(())
}
