//! The converter's graph: typed operators, static shapes, passes, float execution.
//!
//! One graph, three readers: it is lowered to the int8 program, executed in float, and compared with an independent float runtime.

pub mod exec;
mod function;
mod graph;
mod grid;
mod masks;
mod op;
pub mod passes;
pub mod random;
mod shape;
mod verify;

pub use exec::{ExecError, Executor, View, eval};
pub use function::{Function, Step};
pub use graph::{Assembly, BorderType, Graph, Input, Node, Output, Rounding, Tensor, TensorId};
pub use grid::{GRID_CONSTANT_MAX, Grid};
pub use masks::Masks;
pub use op::{BinaryOp, CoordinateMode, NearestMode, Op, ResizeMode, UnaryOp, Window};
pub use passes::{OptimizeError, Options, PassReport, optimize};
pub use shape::{MAX_ELEMENTS, ShapeError, broadcast, is_permutation};
pub use verify::GraphError;
