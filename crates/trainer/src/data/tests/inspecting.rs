//! The data doctor on a small file whose every number is known.

use std::path::Path;

use bestof_tasks::rows::ReadOptions;

use super::super::{
    Boundary, Colour, DropReason, EncodeOptions, Inspection, Truncation, inspect_from,
};
use super::{CHAT, Model, byte_level};

fn look(model: &Model, options: EncodeOptions, lines: &[&str], examples: usize) -> Inspection {
    let encoder = model.encoder(options);
    let file = lines.join("\n");
    let name = Path::new("pairs.jsonl");
    inspect_from(file.as_bytes(), name, &encoder, &ReadOptions::default(), examples).unwrap()
}

const PAIRS: [&str; 6] = [
    r#"{"prompt": "pq", "chosen": "wxyz", "rejected": "wxya"}"#,
    r#"{"prompt": "pq", "chosen": "wxyz", "rejected": "wxya"}"#,
    r#"{"prompt": "p q", "chosen": "WXYZ!", "rejected": "wxya"}"#,
    r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#,
    r#"{"prompt": "2 + 2 = ", "chosen": "4", "rejected": "5"}"#,
    "nonsense",
];

#[test]
fn every_number_of_a_small_file() {
    let model = byte_level(true, None);
    let found = look(&model, EncodeOptions::training(), &PAIRS, 1);
    assert_eq!((found.rows.total, found.rows.kept, found.rows.bad), (6, 4, 1));
    assert_eq!(found.rows.shapes["pairs"], 4);
    assert_eq!(found.rows.drops[0].reason, DropReason::Identical);
    assert_eq!(found.rows.drops[0].first_lines, [4]);
    assert_eq!(found.rows.bad_rows[0].line, 6);

    let prompt = found.lengths.prompt.unwrap();
    // <s>pq, <s>pq, <s>p q, <s>2 + 2 = (with the spaces as tokens: 9).
    assert_eq!((prompt.min, prompt.median, prompt.max, prompt.count), (3, 3, 9, 4));
    let chosen = found.lengths.chosen.unwrap();
    assert_eq!((chosen.min, chosen.median, chosen.max), (2, 5, 6));
    assert_eq!(found.lengths.sequence.unwrap().max, 11);
    assert_eq!(found.lengths.completion, None);

    let tokens = &found.tokens;
    assert_eq!(tokens.tokenizer_adds, ["<s>"]);
    assert_eq!((tokens.begin_with_bos, tokens.begin_with_bos_twice), (4, 0));
    assert_eq!((tokens.completions, tokens.end_with_special), (8, 8));
    assert_eq!((tokens.separate_boundaries, tokens.prompt_ends_in_space), (1, 1));
    assert_eq!(tokens.separate_lines, [5]);

    let same = &found.duplicates;
    assert_eq!((same.exact, same.near, same.contradictions), (1, 1, 0));

    // One of five tokens differs in the first two pairs; five of six, then one of two.
    let distances = found.edit_distances.as_ref().unwrap();
    assert_eq!(
        (distances.histogram[4], distances.histogram[10], distances.histogram[16]),
        (2, 1, 1)
    );
    assert_eq!(distances.histogram.iter().sum::<usize>(), 4);
    assert_eq!(distances.median, 0.2);

    // Trees: 16 -> 10 twice (prompt 3, start 3), 19 -> 15, 22 -> 13.
    let sharing = found.sharing.unwrap();
    assert_eq!((sharing.tokens_apart, sharing.tokens_shared), (73, 48));
    assert_eq!(sharing.saved, 25.0 / 73.0);
    assert_eq!(sharing.shared_answer_start, 12.0 / 35.0);

    let example = &found.examples[0];
    assert_eq!((example.line, example.prompt.len(), example.answers.len()), (1, 3, 2));
    assert!(example.prompt.iter().all(|token| !token.trained));
    let texts: Vec<&str> =
        example.answers[0].tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(texts, ["w", "x", "y", "z", "</s>"]);
    assert!(example.answers[0].tokens.iter().all(|token| token.trained));
}

#[test]
fn the_report_reads_and_serialises() {
    let model = byte_level(true, None);
    let found = look(&model, EncodeOptions::training(), &PAIRS, 2);
    let text = found.to_string();
    for part in [
        "pairs.jsonl: 6 rows, 4 usable (4 pairs)",
        "1 dropped: chosen and rejected are the same tokens (line 4)",
        "pairs.jsonl:6: not valid JSON",
        "line 2 equals line 1",
        "line 3 nearly equals line 1",
        "shared beginnings: 34.2 % of 73 tokens",
        "look at this: 2 of 6 rows (33.3 %) are left out",
        "look at this: 1 completions (12.5 %) merge with the end of their prompt",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["rows"]["drops"][0]["reason"], "identical");
    assert_eq!(json["examples"][0]["answers"][1]["part"], "rejected");
    assert_eq!(json["examples"][0]["answers"][1]["tokens"][0]["trained"], true);
    assert_eq!(json["edit_distances"]["histogram"].as_array().unwrap().len(), 20);
    let plain = found.render_examples(Colour::Plain);
    assert!(plain.contains("chosen (5 tokens)\n[w][x][y][z][</s>]"), "{plain}");
    assert!(found.render_examples(Colour::Ansi).contains("\x1b[31m"));
}

#[test]
fn signs_of_trouble_are_named() {
    let warned = |found: &Inspection, part: &str| {
        assert!(
            found.warnings.iter().any(|warning| warning.contains(part)),
            "no `{part}` in {:?}",
            found.warnings
        );
    };
    let twice =
        byte_level(true, Some("<s><s>x{{ messages | length > 1 and messages[1].content or '' }}"));
    let chat = r#"{"prompt": [{"role": "user", "content": "q"}], "completion": "b"}"#;
    let found = look(&twice, EncodeOptions::training(), &[chat], 0);
    warned(&found, "1 rows begin with two beginning-of-text tokens");
    warned(&found, "no completion ends with a special token");

    let without = byte_level(true, Some(CHAT));
    warned(
        &look(&without, EncodeOptions::training(), &[chat], 0),
        "begin without the beginning-of-text token",
    );

    let glued = [r#"{"prompt": "why?", "chosen": "a", "rejected": "b"}"#];
    warned(
        &look(&byte_level(true, None), EncodeOptions::training(), &glued, 0),
        "1 of 1 rows have no space or line break",
    );

    let contradiction = [
        r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#,
        r#"{"prompt": "p", "chosen": "b", "rejected": "c"}"#,
    ];
    let model = byte_level(true, None);
    warned(
        &look(&model, EncodeOptions::scoring(), &contradiction, 0),
        "chosen in one row and rejected in another",
    );

    let close = [r#"{"prompt": "p", "chosen": "abcdefghij", "rejected": "abcdexghij"}"#];
    warned(&look(&model, EncodeOptions::training(), &close, 0), "dpop");
    let cut = EncodeOptions {
        max_length: Some(6),
        truncation: Truncation::KeepStart,
        ..EncodeOptions::training()
    };
    let early = [r#"{"prompt": "p", "chosen": "abcdefghij", "rejected": "xbcde"}"#];
    warned(&look(&model, cut, &early, 0), "are cut to the maximum length");
}

#[test]
fn every_shape_can_be_looked_at() {
    let model = byte_level(true, Some(CHAT));
    let lines = [
        r#"{"prompt": "p", "completion": "b"}"#,
        r#"{"text": "abc"}"#,
        r#"{"prompt": "p", "answer": "4"}"#,
        r#"{"chosen": "the blue", "rejected": "the bad"}"#,
    ];
    let found = look(&model, EncodeOptions::training(), &lines, 4);
    assert_eq!(found.rows.kept, 4);
    assert_eq!(found.rows.shapes.values().sum::<usize>(), 4);
    assert_eq!(found.examples.len(), 4);
    assert!(found.examples[2].answers.is_empty());
    assert_eq!(found.examples[3].answers[0].boundary, Boundary::Joint);
    assert_eq!(found.lengths.completion.unwrap().count, 2);
    let texts_only = look(&model, EncodeOptions::training(), &lines[1..2], 0);
    assert_eq!((texts_only.edit_distances, texts_only.sharing), (None, None));
}

#[test]
fn characters_split_over_tokens_are_shown_as_pieces() {
    let model = byte_level(false, None);
    let found = look(&model, EncodeOptions::scoring(), &[r#"{"text": "aä日"}"#], 1);
    let tokens = &found.examples[0].answers[0].tokens;
    assert_eq!(tokens.len(), 5);
    assert_eq!(tokens[0].text, "Ã");
    assert_eq!(model.text(&tokens.iter().map(|token| token.id).collect::<Vec<_>>()), "ä日");
}
