//! The third floor of tests: real processes, at both ends of real trunks.
//!
//! The programs that these tests launch are in `bin`: this test program starts
//! itself again, with the name of a program in its environment. So plain
//! `cargo test` has them, and `cargo install` does not.

#[path = "../support/mod.rs"]
mod support;

mod bin;
mod harness;

mod crimes;
mod floods;
mod hosts;
mod launching;
mod leaks;
mod logging;
mod output;
mod reach;
mod schemas;
mod stopping;
