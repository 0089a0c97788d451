//! Prints the table of exact bias and standard deviation of `docs/estimators.md`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example's output")]

#[path = "../tests/exact/mod.rs"]
mod exact;

fn main() {
    print!("{}", exact::table::markdown());
}
