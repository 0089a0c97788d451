//! Circles of files inside a crate: files that use each other's items, directly or by way of others.

mod modules;
mod references;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use references::Arrows;

use crate::process;

/// Crates whose circles are reported but do not fail `tidy`.
const ALLOWED: &[&str] = &[];

/// Files that can all be reached from each other, with the arrows among them.
#[derive(Debug, PartialEq)]
struct Circle {
    files: Vec<PathBuf>,
    arrows: Vec<(PathBuf, PathBuf, BTreeSet<String>)>,
}

/// One text for each circle in the crates that must have none.
pub(super) fn check(targets: &[(String, PathBuf)]) -> Result<Vec<String>> {
    let failing = targets.iter().filter(|(name, _)| !ALLOWED.contains(&name.as_str()));
    describe(&failing.cloned().collect::<Vec<_>>())
}

/// One text for each circle in any of the crates: `targets` holds a crate's name and its root file.
pub(super) fn describe(targets: &[(String, PathBuf)]) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for (name, root_file) in targets {
        for circle in circles_of(root_file)? {
            texts.push(circle.describe(name));
        }
    }
    Ok(texts)
}

/// The circles of the crate that starts at `root_file`.
fn circles_of(root_file: &Path) -> Result<Vec<Circle>> {
    let tree = modules::Tree::read(root_file)?;
    let arrows = references::arrows(&tree);
    let files = |members: &[usize]| members.iter().map(|&i| tree.files[i].path.clone()).collect();
    let circles = strongly_connected(tree.files.len(), &arrows).into_iter().map(|members| Circle {
        files: files(&members),
        arrows: arrows
            .iter()
            .filter(|((from, to), _)| members.contains(from) && members.contains(to))
            .map(|((from, to), names)| {
                (tree.files[*from].path.clone(), tree.files[*to].path.clone(), names.clone())
            })
            .collect(),
    });
    Ok(circles.collect())
}

impl Circle {
    fn describe(&self, name: &str) -> String {
        let root = process::root();
        let short = |path: &Path| path.strip_prefix(&root).unwrap_or(path).display().to_string();
        let mut text = format!("{name}: {} files form a circle", self.files.len());
        for (from, to, names) in &self.arrows {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let _ = write!(text, "\n  {} -> {}: {names}", short(from), short(to));
        }
        text
    }
}

/// The sets of two or more files that are all reachable from each other.
fn strongly_connected(count: usize, arrows: &Arrows) -> Vec<Vec<usize>> {
    let reachable: Vec<BTreeSet<usize>> = (0..count).map(|from| reachable(from, arrows)).collect();
    let mut placed: BTreeSet<usize> = BTreeSet::new();
    let mut sets = Vec::new();
    for from in 0..count {
        if placed.contains(&from) {
            continue;
        }
        let back = |to: &&usize| **to != from && reachable[**to].contains(&from);
        let mut members: Vec<usize> = reachable[from].iter().filter(back).copied().collect();
        if !members.is_empty() {
            members.push(from);
            members.sort_unstable();
            placed.extend(&members);
            sets.push(members);
        }
    }
    sets
}

fn reachable(from: usize, arrows: &Arrows) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for ((_, to), _) in arrows.range((file, 0)..=(file, usize::MAX)) {
            if seen.insert(*to) {
                open.push(*to);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests;
