//! Verifying programs that are kept: one line in, one line out, with the limits of those that are not.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bestof_tasks::program::{ProgramLimits, ProgramPool};
use bestof_tasks::verify::{ProgramVerifier, Verification, VerificationOutcome, Verifier};
use serde_json::{Map, json};

fn command(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn limits(milliseconds: u64) -> ProgramLimits {
    ProgramLimits::default().time(Duration::from_millis(milliseconds)).output_bytes(1000)
}

fn kept(script: &str, limits: ProgramLimits) -> ProgramVerifier {
    let pool = ProgramPool::new(&command(script), limits).unwrap();
    ProgramVerifier::persistent(Arc::new(pool), Map::new(), 0.0..=1.0).unwrap()
}

/// A loop that notes its process and runs `body` for each line, which is in `$line`.
fn reads_lines(notes: &Path, body: &str) -> String {
    format!("echo $$ >> '{}'; while read -r line; do {body}; done", notes.display())
}

fn starts(notes: &Path) -> usize {
    std::fs::read_to_string(notes).unwrap_or_default().lines().count()
}

/// Rewards 1 for a completion with `yes` in it.
const YES: &str = r#"case "$line" in *yes*) echo '{"reward": 1}';; *) echo '{"reward": 0, "reason": "no"}';; esac"#;

fn outcomes(verifier: &ProgramVerifier, completions: &[&str]) -> Vec<VerificationOutcome> {
    completions.iter().map(|completion| verifier.verify(completion).outcome).collect()
}

use VerificationOutcome::{Failed, Right, TimedOut, Wrong};

#[test]
fn one_process_answers_line_after_line() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let verifier = kept(&reads_lines(&notes, YES), limits(5000));
    let found = outcomes(&verifier, &["yes", "no", "a\nline\tbreak: yes", "", "yes"]);
    assert_eq!(found, [Right, Wrong, Right, Wrong, Right]);
    assert_eq!(verifier.verify("no").reason, "no");
    assert_eq!(starts(&notes), 1);
}

#[test]
fn a_program_that_reads_lines_to_the_end_works_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let script = reads_lines(&folder.path().join("notes"), YES);
    let once =
        ProgramVerifier::new(&command(&script), Map::new(), 0.0..=1.0, limits(5000)).unwrap();
    let completions = ["yes", "no", "oh\nyes"];
    assert_eq!(outcomes(&once, &completions), outcomes(&kept(&script, limits(5000)), &completions));
}

#[test]
fn rows_share_the_processes_and_have_fields_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let first = kept(&reads_lines(&notes, YES), limits(5000));
    let second = first.with_fields(Map::from_iter([("answer".to_owned(), json!("yes"))]));
    assert_eq!((first.verify("4").reward, second.verify("4").reward), (0.0, 1.0));
    assert_eq!(starts(&notes), 1);
}

#[test]
fn a_crash_costs_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let body = format!(
        r#"case "$line" in *crash*) echo it broke >&2; exit 3;; *dies*) kill -SEGV $$;; esac; {YES}"#
    );
    let verifier = kept(&reads_lines(&notes, &body), limits(5000));
    assert_eq!(
        outcomes(&verifier, &["yes", "crash", "yes", "dies", "no"]),
        [Right, Failed, Right, Failed, Wrong]
    );
    assert_eq!(starts(&notes), 3);
    let verdict = verifier.verify("crash");
    assert_eq!(verdict.reason, "the program failed (exit status: 3): it broke");
    assert!(verifier.verify("dies").reason.contains("signal: 11"));
}

#[test]
fn a_hung_process_is_killed_with_what_it_started_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (notes, mark) = (folder.path().join("notes"), folder.path().join("mark"));
    let hang = format!("(sleep 2; touch '{}') & sleep 60", mark.display());
    let body = format!(r#"case "$line" in *hang*) {hang};; esac; {YES}"#);
    let verifier = kept(&reads_lines(&notes, &body), limits(500));
    let start = Instant::now();
    assert_eq!(outcomes(&verifier, &["yes", "hang", "yes"]), [Right, TimedOut, Right]);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(starts(&notes), 2);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!mark.exists(), "what a hung process started is killed too");
}

#[test]
fn nonsense_costs_one_request() {
    for (body, reason) in [
        ("echo hello", "no reply"),
        (r#"echo '{"reward": 2}'"#, "outside 0..=1"),
        (r#"echo '{"reward": NaN}'"#, "no reply"),
        ("head -c 5000 /dev/zero; echo", "more than 1000 bytes"),
        ("exec >&-; sleep 60", "closed its output"),
        ("exit 0", "ended without one"),
    ] {
        let script = format!(
            r#"while read -r line; do case "$line" in *odd*) {body};; *) {YES};; esac; done"#
        );
        let verifier = kept(&script, limits(5000));
        let fresh = verifier.verify("odd");
        assert_eq!((fresh.outcome, fresh.reward), (Failed, 0.0), "{body}");
        assert!(fresh.reason.contains(reason), "{:?} does not say {reason:?}", fresh.reason);
        assert_eq!(outcomes(&verifier, &["yes", "odd", "yes"]), [Right, Failed, Right], "{body}");
    }
    let absent = ProgramPool::new(&["/no/such/program".to_owned()], limits(1000)).unwrap();
    let verifier = ProgramVerifier::persistent(Arc::new(absent), Map::new(), -1.0..=1.0).unwrap();
    let verdict = verifier.verify("");
    assert_eq!((verdict.outcome, verdict.reward), (Failed, -1.0));
    assert!(verdict.reason.contains("cannot start /no/such/program"), "{}", verdict.reason);
}

#[test]
fn a_program_that_answers_once_and_ends_is_started_again() {
    let verifier = kept(&format!("read -r line; {YES}"), limits(5000));
    let found = outcomes(&verifier, &["yes", "no", "yes", "no", "yes"]);
    assert_eq!(found, [Right, Wrong, Right, Wrong, Right]);
}

/// Otherwise the second line would be taken for the answer to the next request.
#[test]
fn a_process_that_writes_too_many_lines_is_replaced() {
    let at_once = r#"case "$line" in *yes*) r=1;; *) r=0;; esac; printf '{"reward": %s}\n{"reward": 1}\n' $r"#;
    // A line that is written later is seen once it is there.
    for (body, wait) in [(at_once.to_owned(), 0), (format!("{YES}; {YES}"), 100)] {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        let verifier = kept(&reads_lines(&notes, &body), limits(5000));
        for completion in ["yes", "no", "yes", "no"] {
            let expected = if completion == "yes" { Right } else { Wrong };
            assert_eq!(verifier.verify(completion).outcome, expected, "{body}");
            std::thread::sleep(Duration::from_millis(wait));
        }
        assert_eq!(starts(&notes), 4, "{body}");
    }
}

#[test]
fn input_that_is_not_read_and_errors_that_nobody_reads_block_nothing() {
    let long = "x".repeat(1 << 20);
    let loud = "head -c 300000 /dev/zero >&2";
    let verifier = kept(&format!("while read -r line; do {loud}; {YES}; done"), limits(20_000));
    assert_eq!(outcomes(&verifier, &["yes", &long, "no"]), [Right, Wrong, Wrong]);
    let deaf = kept(r#"echo '{"reward": 1}'; sleep 60"#, limits(20_000));
    assert_eq!(deaf.verify(&long).reward, 1.0);
}

#[test]
fn a_crash_is_told_with_the_first_and_the_last_of_the_errors() {
    let loud = "echo first >&2; head -c 100000000 /dev/zero >&2; echo last >&2; exit 3";
    let verifier = kept(&format!("read -r line; {loud}"), limits(60_000));
    let reason = verifier.verify("yes").reason;
    assert!(reason.contains("exit status: 3): first\n"), "{reason}");
    assert!(reason.ends_with("last") && reason.len() < 3000, "{reason}");
}

#[test]
fn the_end_of_a_process_is_seen_while_others_hold_its_output() {
    let start = Instant::now();
    let left = kept(&format!("read -r line; sleep 60 & {YES}; exit 0"), limits(20_000));
    assert_eq!(outcomes(&left, &["yes", "no", "yes"]), [Right, Wrong, Right]);
    let broken = kept("read -r line; sleep 60 & echo it broke >&2; exit 3", limits(20_000));
    assert_eq!(broken.verify("yes").reason, "the program failed (exit status: 3): it broke");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn memory_is_limited() {
    let eat = r#"x=xxxxxxxx; i=0; while [ $i -lt 26 ]; do x="$x$x"; i=$((i+1)); done"#;
    let script =
        format!(r#"while read -r line; do case "$line" in *eat*) {eat};; esac; {YES}; done"#);
    let verifier = kept(&script, limits(20_000).memory_bytes(Some(64 << 20)));
    assert_eq!(outcomes(&verifier, &["yes", "eat", "yes"]), [Right, Failed, Right]);
}

#[test]
fn there_are_as_many_processes_as_are_asked_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let verifier = kept(&reads_lines(&notes, &format!("sleep 0.02; {YES}")), limits(20_000));
    let verdicts: Vec<Verification> = std::thread::scope(|scope| {
        let asks = || (0..10).map(|_| verifier.verify("yes")).collect::<Vec<_>>();
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(asks)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(verdicts.len(), 30);
    assert!(verdicts.iter().all(|verdict| verdict.outcome == Right));
    assert!((1..=3).contains(&starts(&notes)), "{}", starts(&notes));
}

#[test]
fn the_end_of_the_pool_is_the_end_of_its_processes() {
    let folder = tempfile::tempdir().unwrap();
    let (polite, mark) = (folder.path().join("polite"), folder.path().join("mark"));
    let script = format!("while read -r line; do {YES}; done; touch '{}'", polite.display());
    let verifier = kept(&script, limits(5000));
    verifier.verify("yes");
    drop(verifier);
    assert!(polite.exists(), "a program may tidy up when its input ends");
    let script = format!("while read -r line; do {YES}; done; sleep 2; touch '{}'", mark.display());
    let verifier = kept(&script, limits(5000));
    verifier.verify("yes");
    let start = Instant::now();
    drop(verifier);
    assert!(start.elapsed() < Duration::from_millis(1500));
    std::thread::sleep(Duration::from_millis(2500));
    assert!(!mark.exists());
}
