//! `ocellus bench`: one inference on a board, per layer and in all.

use std::time::Instant;

use anyhow::{Context, Result};
use ocellus::format::ops::OpCode;
use ocellus::{Engine, Hook, Model, OpTable, Written};
use ocellus_board_host::{Answer, Job, Step, Variant};
use ocellus_cycles::report::{Counts, Kind, Report};
use ocellus_format::{AlignedBytes, Isa};
use ocellus_kernels::{Kernels, WithKernels, best, dispatch};
use ocellus_setup::{Host, Terminal, cycles_plugin};
use serde_json::{Value, json};

use crate::args::BenchArgs;
use crate::board::{self, Ready, Wanted, converse, isa_in};
use crate::commands::against::{self, Against};
use crate::commands::convert::isa_named;
use crate::commands::flash::memory;
use crate::keys;
use crate::layers::{Layer, layers, simd_share};
use crate::output::{grouped, print_json, table};
use crate::source::ModelFile;

/// Runs on the PC; the median is reported.
const HOST_RUNS: usize = 21;

/// Everything that a bench says; `None` where it is not known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bench {
    pub(crate) board: String,
    pub(crate) isa: String,
    pub(crate) macs: u64,
    pub(crate) macs_on_simd_share: f64,
    pub(crate) instructions: Option<u64>,
    pub(crate) estimated_cycles: Option<u64>,
    pub(crate) wall_us: Option<f64>,
    pub(crate) load_instructions: Option<u64>,
    pub(crate) verify_instructions: Option<u64>,
    pub(crate) arena_bytes: u64,
    pub(crate) model_bytes: u64,
    pub(crate) code_bytes: Option<u64>,
    pub(crate) ram_bytes: Option<u64>,
    pub(crate) stack_bytes: Option<u64>,
    pub(crate) layers: Vec<(Layer, Cost)>,
}

/// Cost of one layer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) instructions: Option<u64>,
    pub(crate) estimated_cycles: Option<u64>,
    pub(crate) wall_us: Option<f64>,
}

pub(crate) fn run(args: &BenchArgs, json: bool) -> Result<()> {
    let before = args.against.as_deref().map(against::read).transpose()?;
    let file = ModelFile::open(&args.model)?;
    let signer = args.require_signature.as_deref().map(keys::public);
    let bench = measure(board::find(&args.board)?, &file, signer.transpose()?)?;
    let mut now = bench.to_json(&args.model.display().to_string());
    let against = args.against.as_deref().zip(before.as_ref());
    let against = against.map(|(path, before)| Against::new(path, before, &now));
    if json {
        now["against"] = against.map_or(Value::Null, |against| against.to_json());
        return print_json(now);
    }
    bench.print();
    if let Some(against) = against {
        against.print(&bench.board);
    }
    Ok(())
}

/// One inference on a board that can be started: an emulated one, or this machine.
pub(crate) fn measure(
    board: ocellus_board_file::Board,
    file: &ModelFile,
    signer: Option<[u8; 32]>,
) -> Result<Bench> {
    board::check_startable(&board)?;
    if board.emulator.is_some() {
        on_emulator(board, file, signer)
    } else {
        if let Some(signer) = &signer {
            // Says that this is for boards without operating system.
            board::prepare_signed(board.clone(), file, Wanted::RUN, signer)?;
        }
        on_this_machine(&board.name, file)
    }
}

impl Bench {
    fn to_json(&self, model: &str) -> Value {
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(layer, cost)| {
                json!({
                    "name": layer.name, "op": layer.op, "kernel": layer.kernel, "macs": layer.macs,
                    "instructions": cost.instructions, "estimated_cycles": cost.estimated_cycles, "wall_us": cost.wall_us,
                })
            })
            .collect();
        json!({
            "model": model, "board": self.board, "isa": self.isa, "macs": self.macs, "macs_on_simd_share": self.macs_on_simd_share,
            "instructions": self.instructions, "estimated_cycles": self.estimated_cycles, "wall_us": self.wall_us,
            "load_instructions": self.load_instructions, "verify_instructions": self.verify_instructions,
            "arena_bytes": self.arena_bytes, "model_bytes": self.model_bytes, "code_bytes": self.code_bytes,
            "image_bytes": self.code_bytes.map(|code| code + self.model_bytes), "ram_bytes": self.ram_bytes,
            "stack_bytes": self.stack_bytes, "layers": layers,
        })
    }

    fn print(&self) {
        let count = |value: Option<u64>| value.map_or("-".to_owned(), grouped);
        let time = |value: Option<f64>| value.map_or("-".to_owned(), |us| format!("{us:.1}"));
        let rows: Vec<Vec<String>> = self
            .layers
            .iter()
            .map(|(layer, cost)| {
                let per_mac = match (cost.instructions, layer.macs) {
                    (Some(instructions), 1..) => {
                        format!("{:.2}", instructions as f64 / layer.macs as f64)
                    }
                    _ => "-".to_owned(),
                };
                vec![
                    layer.name.clone(),
                    layer.kernel.clone(),
                    grouped(layer.macs),
                    count(cost.instructions),
                    per_mac,
                    count(cost.estimated_cycles),
                    time(cost.wall_us),
                ]
            })
            .collect();
        let header = [
            "layer",
            "kernel",
            "macs",
            "instructions",
            "a mac",
            "est. cycles",
            "us",
        ];
        print!("{}", table(&header, &rows));
        println!();
        println!("board {}, instruction set {}", self.board, self.isa);
        println!(
            "multiply-accumulates  {} ({:.1} % on SIMD kernels)",
            grouped(self.macs),
            100.0 * self.macs_on_simd_share
        );
        println!("instructions          {}", count(self.instructions));
        println!("estimated cycles      {}", count(self.estimated_cycles));
        println!("time, us              {}", time(self.wall_us));
        println!(
            "load / verify         {} / {} instructions",
            count(self.load_instructions),
            count(self.verify_instructions)
        );
        println!("arena                 {} bytes", grouped(self.arena_bytes));
        println!(
            "model / code          {} / {} bytes",
            grouped(self.model_bytes),
            count(self.code_bytes)
        );
        println!(
            "RAM / stack           {} / {} bytes",
            count(self.ram_bytes),
            count(self.stack_bytes)
        );
    }
}

/// Inputs that are neither constant nor random: the same on every machine.
fn pattern(len: usize) -> Vec<i8> {
    (0..len)
        .map(|index| (index.wrapping_mul(37) >> 1) as i8)
        .collect()
}

fn on_emulator(
    board: ocellus_board_file::Board,
    file: &ModelFile,
    signer: Option<[u8; 32]>,
) -> Result<Bench> {
    board::check_sizes(&board, file)?;
    let plain = match &signer {
        Some(signer) => board::prepare_signed(board.clone(), file, Wanted::RUN, signer)?,
        None => board::prepare(board.clone(), file, Wanted::RUN, Variant::Plain)?,
    };
    let (answers, totals) = counted(&plain, file)?;
    let profile = board::prepare(board, file, Wanted::RUN, Variant::Profile)?;
    let (_, per_layer) = counted(&profile, file)?;
    let memory = memory(&answers).context("the board did not say what memory it uses")?;
    let isa = isa_in(&answers).context("the board did not say its instruction set")?;
    let layers = layers(file, isa_named(&isa)?)?;
    let of = |report: &Report, kind: Kind| report.of(kind).next().map(|bracket| bracket.counts);
    let total = of(&totals, Kind::Inference)
        .context("the counter found no inference between the markers")?;
    let costs: Vec<Counts> = per_layer
        .of(Kind::Inference)
        .next()
        .map(|bracket| bracket.layers.clone())
        .unwrap_or_default();
    anyhow::ensure!(
        costs.len() == layers.len(),
        "the counter found {} layers and the model has {}",
        costs.len(),
        layers.len()
    );
    let statics = memory.statics_bytes.map(u64::from);
    let stack = memory.stack_used_bytes.map(u64::from);
    Ok(Bench {
        board: plain.board.name.clone(),
        isa,
        macs: file.view()?.program().macs,
        macs_on_simd_share: simd_share(&layers),
        instructions: Some(total.instructions),
        estimated_cycles: total.best_estimate(),
        wall_us: None,
        load_instructions: of(&totals, Kind::Load).map(|counts| counts.instructions),
        verify_instructions: of(&totals, Kind::Verify).map(|counts| counts.instructions),
        arena_bytes: u64::from(memory.arena_bytes),
        model_bytes: file.bytes.len() as u64,
        code_bytes: plain
            .image
            .as_ref()
            .filter(|_| plain.board.is_bare_metal())
            .map(|image| image.code_bytes),
        ram_bytes: statics
            .zip(stack)
            .map(|(statics, stack)| statics + stack + u64::from(memory.arena_bytes)),
        stack_bytes: stack,
        layers: layers
            .into_iter()
            .zip(costs)
            .map(|(layer, counts)| {
                let cost = Cost {
                    instructions: Some(counts.instructions),
                    estimated_cycles: counts.best_estimate(),
                    wall_us: None,
                };
                (layer, cost)
            })
            .collect(),
    })
}

/// One inference under the counting plugin.
pub(crate) fn counted(ready: &Ready, file: &ModelFile) -> Result<(Vec<Answer>, Report)> {
    let folder = Host::here()?.target.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{}-{}.json", ready.board.name, std::process::id()));
    let mut job = Job::new(file.bytes.to_vec());
    job.plugin = Some(plugin_option(&ready.host, &path)?);
    job.steps = vec![Step::Hello, Step::Verify, Step::Load];
    let view = file.view()?;
    for (index, tensor) in view.program().inputs.iter().enumerate() {
        let len = view
            .tensor(tensor)
            .map_or(0, |info| info.len_bytes as usize);
        job.steps.push(Step::Input {
            index: index as u8,
            data: pattern(len).into_iter().map(|v| v as u8).collect(),
        });
    }
    job.steps
        .extend([Step::Infer { progress: false }, Step::Memory]);
    let answers = converse(ready, &job)?;
    let report = Report::read(&path);
    let _ = std::fs::remove_file(&path);
    Ok((answers, report?))
}

/// The emulator's `-plugin` option for a count that is written to `path`.
pub(crate) fn plugin_option(host: &Host, path: &std::path::Path) -> Result<String> {
    let plugin = cycles_plugin(host, &Terminal::new())?;
    ocellus_cycles::plugin_argument(&plugin, path).with_context(|| {
        format!(
            "{}: the emulator cannot take a path with a comma",
            path.display()
        )
    })
}

/// Time of each operator.
struct Watch {
    last: Instant,
    times_us: Vec<f64>,
}

impl Hook for Watch {
    fn before(&mut self, _index: u16, _code: OpCode) {
        self.last = Instant::now();
    }

    fn after(&mut self, _index: u16, _code: OpCode, _written: Written<'_>) {
        self.times_us.push(self.last.elapsed().as_secs_f64() * 1e6);
    }
}

fn on_this_machine(name: &str, file: &ModelFile) -> Result<Bench> {
    struct Work<'a>(&'a ModelFile);
    impl WithKernels for Work<'_> {
        type Output = Result<(Vec<f64>, Vec<f64>)>;
        fn run<K: Kernels>(self, kernels: K) -> Self::Output {
            let model = Model::load(&self.0.bytes, &OpTable::<K>::ALL)
                .map_err(|e| anyhow::anyhow!("{e}"))?;
            let mut arena = AlignedBytes::from(vec![0; model.arena_bytes()].as_slice());
            let mut engine =
                Engine::new(model, kernels, &mut arena).map_err(|e| anyhow::anyhow!("{e}"))?;
            let mut totals = Vec::new();
            let mut layers: Vec<Vec<f64>> = Vec::new();
            for _ in 0..HOST_RUNS {
                fill(&mut engine);
                let start = Instant::now();
                engine.run(&mut ()).map_err(|e| anyhow::anyhow!("{e}"))?;
                totals.push(start.elapsed().as_secs_f64() * 1e6);
                fill(&mut engine);
                let mut watch = Watch {
                    last: Instant::now(),
                    times_us: Vec::new(),
                };
                engine.run(&mut watch).map_err(|e| anyhow::anyhow!("{e}"))?;
                layers.resize(watch.times_us.len(), Vec::new());
                for (layer, time) in layers.iter_mut().zip(watch.times_us) {
                    layer.push(time);
                }
            }
            Ok((totals, layers.into_iter().map(median).collect()))
        }
    }
    fn fill<K: Kernels>(engine: &mut Engine<'_, '_, K>) {
        let mut position = 0;
        while let Some(input) = engine.input(position) {
            let len = input.values.len();
            input.values.copy_from_slice(&pattern(len));
            position += 1;
        }
    }
    let isa: Isa = best();
    let (totals, times) =
        dispatch(isa, Work(file)).context("the best instruction set is one that is here")??;
    let layers = layers(file, isa)?;
    let view = file.view()?;
    let program = view.program();
    Ok(Bench {
        board: name.to_owned(),
        isa: isa.name().to_owned(),
        macs: program.macs,
        macs_on_simd_share: simd_share(&layers),
        wall_us: Some(median(totals)),
        arena_bytes: u64::from(program.arena_bytes),
        model_bytes: file.bytes.len() as u64,
        layers: layers
            .into_iter()
            .zip(times)
            .map(|(layer, us)| {
                (
                    layer,
                    Cost {
                        wall_us: Some(us),
                        ..Cost::default()
                    },
                )
            })
            .collect(),
        ..Bench::default()
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
