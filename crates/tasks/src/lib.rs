#![doc = include_str!("../README.md")]

pub mod arithmetic;
pub mod corrupt;
pub mod distance;
pub mod draw;
pub mod expression;
pub mod extract;
pub mod pairs;
pub mod rational;
pub mod rows;
pub mod sets;
pub mod worked;
