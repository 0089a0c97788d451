//! Turns of stories about things and measures.

use super::super::story::{Kind, Quantity, Story, fraction, times};
use super::{ADD_BELOW, MULTIPLY_BELOW};

pub(super) fn give_away(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value < 5 {
        return None;
    }
    let (hero, friend, count) = (s.hero, s.person(), s.part_of(q.value));
    s.fact(format!("{} gives {count} {} to {}.", hero.name, q.unit, friend.name));
    s.ask(format!("How many {} does {} have left?", q.unit, hero.name));
    let left =
        s.step(&format!("{} has @ {} left.", hero.name, q.unit), format!("{} - {count}", q.value));
    Some(Quantity { value: left, ..q })
}

pub(super) fn get_more(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > ADD_BELOW {
        return None;
    }
    let (hero, friend, count) = (s.hero, s.person(), s.some());
    s.fact(format!("{} gives {} {count} more {}.", friend.name, hero.name, q.unit));
    s.ask(format!("How many {} does {} have now?", q.unit, hero.name));
    let all =
        s.step(&format!("Now {} has @ {}.", hero.name, q.unit), format!("{} + {count}", q.value));
    Some(Quantity { value: all, ..q })
}

pub(super) fn pack(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let k = s.divisor(q.value)?;
    let hero = s.hero;
    let kind = s.pick(&["crates", "bags", "baskets", "drawers", "piles"]);
    s.fact(format!(
        "{} puts all {} {} into {k} {kind}, the same number in each.",
        hero.name, hero.her, q.unit
    ));
    s.ask(format!("How many {} are in each of the {kind}?", q.unit));
    let each =
        s.step(&format!("In each of the {kind} are @ {}.", q.unit), format!("{} / {k}", q.value));
    Some(Quantity { value: each, kind: Kind::Boxed { boxes: k, name: kind }, ..q })
}

pub(super) fn keep_boxes(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let Kind::Boxed { boxes, name } = q.kind else { return None };
    if boxes < 3 {
        return None;
    }
    let (hero, kept) = (s.hero, s.draw.between(2, boxes - 1));
    s.fact(format!("{} keeps {kept} of the {name} and gives the others away.", hero.name));
    s.ask(format!("How many {} does {} keep?", q.unit, hero.name));
    let left =
        s.step(&format!("{} keeps @ {}.", hero.name, q.unit), format!("{kept} * {}", q.value));
    Some(Quantity { value: left, kind: Kind::Things, ..q })
}

pub(super) fn sell_all(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > MULTIPLY_BELOW {
        return None;
    }
    let (hero, price) = (s.hero, s.draw.between(2, 9));
    s.fact(format!("{} sells all {} {} for ${price} apiece.", hero.name, hero.her, q.unit));
    s.ask(format!("How many dollars does {} get for the {}?", hero.name, q.unit));
    let money = s.step(&format!("The {} bring $@.", q.unit), format!("{} * {price}", q.value));
    Some(Quantity::dollars(money, Kind::Money))
}

pub(super) fn friend_has(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > MULTIPLY_BELOW {
        return None;
    }
    let (hero, friend, k) = (s.hero, s.person(), s.few());
    s.fact(format!("{} now has {} as many {} as {}.", friend.name, times(k), q.unit, hero.name));
    s.ask(format!("How many {} does {} have?", q.unit, friend.name));
    let other = s.step(&format!("{} has @ {}.", friend.name, q.unit), format!("{} * {k}", q.value));
    s.hero = friend;
    Some(Quantity { value: other, ..q })
}

pub(super) fn lose_fraction(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let k = s.divisor(q.value)?;
    let hero = s.hero;
    let (act, how) = s.pick(&[
        ("loses", "lost"),
        ("damages", "damaged"),
        ("lends out", "lent out"),
        ("returns", "returned"),
        ("leaves behind", "left behind"),
    ]);
    s.fact(format!("Then {} {act} {} of {} {}.", hero.name, fraction(k), hero.her, q.unit));
    s.ask(format!("How many {} remain for {}?", q.unit, hero.name));
    let gone = s.step(&format!("@ {} are {how}.", q.unit), format!("{} / {k}", q.value));
    let left = s.step(&format!("@ {} remain.", q.unit), format!("{} - {gone}", q.value));
    Some(Quantity { value: left, ..q })
}

pub(super) fn goal(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let Kind::Amount { act } = q.kind else { return None };
    let (hero, more) = (s.hero, s.some());
    let wanted = q.value + more;
    s.fact(format!("{} wants to {act} {wanted} {} in all.", hero.name, q.unit));
    s.ask(format!("How many {} are still missing?", q.unit));
    let missing =
        s.step(&format!("@ {} are still missing.", q.unit), format!("{wanted} - {}", q.value));
    Some(Quantity { value: missing, kind: Kind::Rest, ..q })
}

pub(super) fn repeat(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let Kind::Amount { act } = q.kind else { return None };
    if q.value > MULTIPLY_BELOW {
        return None;
    }
    let (hero, k) = (s.hero, s.few());
    s.fact(format!("Over the year {} does exactly this {} in all.", hero.name, times(k)));
    s.ask(format!("How many {} does {} {act} over the year?", q.unit, hero.name));
    let all = s.step(&format!("Over the year this is @ {}.", q.unit), format!("{} * {k}", q.value));
    Some(Quantity { value: all, ..q })
}

pub(super) fn friend_times(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > MULTIPLY_BELOW {
        return None;
    }
    let k = s.few();
    compared(s, q, &format!("{} as many", times(k)), "as", &format!("{} * {k}", q.value))
}

pub(super) fn friend_more(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let more = s.some();
    compared(s, q, &format!("{more} more"), "than", &format!("{} + {more}", q.value))
}

pub(super) fn friend_less(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value < 5 {
        return None;
    }
    let less = s.part_of(q.value);
    compared(s, q, &format!("{less} fewer"), "than", &format!("{} - {less}", q.value))
}

fn compared(s: &mut Story, q: Quantity, how: &str, than: &str, sum: &str) -> Option<Quantity> {
    let Kind::Amount { act } = q.kind else { return None };
    let (hero, friend) = (s.hero, s.person());
    s.fact(format!("{} has to {act} {how} {} {than} {}.", friend.name, q.unit, hero.name));
    s.ask(format!("How many {} does {} have to {act}?", q.unit, friend.name));
    let value = s.step(&format!("{} has to {act} @ {}.", friend.name, q.unit), sum);
    s.hero = friend;
    Some(Quantity { value, ..q })
}

pub(super) fn done_of_rest(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value < 5 {
        return None;
    }
    let done = s.part_of(q.value);
    s.fact(format!("Of the missing {}, {done} follow the next day.", q.unit));
    s.ask(format!("How many {} are missing after that?", q.unit));
    let left =
        s.step(&format!("After that @ {} are missing.", q.unit), format!("{} - {done}", q.value));
    Some(Quantity { value: left, ..q })
}

pub(super) fn divide_rest(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let k = s.divisor(q.value)?;
    s.fact(format!("The missing {} are divided into {k} equal parts.", q.unit));
    s.ask(format!("How many {} are in one part?", q.unit));
    let part = s.step(&format!("One part has @ {}.", q.unit), format!("{} / {k}", q.value));
    Some(Quantity { value: part, kind: Kind::End, ..q })
}
