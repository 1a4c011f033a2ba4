//! `recovery`: parse, build the real world, run, exit code.

fn main() {}
