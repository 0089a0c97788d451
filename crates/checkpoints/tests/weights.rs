//! Reading and writing safetensors: every type, one file or many, and every way they can be damaged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::Path;

use bestof_checkpoints::{CheckpointError, StoredType, TensorInfo, Weights, WeightsWriter};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::{TempDir, tempdir};

fn info(name: &str, dtype: StoredType, shape: &[usize]) -> TensorInfo {
    TensorInfo { name: name.into(), dtype, shape: shape.to_vec() }
}

/// Four tensors of 16, 8, 8 and 0 bytes in the given type's `f32` size.
fn write(dir: &Path, max_shard_bytes: Option<u64>) -> Vec<String> {
    let infos = ["d", "a", "c", "empty"].map(|name| {
        info(
            name,
            StoredType::F32,
            match name {
                "d" => &[2, 2],
                "empty" => &[0, 3],
                _ => &[2],
            },
        )
    });
    let mut writer = WeightsWriter::create(dir, infos.to_vec(), max_shard_bytes).unwrap();
    writer.push("d", &[1.0, 2.0, 3.0, 4.0]).unwrap();
    writer.push("a", &[5.0, 6.0]).unwrap();
    writer.push("c", &[7.0]).unwrap();
    writer.push("c", &[8.0]).unwrap();
    let paths = writer.finish().unwrap();
    paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn check(weights: &Weights) {
    let names: Vec<&str> = weights.infos().iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "d", "empty"]);
    assert_eq!(weights.read_f32("d", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(weights.read_f32("a", &[2]).unwrap(), [5.0, 6.0]);
    assert_eq!(weights.read_f32_any("c").unwrap(), (vec![2], vec![7.0, 8.0]));
    assert!(weights.read_f32("empty", &[0, 3]).unwrap().is_empty());
    assert_eq!(weights.metadata()["format"], "pt");
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn sharded() -> TempDir {
    let dir = tempdir().unwrap();
    write(dir.path(), Some(16));
    dir
}

#[test]
fn one_file_round_trips() {
    let dir = tempdir().unwrap();
    assert_eq!(write(dir.path(), None), ["model.safetensors"]);
    check(&Weights::open(dir.path()).unwrap());
    check(&Weights::open(&dir.path().join("model.safetensors")).unwrap());
    assert_eq!(files(dir.path()), ["model.safetensors"]);
}

#[test]
fn the_library_of_the_format_reads_what_is_written() {
    let dir = tempdir().unwrap();
    write(dir.path(), None);
    let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = read.tensor("d").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[2, 2][..]));
    assert_eq!(tensor.data(), [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat());
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(header.is_multiple_of(8), "the data is aligned");
}

#[test]
fn shards_are_named_and_indexed_as_by_transformers() {
    let dir = tempdir().unwrap();
    let names = write(dir.path(), Some(16));
    assert_eq!(
        names,
        [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json"
        ]
    );
    check(&Weights::open(dir.path()).unwrap());
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("model.safetensors.index.json")).unwrap())
            .unwrap();
    assert_eq!(
        index,
        serde_json::json!({
            "metadata": { "total_size": 32 },
            "weight_map": {
                "d": "model-00001-of-00002.safetensors",
                "a": "model-00002-of-00002.safetensors",
                "c": "model-00002-of-00002.safetensors",
                "empty": "model-00002-of-00002.safetensors",
            }
        })
    );
}

#[test]
fn a_tensor_larger_than_the_limit_has_a_file_of_its_own() {
    let dir = tempdir().unwrap();
    assert_eq!(write(dir.path(), Some(1)).len(), 4);
    check(&Weights::open(dir.path()).unwrap());
}

#[test]
fn another_layout_replaces_the_former() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("model-notes.safetensors"), "not ours").unwrap();
    write(dir.path(), Some(8));
    write(dir.path(), Some(16));
    assert_eq!(files(dir.path()).len(), 4);
    write(dir.path(), None);
    assert_eq!(files(dir.path()), ["model-notes.safetensors", "model.safetensors"]);
    write(dir.path(), Some(16));
    check(&Weights::open(dir.path()).unwrap());
    assert!(!dir.path().join("model.safetensors").exists());
}

#[test]
fn every_readable_type_is_read() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("t.safetensors");
    let data: Vec<(&str, Dtype, Vec<u8>)> = vec![
        ("f64", Dtype::F64, [1.5_f64, -2.0].map(f64::to_le_bytes).concat()),
        ("f32", Dtype::F32, [1.5_f32, -2.0].map(f32::to_le_bytes).concat()),
        ("f16", Dtype::F16, [0x3e00_u16, 0xc000].map(u16::to_le_bytes).concat()),
        ("bf16", Dtype::BF16, [0x3fc0_u16, 0xc000].map(u16::to_le_bytes).concat()),
        ("i64", Dtype::I64, [1_i64, -2].map(i64::to_le_bytes).concat()),
        ("i32", Dtype::I32, [1_i32, -2].map(i32::to_le_bytes).concat()),
        ("u8", Dtype::U8, vec![1, 254]),
        ("bool", Dtype::BOOL, vec![1, 0]),
        ("i16", Dtype::I16, vec![0; 4]),
    ];
    let views = data
        .iter()
        .map(|(name, dtype, bytes)| (*name, TensorView::new(*dtype, vec![2], bytes).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let weights = Weights::open(&path).unwrap();
    for name in ["f64", "f32", "f16", "bf16"] {
        assert_eq!(weights.read_f32(name, &[2]).unwrap(), [1.5, -2.0], "{name}");
    }
    for (name, expected) in [("i64", [1, -2]), ("i32", [1, -2]), ("u8", [1, 254]), ("bool", [1, 0])]
    {
        assert_eq!(weights.read_i64(name).unwrap(), (vec![2], expected.to_vec()), "{name}");
    }
    let error = weights.read_f32("i64", &[2]).unwrap_err();
    assert!(
        error.to_string().ends_with("tensor i64 is stored as I64, which cannot be read as floats"),
        "{error}"
    );
    assert!(weights.read_i64("f32").is_err());
    assert!(weights.read_f32("i16", &[2]).is_err(), "listed, but not read");
    assert_eq!(weights.info("i16").unwrap().dtype, StoredType::Other(Dtype::I16));
}

#[test]
fn a_wrong_shape_or_name_says_what_is_there() {
    let dir = tempdir().unwrap();
    let name = "model.layers.0.self_attn.q_proj.weight";
    let mut writer =
        WeightsWriter::create(dir.path(), vec![info(name, StoredType::F16, &[1, 2])], None)
            .unwrap();
    writer.push(name, &[1.0, 2.0]).unwrap();
    writer.finish().unwrap();
    let weights = Weights::open(dir.path()).unwrap();
    let error = weights.read_f32(name, &[2, 1]).unwrap_err().to_string();
    assert!(error.contains("model.safetensors: tensor model.layers.0.self_attn.q_proj.weight has shape [1, 2], expected [2, 1]"), "{error}");
    let error =
        weights.read_f32("layers.0.self_attn.q_proj.weight", &[1, 2]).unwrap_err().to_string();
    assert!(error.ends_with("has no tensor layers.0.self_attn.q_proj.weight; the nearest name is model.layers.0.self_attn.q_proj.weight"), "{error}");
    let error = weights.read_f32("lm_head.bias", &[1]).unwrap_err().to_string();
    assert!(error.ends_with("has no tensor lm_head.bias"), "{error}");
}

#[test]
fn every_truncation_is_found_when_opening() {
    let dir = tempdir().unwrap();
    write(dir.path(), None);
    let path = dir.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "").unwrap();
    let error = Weights::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("an empty file"), "{error}");
    for length in 1..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Weights::open(dir.path()).unwrap_err();
        assert!(
            matches!(
                error,
                CheckpointError::BadHeader { .. } | CheckpointError::WrongFileLength { .. }
            ),
            "{length}: {error}"
        );
    }
    fs::write(&path, [whole.as_slice(), &[0]].concat()).unwrap();
    assert!(matches!(Weights::open(dir.path()), Err(CheckpointError::WrongFileLength { .. })));
}

#[test]
fn headers_that_lie_are_refused_without_allocating() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("t.safetensors");
    let file = |header: &str, data: usize| {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    for (what, bytes) in [
        ("a header of 2^63 bytes", [&(1_u64 << 63).to_le_bytes()[..], b"{}"].concat()),
        ("not JSON", file("nonsense", 0)),
        ("a hole", file(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2)),
        (
            "an overlap",
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                3,
            ),
        ),
        (
            "a shape that overflows",
            file(
                r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
                0,
            ),
        ),
        (
            "more bytes than the shape has",
            file(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9]}}"#, 9),
        ),
        (
            "data beyond the file",
            file(r#"{"a":{"dtype":"U8","shape":[99],"data_offsets":[0,99]}}"#, 9),
        ),
        (
            "a name twice",
            file(
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
                2,
            ),
        ),
        ("an unknown type", file(r#"{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}"#, 1)),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Weights::open(&path).expect_err(what);
        assert!(error.to_string().contains("t.safetensors"), "{what}: {error}");
    }
}

#[test]
fn a_folder_without_weights_says_so() {
    let dir = tempdir().unwrap();
    assert!(matches!(Weights::open(dir.path()), Err(CheckpointError::NoWeights { .. })));
    fs::write(dir.path().join("pytorch_model.bin"), "").unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::OnlyPickledWeights { file, .. } if file == "pytorch_model.bin")
    );
    assert!(error.to_string().contains("safe_serialization=True"));
    assert!(matches!(Weights::open(&dir.path().join("nowhere")), Err(CheckpointError::Io { .. })));
}

#[test]
fn a_torn_set_of_shards_is_found() {
    let index = "model.safetensors.index.json";
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");

    let dir = sharded();
    fs::remove_file(dir.path().join(second)).unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::MissingShard { shard, .. } if shard == second),
        "{error}"
    );

    let dir = sharded();
    fs::copy(dir.path().join(first), dir.path().join(second)).unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::DuplicateTensor { tensor, .. } if tensor == "d"),
        "{error}"
    );

    let dir = sharded();
    let text = fs::read_to_string(dir.path().join(index)).unwrap();
    fs::write(dir.path().join(index), text.replace("\"a\":", "\"missing\":")).unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::NotInShard { tensor, .. } if tensor == "missing"),
        "{error}"
    );

    let dir = sharded();
    let swapped = text.replace("\"a\": \"model-00002", "\"a\": \"model-00001");
    assert_ne!(swapped, text);
    fs::write(dir.path().join(index), swapped).unwrap();
    let error = Weights::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::NotInShard { tensor, shard, .. } if tensor == "a" && shard == first),
        "{error}"
    );

    let dir = sharded();
    fs::write(dir.path().join(index), text.replace(second, "../elsewhere.safetensors")).unwrap();
    assert!(matches!(Weights::open(dir.path()), Err(CheckpointError::BadShardName { .. })));

    let dir = sharded();
    fs::write(dir.path().join(index), r#"{"weight_map": {"a": 1}}"#).unwrap();
    let error = Weights::open(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("weight_map.a is 1, expected a file name"), "{error}");
    fs::write(dir.path().join(index), "{}").unwrap();
    assert!(matches!(Weights::open(dir.path()), Err(CheckpointError::BadField { .. })));
    fs::write(dir.path().join(index), "{\n  \"weight_map\": }").unwrap();
    let error = Weights::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("index.json: line 2, column 17"), "{error}");
}

#[test]
fn the_hash_depends_on_the_contents_only() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    write(one.path(), None);
    write(two.path(), None);
    let hash = |dir: &Path| Weights::open(dir).unwrap().content_hash().unwrap();
    assert_eq!(hash(one.path()), hash(two.path()));
    assert_eq!(hash(one.path()).len(), 64);
    let path = two.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_ne!(hash(one.path()), hash(two.path()));
}

#[test]
fn values_have_to_come_in_order_and_all_of_them() {
    let dir = tempdir().unwrap();
    let infos = || vec![info("a", StoredType::F32, &[2]), info("b", StoredType::BF16, &[1])];
    let mut writer = WeightsWriter::create(dir.path(), infos(), None).unwrap();
    let error = writer.push("b", &[1.0]).unwrap_err().to_string();
    assert_eq!(error, "writing weights: expected 2 more values of a, got 1 of b");
    assert!(writer.push("a", &[1.0; 3]).is_err());
    writer.push("a", &[1.0; 2]).unwrap();
    assert!(writer.push("a", &[1.0]).is_err());
    let error = writer.finish().unwrap_err().to_string();
    assert_eq!(error, "writing weights: expected 1 more values of b, got 0 of ");
    assert_eq!(files(dir.path()), Vec::<String>::new(), "nothing is left of an unfinished writing");

    let mut writer = WeightsWriter::create(dir.path(), infos(), None).unwrap();
    writer.push("a", &[1.0; 2]).unwrap();
    writer.push("b", &[1.0]).unwrap();
    assert!(writer.push("b", &[1.0]).is_err(), "after the last");
    writer.finish().unwrap();

    let twice = vec![info("a", StoredType::F32, &[1]), info("a", StoredType::F32, &[1])];
    assert!(matches!(
        WeightsWriter::create(dir.path(), twice, None),
        Err(CheckpointError::DuplicateTensor { .. })
    ));
    let integers = vec![info("a", StoredType::I64, &[2])];
    let mut writer = WeightsWriter::create(dir.path(), integers, None).unwrap();
    assert!(matches!(
        writer.push("a", &[1.0]),
        Err(CheckpointError::UnwritableType { found: StoredType::I64 })
    ));
    assert!(writer.push_bytes("a", &[0; 8]).is_err(), "half of it");
    assert!(writer.push_bytes("b", &[0; 16]).is_err(), "another");
    writer.push_bytes("a", &[1; 16]).unwrap();
    writer.finish().unwrap();
    let weights = Weights::open(dir.path()).unwrap();
    assert_eq!(weights.read_i64("a").unwrap().1, [0x0101_0101_0101_0101; 2]);
    assert_eq!(weights.read_bytes("a").unwrap(), [1; 16]);
}

#[test]
fn adapters_have_their_own_file_names() {
    let dir = tempdir().unwrap();
    write(dir.path(), None);
    let infos = vec![info("l", StoredType::F32, &[1])];
    let mut writer =
        WeightsWriter::create_file(dir.path(), "adapter_model.safetensors", infos, None).unwrap();
    writer.push("l", &[1.0]).unwrap();
    writer.finish().unwrap();
    assert_eq!(files(dir.path()), ["adapter_model.safetensors", "model.safetensors"]);
    assert!(Weights::open(&dir.path().join("adapter_model.safetensors")).unwrap().contains("l"));
}
