//! Damaged and foreign GGUF files: an error that says what is wrong, never a panic, a hang or a
//! large allocation.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::Path;

use bestof_checkpoints::CheckpointError;
use bestof_checkpoints::gguf::{ConvertOptions, Converted, GgufError, convert};
use bestof_files::FileKind;
use support::*;
use tempfile::tempdir;

fn convert_bytes(bytes: &[u8], dir: &Path) -> Result<Converted, CheckpointError> {
    let path = dir.join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    convert(&path, &dir.join("out"), &ConvertOptions::default(), &mut |_| {})
}

/// The error of a file, which has to name the file.
fn error_of(bytes: &[u8]) -> GgufError {
    let dir = tempdir().unwrap();
    match convert_bytes(bytes, dir.path()).unwrap_err() {
        CheckpointError::Gguf { path, source } => {
            assert!(path.ends_with("model.gguf"));
            *source
        }
        other => panic!("not an error of the file: {other}"),
    }
}

fn error_after(change: impl FnOnce(&mut GgufBuilder)) -> GgufError {
    let mut builder = model("llama");
    change(&mut builder);
    error_of(&builder.bytes())
}

#[test]
fn every_truncation_is_found() {
    let whole = model("llama").bytes();
    let dir = tempdir().unwrap();
    // All of the header, and the data in larger steps.
    let header = 3000.min(whole.len());
    for length in (0..header).chain((header..whole.len()).step_by(997)).chain([whole.len() - 1]) {
        let error = convert_bytes(&whole[..length], dir.path()).unwrap_err();
        let CheckpointError::Gguf { source, .. } = error else { panic!("{length}: {error}") };
        let named = match *source {
            GgufError::Truncated { length: found, .. } => found == length as u64,
            // Too short to be told for one.
            GgufError::NotGguf { .. } => length < 4,
            _ => false,
        };
        assert!(named, "{length}: {source}");
    }
    convert_bytes(&whole, dir.path()).unwrap();
}

#[test]
fn no_change_of_a_byte_makes_it_panic() {
    let whole = model("llama").bytes();
    let mut random = Lcg(5);
    let (mut refused, dir) = (0, tempdir().unwrap());
    for round in 0..500 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 3 {
            let at = random.next() as usize % 2600;
            bytes[at] = [0, 0xff, 0x7f, 0x80, random.next() as u8][random.next() as usize % 5];
        }
        match convert_bytes(&bytes, dir.path()) {
            Ok(_) => std::fs::remove_dir_all(dir.path().join("out")).unwrap(),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 200, "{refused} of 500 were refused");
}

#[test]
fn other_files_are_refused() {
    let error = error_of(b"PK\x03\x04 and so on");
    assert!(matches!(&error, GgufError::NotGguf { found: FileKind::Zip }), "{error}");
    assert!(matches!(error_of(b"GG"), GgufError::NotGguf { found: FileKind::Text }));
    assert!(matches!(error_of(b"GGUF"), GgufError::Truncated { .. }));
    let versioned = |version| error_after(|b| b.version = Some(version));
    assert_eq!(
        versioned(1).to_string(),
        "GGUF version 1 is not read (2 and 3 are); convert the model again with a current llama.cpp"
    );
    assert!(versioned(3_u32.swap_bytes()).to_string().ends_with("the file is big-endian"));
}

#[test]
fn counts_beyond_the_file_are_refused_at_once() {
    let whole = model("llama").bytes();
    let huge = (1_u64 << 60).to_le_bytes();
    for (what, at) in [("tensors", 8), ("metadata entries", 16), ("the first key", 24)] {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&huge);
        assert!(matches!(error_of(&bytes), GgufError::Truncated { .. }), "{what}");
    }
    let list = |kind: u32| [&kind.to_le_bytes()[..], &huge].concat();
    for kind in [0, 4, 6, 8, 10] {
        let error = error_after(|b| {
            b.set("general.tags", Meta::Raw(9, list(kind)));
        });
        assert!(
            matches!(&error, GgufError::Truncated { what, needed, .. }
                if what.contains("general.tags") && *needed >= 1 << 60),
            "{error}"
        );
    }
    let error = error_after(|b| {
        b.set("llama.block_count", Meta::U32(u32::MAX));
    });
    assert!(
        matches!(&error, GgufError::MissingTensor { tensor } if tensor == "blk.2.attn_norm.weight"),
        "{error}"
    );
    let error = error_after(|b| b.find("output_norm.weight").sizes = vec![1 << 62, 1 << 62]);
    assert!(matches!(error, GgufError::BadShape { .. }), "{error}");
    let error = error_after(|b| b.find("output_norm.weight").sizes = vec![1 << 40]);
    assert!(
        matches!(&error, GgufError::Truncated { what, .. } if what == "tensor output_norm.weight"),
        "{error}"
    );
}

#[test]
fn metadata_that_is_missing_is_named() {
    for key in [
        "general.architecture",
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
    ] {
        let error = error_after(|b| {
            b.remove(key);
        });
        assert!(
            matches!(&error, GgufError::MissingKey { key: found } if found == key),
            "{key}: {error}"
        );
    }
}

/// Checks the messages after setting one key to a value.
fn check_messages(cases: Vec<(&str, Meta, &str)>) {
    for (key, value, expected) in cases {
        let error = error_after(|b| {
            b.set(key, value);
        });
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn metadata_of_the_wrong_kind_is_named() {
    check_messages(vec![
        (
            "llama.block_count",
            Meta::Text("two".into()),
            "metadata llama.block_count is \"two\", expected one whole number from 0 to 4294967295",
        ),
        ("llama.block_count", Meta::U32(0), "metadata llama.block_count is 0, expected at least 1"),
        (
            "llama.attention.head_count_kv",
            Meta::U32(3),
            "metadata llama.attention.head_count_kv is 3, expected a divisor of the 4 heads",
        ),
        (
            "llama.attention.key_length",
            Meta::U32(7),
            "metadata llama.attention.key_length is 7, expected an even number, at least 2",
        ),
        (
            "llama.rope.freq_base",
            Meta::F32(-1.0),
            "metadata llama.rope.freq_base is -1, expected more than zero",
        ),
        (
            "llama.rope.freq_base",
            Meta::F32(f32::NAN),
            "metadata llama.rope.freq_base is NaN, expected a finite number",
        ),
        (
            "llama.rope.dimension_count",
            Meta::U32(4),
            "partial rotation is not supported: 4 of 8 dimensions of a head are rotated",
        ),
        (
            "llama.rope.scaling.type",
            Meta::Text("odd".into()),
            "metadata llama.rope.scaling.type is \"odd\", expected none, linear or yarn",
        ),
        (
            "llama.expert_count",
            Meta::U32(8),
            "a mixture of experts is not supported: llama.expert_count is 8",
        ),
        (
            "general.alignment",
            Meta::U32(24),
            "metadata general.alignment is 24, expected a power of two",
        ),
    ]);
    let error = error_after(|b| b.metadata.push(("llama.block_count".into(), Meta::U32(2))));
    assert_eq!(error.to_string(), "metadata llama.block_count appears twice");
}

#[test]
fn metadata_of_an_unknown_form_is_named() {
    check_messages(vec![
        ("general.tags", Meta::Raw(77, vec![]), "metadata general.tags has the unknown type 77"),
        (
            "general.tags",
            Meta::Raw(9, [9_u32.to_le_bytes(), [0; 4], [0; 4]].concat()),
            "metadata general.tags is an array of arrays, which is not read",
        ),
        (
            "general.tags",
            Meta::Raw(
                9,
                [&8_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), &1_u64.to_le_bytes(), &[0xff]]
                    .concat(),
            ),
            "metadata general.tags[0] is not valid UTF-8",
        ),
    ]);
}

#[test]
fn a_tokenizer_that_makes_no_sense_is_named() {
    check_messages(vec![
        (
            "tokenizer.ggml.token_type",
            Meta::I32s(vec![1]),
            "metadata tokenizer.ggml.token_type is a list of 1, expected a list of 10 numbers, one per token",
        ),
        (
            "tokenizer.ggml.token_type",
            Meta::I32s(vec![9; 10]),
            "metadata tokenizer.ggml.token_type is a list with the kind 9, expected kinds from 1 to 6",
        ),
        (
            "tokenizer.ggml.merges",
            texts(&["a b", "a c"]),
            "tokenizer.ggml.merges[1] is \"a c\", not two tokens of the vocabulary",
        ),
        (
            "tokenizer.ggml.model",
            Meta::Text("rwkv".into()),
            "the tokenizer model \"rwkv\" is not known; known are gpt2, llama",
        ),
    ]);
    let error = error_after(|b| {
        b.set("tokenizer.ggml.pre", Meta::Text("new".into()));
    });
    assert!(error.to_string().starts_with(
        "the tokenizer pre-tokenizer \"new\" is not known; known are default, gpt-2, mellum"
    ));
    let many: Vec<String> = (0..13).map(|i| i.to_string()).collect();
    let error = error_after(|b| {
        b.set("tokenizer.ggml.tokens", Meta::Texts(many)).remove("tokenizer.ggml.token_type");
    });
    assert_eq!(
        error.to_string(),
        "metadata tokenizer.ggml.tokens is a list of 13, expected at most the 12 rows of token_embd.weight"
    );
}

#[test]
fn unknown_architectures_and_types_list_the_known_ones() {
    let error = error_after(|b| {
        b.set("general.architecture", Meta::Text("mamba".into()));
    });
    assert_eq!(
        error.to_string(),
        "the architecture mamba is not known; known are llama (Mistral included), qwen2, qwen3, smollm3, phi3, gemma2, gemma3"
    );
    // Numbers and names: `ggml_type` in ggml.h, and `GGMLQuantizationType` of gguf-py 0.19.
    for (kind, name) in [(19, "IQ1_S"), (22, "IQ2_S"), (39, "MXFP4"), (31, "number 31")] {
        let error = error_after(|b| b.find("blk.0.attn_v.weight").kind = kind);
        assert_eq!(
            error.to_string(),
            format!(
                "tensor blk.0.attn_v.weight has the type {name}, which is not read; take a file of one of \
                 F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS"
            )
        );
    }
}

#[test]
fn files_beside_models_are_named_before_their_tensors() {
    for (kind, hint) in [
        ("adapter", "it holds the changes of an adapter"),
        ("mmproj", "it holds the encoder of images"),
        ("imatrix", "it holds statistics"),
        ("other", "convert a file of a model"),
    ] {
        let error = error_after(|b| {
            b.set("general.type", Meta::Text(kind.into())).find("blk.0.attn_v.weight").kind = 19;
        });
        let start = format!("general.type is {kind}: {hint}");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[test]
fn tensors_have_to_be_those_of_the_architecture() {
    let error = error_after(|b| {
        b.remove_tensor("blk.1.ffn_up.weight");
    });
    assert!(
        matches!(&error, GgufError::MissingTensor { tensor } if tensor == "blk.1.ffn_up.weight"),
        "{error}"
    );
    let error = error_after(|b| {
        b.remove_tensor("token_embd.weight");
    });
    assert!(
        matches!(&error, GgufError::MissingTensor { tensor } if tensor == "token_embd.weight"),
        "{error}"
    );
    let error = error_after(|b| {
        b.tensor("blk.0.attn_q_norm.weight", &[8], Stored::F32, &[1.0; 8]);
    });
    assert_eq!(
        error.to_string(),
        "tensor blk.0.attn_q_norm.weight does not belong to the architecture llama; dropping it would change the model"
    );
    let error = error_after(|b| b.find("blk.0.attn_v.weight").sizes = vec![16, 32]);
    assert_eq!(
        error.to_string(),
        "tensor blk.0.attn_v.weight has shape [32, 16], the metadata asks for [16, 32]"
    );
    let error = error_after(|b| {
        let copy = b.tensors[0].clone();
        b.tensors.push(copy);
    });
    assert_eq!(error.to_string(), "tensor token_embd.weight appears twice");
    // Biases on the queries alone: the others are missing.
    let error = error_after(|b| {
        b.tensor("blk.0.attn_q.bias", &[32], Stored::F32, &[0.0; 32]);
    });
    assert!(
        matches!(&error, GgufError::MissingTensor { tensor } if tensor.starts_with("blk.0.attn_")),
        "{error}"
    );
    let error = error_after(|b| {
        b.tensor("rope_freqs.weight", &[3], Stored::F32, &[1.0; 3]);
    });
    assert_eq!(
        error.to_string(),
        "tensor rope_freqs.weight has shape [3], the metadata asks for [4]"
    );
}

#[test]
fn shapes_that_cannot_be() {
    let error = error_after(|b| b.find("output_norm.weight").sizes = vec![0]);
    assert!(error.to_string().ends_with("a dimension is zero or too large"), "{error}");
    let error = error_after(|b| b.find("output_norm.weight").sizes = vec![1; 5]);
    assert!(error.to_string().ends_with("more than 4 dimensions"), "{error}");
    let error = error_after(|b| {
        let tensor = b.find("output_norm.weight");
        (tensor.kind, tensor.sizes) = (8, vec![31]);
    });
    assert!(error.to_string().ends_with("a row is not a whole number of blocks"), "{error}");
    // The last eight bytes before the first tensor's data are the last tensor's place.
    let mut bytes = model("llama").bytes();
    let name = bytes.windows(18).position(|w| w == b"output_norm.weight").unwrap();
    let offset = name + 18 + 4 + 8 + 4;
    bytes[offset] += 4;
    assert!(matches!(error_of(&bytes), GgufError::Misaligned { alignment: 32, .. }));
}
