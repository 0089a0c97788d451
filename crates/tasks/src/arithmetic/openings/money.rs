//! Situations about money.

use super::super::story::{Kind, Quantity, Story};
use super::super::vocabulary::{BAKED, COSTLY, GOODS, JOBS, VENUES};
use super::Opening;

pub(super) const OPENINGS: &[Opening] = &[
    Opening { name: "shopping", steps: &[1, 3], tell: shopping },
    Opening { name: "discount", steps: &[2], tell: discount },
    Opening { name: "wages", steps: &[1, 2, 3], tell: wages },
    Opening { name: "tickets", steps: &[3], tell: tickets },
    Opening { name: "savings", steps: &[2], tell: savings },
    Opening { name: "coins", steps: &[3, 4], tell: coins },
    Opening { name: "fuel", steps: &[2], tell: fuel },
    Opening { name: "membership", steps: &[2], tell: membership },
    Opening { name: "sponsored-walk", steps: &[2], tell: sponsored_walk },
    Opening { name: "market-stall", steps: &[2, 3], tell: market_stall },
    Opening { name: "holiday-flat", steps: &[2], tell: holiday_flat },
    Opening { name: "commission", steps: &[2], tell: commission },
    Opening { name: "interest", steps: &[2], tell: interest },
    Opening { name: "restaurant", steps: &[2, 4], tell: restaurant },
];

fn shopping(s: &mut Story, steps: usize) -> Quantity {
    let (hero, (item, other)) = (s.hero, s.pick_two(GOODS));
    let (a, p) = (s.few(), s.some());
    if s.draw.one_in(2) {
        s.fact(format!("{} buys {a} {item} for ${p} each.", hero.name));
    } else {
        s.fact(format!("In a shop {item} cost ${p} each, and {} takes {a} of them.", hero.name));
    }
    s.ask(format!("How many dollars does {} have to pay in all?", hero.name));
    let first = s.step(&format!("The {item} cost $@."), format!("{a} * {p}"));
    if steps == 1 {
        return Quantity::dollars(first, Kind::Cost);
    }
    let (b, q) = (s.few(), s.some());
    s.fact(format!("{} also buys {b} {other} at ${q} each.", hero.she_capital()));
    let second = s.step(&format!("The {other} cost $@."), format!("{b} * {q}"));
    let total = s.step("Together this is $@.", format!("{first} + {second}"));
    Quantity::dollars(total, Kind::Cost)
}

fn discount(s: &mut Story, _: usize) -> Quantity {
    let (hero, thing) = (s.hero, s.pick(COSTLY));
    let (percent, unit) =
        s.pick(&[(10, 10), (20, 5), (25, 4), (30, 10), (40, 5), (50, 2), (75, 4)]);
    let price = unit * s.many();
    s.fact(format!("A {thing} costs ${price}, but this week it is {percent}% cheaper."));
    s.fact(format!("{} buys it.", hero.name));
    s.ask(format!("How many dollars does {} pay for the {thing}?", hero.name));
    let off = s.step("The price falls by $@.", format!("{price} * {percent} / 100"));
    let cost = s.step(&format!("So the {thing} costs $@."), format!("{price} - {off}"));
    Quantity::dollars(cost, Kind::Cost)
}

fn wages(s: &mut Story, steps: usize) -> Quantity {
    let (hero, job) = (s.hero, s.pick(JOBS));
    let (hours, rate) = (s.draw.between(2, 9), s.some() + 5);
    s.ask(format!("How many dollars does {} earn?", hero.name));
    if steps == 1 {
        s.fact(format!("{} works {job} for ${rate} an hour.", hero.name));
        s.fact(format!("Yesterday {} worked {hours} hours.", hero.she));
        s.ask(format!("How many dollars did {} earn yesterday?", hero.name));
        let pay = s.step(&format!("{} earned $@.", hero.name), format!("{hours} * {rate}"));
        return Quantity::dollars(pay, Kind::Money);
    }
    let days = s.few();
    s.fact(format!(
        "{} works {job} for ${rate} an hour, {hours} hours a day, on {days} days.",
        hero.name
    ));
    let total = s.step(&format!("{} works @ hours.", hero.name), format!("{days} * {hours}"));
    let pay = s.step("For these hours the pay is $@.", format!("{total} * {rate}"));
    if steps == 2 {
        return Quantity::dollars(pay, Kind::Money);
    }
    let bonus = s.some();
    s.fact(format!("At the end {} gets a bonus of ${bonus}.", hero.she));
    let all = s.step("With the bonus this makes $@.", format!("{pay} + {bonus}"));
    Quantity::dollars(all, Kind::Money)
}

fn tickets(s: &mut Story, _: usize) -> Quantity {
    let (hero, venue) = (s.hero, s.pick(VENUES));
    let (adults, children) = (s.some(), s.some());
    let child = s.draw.between(2, 9);
    let adult = child + s.draw.between(2, 11);
    s.fact(format!(
        "{} sells tickets for the {venue}: ${adult} for adults and ${child} for children.",
        hero.name
    ));
    s.fact(format!("Today {adults} adults and {children} children came."));
    s.ask(format!("How many dollars did {} take in today?", hero.name));
    let first = s.step("The adults paid $@.", format!("{adults} * {adult}"));
    let second = s.step("The children paid $@.", format!("{children} * {child}"));
    let total = s.step("Together they paid $@.", format!("{first} + {second}"));
    Quantity::dollars(total, Kind::Money)
}

fn savings(s: &mut Story, _: usize) -> Quantity {
    let hero = s.hero;
    let (start, weekly, weeks) = (s.many(), s.some(), s.few());
    s.fact(format!("{} has saved ${start}.", hero.name));
    s.fact(format!("For {weeks} weeks {} adds ${weekly} a week.", hero.she));
    s.ask(format!("How many dollars does {} have then?", hero.name));
    let added = s.step(&format!("{} adds $@.", hero.name), format!("{weeks} * {weekly}"));
    let total = s.step(&format!("Then {} has $@.", hero.she), format!("{start} + {added}"));
    Quantity::dollars(total, Kind::Money)
}

fn coins(s: &mut Story, steps: usize) -> Quantity {
    let hero = s.hero;
    let (quarters, dimes) = (s.some(), s.some());
    s.fact(format!("{} finds {quarters} quarters and {dimes} dimes in a jar.", hero.name));
    s.ask("How many cents is that in all?");
    let first = s.step("The quarters are worth @ cents.", format!("{quarters} * 25"));
    let second = s.step("The dimes are worth @ cents.", format!("{dimes} * 10"));
    let total = s.step("Together they are worth @ cents.", format!("{first} + {second}"));
    if steps == 3 {
        return Quantity::new(total, "cents", Kind::End);
    }
    let spent = 5 * s.draw.between(1, total / 5 - 1);
    s.fact(format!("{} buys a snack for {spent} cents.", hero.she_capital()));
    s.ask(format!("How many cents does {} have left?", hero.name));
    let left = s.step("After the snack @ cents are left.", format!("{total} - {spent}"));
    Quantity::new(left, "cents", Kind::End)
}

fn fuel(s: &mut Story, _: usize) -> Quantity {
    let hero = s.hero;
    let (mileage, gallons, price) = (s.draw.between(15, 50), s.some(), s.draw.between(3, 6));
    let miles = mileage * gallons;
    s.fact(format!("{}'s van goes {mileage} miles on a gallon of fuel.", hero.name));
    s.fact(format!("A gallon costs ${price}, and the trip is {miles} miles long."));
    s.ask("How many dollars does the fuel for the trip cost?");
    let used = s.step("The van needs @ gallons.", format!("{miles} / {mileage}"));
    let cost = s.step("The fuel costs $@.", format!("{used} * {price}"));
    Quantity::dollars(cost, Kind::Cost)
}

fn membership(s: &mut Story, _: usize) -> Quantity {
    let (hero, club) =
        (s.hero, s.pick(&["gym", "chess club", "rowing club", "choir", "tennis club"]));
    let (join, monthly, months) = (s.some(), s.some(), s.draw.between(3, 24));
    s.fact(format!("A {club} asks ${join} for joining and ${monthly} for every month."));
    s.fact(format!("{} joins and stays for {months} months.", hero.name));
    s.ask(format!("How many dollars does the {club} cost {} in all?", hero.name));
    let fees = s.step("The monthly fees add up to $@.", format!("{months} * {monthly}"));
    let total = s.step("With the joining fee this is $@.", format!("{join} + {fees}"));
    Quantity::dollars(total, Kind::Cost)
}

fn sponsored_walk(s: &mut Story, _: usize) -> Quantity {
    let (hero, act) = (s.hero, s.pick(&["walks", "swims", "cycles", "skates"]));
    let (sponsors, pledge, miles) = (s.some(), s.draw.between(2, 9), s.few());
    s.fact(format!("{} {act} {miles} miles for charity.", hero.name));
    s.fact(format!("{sponsors} sponsors give ${pledge} each for every mile."));
    s.ask(format!("How many dollars does {} raise?", hero.name));
    let mile = s.step("Every mile brings $@.", format!("{sponsors} * {pledge}"));
    let total = s.step("All the miles bring $@.", format!("{mile} * {miles}"));
    Quantity::dollars(total, Kind::Money)
}

fn market_stall(s: &mut Story, steps: usize) -> Quantity {
    let (hero, (first, second)) = (s.hero, s.pick_two(BAKED));
    let (a, p) = (s.some(), s.draw.between(3, 9));
    s.fact(format!("At the market {} sells {a} bags of {first} at ${p} a bag.", hero.name));
    s.ask(format!("How much profit, in dollars, does {} make?", hero.name));
    let taken = s.step(&format!("The {first} bring $@."), format!("{a} * {p}"));
    if steps == 2 {
        let cost = s.part_of(taken);
        s.fact(format!("Ingredients and the stall cost {} ${cost}.", hero.name));
        let profit = s.step("So the profit is $@.", format!("{taken} - {cost}"));
        return Quantity::dollars(profit, Kind::Money);
    }
    let more = s.some();
    s.fact(format!("Tins of {second} bring another ${more}."));
    let all = s.step("All sales together bring $@.", format!("{taken} + {more}"));
    let cost = s.part_of(all);
    s.fact(format!("Ingredients and the stall cost {} ${cost}.", hero.name));
    let profit = s.step("So the profit is $@.", format!("{all} - {cost}"));
    Quantity::dollars(profit, Kind::Money)
}

fn holiday_flat(s: &mut Story, _: usize) -> Quantity {
    let (hero, place) = (s.hero, s.pick(&["lake house", "cabin", "flat by the sea", "farmhouse"]));
    let (nights, rate, cleaning) = (s.few(), s.many(), s.some());
    s.fact(format!("{} rents a {place} for {nights} nights at ${rate} a night.", hero.name));
    s.fact(format!("The final cleaning costs ${cleaning} once."));
    s.ask("How many dollars does the stay cost in all?");
    let rent = s.step("The nights cost $@.", format!("{nights} * {rate}"));
    let total = s.step("With the cleaning it is $@.", format!("{rent} + {cleaning}"));
    Quantity::dollars(total, Kind::Cost)
}

fn commission(s: &mut Story, _: usize) -> Quantity {
    let (hero, goods) =
        (s.hero, s.pick(&["kitchens", "used cars", "paintings", "insurance", "carpets"]));
    let (base, percent) = (s.many(), s.pick(&[2, 3, 4, 5, 8, 10, 15]));
    let sales = 100 * s.some();
    s.fact(format!(
        "{} sells {goods} and earns ${base} a month plus {percent}% of the sales.",
        hero.name
    ));
    s.fact(format!("This month the sales are ${sales}."));
    s.ask(format!("How many dollars does {} earn this month?", hero.name));
    let extra = s.step("The sales bring $@.", format!("{sales} * {percent} / 100"));
    let total = s.step("With the fixed pay this is $@.", format!("{base} + {extra}"));
    Quantity::dollars(total, Kind::Money)
}

fn interest(s: &mut Story, _: usize) -> Quantity {
    let hero = s.hero;
    let (rate, years, capital) = (s.draw.between(2, 9), s.few(), 100 * s.some());
    s.fact(format!("{} lends ${capital} to a small firm.", hero.name));
    s.fact(format!("For {years} years the firm pays {rate}% of this sum a year as interest."));
    s.ask(format!("How many dollars of interest does {} receive in all?", hero.name));
    let yearly = s.step("One year brings $@.", format!("{capital} * {rate} / 100"));
    let total = s.step(&format!("{years} years bring $@."), format!("{yearly} * {years}"));
    Quantity::dollars(total, Kind::Money)
}

fn restaurant(s: &mut Story, steps: usize) -> Quantity {
    let (hero, dish) = (s.hero, s.pick(&["pizzas", "curries", "soups", "noodle bowls", "salads"]));
    let (a, p, tip) = (s.few(), s.draw.between(6, 25), s.some());
    s.fact(format!("{} orders {a} {dish} at ${p} each for a party.", hero.name));
    s.ask("How many dollars does the party pay in all?");
    let mut bill = s.step(&format!("The {dish} cost $@."), format!("{a} * {p}"));
    if steps == 4 {
        let (b, q) = (s.few(), s.draw.between(2, 7));
        s.fact(format!("There are also {b} drinks at ${q} each."));
        let drinks = s.step("The drinks cost $@.", format!("{b} * {q}"));
        bill = s.step("The bill comes to $@.", format!("{bill} + {drinks}"));
    }
    s.fact(format!("The waiter gets a tip of ${tip}."));
    let total = s.step("With the tip this is $@.", format!("{bill} + {tip}"));
    Quantity::dollars(total, Kind::Cost)
}
