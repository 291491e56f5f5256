//! From a device program to its memory: steps, what may run in place, scratch, plan.

use ocellus_format::Isa;
use ocellus_kernels::select::{self, Choice};

use crate::lower::{DeviceNode, DeviceProgram, Operand, swapped};
use crate::order::{better_order, reordered};
use crate::plan::{Life, Plan, alive_bytes, plan, plan_over};
use crate::residual;
use crate::traffic::{Traffic, traffic};
use crate::{CompileError, Passes, Target};

/// A device program with its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Of each tensor.
    pub lives: Vec<Life>,
    /// Of each operator.
    pub scratch_bytes: Vec<u64>,
    /// Bytes that a run reads and writes.
    pub traffic: Traffic,
    /// Offsets.
    pub plan: Plan,
    /// What the source's order of operators would need, where another was chosen.
    pub source_order_bytes: Option<u64>,
}

/// Largest arena that a file can ask for.
const ARENA_MAX: u64 = ocellus_format::MAX_ARENA_BYTES as u64;

/// The kernel that an operator gets on an instruction set.
pub fn kernel(node: &DeviceNode, isa: Isa) -> Choice {
    select::choice(isa, node.op.operator())
}

/// Bytes of scratch that an operator is given: what its kernel wants, or in a portable file what the most demanding of all kernels wants, so that
/// every board can use its own.
pub fn scratch_bytes(node: &DeviceNode, target: Target) -> u64 {
    let wants = |isa| u64::from(kernel(node, isa).scratch_bytes);
    match target {
        Target::Portable => Isa::ALL.into_iter().map(wants).max().unwrap_or(0),
        Target::Isa(isa) => wants(isa),
    }
}

/// Last step that reads each tensor. An output of the model is read one step behind the last operator.
fn last_steps(program: &DeviceProgram) -> Vec<usize> {
    let mut last = vec![0; program.tensors.len()];
    for (index, node) in program.nodes.iter().enumerate() {
        last[node.output] = index + 1;
        for operand in &node.inputs {
            if let Operand::Tensor(tensor) = operand {
                last[*tensor] = index + 1;
            }
        }
    }
    for &tensor in &program.outputs {
        last[tensor] = program.nodes.len() + 1;
    }
    last
}

/// Exchanges the operands of sums and products whose second operand dies there and first does not: only the first can be replaced in place.
fn prefer_in_place(program: &mut DeviceProgram) {
    let last = last_steps(program);
    let sizes: Vec<u64> = program.tensors.iter().map(|t| t.size_bytes()).collect();
    for (index, node) in program.nodes.iter_mut().enumerate() {
        let fits = |operand: &Operand| matches!(*operand, Operand::Tensor(t) if last[t] == index + 1 && sizes[t] == sizes[node.output]);
        if let [a, b] = node.inputs[..]
            && let Some(exchanged) = swapped(node.op)
            && !fits(&a)
            && fits(&b)
            && a != b
        {
            (node.op, node.inputs) = (exchanged, vec![b, a]);
        }
    }
}

/// Plans the memory of a program, whose operators and tensors it puts into the order that needs least.
///
/// `memories` are those of [`Options`](crate::Options::memories). The arena gets parts where the fastest does not hold it. Where they do not hold it
/// together, the plan is that for one memory, and larger than each.
///
/// # Errors
/// [`CompileError::TooLarge`]
pub fn schedule(
    program: &mut DeviceProgram,
    target: Target,
    passes: Passes,
    memories: &[u64],
) -> Result<Schedule, CompileError> {
    let limit = u64::from(ocellus_format::MAX_OPERATORS);
    if program.nodes.len() as u64 > limit {
        return Err(CompileError::TooLarge {
            what: "operators",
            needed: program.nodes.len() as u64,
            limit,
        });
    }
    let mut planned = in_best_order(program, target, passes)?;
    if passes.residual_add && passes.in_place {
        let alive = |mut program: DeviceProgram| {
            let lives = lives(&mut program, true);
            alive_bytes(&lives, &scratch_of(&program, target))
        };
        let pairs = residual::needed(program, residual::pairs(program), alive);
        if !pairs.is_empty() {
            let mut other = residual::with(program, &pairs);
            let better = in_best_order(&mut other, target, passes)?;
            if better.plan.peak_bytes < planned.plan.peak_bytes {
                *program = other;
                planned = better;
            }
        }
    }
    let whole = planned.plan.peak_bytes;
    let is_held = match passes.fast_memory {
        true => memories.first().is_none_or(|&fastest| fastest >= whole),
        false => memories.is_empty() || memories.iter().any(|&bytes| bytes >= whole),
    };
    if !is_held
        && let Some(split) = plan_over(
            &planned.lives,
            &planned.scratch_bytes,
            &planned.traffic,
            memories,
        )
    {
        checked(&planned.lives, &planned.scratch_bytes, &split)?;
        planned.plan = split;
    }
    if planned.plan.peak_bytes > ARENA_MAX {
        return Err(CompileError::TooLarge {
            what: "bytes of arena",
            needed: planned.plan.peak_bytes,
            limit: ARENA_MAX,
        });
    }
    Ok(planned)
}

/// The plan for the order of operators that needs least, into which the program is put.
fn in_best_order(
    program: &mut DeviceProgram,
    target: Target,
    passes: Passes,
) -> Result<Schedule, CompileError> {
    let scratch = scratch_of(program, target);
    let better = passes
        .operator_order
        .then(|| better_order(program, &scratch, passes.in_place))
        .flatten();
    let planned = in_this_order(program, target, passes.in_place)?;
    let Some(order) = better else {
        return Ok(planned);
    };
    let mut other = reordered(program, &order);
    let better = in_this_order(&mut other, target, passes.in_place)?;
    // The search counts bytes alive; that they fit together too is seen here.
    if better.plan.peak_bytes >= planned.plan.peak_bytes {
        return Ok(planned);
    }
    *program = other;
    Ok(Schedule {
        source_order_bytes: Some(planned.plan.peak_bytes),
        ..better
    })
}

/// Bytes of scratch of each operator.
fn scratch_of(program: &DeviceProgram, target: Target) -> Vec<u64> {
    let nodes = program.nodes.iter();
    nodes.map(|node| scratch_bytes(node, target)).collect()
}

/// Lives of the tensors in the order that the program has, with what each may replace where that may be.
fn lives(program: &mut DeviceProgram, in_place: bool) -> Vec<Life> {
    if in_place {
        prefer_in_place(program);
    }
    let last = last_steps(program);
    let mut lives: Vec<Life> = program
        .tensors
        .iter()
        .zip(&last)
        .map(|(tensor, &last_step)| Life {
            size_bytes: tensor.size_bytes(),
            first_step: 0,
            last_step,
            replaces: None,
        })
        .collect();
    for (index, node) in program.nodes.iter().enumerate() {
        lives[node.output].first_step = index + 1;
        if !in_place || !node.op.code().runs_in_place() {
            continue;
        }
        let Some(&Operand::Tensor(input)) = node.inputs.first() else {
            continue;
        };
        let once = node.inputs[1..]
            .iter()
            .all(|&other| other != Operand::Tensor(input));
        if once
            && last[input] == index + 1
            && lives[input].size_bytes == lives[node.output].size_bytes
        {
            lives[node.output].replaces = Some(input);
        }
    }
    lives
}

/// The plan for the order that the program has.
fn in_this_order(
    program: &mut DeviceProgram,
    target: Target,
    in_place: bool,
) -> Result<Schedule, CompileError> {
    let lives = lives(program, in_place);
    let scratch = scratch_of(program, target);
    let planned = plan(&lives, &scratch);
    checked(&lives, &scratch, &planned)?;
    Ok(Schedule {
        lives,
        traffic: traffic(program, &scratch),
        scratch_bytes: scratch,
        plan: planned,
        source_order_bytes: None,
    })
}

/// Proves a plan before it goes into a file.
fn checked(lives: &[Life], scratch: &[u64], plan: &Plan) -> Result<(), CompileError> {
    crate::plan::check(lives, scratch, plan)
        .map_err(|overlap| CompileError::Rejected(format!("{overlap:?}")))
}
