//! Whether two expressions are equal.

use super::Expression;
use super::approximate::{self, Approximate, SIGNED};
use super::modular::{self, NoResidue};
use crate::rational::Rational;

/// Sample points of the test for identity.
const POINTS: usize = 12;

/// Sample points that have to lie where both expressions are defined.
const MIN_POINTS: usize = 3;

/// Largest error of a value, relative to it, with which it is compared.
const MAX_ERROR: f64 = 1e-7;

/// Relative distance below which a decimal is the rounded value of a fraction that does not end.
const ROUNDED: f64 = 1e-12;

/// Whether two expressions are equal; `None` if that cannot be decided.
///
/// Numbers are compared as exact fractions; a decimal with twelve right digits equals a fraction
/// that no decimal equals, such as 1/3. Rational functions are compared in a prime field, where
/// different ones practically never agree. Anything else is compared at twelve fixed points with
/// coordinates between 0.3 and 2.3 (of either sign if there is an absolute value), up to a bound of the rounding error; at least three points
/// have to lie where both are defined.
pub(crate) fn equal(left: &Expression, right: &Expression) -> Option<bool> {
    if let (Some(left), Some(right)) = (left.exact(), right.exact()) {
        return Some(left == right || is_rounded(left, right) || is_rounded(right, left));
    }
    if left == right {
        return Some(true);
    }
    match same_residues(left, right) {
        Err(NoResidue::Unsupported) => {}
        result => return result.ok(),
    }
    let mut compared = 0;
    let start = first_point(left, right);
    for point in start..start + POINTS {
        let (a, b) = (approximate::value(left, point), approximate::value(right, point));
        if !a.is_finite() || !b.is_finite() {
            if a.is_finite() != b.is_finite() && !overflows(a) && !overflows(b) {
                // Defined on one side only: not the same expression.
                return Some(false);
            }
            continue;
        }
        let error = a.error + b.error;
        if error > MAX_ERROR * a.modulus().max(b.modulus()).max(MAX_ERROR) {
            continue;
        }
        if a.minus(b).modulus() > 2.0 * error {
            return Some(false);
        }
        compared += 1;
    }
    (compared >= MIN_POINTS).then_some(true)
}

/// The first sample point: with coordinates of either sign if there are absolute values, because
/// positive ones alone would not tell x from its absolute value.
fn first_point(left: &Expression, right: &Expression) -> usize {
    if left.has_absolute_values() || right.has_absolute_values() { SIGNED } else { 0 }
}

/// Too large for a floating-point number, or too uncertain.
fn overflows(value: Approximate) -> bool {
    value.re.is_infinite() || value.im.is_infinite() || value.error.is_infinite()
}

/// Whether `decimal` is the rounded value of `fraction`, which has no end as a decimal.
fn is_rounded(decimal: Rational, fraction: Rational) -> bool {
    let ends = |value: Rational| {
        let mut rest = value.denominator();
        for factor in [2, 5] {
            while rest % factor == 0 {
                rest /= factor;
            }
        }
        rest == 1
    };
    ends(decimal)
        && !decimal.is_integer()
        && !ends(fraction)
        && (decimal.to_f64() / fraction.to_f64() - 1.0).abs() < ROUNDED
}

fn same_residues(left: &Expression, right: &Expression) -> Result<bool, NoResidue> {
    for point in 0..2 {
        if modular::residue(left, point)? != modular::residue(right, point)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether `left` is a constant multiple of `right`, by a positive factor if `positive`; `None` if
/// that cannot be decided. Nothing is a multiple of zero.
pub(crate) fn proportional(left: &Expression, right: &Expression, positive: bool) -> Option<bool> {
    if !left.has_variables() || !right.has_variables() {
        return Some(false);
    }
    if !positive {
        let residue = modular::residue;
        let values: Result<Vec<(u64, u64)>, NoResidue> =
            (0..3).map(|point| Ok((residue(left, point)?, residue(right, point)?))).collect();
        if let Ok(values) = values {
            let (a, b) = values[0];
            let same = |(c, d): &(u64, u64)| modular::times(a, *d) == modular::times(*c, b);
            return Some(a != 0 && b != 0 && values.iter().all(same));
        }
    }
    let mut ratio: Option<Approximate> = None;
    let mut compared = 0;
    let start = first_point(left, right);
    for point in start..start + POINTS {
        let (a, b) = (approximate::value(left, point), approximate::value(right, point));
        let here = a.times(b.inverse());
        if !here.is_finite() || here.error > MAX_ERROR * here.modulus() {
            continue;
        }
        let first = *ratio.get_or_insert(here);
        let difference = here.minus(first);
        if difference.modulus() > 2.0 * difference.error || (positive && here.re <= 0.0) {
            return Some(false);
        }
        compared += 1;
    }
    (compared >= MIN_POINTS).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::super::{Expression, parse};
    use super::*;
    use crate::latex::{Commas, tokens};
    use proptest::prelude::*;

    fn read(text: &str) -> Expression {
        parse(&tokens(text, Commas::List).unwrap())
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn same(left: &str, right: &str) -> Option<bool> {
        equal(&read(left), &read(right))
    }

    #[test]
    fn equal_and_unequal_expressions() {
        for (left, right, expected) in [
            ("2\\sqrt{3}", "\\sqrt{12}", true),
            ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}", true),
            ("(x-1)(x+1)", "x^2-1", true),
            ("(x-1)(x+1)", "x^2+1", false),
            ("\\frac{x^2-1}{x-1}", "x+1", true),
            ("3xy", "3yx", true),
            ("3xy", "3x+y", false),
            ("2^{10}", "1024", true),
            ("2\\pi r", "2r\\pi", true),
            ("\\pi", "3.14159", false),
            ("\\pi", "3.14159265358979", false),
            ("\\sqrt{2}", "1.41421356", false),
            ("\\frac12", "0.5", true),
            ("\\frac{1}{12}", "0.0833333333333333", true),
            ("\\frac{1}{3}", "0.3333333", false),
            ("-\\frac{1}{2}", "\\frac{-1}{2}", true),
            ("x^{-1}", "1/x", true),
            ("1/2x", "\\frac{x}{2}", true),
            ("e^{2}", "\\exp(2)", true),
            ("\\ln e", "1", true),
            ("\\sqrt[3]{27}", "3", true),
            ("x^{2/3}", "\\sqrt[3]{x^2}", true),
            ("\\sqrt{x^2}", "x", true),
            ("|{-3}|", "3", true),
            ("\\sin^2 x + \\cos^2 x", "1", true),
            ("\\sin 2x", "2\\sin x\\cos x", true),
            ("\\tan^2(y)+1", "\\frac{1}{\\cos^2 y}", true),
            ("\\tan^2(y)+1", "\\sec^2(y)", true),
            ("\\arctan 2", "\\tan^{-1}(2)", true),
            ("\\cosh^2 x - \\sinh^2 x", "1", true),
            ("\\tanh x", "\\frac{e^x-e^{-x}}{e^x+e^{-x}}", true),
            ("\\cot x", "\\frac{\\cos x}{\\sin x}", true),
            ("\\csc x", "\\sec x", false),
            ("\\arctan 2", "\\frac{1}{\\tan 2}", false),
            ("\\log_2 8", "3", true),
            ("\\log_2 3", "\\frac{\\ln 3}{\\ln 2}", true),
            ("\\log 100", "2", true),
            ("0.1+0.2", "0.3", true),
            ("\\sqrt{x-5}", "\\sqrt{x-6}", false),
            ("e^{i\\pi}", "-1", true),
            ("\\frac{1}{1+i}", "\\frac{1-i}{2}", true),
            ("i", "-i", false),
            ("\\binom{5}{2}", "10", true),
            ("\\binom{100}{50}", "\\frac{100!}{50!50!}", true),
            ("\\frac{1}{2004!}", "\\frac{1}{2006!}", false),
            ("2004!", "2004 \\cdot 2003!", true),
            ("2^{1000}-1", "2^{1000}+1", false),
            ("4^{500}", "2^{1000}", true),
            ("10^{60}", "10^{60}+1", false),
            ("10^{10}+\\sqrt2", "10^{10}+\\sqrt3", false),
            ("10^{15}+x", "10^{15}+y", false),
            ("x^{50}+1", "x^{50}", false),
            ("x_1+x_2", "x_2+x_1", true),
            ("x_1", "x_2", false),
            ("\\lfloor x \\rfloor", "\\lceil x \\rceil", false),
            ("\\lfloor 2.5 \\rfloor", "2", true),
            ("\\sum_{k=0}^{n-1} F_k F_{n-k-1}", "\\sum_{k=0}^{n-1} F_{n-k-1} F_k", true),
            ("\\sum_{k=0}^{n-1} F_k F_{n-k-1}", "\\sum_{k=0}^{n-2} F_k F_{n-k-2}", false),
            ("\\sum_{k=1}^{n} k", "\\sum_{k=1}^{n} k^2", false),
            ("1-\\frac{1}{e}", "1+\\frac{1}{e}", false),
            ("2\\frac12", "2.5", true),
            ("3 1/2", "3.5", true),
            ("2 \\cdot \\frac12", "1", true),
            ("\\overline{AB}", "\\overline{AC}", false),
            ("f(x)+1", "1+f(x)", true),
            ("f(x)", "f(y)", false),
            ("|x|", "x", false),
            ("|x|", "\\sqrt{x^2}", true),
            ("|x-y|", "|y-x|", true),
        ] {
            let found = same(left, right);
            assert!(
                found == Some(expected) || (found.is_none() && !expected),
                "{left} and {right}: {found:?}"
            );
        }
        assert_eq!(read("\\sqrt{\\frac{9}{4}}").exact(), Rational::new(3, 2));
        assert_eq!(read("-\\frac{1}{2}").operations(), 1);
    }

    #[test]
    fn multiples_of_an_equation() {
        for (left, right, positive, expected) in [
            ("34x+45y-20z+100", "-34x-45y+20z-100", false, true),
            ("34x+45y-20z+100", "-34x-45y+20z-100", true, false),
            ("2x-4", "x-2", true, true),
            ("x^2-4", "x-2", false, false),
            ("x-\\sqrt2 y", "\\sqrt2 x-2y", true, true),
            ("x-x", "x-2", false, false),
            ("5-|x|", "5-x", true, false),
            ("3", "1", false, false),
        ] {
            assert_eq!(
                proportional(&read(left), &read(right), positive),
                Some(expected),
                "{left} and {right}"
            );
        }
    }

    proptest! {
        #[test]
        fn expansion_is_an_identity(a in -9_i32..9, b in -9_i32..9) {
            let factored = format!("(x + {a})(x - {b})").replace("+ -", "- ").replace("- -", "+ ");
            let (sum, product) = (a - b, -a * b);
            let expanded = format!("x^2 + ({sum})x + ({product})");
            prop_assert_eq!(same(&factored, &expanded), Some(true), "{} {}", factored, expanded);
            let wrong = format!("x^2 + ({})x + ({product})", sum + 1);
            prop_assert_eq!(same(&factored, &wrong), Some(false));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,30}|[0-9xy+*/^(){}|!_\\\\fracsqrtlogm. -]{0,40}") {
            if let Ok(expression) = tokens(&text, Commas::List).map_err(|_| ()).and_then(|tokens| parse(&tokens).map_err(|_| ())) {
                let doubled = Expression::Sum(Box::new(expression.clone()), Box::new(expression.clone()));
                let _ = equal(&expression, &doubled);
                let _ = proportional(&expression, &doubled, true);
            }
        }
    }
}
