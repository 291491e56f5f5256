//! Test cases shared by conformance tests, benches and boards.
//!
//! A case is an operator and a seed: both fix the parameters and every operand, on any machine. [`run_case`] runs it with the reference and
//! with the kernels under test, and compares all bytes. The generator likes trouble; what kind, each operator's file says.
//!
//! Nothing is allocated: the caller hands over [`MEMORY_BYTES`].
#![no_std]

mod binary;
mod compare;
mod computed;
mod convolution;
mod draw;
mod elementwise;
mod indexed;
mod matrix;
mod memory;
mod movement;
mod pool;
mod report;
mod rng;
mod wide;

pub use compare::{Checked, Fault};
pub use report::{Failure, OperatorReport, Report};

use core::fmt;

use ocellus_format::{Isa, ops::OpCode};
use ocellus_kernels::{
    Kernels,
    select::{Choice, Select},
};

use memory::Memory;
use rng::Rng;

/// Memory that every case fits in, with as much scratch as [`SCRATCH_BYTES`].
pub const MEMORY_BYTES: usize = 96 * 1024 + SCRATCH_BYTES;

/// More scratch than a kernel of any instruction set wants for a case.
pub const SCRATCH_BYTES: usize = 64 * 1024;

/// Cases of each operator that [`DIGEST`] is of.
pub const DIGEST_COUNT: u64 = 50;

/// What [`Report::digest`] is after [`DIGEST_COUNT`] cases of every operator, on every machine: it shows a reference that was compiled wrongly.
/// It changes with the generator only.
pub const DIGEST: u64 = 5_321_249_573_577_820_562;

/// Cases of an operator.
trait Case {
    /// The operator's parameters.
    type Params: fmt::Debug + Select;

    /// Draws the parameters.
    fn draw(rng: &mut Rng) -> Self::Params;

    /// Draws the operands, runs reference and kernel under test, compares.
    fn check<K: Kernels>(
        k: K,
        p: &Self::Params,
        rng: &mut Rng,
        memory: &mut Memory<'_>,
    ) -> Result<Checked, Fault>;
}

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The kernel under test gave the reference's bytes and touched nothing else.
    Equal(Checked),
    /// As [`Outcome::Equal`], but the kernel under test is the reference's: proves nothing about the instruction set.
    DefaultMethod(Checked),
    /// It did not.
    Failed(Fault),
    /// There are no cases of this operator.
    NoCases,
}

/// Runs one case with the kernels under test, against the reference.
pub fn run_case<K: Kernels>(k: K, op: OpCode, seed: u64, memory: &mut [u8]) -> Outcome {
    let mut run = Run { k, seed, memory };
    for_operator(op, &mut run).unwrap_or(Outcome::NoCases)
}

/// Runs `count` cases of every operator, seeds `0..count`, and adds what became of them to the report.
pub fn run_all<K: Kernels>(k: K, memory: &mut [u8], count: u64, report: &mut Report) {
    for op in OpCode::ALL {
        for seed in 0..count {
            let outcome = run_case(k, op, seed, memory);
            report.add(op, seed, outcome);
        }
    }
}

/// Writes a case's parameters.
///
/// # Errors
/// Those of the writer.
pub fn describe(op: OpCode, seed: u64, to: &mut dyn fmt::Write) -> fmt::Result {
    write!(to, "{} seed {seed}: ", op.name())?;
    for_operator(op, &mut Describe { seed, to }).unwrap_or(Ok(()))
}

/// What [`select`](ocellus_kernels::select) says of a case on an instruction set, which need not be this machine's.
pub fn choice(isa: Isa, op: OpCode, seed: u64) -> Option<Choice> {
    for_operator(op, &mut Ask { isa, seed })
}

/// Something to do with an operator's cases.
trait Visitor {
    type Output;
    fn visit<C: Case>(&mut self) -> Self::Output;
}

/// The table of cases: one row an operator.
fn for_operator<V: Visitor>(op: OpCode, visitor: &mut V) -> Option<V::Output> {
    Some(match op {
        OpCode::Conv2d => visitor.visit::<convolution::Conv2d>(),
        OpCode::DepthwiseConv2d => visitor.visit::<convolution::DepthwiseConv2d>(),
        OpCode::TransposeConv2d => visitor.visit::<convolution::TransposeConv2d>(),
        OpCode::FullyConnected => visitor.visit::<convolution::FullyConnected>(),
        OpCode::MaxPool2d => visitor.visit::<pool::MaxPool2d>(),
        OpCode::AveragePool2d => visitor.visit::<pool::AveragePool2d>(),
        OpCode::Add => visitor.visit::<binary::Add>(),
        OpCode::Mul => visitor.visit::<binary::Mul>(),
        OpCode::Minimum => visitor.visit::<binary::Minimum>(),
        OpCode::Maximum => visitor.visit::<binary::Maximum>(),
        OpCode::Lookup => visitor.visit::<elementwise::Lookup>(),
        OpCode::Prelu => visitor.visit::<elementwise::Prelu>(),
        OpCode::Softmax => visitor.visit::<elementwise::Softmax>(),
        OpCode::Concat => visitor.visit::<movement::Concat>(),
        OpCode::Slice => visitor.visit::<movement::Slice>(),
        OpCode::Pad => visitor.visit::<movement::Pad>(),
        OpCode::Transpose => visitor.visit::<movement::Transpose>(),
        OpCode::Gather => visitor.visit::<indexed::Gather>(),
        OpCode::ResizeNearest => visitor.visit::<indexed::ResizeNearest>(),
        OpCode::ResizeBilinear => visitor.visit::<indexed::ResizeBilinear>(),
        OpCode::ArgMax => visitor.visit::<computed::ArgMax>(),
        OpCode::BatchMatMul => visitor.visit::<matrix::BatchMatMul>(),
        OpCode::LayerNorm => visitor.visit::<matrix::LayerNorm>(),
        OpCode::Take => visitor.visit::<computed::Take>(),
        OpCode::GatherElements => visitor.visit::<computed::GatherElements>(),
        OpCode::TopK => visitor.visit::<computed::TopK>(),
        OpCode::Div => visitor.visit::<binary::Div>(),
        OpCode::Conv2dAdd => visitor.visit::<convolution::Conv2dAdd>(),
        _ => return None,
    })
}

struct Run<'m, K> {
    k: K,
    seed: u64,
    memory: &'m mut [u8],
}

impl<K: Kernels> Visitor for Run<'_, K> {
    type Output = Outcome;

    fn visit<C: Case>(&mut self) -> Outcome {
        let mut rng = Rng::new(self.seed);
        let p = C::draw(&mut rng);
        let choice = p.select(K::ISA);
        match C::check(self.k, &p, &mut rng, &mut Memory::new(self.memory)) {
            Err(fault) => Outcome::Failed(fault),
            Ok(checked) if choice.isa == Isa::Reference => Outcome::DefaultMethod(checked),
            Ok(checked) => Outcome::Equal(checked),
        }
    }
}

struct Ask {
    isa: Isa,
    seed: u64,
}

impl Visitor for Ask {
    type Output = Choice;

    fn visit<C: Case>(&mut self) -> Choice {
        C::draw(&mut Rng::new(self.seed)).select(self.isa)
    }
}

struct Describe<'a> {
    seed: u64,
    to: &'a mut dyn fmt::Write,
}

impl Visitor for Describe<'_> {
    type Output = fmt::Result;

    fn visit<C: Case>(&mut self) -> fmt::Result {
        write!(self.to, "{:?}", C::draw(&mut Rng::new(self.seed)))
    }
}
