//! How a story goes on once it has reached a number.

mod money;
mod things;

use super::story::{Kind, Quantity, Story};
use money::{
    buy_change, coupon, delivery, every_week, give_fraction, give_percent, pay_with, receive,
    share_money, spend, split_bill,
};
use things::{
    divide_rest, done_of_rest, friend_has, friend_less, friend_more, friend_times, get_more,
    give_away, goal, keep_boxes, lose_fraction, pack, repeat, sell_all,
};

/// Largest value that is still multiplied.
const MULTIPLY_BELOW: i64 = 20_000;

/// Largest value that is still added to.
const ADD_BELOW: i64 = 1_000_000;

/// A turn that adds one or two steps to a story.
#[derive(Debug, Clone, Copy)]
pub(super) struct Continuation {
    pub(super) name: &'static str,
    pub(super) steps: usize,
    fits: fn(Kind) -> bool,
    /// Answers `None`, having told nothing, when the number does not allow this turn.
    pub(super) tell: fn(&mut Story, Quantity) -> Option<Quantity>,
}

impl Continuation {
    pub(super) fn fits(&self, kind: Kind) -> bool {
        (self.fits)(kind)
    }
}

const fn turn(
    name: &'static str,
    steps: usize,
    fits: fn(Kind) -> bool,
    tell: fn(&mut Story, Quantity) -> Option<Quantity>,
) -> Continuation {
    Continuation { name, steps, fits, tell }
}

pub(super) const ALL: &[Continuation] = &[
    turn("spend", 1, money, spend),
    turn("receive", 1, money, receive),
    turn("share-money", 1, money, share_money),
    turn("give-fraction", 2, money, give_fraction),
    turn("give-percent", 2, money, give_percent),
    turn("buy-change", 2, money, buy_change),
    turn("pay-with", 1, payable, pay_with),
    turn("coupon", 1, cost, coupon),
    turn("delivery", 1, cost, delivery),
    turn("split-bill", 1, cost, split_bill),
    turn("every-week", 1, cost, every_week),
    turn("give-away", 1, things, give_away),
    turn("get-more", 1, things, get_more),
    turn("pack", 1, things, pack),
    turn("keep-boxes", 1, boxed, keep_boxes),
    turn("sell-all", 1, things, sell_all),
    turn("friend-has", 1, things, friend_has),
    turn("lose-fraction", 2, things, lose_fraction),
    turn("goal", 1, amount, goal),
    turn("repeat", 1, amount, repeat),
    turn("friend-times", 1, amount, friend_times),
    turn("friend-more", 1, amount, friend_more),
    turn("friend-less", 1, amount, friend_less),
    turn("done-of-rest", 1, rest, done_of_rest),
    turn("divide-rest", 1, rest, divide_rest),
];

fn money(kind: Kind) -> bool {
    kind == Kind::Money
}

fn cost(kind: Kind) -> bool {
    kind == Kind::Cost
}

fn payable(kind: Kind) -> bool {
    matches!(kind, Kind::Cost | Kind::Share)
}

fn things(kind: Kind) -> bool {
    kind == Kind::Things
}

fn boxed(kind: Kind) -> bool {
    matches!(kind, Kind::Boxed { .. })
}

fn amount(kind: Kind) -> bool {
    matches!(kind, Kind::Amount { .. })
}

fn rest(kind: Kind) -> bool {
    kind == Kind::Rest
}
