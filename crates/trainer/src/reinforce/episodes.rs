//! Episodes: the policy and an environment in turns.

use std::sync::{Mutex, PoisonError};

use bestof_models::{CausalLm, FinishReason, Generation, Request};
use bestof_tasks::environment::{EnvironmentReply, Episode, NO_REWARD};
use bestof_tasks::rows::ChatMessage;
use bestof_tasks::verify::Verification;

use super::drawn::Drawn;
use super::judge::worker_count;
use super::problem::{Dialogue, Problem};
use super::rollout::Sampler;
use crate::error::TrainError;
use crate::run::dropout_seed;

/// An episode that is under way.
struct Conversation<'a> {
    dialogue: &'a Dialogue,
    problem: usize,
    sample: usize,
    messages: Vec<ChatMessage>,
    drawn: Drawn,
    turns: usize,
    /// Until it has ended, so that a program behind it need not wait for the others.
    episode: Option<Box<dyn Episode + 'a>>,
    reply: Option<EnvironmentReply>,
    end: Option<Verification>,
}

impl Sampler {
    /// Episodes of the problems, each with its row and its seed, in their order. All take their turns together.
    pub(super) fn play<M: CausalLm>(
        &self,
        model: &M,
        problems: &[(usize, &Problem, u64)],
        samples: usize,
    ) -> Result<Vec<Drawn>, TrainError> {
        let mut conversations = Vec::new();
        for (number, (row, problem, _)) in problems.iter().enumerate() {
            let Some(dialogue) = &problem.dialogue else {
                let reason = "it has no environment, and others of the step have one".to_owned();
                return Err(TrainError::Environment { row: *row, name: None, reason });
            };
            conversations
                .extend((0..samples).map(|sample| Conversation::new(dialogue, number, sample)));
        }
        for turn in 1..=self.max_turns {
            let mut live: Vec<&mut Conversation<'_>> =
                conversations.iter_mut().filter(|one| one.end.is_none()).collect();
            if live.is_empty() {
                break;
            }
            let said = self.turn(model, problems, samples, turn, &live)?;
            for (one, generation) in live.iter_mut().zip(said) {
                one.say(generation, self);
            }
            let last = turn == self.max_turns;
            let workers = worker_count(self.judging.workers, live.len());
            at_once(live.iter_mut(), workers, |one| one.answer(last));
            for one in &mut live {
                let (row, problem, _) = problems[one.problem];
                let room = model.max_positions().saturating_sub(problem.prompt_ids.len());
                one.hear(self, room.min(self.sampling.max_new_tokens), last)
                    .map_err(|reason| TrainError::Environment { row, name: None, reason })?;
            }
            // A process may take its time to end.
            let ended = live.into_iter().filter(|one| one.end.is_some());
            at_once(ended, workers, |one| one.episode = None);
        }
        Ok(conversations.into_iter().map(|one| one.finish(self)).collect())
    }

    /// What the policy says next in each of the conversations. In the first turn that is one request for all
    /// samples of a problem, as without an environment.
    fn turn<M: CausalLm>(
        &self,
        model: &M,
        problems: &[(usize, &Problem, u64)],
        samples: usize,
        turn: usize,
        live: &[&mut Conversation<'_>],
    ) -> Result<Vec<Generation>, TrainError> {
        let longest = self.sampling.max_new_tokens;
        let (requests, max_tokens, rows): (Vec<Request>, Vec<usize>, Vec<usize>) = if turn == 1 {
            let first = |(row, problem, seed): &(usize, &Problem, u64)| {
                let prompt = problem.prompt_ids.clone();
                (Request { prompt, samples, seed: *seed }, longest, *row)
            };
            problems.iter().map(first).collect()
        } else {
            let next = |one: &&mut Conversation<'_>| {
                let (row, problem, seed) = problems[one.problem];
                let prompt = [problem.prompt_ids.as_slice(), &one.drawn.ids].concat();
                let seed = dropout_seed(seed, turn as u64, one.sample as u64);
                (Request { prompt, samples: 1, seed }, longest - one.drawn.ids.len(), row)
            };
            live.iter().map(next).collect()
        };
        self.draw(model, &requests, &max_tokens)
            .map_err(|not_drawn| not_drawn.at_rows(rows.into_iter()))
    }
}

impl<'a> Conversation<'a> {
    fn new(dialogue: &'a Dialogue, problem: usize, sample: usize) -> Self {
        let drawn = Drawn {
            problem,
            ids: Vec::new(),
            foreign: Vec::new(),
            logprobs: Vec::new(),
            sampling_logprobs: Vec::new(),
            finish: FinishReason::Interrupted,
            text: String::new(),
            answer_text: String::new(),
            episode: None,
        };
        Self {
            dialogue,
            problem,
            sample,
            messages: dialogue.messages.clone(),
            drawn,
            turns: 0,
            episode: Some(dialogue.environment.begin()),
            reply: None,
            end: None,
        }
    }

    /// Takes down a turn of the policy.
    fn say(&mut self, generation: Generation, sampler: &Sampler) {
        self.turns += 1;
        self.drawn.answer_text = sampler.text_of(&generation.ids);
        self.messages.push(ChatMessage::assistant(self.drawn.answer_text.as_str()));
        self.drawn.finish = generation.finish;
        self.drawn.ids.extend(generation.ids);
        self.drawn.logprobs.extend(generation.tempered_logprobs);
        self.drawn.sampling_logprobs.extend(generation.sampling_logprobs);
    }

    /// Whether the policy's turn ended of itself, so that another one may follow.
    fn may_go_on(&self) -> bool {
        matches!(self.drawn.finish, FinishReason::Eos | FinishReason::Stop)
    }

    /// Lets the environment answer.
    fn answer(&mut self, last: bool) {
        let last = last || !self.may_go_on();
        let Some(episode) = &mut self.episode else { return };
        self.reply = Some(episode.respond(&self.messages, last));
    }

    /// Takes down what the environment said, within `room` tokens for all of the episode.
    fn hear(&mut self, sampler: &Sampler, room: usize, last: bool) -> Result<(), String> {
        let messages = match self.reply.take() {
            Some(EnvironmentReply::Messages(_)) if last || !self.may_go_on() => {
                self.end = Some(self.dialogue.environment.unrewarded(NO_REWARD));
                return Ok(());
            }
            Some(EnvironmentReply::Messages(messages)) => messages,
            Some(EnvironmentReply::End(found)) => {
                self.end = Some(found);
                return Ok(());
            }
            None => return Err("it did not answer".to_owned()),
        };
        let Some(encode) = &sampler.encode_replies else {
            return Err("the model has no chat template to write its messages with".to_owned());
        };
        let last = self.drawn.ids.last().copied();
        let end = last.filter(|id| sampler.sampling.eos_token_ids.contains(id));
        let ids = encode(&self.dialogue.template, &messages, end)?;
        let start = self.drawn.ids.len();
        if start + ids.len() >= room {
            self.drawn.finish = FinishReason::Length;
            self.end =
                Some(self.dialogue.environment.unrewarded("no tokens were left for another turn"));
            return Ok(());
        }
        self.drawn.foreign.push(start..start + ids.len());
        self.drawn.ids.extend(ids);
        self.messages.extend(messages);
        Ok(())
    }

    fn finish(mut self, sampler: &Sampler) -> Drawn {
        let end = self.end.take();
        let end = end.unwrap_or_else(|| self.dialogue.environment.unrewarded(NO_REWARD));
        let text = (sampler.decode)(&self.drawn.ids);
        Drawn { text, episode: Some((self.turns, end)), ..self.drawn }
    }
}

/// Does the work on all of them, so many at the same time.
fn at_once<T: Send>(all: impl Iterator<Item = T> + Send, workers: usize, work: impl Fn(T) + Sync) {
    let queue = Mutex::new(all);
    let work = || {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(one) = next() {
            work(one);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
}
