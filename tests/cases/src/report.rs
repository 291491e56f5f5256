use ocellus_format::ops::OpCode;

use crate::{Fault, Outcome};

/// What became of many cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// One row an operator, in the order of [`OpCode::ALL`].
    pub operators: [OperatorReport; OpCode::ALL.len()],
    /// A hash of all the reference's outputs, in order.
    pub digest: u64,
}

/// What became of an operator's cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorReport {
    /// Cases in which a kernel of the instruction set gave the reference's bytes.
    pub equal: u32,
    /// Cases in which the kernel under test is the reference's.
    pub default_method: u32,
    /// Cases that did not hold.
    pub failed: u32,
    /// The smallest of those.
    pub smallest: Option<Failure>,
}

/// A case that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed: [`crate::describe`] writes the parameters.
    pub seed: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl Default for Report {
    fn default() -> Report {
        Report::new()
    }
}

impl Report {
    /// No cases yet.
    pub const fn new() -> Report {
        let row = OperatorReport {
            equal: 0,
            default_method: 0,
            failed: 0,
            smallest: None,
        };
        Report {
            operators: [row; OpCode::ALL.len()],
            digest: 0,
        }
    }

    /// Adds a case. One without cases counts as failed.
    pub fn add(&mut self, op: OpCode, seed: u64, outcome: Outcome) {
        let Some(index) = OpCode::ALL.iter().position(|&other| other == op) else {
            return;
        };
        let Some(row) = self.operators.get_mut(index) else {
            return;
        };
        match outcome {
            Outcome::Equal(checked) => {
                row.equal += 1;
                self.digest = self.digest.rotate_left(5) ^ checked.digest;
            }
            Outcome::DefaultMethod(checked) => {
                row.default_method += 1;
                self.digest = self.digest.rotate_left(5) ^ checked.digest;
            }
            Outcome::Failed(fault) => {
                row.failed += 1;
                if row
                    .smallest
                    .is_none_or(|smallest| fault.elements() < smallest.fault.elements())
                {
                    row.smallest = Some(Failure { seed, fault });
                }
            }
            Outcome::NoCases => row.failed += 1,
        }
    }

    /// Rows with their operators.
    pub fn rows(&self) -> impl Iterator<Item = (OpCode, &OperatorReport)> {
        OpCode::ALL.into_iter().zip(&self.operators)
    }

    /// Cases that did not hold.
    pub fn failed(&self) -> u32 {
        self.operators.iter().map(|row| row.failed).sum()
    }

    /// Cases that say something about the instruction set.
    pub fn equal(&self) -> u32 {
        self.operators.iter().map(|row| row.equal).sum()
    }
}
