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
static TARGET: OnceLock<Target> = OnceLock::new();

/// Finds the target of this process. Without one the names of all are printed, a line each.
fn choose() {
    let Some(name) = std::env::var_os("BESTOF_FUZZ_TARGET") else {
        for (name, _) in targets::ALL {
            println!("{name}");
        }
        std::process::exit(0);
    };
    let Some((_, target)) = targets::ALL.iter().find(|(known, _)| name == *known) else {
        eprintln!("{} is no target", name.display());
        std::process::exit(2);
    };
    TARGET.get_or_init(|| *target);
    // The fuzzer's own hook aborts, also where a panic of a library is caught and becomes an error.
    panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock() {
            *text = info.to_string();
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    let target = TARGET.get().expect("the target was chosen");
    if panic::catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        eprintln!("{}", PANIC.lock().map(|text| text.clone()).unwrap_or_default());
        std::process::abort();
    }
});
