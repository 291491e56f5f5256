//! Calibrate, quantize, lower, plan, emit: a graph into a model file.
