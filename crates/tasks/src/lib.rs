#![doc = include_str!("../README.md")]

mod algebra;
mod answer;
pub mod arithmetic;
mod corrupt;
pub mod distance;
mod expression;
pub mod extract;
pub mod grid;
pub mod long_context;
pub mod pairs;
pub mod puzzles;
mod rational;
pub mod rng;
pub mod rows;
pub mod sets;
mod setters;
mod template;
pub mod verify;
pub mod words;
pub mod worked;
