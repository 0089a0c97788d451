//! Thrift's compact protocol, as far as Parquet's headers need it: integers and structures by field, the rest skipped.

/// Structures and lists inside each other.
const MAX_DEPTH: usize = 32;

/// What a field holds.
#[derive(Debug)]
pub(super) enum Found {
    Integer(i64),
    Fields(Fields),
    Other,
}

/// The fields of a structure.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(i64, Found)>);

impl Fields {
    pub(super) fn integer(&self, field: i64) -> Option<i64> {
        self.0.iter().find_map(|(id, found)| match found {
            Found::Integer(value) if *id == field => Some(*value),
            _ => None,
        })
    }

    pub(super) fn fields(&self, field: i64) -> Option<&Self> {
        self.0.iter().find_map(|(id, found)| match found {
            Found::Fields(fields) if *id == field => Some(fields),
            _ => None,
        })
    }
}

/// Bytes that are read from the front. `None` stands for bytes that are not there, lists that claim more items
/// than bytes are left among them.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Compact<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn integer(&mut self) -> Option<i64> {
        self.number().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len())
    }

    /// A structure.
    pub(super) fn fields(&mut self, depth: usize) -> Option<Fields> {
        let (mut fields, mut id) = (Fields::default(), 0_i64);
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(fields);
            }
            id = match head >> 4 {
                0 => self.integer()?,
                step => id.checked_add(i64::from(step))?,
            };
            let found = match head & 0x0f {
                // True and false are in the head.
                1 | 2 => Found::Other,
                kind => self.value(kind, depth)?,
            };
            fields.0.push((id, found));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Found> {
        if depth == 0 {
            return None;
        }
        match kind {
            1..=3 => drop(self.byte()?),
            4..=6 => return self.integer().map(Found::Integer),
            7 => drop(self.take(8)?),
            8 => {
                let count = self.count()?;
                self.take(count)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.count()?,
                    short => usize::from(short),
                };
                for _ in 0..count {
                    self.value(head & 0x0f, depth - 1)?;
                }
            }
            11 => {
                let count = self.count()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                for _ in 0..count {
                    self.value(kinds >> 4, depth - 1)?;
                    self.value(kinds & 0x0f, depth - 1)?;
                }
            }
            12 => return self.fields(depth - 1).map(Found::Fields),
            _ => return None,
        }
        Some(Found::Other)
    }

    /// All of a structure.
    pub(super) fn structure(&mut self) -> Option<Fields> {
        self.fields(MAX_DEPTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_claims_refused() {
        // 1: i32 7, 3: structure { 2: i64 -1 }, 5: a list of two bytes.
        let bytes = [0x15, 14, 0x2c, 0x26, 1, 0, 0x29, 0x23, 8, 9, 0];
        let fields = Compact { rest: &bytes }.structure().unwrap();
        assert_eq!(fields.integer(1), Some(7));
        assert_eq!(fields.fields(3).and_then(|inner| inner.integer(2)), Some(-1));
        for end in 0..bytes.len() {
            assert!(Compact { rest: &bytes[..end] }.structure().is_none(), "{end}");
        }
        // A list that says it has 2^28 items.
        let claim = [0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x01, 0];
        assert!(Compact { rest: &claim }.structure().is_none());
        assert!(Compact { rest: &[0x1c; 1000] }.structure().is_none(), "depth");
    }
}
