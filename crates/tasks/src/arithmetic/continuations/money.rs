//! Turns of stories about money.

use super::super::story::{Kind, Quantity, Story, fraction};
use super::{ADD_BELOW, MULTIPLY_BELOW};

pub(super) fn spend(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value < 5 {
        return None;
    }
    let (hero, amount) = (s.hero, s.part_of(q.value));
    let what = s.pick(&[
        "a concert",
        "new shoes",
        "a present",
        "repairs",
        "a train ride",
        "books",
        "the rent",
    ]);
    s.fact(format!("{} spends ${amount} of the money on {what}.", hero.name));
    s.ask(format!("How many dollars does {} have left?", hero.name));
    let left = s.step(
        &format!("After paying for {what}, {} has $@.", hero.she),
        format!("{} - {amount}", q.value),
    );
    Some(Quantity::dollars(left, Kind::Money))
}

pub(super) fn receive(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > ADD_BELOW {
        return None;
    }
    let (hero, gift) = (s.hero, s.some());
    let who =
        s.pick(&["an aunt", "a neighbor", "an old friend", "a grandfather", "the tax office"]);
    s.fact(format!("Then {} gets another ${gift} from {who}.", hero.name));
    s.ask(format!("How many dollars does {} have then?", hero.name));
    let all = s.step("With this there are $@.", format!("{} + {gift}", q.value));
    Some(Quantity::dollars(all, Kind::Money))
}

pub(super) fn share_money(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let k = s.divisor(q.value).filter(|k| *k >= 3)?;
    let hero = s.hero;
    s.fact(format!("{} shares the money equally with {} friends.", hero.name, k - 1));
    s.ask(format!("How many dollars does {} keep?", hero.name));
    let share = s.step(&format!("Each of the {k} people gets $@."), format!("{} / {k}", q.value));
    Some(Quantity::dollars(share, Kind::Money))
}

pub(super) fn give_fraction(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let k = s.divisor(q.value)?;
    let hero = s.hero;
    s.fact(format!("{} gives {} of the money to {} parents.", hero.name, fraction(k), hero.her));
    s.ask(format!("How many dollars does {} keep?", hero.name));
    let saved = s.step("The parents get $@.", format!("{} / {k}", q.value));
    let left = s.step("This leaves $@.", format!("{} - {saved}", q.value));
    Some(Quantity::dollars(left, Kind::Money))
}

pub(super) fn give_percent(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let choices: Vec<i64> =
        [5, 10, 15, 20, 25, 30].into_iter().filter(|p| q.value * p % 100 == 0).collect();
    let percent = *s.draw.choose(&choices)?;
    let hero = s.hero;
    s.fact(format!("{} gives {percent}% of the money to an animal shelter.", hero.name));
    s.ask(format!("How many dollars does {} have after that?", hero.name));
    let given = s.step("The shelter gets $@.", format!("{} * {percent} / 100", q.value));
    let left =
        s.step(&format!("{} has $@ after that.", hero.name), format!("{} - {given}", q.value));
    Some(Quantity::dollars(left, Kind::Money))
}

pub(super) fn buy_change(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value < 12 {
        return None;
    }
    let count = s.draw.between(2, 5);
    let price = s.draw.between(1, (q.value - 2) / count);
    let hero = s.hero;
    let what = s.pick(&[
        "bus passes",
        "cinema tickets",
        "shirts",
        "boxes of tea",
        "board games",
        "bags of seeds",
    ]);
    s.fact(format!("From the money {} buys {count} {what} at ${price} each.", hero.name));
    s.ask(format!("How many dollars are left for {}?", hero.name));
    let paid = s.step(&format!("The {what} cost $@."), format!("{count} * {price}"));
    let left = s.step("So $@ are left.", format!("{} - {paid}", q.value));
    Some(Quantity::dollars(left, Kind::Money))
}

pub(super) fn pay_with(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let note = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000]
        .into_iter()
        .find(|note| *note >= q.value + 2)?;
    let hero = s.hero;
    let what =
        if q.kind == Kind::Share { format!("{} share", hero.her) } else { "for it".to_owned() };
    s.fact(format!("{} pays {what} from ${note} in cash.", hero.name));
    s.ask(format!("How many dollars does {} have left of the cash?", hero.name));
    let change =
        s.step(&format!("Of the cash {} has $@ left.", hero.she), format!("{note} - {}", q.value));
    Some(Quantity::dollars(change, Kind::Money))
}

pub(super) fn coupon(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value < 5 {
        return None;
    }
    let off = s.draw.between(1, (q.value / 3).min(60));
    let hero = s.hero;
    s.fact(format!("{} has a coupon that takes ${off} off the total.", hero.name));
    s.ask(format!("How many dollars does {} pay?", hero.name));
    let now = s.step("With the coupon it is $@.", format!("{} - {off}", q.value));
    Some(Quantity::dollars(now, Kind::Cost))
}

pub(super) fn delivery(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > ADD_BELOW {
        return None;
    }
    let fee = s.draw.between(3, 40);
    let what = s.pick(&["a surcharge", "a service fee", "a booking fee", "a tax"]);
    s.fact(format!("On top of this comes {what} of ${fee}."));
    s.ask(format!("How many dollars does {} have to pay with everything?", s.hero.name));
    let now = s.step("With everything it is $@.", format!("{} + {fee}", q.value));
    Some(Quantity::dollars(now, Kind::Cost))
}

pub(super) fn split_bill(s: &mut Story, q: Quantity) -> Option<Quantity> {
    let k = s.divisor(q.value)?;
    let hero = s.hero;
    let friends = if k == 2 { "a friend".to_owned() } else { format!("{} friends", k - 1) };
    s.fact(format!("{} splits the cost equally with {friends}.", hero.name));
    s.ask(format!("How many dollars is {}'s share?", hero.name));
    let share = s.step(&format!("Each of the {k} people pays $@."), format!("{} / {k}", q.value));
    Some(Quantity::dollars(share, Kind::Share))
}

pub(super) fn every_week(s: &mut Story, q: Quantity) -> Option<Quantity> {
    if q.value > MULTIPLY_BELOW {
        return None;
    }
    let (hero, weeks) = (s.hero, s.few());
    let period = s.pick(&["week", "month", "year"]);
    s.fact(format!("{} does exactly the same every {period} for {weeks} {period}s.", hero.name));
    s.ask(format!("How many dollars is that in these {weeks} {period}s?"));
    let all = s.step(&format!("In {weeks} {period}s it is $@."), format!("{} * {weeks}", q.value));
    Some(Quantity::dollars(all, Kind::Cost))
}
