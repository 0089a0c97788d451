//! Downloads from the Hugging Face hub: each file is resumed where an earlier attempt stopped, and
//! checked against the SHA-256 that the hub states for it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bestof_files::{StagedFolder, sha256_of_file};
use serde::Deserialize;

use super::receipt::{MODEL_RECEIPT, commit};
use crate::console::Bytes;

/// A hub and how it is spoken to.
pub(super) struct Hub {
    agent: ureq::Agent,
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
    pub(super) size: u64,
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
    pub(super) fn new() -> Self {
        let endpoint = std::env::var("HF_ENDPOINT");
        Self {
            endpoint: endpoint.unwrap_or_else(|_| "https://huggingface.co".to_owned()),
            agent: ureq::Agent::config_builder()
                .timeout_connect(Some(Duration::from_secs(20)))
                .timeout_recv_response(Some(Duration::from_mins(1)))
                .build()
                .into(),
        }
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

    /// The files of a repository, page by page.
    pub(super) fn list(&self, repository: Repository<'_>) -> Result<Vec<Listed>> {
        let mut next = Some(format!("{}/{}", self.endpoint, repository.listing()));
        let mut files = Vec::new();
        while let Some(page) = next {
            let mut response = get(&self.agent, &page, 0)?;
            next = response
                .headers()
                .get("link")
                .and_then(|link| next_page(link.to_str().ok()?))
                .filter(|next| *next != page);
            let text = response.body_mut().read_to_string()?;
            let listed: Vec<Listed> = serde_json::from_str(&text)
                .with_context(|| format!("{page} gave no list of files"))?;
            files.extend(listed);
        }
        Ok(files)
    }

    /// Downloads a file to `local`, where an earlier try may have left a part of it.
    pub(super) fn download(
        &self,
        repository: Repository<'_>,
        file: &Listed,
        local: &Path,
    ) -> Result<()> {
        let url = format!("{}/{}", self.endpoint, repository.file(&file.path));
        download(&self.agent, &url, file.size, local)?;
        let Some(Large { oid: expected }) = &file.lfs else { return Ok(()) };
        let found = sha256_of_file(local)?;
        if found != *expected {
            std::fs::remove_file(local).ok();
            bail!("wrong checksum of {url}: expected SHA-256 {expected}, found {found}");
        }
        Ok(())
    }
}

/// The address of the next page in a `Link` header.
fn next_page(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}

/// Downloads a model's `files` into `dir`; `None` stands for every file of a model folder.
pub(super) fn fetch(
    name: &str,
    files: Option<&[&str]>,
    downloads: &Path,
    dir: &Path,
) -> Result<String> {
    let (hub, repository) = (Hub::new(), Repository::Model(name));
    let listed = hub.list(repository)?;
    let staged = StagedFolder::replace(dir)?;
    let mut weights = false;
    for file in &listed {
        let path = file.path.as_str();
        if !files.map_or_else(|| is_model_file(path), |files| files.contains(&path)) {
            continue;
        }
        let local = downloads.join(path);
        hub.download(repository, file, &local)?;
        weights |= path.ends_with(".safetensors");
        std::fs::rename(&local, staged.path().join(path))?;
    }
    ensure!(weights, "{name} has no .safetensors file at its top; only such models can be fetched");
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

fn get(agent: &ureq::Agent, url: &str, from: u64) -> Result<ureq::http::Response<ureq::Body>> {
    let mut request = agent.get(url);
    if let Ok(token) = std::env::var("HF_TOKEN") {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    request.call().with_context(|| format!("the download of {url} was refused"))
}

fn download(agent: &ureq::Agent, url: &str, size: u64, local: &Path) -> Result<()> {
    let have = local.metadata().map_or(0, |m| m.len());
    if have == size && size > 0 {
        return Ok(());
    }
    let resume = if have < size { have } else { 0 };
    let mut response = get(agent, url, resume)?;
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(local)?;
    // A server that ignores the range sends the whole file again.
    let start = if response.status() == 206 { resume } else { 0 };
    file.set_len(start)?;
    file.seek(SeekFrom::Start(start))?;
    copy(response.body_mut().as_reader(), &mut file, start, size).with_context(|| {
        format!("the download of {url} broke off; run fetch again to resume it")
    })?;
    Ok(())
}

fn copy(mut from: impl Read, to: &mut File, start: u64, size: u64) -> Result<()> {
    let bar = Bytes::new("download");
    let mut buffer = vec![0_u8; 1 << 16];
    let mut done = start;
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        to.write_all(&buffer[..n])?;
        done += n as u64;
        bar.at(done, size);
    }
    bar.done();
    to.sync_all()?;
    ensure!(size == 0 || done == size, "{done} of {size} bytes came");
    Ok(())
}
