//! What can be wrong with a GGUF file.

/// Why a GGUF file cannot be read or converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file does not start as a GGUF file does.
    #[error("not a GGUF file: it starts with {found:02x?}, not with \"GGUF\"")]
    WrongMagic {
        /// The first four bytes.
        found: [u8; 4],
    },
}
