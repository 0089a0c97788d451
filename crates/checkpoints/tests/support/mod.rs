//! Writes small GGUF files, so that every test says what is in its file.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod raw;

use std::path::{Path, PathBuf};

use half::f16;

/// A metadata value with its type number.
#[derive(Clone)]
pub(crate) enum Meta {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    /// Type number and bytes as they are.
    Raw(u32, Vec<u8>),
}

/// How a tensor is stored.
#[derive(Clone, Copy)]
pub(crate) enum Stored {
    F32,
    F16,
    BF16,
    Q4_0,
    Q8_0,
}

#[derive(Clone, Default)]
pub(crate) struct GgufBuilder {
    pub(crate) metadata: Vec<(String, Meta)>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) version: Option<u32>,
    /// 32 where there is none; the metadata has to say so too.
    pub(crate) alignment: Option<usize>,
}

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Innermost dimension first.
    pub(crate) sizes: Vec<u64>,
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Meta {
    fn write(&self, out: &mut Vec<u8>) {
        let list = |kind: u32, length: usize, out: &mut Vec<u8>| {
            out.extend(9_u32.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((length as u64).to_le_bytes());
        };
        let scalar = |kind: u32, bytes: &[u8], out: &mut Vec<u8>| {
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        };
        match self {
            Self::U32(v) => scalar(4, &v.to_le_bytes(), out),
            Self::F32(v) => scalar(6, &v.to_le_bytes(), out),
            Self::Bool(v) => scalar(7, &[u8::from(*v)], out),
            Self::Raw(kind, bytes) => scalar(*kind, bytes, out),
            Self::Text(v) => {
                out.extend(8_u32.to_le_bytes());
                text(v, out);
            }
            Self::Texts(v) => {
                list(8, v.len(), out);
                for v in v {
                    text(v, out);
                }
            }
            Self::I32s(v) => {
                list(5, v.len(), out);
                out.extend(v.iter().flat_map(|v| v.to_le_bytes()));
            }
            Self::F32s(v) => {
                list(6, v.len(), out);
                out.extend(v.iter().flat_map(|v| v.to_le_bytes()));
            }
        }
    }
}

impl Stored {
    fn kind(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::BF16 => 30,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
        }
    }

    /// The bytes of values, and the values that these bytes stand for by the format's formulas.
    pub(crate) fn pack(self, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
        let mut bytes = Vec::new();
        let back = match self {
            Self::F32 => {
                bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
                values.to_vec()
            }
            Self::F16 => {
                bytes.extend(values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()));
                values.iter().map(|&v| f16::from_f32(v).to_f32()).collect()
            }
            Self::BF16 => {
                let cut = |v: f32| v.to_bits() & 0xffff_0000;
                bytes.extend(values.iter().flat_map(|&v| ((cut(v) >> 16) as u16).to_le_bytes()));
                values.iter().map(|&v| f32::from_bits(cut(v))).collect()
            }
            // 32 values: a scale, then value = scale * q.
            Self::Q8_0 => {
                values.chunks_exact(32).flat_map(|block| q8_0(block, &mut bytes)).collect()
            }
            // 32 values: a scale, then value = scale * (q - 8), value i and i + 16 in one byte.
            Self::Q4_0 => {
                values.chunks_exact(32).flat_map(|block| q4_0(block, &mut bytes)).collect()
            }
        };
        (bytes, back)
    }
}

fn largest(block: &[f32]) -> f32 {
    block.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()))
}

fn q8_0(block: &[f32], bytes: &mut Vec<u8>) -> Vec<f32> {
    let scale = f16::from_f32(largest(block) / 127.0);
    let q: Vec<i8> = block.iter().map(|v| (v / scale.to_f32()).round() as i8).collect();
    bytes.extend(scale.to_le_bytes());
    bytes.extend(q.iter().map(|q| *q as u8));
    q.iter().map(|q| scale.to_f32() * f32::from(*q)).collect()
}

fn q4_0(block: &[f32], bytes: &mut Vec<u8>) -> Vec<f32> {
    let scale = f16::from_f32(largest(block) / 7.0);
    let q: Vec<u8> = block.iter().map(|v| ((v / scale.to_f32()).round() as i8 + 8) as u8).collect();
    bytes.extend(scale.to_le_bytes());
    bytes.extend((0..16).map(|i| q[i] | (q[i + 16] << 4)));
    q.iter().map(|q| scale.to_f32() * (f32::from(*q) - 8.0)).collect()
}

impl GgufBuilder {
    pub(crate) fn set(&mut self, key: &str, value: Meta) -> &mut Self {
        match self.metadata.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
        self
    }

    pub(crate) fn remove(&mut self, key: &str) -> &mut Self {
        let before = self.metadata.len();
        self.metadata.retain(|(k, _)| k != key);
        assert_eq!(before, self.metadata.len() + 1, "{key} was there");
        self
    }

    pub(crate) fn remove_tensor(&mut self, name: &str) -> &mut Self {
        let before = self.tensors.len();
        self.tensors.retain(|t| t.name != name);
        assert_eq!(before, self.tensors.len() + 1, "{name} was there");
        self
    }

    /// Adds a tensor (shape: outermost dimension first) and returns the values it stands for.
    pub(crate) fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        stored: Stored,
        values: &[f32],
    ) -> Vec<f32> {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let (bytes, back) = stored.pack(values);
        let sizes = shape.iter().rev().map(|&s| s as u64).collect();
        self.tensors.push(Tensor { name: name.to_owned(), sizes, kind: stored.kind(), bytes });
        back
    }

    pub(crate) fn find(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|t| t.name == name).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let alignment = self.alignment.unwrap_or(32);
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.unwrap_or(3).to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            text(key, &mut out);
            value.write(&mut out);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            text(&tensor.name, &mut out);
            out.extend((tensor.sizes.len() as u32).to_le_bytes());
            out.extend(tensor.sizes.iter().flat_map(|s| s.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += tensor.bytes.len().next_multiple_of(alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(alignment), 0);
            out.extend(&tensor.bytes);
        }
        out
    }

    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("model.gguf");
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}

/// Numbers that look random and are always the same.
pub(crate) struct Lcg(pub u64);

impl Lcg {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() % 2001) as f32 / 1000.0 - 1.0).collect()
    }
}

pub(crate) fn texts(list: &[&str]) -> Meta {
    Meta::Texts(list.iter().map(|t| (*t).to_owned()).collect())
}

/// A byte-level vocabulary: an end token, four letters, a space, two merges.
pub(crate) fn gpt2_vocabulary(builder: &mut GgufBuilder) {
    builder
        .set("tokenizer.ggml.model", Meta::Text("gpt2".into()))
        .set("tokenizer.ggml.pre", Meta::Text("gpt-2".into()))
        .set(
            "tokenizer.ggml.tokens",
            texts(&["<|end|>", "a", "b", "c", "1", "Ġ", "ab", "Ġab", "2", "<tool>"]),
        )
        .set("tokenizer.ggml.token_type", Meta::I32s(vec![3, 1, 1, 1, 1, 1, 1, 1, 1, 4]))
        .set("tokenizer.ggml.merges", texts(&["a b", "Ġ ab"]))
        .set("tokenizer.ggml.bos_token_id", Meta::U32(0))
        .set("tokenizer.ggml.eos_token_id", Meta::U32(0));
}

pub(crate) const HIDDEN: usize = 32;
pub(crate) const FEED_FORWARD: usize = 64;
pub(crate) const HEADS: usize = 4;
pub(crate) const KEY_VALUE_HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 8;
pub(crate) const LAYERS: usize = 2;
pub(crate) const VOCABULARY: usize = 12;

/// The metadata of a tiny model of an architecture.
pub(crate) fn metadata(architecture: &str) -> GgufBuilder {
    let mut builder = GgufBuilder::default();
    builder.set("general.architecture", Meta::Text(architecture.into()));
    for (name, value) in [
        ("block_count", LAYERS),
        ("context_length", 256),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", FEED_FORWARD),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KEY_VALUE_HEADS),
        ("attention.key_length", HEAD_DIM),
    ] {
        builder.set(&format!("{architecture}.{name}"), Meta::U32(value as u32));
    }
    builder.set(&format!("{architecture}.attention.layer_norm_rms_epsilon"), Meta::F32(1e-5));
    builder.set(&format!("{architecture}.rope.freq_base"), Meta::F32(500_000.0));
    gpt2_vocabulary(&mut builder);
    builder
}

/// Adds every tensor of an architecture with values of its own, all as `f32`.
pub(crate) fn add_tensors(builder: &mut GgufBuilder, architecture: &str, random: &mut Lcg) {
    let (queries, keys) = (HEADS * HEAD_DIM, KEY_VALUE_HEADS * HEAD_DIM);
    let mut layer: Vec<(&str, Vec<usize>)> = vec![
        ("attn_norm.weight", vec![HIDDEN]),
        ("attn_q.weight", vec![queries, HIDDEN]),
        ("attn_k.weight", vec![keys, HIDDEN]),
        ("attn_v.weight", vec![keys, HIDDEN]),
        ("attn_output.weight", vec![HIDDEN, queries]),
        ("ffn_norm.weight", vec![HIDDEN]),
        ("ffn_gate.weight", vec![FEED_FORWARD, HIDDEN]),
        ("ffn_up.weight", vec![FEED_FORWARD, HIDDEN]),
        ("ffn_down.weight", vec![HIDDEN, FEED_FORWARD]),
    ];
    if architecture == "qwen2" {
        layer.extend([
            ("attn_q.bias", vec![queries]),
            ("attn_k.bias", vec![keys]),
            ("attn_v.bias", vec![keys]),
        ]);
    }
    if architecture.starts_with("gemma") {
        layer.extend([
            ("post_attention_norm.weight", vec![HIDDEN]),
            ("post_ffw_norm.weight", vec![HIDDEN]),
        ]);
    }
    if architecture == "phi3" {
        layer.retain(|(name, _)| {
            !["q.", "k.", "v.", "gate.", "up."].iter().any(|p| name.contains(p))
        });
        layer.extend([
            ("attn_qkv.weight", vec![queries + 2 * keys, HIDDEN]),
            ("ffn_up.weight", vec![2 * FEED_FORWARD, HIDDEN]),
        ]);
    }
    if ["gemma3", "qwen3"].contains(&architecture) {
        layer.extend([
            ("attn_q_norm.weight", vec![HEAD_DIM]),
            ("attn_k_norm.weight", vec![HEAD_DIM]),
        ]);
    }
    let mut add = |name: &str, shape: &[usize]| {
        let values = random.values(shape.iter().product());
        builder.tensor(name, shape, Stored::F32, &values);
    };
    add("token_embd.weight", &[VOCABULARY, HIDDEN]);
    for number in 0..LAYERS {
        for (name, shape) in &layer {
            add(&format!("blk.{number}.{name}"), shape);
        }
    }
    add("output_norm.weight", &[HIDDEN]);
}

/// A tiny model with tied embeddings.
pub(crate) fn model(architecture: &str) -> GgufBuilder {
    let mut builder = metadata(architecture);
    add_tensors(&mut builder, architecture, &mut Lcg(7));
    builder
}

/// Reads a tensor of `f32`s back out of a builder.
pub(crate) fn values_of(builder: &GgufBuilder, name: &str) -> Vec<f32> {
    let tensor = builder.tensors.iter().find(|t| t.name == name).unwrap();
    tensor.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}
