//! Open turns, generation prompts with markers, tools and weights: what the template is given.

use std::path::Path;

use bestof_tasks::rows::ReadOptions;

use super::super::{
    DataError, DropReason, EncodeOptions, EncodedCompletion, Loaded, inspect_from, load_pairs_from,
    load_supervised_from,
};
use super::{CHAT, Model, byte_level};

/// The generation prompt ends in a marker that a rendered turn does not begin with, as DeepSeek-R1's.
const THINKING: &str = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n\
     {% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}";

/// Shows tools, calls and a variable of the row.
const TOOLS: &str = "{% if tools %}{{ tools | tojson }}{% endif %}{{ tone or '' }}\
     {% for m in messages %}<|{{ m.role }}|>{{ m.content if m.content else '' }}\
     {% for call in m.tool_calls or [] %}{{ call | tojson }}{% endfor %}<|end|>\n\
     {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

const NAME: &str = "rows.jsonl";

fn load(
    model: &Model,
    options: EncodeOptions,
    row: &str,
) -> Result<Loaded<EncodedCompletion>, DataError> {
    let encoder = model.encoder(options);
    load_supervised_from(row.as_bytes(), Path::new(NAME), &encoder, &ReadOptions::default())
}

/// Prompt and completion of a row as text.
fn sides(template: &str, row: &str) -> (String, String) {
    let model = byte_level(false, Some(template));
    let item = &load(&model, EncodeOptions::training(), row).unwrap().items[0];
    (model.text(&item.prompt_ids), model.text(&item.completion_ids))
}

fn refusal(template: &str, row: &str) -> String {
    let model = byte_level(false, Some(template));
    load(&model, EncodeOptions::training(), row).expect_err("to be refused").to_string()
}

#[test]
fn a_prompt_that_ends_in_a_turn_of_the_assistant_is_continued() {
    // By hand from the template; `continue_final_message` of transformers leaves the last turn open.
    let open = "<|user|>Name a colour<|end|>\n<|assistant|>I would say";
    for completion in [r#"[{"role": "assistant", "content": " blue"}]"#, "\" blue\""] {
        let row = format!(
            r#"{{"prompt": [{{"role": "user", "content": "Name a colour"}}, {{"role": "assistant", "content": "I would say"}}], "completion": {completion}}}"#
        );
        assert_eq!(sides(CHAT, &row), (open.to_owned(), " blue<|end|>\n".to_owned()));
        assert_eq!(sides(THINKING, &row).0, open);
    }
}

#[test]
fn prompts_are_cut_back_to_what_all_renderings_share() {
    let model = byte_level(false, Some(THINKING));
    let encoder = model.encoder(EncodeOptions::training());
    let row = r#"{"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]}"#;
    let options = ReadOptions::default();
    let pairs = load_pairs_from(row.as_bytes(), Path::new(NAME), &encoder, &options).unwrap();
    let pair = &pairs.items[0];
    assert_eq!(model.text(&pair.prompt_ids), "<|user|>q<|end|>\n<|assistant|>");
    assert_eq!(model.text(&pair.chosen_ids), "a<|end|>\n");
    assert_eq!(model.text(&pair.rejected_ids), "b<|end|>\n");
    let found = inspect_from(row.as_bytes(), Path::new(NAME), &encoder, &options, 1).unwrap();
    assert_eq!((found.rows.kept, found.rows.bad), (1, 0));
    // An answer that thinks has the marker in its prompt, unless the other one does not.
    let thinks = row.replace("\"a\"", "\"<think>\\nx\"").replace("\"b\"", "\"<think>\\ny\"");
    let pairs = load_pairs_from(thinks.as_bytes(), Path::new(NAME), &encoder, &options).unwrap();
    assert_eq!(model.text(&pairs.items[0].chosen_ids), "x<|end|>\n");
    // What a model is given when it has to answer keeps the marker.
    let prompt = encoder.encode_prompt(&super::user("q")).unwrap();
    assert_eq!(model.text(&prompt), "<|user|>q<|end|>\n<|assistant|><think>\n");
    // The same in conversations of which the assistant's turns are learned.
    let talk = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}"#;
    let only = EncodeOptions { assistant_only: true, ..EncodeOptions::training() };
    let item = &load(&model, only, talk).unwrap().items[0];
    assert_eq!(model.text(&item.prompt_ids), "<|user|>q<|end|>\n<|assistant|>");
    let learned = (0..item.completion_ids.len()).filter(|&place| item.is_learned(place));
    let learned: Vec<u32> = learned.map(|place| item.completion_ids[place]).collect();
    assert_eq!(model.text(&learned), "a<|end|>\nb<|end|>\n");
}

#[test]
fn tools_calls_and_variables_reach_the_template_in_their_order() {
    // `tojson` of transformers writes keys in the order of the file.
    let row = r#"{"tools": [{"type": "function", "function": {"name": "w", "description": "d"}}], "chat_template_kwargs": {"tone": "!"}, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "w", "arguments": {"z": 1, "a": 2}}}]}]}"#;
    let (prompt, rest) = sides(TOOLS, row);
    assert_eq!(
        prompt + &rest,
        "[{\"type\": \"function\", \"function\": {\"name\": \"w\", \"description\": \"d\"}}]!\
         <|user|>q<|end|>\n<|assistant|>{\"type\": \"function\", \"function\": {\"name\": \"w\", \
         \"arguments\": {\"z\": 1, \"a\": 2}}}<|end|>\n"
    );
    // The same row without tools gets none from the row before.
    let model = byte_level(false, Some(TOOLS));
    let plain = r#"{"messages": [{"role": "user", "content": "q"}]}"#;
    let loaded = load(&model, EncodeOptions::training(), &format!("{row}\n{plain}")).unwrap();
    assert_eq!(model.text(&loaded.items[1].sequence()), "<|user|>q<|end|>\n");
}

#[test]
fn what_the_template_does_not_use_is_refused_by_name() {
    for (row, field) in [
        (
            r#"{"tools": [{"name": "w"}], "prompt": [{"role": "user", "content": "q"}], "completion": "a"}"#,
            "`tools`",
        ),
        (
            r#"{"chat_template_kwargs": {"x": 1}, "messages": [{"role": "user", "content": "q"}]}"#,
            "`chat_template_kwargs.x`",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [{"name": "w"}]}]}"#,
            "`messages[1].tool_calls`",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "a", "reasoning_content": "x"}]}"#,
            "`messages[0].reasoning_content`",
        ),
    ] {
        let message = refusal(CHAT, row);
        assert!(message.contains(field) && message.contains("does not use"), "{message}");
    }
    let plain = refusal(TOOLS, r#"{"tools": [{"name": "w"}], "prompt": "p", "completion": "c"}"#);
    assert!(plain.contains("`tools`") && plain.contains("plain text"), "{plain}");
}

#[test]
fn weights_say_which_turns_are_learned() {
    let marked = CHAT.replace("{{ m.content }}", "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}");
    let talk = |first: u8, second: u8| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "q"}}, {{"role": "assistant", "content": "a", "weight": {first}}}, {{"role": "user", "content": "r"}}, {{"role": "assistant", "content": "b", "weight": {second}}}]}}"#
        )
    };
    let only = EncodeOptions { assistant_only: true, ..EncodeOptions::training() };
    for (template, end) in [(CHAT, "<|end|>\n"), (marked.as_str(), "")] {
        let model = byte_level(false, Some(template));
        let learned = |row: &str| {
            let item = &load(&model, only, row).unwrap().items[0];
            let places = (0..item.completion_ids.len()).filter(|&place| item.is_learned(place));
            model.text(&places.map(|place| item.completion_ids[place]).collect::<Vec<_>>())
        };
        assert_eq!(learned(&talk(0, 1)), format!("b{end}"));
        assert_eq!(learned(&talk(1, 0)), format!("a{end}"));
        assert_eq!(learned(&talk(1, 1)), format!("a{end}b{end}"));
        let Err(DataError::NothingLeft { report, .. }) = load(&model, only, &talk(0, 0)) else {
            panic!("nothing is to be learned")
        };
        assert_eq!(report.drops.keys().collect::<Vec<_>>(), [&DropReason::NoAssistantToken]);
    }
    let all = refusal(CHAT, &talk(0, 1));
    assert!(all.contains("`messages[1].weight`") && all.contains("assistant_only_loss"), "{all}");
}
