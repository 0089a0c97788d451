//! Programs as environments: turns in, messages or a reward out.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use bestof_tasks::environment::{Environment, EnvironmentReply, ProgramEnvironment};
use bestof_tasks::program::{ProgramLimits, ProgramPool};
use bestof_tasks::rows::ChatMessage;
use bestof_tasks::verify::{Verification, VerificationOutcome};
use serde_json::{Map, Value, json};

fn command(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn limits() -> ProgramLimits {
    ProgramLimits::default().time(Duration::from_secs(5)).output_bytes(4000)
}

fn own(script: &str) -> ProgramEnvironment {
    ProgramEnvironment::new(&command(script), -1.0..=1.0, limits()).unwrap()
}

fn said(text: &str) -> Vec<ChatMessage> {
    vec![ChatMessage::user("q"), ChatMessage::assistant(text)]
}

fn ended(reply: EnvironmentReply) -> Verification {
    match reply {
        EnvironmentReply::End(found) => found,
        EnvironmentReply::Messages(messages) => panic!("{messages:?}"),
    }
}

/// Counts its own turns, and rewards the third.
const COUNTS: &str = r#"n=0; while read -r line; do n=$((n+1));
    if [ $n -eq 3 ]; then echo '{"reward": 0.5, "reason": "three"}';
    else echo "{\"message\": {\"role\": \"tool\", \"content\": \"turn $n\"}}"; fi; done"#;

#[test]
fn an_episode_has_a_process_that_remembers() {
    let environment = own(COUNTS);
    for _ in 0..2 {
        let mut episode = environment.begin();
        for turn in 1..=2 {
            let tool = ChatMessage::new("tool", format!("turn {turn}"));
            let expected = EnvironmentReply::Messages(vec![tool]);
            assert_eq!(episode.respond(&said("x"), false), expected);
        }
        let found = ended(episode.respond(&said("x"), false));
        assert_eq!((found.reward, found.outcome), (0.5, VerificationOutcome::Partial));
        assert_eq!(found.reason, "three");
    }
}

#[test]
fn a_shared_process_goes_on_from_episode_to_episode() {
    let pool = Arc::new(ProgramPool::new(&command(COUNTS), limits()).unwrap());
    let environment = ProgramEnvironment::persistent(pool, -1.0..=1.0).unwrap();
    for _ in 0..2 {
        let reply = environment.begin().respond(&said("x"), false);
        assert!(matches!(reply, EnvironmentReply::Messages(_)));
    }
    assert_eq!(ended(environment.begin().respond(&said("x"), false)).reward, 0.5);
}

#[test]
fn the_whole_conversation_is_sent_with_the_fields_of_the_row() {
    // The request is quoted back as the reason.
    let script = r#"read -r line; printf '{"reward": 0, "reason": "'; printf '%s' "$line" | sed 's/\\/\\\\/g; s/"/\\"/g'; echo '"}'"#;
    let fields = Map::from_iter([("answer".to_owned(), json!("4"))]);
    let environment = own(script).with_fields(fields).unwrap();
    let messages = said("it's\n\"4\"");
    let mut episode = environment.begin();
    let request: Value =
        serde_json::from_str(&ended(episode.respond(&messages, true)).reason).unwrap();
    let expected = json!({
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "it's\n\"4\""}],
        "turn": 1, "last": true, "answer": "4",
    });
    assert_eq!(request, expected);
    for name in ["messages", "turn", "last"] {
        let fields = Map::from_iter([(name.to_owned(), json!(1))]);
        let error = own("true").with_fields(fields).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn several_messages_may_follow_a_turn() {
    let reply =
        r#"{"messages": [{"role": "tool", "content": "a"}, {"role": "user", "content": "b"}]}"#;
    let found = own(&format!("read -r line; echo '{reply}'")).begin().respond(&said("x"), false);
    let expected = vec![ChatMessage::new("tool", "a"), ChatMessage::user("b")];
    assert_eq!(found, EnvironmentReply::Messages(expected));
}

#[test]
fn what_is_no_reply_ends_the_episode_with_the_least_reward() {
    for (script, reason) in [
        (r#"echo '{"message": {"role": "assistant", "content": "I"}}'"#, "`assistant`"),
        (r#"echo '{"message": {"content": "I"}}'"#, "role"),
        (r#"echo '{"message": {"role": "tool", "content": "I", "imge": 3}}'"#, "imge"),
        (r#"echo '{"messages": []}'"#, "messages"),
        (r#"echo '{"reward": 1, "message": {"role": "tool", "content": "I"}}'"#, "either"),
        (r#"echo '{"reason": "none"}'"#, "either"),
        (r#"echo '{"rewrad": 1}'"#, "rewrad"),
        (r#"echo '{"reward": 7}'"#, "outside -1..=1"),
        ("echo it broke >&2; exit 4", "it broke"),
        ("exit 0", "without"),
        ("echo nonsense", "no reply"),
    ] {
        let found =
            ended(own(&format!("read -r line; {script}")).begin().respond(&said("x"), false));
        assert_eq!((found.reward, found.outcome), (-1.0, VerificationOutcome::Failed), "{script}");
        assert!(found.reason.contains(reason), "{:?} does not say {reason:?}", found.reason);
    }
    let hangs = ProgramEnvironment::new(
        &command("sleep 60"),
        -1.0..=1.0,
        limits().time(Duration::from_millis(200)),
    );
    let found = ended(hangs.unwrap().begin().respond(&said("x"), false));
    assert_eq!((found.reward, found.outcome), (-1.0, VerificationOutcome::TimedOut));
}

#[test]
fn an_episode_that_goes_on_after_its_last_turn_has_no_reward() {
    let mut found = Vec::new();
    let environment = own(COUNTS);
    let mut episode = environment.begin();
    found.push(episode.respond(&said("x"), false));
    found.push(episode.respond(&said("y"), true));
    assert!(matches!(found[0], EnvironmentReply::Messages(_)));
    let last = ended(found.remove(1));
    assert_eq!((last.reward, last.outcome), (-1.0, VerificationOutcome::CannotTell));
    assert!(last.reason.contains("last turn"), "{}", last.reason);
}

#[test]
fn a_process_that_ends_between_turns_is_not_replaced() {
    let script = r#"read -r line; echo '{"message": {"role": "tool", "content": "a"}}'"#;
    let environment = own(script);
    let mut episode = environment.begin();
    assert!(matches!(episode.respond(&said("x"), false), EnvironmentReply::Messages(_)));
    let found = ended(episode.respond(&said("y"), false));
    assert_eq!(found.outcome, VerificationOutcome::Failed);
    assert!(found.reason.contains("between two turns"), "{}", found.reason);
}

/// The program of the documentation.
#[test]
fn the_calculator_calculates_and_rewards() {
    let program =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/calculator/calculator.py");
    let command = ["python3", program].map(str::to_owned);
    let pool =
        Arc::new(ProgramPool::new(&command, limits().time(Duration::from_secs(30))).unwrap());
    let environment = ProgramEnvironment::persistent(pool, 0.0..=1.0).unwrap();
    let environment =
        environment.with_fields(Map::from_iter([("answer".to_owned(), json!("42"))])).unwrap();
    for (said, result) in [
        ("<calc>6 * 7", "42"),
        ("I ask: <calc> (1 + 2) * -3 / 4", "-2.25"),
        ("<calc>0.1 + 0.2", "0.3"),
        ("<calc>2 / 0", "error: division by zero"),
        ("<calc>__import__('os')", "error: only numbers, + - * / and parentheses"),
        ("<calc>2 ** 9999999", "error: only numbers, + - * / and parentheses"),
        ("<calc>2 +", "error: "),
    ] {
        match environment.begin().respond(&self::said(said), false) {
            EnvironmentReply::Messages(messages) => {
                assert_eq!(messages.len(), 1);
                assert!(messages[0].text().starts_with(result), "{said}: {messages:?}");
                assert_eq!(messages[0].role(), "user");
            }
            EnvironmentReply::End(found) => panic!("{said}: {found:?}"),
        }
    }
    for (said, last, reward) in [
        ("It is 42.", false, 1.0),
        ("6 * 7 = 42.0", true, 1.0),
        ("41", false, 0.0),
        ("no idea", false, 0.0),
        ("<calc>42", true, 0.0),
    ] {
        assert_eq!(
            ended(environment.begin().respond(&self::said(said), last)).reward,
            reward,
            "{said}"
        );
    }
}
