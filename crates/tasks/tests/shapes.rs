//! Columns of public data sets as rows: what is read as what, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_tasks::rows::{
    CompletionRow, Content, DataRow, Fields, LabelledRow, PreferenceRow, Row, RowProblem,
    SupervisedRow, TextRow,
};
use serde_json::{Value, json};

fn row<R: Row>(value: Value) -> Result<R, RowProblem> {
    let Value::Object(map) = value else { panic!("not an object") };
    R::from_fields(Fields::new(map))
}

fn pair(value: Value) -> (Content, Content, Content) {
    let row: PreferenceRow = row(value).unwrap();
    (row.prompt, row.chosen, row.rejected)
}

#[test]
fn implicit_prompts_of_texts_end_before_a_word() {
    for (chosen, rejected, prompt, rest) in [
        ("The sky is blue.", "The sky is green.", "The sky is", [" blue.", " green."]),
        ("It is 12 m", "It is 13 m", "It is", [" 12 m", " 13 m"]),
        ("A:\n\nYes", "A:\n\nNo", "A:\n", ["\nYes", "\nNo"]),
        ("日本語", "日本人", "日本", ["語", "人"]),
        ("one two", "one two", "one", [" two", " two"]),
    ] {
        let found = pair(json!({"chosen": chosen, "rejected": rejected}));
        assert_eq!(found, (prompt.into(), rest[0].into(), rest[1].into()));
        let with_null = json!({"prompt": null, "chosen": chosen, "rejected": rejected});
        assert_eq!(found, pair(with_null));
    }
}

#[test]
fn implicit_prompts_of_conversations_are_shared_messages() {
    let (user, good, bad) = (
        json!({"role": "user", "content": "q"}),
        json!({"role": "assistant", "content": "good"}),
        json!({"role": "assistant", "content": "bad"}),
    );
    let explicit = json!({"prompt": [user], "chosen": [good], "rejected": [bad]});
    let implicit = json!({"chosen": [user, good], "rejected": [user, bad]});
    let redundant = json!({"prompt": "q", "chosen": [user, good], "rejected": [user, bad]});
    assert_eq!(pair(explicit.clone()), pair(implicit));
    assert_eq!(pair(explicit), pair(redundant));
    let answers_only = pair(json!({"prompt": "q", "chosen": [good], "rejected": [bad]}));
    assert_eq!(answers_only.0, "q".into());
}

#[test]
fn nothing_shared_and_no_prompt_is_a_problem() {
    let error = row::<PreferenceRow>(json!({"chosen": "yes", "rejected": "no"})).unwrap_err();
    assert!(error.to_string().contains("field `prompt`"), "{error}");
    assert!(row::<PreferenceRow>(json!({"chosen": " yes", "rejected": " no"})).is_err());
    let error = row::<PreferenceRow>(json!({"chosen": "yes", "rejected": [
        {"role": "assistant", "content": "no"}
    ]}));
    assert!(error.is_err());
}

#[test]
fn misspelt_fields_are_matched_with_the_shape_they_meant() {
    for (value, field, nearest) in [
        (json!({"prompt": "p", "choosen": "c", "rejected": "r"}), "chosen", "choosen"),
        (json!({"promt": "p", "chosen": "c", "rejectd": "r"}), "prompt", "promt"),
        (json!({"promt": "p", "chosen": "a b", "rejected": "a c"}), "prompt", "promt"),
        (json!({"promt": "p", "completion": "c"}), "prompt", "promt"),
        (json!({"prompt": "p", "completions": "c"}), "completion", "completions"),
        (json!({"txt": "p"}), "text", "txt"),
    ] {
        let message = row::<DataRow>(value).unwrap_err().to_string();
        assert!(message.contains(&format!("field `{field}` is missing")), "{message}");
        assert!(message.contains(&format!("did you mean `{nearest}`")), "{message}");
    }
}

#[test]
fn labels_are_true_or_false_and_nothing_else() {
    let labelled = |label: Value| {
        row::<LabelledRow>(json!({"prompt": "p", "completion": "c", "label": label, "id": 7}))
    };
    let found = labelled(json!(false)).unwrap();
    assert_eq!((found.label, &found.extra["id"]), (false, &json!(7)));
    for (label, shown) in
        [(json!("true"), "the text \"true\""), (json!(1), "the number 1"), (json!(null), "null")]
    {
        let message = labelled(label).unwrap_err().to_string();
        assert!(message.contains(shown) && message.contains("true or false"), "{message}");
    }
    let missing = row::<LabelledRow>(json!({"prompt": "p", "completion": "c", "lable": true}));
    assert!(missing.unwrap_err().to_string().contains("did you mean `lable`"));
    let chat = json!({"prompt": [{"role": "user", "content": "q"}],
                      "completion": [{"role": "assistant", "content": "a"}], "label": true});
    assert!(row::<LabelledRow>(chat).unwrap().completion.is_chat());
}

#[test]
fn every_shape_is_told_apart() {
    for (value, kind) in [
        (
            json!({"prompt": "p", "completion": "c", "label": null, "answer": "", "text": null}),
            "completions",
        ),
        (json!({"prompt": "p", "completion": null, "answer": "a", "chosen": null}), "answers"),
        (json!({"prompt": "p", "chosen": "c", "rejected": "r"}), "pairs"),
        (json!({"prompt": "p", "completion": "c"}), "completions"),
        (json!({"text": "t"}), "texts"),
        (json!({"messages": [{"role": "user", "content": "t"}]}), "texts"),
        (json!({"prompt": "p", "answer": 12}), "answers"),
        (json!({"prompt": "p", "completion": "c", "label": true}), "labelled completions"),
    ] {
        assert_eq!(row::<DataRow>(value).unwrap().kind(), kind);
    }
}

/// A conversation as roles and texts.
fn turns(content: &Content) -> Vec<(&str, &str)> {
    let Content::Messages(messages) = content else { panic!("plain text: {content:?}") };
    messages.iter().map(|message| (message.role(), message.text())).collect()
}

fn refused(value: Value) -> String {
    row::<DataRow>(value).expect_err("to be refused").to_string()
}

#[test]
fn orca_rows_are_conversations_with_a_system_message() {
    let (prompt, chosen, rejected) = pair(json!({
        "system": "Be kind.", "question": "What colour is the sky?",
        "chosen": "The sky is blue.", "rejected": "The sky is green.",
    }));
    assert_eq!(turns(&prompt), [("system", "Be kind."), ("user", "What colour is the sky?")]);
    assert_eq!((chosen, rejected), ("The sky is blue.".into(), "The sky is green.".into()));
    let (prompt, ..) = pair(json!({"system": "", "question": "q", "chosen": "a", "rejected": "b"}));
    assert_eq!(turns(&prompt), [("user", "q")]);
    let asked = json!([{"role": "system", "content": "x"}, {"role": "user", "content": "q"}]);
    let twice = json!({"system": "y", "prompt": asked, "chosen": "a", "rejected": "b"});
    assert!(refused(twice).contains("`system`"));
}

#[test]
fn alpaca_rows_are_what_a_user_asks() {
    let alpaca = json!({"instruction": "Sort.", "input": "3 1 2", "output": "1 2 3"});
    let DataRow::Supervised(SupervisedRow::Completion(found)) = row(alpaca).unwrap() else {
        panic!("no completion")
    };
    // LLaMA-Factory joins instruction and input with a line break.
    assert_eq!(turns(&found.prompt), [("user", "Sort.\n3 1 2")]);
    assert_eq!(found.completion, "1 2 3".into());
    let found: CompletionRow = row(json!({
        "instruction": "And?", "input": "", "output": "c", "system": "s", "history": [["a", "b"]],
    }))
    .unwrap();
    let expected = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "And?")];
    assert_eq!(turns(&found.prompt), expected);
    // Dolly names them otherwise.
    let dolly = json!({"instruction": "i", "context": "c", "response": "r", "category": "qa"});
    let found: CompletionRow = row(dolly).unwrap();
    assert_eq!(
        (turns(&found.prompt), &found.extra["category"]),
        (vec![("user", "i\nc")], &json!("qa"))
    );
    // tatsu-lab/alpaca has the rendered text too; any other text is not what the row says.
    let both =
        |text: &str| json!({"instruction": "Sort.", "input": "3 1", "output": "1 3", "text": text});
    let found: CompletionRow =
        row(both("Below.\n\n### Instruction:\nSort.\n\n### Input:\n3 1\n\n### Response:\n1 3"))
            .unwrap();
    assert_eq!(
        (turns(&found.prompt), found.completion),
        (vec![("user", "Sort.\n3 1")], "1 3".into())
    );
    let rendered = row::<DataRow>(both("### Sort.\n3 1\n1 3")).unwrap();
    assert_eq!(rendered.kind(), "completions");
    for text in
        ["User: Sort.\n3 1\nAssistant: 1 3</s>", "<|user|>Sort.\n3 1\n<|bot|> 1 3 <|end|>\n"]
    {
        assert_eq!(row::<DataRow>(both(text)).unwrap().kind(), "completions", "{text}");
    }
    for text in [
        "### Sort.\n1 3",
        // In another order, inside other words, and with more behind the answer.
        "1 3\n3 1\nSort.",
        "I Sort.\n3 1\n1 3",
        "Sort.\n3 1\n1 3\n\nAnd so on.",
        "Sort.\n3 1 2\n1 3",
    ] {
        assert!(refused(both(text)).contains("beside a prompt and `output`"), "{text}");
    }
    // Any text has a letter.
    let letter = |text: &str| json!({"prompt": "Q?", "completion": "a", "text": text});
    assert!(refused(letter("Q? All that is known about a cat.")).contains("beside a prompt"));
    assert_eq!(row::<DataRow>(letter("Q?\na")).unwrap().kind(), "completions");
}

#[test]
fn sharegpt_conversations_are_read() {
    let talk = json!({"conversations": [
        {"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"},
    ]});
    let found: TextRow = row(talk).unwrap();
    assert_eq!(turns(&found.text), [("system", "s"), ("user", "q"), ("assistant", "a")]);
    let stranger = json!({"conversations": [{"from": "narrator", "value": "q"}]});
    let message = refused(stranger);
    assert!(message.contains("conversations[0].from") && message.contains("narrator"), "{message}");
}

#[test]
fn messages_in_a_text_are_parsed_or_refused() {
    let text = r#"[{"role": "user", "content": "Name a colour"}, {"role": "assistant", "content": "Blue"}]"#;
    let found: TextRow = row(json!({"messages": text})).unwrap();
    assert_eq!(turns(&found.text), [("user", "Name a colour"), ("assistant", "Blue")]);
    assert!(refused(json!({"messages": "Name a colour"})).contains("a list of chat messages"));
    let python = refused(json!({"messages": "[{'role': 'user', 'content': 'q'}]"}));
    assert!(python.contains("json.dumps"), "{python}");
}

#[test]
fn verl_and_contest_rows_have_answers() {
    let asked = json!([{"role": "user", "content": "6*7?"}]);
    let judged = json!({"style": "rule", "ground_truth": "42"});
    for value in [
        json!({"prompt": asked, "reward_model": judged, "data_source": "x", "ability": "math",
               "extra_info": {"index": 1}}),
        json!({"prompt": asked, "reward_model": judged, "answer": 42}),
        json!({"problem": "6*7?", "solution": "\\boxed{42}", "answer": 42, "year": 2024}),
        json!({"ID": "2024-I-1", "Problem": "6*7?", "Solution": "s", "Answer": 42}),
        json!({"question": "6*7?", "ground_truth": "42"}),
    ] {
        let DataRow::Answer(found) = row(value).unwrap() else { panic!("no answer") };
        assert_eq!((found.prompt.last_text(), found.answer.as_str()), ("6*7?", "42"));
    }
    let two = json!({"prompt": "p", "reward_model": {"ground_truth": "1"}, "answer": "2"});
    assert!(refused(two).contains("reward_model.ground_truth"));
    let none = refused(json!({"prompt": "p", "reward_model": {"style": "model"}}));
    assert!(none.contains("`answer` is missing"), "{none}");
}

#[test]
fn what_would_be_lost_is_refused_by_name() {
    for (value, field) in [
        (json!({"text": "t", "label": 1}), "label"),
        (json!({"prompt": "p", "completion": "c", "weight": 0.5}), "weight"),
        (json!({"prompt": "p", "completion": "c", "images": ["a.png"]}), "images"),
        (json!({"question": "q", "choices": ["a", "b"], "answer": "a"}), "choices"),
        (json!({"question": "q", "context": "x", "answer": "a"}), "context"),
        (json!({"messages": [{"role": "user", "content": "q"}], "documents": ["d"]}), "documents"),
        (json!({"prompt": "p", "question": "q", "chosen": "a", "rejected": "b"}), "question"),
        (json!({"text": "t", "system": "s"}), "system"),
        (json!({"prompt": "p", "completion": "c", "answer": "7"}), "answer"),
        (json!({"prompt": "p", "chosen": "a", "rejected": "b", "text": "t"}), "text"),
        (json!({"prompt": "p", "completion": "c", "Instruction": "i"}), "Instruction"),
    ] {
        let message = refused(value);
        assert!(message.starts_with(&format!("field `{field}` would be ignored")), "{message}");
    }
    // Nothing is lost of what is null, empty or said elsewhere, nor of names and scores.
    for value in [
        json!({"prompt": "p", "chosen": "a", "rejected": "b", "system": null, "images": []}),
        json!({"prompt": "q", "question": "q", "answer": "a", "source": "s", "score": 0.5}),
        json!({"prompt": "q", "prompt_id": "1", "score_chosen": 8.0,
               "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
               "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
               "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]}),
    ] {
        row::<DataRow>(value).unwrap();
    }
}

#[test]
fn missing_fields_are_hinted_at_by_meaning() {
    for (value, hint) in [
        (json!({"prompt": "p", "solutions": "c", "answer": "x"}), "did you mean `answer`"),
        (json!({"question": "q", "answers": ["c"]}), "did you mean `answers`"),
    ] {
        let message = row::<SupervisedRow>(value).unwrap_err().to_string();
        assert!(message.contains("`completion` is missing") && message.contains(hint), "{message}");
    }
}

#[test]
fn keys_of_messages_are_passed_on_or_refused() {
    let talk = |message: Value| row::<TextRow>(json!({"messages": [message]}));
    let call = json!({"role": "assistant", "content": null, "name": null, "tool_calls": [
        {"type": "function", "function": {"name": "w", "arguments": {}}}
    ]});
    let Content::Messages(found) = talk(call).unwrap().text else { panic!("no messages") };
    let written = serde_json::to_value(&found[0]).unwrap();
    let expected = json!({"role": "assistant", "content": null, "tool_calls": [
        {"type": "function", "function": {"name": "w", "arguments": {}}}
    ]});
    assert_eq!(written, expected);
    assert!(!found[0].is_empty());
    let parts = json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    assert_eq!(talk(parts).unwrap().text.last_text(), "b");
    for (message, words) in [
        (
            json!({"role": "user", "content": "q", "contnt": "x"}),
            "`messages[0].contnt` would be ignored",
        ),
        (
            json!({"role": "user", "content": "q", "tone": "rude"}),
            "`messages[0].tone` would be ignored",
        ),
        (json!({"role": "assistant", "content": "a", "train": false}), "say `weight` 0 or 1"),
        (json!({"role": "assistant", "content": "a", "weight": 0.5}), "`messages[0].weight`"),
        (
            json!({"role": "user", "content": "q", "weight": 1}),
            "weight 1 on a message of the role \"user\"",
        ),
        (json!({"role": "user", "content": null}), "`messages[0].content`: found null"),
        (
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}),
            "`messages[0].content[0]`: found a part of the type \"image_url\"",
        ),
        (
            json!({"role": "assistant", "content": null, "tool_calls": "w()"}),
            "`messages[0].tool_calls`",
        ),
    ] {
        let error = talk(message).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let silent =
        json!({"role": "assistant", "content": "a", "weight": 0, "refusal": null, "id": 3});
    let Content::Messages(found) = talk(silent).unwrap().text else { panic!("no messages") };
    assert!(!found[0].is_learned());
}

#[test]
fn tools_are_kept_in_the_order_of_the_file() {
    let line = r#"{"messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"w","description":"d"}}]}"#;
    let read = bestof_tasks::rows::read_rows_from::<TextRow>(
        line.as_bytes(),
        "t.jsonl".as_ref(),
        &bestof_tasks::rows::ReadOptions::default(),
    );
    let row = &read.unwrap().rows[0];
    let tools = serde_json::to_string(row.template.tools.as_ref().unwrap()).unwrap();
    assert_eq!(tools, r#"[{"type":"function","function":{"name":"w","description":"d"}}]"#);
    let text = json!({"prompt": "p", "completion": "c", "tools": "[{\"name\": \"w\"}]"});
    let read: CompletionRow = self::row(text).unwrap();
    assert_eq!(serde_json::to_string(&read.template.tools).unwrap(), r#"[{"name":"w"}]"#);
    assert!(refused(json!({"prompt": "p", "completion": "c", "tools": "w"})).contains("`tools`"));
}
