//! Episodes: the policy and an environment in turns.

use std::sync::{Mutex, PoisonError};

use bestof_models::{CausalLm, FinishReason, Generation, Request};
use bestof_tasks::environment::{EnvironmentReply, Episode};
use bestof_tasks::rows::ChatMessage;
use bestof_tasks::verify::Verification;

use super::drawn::Drawn;
use super::judge::worker_count;
use super::problem::{Dialogue, Problem};
use super::rollout::Sampler;
use crate::error::TrainError;
use crate::run::dropout_seed;

/// Why an episode that did not end has the least reward.
const NO_REWARD: &str = "the environment gave no reward after the last turn";

/// An episode that is under way.
struct Conversation<'a> {
    dialogue: &'a Dialogue,
    problem: usize,
    sample: usize,
    messages: Vec<ChatMessage>,
    drawn: Drawn,
    turns: usize,
    episode: Box<dyn Episode + 'a>,
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
                return Err(TrainError::Environment { row: format!("prompt {}", row + 1), reason });
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
            answer(&mut live, last, workers);
            for one in live {
                let (row, problem, _) = problems[one.problem];
                let room = model.max_positions().saturating_sub(problem.prompt_ids.len());
                one.hear(self, room.min(self.sampling.max_new_tokens), last).map_err(|reason| {
                    TrainError::Environment { row: format!("prompt {}", row + 1), reason }
                })?;
            }
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
            let all = problems.iter().map(|(row, problem, seed)| {
                (
                    Request { prompt: problem.prompt_ids.clone(), samples, seed: *seed },
                    longest,
                    *row,
                )
            });
            all.collect::<Vec<_>>().into_iter().fold(Default::default(), unzipped)
        } else {
            let all = live.iter().map(|one| {
                let (row, problem, seed) = problems[one.problem];
                let prompt = [problem.prompt_ids.as_slice(), &one.drawn.ids].concat();
                let seed = dropout_seed(seed, turn as u64, one.sample as u64);
                (Request { prompt, samples: 1, seed }, longest - one.drawn.ids.len(), row)
            });
            all.collect::<Vec<_>>().into_iter().fold(Default::default(), unzipped)
        };
        self.draw(model, &requests, &max_tokens)
            .map_err(|not_drawn| not_drawn.at_rows(rows.into_iter()))
    }
}

type Requests = (Vec<Request>, Vec<usize>, Vec<usize>);

fn unzipped(mut all: Requests, one: (Request, usize, usize)) -> Requests {
    all.0.push(one.0);
    all.1.push(one.1);
    all.2.push(one.2);
    all
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
            episode: dialogue.environment.begin(),
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

    /// Takes down what the environment said, within `room` tokens for all of the episode.
    fn hear(&mut self, sampler: &Sampler, room: usize, last: bool) -> Result<(), String> {
        let messages = match self.reply.take() {
            Some(EnvironmentReply::Messages(_)) if last || !self.may_go_on() => {
                self.end = Some(self.without_reward(NO_REWARD));
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
            self.end = Some(self.without_reward("no tokens were left for another turn"));
            return Ok(());
        }
        self.drawn.foreign.push(start..start + ids.len());
        self.drawn.ids.extend(ids);
        self.messages.extend(messages);
        Ok(())
    }

    /// The end of an episode that nobody has rewarded.
    fn without_reward(&self, why: &str) -> Verification {
        let reward = *self.dialogue.environment.range().start();
        Verification { reward, ..Verification::cannot_tell(why) }
    }

    fn finish(mut self, sampler: &Sampler) -> Drawn {
        let end = self.end.take();
        let end = end.unwrap_or_else(|| self.without_reward(NO_REWARD));
        let text = (sampler.decode)(&self.drawn.ids);
        Drawn { text, episode: Some((self.turns, end)), ..self.drawn }
    }
}

/// Lets the environments answer, so many at the same time.
fn answer(live: &mut [&mut Conversation<'_>], last: bool, workers: usize) {
    let queue = Mutex::new(live.iter_mut());
    let work = || {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(one) = next() {
            let last = last || !one.may_go_on();
            one.reply = Some(one.episode.respond(&one.messages, last));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
}
