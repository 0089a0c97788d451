//! Situations about lengths, times, weights and other measures.

use super::super::story::{Kind, Quantity, Story};
use super::super::vocabulary::{BAKED, INGREDIENTS};
use super::Opening;

pub(super) const OPENINGS: &[Opening] = &[
    Opening { name: "travel", steps: &[1, 3], tell: travel },
    Opening { name: "reading", steps: &[1, 2, 3], tell: reading },
    Opening { name: "laps", steps: &[1, 2, 3], tell: laps },
    Opening { name: "recipe", steps: &[2, 3], tell: recipe },
    Opening { name: "tank", steps: &[2, 3, 4], tell: tank },
    Opening { name: "temperature", steps: &[2, 3], tell: temperature },
    Opening { name: "meeting", steps: &[2, 3], tell: meeting },
    Opening { name: "working-together", steps: &[2, 3], tell: working_together },
    Opening { name: "practice", steps: &[2, 3], tell: practice },
    Opening { name: "rectangle", steps: &[1, 2, 3], tell: rectangle },
    Opening { name: "average", steps: &[2], tell: average },
    Opening { name: "painting", steps: &[3, 4], tell: painting },
    Opening { name: "stairs", steps: &[1, 2], tell: stairs },
    Opening { name: "game", steps: &[2, 3, 4], tell: game },
];

fn travel(s: &mut Story, steps: usize) -> Quantity {
    let hero = s.hero;
    let (act, acts, pace) = s.pick(&[
        ("drive", "drives", 50),
        ("cycle", "cycles", 12),
        ("sail", "sails", 8),
        ("ride", "rides", 20),
    ]);
    let (speed, hours) = (pace + s.draw.between(0, 9), s.few());
    s.fact(format!("{} {acts} for {hours} hours at {speed} miles an hour.", hero.name));
    s.ask(format!("How many miles does {} {act}?", hero.name));
    let first = s.step(&format!("{} {acts} @ miles.", hero.name), format!("{hours} * {speed}"));
    if steps == 1 {
        return Quantity::new(first, "miles", Kind::Amount { act });
    }
    let (slow, more) = (pace - s.draw.between(1, 5), s.few());
    s.fact(format!("After a break {} {acts} {more} hours more at {slow} miles an hour.", hero.she));
    let second = s.step("After the break it is @ miles.", format!("{more} * {slow}"));
    let total = s.step("The whole way is @ miles.", format!("{first} + {second}"));
    Quantity::new(total, "miles", Kind::Amount { act })
}

fn reading(s: &mut Story, steps: usize) -> Quantity {
    let (hero, days, pages) = (s.hero, s.few(), s.some());
    s.fact(format!("{} reads {pages} pages of a book on each of {days} days.", hero.name));
    s.ask(format!("How many pages does {} read?", hero.name));
    let read = s.step(&format!("{} reads @ pages.", hero.name), format!("{days} * {pages}"));
    if steps == 1 {
        return Quantity::new(read, "pages", Kind::Amount { act: "read" });
    }
    let (more_days, daily) = (s.few(), s.some());
    let total = read + more_days * daily;
    s.fact(format!("The book has {total} pages."));
    s.ask(format!("How many pages are left for {}?", hero.name));
    let left = s.step("@ pages are left.", format!("{total} - {read}"));
    if steps == 2 {
        return Quantity::new(left, "pages", Kind::Rest);
    }
    s.fact(
        format!("{} wants to read the rest in {more_days} days,", hero.she_capital())
            + " the same number of pages each day.",
    );
    s.ask("How many pages a day is that?");
    let daily = s.step("This is @ pages a day.", format!("{left} / {more_days}"));
    Quantity::new(daily, "pages", Kind::End)
}

fn laps(s: &mut Story, steps: usize) -> Quantity {
    let hero = s.hero;
    let (act, acts, place) = s.pick(&[
        ("run", "runs", "track"),
        ("swim", "swims", "pool"),
        ("skate", "skates", "rink"),
        ("walk", "walks", "path"),
    ]);
    let (count, length) = (s.few(), 5 * s.some());
    s.fact(format!(
        "A lap of the {place} is {length} meters, and {} {acts} {count} laps.",
        hero.name
    ));
    s.ask(format!("How many meters does {} {act}?", hero.name));
    let one = s.step(&format!("{} {acts} @ meters.", hero.name), format!("{count} * {length}"));
    if steps == 1 {
        return Quantity::new(one, "meters", Kind::Amount { act });
    }
    let days = s.few();
    s.fact(format!("{} does so on {days} days.", hero.she_capital()));
    let all = s.step(&format!("In {days} days this is @ meters."), format!("{one} * {days}"));
    if steps == 2 {
        return Quantity::new(all, "meters", Kind::Amount { act });
    }
    let more = s.many();
    s.fact(format!("On the day after, {} {acts} {more} meters.", hero.she));
    s.ask(format!("How many meters does {} {act} in all?", hero.name));
    let total = s.step("With the last day this is @ meters.", format!("{all} + {more}"));
    Quantity::new(total, "meters", Kind::Amount { act })
}

fn recipe(s: &mut Story, steps: usize) -> Quantity {
    let (hero, things, food) = (s.hero, s.pick(BAKED), s.pick(INGREDIENTS));
    let (per_batch, batches, grams) = (s.draw.between(4, 24), s.few(), 10 * s.some());
    let wanted = per_batch * batches;
    s.fact(format!("A recipe for {per_batch} {things} needs {grams} grams of {food}."));
    s.fact(format!("{} wants to make {wanted} {things}.", hero.name));
    s.ask(format!("How many grams of {food} does {} need?", hero.name));
    let count = s.step("The recipe has to be made @ times.", format!("{wanted} / {per_batch}"));
    let need = s.step(&format!("This takes @ grams of {food}."), format!("{count} * {grams}"));
    if steps == 2 {
        return Quantity::new(need, "grams", Kind::End);
    }
    let has = s.part_of(need);
    s.fact(format!("There are {has} grams of {food} in the kitchen."));
    s.ask(format!("How many grams of {food} does {} have to buy?", hero.name));
    let buy = s.step("@ grams are missing.", format!("{need} - {has}"));
    Quantity::new(buy, "grams", Kind::Rest)
}

fn tank(s: &mut Story, steps: usize) -> Quantity {
    let (what, minutes, rate) =
        (s.pick(&["tank", "pool", "barrel", "pond", "fountain"]), s.some(), s.few() + 4);
    s.fact(format!("A pump brings {rate} liters of water a minute into an empty {what}."));
    let filled = s.step("The pump brings @ liters.", format!("{rate} * {minutes}"));
    s.ask(format!("How many liters are in the {what} after {minutes} minutes?"));
    if steps == 2 {
        let taken = s.part_of(filled);
        s.fact(format!("During this time {taken} liters are taken out."));
        let left = s.step("@ liters are left.", format!("{filled} - {taken}"));
        return Quantity::new(left, "liters", Kind::End);
    }
    let leak = s.draw.between(2, rate - 2);
    s.fact(format!("Through a leak {leak} liters a minute run out."));
    let lost = s.step("The leak loses @ liters.", format!("{leak} * {minutes}"));
    let left = s.step(&format!("In the {what} are @ liters."), format!("{filled} - {lost}"));
    if steps == 3 {
        return Quantity::new(left, "liters", Kind::End);
    }
    let rain = s.some();
    s.fact(format!("Rain adds {rain} liters in the same time."));
    let all = s.step("With the rain there are @ liters.", format!("{left} + {rain}"));
    Quantity::new(all, "liters", Kind::End)
}

fn temperature(s: &mut Story, steps: usize) -> Quantity {
    let (start, drop, hours) = (s.draw.between(2, 15), s.draw.between(2, 4), s.draw.between(2, 9));
    let place =
        s.pick(&["on the mountain", "in the village", "at the weather station", "on the lake"]);
    s.fact(format!("In the evening it is {start} degrees {place}."));
    s.fact(format!("Then the temperature falls by {drop} degrees an hour for {hours} hours."));
    s.ask("How many degrees is it then?");
    let fall = s.step("The temperature falls by @ degrees.", format!("{drop} * {hours}"));
    let cold = s.step("Then it is @ degrees.", format!("{start} - {fall}"));
    if steps == 2 {
        return Quantity::new(cold, "degrees", Kind::End);
    }
    let rise = s.draw.between(2, 20);
    s.fact(format!("In the morning it gets {rise} degrees warmer."));
    s.ask("How many degrees is it in the end?");
    let end = s.step("In the end it is @ degrees.", format!("{cold} + {rise}"));
    Quantity::new(end, "degrees", Kind::End)
}

fn meeting(s: &mut Story, steps: usize) -> Quantity {
    let ((things, first), slow) =
        (s.pick(&[("trains", 40), ("trucks", 30), ("boats", 10), ("cyclists", 11)]), s.few());
    let (fast, hours) = (first + s.draw.between(1, 9), s.few());
    let slow = first - slow.min(first - 2);
    let distance = (fast + slow) * hours;
    s.fact(format!("Two {things} are {distance} miles apart and move towards each other."));
    s.fact(format!("The faster one makes {fast} miles an hour, the other {slow} miles an hour."));
    s.ask("After how many hours do they meet?");
    let together = s.step("Every hour they come @ miles closer.", format!("{fast} + {slow}"));
    let met = s.step("They meet after @ hours.", format!("{distance} / {together}"));
    if steps == 2 {
        return Quantity::new(met, "hours", Kind::End);
    }
    s.ask("How many miles has the faster one moved when they meet?");
    let moved = s.step("By then the faster one has moved @ miles.", format!("{fast} * {met}"));
    Quantity::new(moved, "miles", Kind::End)
}

fn working_together(s: &mut Story, steps: usize) -> Quantity {
    let (hero, other) = (s.hero, s.person());
    let (act, acts, things) = s.pick(&[
        ("paint", "paints", "chairs"),
        ("type", "types", "letters"),
        ("plant", "plants", "seedlings"),
        ("repair", "repairs", "bikes"),
        ("peel", "peels", "potatoes"),
        ("iron", "irons", "shirts"),
    ]);
    let (a, b, hours) = (s.few(), s.few(), s.few());
    let total = (a + b) * hours;
    s.fact(format!(
        "{} {acts} {a} {things} an hour, and {} {acts} {b} an hour.",
        hero.name, other.name
    ));
    s.fact(format!("Together they have to {act} {total} {things}."));
    s.ask("How many hours do they need?");
    let rate = s.step(&format!("In an hour they {act} @ {things}."), format!("{a} + {b}"));
    let need = s.step("They need @ hours.", format!("{total} / {rate}"));
    if steps == 2 {
        return Quantity::new(need, "hours", Kind::End);
    }
    s.ask("How many minutes do they need?");
    let minutes = s.step("This is @ minutes.", format!("{need} * 60"));
    Quantity::new(minutes, "minutes", Kind::End)
}

fn practice(s: &mut Story, steps: usize) -> Quantity {
    let (hero, art) =
        (s.hero, s.pick(&["the piano", "juggling", "chess", "French", "drawing", "the drums"]));
    let (weeks, minutes) = (s.few(), 5 * s.draw.between(2, 12));
    s.fact(format!("{} practices {art} for {minutes} minutes every day.", hero.name));
    s.fact(format!("{} keeps this up for {weeks} weeks.", hero.she_capital()));
    s.ask(format!("How many minutes does {} practice?", hero.name));
    let days = s.step(&format!("{weeks} weeks are @ days."), format!("{weeks} * 7"));
    let all = s.step("This makes @ minutes of practice.", format!("{days} * {minutes}"));
    if steps == 2 {
        return Quantity::new(all, "minutes", Kind::Amount { act: "practice" });
    }
    let missed = s.part_of(all);
    s.fact(format!("But illness costs {} {missed} of these minutes.", hero.name));
    let left = s.step("Without the lost ones @ minutes remain.", format!("{all} - {missed}"));
    Quantity::new(left, "minutes", Kind::Amount { act: "practice" })
}

fn rectangle(s: &mut Story, steps: usize) -> Quantity {
    let (hero, what) =
        (s.hero, s.pick(&["garden", "meadow", "playground", "parking lot", "chicken run"]));
    let width = s.some();
    let length = width + s.few();
    s.fact(format!(
        "{}'s {what} is a rectangle, {length} meters long and {width} meters wide.",
        hero.name
    ));
    if steps == 1 {
        s.ask(format!("How many square meters does the {what} have?"));
        let area =
            s.step(&format!("The {what} has @ square meters."), format!("{length} * {width}"));
        return Quantity::new(area, "square meters", Kind::End);
    }
    s.fact(format!("{} puts a fence around it.", hero.she_capital()));
    s.ask("How many meters long is the fence?");
    let half = s.step("One long and one short side are @ meters.", format!("{length} + {width}"));
    let fence = s.step("The whole fence is @ meters long.", format!("{half} * 2"));
    if steps == 2 {
        return Quantity::new(fence, "meters", Kind::End);
    }
    let price = s.few() + 1;
    s.fact(format!("A meter of fence costs ${price}."));
    s.ask("How many dollars does the fence cost?");
    let cost = s.step("The fence costs $@.", format!("{fence} * {price}"));
    Quantity::dollars(cost, Kind::Cost)
}

fn average(s: &mut Story, _: usize) -> Quantity {
    let (hero, count) = (s.hero, s.draw.between(3, 5));
    let (unit, what) = s.pick(&[
        ("points", "tests"),
        ("meters", "throws"),
        ("minutes", "rides to work"),
        ("birds", "days of watching"),
    ]);
    let mean = s.some() + 10;
    let mut values: Vec<i64> = (1..count).map(|_| mean + s.draw.between(-8, 8)).collect();
    let last = mean * count - values.iter().sum::<i64>();
    if last < 1 {
        let fix = 1 - last;
        values[0] -= fix;
    }
    values.push(last.max(1));
    let listed: Vec<String> = values.iter().map(ToString::to_string).collect();
    let (end, start) = (&listed[listed.len() - 1], listed[..listed.len() - 1].join(", "));
    s.fact(format!("In {count} {what} {} counts {start} and {end} {unit}.", hero.name));
    s.ask(format!("How many {unit} is that on average?"));
    let total = s.step(&format!("Together they are @ {unit}."), listed.join(" + "));
    let mean = s.step(&format!("On average this is @ {unit}."), format!("{total} / {count}"));
    Quantity::new(mean, unit, Kind::End)
}

fn painting(s: &mut Story, steps: usize) -> Quantity {
    let (hero, walls) = (s.hero, s.draw.between(2, 6));
    let (height, cover) = (s.draw.between(2, 6), s.pick(&[2, 3, 4, 5, 6, 8]));
    let length = cover * s.few();
    let room = s.pick(&["hall", "classroom", "barn", "corridor", "studio"]);
    s.fact(
        format!("{} paints {walls} walls of a {room}, each {length} meters long", hero.name)
            + &format!(" and {height} meters high."),
    );
    s.fact(format!("A can of paint is enough for {cover} square meters."));
    s.ask(format!("How many cans does {} need?", hero.name));
    let wall = s.step("One wall has @ square meters.", format!("{length} * {height}"));
    let all = s.step("All walls have @ square meters.", format!("{wall} * {walls}"));
    let cans = s.step("This takes @ cans of paint.", format!("{all} / {cover}"));
    if steps == 3 {
        return Quantity::new(cans, "cans of paint", Kind::End);
    }
    let price = s.draw.between(5, 40);
    s.fact(format!("One can costs ${price}."));
    s.ask("How many dollars does the paint cost?");
    let cost = s.step("The paint costs $@.", format!("{cans} * {price}"));
    Quantity::dollars(cost, Kind::Cost)
}

fn stairs(s: &mut Story, steps: usize) -> Quantity {
    let (hero, floors, each) = (s.hero, s.few(), s.draw.between(9, 30));
    let place = s.pick(&["a lighthouse", "a tower", "an office building", "a block of flats"]);
    s.fact(format!(
        "To reach the top of {place}, {} climbs {floors} flights of {each} steps.",
        hero.name
    ));
    s.ask(format!("How many steps does {} climb?", hero.name));
    let once = s.step("The way to the top has @ steps.", format!("{floors} * {each}"));
    if steps == 1 {
        return Quantity::new(once, "steps", Kind::Amount { act: "climb" });
    }
    let trips = s.few();
    s.fact(format!("{} goes up {trips} times.", hero.she_capital()));
    let all = s.step(&format!("{trips} times up makes @ steps."), format!("{once} * {trips}"));
    Quantity::new(all, "steps", Kind::Amount { act: "climb" })
}

fn game(s: &mut Story, steps: usize) -> Quantity {
    let (hero, levels, points) = (s.hero, s.few(), s.some());
    s.fact(format!(
        "In a game every level brings {points} points, and {} clears {levels} levels.",
        hero.name
    ));
    s.ask(format!("How many points does {} have in the end?", hero.name));
    let base = s.step("The levels bring @ points.", format!("{levels} * {points}"));
    let bonus = s.some();
    s.fact(format!("For speed there are {bonus} points more."));
    let mut value = s.step("With the bonus there are @ points.", format!("{base} + {bonus}"));
    if steps >= 3 {
        let lost = s.part_of(value);
        s.fact(format!("Mistakes cost {lost} points."));
        value = s.step("After the mistakes @ points are left.", format!("{value} - {lost}"));
    }
    if steps == 4 {
        s.fact("A joker doubles what is left.");
        value = s.step("The joker makes it @ points.", format!("{value} * 2"));
    }
    Quantity::new(value, "points", Kind::Amount { act: "score" })
}
