//! Times and weights of the transformations on request, for a program that compares them with
//! other implementations. `cargo xtask bench estimators` starts it.
//!
//! A request is a line of words on stdin, the answer a line on stdout:
//!
//! ```text
//! load REWARDS RATIOS GROUP         files of little-endian f64s, in groups of one size -> how many groups
//! time POLICY ESTIMATOR K           all groups transformed, memory kept                -> nanoseconds
//! sort                              the (reward, index) pairs of every group alone     -> nanoseconds
//! write POLICY ESTIMATOR K FILE     the weights of all groups                          -> how many
//! ```
//!
//! POLICY is `on`, or `off` for off-policy weights, which take the logarithms of the ratios in RATIOS.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::fs;
use std::io::stdin;
use std::time::Instant;

use bestof_estimators::{Estimator, OffPolicy, OffPolicyWorkspace, Ratios, Workspace};

#[derive(Default)]
struct Bench {
    rewards: Vec<f64>,
    log_ratios: Vec<f64>,
    offsets: Vec<usize>,
    weights: Vec<f64>,
    pairs: Vec<(f64, usize)>,
    workspace: Workspace,
    off_policy: OffPolicyWorkspace,
}

fn read(file: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let bytes = fs::read(file)?;
    let (values, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(format!("{file} does not hold whole f64s").into());
    }
    Ok(values.iter().map(|value| f64::from_le_bytes(*value)).collect())
}

impl Bench {
    fn load(&mut self, rewards: &str, ratios: &str, group: usize) -> Result<usize, Box<dyn Error>> {
        (self.rewards, self.log_ratios) = (read(rewards)?, read(ratios)?);
        let n = self.rewards.len();
        if group == 0 || n == 0 || !n.is_multiple_of(group) {
            return Err(format!("{rewards} does not hold whole groups of {group} f64s").into());
        }
        self.offsets = (0..=n / group).map(|i| i * group).collect();
        self.weights = vec![0.0; n];
        Ok(n / group)
    }

    fn transform(&mut self, policy: &str, name: &str, k: usize) -> Result<(), Box<dyn Error>> {
        let estimator = name.parse::<Estimator>()?;
        let Self { rewards, log_ratios, offsets, weights, workspace, off_policy, .. } = self;
        match policy {
            "on" => {
                estimator.build(k)?.transform_groups_into(rewards, offsets, weights, workspace)?;
            }
            "off" => {
                let ratios = Ratios::Log(log_ratios);
                let rule = OffPolicy::new(estimator, k)?;
                rule.weights_groups_into(rewards, ratios, offsets, weights, off_policy)?;
            }
            _ => return Err(format!("no such policy: {policy}").into()),
        }
        Ok(())
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
            ["load", rewards, ratios, group] => {
                Ok(self.load(rewards, ratios, group.parse()?)? as u128)
            }
            ["time", policy, name, k] => {
                let k = k.parse()?;
                let started = Instant::now();
                self.transform(policy, name, k)?;
                Ok(started.elapsed().as_nanos())
            }
            ["sort"] => Ok(self.sort()),
            ["write", policy, name, k, file] => {
                self.transform(policy, name, k.parse()?)?;
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
