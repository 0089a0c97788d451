//! Conversations of which only the assistant's turns are learned.

use std::path::Path;

use bestof_tasks::rows::ReadOptions;

use super::super::{
    Colour, DataError, DropReason, EncodeOptions, EncodedCompletion, Loaded, Truncation,
    inspect_from, load_supervised_from,
};
use super::{CHAT, Model, byte_level};

/// Marks what the assistant says, its end included.
const MARKED: &str = "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}\
     {% generation %}{{ m.content }}<|end|>{% endgeneration %}{% else %}{{ m.content }}<|end|>{% endif %}{{ '\\n' }}\
     {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

/// Leaves out what the assistant thought in earlier turns.
const STRIPPING: &str = "{% for m in messages %}<|{{ m.role }}|>\
     {% if m.role == 'assistant' and not loop.last %}{{ m.content.split(';')[-1] }}\
     {% else %}{{ m.content }}{% endif %}<|end|>\n\
     {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

const TALK: &str = r#"{"messages": [{"role": "system", "content": "the"}, {"role": "user", "content": "2?"}, {"role": "assistant", "content": "ab;c"}, {"role": "user", "content": "ue"}, {"role": "assistant", "content": "d"}]}"#;

fn options() -> EncodeOptions {
    EncodeOptions { assistant_only: true, ..EncodeOptions::training() }
}

fn load(
    model: &Model,
    options: EncodeOptions,
    row: &str,
) -> Result<Loaded<EncodedCompletion>, DataError> {
    let encoder = model.encoder(options);
    load_supervised_from(row.as_bytes(), Path::new("rows.jsonl"), &encoder, &ReadOptions::default())
}

/// The text before the first learned token, and then the pieces that are learned and those that are not.
fn shown(model: &Model, item: &EncodedCompletion) -> (String, Vec<(bool, String)>) {
    let mut pieces: Vec<(bool, Vec<u32>)> = Vec::new();
    for (place, &id) in item.completion_ids.iter().enumerate() {
        let learned = item.is_learned(place);
        match pieces.last_mut() {
            Some((kind, ids)) if *kind == learned => ids.push(id),
            _ => pieces.push((learned, vec![id])),
        }
    }
    let pieces = pieces.into_iter().map(|(learned, ids)| (learned, model.text(&ids))).collect();
    (model.text(&item.prompt_ids), pieces)
}

fn texts(pieces: &[(bool, &str)]) -> Vec<(bool, String)> {
    pieces.iter().map(|&(learned, text)| (learned, text.to_owned())).collect()
}

#[test]
fn templates_with_and_without_marks_give_the_turns_of_the_assistant() {
    let before = "<|system|>the<|end|>\n<|user|>2?<|end|>\n<|assistant|>";
    for (template, after) in [(CHAT, "<|end|>\n"), (MARKED, "<|end|>")] {
        let model = byte_level(false, Some(template));
        let item = load(&model, options(), TALK).unwrap().items.remove(0);
        let (first, last) = (format!("ab;c{after}"), format!("d{after}"));
        let rest = &"<|end|>\n"[after.len()..];
        let between = format!("{rest}<|user|>ue<|end|>\n<|assistant|>");
        let mut expected = vec![(true, first.as_str()), (false, &between), (true, &last)];
        if !rest.is_empty() {
            expected.push((false, rest));
        }
        assert_eq!(shown(&model, &item), (before.to_owned(), texts(&expected)), "{template}");
        assert_eq!(item.learned_len() + item.skipped.len(), item.completion_ids.len());
        // The default: all but the first token.
        let whole = load(&model, EncodeOptions::training(), TALK).unwrap().items.remove(0);
        assert_eq!((whole.prompt_ids.len(), whole.skipped.len()), (1, 0));
        assert_eq!(whole.sequence(), item.sequence());
    }
}

#[test]
fn a_template_that_rewrites_earlier_turns_is_refused_unless_it_marks_them() {
    let model = byte_level(false, Some(STRIPPING));
    let message = load(&model, options(), TALK).unwrap_err().to_string();
    for part in ["rows.jsonl:1", "`messages`", "first 3 messages", "{% generation %}"] {
        assert!(message.contains(part), "no `{part}` in\n{message}");
    }
    let marked = STRIPPING
        .replace("{{ m.content.split", "{% generation %}{{ m.content.split")
        .replace("[-1] }}", "[-1] }}{% endgeneration %}")
        .replace(
            "{% else %}{{ m.content }}{% endif %}",
            "{% else %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}",
        );
    let model = byte_level(false, Some(&marked));
    let talk = r#"{"messages": [{"role": "assistant", "content": "ab;c"}, {"role": "assistant", "content": "d"}]}"#;
    let item = load(&model, options(), talk).unwrap().items.remove(0);
    let (_, pieces) = shown(&model, &item);
    assert_eq!(pieces[..3], texts(&[(true, "c"), (false, "<|end|>\n<|assistant|>"), (true, "d")]));
}

#[test]
fn rows_without_anything_to_learn_are_bad_rows() {
    let model = byte_level(false, Some(CHAT));
    for (row, part) in [
        (r#"{"messages": [{"role": "user", "content": "a"}]}"#, "without a turn of the assistant"),
        (r#"{"text": "a"}"#, "a plain text"),
        (r#"{"prompt": "a", "completion": "b"}"#, "a prompt with its completion"),
    ] {
        let message = load(&model, options(), row).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains("rows.jsonl:1"), "{message}");
        assert!(message.contains("data.assistant_only_loss"), "{message}");
    }
    let unmarked = MARKED.replace("'assistant' %}{% gen", "'bot' %}{% gen");
    let message =
        load(&byte_level(false, Some(&unmarked)), options(), TALK).unwrap_err().to_string();
    assert!(message.contains("do not mark"), "{message}");
}

#[test]
fn long_conversations_are_cut_or_dropped() {
    let model = byte_level(false, Some(MARKED));
    let whole = load(&model, options(), TALK).unwrap().items.remove(0);
    let length = whole.sequence().len();
    let cut = |max_length: usize, truncation: Truncation| {
        let options = EncodeOptions { max_length: Some(max_length), truncation, ..options() };
        load(&model, options, TALK).map(|mut loaded| loaded.items.remove(0))
    };
    assert_eq!(cut(length, Truncation::Drop).unwrap(), whole);
    let start = cut(whole.prompt_ids.len() + 2, Truncation::KeepStart).unwrap();
    assert_eq!(shown(&model, &start).1, texts(&[(true, "ab")]));
    let end = cut(4, Truncation::KeepEnd).unwrap();
    assert_eq!(
        shown(&model, &end),
        ("<|assistant|>".into(), texts(&[(true, "d<|end|>"), (false, "\n")]))
    );
    for (length, truncation, reason) in [
        (length - 1, Truncation::Drop, DropReason::TooLong),
        (3, Truncation::KeepStart, DropReason::NoAssistantToken),
    ] {
        let DataError::NothingLeft { report, .. } = cut(length, truncation).unwrap_err() else {
            panic!()
        };
        assert_eq!(report.drops.keys().collect::<Vec<_>>(), [&reason]);
    }
}

#[test]
fn an_inspection_shows_what_is_learned() {
    let model = byte_level(false, Some(MARKED));
    let encoder = model.encoder(options());
    let name = Path::new("rows.jsonl");
    let found = inspect_from(TALK.as_bytes(), name, &encoder, &ReadOptions::default(), 1).unwrap();
    let plain = found.render_examples(Colour::Plain);
    assert!(plain.contains("[d][<|end|>]\\n|"), "{plain}");
    let coloured = found.render_examples(Colour::Ansi);
    assert!(
        coloured.contains("\x1b[32md\x1b[0m") || coloured.contains("\x1b[32;4md\x1b[0m"),
        "{coloured:?}"
    );
    assert!(coloured.contains("\x1b[2;7m<|user|>") || coloured.contains("\x1b[2;7;4m<|user|>"));
}
