//! The converter's graph: typed operators, shapes, passes, float execution.
