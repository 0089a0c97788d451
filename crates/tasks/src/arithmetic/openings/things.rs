//! Situations about things that are counted.

use super::super::story::{Kind, Quantity, Story, fraction, times};
use super::super::vocabulary::{BAKED, COLLECTED, CROPS};
use super::Opening;

pub(super) const OPENINGS: &[Opening] = &[
    Opening { name: "farming", steps: &[1, 2], tell: farming },
    Opening { name: "fraction-of-a-collection", steps: &[1, 2], tell: fraction_of_collection },
    Opening { name: "percentage-of-a-harvest", steps: &[2], tell: percentage_of_harvest },
    Opening { name: "machine", steps: &[2], tell: machine },
    Opening { name: "left-over", steps: &[2, 3], tell: left_over },
    Opening { name: "ribbon", steps: &[2, 3], tell: ribbon },
    Opening { name: "hens", steps: &[1, 2], tell: hens },
    Opening { name: "baking-trays", steps: &[2, 3], tell: baking_trays },
    Opening { name: "comparison", steps: &[1, 2, 3], tell: comparison },
    Opening { name: "ratio", steps: &[3], tell: ratio },
    Opening { name: "bookshop", steps: &[2, 3], tell: bookshop },
    Opening { name: "albums", steps: &[2], tell: albums },
    Opening { name: "parcels", steps: &[2, 3], tell: parcels },
    Opening { name: "workshop", steps: &[2], tell: workshop },
    Opening { name: "doubling", steps: &[1, 2, 3, 4], tell: doubling },
    Opening { name: "wheels", steps: &[3], tell: wheels },
];

fn farming(s: &mut Story, steps: usize) -> Quantity {
    let (hero, (plants, crop)) = (s.hero, s.pick(CROPS));
    let (rows, each) = (s.few(), s.some());
    s.fact(format!("{} has {rows} rows of {plants} with {each} in every row.", hero.name));
    s.ask(format!("How many {plants} does {} have?", hero.name));
    let count = s.step(&format!("There are @ {plants}."), format!("{rows} * {each}"));
    if steps == 1 {
        return Quantity::new(count, plants, Kind::End);
    }
    let yield_each = s.few();
    s.fact(format!("Every one of them gives {yield_each} {crop}."));
    s.ask(format!("How many {crop} does {} harvest?", hero.name));
    let all = s.step(&format!("They give @ {crop}."), format!("{count} * {yield_each}"));
    Quantity::new(all, crop, Kind::Things)
}

fn fraction_of_collection(s: &mut Story, steps: usize) -> Quantity {
    let (hero, things) = (s.hero, s.pick(COLLECTED));
    let (k, part) = (s.draw.between(2, 8), s.some());
    let red = s.pick(&["red", "blue", "green", "old", "striped", "broken", "tiny"]);
    let total = k * part;
    s.fact(format!("{} has {total} {things}, and {} of them are {red}.", hero.name, fraction(k)));
    s.ask(format!("How many {red} {things} are there?"));
    let chosen = s.step(&format!("@ {things} are {red}."), format!("{total} / {k}"));
    if steps == 1 {
        return Quantity::new(chosen, things, Kind::End);
    }
    s.fact(format!("{} gives all the {red} ones to a cousin.", hero.she_capital()));
    s.ask(format!("How many {things} does {} keep?", hero.name));
    let kept = s.step(&format!("{} keeps @ {things}.", hero.name), format!("{total} - {chosen}"));
    Quantity::new(kept, things, Kind::Things)
}

fn percentage_of_harvest(s: &mut Story, _: usize) -> Quantity {
    let (hero, (_, crop)) = (s.hero, s.pick(CROPS));
    let (percent, unit) =
        s.pick(&[(5, 20), (10, 10), (15, 20), (20, 5), (25, 4), (30, 10), (60, 5)]);
    let total = unit * s.some();
    s.fact(format!("{} picks {total} {crop}.", hero.name));
    s.fact(format!("{percent}% of them are spoiled and thrown away."));
    s.ask(format!("How many good {crop} does {} have?", hero.name));
    let bad = s.step(&format!("@ {crop} are spoiled."), format!("{total} * {percent} / 100"));
    let good = s.step(&format!("@ {crop} are good."), format!("{total} - {bad}"));
    Quantity::new(good, crop, Kind::Things)
}

fn machine(s: &mut Story, _: usize) -> Quantity {
    let (hero, hours, rate) = (s.hero, s.draw.between(2, 8), s.few());
    let (verb, things) = s.pick(&[
        ("fills", "bottles"),
        ("prints", "posters"),
        ("folds", "boxes"),
        ("stamps", "coins"),
        ("wraps", "sweets"),
        ("seals", "jars"),
        ("cuts", "tiles"),
    ]);
    s.fact(format!("{} runs a machine that {verb} {rate} {things} a minute.", hero.name));
    s.fact(format!("Today it runs for {hours} hours."));
    s.ask(format!("How many {things} does the machine turn out today?"));
    let minutes = s.step("The machine runs for @ minutes.", format!("{hours} * 60"));
    let all = s.step(&format!("It turns out @ {things}."), format!("{minutes} * {rate}"));
    Quantity::new(all, things, Kind::Things)
}

fn left_over(s: &mut Story, steps: usize) -> Quantity {
    let (hero, things) = (s.hero, s.pick(BAKED));
    let size = s.draw.between(6, 24);
    let (boxes, rest) = (s.some(), s.draw.between(5, size - 1));
    let total = size * boxes + rest;
    s.fact(format!("{} has made {total} {things} and packs them into boxes of {size}.", hero.name));
    s.fact(format!("{} fills as many boxes as possible.", hero.she_capital()));
    s.ask(format!("How many {things} are left over?"));
    let packed = s.step(
        &format!("{boxes} boxes can be filled, and they hold @ {things}."),
        format!("{boxes} * {size}"),
    );
    let left = s.step(&format!("@ {things} are left over."), format!("{total} - {packed}"));
    if steps == 2 {
        return Quantity::new(left, things, Kind::End);
    }
    let eaten = s.part_of(left);
    s.fact(format!("{} eats {eaten} of those left over.", hero.she_capital()));
    s.ask(format!("How many {things} are then in no box and not eaten?"));
    let kept = s.step(&format!("@ {things} are then left."), format!("{left} - {eaten}"));
    Quantity::new(kept, things, Kind::End)
}

fn ribbon(s: &mut Story, steps: usize) -> Quantity {
    let (hero, thing) = (s.hero, s.pick(&["ribbon", "rope", "wire", "string", "garden hose"]));
    let piece = s.pick(&[4, 5, 8, 10, 12, 15, 20, 25]);
    let (meters, wanted) = (s.some(), s.draw.between(1, 99));
    // Whole pieces only, and never zero centimeters.
    let extra = wanted + piece - (meters * 100 + wanted) % piece;
    s.fact(format!("{} has {meters} meters and {extra} centimeters of {thing}.", hero.name));
    s.ask(format!("How many centimeters of {thing} does {} have?", hero.name));
    let whole = s.step(&format!("{meters} meters are @ centimeters."), format!("{meters} * 100"));
    let all =
        s.step(&format!("So the {thing} is @ centimeters long."), format!("{whole} + {extra}"));
    if steps == 2 {
        return Quantity::new(all, "centimeters", Kind::End);
    }
    s.fact(format!("{} cuts it into pieces of {piece} centimeters.", hero.she_capital()));
    s.ask(format!("How many pieces does {} get?", hero.name));
    let pieces = s.step(&format!("{} gets @ pieces.", hero.name), format!("{all} / {piece}"));
    Quantity::new(pieces, "pieces", Kind::Things)
}

fn hens(s: &mut Story, steps: usize) -> Quantity {
    let hero = s.hero;
    let (birds, eggs) = s.pick(&[("hens", 3), ("ducks", 2), ("geese", 1), ("quails", 4)]);
    let (count, weekly) = (s.some(), eggs + s.draw.between(1, 3));
    s.fact(format!("Each of {}'s {count} {birds} lays {weekly} eggs a week.", hero.name));
    s.ask("How many eggs do they lay in a week?");
    let week = s.step("In a week there are @ eggs.", format!("{count} * {weekly}"));
    if steps == 1 {
        return Quantity::new(week, "eggs", Kind::Things);
    }
    let weeks = s.few();
    s.fact(format!("{} collects all eggs for {weeks} weeks.", hero.name));
    s.ask(format!("How many eggs does {} collect?", hero.name));
    let all = s.step(&format!("In {weeks} weeks there are @ eggs."), format!("{week} * {weeks}"));
    Quantity::new(all, "eggs", Kind::Things)
}

fn baking_trays(s: &mut Story, steps: usize) -> Quantity {
    let (hero, things) = (s.hero, s.pick(BAKED));
    let (trays, each) = (s.few(), s.some());
    s.fact(format!("{} bakes {trays} trays with {each} {things} on each.", hero.name));
    let all = s.step(&format!("There are @ {things}."), format!("{trays} * {each}"));
    let burnt = s.part_of(all);
    s.fact(format!("{burnt} {things} get burnt and are thrown away."));
    s.ask(format!("How many {things} does {} have now?", hero.name));
    let good = s.step(&format!("@ {things} are good."), format!("{all} - {burnt}"));
    if steps == 2 {
        return Quantity::new(good, things, Kind::Things);
    }
    let more = s.some();
    s.fact(format!("A neighbor brings {more} {things} more."));
    let now = s.step(&format!("Now {} has @ {things}.", hero.name), format!("{good} + {more}"));
    Quantity::new(now, things, Kind::Things)
}

fn comparison(s: &mut Story, steps: usize) -> Quantity {
    let (hero, second, things) = (s.hero, s.person(), s.pick(COLLECTED));
    let (start, k) = (s.some(), s.few());
    s.fact(format!("{} has {start} {things}.", hero.name));
    s.fact(format!("{} has {} as many {things}.", second.name, times(k)));
    s.ask(format!("How many {things} does {} have?", second.name));
    let b = s.step(&format!("{} has @ {things}.", second.name), format!("{start} * {k}"));
    s.hero = second;
    if steps == 1 {
        return Quantity::new(b, things, Kind::Things);
    }
    let (third, less) = (s.person(), s.part_of(b));
    s.fact(format!("{} has {less} {things} fewer than {}.", third.name, second.name));
    s.ask(format!("How many {things} does {} have?", third.name));
    let c = s.step(&format!("{} has @ {things}.", third.name), format!("{b} - {less}"));
    s.hero = third;
    if steps == 2 {
        return Quantity::new(c, things, Kind::Things);
    }
    s.hero = hero;
    s.fact(format!("The other two give all their {things} to {}.", hero.name));
    s.ask(format!("How many {things} does {} have then?", hero.name));
    let all =
        s.step(&format!("Then {} has @ {things}.", hero.name), format!("{start} + {b} + {c}"));
    Quantity::new(all, things, Kind::Things)
}

fn ratio(s: &mut Story, _: usize) -> Quantity {
    let (hero, other, things) = (s.hero, s.person(), s.pick(COLLECTED));
    let a = s.draw.between(2, 7);
    let b = a + s.draw.between(1, 4);
    let part = s.some();
    let total = (a + b) * part;
    s.fact(format!(
        "{} and {} share {total} {things} in the ratio {a} to {b}.",
        hero.name, other.name
    ));
    s.ask(format!("How many {things} does {} get?", hero.name));
    let parts = s.step("There are @ parts.", format!("{a} + {b}"));
    let one = s.step(&format!("One part is @ {things}."), format!("{total} / {parts}"));
    let gets = s.step(&format!("{} gets @ {things}.", hero.name), format!("{a} * {one}"));
    Quantity::new(gets, things, Kind::Things)
}

fn bookshop(s: &mut Story, steps: usize) -> Quantity {
    let hero = s.hero;
    let (shelves, each) = (s.few(), s.some());
    s.fact(format!("{}'s shop has {shelves} shelves with {each} books on each.", hero.name));
    let all = s.step("The shelves hold @ books.", format!("{shelves} * {each}"));
    let sold = s.part_of(all);
    s.fact(format!("On Monday {sold} books are sold."));
    s.ask("How many books are in the shop now?");
    let left = s.step("After the sale there are @ books.", format!("{all} - {sold}"));
    if steps == 2 {
        return Quantity::new(left, "books", Kind::Things);
    }
    let new = s.some();
    s.fact(format!("On Tuesday {new} new books arrive."));
    let now = s.step("With the new ones there are @ books.", format!("{left} + {new}"));
    Quantity::new(now, "books", Kind::Things)
}

fn albums(s: &mut Story, _: usize) -> Quantity {
    let (hero, things) = (s.hero, s.pick(&["photos", "drawings", "song recordings", "recipes"]));
    let (albums, each) = (s.few(), s.some());
    s.fact(format!("{} keeps {albums} folders of {each} {things} on a computer.", hero.name));
    let all = s.step(&format!("There are @ {things}."), format!("{albums} * {each}"));
    let deleted = s.part_of(all);
    s.fact(format!("To save space {} deletes {deleted} of the {things}.", hero.she));
    s.ask(format!("How many {things} does {} still have?", hero.name));
    let left = s.step(&format!("@ {things} are left."), format!("{all} - {deleted}"));
    Quantity::new(left, things, Kind::Things)
}

fn parcels(s: &mut Story, steps: usize) -> Quantity {
    let (hero, vans, stops, each) = (s.hero, s.few(), s.some(), s.few());
    s.fact(format!("{} sends out {vans} vans, and each makes {stops} stops.", hero.name));
    s.fact(format!("At every stop {each} parcels are delivered."));
    s.ask("How many parcels are delivered?");
    let all_stops = s.step("The vans make @ stops.", format!("{vans} * {stops}"));
    let all = s.step("They deliver @ parcels.", format!("{all_stops} * {each}"));
    if steps == 2 {
        return Quantity::new(all, "parcels", Kind::End);
    }
    let back = s.part_of(all);
    s.fact(format!("Later {back} of these parcels are sent back."));
    s.ask("How many parcels stay with the customers?");
    let kept = s.step("@ parcels stay with the customers.", format!("{all} - {back}"));
    Quantity::new(kept, "parcels", Kind::End)
}

fn workshop(s: &mut Story, _: usize) -> Quantity {
    let (hero, helper) = (s.hero, s.person());
    let things = s.pick(&["baskets", "necklaces", "kites", "wooden bowls", "clay cups", "hats"]);
    let (a, b, days) = (s.few(), s.few(), s.some());
    s.fact(format!("{} makes {a} {things} a day, and {} makes {b} a day.", hero.name, helper.name));
    s.fact(format!("They work for {days} days, and all the {things} go to {}.", hero.name));
    s.ask(format!("How many {things} does {} have then?", hero.name));
    let daily = s.step(&format!("Together they make @ {things} a day."), format!("{a} + {b}"));
    let all = s.step(&format!("In {days} days this is @ {things}."), format!("{daily} * {days}"));
    Quantity::new(all, things, Kind::Things)
}

fn doubling(s: &mut Story, steps: usize) -> Quantity {
    let (k, word) = s.pick(&[(2, "doubles"), (3, "triples"), (4, "becomes four times as large")]);
    let (what, unit) = s.pick(&[
        ("A colony has", "bacteria"),
        ("A pond has", "water lilies"),
        ("A channel has", "followers"),
        ("A nest has", "ants"),
        ("A culture dish has", "yeast cells"),
    ]);
    let period = s.pick(&["hour", "day", "week"]);
    let mut value = s.some();
    s.fact(format!("{what} {value} {unit}."));
    s.fact(format!("Their number {word} every {period}."));
    s.ask(format!("How many {unit} are there after {steps} {period}s?"));
    if steps == 1 {
        s.ask(format!("How many {unit} are there after one {period}?"));
    }
    for number in 1..=steps {
        value = s.step(
            &format!("After {period} {number} there are @ {unit}."),
            format!("{value} * {k}"),
        );
    }
    Quantity::new(value, unit, Kind::End)
}

fn wheels(s: &mut Story, _: usize) -> Quantity {
    let ((one, a), (two, b)) = s.pick_two(&[
        ("bicycles", 2),
        ("tricycles", 3),
        ("cars", 4),
        ("skateboards", 4),
        ("trucks", 6),
        ("hand carts", 2),
    ]);
    let (x, y) = (s.some(), s.some());
    s.fact(format!("A museum shows {x} {one} with {a} wheels each."));
    s.fact(format!("It also shows {y} {two} with {b} wheels each."));
    s.ask("How many wheels are on show?");
    let first = s.step(&format!("The {one} have @ wheels."), format!("{x} * {a}"));
    let second = s.step(&format!("The {two} have @ wheels."), format!("{y} * {b}"));
    let total = s.step("Together they have @ wheels.", format!("{first} + {second}"));
    Quantity::new(total, "wheels", Kind::End)
}
