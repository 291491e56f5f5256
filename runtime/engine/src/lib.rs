//! The engine: loads a model file, proves its structure and runs it in an arena.
