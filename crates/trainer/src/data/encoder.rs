//! Texts and conversations to token ids, by the boundary rule.

mod assistant;
mod conversation;
mod turns;

use std::borrow::Cow;
use std::ops::Range;

use bestof_checkpoints::{ChatTemplate, TemplateOptions, Tokenizer};
use bestof_tasks::rows::{Content, SupervisedRow};

use super::{
    Boundary, DataError, DropReason, EncodeOptions, EncodedCompletion, EncodedPair, Refusal,
    Truncation,
};

/// Tokens beyond the maximum length that are encoded all the same, so that where a text was cut before it was
/// encoded makes no difference to the tokens that stay.
const MARGIN: usize = 64;

/// Gives back room that lists have and do not need: what is kept of a row is held as long as a run lasts.
fn shrink<const N: usize>(lists: [&mut Vec<u32>; N]) {
    lists.into_iter().for_each(Vec::shrink_to_fit);
}

/// Turns rows into token ids by the [boundary rule](super).
///
/// A text with so many bytes that its tokens cannot be within the maximum length is refused, or cut, before it
/// is encoded.
#[derive(Debug, Clone)]
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    template: Option<&'a ChatTemplate>,
    options: EncodeOptions,
    /// What the chat template is given besides messages: what a row has, and nothing else.
    inputs: TemplateOptions,
    /// What the tokenizer's post-processor puts before every text.
    leading: Vec<u32>,
    leading_text: String,
    /// Whether a text begins with a space that it does not have.
    prepends_space: bool,
    end_of_text: Option<u32>,
    /// Texts of more bytes are longer than the maximum length.
    most_bytes: usize,
}

/// One side of a boundary as text, and whether a template wrote it.
struct Rendered {
    text: String,
    chat: bool,
}

impl<'a> Encoder<'a> {
    /// An encoder for a model's tokenizer and, where it has one, chat template.
    ///
    /// # Errors
    /// [`DataError::NoEndOfText`] if one is to be appended and the tokenizer has none,
    /// [`DataError::Probe`] if the tokenizer cannot encode a single letter.
    pub fn new(
        tokenizer: &'a Tokenizer,
        template: Option<&'a ChatTemplate>,
        options: EncodeOptions,
    ) -> Result<Self, DataError> {
        let end_of_text = if options.append_end_of_text {
            Some(tokenizer.eos_id().ok_or(DataError::NoEndOfText)?)
        } else {
            None
        };
        let plain = tokenizer.encode("a", false).map_err(DataError::probe)?;
        let framed = tokenizer.encode("a", true).map_err(DataError::probe)?;
        let start = framed.windows(plain.len().max(1)).position(|window| window == plain);
        let leading = framed[..start.unwrap_or(0)].to_vec();
        let leading_text = tokenizer.decode(&leading, false).map_err(DataError::probe)?;
        let prepends_space =
            tokenizer.pieces(&plain).first().is_some_and(|piece| piece.starts_with('▁'));
        let inputs = TemplateOptions::default();
        let most_bytes = options.max_length.map_or(usize::MAX, |longest| {
            longest.saturating_add(MARGIN).saturating_mul(tokenizer.max_token_bytes())
        });
        Ok(Self {
            tokenizer,
            template,
            options,
            inputs,
            leading,
            leading_text,
            prepends_space,
            end_of_text,
            most_bytes,
        })
    }

    /// The tokens the tokenizer puts before every text, most often one or none.
    pub fn leading_ids(&self) -> &[u32] {
        &self.leading
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.tokenizer
    }

    /// The options.
    pub fn options(&self) -> &EncodeOptions {
        &self.options
    }

    /// The ids of a prompt, ready for generation; a conversation gets its generation prompt.
    ///
    /// # Errors
    /// [`Refusal::Dropped`] if it is empty or does not leave room for one token.
    pub fn encode_prompt(&self, prompt: &Content) -> Result<Vec<u32>, Refusal> {
        self.encode_started(prompt, "")
    }

    /// The same with the beginning of the answer behind the prompt, or behind its generation prompt.
    ///
    /// # Errors
    /// As [`encode_prompt`](Self::encode_prompt).
    pub fn encode_started(&self, prompt: &Content, answer: &str) -> Result<Vec<u32>, Refusal> {
        let mut prompt = self.prompt(prompt, prompt.is_chat())?;
        prompt.text.push_str(answer);
        if prompt.text.len() > self.most_bytes {
            return Err(DropReason::PromptTooLong.into());
        }
        let ids = self.prompt_ids(&prompt)?;
        if self.options.max_length.is_some_and(|longest| ids.len() >= longest) {
            return Err(DropReason::PromptTooLong.into());
        }
        self.check_vocabulary(&[&ids])?;
        Ok(ids)
    }

    /// A pair in token ids.
    ///
    /// # Errors
    /// [`Refusal::Dropped`] with the reason, [`Refusal::Bad`] if the chat template cannot render
    /// the row, [`Refusal::NoChatTemplate`] if there is none.
    pub fn encode_pair(
        &self,
        prompt: &Content,
        chosen: &Content,
        rejected: &Content,
    ) -> Result<EncodedPair, Refusal> {
        let answers = [("chosen", chosen), ("rejected", rejected)];
        let (rendered, [chosen, rejected]) = self.rendered(prompt, answers)?;
        let mut prompt_ids = self.prompt_ids(&rendered)?;
        let (mut chosen_ids, chosen_boundary) = self.completion(&rendered, &prompt_ids, &chosen)?;
        let (mut rejected_ids, rejected_boundary) =
            self.completion(&rendered, &prompt_ids, &rejected)?;
        if chosen_ids == rejected_ids && !self.options.keep_identical {
            return Err(DropReason::Identical.into());
        }
        let truncated = self.fit(&mut prompt_ids, &mut [&mut chosen_ids, &mut rejected_ids])?;
        if chosen_ids == rejected_ids && !self.options.keep_identical {
            return Err(DropReason::IdenticalAfterTruncation.into());
        }
        self.check_vocabulary(&[&prompt_ids, &chosen_ids, &rejected_ids])?;
        shrink([&mut prompt_ids, &mut chosen_ids, &mut rejected_ids]);
        Ok(EncodedPair {
            prompt_ids,
            chosen_ids,
            rejected_ids,
            chosen_boundary,
            rejected_boundary,
            truncated,
        })
    }

    /// A prompt with its completion in token ids.
    ///
    /// # Errors
    /// As [`encode_pair`](Self::encode_pair).
    pub fn encode_completion(
        &self,
        prompt: &Content,
        completion: &Content,
    ) -> Result<EncodedCompletion, Refusal> {
        let (rendered, [completion]) = self.rendered(prompt, [("completion", completion)])?;
        let mut prompt_ids = self.prompt_ids(&rendered)?;
        let (mut completion_ids, boundary) =
            self.completion(&rendered, &prompt_ids, &completion)?;
        let truncated = self.fit(&mut prompt_ids, &mut [&mut completion_ids])?;
        self.check_vocabulary(&[&prompt_ids, &completion_ids])?;
        shrink([&mut prompt_ids, &mut completion_ids]);
        let skipped = Vec::new();
        Ok(EncodedCompletion { prompt_ids, completion_ids, skipped, boundary, truncated })
    }

    /// A running text or whole conversation: all of it is trained on but what comes first, which
    /// nothing predicts.
    ///
    /// # Errors
    /// As [`encode_pair`](Self::encode_pair).
    pub fn encode_text(&self, text: &Content) -> Result<EncodedCompletion, Refusal> {
        let mut rendered = self.whole_text(text)?;
        self.shorten(&mut rendered.text)?;
        let mut ids = self.whole(&rendered.text, rendered.chat)?;
        if !rendered.chat {
            self.end(&mut ids);
        }
        let leading = if ids.starts_with(&self.leading) { self.leading.len() } else { 0 };
        let longest = self.options.max_length.unwrap_or(usize::MAX);
        let surplus = ids.len().saturating_sub(longest);
        if surplus > 0 && self.options.truncation == Truncation::KeepEnd {
            // A text has no prompt that could be cut: what is kept is the text's own end.
            ids.drain(leading..(leading + surplus).min(ids.len()));
        }
        let mut completion_ids = ids.split_off(leading.max(1).min(ids.len()));
        if completion_ids.is_empty() {
            return Err(DropReason::EmptyCompletion.into());
        }
        self.fit(&mut ids, &mut [&mut completion_ids])?;
        let truncated = surplus > 0;
        self.check_vocabulary(&[&ids, &completion_ids])?;
        shrink([&mut ids, &mut completion_ids]);
        Ok(EncodedCompletion {
            prompt_ids: ids,
            completion_ids,
            skipped: Vec::new(),
            boundary: Boundary::Joint,
            truncated,
        })
    }

    /// A row for supervised training in token ids.
    ///
    /// # Errors
    /// As [`encode_pair`](Self::encode_pair).
    pub fn encode_supervised(&self, row: &SupervisedRow) -> Result<EncodedCompletion, Refusal> {
        if self.options.assistant_only {
            return self.encode_assistant_turns(row);
        }
        match row {
            SupervisedRow::Completion(row) => {
                self.for_row(&row.template)?.encode_completion(&row.prompt, &row.completion)
            }
            SupervisedRow::Text(row) => self.for_row(&row.template)?.encode_text(&row.text),
        }
    }

    /// Cuts a text with more bytes than tokens within the maximum length can stand for, on the side that truncation
    /// cuts; what comes back is the range that is gone.
    fn shorten(&self, text: &mut String) -> Result<Range<usize>, DropReason> {
        let (length, most) = (text.len(), self.most_bytes);
        if length <= most {
            return Ok(length..length);
        }
        let gone = match self.options.truncation {
            Truncation::Drop => return Err(DropReason::TooLong),
            Truncation::KeepStart => text.floor_char_boundary(most)..length,
            Truncation::KeepEnd => {
                let leads = text.starts_with(&self.leading_text);
                let kept = if leads { self.leading_text.len() } else { 0 };
                kept..text.ceil_char_boundary(length - most).max(kept)
            }
        };
        text.drain(gone.clone());
        Ok(gone)
    }

    /// Cuts a prompt and its completions by bytes, as [`fit`](Self::fit) does by tokens.
    fn shorten_row(
        &self,
        prompt: &mut String,
        completions: &mut [String],
    ) -> Result<(), DropReason> {
        let keeps_end = self.options.truncation == Truncation::KeepEnd;
        if prompt.len() > self.most_bytes && !keeps_end {
            return Err(DropReason::PromptTooLong);
        }
        self.shorten(prompt)?;
        for text in completions {
            if !self.shorten(text)?.is_empty() && keeps_end {
                return Err(DropReason::CompletionTooLong);
            }
        }
        Ok(())
    }

    fn prompt_ids(&self, prompt: &Rendered) -> Result<Vec<u32>, Refusal> {
        let ids = self.whole(&prompt.text, prompt.chat)?;
        if ids.is_empty() { Err(DropReason::EmptyPrompt.into()) } else { Ok(ids) }
    }

    /// The ids of one completion after its prompt, and which branch of the rule gave them.
    fn completion(
        &self,
        rendered: &Rendered,
        prompt_ids: &[u32],
        text: &str,
    ) -> Result<(Vec<u32>, Boundary), Refusal> {
        let whole = self.whole(&format!("{}{text}", rendered.text), rendered.chat)?;
        let (mut ids, boundary) = match whole.strip_prefix(prompt_ids) {
            Some(rest) => (rest.to_vec(), Boundary::Joint),
            None => (self.alone(text)?, Boundary::Separate),
        };
        if ids.is_empty() {
            return Err(DropReason::EmptyCompletion.into());
        }
        if !rendered.chat {
            self.end(&mut ids);
        }
        Ok((ids, boundary))
    }

    /// The ids of a text from its beginning; never with the leading tokens twice.
    fn whole(&self, text: &str, chat: bool) -> Result<Vec<u32>, Refusal> {
        let ids = self.tokenizer.encode(text, false).map_err(Refusal::Tokenizer)?;
        if chat || ids.starts_with(&self.leading) {
            return Ok(ids);
        }
        Ok([self.leading.as_slice(), &ids].concat())
    }

    /// The ids of a text that stands in the middle of another.
    fn alone(&self, text: &str) -> Result<Vec<u32>, Refusal> {
        let encode = |text: &str| self.tokenizer.encode(text, false).map_err(Refusal::Tokenizer);
        if self.prepends_space {
            // Behind a line break the tokenizer does not add the space it puts before a text.
            let (anchor, anchored) = (encode("\n")?, encode(&format!("\n{text}"))?);
            if let Some(ids) = anchored.strip_prefix(anchor.as_slice()) {
                return Ok(ids.to_vec());
            }
        }
        encode(text)
    }

    fn end(&self, ids: &mut Vec<u32>) {
        if let Some(end) = self.end_of_text
            && ids.last() != Some(&end)
        {
            ids.push(end);
        }
    }

    /// Brings a row within the maximum length; `true` if something was cut.
    fn fit(
        &self,
        prompt: &mut Vec<u32>,
        completions: &mut [&mut Vec<u32>],
    ) -> Result<bool, DropReason> {
        let Some(longest) = self.options.max_length else { return Ok(false) };
        let completion = completions.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let surplus = (prompt.len() + completion).saturating_sub(longest);
        if surplus == 0 {
            return Ok(false);
        }
        let cuts_prompt = self.options.truncation == Truncation::KeepEnd;
        if prompt.len() >= longest && !cuts_prompt {
            return Err(DropReason::PromptTooLong);
        }
        match self.options.truncation {
            Truncation::Drop => Err(DropReason::TooLong),
            Truncation::KeepStart => {
                for ids in completions.iter_mut() {
                    ids.truncate(longest - prompt.len());
                }
                Ok(true)
            }
            Truncation::KeepEnd => {
                let kept = if prompt.starts_with(&self.leading) { self.leading.len() } else { 0 };
                // Something must stay in front of the first trained token.
                if prompt.len() - surplus.min(prompt.len()) < kept.max(1) {
                    return Err(DropReason::CompletionTooLong);
                }
                prompt.drain(kept..kept + surplus);
                Ok(true)
            }
        }
    }

    fn check_vocabulary(&self, parts: &[&[u32]]) -> Result<(), DropReason> {
        let size = self.options.vocab_size.unwrap_or(usize::MAX);
        if parts.iter().any(|ids| ids.iter().any(|&id| id as usize >= size)) {
            return Err(DropReason::BeyondVocabulary);
        }
        Ok(())
    }
}
