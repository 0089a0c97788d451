#![doc = include_str!("../README.md")]

mod error;
mod fault;
mod file;
mod folder;
mod folder_lock;
mod guard;
mod hash;
mod kind;
mod layer;
mod temporary;
mod text;

pub use error::{FileError, Step};
pub use fault::{Fault, FaultyDisk};
pub use file::{
    Output, StagedFile, fill_file, keep_prefix, sync_parent, write_file, write_file_on,
};
pub use folder::{StagedFolder, recover_folder};
pub use folder_lock::{FolderLock, LockError};
pub use guard::guarded;
pub use hash::{HashingWriter, Sha256Hasher, sha256_hex, sha256_of_file};
pub use kind::{FileKind, Peeked, peek};
pub use layer::{Disk, FileLayer, SyncedFile};
pub use temporary::{end_unfinished, is_unfinished};
pub use text::{LONGEST_TEXT, expect_folder, read_text};
