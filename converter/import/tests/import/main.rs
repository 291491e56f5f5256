//! The importer against tract, against values worked out by hand, against real files, and against damage.

mod breadth;
mod computed;
mod damage;
mod documentation;
mod errors;
mod file;
mod models;
mod operators;
mod qlinear;
mod tflite;
mod traps;
