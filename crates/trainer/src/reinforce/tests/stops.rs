//! Stop texts, whichever tokens they come in.

use super::*;

/// Texts of the toy's tokens: `"\n\n"` is a token, and is in others.
fn piece(id: u32) -> &'static str {
    const PIECES: [&str; VOCAB] = [
        "a", "b", ".", "<end>", "\n", "\n\n", "\n\n\n", ".\n\n", "c", "d ", " e", "f", "\n g",
        "h\n", "i", "j",
    ];
    PIECES[id as usize]
}

fn pieces(ids: &[u32]) -> String {
    ids.iter().map(|id| piece(*id)).collect()
}

fn sampler(stops: &[&str]) -> Sampler {
    let dir = tempfile::tempdir().unwrap();
    let settings = config(dir.path(), &["rollout.max_new_tokens=24"]);
    let mut sampler = parts(&settings, Judge::Constant(1.0)).sampler;
    sampler.stops = stops.iter().map(|stop| (*stop).to_owned()).collect();
    sampler.decode = Box::new(pieces);
    sampler
}

fn sampled(stops: &[&str]) -> Vec<Rollout> {
    let problems = problems(5, Judge::Constant(1.0)).items;
    let asked: Vec<(usize, &Problem, u64)> =
        problems.iter().enumerate().map(|(row, problem)| (row, problem, row as u64)).collect();
    let model = Toy::new().without_poison();
    let groups = sampler(stops).sample(&model, &asked, 8).unwrap();
    groups.into_iter().flat_map(|group| group.rollouts).collect()
}

#[test]
fn a_stop_text_ends_its_completion_in_whatever_tokens_it_comes() {
    for stops in [&["\n\n"][..], &["\nf", "d  e"], &["a\n", "never"]] {
        let (free, stopped) = (sampled(&[]), sampled(stops));
        let first = |text: &str| stops.iter().filter_map(|stop| text.find(stop)).min();
        let mut forms = std::collections::BTreeSet::new();
        for (free, stopped) in free.iter().zip(&stopped) {
            // The first token with which the text has a stop text in it.
            let end = (1..=free.ids.len()).find(|&end| first(&pieces(&free.ids[..end])).is_some());
            let length = end.unwrap_or(free.ids.len());
            assert_eq!(stopped.ids, free.ids[..length], "{stops:?}");
            let text = pieces(&stopped.ids);
            let at = first(&text);
            assert_eq!(stopped.text, text[..at.unwrap_or(text.len())], "{stops:?}");
            let ended_itself = free.ids[..length].last() == Some(&END);
            assert_eq!(stopped.finish == FinishReason::Stop, at.is_some() && !ended_itself);
            assert_eq!(stopped.logprobs, free.logprobs[..length]);
            if at.is_some() {
                forms.extend(stopped.ids.last().copied());
            }
        }
        let others = stopped.iter().filter(|r| r.finish != FinishReason::Stop).count();
        assert!(others > 0 && others < stopped.len(), "{stops:?}: some end, the others go on");
        if stops == ["\n\n"] {
            assert!(forms.len() > 2, "by several tokens: {forms:?}");
        }
    }
}
