//! Reading weights: one safetensors file, or the shards of an index, tensor by tensor.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bestof_blocks::GgmlType;
use bestof_files::{FileKind, Sha256Hasher};
use bestof_suggest::nearest;

use crate::error::CheckpointError;
use crate::gguf::OpenedGguf;
use crate::layout::{self, INDEX, SINGLE};
use crate::stored::{StoredType, TensorInfo};

/// Bytes converted at a time, so that reading needs hardly more memory than the result.
const CHUNK_BYTES: usize = 1 << 22;

/// Whether a path is a GGUF file.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.is_file() && FileKind::at(path).is_ok_and(|kind| kind == FileKind::Gguf)
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
    /// Where the tensors are, if not in safetensors.
    gguf: Option<OpenedGguf>,
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
    /// `model.safetensors.index.json`), of a single `.safetensors` file, or of a GGUF file, whose
    /// tensors go by the names they have in a folder.
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
            gguf: None,
        };
        let kind =
            std::fs::metadata(dir_or_file).map_err(CheckpointError::io("read", dir_or_file))?;
        if is_gguf(dir_or_file) {
            let gguf = OpenedGguf::open(dir_or_file)?;
            weights.files = gguf.paths();
            weights.infos = gguf.infos();
            weights.gguf = Some(gguf);
            return Ok(weights);
        }
        if !kind.is_dir() {
            weights.add_file(dir_or_file.to_path_buf())?;
        } else if dir_or_file.join(SINGLE).exists() {
            weights.add_file(dir_or_file.join(SINGLE))?;
        } else if dir_or_file.join(INDEX).exists() {
            weights.add_shards(&dir_or_file.join(INDEX))?;
        } else {
            return Err(layout::no_weights(dir_or_file));
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

    /// Type and blocks of a tensor that a GGUF file has in blocks of few bits, row by row; `None` for
    /// plain numbers.
    ///
    /// # Errors
    /// No such tensor, a scale that is not finite, or the file changed since it was opened.
    pub fn read_blocks(&self, name: &str) -> Result<Option<(GgmlType, Vec<u8>)>, CheckpointError> {
        let at = self.find(name)?;
        self.gguf.as_ref().map_or(Ok(None), |gguf| gguf.read_blocks(at))
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
        let (metadata, data_start) = layout::read_header(&path)?;
        let file = self.files.len();
        let mut names = Vec::with_capacity(self.infos.len());
        let header = metadata.tensors();
        let wrapped = layout::is_parallel(header.keys());
        for (name, info) in header {
            let name = layout::unwrapped(&name, wrapped);
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
        if let Some(tensor) = layout::twice(&names) {
            let (first, second) = (path.clone(), path);
            return Err(CheckpointError::DuplicateTensor { tensor, first, second });
        }
        self.metadata.extend(metadata.metadata().clone().unwrap_or_default());
        self.files.push(path);
        Ok(names)
    }

    fn add_shards(&mut self, index: &Path) -> Result<(), CheckpointError> {
        let dir = index.parent().unwrap_or(Path::new(""));
        let listed = layout::shard_of_each_tensor(index)?;
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
        self.extents.get(at).map_or(&self.root, |extent| &self.files[extent.file])
    }

    fn read_floats(&self, at: usize) -> Result<Vec<f32>, CheckpointError> {
        if let Some(gguf) = &self.gguf {
            return gguf.read_values(at);
        }
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
        let (info, path) = (&self.infos[at], self.file_of(at));
        let wrong_type = || CheckpointError::WrongType {
            path: path.to_path_buf(),
            tensor: info.name.clone(),
            found: info.dtype,
            expected,
        };
        extend(info.dtype, &[], &mut Vec::new()).ok_or_else(wrong_type)?;
        let extent = *self.extents.get(at).ok_or_else(wrong_type)?;
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
