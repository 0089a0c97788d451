//! Split GGUF files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::{Path, PathBuf};

use bestof_checkpoints::gguf::{ConvertOptions, convert};
use bestof_checkpoints::{ModelFolder, Weights};
use support::*;
use tempfile::tempdir;

/// The model in three parts, as `llama-gguf-split` writes them: metadata in the first one only.
fn split(dir: &Path) -> Vec<PathBuf> {
    let mut whole = model("llama");
    let total = whole.tensors.len() as u32;
    let mut rest = std::mem::take(&mut whole.tensors);
    (0..3)
        .map(|no| {
            let mut part = if no == 0 { whole.clone() } else { GgufBuilder::default() };
            part.tensors = rest.drain(..if no == 2 { rest.len() } else { 4 }).collect();
            part.set("split.no", Meta::Raw(2, (no as u16).to_le_bytes().to_vec()))
                .set("split.count", Meta::Raw(2, 3_u16.to_le_bytes().to_vec()))
                .set("split.tensors.count", Meta::Raw(5, total.to_le_bytes().to_vec()));
            let path = dir.join(format!("m-{:05}-of-00003.gguf", no + 1));
            std::fs::write(&path, part.bytes()).unwrap();
            path
        })
        .collect()
}

fn refused(input: &Path) -> String {
    let out = input.with_file_name("refused");
    let error = convert(input, &out, &ConvertOptions::default(), &mut |_| {}).unwrap_err();
    assert!(!out.exists());
    error.to_string()
}

#[test]
fn parts_beside_each_other_are_joined() {
    let dir = tempdir().unwrap();
    let whole = dir.path().join("whole");
    let options = ConvertOptions::default();
    convert(&model("llama").write(dir.path()), &whole, &options, &mut |_| {}).unwrap();
    for (no, part) in split(dir.path()).iter().enumerate() {
        let out = dir.path().join(format!("joined-{no}"));
        convert(part, &out, &options, &mut |_| {}).unwrap();
        ModelFolder::open(&out).unwrap().tokenizer().unwrap();
        for name in ["model.safetensors", "config.json", "tokenizer.json"] {
            let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
            assert!(read(&out) == read(&whole), "{name} from part {no}");
        }
    }
}

#[test]
fn all_parts_are_the_files_of_the_weights() {
    let dir = tempdir().unwrap();
    let parts = split(dir.path());
    let hash = |part: &Path| ModelFolder::open(part).unwrap().files_hash().unwrap();
    let before = hash(&parts[0]);
    for part in &parts {
        assert_eq!(Weights::open(part).unwrap().files(), parts);
        assert_eq!(hash(part), before, "whichever part was named");
    }
    let mut bytes = std::fs::read(&parts[2]).unwrap();
    let end = bytes.len();
    // Another value, and one that is finite, in a tensor of the last part.
    bytes[end - 4..].copy_from_slice(&0.25_f32.to_le_bytes());
    std::fs::write(&parts[2], &bytes).unwrap();
    assert_ne!(hash(&parts[0]), before);
}

#[test]
fn a_bad_value_is_named_with_the_part_it_lies_in() {
    let dir = tempdir().unwrap();
    let parts = split(dir.path());
    let mut bytes = std::fs::read(&parts[2]).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&parts[2], &bytes).unwrap();
    let weights = Weights::open(&parts[0]).unwrap();
    let read = weights.infos().iter().map(|info| weights.read_f32_any(&info.name));
    let said: Vec<String> = read.filter_map(|read| Some(read.err()?.to_string())).collect();
    assert!(said.len() == 1 && said[0].contains("m-00003-of-00003.gguf"), "{said:?}");
}

#[test]
fn a_part_without_the_others_is_named() {
    let dir = tempdir().unwrap();
    let parts = split(dir.path());
    std::fs::remove_file(&parts[1]).unwrap();
    let said = refused(&parts[0]);
    let expected = "shard 1 of 3 of a split file: 1 of the others missing beside it: \
                    m-00002-of-00003.gguf; put all parts into one folder";
    assert!(said.ends_with(expected), "{said}");
    let renamed = dir.path().join("model.gguf");
    std::fs::rename(&parts[2], &renamed).unwrap();
    let said = refused(&renamed);
    let expected = "shard 3 of 3 of a split file: its name has to end in -00003-of-00003.gguf";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn parts_that_do_not_belong_together_are_named() {
    let dir = tempdir().unwrap();
    let parts = split(dir.path());
    std::fs::copy(&parts[2], &parts[1]).unwrap();
    assert!(refused(&parts[0]).ends_with("m-00002-of-00003.gguf is shard 3 of 3"));
    std::fs::write(&parts[1], model("llama").bytes()).unwrap();
    assert!(refused(&parts[0]).ends_with("m-00002-of-00003.gguf is a whole file"));

    let mut part = GgufBuilder::default();
    part.set("split.count", Meta::U32(3)).set("split.no", Meta::U32(1));
    std::fs::write(&parts[1], part.bytes()).unwrap();
    let said = refused(&parts[0]);
    assert!(said.contains("split.tensors.count is ") && said.contains("the parts have"), "{said}");

    part.set("split.no", Meta::U32(3));
    std::fs::write(&parts[1], part.bytes()).unwrap();
    let expected = "metadata split.no is 3, expected less than split.count, which is 3";
    assert!(refused(&parts[1]).ends_with(expected));
}
