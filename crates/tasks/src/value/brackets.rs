//! The structure that brackets and separators give to tokens.

use crate::latex::Token;

/// Tokens without the full stop and comma at their end.
pub(super) fn trimmed(mut tokens: &[Token]) -> &[Token] {
    while let [rest @ .., Token::Sign('.' | ',' | ';' | ':')] = tokens {
        tokens = rest;
    }
    tokens
}

/// The parts of `tokens` between the separators that are in no bracket.
pub(super) fn split<'t>(tokens: &'t [Token], separators: &[char]) -> Vec<&'t [Token]> {
    let (mut depth, mut start) = (0_usize, 0);
    let mut parts = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{' | '⦃' | '⌊' | '⌈') | Token::Begin(_) => depth += 1,
            Token::Sign(')' | ']' | '}' | '⦄' | '⌋' | '⌉') | Token::End => {
                depth = depth.saturating_sub(1);
            }
            Token::Sign(sign) if depth == 0 && separators.contains(sign) => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Whether the first bracket is closed by the last one.
pub(super) fn encloses_all(tokens: &[Token]) -> bool {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{' | '⦃' | '⌊' | '⌈') | Token::Begin(_) => depth += 1,
            Token::Sign(')' | ']' | '}' | '⦄' | '⌋' | '⌉') | Token::End => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1 == tokens.len();
                }
            }
            _ => {}
        }
    }
    false
}
