//! Whether two values are the same answer.

use super::{Amount, Kind, MAX_PARTS, Value};
use crate::algebra::{Expression, equal, proportional};
use crate::rational::Rational;

/// How many operations more than the expected number a calculation may have.
const FREE_OPERATIONS: usize = 1;

/// Whether `found` is the answer `expected`; `None` if that cannot be decided.
pub(crate) fn same(expected: &Value, found: &Value) -> Option<bool> {
    if let (Some(one), Some(other)) = (&expected.name, &found.name)
        && one != other
    {
        return equations(expected, found);
    }
    if !expected.text.is_empty() && spelled_alike(expected, found) {
        return Some(true);
    }
    match (&expected.kind, &found.kind) {
        (Kind::Text, _) => Some(false),
        (_, Kind::Text) => None,
        (Kind::Set(one), Kind::Set(other)) if are_named(one) != are_named(other) => {
            in_order(one, other)
        }
        (Kind::Set(one), Kind::Set(other)) => any_order(one, &without_repetitions(one, other)),
        (Kind::Set(parts), Kind::Sequence { open: '(', parts: others, close: ')' })
        | (Kind::Sequence { open: '(', parts: others, close: ')' }, Kind::Set(parts))
            if are_named(parts) && !are_named(others) =>
        {
            in_order_either(parts, others, matches!(expected.kind, Kind::Set(_)))
        }
        (Kind::Set(one), _) if one.len() == 1 => same(&one[0], found),
        (_, Kind::Set(other)) if other.len() == 1 => same(expected, &other[0]),
        (Kind::Union(one), Kind::Union(other)) => any_order(one, other),
        (
            Kind::Sequence { open, parts, close },
            Kind::Sequence { open: other_open, parts: others, close: other_close },
        ) => {
            if open != other_open || close != other_close {
                return Some(false);
            }
            in_order(parts, others)
        }
        (Kind::Operation(sign, one), Kind::Operation(other_sign, other)) => {
            if sign != other_sign {
                return Some(false);
            }
            in_order(one, other)
        }
        (Kind::Ratio(one), Kind::Ratio(other)) => in_order(one, other),
        (Kind::Matrix { kind, rows }, Kind::Matrix { kind: other_kind, rows: others }) => {
            let shape = |rows: &[Vec<Value>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
            if kind != other_kind || shape(rows) != shape(others) {
                return Some(false);
            }
            all(rows.iter().flatten().zip(others.iter().flatten()))
        }
        (Kind::Not(one), Kind::Not(other)) => same(one, other),
        (Kind::Amount(one), Kind::Amount(other)) => same_amount(one, other),
        _ => equations(expected, found),
    }
}

/// Whether the spellings are equal; those of words also in another case.
fn spelled_alike(expected: &Value, found: &Value) -> bool {
    let words = expected.kind == Kind::Text || found.kind == Kind::Text;
    expected.text == found.text
        || (words && expected.text.to_lowercase() == found.text.to_lowercase())
}

/// Whether both are equations or inequalities that say the same.
fn equations(expected: &Value, found: &Value) -> Option<bool> {
    fn relation(value: &Value) -> Option<(char, &Expression)> {
        match (&value.kind, &value.relation) {
            (Kind::Relation { sign, difference }, _) | (_, Some((sign, difference))) => {
                Some((*sign, difference))
            }
            _ => None,
        }
    }
    let (Some((sign, one)), Some((other_sign, other))) = (relation(expected), relation(found))
    else {
        return Some(false);
    };
    if sign != other_sign {
        return Some(false);
    }
    proportional(one, other, matches!(sign, '<' | '≤'))
}

/// Whether every part is the value of a name of its own.
fn are_named(parts: &[Value]) -> bool {
    let mut names: Vec<&String> = parts.iter().filter_map(|part| part.name.as_ref()).collect();
    names.sort_unstable();
    names.dedup();
    parts.len() > 1 && names.len() == parts.len()
}

fn all<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Option<bool> {
    let mut result = Some(true);
    for (one, other) in pairs {
        match same(one, other) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    result
}

fn in_order(expected: &[Value], found: &[Value]) -> Option<bool> {
    if expected.len() != found.len() {
        return Some(false);
    }
    if expected.len() > MAX_PARTS {
        return None;
    }
    all(expected.iter().zip(found))
}

fn in_order_either(parts: &[Value], others: &[Value], expected_first: bool) -> Option<bool> {
    if expected_first { in_order(parts, others) } else { in_order(others, parts) }
}

/// The parts of `found` without those that repeat one, unless `expected` has repetitions as well.
fn without_repetitions(expected: &[Value], found: &[Value]) -> Vec<Value> {
    fn distinct(parts: &[Value]) -> Vec<Value> {
        let mut seen: Vec<&str> = Vec::new();
        let mut kept = Vec::new();
        for part in parts.iter().take(MAX_PARTS) {
            if !seen.contains(&part.text.as_str()) {
                seen.push(&part.text);
                kept.push(part.clone());
            }
        }
        kept
    }
    if distinct(expected).len() < expected.len() { found.to_vec() } else { distinct(found) }
}

/// Whether each expected part can be given a found one of its own.
fn any_order(expected: &[Value], found: &[Value]) -> Option<bool> {
    if expected.len() != found.len() {
        return Some(false);
    }
    if expected.len() > MAX_PARTS {
        return None;
    }
    let mut undecided = false;
    let mut fits: Vec<Vec<bool>> = Vec::with_capacity(expected.len());
    for one in expected {
        let results: Vec<Option<bool>> = found.iter().map(|other| same(one, other)).collect();
        if results.iter().all(|result| *result == Some(false)) {
            return Some(false);
        }
        undecided |= results.contains(&None);
        fits.push(results.into_iter().map(|result| result == Some(true)).collect());
    }
    let mut taken = vec![None; found.len()];
    let complete = (0..expected.len())
        .all(|one| assign(one, &fits, &mut taken, &mut vec![false; found.len()]));
    if complete || !undecided { Some(complete) } else { None }
}

/// Gives `one` a partner, moving others to other partners where needed.
fn assign(one: usize, fits: &[Vec<bool>], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for other in 0..taken.len() {
        if !fits[one][other] || std::mem::replace(&mut seen[other], true) {
            continue;
        }
        if taken[other].is_none_or(|owner| assign(owner, fits, taken, seen)) {
            taken[other] = Some(one);
            return true;
        }
    }
    false
}

/// Whether two amounts are equal, in units of one dimension if both have one. A percentage equals
/// both its number and its share.
fn same_amount(expected: &Amount, found: &Amount) -> Option<bool> {
    if let (Some(one), Some(other)) = (&expected.qualifier, &found.qualifier)
        && one != other
    {
        return Some(false);
    }
    let (one, other) = (&expected.expression, &found.expression);
    if let (Some(unit), Some(other_unit)) = (expected.unit, found.unit) {
        if unit.dimension != other_unit.dimension {
            return Some(false);
        }
        if unit.factor != other_unit.factor {
            let scaled = |value: &Expression, (up, down): (i64, i64)| {
                value.exact()?.times(Rational::new(up.into(), down.into())?)
            };
            let amounts = (scaled(one, unit.factor), scaled(other, other_unit.factor));
            return match amounts {
                (Some(one), Some(other)) => Some(one == other),
                _ => None,
            };
        }
    }
    let share_of_unit =
        (expected.percent && found.unit.is_some()) || (found.percent && expected.unit.is_some());
    if share_of_unit || !is_answer(one, other) {
        return Some(false);
    }
    let share = |value: &Expression| {
        let hundred = Box::new(Expression::Number(Rational::from(100)));
        Expression::Quotient(Box::new(value.clone()), hundred)
    };
    match (equal(one, other)?, expected.percent, found.percent) {
        (true, ..) => Some(true),
        (false, true, false) => equal(&share(one), other),
        (false, false, true) => equal(one, &share(other)),
        (false, ..) => Some(false),
    }
}

/// Whether `found` is worked out as far as `expected` asks for: where a number is expected, a
/// power, a root or a longer calculation only states the problem again.
fn is_answer(expected: &Expression, found: &Expression) -> bool {
    if expected.has_variables() || found.has_variables() {
        return expected.has_variables();
    }
    let operations = expected.operations() + FREE_OPERATIONS;
    if expected.is_worked_out(usize::MAX) {
        return found.is_worked_out(operations);
    }
    found.is_worked_out(operations) || found.operations() <= operations + 1
}
