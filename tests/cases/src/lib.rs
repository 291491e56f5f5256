//! Test cases shared by conformance tests, benches and boards.
