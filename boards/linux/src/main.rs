//! The firmware on Linux, and under qemu-user.

fn main() {}
