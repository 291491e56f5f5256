//! Runs reference and kernel under test, and compares.

use ocellus_format::{
    Class, DType, Extent,
    ops::{OpError, Operands, Params},
};

use crate::memory::Memory;

/// A case that held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Elements of inputs and outputs: how small the case is.
    pub elements: u32,
    /// A hash of the reference's output: equal on every machine, or the reference itself was compiled wrongly.
    pub digest: u64,
}

/// A case that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The kernel under test gave another byte than the reference.
    Differs {
        /// Byte of the output.
        index: u32,
        /// The reference's value.
        expected: i8,
        /// The kernel's value.
        actual: i8,
        /// Elements of inputs and outputs.
        elements: u32,
    },
    /// The kernel wrote outside its output.
    OutputOverrun {
        /// Elements of inputs and outputs.
        elements: u32,
    },
    /// The kernel wrote outside its scratch.
    ScratchOverrun {
        /// Elements of inputs and outputs.
        elements: u32,
    },
    /// The generator drew parameters that the format refuses: a mistake of this crate.
    Refused(OpError),
    /// The memory handed over is too small: hand over more.
    MemoryTooSmall {
        /// At least so many bytes more.
        missing: usize,
    },
}

impl Fault {
    /// How small the case is that shows it.
    pub fn elements(&self) -> u32 {
        match *self {
            Fault::Differs { elements, .. }
            | Fault::OutputOverrun { elements }
            | Fault::ScratchOverrun { elements } => elements,
            Fault::Refused(_) | Fault::MemoryTooSmall { .. } => 0,
        }
    }
}

/// Proves that a file with these parameters and operands would load. Operands from index 1 on are constants where `constants` says so.
pub(crate) fn accept<'de, P: Params<'de>>(
    p: &P,
    inputs: &[(DType, usize)],
    constants: bool,
    output_len: usize,
) -> Result<(), Fault> {
    accept_output(p, inputs, constants, (DType::S8, output_len))
}

/// As [`accept`], with an output of another type.
pub(crate) fn accept_output<'de, P: Params<'de>>(
    p: &P,
    inputs: &[(DType, usize)],
    constants: bool,
    output: (DType, usize),
) -> Result<(), Fault> {
    accept_with(p, inputs, if constants { 1 } else { inputs.len() }, output)
}

/// As [`accept_output`], with constants from an index on.
pub(crate) fn accept_with<'de, P: Params<'de>>(
    p: &P,
    inputs: &[(DType, usize)],
    first_constant: usize,
    (output_dtype, output_len): (DType, usize),
) -> Result<(), Fault> {
    let extent = |class, dtype, len: usize| Extent {
        class,
        dtype,
        offset: 0,
        len_bytes: 0,
        len: len as u32,
    };
    let mut extents = [extent(Class::Arena, DType::S8, 0); 16];
    for (index, (slot, &(dtype, len))) in extents.iter_mut().zip(inputs).enumerate() {
        let class = if index >= first_constant {
            Class::Constant
        } else {
            Class::Arena
        };
        *slot = extent(class, dtype, len);
    }
    let outputs = [extent(Class::Arena, output_dtype, output_len)];
    let operands = Operands {
        inputs: &extents[..inputs.len()],
        outputs: &outputs,
    };
    p.check(&operands).map_err(Fault::Refused)
}

/// What a kernel writes to.
pub(crate) struct Targets {
    /// Elements of the output.
    pub(crate) y_len: usize,
    /// Bytes that its output lies behind a multiple of 16.
    pub(crate) misalign: usize,
    /// Bytes of scratch that the kernel wants; it may get a few more.
    pub(crate) scratch_bytes: usize,
    /// Elements of the inputs.
    pub(crate) x_len: usize,
}

/// Runs both on outputs that are poisoned differently, so that an element that neither writes shows too.
pub(crate) fn compare(
    memory: &mut Memory<'_>,
    targets: &Targets,
    reference: impl FnOnce(&mut [i8]),
    tested: impl FnOnce(&mut [i8], &mut [u8]),
) -> Result<Checked, Fault> {
    let elements = (targets.x_len + targets.y_len) as u32;
    let expected = memory.s8(targets.y_len, 0)?;
    expected.fill(0x55);
    reference(expected);

    let mut y = memory.guarded(targets.y_len, targets.misalign)?;
    // A file for any board has the largest scratch that any instruction set wants, which need not be a round number.
    let more = targets.y_len % 3 * 4;
    let mut scratch = memory.guarded(targets.scratch_bytes + more, 0)?;
    y.inside().fill(0xaa);
    scratch.inside().fill(0x5a);
    tested(bytemuck::cast_slice_mut(y.inside()), scratch.inside());

    if !scratch.is_intact() {
        return Err(Fault::ScratchOverrun { elements });
    }
    if !y.is_intact() {
        return Err(Fault::OutputOverrun { elements });
    }
    let actual: &[i8] = bytemuck::cast_slice(y.inside());
    for (index, (&expected, &actual)) in expected.iter().zip(actual).enumerate() {
        if expected != actual {
            return Err(Fault::Differs {
                index: index as u32,
                expected,
                actual,
                elements,
            });
        }
    }
    Ok(Checked {
        elements,
        digest: digest(expected),
    })
}

/// FNV-1a.
fn digest(values: &[i8]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &value| {
        (hash ^ u64::from(value as u8)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
