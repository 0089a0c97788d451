//! Files from the Hugging Face hub: each is continued where an earlier try stopped, and checked
//! against the SHA-256 that the hub states for it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bestof_files::{StagedFolder, sha256_of_file};
use serde_json::Value;

use super::commit;
use crate::console::Bytes;

/// Fetches a repository's files (all of a model's own when `files` is `None`) into `dir`.
pub(crate) fn fetch(
    repository: &str,
    revision: &str,
    files: Option<&[&str]>,
    downloads: &Path,
    dir: &Path,
) -> Result<String> {
    let endpoint =
        std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".to_owned());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        .build()
        .into();
    let listing = format!("{endpoint}/api/models/{repository}/tree/{revision}");
    let listed: Value = get(&agent, &listing, 0)?
        .body_mut()
        .read_to_string()
        .map_err(anyhow::Error::from)
        .and_then(|text| Ok(serde_json::from_str(&text)?))
        .with_context(|| format!("{listing} gave no list of files"))?;
    let staged = StagedFolder::replace(dir)?;
    let mut weights = false;
    for item in listed.as_array().map_or(&[][..], Vec::as_slice) {
        let Some(path) = item["path"].as_str() else { continue };
        if !files.map_or_else(|| wanted(path), |files| files.contains(&path)) {
            continue;
        }
        let url = format!("{endpoint}/{repository}/resolve/{revision}/{path}");
        let local = downloads.join(path);
        download(&agent, &url, item["size"].as_u64().unwrap_or(0), &local)?;
        if let Some(expected) = item["lfs"]["oid"].as_str() {
            let found = sha256_of_file(&local)?;
            if found != expected {
                std::fs::remove_file(&local).ok();
                bail!("wrong checksum of {url}: expected SHA-256 {expected}, found {found}");
            }
        }
        weights |= path.ends_with(".safetensors");
        std::fs::rename(&local, staged.path().join(path))?;
    }
    ensure!(
        weights,
        "{repository} has no .safetensors file at its top; only such models can be fetched"
    );
    let from = format!("{endpoint}/{repository}@{revision}");
    commit(staged, &from)?;
    Ok(from)
}

/// Whether a repository's file belongs to a model folder.
fn wanted(path: &str) -> bool {
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
    copy(response.body_mut().as_reader(), &mut file, start, size)
        .with_context(|| format!("the download of {url} broke off; run fetch again to go on"))?;
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
