//! Rows of the hub's datasets: the Parquet files that the hub itself makes of every dataset it can read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bestof_files::StagedFolder;

use super::hub::{Hub, Listed, Repository, is_repository};
use super::receipt::{ROWS_RECEIPT, Receipt, commit};
use super::transfer::Connection;

/// What the hub puts before the name of a split that it has converted the beginning of.
const PARTIAL: &str = "partial-";

/// Which rows of a dataset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// `owner/name`.
    pub(crate) name: &'a str,
    /// The configuration; `None` for the only one, or the one called `default`.
    pub(crate) config: Option<&'a str>,
    /// The split; `None` for all.
    pub(crate) split: Option<&'a str>,
}

/// A split that is on this machine now.
#[derive(Debug)]
pub(crate) struct FetchedSplit {
    pub(crate) config: String,
    pub(crate) split: String,
    /// The folder of its Parquet files.
    pub(crate) dir: PathBuf,
    pub(crate) from: String,
    /// Whether the hub has converted its beginning only.
    pub(crate) partial: bool,
    /// Whether it was complete before.
    pub(crate) already: bool,
}

/// The Parquet files of a split, and whether they are its beginning only.
#[derive(Debug, Default)]
struct Split {
    partial: bool,
    files: Vec<Listed>,
}

/// Every split of every configuration.
type Configs = BTreeMap<String, BTreeMap<String, Split>>;

/// Downloads splits into `root/data/OWNER--NAME/CONFIG/SPLIT`.
pub(crate) fn fetch(
    wanted: Wanted<'_>,
    root: &Path,
    force: bool,
    connection: Connection,
) -> Result<Vec<FetchedSplit>> {
    let Wanted { name, .. } = wanted;
    ensure!(
        is_repository(name),
        "`{name}` is not the name of a dataset; those of the hub are called `owner/name`, such as openai/gsm8k"
    );
    let (hub, repository) = (Hub::new(connection)?, Repository::Converted(name));
    let listed = hub.list(repository).with_context(|| {
        format!(
            "the hub's Parquet files of {name} could not be listed: there is no such dataset, the hub has not converted it, \
             or it asks for a token (set HF_TOKEN after agreeing to its terms on its page)"
        )
    })?;
    let configs = by_config(listed)?;
    let config = choose(name, &configs, wanted.config)?;
    let splits = &configs[&config];
    if let Some(split) = wanted.split {
        known("split", split, splits.keys(), &format!("{name}, configuration {config},"))?;
    }
    let folder = root.join("data").join(name.replace('/', "--")).join(&config);
    let mut fetched = Vec::new();
    for (split, found) in splits {
        if wanted.split.is_some_and(|wanted| wanted != split) {
            continue;
        }
        let dir = folder.join(split);
        let one = |from, already| FetchedSplit {
            config: config.clone(),
            split: split.clone(),
            dir: dir.clone(),
            from,
            partial: found.partial,
            already,
        };
        if !force && let Some(receipt) = Receipt::of_whole(&dir, ROWS_RECEIPT)? {
            fetched.push(one(receipt.from, true));
            continue;
        }
        let downloads = root.join("data/.downloads").join(name.replace('/', "--"));
        let downloads = downloads.join(&config).join(split);
        std::fs::create_dir_all(&downloads)
            .with_context(|| format!("could not make {}", downloads.display()))?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        let locals: Vec<PathBuf> =
            found.files.iter().map(|file| downloads.join(file_name(&file.path))).collect();
        hub.download(repository, found.files.iter().zip(locals.iter().map(PathBuf::as_path)))?;
        let staged = StagedFolder::replace(&dir)?;
        for local in locals {
            std::fs::rename(&local, staged.path().join(local.file_name().unwrap_or_default()))?;
        }
        let from = hub.address(repository);
        commit(staged, &from, ROWS_RECEIPT)?;
        std::fs::remove_dir_all(&downloads).ok();
        fetched.push(one(from, false));
    }
    Ok(fetched)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Sorts files by their paths, `CONFIG/SPLIT/0000.parquet`; others are not of the rows.
fn by_config(listed: Vec<Listed>) -> Result<Configs> {
    let mut configs = Configs::new();
    for file in listed {
        let parts: Vec<&str> = file.path.split('/').collect();
        let &[config, split, name] = parts.as_slice() else { continue };
        if !name.ends_with(".parquet") {
            continue;
        }
        ensure!(
            ![config, split, name].iter().any(|part| part.starts_with('.')),
            "the hub lists a file with the path `{}`, which has no place in a folder of rows",
            file.path
        );
        let partial = split.starts_with(PARTIAL);
        let split = split.trim_start_matches(PARTIAL).to_owned();
        let found = configs.entry(config.to_owned()).or_default().entry(split).or_default();
        found.partial |= partial;
        found.files.push(file);
    }
    Ok(configs)
}

/// The configuration that is asked for, or goes without asking.
fn choose(name: &str, configs: &Configs, wanted: Option<&str>) -> Result<String> {
    ensure!(!configs.is_empty(), "the hub has no Parquet files of {name}");
    match (wanted, configs.len()) {
        (Some(wanted), _) => {
            known("configuration", wanted, configs.keys(), name)?;
            Ok(wanted.to_owned())
        }
        (None, 1) => Ok(configs.keys().next().cloned().unwrap_or_default()),
        (None, _) if configs.contains_key("default") => Ok("default".to_owned()),
        (None, _) => {
            let names: Vec<&str> = configs.keys().map(String::as_str).collect();
            bail!(
                "{name} has several configurations; say which with --config: {}",
                names.join(", ")
            )
        }
    }
}

/// Refuses a name that is not there, with those that are.
fn known<'a>(
    what: &str,
    wanted: &str,
    there: impl Iterator<Item = &'a String> + Clone,
    of: &str,
) -> Result<()> {
    if there.clone().any(|name| name == wanted) {
        return Ok(());
    }
    let names: Vec<&str> = there.map(String::as_str).collect();
    let hint = bestof_suggest::nearest(wanted, names.iter().copied())
        .map(|nearest| format!(" Did you mean `{nearest}`?"))
        .unwrap_or_default();
    bail!("{of} has no {what} `{wanted}`; there are {}.{hint}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::fetch::hub::is_repository;

    #[test]
    fn names_of_the_hub_cannot_lead_elsewhere() {
        assert!(
            is_repository("openai/gsm8k") && is_repository("allenai/ultrafeedback_binarized.1")
        );
        for name in ["gsm8k", "a/b/c", "../x", "a/..", "a/", "/a", "a b/c", "a/b?c", ""] {
            assert!(!is_repository(name), "{name}");
        }
    }
}
