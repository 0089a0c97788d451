//! Answers as vLLM, `SGLang` and llama.cpp give them, and answers that cannot be used.

use serde_json::json;

use super::*;

fn asked() -> Asked<'static> {
    Asked {
        request: 3,
        prompt: &[5, 6],
        samples: 1,
        max_tokens: 4,
        stops: false,
        vocab_size: 100,
        eos_token_ids: &[2],
    }
}

fn read(choice: &Value) -> Result<Generation, String> {
    let answer = json!({ "choices": [choice] });
    asked().read(&answer).map(|mut all| all.remove(0)).map_err(|problem| problem.to_string())
}

/// `/v1/completions` with `return_token_ids`.
fn vllm() -> Value {
    json!({
        "index": 0, "text": " 42", "finish_reason": "stop", "stop_reason": null,
        "prompt_token_ids": [5, 6], "token_ids": [40, 41, 2],
        "logprobs": {
            "tokens": ["token_id:40", "token_id:41", "token_id:2"], "text_offset": [0, 2, 3],
            "token_logprobs": [-0.5, -1.25, -0.0625], "top_logprobs": null,
        },
    })
}

/// `/v1/completions` of llama.cpp's server, with `post_sampling_probs`.
fn llama_cpp() -> Value {
    let token = |id: u32, prob: f64| json!({"id": id, "token": "x", "bytes": [120], "prob": prob, "top_probs": []});
    json!({
        "index": 0, "text": " 42", "finish_reason": "stop",
        "logprobs": {"content": [token(40, 0.5), token(2, 1.0)]},
    })
}

#[test]
fn every_kind_of_server_is_understood() {
    let found = read(&vllm()).unwrap();
    assert_eq!((found.request, found.sample), (3, 0));
    assert_eq!((found.ids, found.finish), (vec![40, 41, 2], FinishReason::Eos));
    assert_eq!(found.sampling_logprobs, [-0.5, -1.25, -0.0625]);
    assert_eq!(found.tempered_logprobs, found.sampling_logprobs);

    let found = read(&llama_cpp()).unwrap();
    assert_eq!(found.ids, [40, 2]);
    assert_eq!(found.sampling_logprobs, [0.5_f32.ln(), 0.0]);

    let mut older = vllm();
    older.as_object_mut().unwrap().remove("token_ids");
    assert_eq!(read(&older).unwrap().ids, [40, 41, 2], "by the names of the tokens");

    let listed = json!({
        "finish_reason": "length", "tokens": [7, 8, 9, 1],
        "logprobs": {"content": [{"logprob": -1.0}, {"logprob": -2.0}, {"logprob": -3.0}, {"logprob": 0}]},
    });
    let found = read(&listed).unwrap();
    assert_eq!((found.ids, found.finish), (vec![7, 8, 9, 1], FinishReason::Length));
    assert_eq!(found.sampling_logprobs, [-1.0, -2.0, -3.0, 0.0]);
}

#[test]
fn completions_are_in_the_order_of_their_numbers() {
    let with = |index: u64, id: u32| {
        let mut choice = vllm();
        (choice["index"], choice["token_ids"][0]) = (json!(index), json!(id));
        choice
    };
    let asked = Asked { samples: 3, ..asked() };
    let answer = json!({ "choices": [with(2, 72), with(0, 70), with(1, 71)] });
    let found = asked.read(&answer).unwrap();
    let firsts: Vec<u32> = found.iter().map(|generation| generation.ids[0]).collect();
    assert_eq!(firsts, [70, 71, 72]);
    for answer in [
        json!({ "choices": [with(0, 1), with(1, 1), with(1, 1)] }),
        json!({ "choices": [with(0, 1), with(1, 1), with(3, 1)] }),
    ] {
        let text = asked.read(&answer).unwrap_err().to_string();
        assert!(text.contains("choices[2].index"), "{text}");
    }
    for (answer, found) in [
        (json!({ "choices": [with(0, 1)] }), "a list of 1"),
        (json!({ "error": "no" }), "missing"),
        (json!([]), "missing"),
    ] {
        let text = asked.read(&answer).unwrap_err().to_string();
        assert!(text.contains("`choices`") && text.contains(found), "{text}");
        assert!(text.contains("3 completions"), "{text}");
    }
}

#[test]
fn what_cannot_be_used_is_named_by_its_field() {
    let change = |path: &str, value: Value| {
        let mut choice = vllm();
        *choice.pointer_mut(path).unwrap() = value;
        choice
    };
    let without = |path: &str, name: &str| {
        let mut choice = vllm();
        choice.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
        choice
    };
    let mut no_ids = without("", "token_ids");
    no_ids["logprobs"]["tokens"] = json!([" 4", "2", "</s>"]);
    for (choice, parts) in [
        (no_ids, &["choices[0].token_ids", "missing", "return_token_ids"][..]),
        (change("/token_ids/1", json!(100)), &["token_ids[1]", "100", "vocabulary"]),
        (change("/token_ids/1", json!(-1)), &["token_ids[1]", "no token id"]),
        (change("/token_ids/1", json!("41")), &["token_ids[1]", "no token id"]),
        (change("/token_ids", json!([40, 2])), &["logprobs", "3 tokens", "2 tokens"]),
        (change("/logprobs", Value::Null), &["choices[0].logprobs", "null"]),
        (without("", "logprobs"), &["choices[0].logprobs", "missing"]),
        (without("/logprobs", "token_logprobs"), &["choices[0].logprobs"]),
        (change("/logprobs/token_logprobs/2", Value::Null), &["token_logprobs[2]", "no number"]),
        (change("/logprobs/token_logprobs/0", json!(0.5)), &["token_logprobs[0]", "0.5", "finite"]),
        (change("/prompt_token_ids/1", json!(7)), &["prompt_token_ids", "[5,7]", "changed or cut"]),
        (change("/prompt_token_ids", json!([5])), &["prompt_token_ids", "[5]"]),
        (change("/token_ids/2", json!(9)), &["choices[0].token_ids", "9", "ended it", "[2]"]),
        (change("/finish_reason", json!("abort")), &["finish_reason", "abort", "\"stop\""]),
        (json!({"token_ids": [], "logprobs": {"token_logprobs": []}}), &["0 tokens", "1 to 4"]),
        (
            json!({"token_ids": [1, 1, 1, 1, 1], "logprobs": {"token_logprobs": [-1, -1, -1, -1, -1]}}),
            &["5 tokens", "1 to 4"],
        ),
        (
            json!({"token_ids": [1], "logprobs": {"token_logprobs": [-1]}}),
            &["finish_reason", "missing"],
        ),
    ] {
        let text = match read(&choice) {
            Err(text) => text,
            Ok(found) => panic!("{choice} was read as {found:?}"),
        };
        for part in parts {
            assert!(text.contains(part), "{text} does not say {part}");
        }
    }
    let mut impossible = llama_cpp();
    impossible["logprobs"]["content"][0]["prob"] = json!(0.0);
    let text = read(&impossible).unwrap_err();
    assert!(text.contains("logprobs.content[0]") && text.contains("-inf"), "{text}");
}

#[test]
fn a_completion_that_stops_has_the_token_that_ended_it() {
    let mut left_out = vllm();
    left_out["token_ids"] = json!([40, 41]);
    left_out["logprobs"]["token_logprobs"] = json!([-0.5, -1.25]);
    let text = read(&left_out).unwrap_err();
    assert!(text.contains("token_ids") && text.contains("ended it, as its last id"), "{text}");
    let answer = |choice: &Value| json!({ "choices": [choice] });
    // A stop text may have ended it.
    let found = Asked { stops: true, ..asked() }.read(&answer(&left_out)).unwrap().remove(0);
    assert_eq!((found.ids.len(), found.finish), (2, FinishReason::Stop));
    // A model without end tokens does not stop, and nobody can tell what its server stopped at.
    let endless = Asked { eos_token_ids: &[], ..asked() };
    let text = endless.read(&answer(&vllm())).unwrap_err().to_string();
    assert!(text.contains("one of []") && text.contains("eos_token_id"), "{text}");
    let mut cut = left_out;
    cut["finish_reason"] = json!("length");
    let found = endless.read(&answer(&cut)).unwrap().remove(0);
    assert_eq!(found.finish, FinishReason::Length);
}

#[test]
fn a_missing_reason_follows_from_the_tokens() {
    let with = |ids: &[u32]| json!({"token_ids": ids, "logprobs": {"token_logprobs": vec![-1.0; ids.len()]}});
    assert_eq!(read(&with(&[1, 2])).unwrap().finish, FinishReason::Eos);
    assert_eq!(read(&with(&[1, 1, 1, 1])).unwrap().finish, FinishReason::Length);
    let mut empty = with(&[]);
    empty["finish_reason"] = json!("stop");
    assert!(read(&empty).unwrap_err().contains("0 tokens"));
    // llama.cpp leaves the tokens of a stop text out.
    let answer = json!({ "choices": [empty] });
    let found = Asked { stops: true, ..asked() }.read(&answer).unwrap().remove(0);
    assert_eq!((found.ids.len(), found.finish), (0, FinishReason::Stop));
    let mut both = with(&[1, 1, 1, 2]);
    both["finish_reason"] = json!("length");
    assert_eq!(read(&both).unwrap().finish, FinishReason::Eos, "the end token came last");
}
