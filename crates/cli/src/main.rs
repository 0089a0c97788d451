//! bestof
fn main() {}
