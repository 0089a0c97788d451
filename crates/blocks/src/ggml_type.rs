//! Element types of GGUF tensors: numbers, names and block sizes.

use std::fmt;

/// Element type of a GGUF tensor. Quantized types store blocks of values that share scales.
///
/// ```
/// use bestof_blocks::GgmlType;
///
/// let q4 = GgmlType::from_number(12).unwrap();
/// assert_eq!((q4, q4.name()), (GgmlType::Q4K, "Q4_K"));
/// assert_eq!((q4.block_values(), q4.block_bytes()), (256, 144));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GgmlType {
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper 16 bits of an `f32`.
    BF16,
    /// 4 bits and a scale per 32 values.
    Q4_0,
    /// 4 bits, a scale and a minimum per 32 values.
    Q4_1,
    /// 5 bits and a scale per 32 values.
    Q5_0,
    /// 5 bits, a scale and a minimum per 32 values.
    Q5_1,
    /// 8 bits and a scale per 32 values.
    Q8_0,
    /// 2 bits; 4-bit scales and minima per 16 of 256 values.
    Q2K,
    /// 3 bits; 6-bit scales per 16 of 256 values.
    Q3K,
    /// 4 bits; 6-bit scales and minima per 32 of 256 values.
    Q4K,
    /// 5 bits; 6-bit scales and minima per 32 of 256 values.
    Q5K,
    /// 6 bits; 8-bit scales per 16 of 256 values.
    Q6K,
    /// 4 bits that choose one of 16 unevenly spaced numbers, and a scale per 32 values.
    IQ4NL,
    /// The same numbers; 6-bit scales per 32 of 256 values.
    IQ4XS,
}

/// Type, number in the file, name, values per block, bytes per block.
const TYPES: [(GgmlType, u32, &str, usize, usize); 15] = [
    (GgmlType::F32, 0, "F32", 1, 4),
    (GgmlType::F16, 1, "F16", 1, 2),
    (GgmlType::BF16, 30, "BF16", 1, 2),
    (GgmlType::Q4_0, 2, "Q4_0", 32, 18),
    (GgmlType::Q4_1, 3, "Q4_1", 32, 20),
    (GgmlType::Q5_0, 6, "Q5_0", 32, 22),
    (GgmlType::Q5_1, 7, "Q5_1", 32, 24),
    (GgmlType::Q8_0, 8, "Q8_0", 32, 34),
    (GgmlType::Q2K, 10, "Q2_K", 256, 84),
    (GgmlType::Q3K, 11, "Q3_K", 256, 110),
    (GgmlType::Q4K, 12, "Q4_K", 256, 144),
    (GgmlType::Q5K, 13, "Q5_K", 256, 176),
    (GgmlType::Q6K, 14, "Q6_K", 256, 210),
    (GgmlType::IQ4NL, 20, "IQ4_NL", 32, 18),
    (GgmlType::IQ4XS, 23, "IQ4_XS", 256, 136),
];

/// Types of the format that are not decoded: number and name. Numbers without a name here were
/// taken back by llama.cpp.
const NAMES: [(u32, &str); 19] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

/// The name of any type of the format; for a number without one, the number.
pub fn type_name(number: u32) -> String {
    let decoded = GgmlType::from_number(number).map(GgmlType::name);
    let other = || NAMES.iter().find(|row| row.0 == number).map(|row| row.1);
    decoded.or_else(other).map_or_else(|| format!("number {number}"), str::to_owned)
}

impl GgmlType {
    /// Every type that is decoded.
    pub const ALL: [Self; TYPES.len()] = {
        let mut all = [Self::F32; TYPES.len()];
        let mut index = 0;
        while index < TYPES.len() {
            all[index] = TYPES[index].0;
            index += 1;
        }
        all
    };

    /// The type with this number in a GGUF file; `None` for one that is not decoded.
    pub fn from_number(number: u32) -> Option<Self> {
        TYPES.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// Its number in a GGUF file.
    pub fn number(self) -> u32 {
        self.row().1
    }

    /// Its name in llama.cpp, such as `Q4_K`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Number of values in a block; 1 for the unquantized types.
    pub fn block_values(self) -> usize {
        self.row().3
    }

    /// Number of bytes in a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// Number of bytes that whole blocks of `values` values take.
    pub fn bytes_of(self, values: usize) -> usize {
        values / self.block_values() * self.block_bytes()
    }

    /// Number of values in `bytes` bytes of whole blocks.
    pub fn values_of(self, bytes: usize) -> usize {
        bytes / self.block_bytes() * self.block_values()
    }

    fn row(self) -> &'static (Self, u32, &'static str, usize, usize) {
        TYPES.iter().find(|row| row.0 == self).unwrap_or(&TYPES[0])
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
