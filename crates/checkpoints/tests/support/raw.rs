//! Reads GGUF files by the format's description.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Where the bytes of a file's tensors start, by name, with sizes and types; read by the format's
/// description, apart from the reader under test.
pub(crate) struct Raw {
    pub(crate) bytes: Vec<u8>,
    at: usize,
    pub(crate) metadata: BTreeMap<String, (u32, Vec<u8>)>,
    pub(crate) tensors: BTreeMap<String, (Vec<u64>, u32, Vec<u8>)>,
}

impl Raw {
    pub(crate) fn read(path: &Path) -> Self {
        let (metadata, tensors) = (BTreeMap::new(), BTreeMap::new());
        let mut raw = Self { bytes: fs::read(path).unwrap(), at: 8, metadata, tensors };
        assert_eq!(raw.bytes[..8], *b"GGUF\x03\0\0\0");
        let (tensors, entries) = (raw.u64(), raw.u64());
        for _ in 0..entries {
            let (key, kind) = (raw.text(), raw.u32());
            let start = raw.at;
            raw.skip(kind);
            let value = raw.bytes[start..raw.at].to_vec();
            assert!(raw.metadata.insert(key, (kind, value)).is_none());
        }
        let infos: Vec<(String, Vec<u64>, u32, u64)> = (0..tensors)
            .map(|_| {
                let name = raw.text();
                let sizes = (0..raw.u32()).map(|_| raw.u64()).collect();
                (name, sizes, raw.u32(), raw.u64())
            })
            .collect();
        let start = raw.at.next_multiple_of(32);
        for (name, sizes, kind, offset) in infos {
            let values = sizes.iter().product::<u64>() as usize;
            let length = match kind {
                0 => 4 * values,
                1 | 30 => 2 * values,
                2 => 18 * values / 32,
                8 => 34 * values / 32,
                other => panic!("type {other}"),
            };
            assert_eq!(offset % 32, 0);
            let from = start + offset as usize;
            let bytes = raw.bytes[from..from + length].to_vec();
            raw.tensors.insert(name, (sizes, kind, bytes));
        }
        raw
    }

    fn take(&mut self, count: usize) -> &[u8] {
        self.at += count;
        &self.bytes[self.at - count..self.at]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = self.u64() as usize;
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    fn skip(&mut self, kind: u32) {
        match kind {
            0 | 1 | 7 => _ = self.take(1),
            2 | 3 => _ = self.take(2),
            4..=6 => _ = self.take(4),
            8 => _ = self.text(),
            9 => {
                let (kind, count) = (self.u32(), self.u64());
                (0..count).for_each(|_| self.skip(kind));
            }
            _ => _ = self.take(8),
        }
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        let (kind, bytes) = &self.metadata[key];
        let four: [u8; 4] = bytes[..4].try_into().unwrap();
        if *kind == 6 {
            f64::from(f32::from_le_bytes(four))
        } else {
            f64::from(u32::from_le_bytes(four))
        }
    }

    pub(crate) fn word(&self, key: &str) -> &str {
        std::str::from_utf8(&self.metadata[key].1[8..]).unwrap()
    }
}
