//! The model file: types, checked view, writer, operator definitions.
