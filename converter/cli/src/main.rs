//! The ocellus command.

fn main() {}
