//! How weights lie in a folder: one file or the shards of an index, their headers, and what wrappers of
//! `PyTorch` do to the names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensorError;
use safetensors::tensor::Metadata;

use bestof_files::FileKind;

use crate::error::CheckpointError;
use crate::json;

/// File name of weights in one piece.
pub(crate) const SINGLE: &str = "model.safetensors";
/// File name of the index: the shard of each tensor.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Longest header that is read, the limit of the reference implementation.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// What `DataParallel` puts in front of every name.
const PARALLEL: &str = "module.";
/// What names of tensors begin with in the half of a multimodal model that is no decoder, before and since
/// transformers 4.52.
///
/// A name counts among them only in a checkpoint whose decoder goes by a multimodal model's names.
pub const OTHER_HALF: [&str; 4] = [
    "vision_tower.",
    "multi_modal_projector.",
    "model.vision_tower.",
    "model.multi_modal_projector.",
];

/// Whether `DataParallel` put its part in front of every one of these names.
pub(crate) fn is_parallel<'a>(names: impl Iterator<Item = &'a String>) -> bool {
    let mut names = names.peekable();
    names.peek().is_some() && names.all(|name| name.starts_with(PARALLEL))
}

/// A tensor's name without what wrappers of `PyTorch` put into it: `torch.compile` the part `_orig_mod`,
/// and `DataParallel` a `module` in front of all names.
pub(crate) fn unwrapped(name: &str, parallel: bool) -> String {
    let name = if parallel { name.strip_prefix(PARALLEL).unwrap_or(name) } else { name };
    let parts: Vec<&str> = name.split('.').filter(|part| *part != "_orig_mod").collect();
    let name = parts.join(".");
    match name.strip_prefix(PARALLEL) {
        Some(inner) if parallel => inner.to_owned(),
        _ => name,
    }
}

/// A name that is there twice.
pub(crate) fn twice(names: &[String]) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    names.iter().find(|name| !seen.insert(name.as_str())).cloned()
}

/// The header of a safetensors file and the position where its data starts.
pub(crate) fn read_header(path: &Path) -> Result<(Metadata, u64), CheckpointError> {
    let bad = |source| CheckpointError::BadHeader { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(CheckpointError::io("open", path))?;
    let length = file.metadata().map_err(CheckpointError::io("read", path))?.len();
    if (1..8).contains(&length) {
        return Err(bad(SafeTensorError::HeaderTooSmall));
    }
    let kind = FileKind::at(path).map_err(CheckpointError::io("read", path))?;
    if !matches!(kind, FileKind::Safetensors | FileKind::Binary) {
        return Err(CheckpointError::io("read", path)(kind.refused()));
    }
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(CheckpointError::io("read", path))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER_BYTES {
        return Err(bad(SafeTensorError::HeaderTooLarge));
    }
    if size > length - 8 {
        let path = path.to_path_buf();
        return Err(CheckpointError::WrongFileLength { path, found: length, expected: size + 8 });
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(CheckpointError::io("read", path))?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|e| bad(SafeTensorError::InvalidHeaderDeserialization(e)))?;
    let expected = (8 + size).saturating_add(metadata.data_len() as u64);
    if expected != length {
        return Err(CheckpointError::WrongFileLength {
            path: path.to_path_buf(),
            found: length,
            expected,
        });
    }
    Ok((metadata, 8 + size))
}

/// `weight_map` of an index file.
pub(crate) fn shard_of_each_tensor(
    index: &Path,
) -> Result<BTreeMap<String, String>, CheckpointError> {
    let value = json::read(index)?;
    let bad = |field: &str, value: &serde_json::Value, expected| {
        json::bad_field(index, &format!("weight_map{field}"), value, expected)
    };
    let map = &value["weight_map"];
    let map = map.as_object().ok_or_else(|| bad("", map, "an object: tensor name to file name"))?;
    let wrapped = is_parallel(map.keys());
    map.iter()
        .map(|(tensor, shard)| {
            let name =
                shard.as_str().ok_or_else(|| bad(&format!(".{tensor}"), shard, "a file name"))?;
            let plain = Path::new(name).file_name() == Some(name.as_ref());
            if !plain {
                let shard = name.to_owned();
                return Err(CheckpointError::BadShardName { index: index.to_path_buf(), shard });
            }
            Ok((unwrapped(tensor, wrapped), name.to_owned()))
        })
        .collect()
}

pub(crate) fn no_weights(dir: &Path) -> CheckpointError {
    let dir = dir.to_path_buf();
    for pickle in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        if dir.join(pickle).is_file() {
            return CheckpointError::OnlyPickledWeights { dir, file: pickle.to_owned() };
        }
    }
    let names = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.filter(|name| is_shard(name)).min() {
        Some(shard) => CheckpointError::NoIndex { dir, shard },
        None => CheckpointError::NoWeights { dir },
    }
}

/// Whether a file is named as `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    let parts = name.strip_suffix(".safetensors").and_then(|stem| stem.rsplit_once("-of-"));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    parts.is_some_and(|(front, count)| {
        number(count) && front.rsplit_once('-').is_some_and(|(_, index)| number(index))
    })
}
