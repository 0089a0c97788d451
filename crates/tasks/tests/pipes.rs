//! What serves a program's pipes is gone with the program, even if something else holds them open. Alone in its
//! file, since it counts the threads and files of the process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bestof_tasks::program::{ProgramLimits, ProgramPool};
use bestof_tasks::verify::{ProgramVerifier, Verifier};
use serde_json::Map;

/// Threads and open files of this process.
fn in_use() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"].map(|list| std::fs::read_dir(list).unwrap().count())
}

#[test]
fn nothing_is_left_of_programs_whose_pipes_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    // In a session of its own it is out of reach, until it ends by itself or nobody reads what it writes.
    let away = |does: &str| {
        let notes = folder.path().display();
        format!(
            "f={notes}/$$; setsid sh -c 'echo $$ > '$f'; {does}' & while ! test -s $f; do sleep 0.01; done;"
        )
    };
    let long = "x".repeat(1 << 20);
    let limits = ProgramLimits::default().time(Duration::from_secs(20));
    let before = in_use();
    let start = Instant::now();
    for script in [
        format!("{} echo '{{\"reward\": 1}}'", away("sleep 30")),
        format!("{} exec <&-; echo '{{\"reward\": 1}}'", away("sleep 30")),
        format!("{} echo '{{\"reward\": 1}}'", away("yes >&2; sleep 30")),
    ] {
        let command = ["sh", "-c", &script].map(str::to_owned);
        let once = ProgramVerifier::new(&command, Map::new(), 0.0..=1.0, limits.clone()).unwrap();
        assert_eq!(once.verify(&long).reward, 1.0, "{script}");
        let pool = Arc::new(ProgramPool::new(&command, limits.clone()).unwrap());
        let kept = ProgramVerifier::persistent(pool, Map::new(), 0.0..=1.0).unwrap();
        assert_eq!(kept.verify(&long).reward, 1.0, "{script}");
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    // Threads end by themselves once they are told to.
    while in_use() != before {
        assert!(start.elapsed() < Duration::from_secs(25), "{before:?}, now {:?}", in_use());
        std::thread::sleep(Duration::from_millis(5));
    }
    let notes: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(notes.len(), 6);
    for note in notes {
        let pid = std::fs::read_to_string(note.unwrap().path()).unwrap();
        std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
    }
}
