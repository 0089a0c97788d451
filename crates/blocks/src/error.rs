//! What can be wrong with blocks.

use crate::ggml_type::GgmlType;

/// Why blocks cannot be decoded or encoded.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// A type that values are not encoded to.
    #[error("{ggml_type} is not written; known are F32, F16, BF16, Q8_0 and Q4_0")]
    Unwritable {
        /// The element type.
        ggml_type: GgmlType,
    },
    /// A value beyond what a type holds.
    #[error("the value {value} is too large for {ggml_type}; take bf16 or f32")]
    TooLarge {
        /// The element type.
        ggml_type: GgmlType,
        /// The value.
        value: f32,
    },
    /// A value that is no finite number.
    #[error("the value {value} is not finite; {ggml_type} is written of finite values only")]
    NotFinite {
        /// The element type.
        ggml_type: GgmlType,
        /// The value.
        value: f32,
    },
    /// A buffer that does not fit the blocks to decode.
    #[error("{bytes} bytes of {ggml_type} do not decode to {values} values: a block of {} bytes holds {}", ggml_type.block_bytes(), ggml_type.block_values())]
    Sizes {
        /// The element type.
        ggml_type: GgmlType,
        /// Number of bytes given.
        bytes: usize,
        /// Number of values asked for.
        values: usize,
    },
}
