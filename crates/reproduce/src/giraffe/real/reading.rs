//! What a model says to all questions about a record, in one forward pass.

use bestof_models::{CausalLm, ForestBuilder, ForwardOptions, Sequence, SequenceSpan};
use bestof_trainer::TrainError;
use serde::{Deserialize, Serialize};

use super::records::Question;
use crate::ReproduceError;

/// What one question gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Answered {
    /// Whether the right value is likelier than each of the others.
    pub(super) found: bool,
    /// Whether the likeliest tokens behind the beginning of the answer are the right value and then
    /// none that continues a number.
    pub(super) said: bool,
    /// `-ln p` of the right value.
    pub(super) nats: f64,
}

/// Answers to questions with the same beginning, which is computed once, and the number of tokens
/// that were computed.
///
/// Values are branches as well: where every token of one is the likeliest behind those before it,
/// decoding the likeliest token each time says that value.
pub(super) fn read(
    model: &dyn CausalLm,
    questions: &[Question],
    continues_number: &dyn Fn(u32) -> bool,
) -> Result<(Vec<Answered>, usize), ReproduceError> {
    let mut sequences: Vec<(Vec<u32>, usize)> = Vec::new();
    for Question { ids, values, .. } in questions {
        for (place, value) in values.iter().enumerate() {
            // What follows the last token is asked of the right value only.
            let seen = value.len() - usize::from(place > 0);
            sequences.push(([ids.as_slice(), &value[..seen]].concat(), ids.len() - 1));
        }
    }
    let mut builder = ForestBuilder::new();
    let group: Vec<Sequence<'_>> = sequences
        .iter()
        .map(|(tokens, start)| Sequence { tokens, completion_start: *start })
        .collect();
    let spans = builder.add_group(&group);
    let forest = builder.finish();
    let nodes_of = |span: &SequenceSpan| -> Vec<u32> {
        span.targets.iter().map(|target| forest.targets()[*target].node as u32).collect()
    };
    let nodes: Vec<Vec<u32>> = spans.iter().map(nodes_of).collect();
    let mut rows = nodes.concat();
    rows.sort_unstable();
    rows.dedup();
    let logits =
        model.logits(&forest, &rows, &ForwardOptions::default()).map_err(TrainError::from)?;
    let logits: Vec<f32> = logits.into_data().iter().collect();
    let vocabulary = model.vocab_size();
    let behind = |node: u32| {
        let row = rows.partition_point(|row| *row < node);
        &logits[row * vocabulary..][..vocabulary]
    };
    let mut branches = nodes.iter();
    let mut answered = Vec::with_capacity(questions.len());
    for question in questions {
        let mut nats = Vec::with_capacity(question.values.len());
        let mut said = false;
        for value in &question.values {
            let nodes = branches.next().map_or(&[][..], Vec::as_slice);
            let steps = || nodes.iter().zip(value);
            nats.push(-steps().map(|(node, id)| log_probability(behind(*node), *id)).sum::<f64>());
            if let Some(after) = nodes.get(value.len()) {
                said = steps().all(|(node, id)| likeliest(behind(*node)) == Some(*id))
                    && likeliest(behind(*after)).is_some_and(|token| !continues_number(token));
            }
        }
        let found = nats[1..].iter().all(|other| nats[0] < *other);
        answered.push(Answered { found, said, nats: nats[0] });
    }
    Ok((answered, forest.token_count()))
}

/// The token with the largest logit, the first of equal ones; `None` if one is not a number.
fn likeliest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (token, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, largest)| logit > largest) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token as u32)
}

fn log_probability(logits: &[f32], token: u32) -> f64 {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    logits.get(token as usize).map_or(f64::NAN, |&logit| f64::from(logit - largest) - sum.ln())
}

#[cfg(test)]
mod tests {
    use bestof_checkpoints::ModelFolder;
    use bestof_models::{AfterToken, Decoder, Generation, Request, SamplingConfig, open_device};

    use super::*;
    use crate::giraffe::real::small::small_model;

    /// What the model of a folder says of itself behind four prompts with one beginning.
    fn said(folder: &ModelFolder, model: &Decoder) -> Vec<(Vec<u32>, Generation)> {
        let shared = "a record of lines, and what is asked of it: ".repeat(8);
        let ask = |end: &str| {
            let tokenizer = folder.tokenizer().unwrap();
            let prompt = tokenizer.encode(&format!("{shared}{end}"), true).unwrap();
            let request = Request { prompt: prompt.clone(), samples: 1, seed: 0 };
            let greedy = SamplingConfig::greedy(4);
            let mut said =
                model.generate(&[request], &greedy, &mut |_| AfterToken::Continue).unwrap();
            (prompt, said.remove(0))
        };
        ["one", "two", "three", "four"].map(ask).to_vec()
    }

    #[test]
    fn branches_say_what_decoding_says() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelFolder::open(&small_model(dir.path())).unwrap();
        let model = Decoder::open(&folder, &open_device("cpu").unwrap()).unwrap();
        let said = said(&folder, &model);
        // What the model says is the right value, but for the second question, where it is another.
        let questions: Vec<Question> = said
            .iter()
            .enumerate()
            .map(|(number, (prompt, generation))| {
                let own = generation.ids[..3].to_vec();
                let other = vec![own[0], own[1], (own[2] + 1) % 90];
                let other_yet = vec![(own[0] + 1) % 90, own[1], own[2]];
                let mut values = vec![own, other, other_yet];
                if number == 1 {
                    values.swap(0, 1);
                }
                Question { ids: prompt.clone(), values, depth: 0.0 }
            })
            .collect();
        let (answered, tokens) = read(&model, &questions, &|_| false).unwrap();
        let right: Vec<bool> = answered.iter().map(|answered| answered.said).collect();
        assert_eq!(right, [true, false, true, true]);
        assert!(!answered[1].found, "another one is likelier");
        for at in [0, 2, 3] {
            let logps = &said[at].1.logprobs[..3];
            let nats: f64 = logps.iter().map(|logp| -f64::from(*logp)).sum();
            assert!((answered[at].nats - nats).abs() < 1e-4, "{answered:?}");
            let request = [&questions[at].ids[..], &questions[at].values[1]].concat();
            let forest = bestof_models::TokenForest::text(&request);
            let logps = model.token_logps(&forest, &ForwardOptions::default()).unwrap();
            let logps: Vec<f32> = logps.into_data().iter().collect();
            let other: f64 = logps[logps.len() - 3..].iter().map(|logp| -f64::from(*logp)).sum();
            assert!(other > nats + 1e-4);
        }
        assert!(tokens < 2 * questions[0].ids.len());
        // A token behind the value that continues a number makes it another number.
        let goes_on = |token: u32| token == said[2].1.ids[3];
        let (answered, _) = read(&model, &questions, &goes_on).unwrap();
        assert!(!answered[2].said);
    }

    #[test]
    fn the_right_value_is_found_if_it_is_likelier_than_all_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelFolder::open(&small_model(dir.path())).unwrap();
        let model = Decoder::open(&folder, &open_device("cpu").unwrap()).unwrap();
        let ids = folder.tokenizer().unwrap().encode("a record, and a value: ", true).unwrap();
        // Values of one token, the likeliest first.
        let row = ids.len() as u32 - 1;
        let forest = bestof_models::TokenForest::text(&ids);
        let logits = model.logits(&forest, &[row], &ForwardOptions::default()).unwrap();
        let logits: Vec<f32> = logits.into_data().iter().collect();
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        let ask = |places: [usize; 3]| {
            let values = places.map(|place| vec![order[place]]).to_vec();
            let question = Question { ids: ids.clone(), values, depth: 0.0 };
            read(&model, &[question], &|_| false).unwrap().0[0].found
        };
        assert!(ask([4, 5, 9]));
        assert!(!ask([5, 9, 4]) && !ask([9, 4, 5]));
        assert!(!ask([4, 4, 9]), "as likely is not likelier");
    }

    #[test]
    fn what_is_not_a_number_is_never_likeliest() {
        assert_eq!(likeliest(&[0.0, 2.0, 2.0, -1.0]), Some(1));
        assert_eq!(likeliest(&[0.0, f32::NAN]), None);
        assert_eq!(likeliest(&[]), None);
        assert!((log_probability(&[0.0, 0.0], 1) + 2.0_f64.ln()).abs() < 1e-12);
        assert!(log_probability(&[0.0], 7).is_nan());
    }
}
