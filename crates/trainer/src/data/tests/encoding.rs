//! The boundary rule, first and last tokens, conversations, lengths.

use bestof_tasks::rows::{ChatMessage, Content};
use proptest::prelude::*;

use super::super::{
    Boundary, DataError, DropReason, EncodeOptions, EncodedPair, Encoder, Refusal, Truncation,
};
use super::{BOS, CHAT, EOS, Model, assistant, byte_level, user, with_prefix_space};

fn pair(encoder: &Encoder<'_>, prompt: &str, chosen: &str, rejected: &str) -> EncodedPair {
    encoder.encode_pair(&prompt.into(), &chosen.into(), &rejected.into()).unwrap()
}

fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> DropReason {
    match result {
        Err(Refusal::Dropped(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn limited(max_length: usize, truncation: Truncation) -> EncodeOptions {
    EncodeOptions {
        append_end_of_text: false,
        max_length: Some(max_length),
        truncation,
        ..EncodeOptions::training()
    }
}

#[test]
fn prompt_and_completion_are_the_tokens_of_the_whole_text() {
    let model = byte_level(false, None);
    let pair = pair(&model.encoder(EncodeOptions::scoring()), "2+2 =", " 4 the", " 5");
    assert_eq!(pair.prompt_ids, model.ids("2+2 ="));
    assert_eq!(pair.chosen_sequence(), model.ids("2+2 = 4 the"));
    assert_eq!(pair.rejected_sequence(), model.ids("2+2 = 5"));
    assert_eq!((pair.chosen_boundary, pair.rejected_boundary), (Boundary::Joint, Boundary::Joint));
    // " 4" is one token of the vocabulary, which a completion encoded by itself from "4" lacks.
    assert_eq!(pair.chosen_ids.len(), 2);
}

#[test]
fn a_merge_across_the_boundary_leaves_the_prompt_as_it_is_given() {
    let model = byte_level(true, None);
    let pair = pair(&model.encoder(EncodeOptions::scoring()), "2+2 = ", "4", "5");
    assert_eq!(pair.prompt_ids, [&[BOS], model.ids("2+2 = ").as_slice()].concat());
    assert_eq!(pair.chosen_ids, model.ids("4"));
    assert_eq!(
        (pair.chosen_boundary, pair.rejected_boundary),
        (Boundary::Separate, Boundary::Joint)
    );
    assert_eq!(model.text(&pair.chosen_sequence()), "<s>2+2 = 4");
}

#[test]
fn a_completion_encoded_apart_gains_no_space() {
    let model = with_prefix_space();
    let encoder = model.encoder(EncodeOptions::scoring());
    let joint = pair(&encoder, "ab", " cd", " dc");
    assert_eq!(joint.chosen_sequence(), [&[BOS], model.ids("ab cd").as_slice()].concat());
    let apart = pair(&encoder, "ab ", "cd", "dc");
    assert_eq!(apart.chosen_boundary, Boundary::Separate);
    assert_eq!(model.tokenizer.pieces(&apart.chosen_ids), ["c", "d"]);
    assert_eq!(model.tokenizer.pieces(&model.ids("cd"))[0], "▁c");
}

#[test]
fn beginning_of_text_comes_once() {
    for (bos, prompt, expected) in
        [(true, "a", "<s>a"), (true, "<s>a", "<s>a"), (false, "a", "a"), (false, "<s>a", "<s>a")]
    {
        let model = byte_level(bos, None);
        let encoder = model.encoder(EncodeOptions::scoring());
        assert_eq!(encoder.leading_ids(), if bos { vec![BOS] } else { vec![] });
        let pair = pair(&encoder, prompt, "b", "c");
        assert_eq!(model.text(&pair.prompt_ids), expected);
        assert_eq!(model.text(&pair.chosen_sequence()), format!("{expected}b"));
        assert_eq!(encoder.encode_prompt(&prompt.into()).unwrap(), pair.prompt_ids);
    }
}

#[test]
fn end_of_text_is_learned_once_and_not_scored() {
    let model = byte_level(true, None);
    let training = model.encoder(EncodeOptions::training());
    let trained = pair(&training, "a", "b", "c</s>");
    assert_eq!(model.text(&trained.chosen_ids), "b</s>");
    assert_eq!(model.text(&trained.rejected_ids), "c</s>");
    assert_eq!(trained.chosen_ids.last(), Some(&EOS));
    let scored = pair(&model.encoder(EncodeOptions::scoring()), "a", "b", "c");
    assert_eq!(model.text(&scored.chosen_ids), "b");
    let text = training.encode_text(&"the".into()).unwrap();
    assert_eq!((model.text(&text.sequence()), text.completion_start()), ("<s>the</s>".into(), 1));
}

#[test]
fn conversations_are_the_templates_text() {
    let bos_template = format!("<s>{CHAT}");
    for (template, start) in [(CHAT, ""), (bos_template.as_str(), "<s>")] {
        // The tokenizer would add `<s>` to plain text; the template's word is final.
        let model = byte_level(true, Some(template));
        let encoder = model.encoder(EncodeOptions::training());
        let pair = encoder.encode_pair(&user("q"), &assistant("yes"), &assistant("no")).unwrap();
        assert_eq!(model.text(&pair.prompt_ids), format!("{start}<|user|>q<|end|>\n<|assistant|>"));
        assert_eq!(model.text(&pair.chosen_ids), "yes<|end|>\n");
        assert_eq!(pair.chosen_boundary, Boundary::Joint);
        let bos = pair.prompt_ids.iter().filter(|&&id| id == BOS).count();
        assert_eq!(bos, usize::from(!start.is_empty()));
        assert_eq!(encoder.encode_prompt(&user("q")).unwrap(), pair.prompt_ids);
        let started = encoder.encode_started(&user("q"), " It is").unwrap();
        let expected = format!("{start}<|user|>q<|end|>\n<|assistant|> It is");
        assert_eq!(model.text(&started), expected);
        let mixed = encoder.encode_pair(&user("q"), &"yes".into(), &"no".into()).unwrap();
        assert_eq!(mixed, pair);
        let plain_prompt = encoder.encode_completion(&"q".into(), &assistant("yes")).unwrap();
        assert_eq!(plain_prompt.completion_ids, pair.chosen_ids);
    }
}

#[test]
fn whole_conversations_are_running_text() {
    let model = byte_level(false, Some(CHAT));
    let messages = vec![ChatMessage::user("q"), ChatMessage::assistant("a")];
    let item =
        model.encoder(EncodeOptions::training()).encode_text(&Content::Messages(messages)).unwrap();
    assert_eq!(model.text(&item.sequence()), "<|user|>q<|end|>\n<|assistant|>a<|end|>\n");
    assert_eq!(item.completion_start(), 1);
}

#[test]
fn templates_that_rewrite_earlier_turns_are_refused() {
    // Writes the number of messages first, so that the prompt alone begins otherwise.
    let model = byte_level(false, Some("{{ messages | length }}<|user|>{{ messages[0].content }}"));
    let result =
        model.encoder(EncodeOptions::training()).encode_completion(&user("q"), &assistant("a"));
    let Err(Refusal::Bad(problem)) = result else { panic!("{result:?}") };
    let message = problem.to_string();
    assert!(message.contains("completion") && message.contains("2<|user|>q"), "{message}");
    assert!(message.contains("1<|user|>q"), "{message}");

    let refusing = byte_level(false, Some("{{ raise_exception('roles must alternate') }}"));
    let result = refusing.encoder(EncodeOptions::training()).encode_prompt(&user("q"));
    let Err(Refusal::Bad(problem)) = result else { panic!("{result:?}") };
    assert!(problem.to_string().contains("roles must alternate"), "{problem}");

    let plain = byte_level(false, None);
    let result = plain.encoder(EncodeOptions::training()).encode_prompt(&user("q"));
    assert!(matches!(result, Err(Refusal::NoChatTemplate)));
}

#[test]
fn rows_of_no_use_have_a_reason() {
    let model = byte_level(false, None);
    let encoder = model.encoder(EncodeOptions {
        append_end_of_text: false,
        vocab_size: Some(200),
        ..EncodeOptions::training()
    });
    let of = |prompt: &str, chosen: &str, rejected: &str| {
        reason(encoder.encode_pair(&prompt.into(), &chosen.into(), &rejected.into()))
    };
    assert_eq!(of("a", "", "b"), DropReason::EmptyCompletion);
    assert_eq!(of("a", "b", ""), DropReason::EmptyCompletion);
    assert_eq!(of("", "a", "b"), DropReason::EmptyPrompt);
    assert_eq!(of("a", "b", "b"), DropReason::Identical);
    assert_eq!(of("a", "b", "ä"), DropReason::BeyondVocabulary);
    assert_eq!(reason(encoder.encode_text(&"a".into())), DropReason::EmptyCompletion);
    // Scoring asks for no preference.
    let equal = pair(&model.encoder(EncodeOptions::scoring()), "a", "b", "b");
    assert_eq!(equal.chosen_ids, equal.rejected_ids);
    // With a beginning-of-text token, an empty prompt is one.
    let with_bos = byte_level(true, None);
    let pair = pair(&with_bos.encoder(EncodeOptions::scoring()), "", "a", "b");
    assert_eq!(pair.prompt_ids, [BOS]);
}

#[test]
fn long_rows_are_dropped_or_cut_as_asked() {
    let model = byte_level(true, None);
    let cut =
        |longest: usize, truncation: Truncation, prompt: &str, chosen: &str, rejected: &str| {
            model.encoder(limited(longest, truncation)).encode_pair(
                &prompt.into(),
                &chosen.into(),
                &rejected.into(),
            )
        };
    let texts = |result: Result<EncodedPair, Refusal>| {
        let pair = result.unwrap();
        assert!(pair.truncated);
        [&pair.prompt_ids, &pair.chosen_ids, &pair.rejected_ids].map(|ids| model.text(ids))
    };
    // <s> p q r + x y z: seven tokens.
    let fits = cut(7, Truncation::Drop, "pqr", "xyz", "x").unwrap();
    assert!(!fits.truncated);
    assert_eq!(reason(cut(6, Truncation::Drop, "pqr", "xyz", "x")), DropReason::TooLong);
    assert_eq!(reason(cut(4, Truncation::Drop, "pqr", "xyz", "x")), DropReason::PromptTooLong);

    assert_eq!(texts(cut(6, Truncation::KeepStart, "pqr", "xyz", "x")), ["<s>pqr", "xy", "x"]);
    let same = cut(5, Truncation::KeepStart, "pqr", "xyz", "xwz");
    assert_eq!(reason(same), DropReason::IdenticalAfterTruncation);
    assert_eq!(reason(cut(4, Truncation::KeepStart, "pqr", "xyz", "w")), DropReason::PromptTooLong);

    assert_eq!(texts(cut(6, Truncation::KeepEnd, "pqr", "xyz", "x")), ["<s>qr", "xyz", "x"]);
    assert_eq!(texts(cut(4, Truncation::KeepEnd, "pqr", "xyz", "x")), ["<s>", "xyz", "x"]);
    let beyond = cut(3, Truncation::KeepEnd, "pqr", "xyz", "x");
    assert_eq!(reason(beyond), DropReason::CompletionTooLong);
    assert_eq!(
        reason(cut(1, Truncation::KeepEnd, "pqr", "xyz", "x")),
        DropReason::CompletionTooLong
    );
}

#[test]
fn long_texts_are_dropped_or_cut_as_asked() {
    for (bos, start) in [(true, "<s>"), (false, "")] {
        let model = byte_level(bos, None);
        let longest = 3 + usize::from(bos);
        let of =
            |truncation| model.encoder(limited(longest, truncation)).encode_text(&"vwxyz".into());
        assert_eq!(reason(of(Truncation::Drop)), DropReason::TooLong);
        for (truncation, kept) in [(Truncation::KeepStart, "vwx"), (Truncation::KeepEnd, "xyz")] {
            let item = of(truncation).unwrap();
            assert!(item.truncated);
            assert_eq!(model.text(&item.sequence()), format!("{start}{kept}"));
            assert_eq!(item.completion_start(), 1);
        }
    }
    let model = byte_level(true, None);
    for truncation in [Truncation::Drop, Truncation::KeepStart, Truncation::KeepEnd] {
        assert!(model.encoder(limited(1, truncation)).encode_text(&"vwxyz".into()).is_err());
    }
}

#[test]
fn prompts_leave_room_for_an_answer() {
    let model = byte_level(true, None);
    let encoder = model.encoder(limited(4, Truncation::Drop));
    assert_eq!(encoder.encode_prompt(&"pq".into()).unwrap().len(), 3);
    assert_eq!(reason(encoder.encode_prompt(&"pqr".into())), DropReason::PromptTooLong);
}

#[test]
fn appending_needs_a_token_to_append() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"{"version": "1.0", "added_tokens": [], "model":
        {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#;
    std::fs::write(folder.path().join("tokenizer.json"), file).unwrap();
    let tokenizer = bestof_checkpoints::Tokenizer::from_dir(folder.path()).unwrap();
    let error = Encoder::new(&tokenizer, None, EncodeOptions::training()).unwrap_err();
    assert!(matches!(error, DataError::NoEndOfText));
    assert!(Encoder::new(&tokenizer, None, EncodeOptions::scoring()).is_ok());
}

fn check_rule(model: &Model, prompt: &str, completion: &str) {
    let encoder = model.encoder(EncodeOptions::scoring());
    let item = encoder.encode_completion(&prompt.into(), &completion.into()).unwrap();
    let framed = |text: &str| [&[BOS], model.ids(text).as_slice()].concat();
    assert_eq!(item.prompt_ids, framed(prompt), "{prompt:?} {completion:?}");
    let whole = framed(&format!("{prompt}{completion}"));
    if item.boundary == Boundary::Joint {
        assert_eq!(item.sequence(), whole);
    } else {
        assert!(!whole.starts_with(&item.prompt_ids));
        assert_eq!(item.completion_ids, model.ids(completion));
    }
    assert_eq!(model.text(&item.sequence()), format!("<s>{prompt}{completion}"));
}

proptest! {
    #[test]
    fn no_character_is_lost_at_any_boundary(
        prompt in "[ 4the blu\n日ä]{0,12}", completion in "[ 4the blu\n日ä]{1,12}",
    ) {
        check_rule(&byte_level(true, None), &prompt, &completion);
    }
}

#[test]
fn a_text_cut_by_its_bytes_first_keeps_the_same_tokens() {
    let model = byte_level(true, None);
    let long = "the 4 2+2 = ".repeat(4000);
    let whole = [&[BOS], model.ids(&long).as_slice()].concat();
    let end = whole.len() - 7;
    for (truncation, kept) in [
        (Truncation::KeepStart, whole[..8].to_vec()),
        (Truncation::KeepEnd, [&[BOS], &whole[end..]].concat()),
    ] {
        let encoder = model.encoder(limited(8, truncation));
        let text = encoder.encode_text(&long.as_str().into()).unwrap();
        assert_eq!((text.sequence(), text.truncated), (kept, true), "{truncation:?}");
    }
    let start = model.encoder(limited(8, Truncation::KeepStart));
    let row = start.encode_completion(&"a".into(), &long.as_str().into()).unwrap();
    assert_eq!(row.sequence(), [&[BOS], &model.ids(&format!("a{long}"))[..7]].concat());
    let end = model.encoder(limited(8, Truncation::KeepEnd));
    let row = end.encode_completion(&long.as_str().into(), &"b".into()).unwrap();
    // The prompt ends in a space, which the tokenizer would merge with the completion.
    let whole = [model.ids(&long), model.ids("b")].concat();
    assert_eq!(row.sequence(), [&[BOS], &whole[whole.len() - 7..]].concat());

    let drop = model.encoder(limited(8, Truncation::Drop));
    let (long, short) = (Content::from(long.as_str()), Content::from("a"));
    assert_eq!(reason(drop.encode_text(&long)), DropReason::TooLong);
    assert_eq!(reason(drop.encode_completion(&short, &long)), DropReason::TooLong);
    assert_eq!(reason(end.encode_completion(&short, &long)), DropReason::CompletionTooLong);
    for encoder in [&drop, &start] {
        assert_eq!(reason(encoder.encode_completion(&long, &short)), DropReason::PromptTooLong);
        assert_eq!(reason(encoder.encode_prompt(&long)), DropReason::PromptTooLong);
    }
}

#[test]
fn what_is_kept_of_a_row_has_no_room_for_more_than_its_tokens() {
    let model = byte_level(true, None);
    let encoder = model.encoder(EncodeOptions::training());
    let long = "the 4 2+2 = ".repeat(50);
    let text = encoder.encode_text(&long.as_str().into()).unwrap();
    let row = encoder.encode_completion(&"a".into(), &long.as_str().into()).unwrap();
    let pair = encoder.encode_pair(&"a".into(), &long.as_str().into(), &"b".into()).unwrap();
    let lists = [text.prompt_ids, text.completion_ids, row.prompt_ids, row.completion_ids];
    for list in lists.into_iter().chain([pair.prompt_ids, pair.chosen_ids, pair.rejected_ids]) {
        assert_eq!(list.capacity(), list.len());
    }
}
