//! Episodes of several turns: what the environment says is context, and nobody learns it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bestof_tasks::environment::{Environment, EnvironmentReply, Episode};
use bestof_tasks::rows::{ChatMessage, TemplateFields};

use super::local_server::{LocalServer, Seeds};
use super::*;
use crate::server::CompletionServer;

/// Answers so many turns with their number, and pays for what was said.
#[derive(Debug, Clone, Copy)]
struct Counts(usize);

struct Counting(usize, usize);

impl Environment for Counts {
    fn begin(&self) -> Box<dyn Episode + '_> {
        Box::new(Counting(self.0, 0))
    }
}

impl Episode for Counting {
    fn respond(&mut self, messages: &[ChatMessage], last: bool) -> EnvironmentReply {
        self.1 += 1;
        let said = messages.iter().filter(|message| message.role() == "assistant");
        let texts: Vec<&str> = said.map(ChatMessage::text).collect();
        assert_eq!(texts.len(), self.1, "the whole conversation is there");
        if last || self.1 > self.0 {
            let tokens: Vec<u32> =
                texts.join(" ").split(' ').filter_map(|t| t.parse().ok()).collect();
            return EnvironmentReply::End(Verification::partial(value_of(&tokens), ""));
        }
        EnvironmentReply::Messages(vec![ChatMessage::new("tool", self.1.to_string())])
    }
}

/// A message with a number is this token, the number, and another token.
fn reply_ids(messages: &[ChatMessage]) -> Vec<u32> {
    messages.iter().flat_map(|message| [9, message.text().parse().unwrap(), 6]).collect()
}

/// A toy that ends its turns soon.
fn brief() -> Toy {
    let mut toy = Toy::new().without_poison();
    parameters::update(&mut toy, &mut |name, old| {
        let mut values = host_values(old.clone());
        if name == "table.weight" {
            values.chunks_mut(VOCAB).for_each(|row| row[END as usize] = 1.5);
        }
        Tensor::from_floats(values.as_slice(), &old.device())
    });
    toy
}

fn played(config: &RunConfig, environment: Counts, max_turns: usize) -> ReinforceRun<Toy> {
    let mut parts = parts(config, Judge::Continuous);
    parts.model = brief();
    for problem in parts.train.items.iter_mut().chain(&mut parts.eval.items) {
        problem.verifiers = Vec::new();
        problem.dialogue = Some(Dialogue {
            environment: Box::new(environment),
            weight: 1.0,
            messages: vec![ChatMessage::user("?")],
            template: TemplateFields::default(),
        });
    }
    parts.sampler.max_turns = max_turns;
    parts.sampler.encode_replies = Some(Box::new(|_, messages, _| Ok(reply_ids(messages))));
    ReinforceRun::new(parts).unwrap()
}

const LONG: &str = "rollout.max_new_tokens=40";

fn groups(run: &mut ReinforceRun<Toy>) -> Vec<Group> {
    run.begin_step(StepRows::alone(&[0, 3, 5]), 0, Ranks::default(), &mut Silent).unwrap();
    run.batch.take().unwrap().groups.into_values().map(|weighted| weighted.group).collect()
}

#[test]
fn turns_and_replies_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[LONG]);
    let mut run = played(&config, Counts(2), 8);
    let found = groups(&mut run);
    let mut whole = 0;
    for rollout in found.iter().flat_map(|group| &group.rollouts) {
        let turns = rollout.turns.unwrap();
        assert!((1..=3).contains(&turns) && rollout.foreign.len() == turns - 1, "{rollout:?}");
        for (number, range) in rollout.foreign.iter().enumerate() {
            assert_eq!(rollout.ids[range.clone()], [9, number as u32 + 1, 6]);
            assert_eq!(rollout.ids[range.start - 1], END, "a turn ends before it is answered");
        }
        let foreign: usize = rollout.foreign.iter().map(ExactSizeIterator::len).sum();
        assert_eq!(rollout.drawn_tokens() + foreign, rollout.ids.len());
        assert_eq!(rollout.sampling_logprobs.len(), rollout.drawn_tokens());
        let drawn: Vec<u32> = (0..rollout.ids.len())
            .filter(|at| rollout.is_drawn(*at))
            .map(|at| rollout.ids[at])
            .collect();
        if rollout.finish == FinishReason::Eos && turns == 3 {
            whole += 1;
            assert_eq!(rollout.judgement.reward, value_of(&drawn), "all turns are paid for");
        }
        assert!(rollout.ids.len() <= 40);
        assert!(rollout.is_drawn(rollout.ids.len() - 1), "no episode ends with a reply");
    }
    assert!(whole >= 4, "{whole} whole episodes are too few to tell");
    let distinct: std::collections::BTreeSet<&Vec<u32>> =
        found.iter().flat_map(|group| &group.rollouts).map(|rollout| &rollout.ids).collect();
    assert!(distinct.len() > 8, "the samples of a prompt go ways of their own");
}

/// The derivative of what was drawn by the logits after each token, and of nothing that was not.
#[test]
fn the_gradient_is_that_of_drawn_tokens_alone() {
    for more in [&[][..], &["train.max_tokens_per_forward=12"], &["objective.sampler_cap=2.0"]] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), &[&[LONG], more].concat());
        let mut run = played(&config, Counts(2), 8);
        let rows = [0, 3, 5];
        run.begin_step(StepRows::alone(&rows), 0, Ranks::default(), &mut Silent).unwrap();
        let batch = run.batch.as_ref().unwrap();
        let table = host_values(parameters::values(run.model(), "table.weight").unwrap());
        let mut expected = vec![0.0; VOCAB * VOCAB];
        let mut foreign = 0;
        for weighted in batch.groups.values() {
            let prompt = &run.parts.train.items[weighted.group.row].prompt_ids;
            for (rollout, weight) in weighted.group.rollouts.iter().zip(&weighted.weights) {
                let mut previous = *prompt.last().unwrap();
                foreign += rollout.foreign.len();
                for (at, &token) in rollout.ids.iter().enumerate() {
                    let row = &table[previous as usize * VOCAB..][..VOCAB];
                    let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
                    for next in 0..VOCAB {
                        let share = f64::from(row[next]).exp() / sum;
                        let hit = f64::from(u8::from(next == token as usize));
                        if rollout.is_drawn(at) {
                            let slope = weight * (share - hit) / rows.len() as f64;
                            expected[previous as usize * VOCAB + next] += slope;
                        }
                    }
                    previous = token;
                }
            }
        }
        assert!(foreign > 6);
        let found = run.accumulate(&rows, &context(0, rows.len())).unwrap();
        let gap = found.metrics.mean("rollout_gap").unwrap();
        assert!(gap < 1e-6, "log-probabilities belong to their tokens: {gap}");
        let gradient = NamedGradients::of(run.model(), found.gradients).values("table.weight");
        let gap = bestof_closeness::largest_difference(&gradient, &expected);
        let size = bestof_closeness::largest_magnitude(&expected);
        assert!(gap < 1e-5 * size, "{gap} of {size} {more:?}");
    }
}

#[test]
fn turns_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[LONG]);
    for most in [1, 2] {
        let found = groups(&mut played(&config, Counts(5), most));
        let rollouts = || found.iter().flat_map(|group| &group.rollouts);
        assert!(rollouts().all(|rollout| rollout.turns <= Some(most)));
        assert!(rollouts().any(|rollout| rollout.turns == Some(most)));
        // Even of the last turn the environment says what it is worth.
        assert!(rollouts().any(|rollout| rollout.judgement.reward > 0.0));
    }
}

/// Ends every other episode with its first turn, and knows how many of those are still there.
#[derive(Debug, Default)]
struct Early {
    begun: AtomicUsize,
    left: AtomicUsize,
}

struct EarlyEpisode<'a>(&'a Early, bool, usize);

impl Environment for &'static Early {
    fn begin(&self) -> Box<dyn Episode + '_> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let ends = number.is_multiple_of(2);
        self.left.fetch_add(usize::from(ends), Ordering::SeqCst);
        Box::new(EarlyEpisode(self, ends, 0))
    }
}

impl Episode for EarlyEpisode<'_> {
    fn respond(&mut self, _: &[ChatMessage], last: bool) -> EnvironmentReply {
        self.2 += 1;
        let left = self.0.left.load(Ordering::SeqCst);
        assert!(self.2 == 1 || left == 0, "{left} ended episodes are kept");
        if self.1 || last || self.2 == 3 {
            return EnvironmentReply::End(Verification::right(""));
        }
        EnvironmentReply::Messages(vec![ChatMessage::new("tool", "1")])
    }
}

impl Drop for EarlyEpisode<'_> {
    fn drop(&mut self) {
        self.0.left.fetch_sub(usize::from(self.1), Ordering::SeqCst);
    }
}

#[test]
fn an_episode_that_has_ended_is_kept_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[LONG]);
    let mut run = played(&config, Counts(2), 8);
    let early: &'static Early = Box::leak(Box::default());
    for problem in &mut run.parts.train.items {
        problem.dialogue.as_mut().unwrap().environment = Box::new(early);
    }
    let found = groups(&mut run);
    let turns = || found.iter().flat_map(|group| &group.rollouts).map(|one| one.turns);
    assert!(turns().any(|turns| turns == Some(1)) && turns().any(|turns| turns > Some(1)));
}

#[test]
fn an_episode_without_room_for_another_turn_has_the_least_reward() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["rollout.max_new_tokens=6"]);
    let found = groups(&mut played(&config, Counts(9), 8));
    let mut cut = 0;
    for rollout in found.iter().flat_map(|group| &group.rollouts) {
        assert!(rollout.ids.len() <= 6 && rollout.is_truncated(), "{rollout:?}");
        if rollout.judgement.reason.contains("no tokens were left") {
            cut += 1;
            assert_eq!(rollout.judgement.reward, 0.0);
            assert_eq!(rollout.ids.last(), Some(&END));
        }
    }
    assert!(cut > 3);
}

#[test]
fn whole_runs_are_played_here_and_by_a_server() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let overrides = [LONG, "objective.sampler_cap=2.0", "objective.redraw_rounds=1"];
    let [here, there] = folders.each_ref().map(|dir| config(dir.path(), &overrides));
    let mut expected = played(&here, Counts(1), 4);
    train(&mut expected, &here.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    let report = Report::open(&here.output.dir).unwrap();
    let turns: Vec<f64> = report.rows.iter().filter_map(|row| row.get("rollout/turns")).collect();
    assert!(turns.len() == 8 && turns.iter().all(|turns| (1.0..=2.0).contains(turns)), "{turns:?}");

    let toy = std::sync::Arc::new(Mutex::new(brief()));
    let server = LocalServer::of(toy.clone(), Seeds::of_run(there.train.seed).with_turns(4));
    let mut run = played(&there, Counts(1), 4);
    run.parts.sampler.server = Some(CompletionServer::new(server.settings()));
    let sync = WeightSync {
        command: vec!["true".to_owned()],
        every: 1,
        folder: there.output.dir.join("served"),
        write: Box::new(move |model: &Toy, _| {
            *toy.lock().unwrap() = model.clone();
            Ok(())
        }),
    };
    run.parts.served = Some(ServedWeights::new(Some(sync), None));
    train(&mut run, &there.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    assert_eq!(weights_of(run.model()), weights_of(expected.model()));
}

#[test]
fn replies_that_cannot_be_written_stop_the_run_with_the_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[LONG]);
    let mut run = played(&config, Counts(2), 8);
    run.parts.sampler.encode_replies = Some(Box::new(|_, _, _| Err("no such role".to_owned())));
    let text = run
        .begin_step(StepRows::alone(&[3]), 0, Ranks::default(), &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(text.contains("toy.jsonl:4") && text.contains("no such role"), "{text}");
    run.parts.sampler.encode_replies = None;
    let text = run
        .begin_step(StepRows::alone(&[3]), 0, Ranks::default(), &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(text.contains("chat template"), "{text}");
}
