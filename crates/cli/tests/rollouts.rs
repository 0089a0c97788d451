//! `reinforce` with a completions server, with programs that are kept, and with an environment.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::model::id;
use support::run::{Bench, metrics, read_lines};
use support::text;

/// A server that says digits, and what it was asked.
struct Digits {
    url: String,
    server: Arc<tiny_http::Server>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Digits {
    fn new() -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let (url, asked) = (format!("http://{}/v1", server.server_addr()), Arc::default());
        let (ours, seen): (_, Arc<Mutex<Vec<Value>>>) = (server.clone(), Arc::clone(&asked));
        std::thread::spawn(move || {
            while let Ok(mut request) = ours.recv() {
                let body: Value = serde_json::from_reader(request.as_reader()).unwrap();
                let choices: Vec<Value> =
                    (0..body["n"].as_u64().unwrap()).map(|sample| digit(&body, sample)).collect();
                seen.lock().unwrap().push(body);
                let answer = json!({ "choices": choices }).to_string();
                request.respond(tiny_http::Response::from_string(answer)).unwrap();
            }
        });
        Self { url, server, asked }
    }

    fn set(&self) -> String {
        format!("rollout.server={}", self.url)
    }
}

impl Drop for Digits {
    fn drop(&mut self) {
        self.server.unblock();
    }
}

/// A digit and the end of the text, as llama.cpp's server answers.
fn digit(body: &Value, sample: u64) -> Value {
    let number = (body["seed"].as_u64().unwrap() + sample) % 10;
    let digit = id(char::from_digit(number as u32, 10).unwrap());
    let token = |id: u64| json!({"id": id, "token": "", "bytes": [], "prob": 0.5, "top_probs": []});
    json!({
        "index": sample, "text": number.to_string(), "finish_reason": "stop",
        "logprobs": {"content": [token(digit), token(support::model::EOS)]},
    })
}

#[test]
fn a_server_draws_the_completions_and_is_handed_the_adapter() {
    let (bench, server) = (Bench::new(), Digits::new());
    let log = bench.dir.path().join("log");
    let script = format!(
        "set -e\ntest -f \"$2/adapter_config.json\"\ntest -f \"$2/adapter_model.safetensors\"\n\
         echo \"$1 $(basename \"$2\")\" >> {}\n",
        text(&log)
    );
    let script = bench.script("load.sh", &script);
    let (set, sync) =
        (server.set(), format!("rollout.sync_command=[\"sh\", {script:?}, \"policy\"]"));
    let sets = [&set, &sync, "lora.r=4", "rollout.sync_steps=2", "rollout.max_lag=1"];
    let results = bench.run("served", &sets).json()["results"].clone();
    assert_eq!(results["train_completions/mean_length"], 2.0);
    let handed = fs::read_to_string(&log).unwrap();
    let steps: Vec<&str> = handed.lines().collect();
    assert_eq!(steps, ["policy step-000000", "policy step-000002", "policy step-000004"]);
    let lags: Vec<f64> = metrics(&bench.run_dir("served"))
        .iter()
        .filter_map(|row| row.get("rollout/lag")?.as_f64())
        .collect();
    assert_eq!(lags, [0.0, 1.0, 0.0, 1.0]);
    let resolved = fs::read_to_string(bench.run_dir("served/config.toml")).unwrap();
    for line in [
        "sampler_cap = 2.0",
        "server_retries = 5",
        "server_timeout = 600.0",
        "server_concurrency = 16",
    ] {
        assert!(resolved.contains(line), "{line} is not in\n{resolved}");
    }
    for sample in read_lines(&bench.run_dir("served/samples.jsonl")) {
        assert_eq!(
            (sample["completion"].as_str().unwrap().len(), &sample["finish"]),
            (1, &json!("eos"))
        );
    }
    let asked = server.asked.lock().unwrap();
    assert_eq!(asked.len(), 4 * 3 + 2 * 3, "training and held-out prompts");
    assert_eq!(asked[0]["n"], 4);
    let prompt: Vec<u64> =
        asked[0]["prompt"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(prompt[0], 1, "it begins with <s>");
}

#[test]
fn full_models_are_handed_over_whole_and_a_run_goes_on_with_a_server_elsewhere() {
    let (bench, server) = (Bench::new(), Digits::new());
    let log = bench.dir.path().join("log");
    let script = format!(
        "set -e\nfor f in config.json tokenizer.json model.safetensors; do test -f \"$1/$f\"; done\necho x >> {}\n",
        text(&log)
    );
    let sync = format!("rollout.sync_command=[\"sh\", {:?}]", bench.script("load.sh", &script));
    bench.run("full", &[&server.set(), &sync, "train.max_steps=2"]).json();
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 3);
    let elsewhere = Digits::new();
    let more =
        [&elsewhere.set(), &sync, "train.max_steps=2", "rollout.server_retries=1", "--resume"];
    bench.run("full", &more).json();
    bench
        .run("full", &["train.max_steps=2", "--resume"])
        .refuses(1, &["`rollout.server` was", "absent"]);
}

#[test]
fn what_goes_wrong_with_a_server_is_told() {
    let (bench, server) = (Bench::new(), Digits::new());
    let failing = bench.script("fail.sh", "echo no such adapter >&2; exit 7\n");
    let sync = format!("rollout.sync_command=[\"sh\", {failing:?}]");
    bench
        .run("sync", &[&server.set(), &sync])
        .refuses(1, &["sync_command", "no such adapter", "7", "step-000000"]);
    let done = bench.run("kept", &[&server.set(), "train.max_steps=1", "rollout.temperature=0.7"]);
    for part in [
        "without `rollout.sync_command`",
        "processed_logprobs",
        "evaluations are drawn by the model itself",
    ] {
        assert!(done.stderr.contains(part), "{part} is not in {}", done.stderr);
    }
    done.json();
    bench
        .run("lag", &[&server.set(), "rollout.max_lag=2"])
        .refuses(1, &["rollout.max_lag", "keeps the first weights"]);
    let nobody = ["rollout.server=http://127.0.0.1:9", "rollout.server_retries=0"];
    bench.run("nobody", &nobody).refuses(1, &["rows.jsonl:", "127.0.0.1:9", "1 attempts"]);
}

#[test]
fn settings_of_servers_and_episodes_are_refused_where_nothing_reads_them() {
    let bench = Bench::new();
    fs::remove_dir_all(&bench.model).unwrap();
    for (sets, parts) in [
        (&["rollout.server_timeout=3"][..], &["rollout.server_timeout", "rollout.server"][..]),
        (&["rollout.sync_command=[\"true\"]"], &["rollout.sync_command"]),
        (&["rollout.max_lag=3"], &["rollout.max_lag"]),
        (&["rollout.server=localhost:8000"], &["rollout.server", "http://"]),
        (
            &["rollout.server=http://a", "rollout.sync_command=[\"/no/such/program\"]"],
            &["/no/such/program"],
        ),
        (
            &["rollout.server=http://a", "rollout.server_api_key_env=BESTOF_NO_SUCH_KEY"],
            &["BESTOF_NO_SUCH_KEY"],
        ),
        (&["rollout.max_turns=3"], &["rollout.max_turns", "environment"]),
        (&["reward.persistent=true"], &["reward.persistent"]),
        (&["rollout.sever=http://a"], &["did you mean `rollout.server`"]),
    ] {
        bench.run("refused", sets).refuses(1, parts);
    }
}

#[test]
fn verifying_programs_are_kept_when_asked() {
    let bench = Bench::new();
    let notes = bench.dir.path().join("notes");
    let script = format!(
        "echo $$ >> {}\nwhile read -r line; do case \"$line\" in *answer*prompt*|*prompt*answer*) echo '{{\"reward\": 0.25}}';; esac; done\n",
        text(&notes)
    );
    let script = bench.script("verify.sh", &script);
    let command = format!("reward.command=[\"sh\", {script:?}]");
    let sets = ["reward.verifier=program", &command, "train.max_steps=2", "reward.workers=2"];
    let once = bench.run("once", &sets).json();
    let started = || fs::read_to_string(&notes).unwrap().lines().count();
    let before = started();
    assert!(before >= 24, "{before}");
    let kept = bench.run("kept", &[&sets[..], &["reward.persistent=true"]].concat()).json();
    assert!((1..=2).contains(&(started() - before)), "{}", started() - before);
    for name in ["train_reward", "eval_reward", "train_verifier/failures"] {
        assert_eq!(kept["results"][name], once["results"][name], "{name}");
    }
    assert_eq!(kept["results"]["train_reward"], 0.25);
}

#[test]
fn an_environment_answers_the_policy() {
    let bench = Bench::new();
    let seen = bench.dir.path().join("seen");
    let script = format!(
        "n=0\nwhile read -r line; do echo \"$line\" >> {}; n=$((n+1))\n\
         if [ $n -eq 1 ]; then echo '{{\"message\": {{\"role\": \"user\", \"content\": \"more\"}}}}'\n\
         else echo '{{\"reward\": 0.5, \"reason\": \"heard\"}}'; fi; done\n",
        text(&seen)
    );
    let script = bench.script("environment.sh", &script);
    let command = format!("reward.command=[\"sh\", {script:?}]");
    // Every letter ends a turn, so that the second one comes.
    let stops: Vec<String> =
        (33_u8..127).map(|byte| format!("{:?}", char::from(byte).to_string())).collect();
    let stop = format!("rollout.stop=[{}]", stops.join(","));
    let sets = [
        "reward.verifier=environment",
        &command,
        &stop,
        "rollout.chat=true",
        "rollout.max_new_tokens=80",
        // Equal rewards alone would need no pass through the model.
        "objective.entropy_coefficient=0.01",
        "train.max_steps=1",
    ];
    let results = bench.run("played", &sets).json()["results"].clone();
    assert!(results["train_rollout/turns"].as_f64() > Some(1.5), "{results}");
    assert!(results["train_rollout_gap"].as_f64().unwrap() < 1e-4, "{results}");
    assert!(results["train_reward"].as_f64().unwrap() > 0.3, "{results}");
    let lines = read_lines(&seen);
    let second = lines.iter().find(|line| line["turn"] == 2).unwrap();
    let roles: Vec<&str> = second["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
    assert_eq!(
        (&second["messages"][2]["content"], &second["last"]),
        (&json!("more"), &json!(false))
    );
    assert!(second["answer"].is_string());
    let resolved = fs::read_to_string(bench.run_dir("played/config.toml")).unwrap();
    assert!(resolved.contains("max_turns = 8"), "{resolved}");
    bench.run("plain", &sets[..2]).refuses(1, &["rows.jsonl:1", "prompt", "rollout.chat = true"]);
}
