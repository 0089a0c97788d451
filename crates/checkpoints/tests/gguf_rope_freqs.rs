//! Another rotary basis put into GGUF files: every byte of the copy, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;

use bestof_checkpoints::gguf::{
    ConvertOptions, GgufError, RopeFreqs, RopeFreqsWritten, convert, with_rope_freqs,
};
use bestof_checkpoints::{CheckpointError, ModelFolder};
use serde_json::{Value, json};
use support::*;
use tempfile::tempdir;

const PAIRS: usize = HEAD_DIM / 2;

/// Divisors of the power basis with k = 1/2 and factor 4.
fn power() -> RopeFreqs {
    let divisors = (0..PAIRS).map(|j| 4.0 / (1.0 - j as f64 / PAIRS as f64).sqrt()).collect();
    RopeFreqs { divisors, freq_base: 10_000.0, context_length: Some(1024) }
}

fn as_f32(freqs: &RopeFreqs) -> Vec<f32> {
    freqs.divisors.iter().map(|&divisor| divisor as f32).collect()
}

/// Puts a basis into a file of these bytes; the old file must stay as it is, and a failure must
/// leave nothing.
fn put(bytes: &[u8], freqs: &RopeFreqs) -> Result<(RopeFreqsWritten, Vec<u8>), CheckpointError> {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("model.gguf"), dir.path().join("out.gguf"));
    fs::write(&input, bytes).unwrap();
    let written = with_rope_freqs(&input, &out, freqs);
    assert_eq!(fs::read(&input).unwrap(), bytes);
    let expected = if written.is_ok() { 2 } else { 1 };
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), expected);
    Ok((written?, fs::read(&out).unwrap_or_default()))
}

fn error_of(builder: &GgufBuilder, freqs: &RopeFreqs) -> GgufError {
    match put(&builder.bytes(), freqs).unwrap_err() {
        CheckpointError::Gguf { path, source } => {
            assert!(path.ends_with("model.gguf"));
            *source
        }
        other => panic!("not an error of the file: {other}"),
    }
}

/// What a copy with the power basis has to be.
fn expected(builder: &GgufBuilder) -> GgufBuilder {
    let mut expected = builder.clone();
    let kind = "llama.rope.scaling.type";
    expected.metadata.retain(|(key, _)| key == kind || !key.starts_with("llama.rope.scal"));
    expected
        .set("llama.context_length", Meta::U32(1024))
        .set("llama.rope.freq_base", Meta::F32(10_000.0))
        .set(kind, Meta::Text("none".into()));
    let (bytes, _) = Stored::F32.pack(&as_f32(&power()));
    if expected.tensors.iter().any(|tensor| tensor.name == "rope_freqs.weight") {
        expected.find("rope_freqs.weight").bytes = bytes;
    } else {
        expected.tensor("rope_freqs.weight", &[PAIRS], Stored::F32, &as_f32(&power()));
    }
    expected
}

/// The bytes of a file, with the data of the last tensor padded as that of the others.
fn padded(builder: &GgufBuilder) -> Vec<u8> {
    let mut bytes = builder.bytes();
    bytes.resize(bytes.len().next_multiple_of(builder.alignment.unwrap_or(32)), 0);
    bytes
}

/// A model whose scaling keys lie between others, and whose tensors fill no whole alignments and
/// together more than is copied at a time.
fn scaled() -> GgufBuilder {
    let mut builder = model("llama");
    builder
        .set("llama.rope.scaling.type", Meta::Text("yarn".into()))
        .set("llama.rope.scaling.factor", Meta::F32(4.0))
        .set("general.tags", texts(&["a", "größer"]))
        .set("llama.rope.scaling.original_context_length", Meta::U32(64))
        .set("llama.rope.scale_linear", Meta::F32(2.0))
        .set("general.odd", Meta::Raw(1, vec![0xff]));
    builder.tensor("odd.weight", &[300_003], Stored::F32, &Lcg(8).values(300_003));
    builder.tensor("blocks.weight", &[1, 32], Stored::Q4_0, &Lcg(9).values(32));
    builder
}

#[test]
fn the_copy_has_the_divisors_last_and_is_else_the_same() {
    for (version, alignment) in [(3, None), (2, None), (3, Some(64)), (3, Some(8))] {
        let mut builder = scaled();
        (builder.version, builder.alignment) = (Some(version), alignment);
        if let Some(alignment) = alignment {
            builder.set("general.alignment", Meta::U32(alignment as u32));
        }
        let (written, bytes) = put(&builder.bytes(), &power()).unwrap();
        assert_eq!((written.replaced, written.context_length), (false, Some(1024)));
        assert!(bytes == padded(&expected(&builder)), "version {version}, alignment {alignment:?}");
        // Padding after the last tensor, and bytes that belong to none, change nothing.
        let mut longer = padded(&builder);
        assert!(put(&longer, &power()).unwrap().1 == bytes);
        longer.extend([7; 100]);
        assert!(put(&longer, &power()).unwrap().1 == bytes);
    }
}

#[test]
fn divisors_that_are_there_are_replaced_where_they_lie() {
    for alignment in [32, 64] {
        let mut builder = model("llama");
        builder.set("general.alignment", Meta::U32(alignment as u32));
        builder.alignment = Some(alignment);
        builder.tensor("rope_freqs.weight", &[PAIRS], Stored::F32, &[1.0, 1.5, 2.5, 3.0]);
        let last = builder.tensors.pop().unwrap();
        builder.tensors.insert(5, last);
        let (written, bytes) = put(&builder.bytes(), &power()).unwrap();
        assert!(written.replaced);
        let once = padded(&expected(&builder));
        assert!(bytes == once);
        assert!(put(&bytes, &power()).unwrap().1 == once, "a second time");
    }
}

#[test]
fn keys_that_the_file_lacks_are_added_but_for_the_context_length() {
    let mut builder = model("llama");
    builder.remove("llama.rope.freq_base").remove("llama.context_length");
    let mut expected = builder.clone();
    expected
        .set("llama.rope.freq_base", Meta::F32(10_000.0))
        .set("llama.rope.scaling.type", Meta::Text("none".into()))
        .tensor("rope_freqs.weight", &[PAIRS], Stored::F32, &as_f32(&power()));
    let (written, bytes) = put(&builder.bytes(), &power()).unwrap();
    assert_eq!(written.context_length, None);
    assert!(bytes == padded(&expected));

    // And one that the basis does not name stays.
    let basis = RopeFreqs { context_length: None, ..power() };
    let (written, bytes) = put(&model("llama").bytes(), &basis).unwrap();
    assert_eq!(written.context_length, Some(256));
    let key = b"llama.context_length\x04\0\0\0";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    assert_eq!(bytes[at..at + 4], 256_u32.to_le_bytes());
}

/// The folder that a file becomes.
fn converted(input: &Path, out: &Path) -> ModelFolder {
    convert(input, out, &ConvertOptions::default(), &mut |_| {}).unwrap();
    ModelFolder::open(out).unwrap()
}

#[test]
fn the_converted_copy_has_the_frequencies_and_the_same_weights() {
    let mut builder = model("llama");
    builder.set("llama.rope.scaling.type", Meta::Text("linear".into()));
    builder.set("llama.rope.scaling.factor", Meta::F32(8.0));
    let mut present = builder.clone();
    present.tensor("rope_freqs.weight", &[PAIRS], Stored::F32, &[1.0, 1.5, 2.5, 3.0]);
    for builder in [builder, present] {
        let dir = tempdir().unwrap();
        let (input, out) = (builder.write(dir.path()), dir.path().join("new/out.gguf"));
        let mut basis = power();
        basis.divisors[PAIRS - 1] = 1e30;
        with_rope_freqs(&input, &out, &basis).unwrap();
        let old = converted(&input, &dir.path().join("before"));
        let new = converted(&out, &dir.path().join("after"));

        let scaling = &new.config["rope_scaling"];
        assert_eq!((&scaling["rope_type"], &scaling["factor"]), (&json!("longrope"), &json!(1.0)));
        assert_eq!(scaling["attention_factor"], 1.0);
        assert_eq!(scaling["short_factor"], scaling["long_factor"]);
        let base = new.config["rope_theta"].as_f64().unwrap();
        let wanted = [0.25, 0.1 / 4.0 * 0.75_f64.sqrt(), 0.01 / 4.0 * 0.5_f64.sqrt(), 0.0];
        for (j, wanted) in wanted.into_iter().enumerate() {
            let divisor = scaling["short_factor"][j].as_f64().unwrap();
            let found = base.powf(-(j as f64) / PAIRS as f64) / divisor;
            assert!((found - wanted).abs() < 1e-7 * wanted.max(1e-9), "{j}: {found} {wanted}");
        }
        let rope_fields =
            ["rope_scaling", "rope_theta", "rope_parameters", "max_position_embeddings"];
        let others = |folder: &ModelFolder| {
            let mut fields = folder.config.as_object().unwrap().clone();
            fields.retain(|field, _| !rope_fields.contains(&field.as_str()));
            Value::from(fields)
        };
        assert_eq!(new.config["max_position_embeddings"], 1024);
        assert_eq!(others(&new), others(&old));
        for file in ["model.safetensors", "tokenizer.json"] {
            let read = |folder: &str| fs::read(dir.path().join(folder).join(file)).unwrap();
            assert!(read("before") == read("after"), "{file}");
        }
    }
}

#[test]
fn a_basis_of_another_head_dimension_is_refused() {
    let short = RopeFreqs { divisors: vec![1.0; 3], ..power() };
    let both = "the file rotates 8 dimensions of a head, the basis 6";
    let mut builder = model("llama");
    assert!(error_of(&builder, &short).to_string().starts_with(both));
    let none = RopeFreqs { divisors: vec![], ..power() };
    assert!(matches!(error_of(&builder, &none), GgufError::WrongHeadDim { expected: 0, .. }));
    // The rotated dimensions count where the file names them; else width / heads does.
    builder.set("llama.rope.dimension_count", Meta::U32(6));
    assert_eq!(put(&builder.bytes(), &short).unwrap().0.context_length, Some(1024));
    builder.remove("llama.rope.dimension_count").remove("llama.attention.key_length");
    assert!(error_of(&builder, &short).to_string().starts_with(both));
    builder.set("llama.attention.head_count", Meta::U32(0));
    assert!(matches!(error_of(&builder, &short), GgufError::BadValue { .. }));

    let mut builder = model("llama");
    builder.tensor("rope_freqs.weight", &[3], Stored::F32, &[1.0; 3]);
    assert_eq!(
        error_of(&builder, &power()).to_string(),
        "tensor rope_freqs.weight has shape [3], the metadata asks for [4]"
    );
}

#[test]
fn files_that_would_not_run_with_divisors_are_refused() {
    for architecture in ["qwen2", "gemma2", "gemma3"] {
        let error = error_of(&model(architecture), &power()).to_string();
        assert!(error.contains(&format!("does not load one of {architecture}")), "{error}");
    }
    let refused = |change: fn(&mut GgufBuilder), part: &str| {
        let mut builder = model("llama");
        change(&mut builder);
        let error = error_of(&builder, &power()).to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(
        |b| _ = b.set("split.count", Meta::U32(3)).set("split.no", Meta::U32(0)),
        "shard 1 of 3 of a split file: merge the parts first",
    );
    refused(
        |b| _ = b.tensor("rope_factors_long.weight", &[4], Stored::F32, &[2.0; 4]),
        "rope_factors_long.weight is there",
    );
    refused(
        |b| _ = b.tensor("rope_freqs.weight", &[4], Stored::F16, &[2.0; 4]),
        "rope_freqs.weight other than F32 is not supported: it is F16",
    );
    refused(|b| _ = b.remove("general.architecture"), "general.architecture is missing");
}

#[test]
fn a_tensor_that_overlaps_the_divisors_is_not_overwritten() {
    let mut builder = model("llama");
    builder.tensor("odd.weight", &[3], Stored::F32, &[1.0, 2.0, 3.0]);
    builder.tensor("rope_freqs.weight", &[4], Stored::F32, &[1.0; 4]);
    let mut bytes = builder.bytes();
    // Offset of odd.weight: after the name come the dimensions, the type and the offset.
    let at = bytes.windows(10).position(|w| w == b"odd.weight").unwrap() + 10 + 4 + 8 + 4;
    bytes[at] += 32;
    let error = put(&bytes, &power()).unwrap_err().to_string();
    assert!(error.contains("odd.weight overlaps rope_freqs.weight"), "{error}");
}

#[test]
fn values_that_no_file_holds_are_refused() {
    let builder = model("llama");
    for bad in [0.0, -1.0, 1e39, 1e-38, f64::INFINITY, f64::NAN] {
        let mut basis = power();
        basis.divisors[2] = bad;
        let error = error_of(&builder, &basis);
        assert!(matches!(error, GgufError::BadDivisor { index: 2, .. }), "{bad}: {error}");
        let basis = RopeFreqs { freq_base: bad, ..power() };
        let error = error_of(&builder, &basis);
        assert!(error.to_string().contains("llama.rope.freq_base is"), "{bad}: {error}");
    }
    for length in [0, 1 << 32] {
        let basis = RopeFreqs { context_length: Some(length), ..power() };
        let error = error_of(&builder, &basis).to_string();
        assert!(error.contains(&format!("llama.context_length is {length}")), "{error}");
    }
}

#[test]
fn an_existing_file_is_left_alone() {
    let dir = tempdir().unwrap();
    let input = model("llama").write(dir.path());
    let out = dir.path().join("out.gguf");
    fs::write(&out, "mine").unwrap();
    for out in [&out, &input, &dir.path().to_path_buf()] {
        let before = fs::read(out).unwrap_or_default();
        let error = with_rope_freqs(&input, out, &power()).unwrap_err();
        assert!(matches!(&error, CheckpointError::OutputExists { path } if path == out), "{error}");
        assert_eq!(fs::read(out).unwrap_or_default(), before);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_truncated_file_leaves_nothing() {
    let whole = model("llama").bytes();
    let header = 3000.min(whole.len());
    for length in
        (0..header).step_by(7).chain((header..whole.len()).step_by(997)).chain([whole.len() - 1])
    {
        let error = put(&whole[..length], &power()).unwrap_err();
        let CheckpointError::Gguf { source, .. } = error else { panic!("{length}: {error}") };
        let named = match *source {
            GgufError::Truncated { .. } => true,
            GgufError::NotGguf { .. } => length < 4,
            _ => false,
        };
        assert!(named, "{length}: {source}");
    }
}

#[test]
fn no_change_of_a_byte_makes_it_panic() {
    let mut builder = model("llama");
    builder.tensor("rope_freqs.weight", &[PAIRS], Stored::F32, &[1.0, 1.5, 2.5, 3.0]);
    let (whole, mut random, mut refused) = (builder.bytes(), Lcg(5), 0);
    for round in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 3 {
            let at = random.next() as usize % 2600;
            bytes[at] = [0, 0xff, 0x7f, 0x80, random.next() as u8][random.next() as usize % 5];
        }
        refused += u32::from(put(&bytes, &power()).is_err());
    }
    assert!(refused > 100, "{refused} of 300 were refused");
}
