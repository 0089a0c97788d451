//! Where completions come from: the model itself, or a server.

use std::collections::HashSet;

use bestof_models::{
    AfterToken, CausalLm, FinishReason, Generation, ModelError, NewToken, Request,
};

use super::rollout::Sampler;
use super::stop::StopTexts;
use crate::error::TrainError;
use crate::server::{Bounds, ServerError};

/// Why nothing was drawn.
pub(super) enum NotDrawn {
    Model(TrainError),
    Server(ServerError),
}

impl NotDrawn {
    /// The error, with the row of the request that it is of.
    pub(super) fn at_rows(self, mut rows: impl Iterator<Item = usize>) -> TrainError {
        match self {
            Self::Model(TrainError::Model(ModelError::LogitsNotFinite {
                request, found, ..
            })) => {
                let row = rows.nth(request).unwrap_or_default();
                TrainError::ScoreNotFinite { row, name: None, found: found.into() }
            }
            Self::Model(error) => error,
            Self::Server(source) => {
                let row = rows.nth(source.request).unwrap_or_default();
                TrainError::Server { row, name: None, source: Box::new(source) }
            }
        }
    }
}

impl Sampler {
    /// Completions of each request, of at most so many tokens each, that end where a stop text does; in the
    /// order of requests and samples.
    pub(super) fn draw<M: CausalLm>(
        &self,
        model: &M,
        requests: &[Request],
        max_tokens: &[usize],
    ) -> Result<Vec<Generation>, NotDrawn> {
        let Some(server) = &self.server else {
            return self.draw_from(model, requests, max_tokens).map_err(NotDrawn::Model);
        };
        let room = |(request, most): (&Request, &usize)| {
            (*most).min(model.max_positions().saturating_sub(request.prompt.len()))
        };
        let max_tokens: Vec<usize> = requests.iter().zip(max_tokens).map(room).collect();
        let bounds =
            Bounds { vocab_size: model.vocab_size(), max_tokens: &max_tokens, stops: &self.stops };
        let mut drawn =
            server.generate(requests, &self.sampling, bounds).map_err(NotDrawn::Server)?;
        // A server may see stop texts otherwise, as in single tokens only.
        let mut stops = StopTexts::new(&self.stops);
        for generation in &mut drawn {
            self.stop(generation, &mut stops);
        }
        Ok(drawn)
    }

    fn draw_from<M: CausalLm>(
        &self,
        model: &M,
        requests: &[Request],
        max_tokens: &[usize],
    ) -> Result<Vec<Generation>, TrainError> {
        let longest = max_tokens.iter().copied().max().unwrap_or(0);
        let sampling = self.sampling.clone().with_max_new_tokens(longest);
        let mut stops = StopTexts::new(&self.stops);
        let mut lengths = vec![0; requests.len()];
        let mut spent = HashSet::new();
        let mut listener = |token: NewToken| {
            let after = stops.after(token, &self.decode);
            // Only requests of one sample are bounded by other lengths than the others.
            lengths[token.request] += 1;
            let bound = max_tokens[token.request];
            if after == AfterToken::Continue && bound < longest && lengths[token.request] >= bound {
                spent.insert(token.request);
                return AfterToken::EndSequence;
            }
            after
        };
        let mut drawn = model.generate(requests, &sampling, &mut listener)?;
        for generation in &mut drawn {
            if generation.finish == FinishReason::Stop && spent.contains(&generation.request) {
                generation.finish = FinishReason::Length;
            }
        }
        Ok(drawn)
    }

    /// Ends a completion with the token that completes a stop text.
    fn stop(&self, generation: &mut Generation, stops: &mut StopTexts<'_>) {
        let Generation { request, sample, .. } = *generation;
        let logprobs = generation.logprobs.iter();
        let end = generation.ids.iter().zip(logprobs).position(|(&token, &logprob)| {
            let token = NewToken { request, sample, token, logprob };
            stops.after(token, &self.decode) == AfterToken::EndSequence
        });
        let Some(end) = end else { return };
        let length = end + 1;
        if length < generation.ids.len() || generation.finish == FinishReason::Length {
            generation.finish = FinishReason::Stop;
        }
        generation.ids.truncate(length);
        for list in [
            &mut generation.logprobs,
            &mut generation.tempered_logprobs,
            &mut generation.sampling_logprobs,
        ] {
            list.truncate(length);
        }
    }
}
