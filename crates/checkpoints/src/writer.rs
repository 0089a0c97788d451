//! Writing weights in the Hugging Face layout, a piece of a tensor at a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo as HeaderEntry};

use bestof_files::{Disk, FileLayer, StagedFile};

use crate::error::CheckpointError;
use crate::layout::SINGLE;
use crate::stored::{StoredType, TensorInfo};

/// Values converted at a time.
const CHUNK_VALUES: usize = 1 << 20;

/// Writes `model.safetensors`, or shards and their index, into a folder.
///
/// All names and shapes are given first, since a safetensors file starts with them; then the values
/// come tensor by tensor, whole or in pieces, in the order of [`WeightsWriter::infos`]. At no time
/// does more than one piece lie in memory. The files get their names only in
/// [`WeightsWriter::finish`], after they are on the disk: whatever stops the writing before that
/// leaves older weights in the folder as they were. One file is replaced in one step; to replace
/// several at once, write them into a [`StagedFolder`](bestof_files::StagedFolder).
///
/// ```
/// use bestof_checkpoints::{StoredType, TensorInfo, WeightsWriter};
///
/// let dir = tempfile::tempdir()?;
/// let tensor = |name: &str, shape: &[usize]| TensorInfo {
///     name: name.into(),
///     dtype: StoredType::F32,
///     shape: shape.to_vec(),
/// };
/// let infos = vec![tensor("b", &[2]), tensor("a", &[1, 3])];
/// let mut writer = WeightsWriter::create(dir.path(), infos, Some(12))?;
/// writer.push("b", &[1.0])?;
/// writer.push("b", &[2.0])?;
/// writer.push("a", &[3.0, 4.0, 5.0])?;
/// let names: Vec<_> = writer.finish()?.iter().map(|f| f.file_name().unwrap().to_owned()).collect();
/// assert_eq!(
///     names,
///     ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WeightsWriter<'s> {
    layer: &'s dyn FileLayer,
    dir: PathBuf,
    infos: Vec<TensorInfo>,
    /// File of each tensor.
    shard_of: Vec<usize>,
    names: Vec<String>,
    current: Option<StagedFile<'s>>,
    done: Vec<StagedFile<'s>>,
    tensor: usize,
    values: usize,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for WeightsWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightsWriter")
            .field("dir", &self.dir)
            .field("next", &self.infos.get(self.tensor))
            .finish()
    }
}

impl WeightsWriter<'static> {
    /// A writer into `dir`, which is created. Every tensor is written in its own `dtype`; with
    /// `max_shard_bytes`, a file is closed before it would grow beyond that (a single larger tensor
    /// gets a file of its own).
    ///
    /// # Errors
    /// Two tensors of one name, or a folder or file that cannot be created.
    pub fn create(
        dir: &Path,
        infos: Vec<TensorInfo>,
        max_shard_bytes: Option<u64>,
    ) -> Result<Self, CheckpointError> {
        Self::create_file(dir, SINGLE, infos, max_shard_bytes)
    }

    /// As [`WeightsWriter::create`], for another file name than `model.safetensors`, such as an
    /// adapter's `adapter_model.safetensors`.
    ///
    /// # Errors
    /// As [`WeightsWriter::create`].
    pub fn create_file(
        dir: &Path,
        file_name: &str,
        infos: Vec<TensorInfo>,
        max_shard_bytes: Option<u64>,
    ) -> Result<Self, CheckpointError> {
        fs::create_dir_all(dir).map_err(CheckpointError::io("create", dir))?;
        Self::create_on(&Disk, dir, file_name, infos, max_shard_bytes)
    }
}

impl<'s> WeightsWriter<'s> {
    pub(crate) fn create_on(
        layer: &'s dyn FileLayer,
        dir: &Path,
        file_name: &str,
        infos: Vec<TensorInfo>,
        max_shard_bytes: Option<u64>,
    ) -> Result<Self, CheckpointError> {
        let mut seen = HashSet::new();
        for info in &infos {
            if !seen.insert(&info.name) {
                let path = dir.join(file_name);
                return Err(CheckpointError::DuplicateTensor {
                    tensor: info.name.clone(),
                    first: path.clone(),
                    second: path,
                });
            }
        }
        let shard_of = assign_shards(&infos, max_shard_bytes.unwrap_or(u64::MAX));
        let names = shard_names(file_name, shard_of.last().map_or(1, |last| last + 1));
        let mut writer = Self {
            layer,
            dir: dir.to_path_buf(),
            infos,
            shard_of,
            names,
            current: None,
            done: Vec::new(),
            tensor: 0,
            values: 0,
            bytes: Vec::new(),
        };
        writer.start_file(0)?;
        writer.skip_empty()?;
        Ok(writer)
    }

    /// The tensors in the order in which their values are expected.
    pub fn infos(&self) -> &[TensorInfo] {
        &self.infos
    }

    /// Adds the next values of the tensor whose turn it is.
    ///
    /// # Errors
    /// Another tensor's turn, more values than its shape has, a tensor that is not `F32`, `F16` or
    /// `BF16`, or a write that fails.
    pub fn push(&mut self, name: &str, values: &[f32]) -> Result<(), CheckpointError> {
        if values.is_empty() {
            return Ok(());
        }
        let dtype = self.turn(name, values.len())?;
        for piece in values.chunks(CHUNK_VALUES) {
            self.bytes.clear();
            dtype
                .encode(piece, &mut self.bytes)
                .ok_or(CheckpointError::UnwritableType { found: dtype })?;
            if let Some(file) = &mut self.current {
                file.push(&self.bytes)?;
            }
        }
        self.advance(values.len())
    }

    /// Adds a whole tensor of any type as it lies in a file.
    ///
    /// # Errors
    /// Another tensor's turn, a length that its shape and type do not have, or a write that fails.
    pub fn push_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let bits = self.infos.get(self.tensor).map_or(8, |info| info.dtype.bits());
        let values = bytes.len() * 8 / bits;
        self.turn(name, values)?;
        if values != self.missing_values() {
            return Err(self.out_of_order(name, values));
        }
        if let Some(file) = &mut self.current {
            file.push(bytes)?;
        }
        self.advance(values)
    }

    /// The type of the tensor whose turn it is, which has to be `name` and lack `count` values.
    fn turn(&self, name: &str, count: usize) -> Result<StoredType, CheckpointError> {
        match self.infos.get(self.tensor) {
            Some(info) if info.name == name && count <= self.missing_values() => Ok(info.dtype),
            _ => Err(self.out_of_order(name, count)),
        }
    }

    fn advance(&mut self, count: usize) -> Result<(), CheckpointError> {
        self.values += count;
        if self.missing_values() == 0 {
            self.next_tensor()?;
            self.skip_empty()?;
        }
        Ok(())
    }

    /// Gives the files their names and returns their paths. Weights that were written before under other
    /// names (single and now sharded, or the reverse) are removed.
    ///
    /// # Errors
    /// Values are missing, or a sync or rename fails.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, CheckpointError> {
        if self.tensor < self.infos.len() {
            return Err(self.out_of_order("", 0));
        }
        self.close_file()?;
        let mut paths: Vec<PathBuf> = self.names.iter().map(|name| self.dir.join(name)).collect();
        if self.names.len() > 1 {
            let index_path = self.dir.join(format!("{}.index.json", base_name(&self.names[0])));
            let mut index = StagedFile::create_on(self.layer, &index_path)?;
            index.push(self.index().as_bytes())?;
            index.sync()?;
            self.done.push(index);
            paths.push(index_path);
        }
        for file in self.done.drain(..) {
            file.persist()?;
        }
        self.remove_stale(&paths)?;
        self.layer.sync(&self.dir).map_err(CheckpointError::io("sync", &self.dir))?;
        Ok(paths)
    }

    fn missing_values(&self) -> usize {
        self.infos.get(self.tensor).map_or(0, |info| info.len() - self.values)
    }

    fn out_of_order(&self, found: &str, found_values: usize) -> CheckpointError {
        CheckpointError::OutOfOrder {
            expected: self
                .infos
                .get(self.tensor)
                .map_or_else(String::new, |info| info.name.clone()),
            expected_values: self.missing_values(),
            found: found.to_owned(),
            found_values,
        }
    }

    fn skip_empty(&mut self) -> Result<(), CheckpointError> {
        while self.infos.get(self.tensor).is_some_and(TensorInfo::is_empty) {
            self.next_tensor()?;
        }
        Ok(())
    }

    fn next_tensor(&mut self) -> Result<(), CheckpointError> {
        let shard = self.shard_of[self.tensor];
        (self.tensor, self.values) = (self.tensor + 1, 0);
        match self.shard_of.get(self.tensor) {
            Some(&next) if next != shard => {
                self.close_file()?;
                self.start_file(next)
            }
            _ => Ok(()),
        }
    }

    fn start_file(&mut self, shard: usize) -> Result<(), CheckpointError> {
        let path = self.dir.join(&self.names[shard]);
        let tensors =
            self.infos.iter().zip(&self.shard_of).filter(|(_, s)| **s == shard).map(|(i, _)| i);
        let header = header(tensors)
            .map_err(|source| CheckpointError::BadHeader { path: path.clone(), source })?;
        let mut file = StagedFile::create_on(self.layer, &path)?;
        file.push(&header)?;
        self.current = Some(file);
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), CheckpointError> {
        if let Some(mut file) = self.current.take() {
            file.sync()?;
            self.done.push(file);
        }
        Ok(())
    }

    fn index(&self) -> String {
        let total: usize = self.infos.iter().map(byte_len).sum();
        let map: BTreeMap<&str, &str> = self
            .infos
            .iter()
            .zip(&self.shard_of)
            .map(|(info, shard)| (info.name.as_str(), self.names[*shard].as_str()))
            .collect();
        let index = serde_json::json!({ "metadata": { "total_size": total }, "weight_map": map });
        format!("{index:#}\n")
    }

    /// Removes what an earlier writing left under names that this one does not use.
    fn remove_stale(&self, paths: &[PathBuf]) -> Result<(), CheckpointError> {
        let base = base_name(&self.names[0]);
        let stem = base.strip_suffix(".safetensors").unwrap_or(&base).to_owned();
        let entries = fs::read_dir(&self.dir).map_err(CheckpointError::io("read", &self.dir))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ours =
                name == base || name == format!("{base}.index.json") || is_shard(&name, &stem);
            if ours && !paths.contains(&path) {
                fs::remove_file(&path).map_err(CheckpointError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn byte_len(info: &TensorInfo) -> usize {
    (info.len() * info.dtype.bits()).div_ceil(8)
}

/// The file of each tensor: filled in order, closed before growing beyond `limit`.
fn assign_shards(infos: &[TensorInfo], limit: u64) -> Vec<usize> {
    let (mut shard, mut filled) = (0, 0_u64);
    infos
        .iter()
        .map(|info| {
            let bytes = byte_len(info) as u64;
            if bytes > 0 && filled > 0 && filled.saturating_add(bytes) > limit {
                (shard, filled) = (shard + 1, 0);
            }
            filled += bytes;
            shard
        })
        .collect()
}

fn shard_names(file_name: &str, count: usize) -> Vec<String> {
    if count == 1 {
        return vec![file_name.to_owned()];
    }
    let stem = file_name.strip_suffix(".safetensors").unwrap_or(file_name);
    (1..=count).map(|i| format!("{stem}-{i:05}-of-{count:05}.safetensors")).collect()
}

/// `model-00001-of-00002.safetensors` → `model.safetensors`.
fn base_name(name: &str) -> String {
    let stem = name.strip_suffix(".safetensors").unwrap_or(name);
    match stem.rsplitn(4, '-').collect::<Vec<_>>()[..] {
        [count, "of", number, base] if is_number(count) && is_number(number) => {
            format!("{base}.safetensors")
        }
        _ => name.to_owned(),
    }
}

fn is_shard(name: &str, stem: &str) -> bool {
    let base = format!("{stem}.safetensors");
    name != base && base_name(name) == base
}

fn is_number(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The first bytes of a safetensors file: length of the JSON, then the JSON, padded to 8 bytes.
fn header<'a>(
    tensors: impl Iterator<Item = &'a TensorInfo>,
) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let mut end = 0;
    let entries = tensors
        .map(|info| {
            let start = end;
            end += byte_len(info);
            let entry = HeaderEntry {
                dtype: info.dtype.into(),
                shape: info.shape.clone(),
                data_offsets: (start, end),
            };
            (info.name.clone(), entry)
        })
        .collect();
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut json = serde_json::to_vec(&Metadata::new(Some(format), entries)?)
        .map_err(safetensors::SafeTensorError::InvalidHeaderDeserialization)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok(bytes)
}
