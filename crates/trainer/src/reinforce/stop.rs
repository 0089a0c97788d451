//! Texts that end a completion, whichever tokens they come in.

use std::collections::HashMap;

use bestof_models::{AfterToken, NewToken};

use crate::preference::Decode;

/// Tokens of a window beyond the bytes of a stop text: those of a character that is cut through,
/// and of a first token that decodes otherwise than in the middle of a text.
const MARGIN: usize = 4;

/// Ends sequences in whose text a stop text appears. Only the last tokens of each are decoded.
#[derive(Debug)]
pub(super) struct StopTexts<'a> {
    stops: &'a [String],
    /// The most tokens in which a stop text can lie, one byte each at the least.
    window: usize,
    /// The last tokens of each sample of each request.
    tails: HashMap<(usize, usize), Vec<u32>>,
}

impl<'a> StopTexts<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        Self { stops, window: longest + MARGIN, tails: HashMap::new() }
    }

    /// Hears of a token.
    pub(super) fn after(&mut self, token: NewToken, decode: &Decode) -> AfterToken {
        if self.stops.is_empty() {
            return AfterToken::Continue;
        }
        let tail = self.tails.entry((token.request, token.sample)).or_default();
        if tail.len() == self.window {
            tail.remove(0);
        }
        tail.push(token.token);
        match first_stop(&decode(tail), self.stops) {
            Some(_) => AfterToken::EndSequence,
            None => AfterToken::Continue,
        }
    }
}

/// Where the first of the stop texts in a text begins.
pub(super) fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of bytes, of which some are parts of a character.
    fn decode() -> Decode {
        Box::new(|ids| {
            String::from_utf8_lossy(&ids.iter().map(|id| *id as u8).collect::<Vec<u8>>())
                .into_owned()
        })
    }

    fn heard(text: &str, stops: &[&str]) -> Option<usize> {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut texts = StopTexts::new(&stops);
        text.bytes().position(|byte| {
            let token = NewToken { request: 0, sample: 0, token: byte.into(), logprob: 0.0 };
            texts.after(token, &decode()) == AfterToken::EndSequence
        })
    }

    #[test]
    fn a_stop_is_found_at_its_last_token_however_long_the_text_before() {
        let before = "é — text ".repeat(20);
        for stop in ["\n\n", "Ende — ", "é", "x"] {
            let before = before.replace(stop, "");
            assert_eq!(heard(&before, &[stop]), None);
            let text = format!("{before}{stop}more");
            assert_eq!(heard(&text, &["never", stop]), Some(before.len() + stop.len() - 1));
        }
        assert_eq!(heard(&before, &[]), None);
        assert_eq!(heard(&before, &[""]), None);
    }

    #[test]
    fn the_first_of_several_stops_counts() {
        let stops = ["later".to_owned(), String::new(), "END".to_owned()];
        assert_eq!(first_stop("a END b later END", &stops), Some(2));
        assert_eq!(first_stop("a later b END", &stops), Some(2));
        assert_eq!(first_stop("nothing", &stops), None);
    }
}
