//! The external verifier: good programs are believed, bad ones fail with a reason and in time.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use bestof_tasks::program::ProgramLimits;
use bestof_tasks::verify::{
    ProgramVerifier, Verification, VerificationOutcome, Verifier, VerifierError,
};
use serde_json::{Map, Value, json};

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn limits(milliseconds: u64) -> ProgramLimits {
    ProgramLimits::default()
        .time(Duration::from_millis(milliseconds))
        .output_bytes(1000)
        .memory_bytes(None)
}

fn verify(script: &str, limits: ProgramLimits) -> Verification {
    let fields: Map<String, Value> = [("answer".to_owned(), json!("4"))].into_iter().collect();
    ProgramVerifier::new(&shell(script), fields, 0.0..=1.0, limits).unwrap().verify("it's 4\n")
}

fn assert_fails(verdict: &Verification, reason: &str) {
    let late = verdict.reason.contains("took longer");
    let expected = if late { VerificationOutcome::TimedOut } else { VerificationOutcome::Failed };
    assert_eq!((verdict.outcome, verdict.reward), (expected, 0.0));
    assert!(verdict.outcome.is_failure());
    assert!(verdict.reason.contains(reason), "{:?} does not say {reason:?}", verdict.reason);
}

#[test]
fn a_reply_is_believed() {
    let verdict = verify(r#"echo '{"reward": 0.25, "reason": "near"}'"#, limits(5000));
    assert_eq!((verdict.outcome, verdict.reward), (VerificationOutcome::Partial, 0.25));
    assert_eq!(verdict.reason, "near");
    let verdict = verify(r#"cat > /dev/null; echo '{"reward": 1}'"#, limits(5000));
    assert_eq!(verdict.outcome, VerificationOutcome::Right);
}

#[test]
fn the_program_reads_one_json_object() {
    // The request is quoted back as the reason, so that its every byte can be compared.
    let script =
        r#"printf '{"reward": 0, "reason": '; cat | sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/"}/'"#;
    let verdict = verify(script, limits(5000));
    assert_eq!(verdict.outcome, VerificationOutcome::Wrong, "{}", verdict.reason);
    let request: Value = serde_json::from_str(&verdict.reason).unwrap();
    assert_eq!(request, json!({"answer": "4", "completion": "it's 4\n"}));
}

#[test]
fn bad_programs_fail_with_a_reason() {
    for (script, reason) in [
        ("echo broken >&2; exit 3", "exit status: 3): broken"),
        ("kill -SEGV $$", "signal: 11"),
        ("echo hello", "no reply"),
        ("true", "no reply"),
        (r#"echo '{"reason": "no reward"}'"#, "missing field `reward`"),
        (r#"echo '{"reward": 2}'"#, "outside 0..=1"),
        (r#"echo '{"reward": -0.1}'"#, "outside 0..=1"),
        (r#"echo '{"reward": NaN}'"#, "no reply"),
        (r#"echo '{"reward": 1e999}'"#, "no reply"),
        (r#"echo '{"reward": 1}{"reward": 1}'"#, "no reply"),
        ("head -c 5000 /dev/zero", "more than 1000 bytes"),
        ("yes", "more than 1000 bytes"),
    ] {
        assert_fails(&verify(script, limits(5000)), reason);
    }
    let absent = ["/no/such/program".to_owned()];
    let verifier = ProgramVerifier::new(&absent, Map::new(), -1.0..=1.0, limits(1000)).unwrap();
    let verdict = verifier.verify("");
    assert_eq!((verdict.outcome, verdict.reward), (VerificationOutcome::Failed, -1.0));
    assert!(verdict.reason.contains("cannot start /no/such/program"));
}

#[test]
fn hanging_programs_are_stopped_in_time() {
    for script in [
        "sleep 60",
        // A closed output does not mean an end.
        "exec >&-; sleep 60",
        "trap '' TERM; while true; do sleep 1; done",
    ] {
        let start = Instant::now();
        assert_fails(&verify(script, limits(300)), "took longer than 300ms");
        assert!(start.elapsed() < Duration::from_secs(5), "{script}");
    }
}

#[test]
fn what_it_leaves_behind_holds_up_nothing() {
    let limits = || limits(20_000);
    let start = Instant::now();
    let verdict = verify(r#"echo '{"reward": 1}'; sleep 60 & exit 0"#, limits());
    assert_eq!(verdict.outcome, VerificationOutcome::Right, "{}", verdict.reason);
    assert_fails(&verify("sleep 60 & exit 0", limits()), "no reply");
    assert_fails(&verify("sleep 60 & echo broken >&2; exit 3", limits()), "3): broken");
    // A program that goes on with its input and output closed is waited for.
    assert_eq!(verify(r#"echo '{"reward": 1}'; exec >&- <&-; sleep 0.2"#, limits()).reward, 1.0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn errors_are_read_whatever_their_length() {
    let lines = "i=0; while [ $i -lt 3000 ]; do echo \"warning $i\" >&2; i=$((i+1)); done";
    let loud = "head -c 100000000 /dev/zero >&2";
    for noise in [lines, loud] {
        let verdict = verify(&format!(r#"{noise}; echo '{{"reward": 1}}'"#), limits(60_000));
        assert_eq!(verdict.outcome, VerificationOutcome::Right, "{}", verdict.reason);
    }
    let script = format!("echo first >&2; {lines}; {loud}; echo last >&2; exit 3");
    let verdict = verify(&script, limits(60_000));
    assert_fails(&verdict, "exit status: 3): first\nwarning 0\nwarning 1\n");
    assert!(verdict.reason.ends_with("last"), "{}", verdict.reason);
    assert!(verdict.reason.len() < 3000, "{}", verdict.reason.len());
}

#[test]
fn too_much_output_is_not_waited_for() {
    let start = Instant::now();
    let deaf = "trap '' PIPE; while true; do echo hello hello hello 2>&-; done";
    assert_fails(&verify(deaf, limits(30_000)), "more than 1000 bytes");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn nothing_it_started_is_left_running() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!("(sleep 1; touch '{}') & sleep 60", mark.display());
    assert_fails(&verify(&script, limits(200)), "took longer");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!mark.exists());
}

#[test]
fn input_that_is_not_read_blocks_nobody() {
    let long = "x".repeat(1 << 20);
    let verifier = ProgramVerifier::new(
        &shell(r#"echo '{"reward": 1}'"#),
        Map::new(),
        0.0..=1.0,
        limits(5000),
    )
    .unwrap();
    assert_eq!(verifier.verify(&long).reward, 1.0);
}

#[test]
fn memory_is_limited() {
    // The shell's variable doubles until it has to fail.
    let script = r#"x=xxxxxxxx; i=0; while [ $i -lt 26 ]; do x="$x$x"; i=$((i+1)); done; echo '{"reward": 1}'"#;
    let memory = limits(20_000).memory_bytes(Some(64 << 20));
    assert_fails(&verify(script, memory), "the program failed");
    let enough = limits(5000).memory_bytes(Some(512 << 20));
    assert_eq!(verify(r#"echo '{"reward": 1}'"#, enough).reward, 1.0);
}

#[test]
fn senseless_settings_are_refused() {
    let refused = |command: &[String], low: f64, high: f64| {
        let error = ProgramVerifier::new(command, Map::new(), low..=high, limits(100)).unwrap_err();
        assert!(matches!(error, VerifierError::Program { .. }));
    };
    refused(&[], 0.0, 1.0);
    refused(&shell("true"), 1.0, 0.0);
    refused(&shell("true"), 0.0, f64::INFINITY);
}
