//! Concatenated sequences as padded rows.

/// The indices of the items of concatenated sequences as rows `[sequences][longest]`; shorter rows
/// are padded with `padding`, the index of a row of zeros.
pub(super) fn padded_indices(lengths: &[usize], padding: usize) -> Vec<u32> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut padded = Vec::with_capacity(lengths.len() * longest);
    let mut start = 0;
    for (sequence, length) in lengths.iter().enumerate() {
        padded.extend(start as u32..(start + length) as u32);
        padded.resize((sequence + 1) * longest, padding as u32);
        start += length;
    }
    padded
}
