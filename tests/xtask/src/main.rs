//! Maintainers' commands.

fn main() {}
