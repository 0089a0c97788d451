//! Reading weights: one safetensors file, or the shards of an index, tensor by tensor.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bestof_files::Sha256Hasher;
use bestof_suggest::nearest;
use safetensors::SafeTensorError;
use safetensors::tensor::Metadata;

use crate::error::CheckpointError;
use crate::json;
use crate::stored::StoredType;

/// File name of weights in one piece.
pub(crate) const SINGLE: &str = "model.safetensors";
/// File name of the index: the shard of each tensor.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Longest header that is read, the limit of the reference implementation.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// What `DataParallel` puts in front of every name.
const PARALLEL: &str = "module.";
/// Bytes converted at a time, so that reading needs hardly more memory than the result.
const CHUNK_BYTES: usize = 1 << 22;

/// Name, element type and shape of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Element type in the file.
    pub dtype: StoredType,
    /// Shape, outermost dimension first.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The weights of a model folder, or of a single safetensors file, opened for reading.
///
/// Opening reads the headers only. A tensor is read when it is asked for, by seeking in its file.
///
/// ```
/// use bestof_checkpoints::{StoredType, TensorInfo, Weights, WeightsWriter};
///
/// let dir = tempfile::tempdir()?;
/// let info = TensorInfo { name: "w".into(), dtype: StoredType::BF16, shape: vec![2, 2] };
/// let mut writer = WeightsWriter::create(dir.path(), vec![info], None)?;
/// writer.push("w", &[1.0, -2.0, 0.5, 0.0])?;
/// writer.finish()?;
///
/// let weights = Weights::open(dir.path())?;
/// assert_eq!(weights.read_f32("w", &[2, 2])?, [1.0, -2.0, 0.5, 0.0]);
/// assert!(weights.read_f32("w", &[4]).unwrap_err().to_string().contains("expected [4]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Weights {
    root: PathBuf,
    files: Vec<PathBuf>,
    infos: Vec<TensorInfo>,
    extents: Vec<Extent>,
    metadata: BTreeMap<String, String>,
}

/// The bytes of a tensor: index into the files, offset, length.
#[derive(Debug, Clone, Copy)]
struct Extent {
    file: usize,
    start: u64,
    bytes: usize,
}

impl Weights {
    /// The weights of a folder (`model.safetensors`, else the shards of
    /// `model.safetensors.index.json`) or of a single `.safetensors` file.
    ///
    /// # Errors
    /// No weights, pickles only, a damaged header, a file of the wrong length, a missing shard, a
    /// tensor that is in two files or not in the shard that the index names.
    pub fn open(dir_or_file: &Path) -> Result<Self, CheckpointError> {
        let mut weights = Self {
            root: dir_or_file.to_path_buf(),
            files: Vec::new(),
            infos: Vec::new(),
            extents: Vec::new(),
            metadata: BTreeMap::new(),
        };
        let kind =
            std::fs::metadata(dir_or_file).map_err(CheckpointError::io("read", dir_or_file))?;
        if !kind.is_dir() {
            weights.add_file(dir_or_file.to_path_buf())?;
        } else if dir_or_file.join(SINGLE).is_file() {
            weights.add_file(dir_or_file.join(SINGLE))?;
        } else if dir_or_file.join(INDEX).is_file() {
            weights.add_shards(&dir_or_file.join(INDEX))?;
        } else {
            return Err(no_weights(dir_or_file));
        }
        weights.sort_by_name();
        Ok(weights)
    }

    /// Name, type and shape of every tensor, sorted by name.
    pub fn infos(&self) -> &[TensorInfo] {
        &self.infos
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Name, type and shape of one tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.position(name).map(|i| &self.infos[i])
    }

    /// The free-form strings of the files' headers, such as `format` → `pt`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The files the tensors are in.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The file or folder that was opened.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The values of a float tensor, row by row, after checking its shape.
    ///
    /// # Errors
    /// No such tensor, another shape, not floats, NaN or infinity among them, or the file changed since
    /// it was opened.
    pub fn read_f32(
        &self,
        name: &str,
        expected_shape: &[usize],
    ) -> Result<Vec<f32>, CheckpointError> {
        let at = self.find(name)?;
        let info = &self.infos[at];
        if info.shape != expected_shape {
            return Err(CheckpointError::WrongShape {
                path: self.file_of(at).to_path_buf(),
                tensor: name.to_owned(),
                found: info.shape.clone(),
                expected: expected_shape.to_vec(),
            });
        }
        self.read_floats(at)
    }

    /// Shape and values of a float tensor whose shape is not known beforehand.
    ///
    /// # Errors
    /// As [`Weights::read_f32`].
    pub fn read_f32_any(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), CheckpointError> {
        let at = self.find(name)?;
        Ok((self.infos[at].shape.clone(), self.read_floats(at)?))
    }

    /// Shape and values of an integer or boolean tensor.
    ///
    /// # Errors
    /// No such tensor, not integers, or the file changed since it was opened.
    pub fn read_i64(&self, name: &str) -> Result<(Vec<usize>, Vec<i64>), CheckpointError> {
        let at = self.find(name)?;
        Ok((self.infos[at].shape.clone(), self.read_as(at, "integers", StoredType::extend_i64)?))
    }

    /// The bytes of a tensor of any type, as stored.
    ///
    /// # Errors
    /// No such tensor, or the file changed since it was opened.
    pub fn read_bytes(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        self.read_as(self.find(name)?, "bytes", |_, bytes, out| {
            out.extend_from_slice(bytes);
            Some(())
        })
    }

    /// SHA-256 over the contents of the weight files, in the order of their names, as hex.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn content_hash(&self) -> Result<String, CheckpointError> {
        let mut hash = Sha256Hasher::new();
        for path in &self.files {
            hash.update_from_file(path)?;
        }
        Ok(hash.hex())
    }

    fn add_file(&mut self, path: PathBuf) -> Result<Vec<String>, CheckpointError> {
        let (metadata, data_start) = read_header(&path)?;
        let file = self.files.len();
        let mut names = Vec::with_capacity(self.infos.len());
        let header = metadata.tensors();
        let wrapped = !header.is_empty() && header.keys().all(|name| name.starts_with(PARALLEL));
        for (name, info) in header {
            let name = unwrapped(&name, wrapped);
            let (start, end) = info.data_offsets;
            self.extents.push(Extent {
                file,
                start: data_start + start as u64,
                bytes: end - start,
            });
            self.infos.push(TensorInfo {
                name: name.clone(),
                dtype: info.dtype.into(),
                shape: info.shape.clone(),
            });
            names.push(name);
        }
        if let Some(tensor) = twice(&names) {
            let (first, second) = (path.clone(), path);
            return Err(CheckpointError::DuplicateTensor { tensor, first, second });
        }
        self.metadata.extend(metadata.metadata().clone().unwrap_or_default());
        self.files.push(path);
        Ok(names)
    }

    fn add_shards(&mut self, index: &Path) -> Result<(), CheckpointError> {
        let dir = index.parent().unwrap_or(Path::new(""));
        let listed = shard_of_each_tensor(index)?;
        let mut shards: Vec<&str> = listed.values().map(String::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut found: HashMap<String, String> = HashMap::new();
        for shard in shards {
            let path = dir.join(shard);
            if !path.is_file() {
                let shard = shard.to_owned();
                return Err(CheckpointError::MissingShard { index: index.to_path_buf(), shard });
            }
            for tensor in self.add_file(path.clone())? {
                if let Some(first) = found.insert(tensor.clone(), shard.to_owned()) {
                    return Err(CheckpointError::DuplicateTensor {
                        tensor,
                        first: dir.join(first),
                        second: path,
                    });
                }
            }
        }
        match listed.iter().find(|(tensor, shard)| found.get(*tensor) != Some(*shard)) {
            None => Ok(()),
            Some((tensor, shard)) => Err(CheckpointError::NotInShard {
                index: index.to_path_buf(),
                tensor: tensor.clone(),
                shard: shard.clone(),
            }),
        }
    }

    fn sort_by_name(&mut self) {
        let mut both: Vec<_> = self.infos.drain(..).zip(self.extents.drain(..)).collect();
        both.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        (self.infos, self.extents) = both.into_iter().unzip();
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.infos.binary_search_by(|info| info.name.as_str().cmp(name)).ok()
    }

    fn find(&self, name: &str) -> Result<usize, CheckpointError> {
        self.position(name).ok_or_else(|| CheckpointError::MissingTensor {
            path: self.root.clone(),
            tensor: name.to_owned(),
            nearest: nearest(name, self.infos.iter().map(|info| info.name.as_str()))
                .map(str::to_owned),
        })
    }

    fn file_of(&self, at: usize) -> &Path {
        &self.files[self.extents[at].file]
    }

    fn read_floats(&self, at: usize) -> Result<Vec<f32>, CheckpointError> {
        let values = self.read_as(at, "floats", StoredType::extend_f32)?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(CheckpointError::NotFinite {
                path: self.file_of(at).to_path_buf(),
                tensor: self.infos[at].name.clone(),
                index,
                value: values[index],
            }),
        }
    }

    fn read_as<T>(
        &self,
        at: usize,
        expected: &'static str,
        extend: fn(StoredType, &[u8], &mut Vec<T>) -> Option<()>,
    ) -> Result<Vec<T>, CheckpointError> {
        let (info, extent, path) = (&self.infos[at], self.extents[at], self.file_of(at));
        let wrong_type = || CheckpointError::WrongType {
            path: path.to_path_buf(),
            tensor: info.name.clone(),
            found: info.dtype,
            expected,
        };
        extend(info.dtype, &[], &mut Vec::new()).ok_or_else(wrong_type)?;
        let mut file = File::open(path).map_err(CheckpointError::io("open", path))?;
        file.seek(SeekFrom::Start(extent.start)).map_err(CheckpointError::io("read", path))?;
        let mut values = Vec::with_capacity(info.len().min(extent.bytes));
        let mut chunk = vec![0; extent.bytes.min(CHUNK_BYTES)];
        let mut left = extent.bytes;
        while left > 0 {
            let now = &mut chunk[..left.min(CHUNK_BYTES)];
            file.read_exact(now).map_err(CheckpointError::io("read", path))?;
            extend(info.dtype, now, &mut values).ok_or_else(wrong_type)?;
            left -= now.len();
        }
        Ok(values)
    }
}

/// A tensor's name without what wrappers of `PyTorch` put into it: `torch.compile` the part `_orig_mod`,
/// and `DataParallel` a `module` in front of all names.
fn unwrapped(name: &str, parallel: bool) -> String {
    let name = if parallel { name.strip_prefix(PARALLEL).unwrap_or(name) } else { name };
    let parts: Vec<&str> = name.split('.').filter(|part| *part != "_orig_mod").collect();
    let name = parts.join(".");
    match name.strip_prefix(PARALLEL) {
        Some(inner) if parallel => inner.to_owned(),
        _ => name,
    }
}

/// A name that is there twice.
fn twice(names: &[String]) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    names.iter().find(|name| !seen.insert(name.as_str())).cloned()
}

/// The header of a safetensors file and the position where its data starts.
fn read_header(path: &Path) -> Result<(Metadata, u64), CheckpointError> {
    let bad = |source| CheckpointError::BadHeader { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(CheckpointError::io("open", path))?;
    let length = file.metadata().map_err(CheckpointError::io("read", path))?.len();
    let mut beginning = vec![0; json::POINTER.len().min(length as usize)];
    file.read_exact(&mut beginning).map_err(CheckpointError::io("read", path))?;
    json::refuse_pointer(path, &beginning)?;
    file.rewind().map_err(CheckpointError::io("read", path))?;
    let mut size = [0; 8];
    if length < 8 {
        return Err(bad(SafeTensorError::HeaderTooSmall));
    }
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
fn shard_of_each_tensor(index: &Path) -> Result<BTreeMap<String, String>, CheckpointError> {
    let value = json::read(index)?;
    let bad = |field: &str, value: &serde_json::Value, expected| {
        json::bad_field(index, &format!("weight_map{field}"), value, expected)
    };
    let map = &value["weight_map"];
    let map = map.as_object().ok_or_else(|| bad("", map, "an object: tensor name to file name"))?;
    let wrapped = map.keys().all(|name| name.starts_with(PARALLEL));
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

fn no_weights(dir: &Path) -> CheckpointError {
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
