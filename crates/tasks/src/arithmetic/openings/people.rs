//! Situations about people: ages, passengers, classes.

use super::super::story::{Kind, Quantity, Story, times};
use super::Opening;

pub(super) const OPENINGS: &[Opening] = &[
    Opening { name: "ages", steps: &[1, 2, 3, 4, 5], tell: ages },
    Opening { name: "bus", steps: &[1, 2, 3, 4, 5, 6], tell: bus },
    Opening { name: "school-trip", steps: &[2, 3], tell: school_trip },
    Opening { name: "survey", steps: &[1, 2], tell: survey },
    Opening { name: "seats", steps: &[2, 3], tell: seats },
    Opening { name: "pizza", steps: &[2, 3], tell: pizza },
    Opening { name: "tournament", steps: &[2, 3], tell: tournament },
    Opening { name: "shifts", steps: &[3], tell: shifts },
];

fn ages(s: &mut Story, steps: usize) -> Quantity {
    let mut last = s.hero;
    let mut age = s.draw.between(3, 14);
    s.fact(format!("{} is {age} years old.", last.name));
    for _ in 0..steps {
        let next = s.person();
        let (relation, expression) = match s.draw.index(3) {
            0 if age <= 25 => {
                let k = s.draw.between(2, (90 / age).clamp(2, 5));
                (format!("{} as old as", times(k)), format!("{age} * {k}"))
            }
            1 if age >= 12 => {
                let less = s.draw.between(2, age - 3);
                (format!("{less} years younger than"), format!("{age} - {less}"))
            }
            _ => {
                let more = s.draw.between(2, 12);
                (format!("{more} years older than"), format!("{age} + {more}"))
            }
        };
        s.fact(format!("{} is {relation} {}.", next.name, last.name));
        s.ask(format!("How old is {}?", next.name));
        age = s.step(&format!("{} is @ years old.", next.name), expression);
        last = next;
    }
    Quantity::new(age, "years", Kind::End)
}

fn bus(s: &mut Story, steps: usize) -> Quantity {
    let vehicle = s.pick(&["bus", "tram", "ferry", "train"]);
    let stops = ["first", "second", "third", "fourth", "fifth", "sixth"];
    let mut aboard = s.some() + 4;
    s.fact(format!("A {vehicle} leaves with {aboard} passengers."));
    for stop in &stops[..steps] {
        if s.draw.one_in(2) && aboard > 6 {
            let off = s.part_of(aboard);
            s.fact(format!("At the {stop} stop {off} people get off."));
            aboard = s.step(
                &format!("After the {stop} stop there are @ passengers."),
                format!("{aboard} - {off}"),
            );
        } else {
            let on = s.few();
            s.fact(format!("At the {stop} stop {on} people get on."));
            aboard = s.step(
                &format!("After the {stop} stop there are @ passengers."),
                format!("{aboard} + {on}"),
            );
        }
    }
    s.ask(format!("How many passengers are on the {vehicle} then?"));
    Quantity::new(aboard, "passengers", Kind::End)
}

fn school_trip(s: &mut Story, steps: usize) -> Quantity {
    let (classes, buses) = (s.few(), s.few());
    let pupils = s.draw.between(14, 32);
    let count = classes * pupils;
    // Enough adults that the buses are full.
    let adults = classes + (buses - (count + classes) % buses) % buses;
    s.fact(format!("{classes} classes with {pupils} pupils each go on a trip."));
    s.fact(format!("{adults} adults come along."));
    s.ask("How many people go on the trip?");
    let children = s.step("There are @ pupils.", format!("{classes} * {pupils}"));
    let all = s.step("With the adults there are @ people.", format!("{children} + {adults}"));
    if steps == 2 {
        return Quantity::new(all, "people", Kind::End);
    }
    s.fact(format!("They take {buses} buses with the same number of people in each."));
    s.ask("How many people are in each bus?");
    let each = s.step("In each bus are @ people.", format!("{all} / {buses}"));
    Quantity::new(each, "people", Kind::End)
}

fn survey(s: &mut Story, steps: usize) -> Quantity {
    let (percent, unit) = s.pick(&[
        (5, 20),
        (10, 10),
        (15, 20),
        (20, 5),
        (35, 20),
        (40, 5),
        (55, 20),
        (75, 4),
        (80, 5),
    ]);
    let total = unit * s.some();
    let place = s.pick(&["school", "company", "village", "sports club", "hospital"]);
    let act = s.pick(&[
        "come by bike",
        "drink tea",
        "own a dog",
        "wear glasses",
        "play an instrument",
        "like jazz",
    ]);
    s.fact(format!("Of the {total} people in a {place}, {percent}% {act}."));
    s.ask(format!("How many people in the {place} {act}?"));
    let yes = s.step(&format!("@ people {act}."), format!("{total} * {percent} / 100"));
    if steps == 1 {
        return Quantity::new(yes, "people", Kind::End);
    }
    s.ask(format!("How many people in the {place} do not {act}?"));
    let no = s.step(&format!("@ people do not {act}."), format!("{total} - {yes}"));
    Quantity::new(no, "people", Kind::End)
}

fn seats(s: &mut Story, steps: usize) -> Quantity {
    let (rows, each) = (s.few() + 4, s.some());
    let hall = s.pick(&["cinema", "theater", "lecture hall", "circus tent", "stadium stand"]);
    s.fact(format!("A {hall} has {rows} rows of {each} seats."));
    let all = s.step(&format!("The {hall} has @ seats."), format!("{rows} * {each}"));
    let taken = s.part_of(all);
    s.fact(format!("{taken} seats are taken."));
    s.ask("How many seats are free?");
    let free = s.step("@ seats are free.", format!("{all} - {taken}"));
    if steps == 2 || free < 4 {
        return Quantity::new(free, "seats", Kind::End);
    }
    let late = s.part_of(free);
    s.fact(format!("Then {late} more people come and sit down."));
    let left = s.step("Then @ seats are free.", format!("{free} - {late}"));
    Quantity::new(left, "seats", Kind::End)
}

fn pizza(s: &mut Story, steps: usize) -> Quantity {
    let (food, part) = s.pick(&[
        ("pizzas", "slices"),
        ("cakes", "pieces"),
        ("melons", "slices"),
        ("pies", "pieces"),
    ]);
    let (people, each) = (s.draw.between(3, 12), s.few());
    let cut = s.pick(&[4, 6, 8, 10, 12]);
    let dishes = people * each;
    s.fact(format!("For a party {dishes} {food} are cut into {cut} {part} each."));
    s.fact(format!("The {people} guests share them equally."));
    s.ask(format!("How many {part} does every guest get?"));
    let all = s.step(&format!("There are @ {part}."), format!("{dishes} * {cut}"));
    let one = s.step(&format!("Every guest gets @ {part}."), format!("{all} / {people}"));
    if steps == 2 {
        return Quantity::new(one, part, Kind::End);
    }
    let (hero, eaten) = (s.hero, s.part_of(one));
    s.fact(format!("One guest, {}, eats {eaten} {part} and takes the rest home.", hero.name));
    s.ask(format!("How many {part} does {} take home?", hero.name));
    let home = s.step(&format!("{} takes @ {part} home.", hero.name), format!("{one} - {eaten}"));
    Quantity::new(home, part, Kind::End)
}

fn tournament(s: &mut Story, steps: usize) -> Quantity {
    let (teams, players, reserve) = (s.some(), s.draw.between(5, 15), s.draw.between(2, 4));
    let sport = s.pick(&["football", "volleyball", "hockey", "rugby", "handball", "cricket"]);
    s.fact(format!("{teams} teams come to a {sport} tournament."));
    s.fact(format!("Every team brings {players} players and {reserve} reserves."));
    s.ask("How many people do the teams bring in all?");
    let one = s.step("One team brings @ people.", format!("{players} + {reserve}"));
    let all = s.step("All teams bring @ people.", format!("{teams} * {one}"));
    if steps == 2 {
        return Quantity::new(all, "people", Kind::End);
    }
    let referees = s.few();
    s.fact(format!("There are also {referees} referees."));
    s.ask("How many people are at the tournament?");
    let total = s.step("With the referees there are @ people.", format!("{all} + {referees}"));
    Quantity::new(total, "people", Kind::End)
}

fn shifts(s: &mut Story, _: usize) -> Quantity {
    let (day, night) = (s.some(), s.few());
    let (long, short) = (s.draw.between(7, 12), s.draw.between(3, 6));
    let place = s.pick(&["hospital", "fire station", "harbor", "airport", "factory"]);
    s.fact(
        format!("At a {place} {day} people work {long} hours by day")
            + &format!(" and {night} people work {short} hours by night."),
    );
    s.ask("How many hours do all of them work together?");
    let first = s.step("By day they work @ hours.", format!("{day} * {long}"));
    let second = s.step("By night they work @ hours.", format!("{night} * {short}"));
    let total = s.step("Together they work @ hours.", format!("{first} + {second}"));
    Quantity::new(total, "hours", Kind::End)
}
