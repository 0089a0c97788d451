//! Completions from a server: equal to those of the process, whatever befalls the requests; and nothing
//! that a server gets wrong is taken for a completion.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::local_server::{Answer, LocalServer, Seeds, drawn};
use super::*;
use crate::rows::RowName;
use crate::server::{CompletionServer, ServerSettings};

fn shared(toy: Toy) -> Arc<Mutex<Toy>> {
    Arc::new(Mutex::new(toy))
}

/// A run whose completions a server draws with the weights that it is handed.
fn served_run(
    config: &RunConfig,
    server: &LocalServer,
    toy: &Arc<Mutex<Toy>>,
    sync_steps: Option<u64>,
    max_lag: Option<u64>,
) -> ReinforceRun<Toy> {
    let mut parts = parts(config, Judge::Continuous);
    parts.sampler.server = Some(CompletionServer::new(server.settings()));
    let sync = sync_steps.map(|every| {
        let (toy, handed) = (toy.clone(), config.output.dir.join("handed"));
        WeightSync {
            command: vec!["test".to_owned(), "-d".to_owned()],
            every,
            folder: config.output.dir.join("served"),
            write: Box::new(move |model: &Toy, folder: &Path| {
                *toy.lock().unwrap() = model.clone();
                writeln!(File::options().create(true).append(true).open(&handed).unwrap(), "x")
                    .unwrap();
                std::fs::write(folder.join("weights"), "")
                    .map_err(TrainError::io("cannot write", folder))
            }),
        }
    });
    parts.served = Some(ServedWeights::new(sync, max_lag));
    ReinforceRun::new(parts).unwrap()
}

fn finished(run: &mut ReinforceRun<Toy>, config: &RunConfig) -> Report {
    train(run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    Report::open(&config.output.dir).unwrap()
}

/// The values of a metric of all rows that have it.
fn values(report: &Report, name: &str) -> Vec<f64> {
    report.rows.iter().filter_map(|row| row.get(name)).collect()
}

#[test]
fn a_run_with_a_server_of_its_own_weights_is_the_run_without_one() {
    for more in [
        &[][..],
        &[
            "objective.updates_per_batch=2",
            "rollout.temperature=0.7",
            "objective.kl_coefficient=0.1",
        ],
        &["objective.redraw_rounds=2", "lora.r=2"],
    ] {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let overrides = [&["objective.sampler_cap=2.0"][..], more].concat();
        let [here, there] = folders.each_ref().map(|dir| config(dir.path(), &overrides));
        let mut expected = new_run(&here, Judge::Continuous);
        let wanted = finished(&mut expected, &here);
        // The server begins with other weights, which it is to be rid of before the first step.
        let toy = shared(Toy::new());
        let server = LocalServer::of(toy.clone(), Seeds::of_run(there.train.seed));
        let mut run = served_run(&there, &server, &toy, Some(1), Some(0));
        let found = finished(&mut run, &there);
        assert_eq!(weights_of(run.model()), weights_of(expected.model()), "{more:?}");
        for name in
            ["loss", "reward", "rollout_gap", "objective", "eval_reward", "eval_pass@4", "entropy"]
        {
            assert!(!values(&wanted, name).is_empty(), "{name}");
            assert_eq!(values(&found, name), values(&wanted, name), "{name} {more:?}");
        }
        assert_eq!(values(&found, "rollout/lag"), [0.0; 8]);
        assert!(values(&wanted, "rollout/lag").is_empty());
        assert!(server.seen.count() > 8 * 4);
        // The weights after the last step were handed over for its evaluation; older ones are gone.
        let served: Vec<String> = std::fs::read_dir(there.output.dir.join("served"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(served, ["step-000008"]);
    }
}

#[test]
fn weights_are_handed_over_as_often_as_asked_and_lag_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["objective.sampler_cap=2.0", "train.eval_steps=0"]);
    let toy = shared(Toy::new());
    let server = LocalServer::of(toy.clone(), Seeds::of_run(config.train.seed));
    let mut run = served_run(&config, &server, &toy, Some(3), Some(2));
    let report = finished(&mut run, &config);
    assert_eq!(values(&report, "rollout/lag"), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]);
    let gaps = values(&report, "rollout_gap");
    let (fresh, old): (Vec<_>, Vec<_>) = (0..8).partition(|step| step % 3 == 0);
    assert!(fresh.iter().all(|step| gaps[*step] < 1e-6), "rounding alone: {gaps:?}");
    assert!(old.iter().all(|step| gaps[*step] > 1e-4), "other weights: {gaps:?}");
}

#[test]
fn a_resumed_run_hands_its_weights_over_first() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["objective.sampler_cap=2.0"]);
    let model = Toy::new().without_poison();
    let toy = shared(Toy::new());
    let server = LocalServer::of(toy.clone(), Seeds::of_run(1));
    let mut run = served_run(&config, &server, &toy, Some(5), Some(4));
    let served = run.parts.served.as_mut().unwrap();
    assert_eq!(served.before_step(&model, 7, Ranks::default()).unwrap(), 0);
    assert_eq!(weights_of(&toy.lock().unwrap()), weights_of(&model));
    assert_eq!(served.before_step(&model, 11, Ranks::default()).unwrap(), 4);
    assert_eq!(served.before_step(&model, 12, Ranks::default()).unwrap(), 0);
}

#[test]
fn lags_that_cannot_hold_are_refused_and_others_told() {
    let held = |every: Option<u64>, max_lag| {
        let sync = every.map(|every| WeightSync::<Toy> {
            command: vec!["true".to_owned()],
            every,
            folder: "served".into(),
            write: Box::new(|_, _| Ok(())),
        });
        ServedWeights::new(sync, max_lag)
    };
    for (every, max_lag, steps, fits) in [
        (Some(1), Some(0), 100, true),
        (Some(4), Some(3), 100, true),
        (Some(4), Some(2), 100, false),
        (Some(4), Some(2), 3, true),
        (Some(4), None, 100, true),
        (None, Some(0), 1, true),
        (None, Some(98), 100, false),
        (None, Some(99), 100, true),
        (None, None, 100, true),
    ] {
        let checked = held(every, max_lag).check(steps);
        assert_eq!(checked.is_ok(), fits, "{every:?} {max_lag:?} {steps}");
        if let Err(error) = checked {
            let (text, key) =
                (error.to_string(), if every.is_some() { "sync_steps" } else { "sync_command" });
            assert!(text.contains("rollout.max_lag") && text.contains(key), "{text}");
        }
    }
    let model = Toy::new();
    let mut served = held(None, None);
    for step in 0..3 {
        assert_eq!(served.before_step(&model, step, Ranks::default()).unwrap(), step);
    }
}

#[test]
fn a_command_that_fails_ends_the_run_with_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let sync = WeightSync::<Toy> {
            command: ["sh", "-c", script, "sh"].map(str::to_owned).to_vec(),
            every: 1,
            folder: dir.path().join("served"),
            write: Box::new(|_, folder| {
                std::fs::write(folder.join("w"), "all of it")
                    .map_err(TrainError::io("cannot write", folder))
            }),
        };
        ServedWeights::new(Some(sync), None).before_step(&Toy::new(), 12, Ranks::default())
    };
    // What the command sees is whole, under the path it is given.
    assert_eq!(
        run(r#"[ "$(cat "$1/w")" = "all of it" ] && [ "${1%step-000012}" != "$1" ]"#).unwrap(),
        0
    );
    let text = run("echo out; echo no such adapter >&2; exit 3").unwrap_err().to_string();
    for part in
        ["rollout.sync_command", "exit status: 3", "no such adapter", "step-000012", "step 12"]
    {
        assert!(text.contains(part), "{text} does not say {part}");
    }
    let text = run("echo only this; exit 1").unwrap_err().to_string();
    assert!(text.contains("only this"), "{text}");
    let text = run("head -c 5000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1").unwrap_err();
    assert!(text.to_string().contains(&format!(": {}end;", "x".repeat(496))), "{text}");
    // A server that the command leaves running holds its output open.
    let start = Instant::now();
    assert_eq!(run("sleep 60 & exit 0").unwrap(), 0);
    assert!(run("sleep 60 & echo gone >&2; exit 1").unwrap_err().to_string().contains("gone"));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn without_a_command_evaluations_are_of_the_model_itself() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let overrides =
        ["objective.sampler_cap=2.0", "train.learning_rate=0", "train.eval_on_start=true"];
    let [here, there] = folders.each_ref().map(|dir| config(dir.path(), &overrides));
    let wanted = finished(&mut new_run(&here, Judge::Continuous), &here);
    let toy = shared(Toy::new().without_poison());
    let server = LocalServer::of(toy.clone(), Seeds::of_run(there.train.seed));
    let mut run = served_run(&there, &server, &toy, None, None);
    let found = finished(&mut run, &there);
    assert_eq!(server.seen.count(), 30, "4, 4 and 3 prompts a step, and none of the evaluations");
    assert_eq!(values(&found, "eval_reward"), values(&wanted, "eval_reward"));
    assert_eq!(values(&found, "rollout/lag"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert!(run.parts.sampler.server.is_some());
}

/// Groups of some problems drawn by a server with these settings, and by the process.
fn sampled(
    settings: Option<ServerSettings>,
    stops: &[&str],
    rows: usize,
) -> Result<Vec<Vec<Rollout>>, TrainError> {
    let dir = tempfile::tempdir().unwrap();
    let mut sampler =
        parts(&config(dir.path(), &["rollout.max_new_tokens=8"]), Judge::Continuous).sampler;
    sampler.server = settings.map(CompletionServer::new);
    sampler.stops = stops.iter().map(|stop| (*stop).to_owned()).collect();
    let problems = problems(rows, Judge::Continuous).items;
    let seed = |row: usize| dropout_seed(9, 0, row as u64);
    let asked: Vec<(usize, &Problem, u64)> =
        problems.iter().enumerate().map(|(row, problem)| (row, problem, seed(row))).collect();
    let groups = sampler.sample(&Toy::new().without_poison(), &asked, 3)?;
    Ok(groups.into_iter().map(|group| group.rollouts).collect())
}

fn compare(found: &[Vec<Rollout>], expected: &[Vec<Rollout>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_eq!((&found.ids, &found.text), (&expected.ids, &expected.text));
        assert_eq!((found.finish, &found.judgement), (expected.finish, &expected.judgement));
        assert_eq!(found.logprobs, expected.logprobs);
        assert_eq!(found.sampling_logprobs, expected.sampling_logprobs);
    }
}

fn toy_server(
    fault: impl Fn(usize, &serde_json::Value) -> Option<Answer> + Send + Sync + 'static,
) -> LocalServer {
    let (toy, seeds) = (Mutex::new(Toy::new().without_poison()), Seeds::of_run(9));
    LocalServer::new(move |number, body| {
        fault(number, body)
            .unwrap_or_else(|| Answer::now(drawn(&toy.lock().unwrap(), body, &seeds)))
    })
}

#[test]
fn faults_that_pass_change_nothing() {
    let server = toy_server(|number, _| match number {
        0 | 5 => Some(Answer::Status(500, "overloaded".to_owned())),
        1 => Some(Answer::Status(429, "{}".to_owned())),
        2 | 6 => Some(Answer::Cut),
        3 => Some(Answer::Late(Duration::from_secs(3), json!({}))),
        4 => Some(Answer::Status(503, String::new())),
        _ => None,
    });
    let settings =
        ServerSettings { timeout: Duration::from_millis(700), retries: 7, ..server.settings() };
    let start = Instant::now();
    compare(&sampled(Some(settings), &[], 6).unwrap(), &sampled(None, &[], 6).unwrap());
    assert_eq!(server.seen.count(), 6 + 7);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_busy_server_is_left_alone_as_long_as_it_asks() {
    for (asked, timeout, least) in [(1, 60, 1.0), (3600, 2, 2.0)] {
        let server = toy_server(move |number, _| (number == 0).then_some(Answer::Busy(asked)));
        let timeout = Duration::from_secs(timeout);
        let settings = ServerSettings { timeout, ..server.settings() };
        let start = Instant::now();
        compare(&sampled(Some(settings), &[], 1).unwrap(), &sampled(None, &[], 1).unwrap());
        let waited = start.elapsed().as_secs_f64();
        assert!((least..least + 10.0).contains(&waited), "{waited} s where {asked} s are asked");
    }
}

#[test]
fn faults_that_do_not_pass_name_server_and_prompt() {
    let broken = toy_server(|_, body| {
        (body["prompt"][0] == 2).then(|| Answer::Status(502, "bad gateway".to_owned()))
    });
    let settings = ServerSettings { retries: 2, ..broken.settings() };
    let url = settings.url.clone();
    let error = sampled(Some(settings), &[], 4).unwrap_err();
    let names: Vec<RowName> = (1..=4).map(|line| format!("rows.jsonl:{line}").into()).collect();
    let text = error.at_row_of(&names).to_string();
    for part in ["rows.jsonl:3", &url, "502", "3 attempts", "bad gateway"] {
        assert!(text.contains(part), "{text} does not say {part}");
    }
    let cut = toy_server(|_, _| Some(Answer::Cut));
    let settings = ServerSettings { retries: 1, ..cut.settings() };
    let text = sampled(Some(settings), &[], 1).unwrap_err().to_string();
    assert!(text.contains("2 attempts") && text.contains("rollout.server_retries"), "{text}");
    assert_eq!(cut.seen.count(), 2);
    let late = toy_server(|_, _| Some(Answer::Late(Duration::from_secs(2), json!({}))));
    let settings =
        ServerSettings { retries: 1, timeout: Duration::from_millis(200), ..late.settings() };
    let text = sampled(Some(settings), &[], 1).unwrap_err().to_string();
    assert!(text.contains("timeout") && text.contains("2 attempts"), "{text}");
    // Nobody listens there any more.
    let gone = ServerSettings { retries: 1, ..late.settings() };
    drop(late);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let text = sampled(Some(ServerSettings { url, ..gone }), &[], 1).unwrap_err().to_string();
    assert!(text.contains("2 attempts") && text.contains("refused"), "{text}");
}

#[test]
fn a_request_that_is_refused_is_not_made_again() {
    for (body, words) in [
        (
            r#"{"object": "error", "message": "model `policy` does not exist", "code": 404}"#,
            "model `policy` does not exist",
        ),
        (r#"{"error": {"message": "prompt is too long", "code": 400}}"#, "prompt is too long"),
        (r#"{"error": "no slots"}"#, "no slots"),
        ("plain words", "plain words"),
    ] {
        let server = toy_server(move |_, _| Some(Answer::Status(404, body.to_owned())));
        let settings = ServerSettings { concurrency: 1, ..server.settings() };
        let text = sampled(Some(settings), &[], 5).unwrap_err().to_string();
        assert!(
            text.contains(words) && text.contains("404") && text.starts_with("prompt 1: "),
            "{text}"
        );
        assert_eq!(server.seen.count(), 1, "neither again nor for the other prompts");
    }
}

#[test]
fn answers_that_cannot_be_used_are_refused_with_prompt_and_field() {
    let spoilt = |spoil: fn(&mut serde_json::Value)| {
        let (toy, seeds) = (Mutex::new(Toy::new().without_poison()), Seeds::of_run(9));
        let server = LocalServer::new(move |_, body| {
            let mut answer = drawn(&toy.lock().unwrap(), body, &seeds);
            if body["prompt"][0] == 1 {
                spoil(&mut answer["choices"][2]);
            }
            Answer::now(answer)
        });
        let text = sampled(Some(server.settings()), &[], 3).unwrap_err().to_string();
        (text, server.seen.count())
    };
    for (spoil, parts) in [
        (
            (|choice| choice["token_ids"][0] = json!(16)) as fn(&mut serde_json::Value),
            ["choices[2].token_ids[0]", "16"],
        ),
        (|choice| choice["token_ids"] = json!(null), ["choices[2].token_ids", "return_token_ids"]),
        (|choice| choice["logprobs"] = json!(null), ["choices[2].logprobs", "null"]),
        (
            |choice| choice["logprobs"]["token_logprobs"][0] = json!(null),
            ["token_logprobs[0]", "no number"],
        ),
        (
            |choice| choice["logprobs"]["token_logprobs"] = json!([]),
            ["choices[2].logprobs", "0 tokens"],
        ),
        (|choice| choice["prompt_token_ids"][0] = json!(3), ["prompt_token_ids", "[3,"]),
        (|choice| choice["index"] = json!(0), ["choices[2].index", "once"]),
    ] {
        let (text, count) = spoilt(spoil);
        assert!(text.starts_with("prompt 2: "), "{text}");
        for part in parts {
            assert!(text.contains(part), "{text} does not say {part}");
        }
        assert!(count <= 3, "an answer is not asked for twice");
    }
    let nonsense = toy_server(|_, _| Some(Answer::Late(Duration::ZERO, json!("hello"))));
    let text = sampled(Some(nonsense.settings()), &[], 1).unwrap_err().to_string();
    assert!(text.contains("`choices`"), "{text}");
    let html = toy_server(|_, _| Some(Answer::Status(200, "<html>it works</html>".to_owned())));
    let text = sampled(Some(html.settings()), &[], 1).unwrap_err().to_string();
    assert!(text.contains("<html>") && text.contains("JSON"), "{text}");
}

#[test]
fn requests_say_all_that_the_policy_is() {
    let server = toy_server(|_, _| None);
    let settings = ServerSettings {
        model: Some("policy".to_owned()),
        api_key: Some("secret".to_owned()),
        ..server.settings()
    };
    sampled(Some(settings), &["15 1", "7"], 1).unwrap();
    let body = server.seen.bodies.lock().unwrap()[0].clone();
    let seed = dropout_seed(9, 0, 0) & 0x7fff_ffff;
    let expected = json!({
        "model": "policy", "prompt": [0, 1], "n": 3, "max_tokens": 8, "temperature": 1.0, "top_k": -1, "top_p": 1.0,
        "min_p": 0.0, "seed": seed, "stop": ["15 1", "7"], "stream": false, "logprobs": 1, "return_token_ids": true,
        "return_tokens_as_token_ids": true, "post_sampling_probs": true, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0,
    });
    assert_eq!(body, expected);
    assert_eq!(server.seen.keys.lock().unwrap()[0].as_deref(), Some("Bearer secret"));
}

#[test]
fn stop_texts_end_completions_of_a_server_that_knows_none() {
    let server = toy_server(|_, _| None);
    for stops in [&["1 "][..], &["2 7", "5"]] {
        let expected = sampled(None, stops, 6).unwrap();
        assert!(expected.iter().flatten().any(|rollout| rollout.finish == FinishReason::Stop));
        compare(&sampled(Some(server.settings()), stops, 6).unwrap(), &expected);
    }
}

#[test]
fn no_more_prompts_are_under_way_than_allowed() {
    for concurrency in [1, 3] {
        let (toy, seeds) = (Mutex::new(Toy::new().without_poison()), Seeds::of_run(9));
        let server = LocalServer::new(move |_, body| {
            let answer = drawn(&toy.lock().unwrap(), body, &seeds);
            Answer::Late(Duration::from_millis(40), answer)
        });
        let settings = ServerSettings { concurrency, ..server.settings() };
        compare(&sampled(Some(settings), &[], 9).unwrap(), &sampled(None, &[], 9).unwrap());
        assert_eq!(server.seen.most_at_once.load(Ordering::SeqCst), concurrency);
    }
}

#[test]
fn ranks_ask_one_server_and_the_first_hands_it_the_weights() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let overrides = ["objective.sampler_cap=2.0", "objective.redraw_rounds=1"];
    let [alone, shared_out] = folders.each_ref().map(|dir| config(dir.path(), &overrides));
    let mut expected = new_run(&alone, Judge::Continuous);
    finished(&mut expected, &alone);
    let toy = shared(Toy::new());
    let server = LocalServer::of(toy.clone(), Seeds::of_run(shared_out.train.seed));
    let weights = crate::communicator::threads(2, |rank| {
        let mut run = served_run(&shared_out, &server, &toy, Some(1), Some(0));
        let options = TrainOptions { ranks: Ranks::new(&rank), ..TrainOptions::default() };
        train(&mut run, &shared_out.train_settings(), &options, &mut Silent).unwrap();
        weights_of(run.model())
    });
    let handed = std::fs::read_to_string(shared_out.output.dir.join("handed")).unwrap();
    assert_eq!(handed.lines().count(), 9, "once before each step, and before the last evaluation");
    assert_eq!(weights[0], weights[1]);
    bestof_closeness::assert_close(&weights[0], weights_of(expected.model()), 1e-5);
    let report = Report::open(&shared_out.output.dir).unwrap();
    assert_eq!(values(&report, "rollout/lag"), [0.0; 8]);
}
