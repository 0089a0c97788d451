//! What can go wrong with a model folder, and how to fix it.

use std::io;
use std::path::{Path, PathBuf};

use bestof_files::FileError;

use crate::stored::StoredType;

/// Why a model folder, or a file of one, could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system reported an error.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `rename`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The path of a new file or folder is taken.
    #[error("{} exists already; remove it or choose another path", path.display())]
    OutputExists {
        /// The path.
        path: PathBuf,
    },
    /// The folder holds no weights at all.
    #[error("{} holds no weights; expected model.safetensors or model.safetensors.index.json", dir.display())]
    NoWeights {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds Python pickles only, which are not read.
    #[error(
        "{} holds only the pickle {file}, which is not read because unpickling runs code; convert it with \
         transformers: model.save_pretrained(OUT, safe_serialization=True)",
        dir.display()
    )]
    OnlyPickledWeights {
        /// The folder.
        dir: PathBuf,
        /// The pickle found.
        file: String,
    },
    /// Shards without the index that says where each tensor is.
    #[error(
        "{} holds shards ({shard}) but no model.safetensors.index.json, which names the shard of each tensor; \
         fetch it too",
        dir.display()
    )]
    NoIndex {
        /// The folder.
        dir: PathBuf,
        /// The first shard found.
        shard: String,
    },
    /// A weight is NaN or infinite.
    #[error("{}: tensor {tensor} holds {value} at element {index}; weights must be finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Index of the first such element, row by row.
        index: usize,
        /// The element.
        value: f32,
    },
    /// The header of a safetensors file is not valid.
    #[error("{} is not a valid safetensors file: {source}; fetch or save it again", path.display())]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: safetensors::SafeTensorError,
    },
    /// A file is shorter or longer than its header says.
    #[error("{} is damaged: {found} bytes where its header asks for {expected}; fetch or save it again", path.display())]
    WrongFileLength {
        /// The file.
        path: PathBuf,
        /// Bytes in the file.
        found: u64,
        /// Bytes the header asks for.
        expected: u64,
    },
    /// The index names a file that is not there.
    #[error("{} names the shard {shard}, which is missing; fetch the folder again", index.display())]
    MissingShard {
        /// The index file.
        index: PathBuf,
        /// The shard's file name.
        shard: String,
    },
    /// A shard's name in the index would leave the folder.
    #[error("{} names the shard {shard:?}; a shard must be a plain file name beside the index", index.display())]
    BadShardName {
        /// The index file.
        index: PathBuf,
        /// The name found.
        shard: String,
    },
    /// The index lists a tensor that the named shard does not hold.
    #[error("{} lists {tensor} in {shard}, which does not hold it; fetch the folder again", index.display())]
    NotInShard {
        /// The index file.
        index: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shard's file name.
        shard: String,
    },
    /// Two files hold a tensor of the same name.
    #[error("tensor {tensor} is in both {} and {}; remove one of the files", first.display(), second.display())]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
        /// The file read first.
        first: PathBuf,
        /// The file read second.
        second: PathBuf,
    },
    /// A tensor that was asked for is not there.
    #[error("{} has no tensor {tensor}{}", path.display(), nearest.as_ref().map(|n| format!("; the nearest name is {n}")).unwrap_or_default())]
    MissingTensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor asked for.
        tensor: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// A tensor's shape is not the one the configuration implies.
    #[error("{}: tensor {tensor} has shape {found:?}, expected {expected:?}; do config.json and the weights belong together?", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape asked for.
        expected: Vec<usize>,
    },
    /// A tensor's element type cannot be converted to what was asked for.
    #[error("{}: tensor {tensor} is stored as {found}, which cannot be read as {expected}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Type in the file.
        found: StoredType,
        /// What was asked for.
        expected: &'static str,
    },
    /// A type that weights are not written in.
    #[error("weights are written as F32, F16 or BF16, not {found}")]
    UnwritableType {
        /// The type asked for.
        found: StoredType,
    },
    /// Values were given for a tensor out of order, or too many or too few of them.
    #[error(
        "writing weights: expected {expected_values} more values of {expected}, got {found_values} of {found}"
    )]
    OutOfOrder {
        /// The tensor to be written next, empty after the last.
        expected: String,
        /// How many of its values are missing.
        expected_values: usize,
        /// The tensor given.
        found: String,
        /// How many values were given.
        found_values: usize,
    },
    /// A JSON file is not valid.
    #[error("{}: line {}, column {}: {source}", path.display(), source.line(), source.column())]
    BadJson {
        /// The file.
        path: PathBuf,
        /// The parser's error, with line and column.
        source: serde_json::Error,
    },
    /// A JSON field has a value of the wrong type or out of range.
    #[error("{}: {field} is {found}, expected {expected}", path.display())]
    BadField {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it is, as JSON.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The folder holds an adapter.
    #[error("{} holds a PEFT adapter, not a model; give the model it was trained on, and this as the adapter", dir.display())]
    AdapterFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// A GGUF file where a folder is needed.
    #[error("{} is a GGUF file; run `bestof convert` first, this needs a model folder", path.display())]
    GgufFile {
        /// The file.
        path: PathBuf,
    },
    /// The folder has no `config.json`.
    #[error("{} has no config.json, so it is not a model folder; of a folder with .gguf files give the file, or run `bestof convert` on it", dir.display())]
    NoConfig {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder has no `tokenizer.json`.
    #[error(
        "{} has no tokenizer.json{}", dir.display(),
        if *sentencepiece { "; a tokenizer.model alone is not read, save the folder once with transformers: \
         AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)" } else { "" }
    )]
    NoTokenizer {
        /// The folder.
        dir: PathBuf,
        /// Whether it has a SentencePiece file instead.
        sentencepiece: bool,
    },
    /// `tokenizer.json` cannot be used.
    #[cfg(feature = "text")]
    #[error("{}: {source}", path.display())]
    BadTokenizer {
        /// The file.
        path: PathBuf,
        /// The tokenizer library's error.
        source: tokenizers::Error,
    },
    /// An added token has another id in the tokenizer than it is listed with.
    #[error(
        "{}: the added token {token:?} is listed with id {listed}, tokenizer.json {}; do they belong together?",
        path.display(), found.map_or_else(|| "has no room for it".to_owned(), |id| format!("makes it {id}"))
    )]
    TokenElsewhere {
        /// The file that lists the token.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its id there.
        listed: u32,
        /// Its id in the tokenizer.
        found: Option<u32>,
    },
    /// The tokenizer has ids that the model has no embedding for.
    #[error(
        "the tokenizer has the token {token:?} with id {id}, the model only {vocab_size} embeddings; they do not belong together"
    )]
    TokenBeyondVocabulary {
        /// The largest id's token.
        token: String,
        /// The largest id.
        id: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// The chat template does not parse or does not run.
    #[error("{place}{}: {message}", line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Template {
        /// The file, where there is one.
        place: String,
        /// Line in the template.
        line: Option<usize>,
        /// The template engine's error.
        message: String,
    },
    /// The source of a chat template or what it renders is longer than any conversation needs.
    #[error(
        "{place}: {what} is {found} bytes long, at most {limit} are accepted; {}",
        if *what == "its source" { "write another template into chat_template.jinja, which is read first" }
        else { "shorten the conversation" }
    )]
    TemplateTooLong {
        /// The file, where there is one.
        place: String,
        /// What is too long: `its source` or `its text`.
        what: &'static str,
        /// Bytes found.
        found: usize,
        /// Most bytes accepted.
        limit: usize,
    },
    /// A chat template asks for more work than any conversation needs.
    #[error(
        "{place}{}: it takes more than {limit}, which is more than a conversation needs; \
         shorten the conversation, or write another template into chat_template.jinja, which is read first",
        line.map(|l| format!(", line {l}")).unwrap_or_default()
    )]
    TemplateEndless {
        /// The file, where there is one.
        place: String,
        /// Line in the template.
        line: Option<usize>,
        /// The limit, with its unit.
        limit: String,
    },
    /// The thread that renders templates cannot be started.
    #[error(
        "{place}: its thread does not start ({source}); it reserves 1 GiB of addresses, so raise `ulimit -v`"
    )]
    TemplateThread {
        /// The file, where there is one.
        place: String,
        /// The reason.
        source: io::Error,
    },
    /// The chat template itself refused the messages (`raise_exception`).
    #[error("the chat template refuses these messages: {message}")]
    TemplateRefused {
        /// The template's message.
        message: String,
    },
    /// The last message is to be continued and cannot be.
    #[error("the last message cannot be continued: {reason}")]
    CannotContinue {
        /// Why.
        reason: &'static str,
    },
    /// The parts that a chat template marks with `generation` blocks cannot be told from the rest.
    #[error(
        "the chat template's `generation` blocks cannot be followed: with their ends marked it renders other text; \
         keep assignments and filters of these blocks inside them"
    )]
    TemplateMarks,
    /// A GGUF file is wrong.
    #[error("{}: {source}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<crate::gguf::GgufError>,
    },
}

impl From<FileError> for CheckpointError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { step, path, source } => {
                Self::Io { action: step.as_str(), path, source }
            }
            FileError::Occupied { path } => Self::OutputExists { path },
        }
    }
}

impl CheckpointError {
    /// Wraps an operating system error, to be used in `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
