//! BERT against transformers 5.23 on tiny checkpoints with random weights, and against itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

#[path = "common/differences.rs"]
mod differences;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bestof_checkpoints::{CheckpointError, StoredType, TensorInfo, Weights, WeightsWriter};
use bestof_closeness::largest_difference;
use bestof_models::encoder::{
    Encoder, EncoderBatch, EncoderConfig, EncoderError, EncoderForMaskedLm,
    EncoderForSequenceClassification, Loader,
};
use bestof_models::{Device, ModelError, parameters};
use burn::tensor::Tensor;
use differences::{check_gradients, weigh};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

fn encoder() -> Encoder {
    Encoder::open(&fixture("bert-encoder"), &Device::flex()).unwrap().0
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Three rows of different lengths, with both token types.
fn rows() -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let row = |length: u32, step: u32| (0..length).map(|i| (i * step + 5) % 128).collect();
    let types = |length: u32| (0..length).map(|i| u32::from(i > length / 2)).collect();
    (vec![row(9, 7), row(3, 11), row(6, 31)], vec![types(9), types(3), types(6)])
}

fn batch() -> EncoderBatch {
    let (ids, types) = rows();
    EncoderBatch::pad(&ids, 0).unwrap().with_types(&types).unwrap()
}

#[test]
fn padding_changes_nothing() {
    let model = encoder();
    let (ids, types) = rows();
    let together = model.forward(&batch(), None).unwrap();
    let longer: Vec<u32> = [ids[0].clone(), vec![99; 30]].concat();
    let padded = EncoderBatch::pad(&[ids[1].clone(), longer], 77).unwrap();
    let padded = padded.with_types(&[types[1].clone(), vec![1; 39]]).unwrap();
    let padded = model.forward(&padded, None).unwrap();
    let row = |hidden: &Tensor<3>, at: usize, length: usize| {
        floats(hidden.clone().slice([at..at + 1, 0..length]))
    };
    for (at, (ids, types)) in ids.iter().zip(&types).enumerate() {
        let alone = EncoderBatch::pad(&[ids], 0).unwrap().with_types(&[types]).unwrap();
        let alone = model.forward(&alone, None).unwrap();
        let expected = row(&alone.last_hidden_state, 0, ids.len());
        let found = row(&together.last_hidden_state, at, ids.len());
        // Sums of 32 to 64 products in f32, taken in another order.
        let difference = largest_difference(&expected, &found);
        assert!(difference < 5e-6, "row {at}: {difference:e}");
        if at == 1 {
            let found = row(&padded.last_hidden_state, 0, ids.len());
            let difference = largest_difference(&expected, &found);
            assert!(difference < 5e-6, "other padding: {difference:e}");
        }
        let pooled = together.pooler_output.clone().unwrap().slice_dim(0, at..at + 1);
        let alone = floats(alone.pooler_output.unwrap());
        assert!(largest_difference(&alone, floats(pooled)) < 5e-6);
    }
    // The check can fail: without the mask the same padding is seen.
    let seen = EncoderBatch::from_flat(9, batch().ids().to_vec(), vec![true; 27]).unwrap();
    let seen = model.forward(&seen.with_types(&types_filled()).unwrap(), None).unwrap();
    let (seen, masked) =
        (row(&seen.last_hidden_state, 1, 3), row(&together.last_hidden_state, 1, 3));
    assert!(largest_difference(&seen, &masked) > 1e-3);
}

fn types_filled() -> Vec<Vec<u32>> {
    batch().types().chunks(9).map(<[u32]>::to_vec).collect()
}

#[test]
fn rows_beyond_the_tables_are_refused() {
    let model = encoder();
    let run = |ids: Vec<u32>| model.forward(&EncoderBatch::pad(&[ids], 0).unwrap(), None);
    assert!(run(vec![1; 64]).is_ok());
    let error = run(vec![1; 65]).unwrap_err();
    assert!(matches!(error, EncoderError::TooLong { found: 65, max: 64 }), "{error}");
    let error = run(vec![1, 128]).unwrap_err();
    assert!(
        matches!(error, EncoderError::TokenOutOfRange { token: 128, position: 1, .. }),
        "{error}"
    );
    let typed = EncoderBatch::pad(&[vec![1, 2]], 0).unwrap().with_types(&[vec![0, 2]]).unwrap();
    let error = model.forward(&typed, None).unwrap_err();
    assert!(matches!(error, EncoderError::TypeOutOfRange { found: 2, position: 1, .. }), "{error}");
}

#[test]
fn dropout_is_drawn_from_its_seed_only() {
    let (model, _) =
        EncoderForSequenceClassification::open(&fixture("bert-classifier5"), &Device::flex())
            .unwrap();
    let logits = |seed| floats(model.forward(&batch(), seed).unwrap());
    assert_eq!(logits(Some(3)), logits(Some(3)));
    assert!(largest_difference(logits(Some(3)), logits(Some(4))) > 1e-3);
    assert!(largest_difference(logits(Some(3)), logits(None)) > 1e-3);
    let mut config = model.encoder().config().clone();
    (config.hidden_dropout, config.attention_dropout) = (0.0, 0.0);
    let bert = Encoder::fresh(&config, 1, &Device::flex()).unwrap();
    let hidden = |seed| floats(bert.forward(&batch(), seed).unwrap().last_hidden_state);
    assert_eq!(hidden(Some(3)), hidden(None));
    config.attention_dropout = 0.5;
    let bert = Encoder::fresh(&config, 1, &Device::flex()).unwrap();
    let hidden = |seed| floats(bert.forward(&batch(), seed).unwrap().last_hidden_state);
    assert_ne!(hidden(Some(3)), hidden(None));
}

#[test]
fn the_classifiers_gradients_are_differences() {
    let device = Device::flex().autodiff();
    let (model, _) =
        EncoderForSequenceClassification::open(&fixture("bert-classifier5"), &device).unwrap();
    check_gradients(model, |model| weigh(model.forward(&batch(), None).unwrap()));
}

#[test]
fn gradients_with_dropout_are_differences_of_the_same_draw() {
    let device = Device::flex().autodiff();
    let (model, _) =
        EncoderForSequenceClassification::open(&fixture("bert-classifier5"), &device).unwrap();
    check_gradients(model, |model| weigh(model.forward(&batch(), Some(5)).unwrap()));
}

#[test]
fn the_masked_language_heads_gradients_are_differences() {
    let device = Device::flex().autodiff();
    let (model, _) = EncoderForMaskedLm::open(&fixture("bert-mlm"), &device).unwrap();
    check_gradients(model, |model| weigh(model.forward(&batch(), None).unwrap()));
}

#[test]
fn the_other_activations_have_gradients_that_are_differences() {
    let device = Device::flex().autodiff();
    for activation in ["gelu_new", "gelu_pytorch_tanh", "relu"] {
        let json = serde_json::json!({
            "model_type": "bert", "vocab_size": 128, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 9,
            "hidden_act": activation, "initializer_range": 0.3,
        });
        let bert = Encoder::fresh(&EncoderConfig::from_hf(&json).unwrap(), 4, &device).unwrap();
        let bert = bert.without_pooler();
        check_gradients(bert, |bert| {
            weigh(bert.forward(&batch(), None).unwrap().last_hidden_state)
        });
    }
}

/// Names, shapes and values of a folder's tensors.
fn contents(dir: &Path) -> Vec<(TensorInfo, Vec<f32>)> {
    let weights = Weights::open(dir).unwrap();
    let read = |info: &TensorInfo| weights.read_f32(&info.name, &info.shape).unwrap();
    weights.infos().iter().map(|info| (info.clone(), read(info))).collect()
}

#[test]
fn what_is_saved_is_what_was_loaded() {
    let device = Device::flex();
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name);
    let f32 = StoredType::F32;
    let (model, report) = Encoder::open(&fixture("bert-encoder"), &device).unwrap();
    assert!(report.unused.is_empty() && report.fresh.is_empty(), "{report:?}");
    model.save(&out("bert-encoder"), f32).unwrap();
    let name = "bert-classifier5";
    let (model, report) = EncoderForSequenceClassification::open(&fixture(name), &device).unwrap();
    assert!(report.unused.is_empty(), "{report:?}");
    assert_eq!(model.labels()[4], "LABEL_4");
    model.save(&out("bert-classifier5"), f32).unwrap();
    let (model, report) = EncoderForMaskedLm::open(&fixture("bert-mlm"), &device).unwrap();
    assert!(report.unused.is_empty(), "{report:?}");
    model.save(&out("bert-mlm"), f32).unwrap();
    for name in ["bert-encoder", "bert-classifier5", "bert-mlm"] {
        assert_eq!(contents(&out(name)), contents(&fixture(name)), "{name}");
        let json = |dir: &Path| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
        };
        assert_eq!(json(&out(name)), json(&fixture(name)), "{name}");
        let files: Vec<_> =
            std::fs::read_dir(out(name)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
    }
}

/// The fixture's encoder with changes to its tensors, in a new folder.
fn changed(change: impl Fn(&mut Vec<(TensorInfo, Vec<f32>)>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = fixture("bert-encoder");
    std::fs::copy(from.join("config.json"), dir.path().join("config.json")).unwrap();
    let mut tensors = contents(&from);
    change(&mut tensors);
    let infos = tensors.iter().map(|(info, _)| info.clone()).collect();
    let mut writer = WeightsWriter::create(dir.path(), infos, None).unwrap();
    for (info, values) in &tensors {
        writer.push(&info.name, values).unwrap();
    }
    writer.finish().unwrap();
    dir
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let device = Device::flex();
    let open = |dir: &tempfile::TempDir| Encoder::open(dir.path(), &device);
    let query = "encoder.layer.1.attention.self.query.weight";
    let without = changed(|tensors| tensors.retain(|(info, _)| info.name != query));
    let error = open(&without).unwrap_err();
    let is_missing = |e: &EncoderError| matches!(e, EncoderError::Model(ModelError::MissingTensor { name, shape }) if name == query && *shape == [32, 32]);
    assert!(is_missing(&error), "{error}");
    let flat = changed(|tensors| {
        for (info, _) in tensors.iter_mut().filter(|(info, _)| info.name == query) {
            info.shape = vec![1024];
        }
    });
    let error = open(&flat).unwrap_err();
    assert!(error.to_string().contains(query) && error.to_string().contains("[1024]"), "{error}");
    let more = changed(|tensors| {
        for name in ["embeddings.position_ids", "cls.seq_relationship.bias"] {
            let (name, shape) = (name.to_owned(), vec![2]);
            tensors.push((TensorInfo { name, dtype: StoredType::F32, shape }, vec![0.0; 2]));
        }
    });
    assert_eq!(open(&more).unwrap().1.unused, ["cls.seq_relationship.bias"]);
    let deeper = changed(|tensors| {
        let name = "encoder.layer.2.output.dense.bias".to_owned();
        tensors.push((TensorInfo { name, dtype: StoredType::F32, shape: vec![2] }, vec![0.0; 2]));
    });
    let error = open(&deeper).unwrap_err().to_string();
    assert!(error.contains("`encoder.layer.2.output.dense.bias`"), "{error}");
    let nowhere = Encoder::open(&fixture("bert-no-such"), &device).unwrap_err();
    assert!(matches!(nowhere, EncoderError::Checkpoint(CheckpointError::NoConfig { .. })));
    let llama = Encoder::open(&fixture("llama-yarn4"), &device).unwrap_err();
    assert!(llama.to_string().contains("`llama`"), "{llama}");
}

#[test]
fn the_names_of_older_checkpoints_are_read() {
    let old = changed(|tensors| {
        for (info, _) in tensors {
            let name = format!("bert.{}", info.name);
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            info.name = name.replace("LayerNorm.bias", "LayerNorm.beta");
        }
    });
    let (model, report) = Encoder::open(old.path(), &Device::flex()).unwrap();
    assert!(report.unused.is_empty(), "{report:?}");
    let hidden = |model: &Encoder| floats(model.forward(&batch(), None).unwrap().last_hidden_state);
    assert_eq!(hidden(&model), hidden(&encoder()));
}

#[test]
fn a_missing_pooler_is_left_out_or_drawn() {
    let dir = changed(|tensors| tensors.retain(|(info, _)| !info.name.starts_with("pooler.")));
    let (model, _) = Encoder::open(dir.path(), &Device::flex()).unwrap();
    let output = model.forward(&batch(), None).unwrap();
    assert!(output.pooler_output.is_none());
    let labels = vec!["no".to_owned(), "yes".to_owned(), "maybe".to_owned()];
    let fresh = |seed| EncoderForSequenceClassification::fresh(model.clone(), labels.clone(), seed);
    let logits = |seed| floats(fresh(seed).unwrap().forward(&batch(), None).unwrap());
    assert_eq!(logits(1).len(), 9);
    assert_eq!(logits(1), logits(1));
    assert_ne!(logits(1), logits(2));
    assert!(EncoderForSequenceClassification::fresh(model, Vec::new(), 1).is_err());
    let error = EncoderForSequenceClassification::open(dir.path(), &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("bert.pooler.dense.weight"), "{error}");
}

#[test]
fn an_untied_decoder_is_loaded_and_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("bert-mlm").join("config.json")).unwrap())
            .unwrap();
    json["tie_word_embeddings"] = false.into();
    std::fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
    let mut tensors = contents(&fixture("bert-mlm"));
    let name = "cls.predictions.decoder.weight".to_owned();
    let info = TensorInfo { name, dtype: StoredType::F32, shape: vec![128, 32] };
    tensors.push((info, vec![0.0; 128 * 32]));
    let infos = tensors.iter().map(|(info, _)| info.clone()).collect();
    let mut writer = WeightsWriter::create(dir.path(), infos, None).unwrap();
    for (info, values) in &tensors {
        writer.push(&info.name, values).unwrap();
    }
    writer.finish().unwrap();
    let (model, report) = EncoderForMaskedLm::open(dir.path(), &Device::flex()).unwrap();
    assert!(report.unused.is_empty(), "{report:?}");
    // A projection by zeros leaves the bias.
    let logits = floats(model.words(Tensor::ones([1, 32], &Device::flex())));
    let bias = floats(parameters::values(&model, "cls.predictions.bias").unwrap());
    assert_eq!(logits, bias);
    let out = tempfile::tempdir().unwrap();
    model.save(out.path(), StoredType::F32).unwrap();
    assert_eq!(contents(out.path()), contents(dir.path()));
}

#[test]
fn an_optimiser_reaches_every_parameter_by_name() {
    let device = Device::flex().autodiff();
    let (mut model, _) =
        EncoderForSequenceClassification::open(&fixture("bert-classifier5"), &device).unwrap();
    let names: Vec<_> = parameters::trainable(&model).into_iter().map(|info| info.name).collect();
    let stored: Vec<_> =
        contents(&fixture("bert-classifier5")).into_iter().map(|(info, _)| info.name).collect();
    assert_eq!(names, stored);
    let before = floats(parameters::values(&model, "classifier.weight").unwrap());
    let mut seen = Vec::new();
    parameters::update(&mut model, &mut |name, values| {
        seen.push(name.to_owned());
        if name == "classifier.weight" { values.mul_scalar(2.0) } else { values }
    });
    assert_eq!(seen, names);
    let after = floats(parameters::values(&model, "classifier.weight").unwrap());
    assert!(before.iter().zip(&after).all(|(a, b)| 2.0 * a == *b));
    assert_eq!(parameters::trainable(&model).len(), names.len(), "still trainable");
    let error = parameters::values(&model, "classifier.wieght").unwrap_err().to_string();
    assert!(
        error.contains("`classifier.weight`") || error.contains("`classifier.bias`"),
        "{error}"
    );
    let plain =
        EncoderForSequenceClassification::open(&fixture("bert-classifier5"), &Device::flex());
    assert!(parameters::trainable(&plain.unwrap().0).is_empty());
}

#[test]
fn drawn_parameters_are_named_and_start_as_they_should() {
    let config = EncoderConfig {
        vocab_size: 50,
        hidden_size: 8,
        num_layers: 1,
        num_heads: 2,
        intermediate_size: 16,
        ..EncoderConfig::default()
    };
    let bert = Encoder::fresh(&config, 7, &Device::flex()).unwrap();
    let read = |name: &str| floats(parameters::values(&bert, name).unwrap());
    assert!(read("bert.embeddings.LayerNorm.weight").iter().all(|v| *v == 1.0));
    assert!(read("bert.encoder.layer.0.output.dense.bias").iter().all(|v| *v == 0.0));
    let words = read("bert.embeddings.word_embeddings.weight");
    assert_eq!(words.iter().map(|v| v.to_bits()).collect::<BTreeSet<_>>().len(), 400);
    let mut loader = Loader::drawing(7, 0.02, &Device::flex());
    let again = Encoder::load(&mut loader, &config).unwrap();
    assert_eq!(
        words,
        floats(parameters::values(&again, "bert.embeddings.word_embeddings.weight").unwrap())
    );
    let uneven = EncoderConfig { num_heads: 3, ..config };
    assert!(Encoder::fresh(&uneven, 7, &Device::flex()).is_err());
}
