//! Fuzz targets of everything that reads a file: `cargo xtask fuzz` builds and runs them.
//!
//! The environment variable `BESTOF_FUZZ_TARGET` names the target of a process. What a reader returns is of
//! no matter; a panic that reaches its caller, an abort, much memory or much time is a finding.
#![no_main]

mod scratch;
mod targets;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, OnceLock};

type Target = fn(&[u8]);

/// What the last panic said.
static PANIC: Mutex<String> = Mutex::new(String::new());

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        // The fuzzer's own hook aborts, also where a panic of a library is caught and becomes an error.
        panic::set_hook(Box::new(|info| {
            if let Ok(mut text) = PANIC.lock() {
                *text = info.to_string();
            }
        }));
        let name = std::env::var("BESTOF_FUZZ_TARGET").unwrap_or_default();
        let known = targets::ALL.iter().find(|(known, _)| *known == name);
        known.unwrap_or_else(|| panic!("`{name}` is no target")).1
    });
    if panic::catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        eprintln!("{}", PANIC.lock().map(|text| text.clone()).unwrap_or_default());
        std::process::abort();
    }
});
