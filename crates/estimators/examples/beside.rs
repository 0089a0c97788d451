//! Times and weights of the transformations on request, for a program that compares them with
//! other implementations. `cargo xtask bench estimators` starts it.
//!
//! A request is a line of words on stdin, the answer a line on stdout:
//!
//! ```text
//! load FILE GROUP              f64s, little-endian, in groups of one size     -> how many groups
//! time ESTIMATOR K             all groups transformed, memory kept            -> nanoseconds
//! sort                         the (reward, index) pairs of every group alone -> nanoseconds
//! write ESTIMATOR K FILE       the weights of all groups                      -> how many
//! ```
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::fs;
use std::io::stdin;
use std::time::Instant;

use bestof_estimators::{Estimator, Workspace};

#[derive(Default)]
struct Bench {
    rewards: Vec<f64>,
    offsets: Vec<usize>,
    weights: Vec<f64>,
    pairs: Vec<(f64, usize)>,
    workspace: Workspace,
}

impl Bench {
    fn load(&mut self, file: &str, group: usize) -> Result<usize, Box<dyn Error>> {
        let bytes = fs::read(file)?;
        let (values, rest) = bytes.as_chunks::<8>();
        if group == 0 || values.is_empty() || !rest.is_empty() || values.len() % group != 0 {
            return Err(format!("{file} does not hold whole groups of {group} f64s").into());
        }
        self.rewards = values.iter().map(|value| f64::from_le_bytes(*value)).collect();
        self.offsets = (0..=values.len() / group).map(|i| i * group).collect();
        self.weights = vec![0.0; values.len()];
        Ok(values.len() / group)
    }

    fn transform(&mut self, name: &str, k: usize) -> Result<(), Box<dyn Error>> {
        let transform = name.parse::<Estimator>()?.build(k)?;
        let (rewards, offsets) = (&self.rewards, &self.offsets);
        let workspace = &mut self.workspace;
        Ok(transform.transform_groups_into(rewards, offsets, &mut self.weights, workspace)?)
    }

    fn sort(&mut self) -> u128 {
        self.pairs.clear();
        self.pairs.extend(self.rewards.iter().copied().zip(0..));
        let started = Instant::now();
        for bounds in self.offsets.windows(2) {
            self.pairs[bounds[0]..bounds[1]].sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        }
        started.elapsed().as_nanos()
    }

    fn answer(&mut self, request: &str) -> Result<u128, Box<dyn Error>> {
        let words: Vec<&str> = request.split_whitespace().collect();
        match words[..] {
            ["load", file, group] => Ok(self.load(file, group.parse()?)? as u128),
            ["time", name, k] => {
                let k = k.parse()?;
                let started = Instant::now();
                self.transform(name, k)?;
                Ok(started.elapsed().as_nanos())
            }
            ["sort"] => Ok(self.sort()),
            ["write", name, k, file] => {
                self.transform(name, k.parse()?)?;
                let bytes: Vec<u8> = self.weights.iter().flat_map(|w| w.to_le_bytes()).collect();
                fs::write(file, bytes)?;
                Ok(self.weights.len() as u128)
            }
            _ => Err(format!("no such request: {request}").into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut bench = Bench::default();
    for line in stdin().lines() {
        println!("{}", bench.answer(&line?)?);
    }
    Ok(())
}
