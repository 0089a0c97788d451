//! Names on the left of an equation.

use crate::latex::{ACCENTS, Token, spelled};

/// Most tokens of a name.
const MAX_TOKENS: usize = 24;

/// Commands that stand before a name.
const PREFIXES: [&str; 3] = ["angle", "triangle", "measuredangle"];

/// Commands that name a quantity of what follows them.
const QUANTITIES: [&str; 8] = ["max", "min", "gcd", "lcm", "deg", "det", "dim", "Pr"];

/// Whether the tokens are one name: `x`, `x_1`, `f'(x)`, `AB`, `|AB|`, `\angle ABC`, `P(A)`,
/// `(p, q)`, `V_1 : V_2`, or words.
pub(crate) fn is_name(tokens: &[Token]) -> bool {
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return false;
    }
    if tokens.iter().all(|token| matches!(token, Token::Word(_))) {
        return true;
    }
    let ratio: Vec<&[Token]> = tokens.split(|token| *token == Token::Sign(':')).collect();
    if ratio.len() > 1 {
        return ratio.into_iter().all(is_symbol);
    }
    is_symbol(tokens)
}

/// The name without the variable that a function is applied to; `None` for words.
pub(super) fn head(tokens: &[Token]) -> Option<String> {
    if tokens.iter().any(|token| matches!(token, Token::Word(_))) {
        return None;
    }
    let head = match tokens {
        [head @ .., Token::Sign('('), Token::Letter(variable), Token::Sign(')')]
            if !head.is_empty() && variable.is_lowercase() =>
        {
            head
        }
        _ => tokens,
    };
    Some(spelled(head))
}

/// The name between the bars of `|x|`.
pub(super) fn between_bars(tokens: &[Token]) -> Option<&[Token]> {
    match tokens {
        [Token::Sign('|'), inner @ .., Token::Sign('|')] if is_symbol(inner) => Some(inner),
        _ => None,
    }
}

fn is_symbol(tokens: &[Token]) -> bool {
    if between_bars(tokens).is_some() {
        return true;
    }
    if let [Token::Command(name), rest @ ..] = tokens
        && name == "frac"
    {
        return is_ratio(rest);
    }
    if let [Token::Sign('('), inner @ .., Token::Sign(')')] = tokens {
        let parts = inner.split(|token| *token == Token::Sign(','));
        return inner.contains(&Token::Sign(',')) && parts.into_iter().all(is_letter_name);
    }
    is_letter_name(tokens)
}

/// Whether the arguments of a fraction are two lengths or the like, as in `\frac{AB}{CD}`.
fn is_ratio(tokens: &[Token]) -> bool {
    let Some(bottom) = after_argument(tokens) else { return false };
    let top = &tokens[..tokens.len() - bottom.len()];
    let is_length = |part: &[Token]| match part {
        [Token::Sign('{'), inner @ .., Token::Sign('}')] => {
            matches!(inner.first(), Some(Token::Letter(first)) if first.is_uppercase())
                && is_letter_name(inner)
        }
        _ => false,
    };
    is_length(top) && is_length(bottom)
}

/// A letter or capitals, or an accented name, with a subscript, primes and an argument.
fn is_letter_name(tokens: &[Token]) -> bool {
    let mut rest = tokens;
    if let [Token::Letter('m'), after @ ..] = rest
        && matches!(after.first(), Some(Token::Command(name)) if name == "angle")
    {
        rest = after;
    }
    if let [Token::Command(name), after @ ..] = rest
        && PREFIXES.contains(&name.as_str())
    {
        rest = after;
    }
    rest = match rest {
        [Token::Command(name), after @ ..] if ACCENTS.contains(&name.as_str()) => {
            match after_argument(after) {
                Some(after) => after,
                None => return false,
            }
        }
        [Token::Command(name), after @ ..]
            if QUANTITIES.contains(&name.as_str()) || !is_known(name) =>
        {
            after
        }
        [Token::Letter(first), after @ ..] => {
            let capitals = after.iter().take_while(
                |token| matches!(token, Token::Letter(letter) if letter.is_uppercase()),
            );
            &after[if first.is_uppercase() { capitals.count().min(4) } else { 0 }..]
        }
        _ => return false,
    };
    loop {
        rest = match rest {
            [] => return true,
            [Token::Sign('\''), after @ ..] => after,
            [Token::Sign('_'), after @ ..] => match after_argument(after) {
                Some(after) => after,
                None => return false,
            },
            // f^{-1}(x)
            [Token::Sign('^'), after @ ..] => match after_argument(after) {
                Some(after) if matches!(after.first(), Some(Token::Sign('('))) => after,
                _ => return false,
            },
            [Token::Sign('('), .., Token::Sign(')')] | [Token::Sign('['), .., Token::Sign(']')] => {
                return super::brackets::encloses_all(rest);
            }
            _ => return false,
        }
    }
}

/// Whether the command is a function or another operation.
fn is_known(name: &str) -> bool {
    matches!(
        name,
        "frac"
            | "sqrt"
            | "binom"
            | "sin"
            | "cos"
            | "tan"
            | "sec"
            | "csc"
            | "cot"
            | "arcsin"
            | "arccos"
            | "arctan"
            | "sinh"
            | "cosh"
            | "tanh"
            | "ln"
            | "log"
            | "lg"
            | "exp"
            | "sum"
            | "prod"
            | "int"
            | "lim"
            | "mod"
    )
}

/// What follows a group in braces or a single token.
fn after_argument(tokens: &[Token]) -> Option<&[Token]> {
    match tokens {
        [Token::Sign('{'), ..] => {
            let mut depth = 0_usize;
            for (at, token) in tokens.iter().enumerate() {
                match token {
                    Token::Sign('{') => depth += 1,
                    Token::Sign('}') => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(&tokens[at + 1..]);
                        }
                    }
                    _ => {}
                }
            }
            None
        }
        [Token::Sign('-'), _, after @ ..] | [_, after @ ..] => Some(after),
        [] => None,
    }
}
