//! Downloads from the Hugging Face hub: what a repository holds, and each file checked against the
//! SHA-256 that the hub states for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bestof_files::{StagedFolder, sha256_of_file};
use bestof_report::steers_terminal;
use serde::Deserialize;

use super::receipt::{MODEL_RECEIPT, commit};
use super::transfer::{Connection, Transfer};

/// The most pages of a list that are asked for.
const MOST_PAGES: usize = 10_000;

/// A hub and how it is spoken to.
pub(super) struct Hub {
    transfer: Transfer,
    endpoint: String,
}

/// A repository of the hub at one revision.
#[derive(Debug, Clone, Copy)]
pub(super) enum Repository<'a> {
    /// A model's.
    Model(&'a str),
    /// The Parquet files that the hub has made of a dataset.
    Converted(&'a str),
}

impl Repository<'_> {
    fn listing(&self) -> String {
        match self {
            Self::Model(name) => format!("api/models/{name}/tree/main"),
            Self::Converted(name) => {
                format!("api/datasets/{name}/tree/refs%2Fconvert%2Fparquet?recursive=true")
            }
        }
    }

    fn file(&self, path: &str) -> String {
        match self {
            Self::Model(name) => format!("{name}/resolve/main/{path}"),
            Self::Converted(name) => {
                format!("datasets/{name}/resolve/refs%2Fconvert%2Fparquet/{path}")
            }
        }
    }
}

/// A file of a repository.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Listed {
    pub(super) path: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    lfs: Option<Large>,
}

/// What the hub states of a large file.
#[derive(Debug, Clone, Deserialize)]
struct Large {
    /// Its SHA-256.
    oid: String,
}

impl Hub {
    /// The hub of `HF_ENDPOINT`, or the public one.
    pub(super) fn new(connection: Connection) -> Result<Self> {
        let endpoint = std::env::var("HF_ENDPOINT");
        let endpoint = endpoint.unwrap_or_else(|_| "https://huggingface.co".to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let token = std::env::var("HF_TOKEN").ok();
        Ok(Self { transfer: Transfer::new(&endpoint, token.as_deref(), connection)?, endpoint })
    }

    /// Where a repository is, for people.
    pub(super) fn address(&self, repository: Repository<'_>) -> String {
        match repository {
            Repository::Model(name) => format!("{}/{name}@main", self.endpoint),
            Repository::Converted(name) => {
                format!("{}/datasets/{name}@refs/convert/parquet", self.endpoint)
            }
        }
    }

    /// The files of a repository, page by page, whose paths have a place in a folder.
    pub(super) fn list(&self, repository: Repository<'_>) -> Result<Vec<Listed>> {
        let first = format!("{}/{}", self.endpoint, repository.listing());
        let (mut next, mut files) = (Some(first.clone()), Vec::<Listed>::new());
        for _ in 0..MOST_PAGES {
            let Some(page) = next else { break };
            let (text, after) = self.transfer.page(&page)?;
            let listed: Vec<Listed> = serde_json::from_str(&text)
                .with_context(|| format!("{page} gave no list of files"))?;
            files.extend(listed);
            next = after.filter(|after| *after != page);
        }
        ensure!(next.is_none(), "the list {first} has more than {MOST_PAGES} pages");
        if let Some(file) = files.iter().find(|file| !has_a_place(&file.path)) {
            bail!(
                "the hub lists a file with the path {:?}, which has no place in a folder; \
                 nothing of this repository is fetched",
                file.path
            );
        }
        Ok(files)
    }

    /// Downloads files to their places, where earlier tries may have left some of them or parts. Those
    /// that are whole stay when a later one fails.
    pub(super) fn download<'a>(
        &self,
        repository: Repository<'_>,
        files: impl IntoIterator<Item = (&'a Listed, &'a Path)>,
    ) -> Result<()> {
        let mut unchecked = Vec::new();
        for (file, local) in files {
            let url = format!("{}/{}", self.endpoint, repository.file(&file.path));
            // Without a sum nothing says whether a part is of this file.
            self.transfer.file(&url, file.size, local, file.lfs.is_some())?;
            let Some(Large { oid: expected }) = &file.lfs else {
                unchecked.push(file.path.as_str());
                continue;
            };
            let found = sha256_of_file(local)?;
            if found != *expected {
                std::fs::remove_file(local).ok();
                bail!(
                    "wrong checksum of {url}: expected SHA-256 {expected}, found {found}; what came was removed, \
                     so fetching again starts afresh"
                );
            }
        }
        if !unchecked.is_empty() {
            tracing::warn!(
                "the hub states no SHA-256 of {}: only the size of these files was checked",
                unchecked.join(", ")
            );
        }
        Ok(())
    }
}

/// Whether a path leads to a file inside a folder on every system.
fn has_a_place(path: &str) -> bool {
    path.split('/').all(|part| {
        let drive = part.as_bytes().get(1) == Some(&b':');
        let odd = |c| c == '\\' || c == '\n' || c == '\t' || steers_terminal(c);
        !(matches!(part, "" | "." | "..") || drive || part.contains(odd))
    })
}

/// Downloads a model's `files` into `dir`; `None` stands for every file of a model folder.
pub(super) fn fetch(
    name: &str,
    files: Option<&[&str]>,
    (downloads, dir): (&Path, &Path),
    connection: Connection,
) -> Result<String> {
    let (hub, repository) = (Hub::new(connection)?, Repository::Model(name));
    let mut listed = hub.list(repository)?;
    listed.retain(|file| {
        files.map_or_else(|| is_model_file(&file.path), |files| files.contains(&&*file.path))
    });
    ensure!(
        listed.iter().any(|file| file.path.ends_with(".safetensors")),
        "{name} has no .safetensors file at its top; only such models can be fetched"
    );
    let locals: Vec<PathBuf> = listed.iter().map(|file| downloads.join(&file.path)).collect();
    hub.download(repository, listed.iter().zip(locals.iter().map(PathBuf::as_path)))?;
    let staged = StagedFolder::replace(dir)?;
    for (file, local) in listed.iter().zip(&locals) {
        std::fs::rename(local, staged.path().join(&file.path))?;
    }
    let from = hub.address(repository);
    commit(staged, &from, MODEL_RECEIPT)?;
    Ok(from)
}

/// Whether a name is `owner/name`, in the letters that the hub allows.
pub(super) fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

/// Whether a repository's file belongs to a model folder.
fn is_model_file(path: &str) -> bool {
    !path.contains('/')
        && (["vocab.txt", "merges.txt", "tokenizer.model"].contains(&path)
            || Path::new(path).extension().is_some_and(|extension| {
                ["safetensors", "json", "jinja"].iter().any(|known| extension == *known)
            }))
}

#[cfg(test)]
mod tests {
    use super::has_a_place;

    #[test]
    fn paths_that_lead_out_of_a_folder_have_no_place() {
        assert!(
            ["config.json", "main/train/0.parquet", "a..b", ".git"].into_iter().all(has_a_place)
        );
        for path in [
            "../a", "a/..", "/a", "a//b", "", "C:a", "a/C:\\b", "a\\..\\b", "a\nb", "a\u{9b}b", ".",
        ] {
            assert!(!has_a_place(path), "{path:?}");
        }
    }
}
