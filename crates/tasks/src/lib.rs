#![doc = include_str!("../README.md")]

mod algebra;
mod answer;
pub mod arithmetic;
mod corrupt;
pub mod distance;
pub mod environment;
mod expression;
pub mod extract;
pub mod grid;
mod latex;
pub mod long_context;
pub mod pairs;
pub mod program;
pub mod puzzles;
mod rational;
pub mod rng;
pub mod rows;
pub mod sets;
mod setters;
mod template;
mod units;
mod value;
pub mod verify;
pub mod words;
pub mod worked;
