//! RoBERTa, DistilBERT and ModernBERT against transformers 5.24 in f64, on tiny checkpoints with random
//! weights (`fixtures/parity/record_encoders.py`), and against themselves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]
#![allow(clippy::print_stdout, reason = "the measured differences are worth reading")]

#[path = "common/differences.rs"]
mod differences;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bestof_checkpoints::{StoredType, TensorInfo, Weights, WeightsWriter};
use bestof_closeness::largest_difference;
use bestof_kernels::{host_tensor, host_values};
use bestof_models::encoder::{
    Encoder, EncoderBatch, EncoderConfig, EncoderError, EncoderForMaskedLm,
    EncoderForSequenceClassification,
};
use bestof_models::{Device, parameters};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use differences::{Double, check_gradients, weigh};
use serde_json::{Value, json};

/// The checkpoints of `record_encoders.py`.
const CASES: [&str; 12] = [
    "roberta-encoder",
    "roberta-classifier5",
    "roberta-mlm",
    "xlm-roberta-classifier5",
    "distilbert-encoder",
    "distilbert-classifier5",
    "distilbert-mlm",
    "modernbert-encoder",
    "modernbert-classifier5",
    "modernbert-mlm",
    "modernbert-biases-classifier5",
    "modernbert-biases-mlm",
];

/// Both sides compute in f32 here, in another order than torch in f64.
const TOLERANCE: f64 = 2e-5;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

/// A checkpoint with its head.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
enum Any {
    Encoder(Encoder),
    Classifier(EncoderForSequenceClassification),
    MaskedLm(EncoderForMaskedLm),
}

impl Any {
    /// The model, of which every tensor has been read.
    fn open(dir: &Path, device: &Device) -> Result<Self, EncoderError> {
        let config: Value = json_of(&dir.join("config.json"));
        let class = config["architectures"][0].as_str().unwrap();
        let (model, report) = if class.ends_with("ForSequenceClassification") {
            let (model, report) = EncoderForSequenceClassification::open(dir, device)?;
            (Self::Classifier(model), report)
        } else if class.ends_with("ForMaskedLM") {
            let (model, report) = EncoderForMaskedLm::open(dir, device)?;
            (Self::MaskedLm(model), report)
        } else {
            let (model, report) = Encoder::open(dir, device)?;
            (Self::Encoder(model), report)
        };
        assert!(report.unused.is_empty() && report.fresh.is_empty(), "{report:?}");
        Ok(model)
    }

    fn save(&self, dir: &Path) {
        match self {
            Self::Encoder(model) => model.save(dir, StoredType::F32).unwrap(),
            Self::Classifier(model) => model.save(dir, StoredType::F32).unwrap(),
            Self::MaskedLm(model) => model.save(dir, StoredType::F32).unwrap(),
        }
    }

    /// Logits, or without a head the hidden states: `[rows, seq, width]`, with one token a row for a
    /// classifier.
    fn outputs(&self, batch: &EncoderBatch, seed: Option<u64>) -> Tensor<3> {
        match self {
            Self::Encoder(model) => model.forward(batch, seed).unwrap().last_hidden_state,
            Self::Classifier(model) => model.forward(batch, seed).unwrap().unsqueeze_dim(1),
            Self::MaskedLm(model) => model.forward(batch, seed).unwrap(),
        }
    }

    fn encoder(&self) -> &Encoder {
        match self {
            Self::Encoder(model) => model,
            Self::Classifier(model) => model.encoder(),
            Self::MaskedLm(model) => model.encoder(),
        }
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn opened(name: &str) -> Any {
    Any::open(&fixture(name), &Device::flex()).unwrap()
}

/// The recorded batch of a case.
fn batch(expected: &Weights) -> EncoderBatch {
    let (shape, ids) = expected.read_i64("input_ids").unwrap();
    let (_, mask) = expected.read_i64("attention_mask").unwrap();
    let ids = ids.into_iter().map(|id| id as u32).collect();
    EncoderBatch::from_flat(shape[1], ids, mask.into_iter().map(|m| m == 1).collect()).unwrap()
}

fn expected(name: &str) -> Weights {
    Weights::open(&fixture(name).join("expected.safetensors")).unwrap()
}

/// One for outputs that are compared, zero for those of masked tokens: `[rows * seq]`.
fn seen(batch: &EncoderBatch, outputs: &Tensor<3>) -> Vec<f32> {
    let [rows, length, _] = outputs.dims();
    if length == 1 {
        return vec![1.0; rows];
    }
    batch.mask().iter().map(|mask| f32::from(u8::from(*mask))).collect()
}

#[test]
fn outputs_are_those_of_transformers() {
    for name in CASES {
        let (model, expected) = (opened(name), expected(name));
        let batch = batch(&expected);
        let outputs = model.outputs(&batch, None);
        let [rows, length, width] = outputs.dims();
        let seen = seen(&batch, &outputs);
        let seen = host_tensor::<3, 3>(seen, [rows, length, 1], &outputs);
        let key = if matches!(model, Any::Encoder(_)) { "last_hidden_state" } else { "logits" };
        let (shape, recorded) = expected.read_f32_any(key).unwrap();
        assert_eq!(shape.iter().product::<usize>(), rows * length * width);
        let recorded = host_tensor::<3, 3>(recorded, [rows, length, width], &outputs);
        let (found, recorded) = (outputs.mul(seen.clone()), recorded.mul(seen));
        let difference = largest_difference(host_values(found), host_values(recorded.clone()));
        let largest: f32 = recorded.abs().max().into_scalar();
        println!("{name}: {difference:e} of {largest}");
        assert!(largest > 1.0 && difference < TOLERANCE, "{name}: {difference:e} of {largest}");
        if expected.contains("pooler_output") {
            let found = model.encoder().forward(&batch, None).unwrap().pooler_output.unwrap();
            let (_, recorded) = expected.read_f32_any("pooler_output").unwrap();
            let difference = largest_difference(host_values(found), recorded);
            assert!(difference < TOLERANCE, "{name}: pooler {difference:e}");
        }
    }
}

/// The gradients of the weighted sum that `gradients.json` tells of, by name.
fn gradients(model: &Any, batch: &EncoderBatch) -> BTreeMap<String, Vec<f64>> {
    let outputs = model.outputs(batch, None);
    let [rows, length, width] = outputs.dims();
    let seen = seen(batch, &outputs);
    let weights: Vec<f64> = (0..rows * length * width)
        .map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0)
        .zip(seen.iter().flat_map(|seen| std::iter::repeat_n(f64::from(*seen), width)))
        .map(|(weight, seen)| weight * seen)
        .collect();
    let device = outputs.device().without_autodiff();
    let weights = Tensor::<1>::from_data(&weights[..], (&device, outputs.dtype()));
    let gradients = outputs.reshape([-1]).mul(weights).sum().backward();
    let gradients = GradientsParams::from_grads(gradients, model);
    let found = match model {
        Any::Encoder(model) => parameters::named_gradients(model, gradients),
        Any::Classifier(model) => parameters::named_gradients(model, gradients),
        Any::MaskedLm(model) => parameters::named_gradients(model, gradients),
    };
    let values = |tensor: Tensor<1>| tensor.into_data().convert::<f64>().try_into_vec().unwrap();
    found.into_iter().map(|(name, gradient)| (name, values(gradient))).collect()
}

/// Compares with torch's gradients in f64, within `bound` of each one's size.
fn compare_gradients(name: &str, model: &Any, bound: f64) {
    let found = gradients(model, &batch(&expected(name)));
    let prefix = model.encoder().config().family.prefix();
    let file = json_of(&fixture(name).join("gradients.json"));
    let recorded = file["gradients"].as_object().unwrap();
    let mut worst = 0.0_f64;
    for (parameter, numbers) in recorded {
        // The names of a saved encoder have no prefix.
        let gradient = found.get(parameter).or_else(|| found.get(&format!("{prefix}{parameter}")));
        let gradient = gradient.unwrap_or_else(|| panic!("{name}: no gradient of {parameter}"));
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let ramp: f64 = gradient.iter().enumerate().map(|(i, g)| g * ((i % 7) as f64 - 3.0)).sum();
        let numbers: Vec<f64> = serde_json::from_value(numbers.clone()).unwrap();
        // A key's bias moves all scores of a query alike: what is left is rounding of other gradients.
        let size = if numbers[0] < 1e-9 { 1.0 } else { 0.1 + numbers[0].max(numbers[1].abs()) };
        let apart = largest_difference([norm, ramp], &numbers[..]) / size;
        worst = worst.max(apart);
        assert!(apart <= bound, "{name} {parameter}: {norm} {ramp} for {numbers:?}");
    }
    println!("{name}: gradients of {} parameters within {worst:e}", recorded.len());
    assert_eq!(found.len(), recorded.len(), "{name}");
}

#[test]
fn gradients_of_every_parameter_are_those_of_torch() {
    for name in CASES {
        let model = Any::open(&fixture(name), &Device::flex().autodiff()).unwrap();
        compare_gradients(name, &model, 3e-5);
        // Plain operations in f64; the angles of ModernBERT are f32's on both sides.
        compare_gradients(name, &model.map(&mut Double), 2e-6);
    }
}

#[test]
fn a_row_is_read_alike_alone_and_among_others() {
    for name in ["roberta-mlm", "distilbert-mlm", "modernbert-mlm"] {
        let model = opened(name);
        let row = |length: u32, step: u32| -> Vec<u32> {
            (0..length).map(|i| (i * step + 7) % 90 + 4).collect()
        };
        let rows = [row(11, 7), row(3, 11), row(6, 31)];
        let pad = model.encoder().config().pad_token_id;
        let together = model.outputs(&EncoderBatch::pad(&rows, pad).unwrap(), None);
        // Padding is not read, whatever its ids.
        let longer = [rows[1].clone(), vec![50; 9]].concat();
        let flags = (0..24).map(|at| at < 15).collect();
        let other = [row(12, 5), longer].concat();
        let other = model.outputs(&EncoderBatch::from_flat(12, other, flags).unwrap(), None);
        for (at, ids) in rows.iter().enumerate() {
            let alone = host_values(model.outputs(&EncoderBatch::pad(&[ids], 0).unwrap(), None));
            let of = |outputs: &Tensor<3>, at: usize| {
                host_values(outputs.clone().slice([at..at + 1, 0..ids.len()]))
            };
            let difference = largest_difference(&alone, of(&together, at));
            assert!(difference < TOLERANCE, "{name} row {at}: {difference:e}");
            if at == 1 {
                let difference = largest_difference(&alone, of(&other, 1));
                assert!(difference < TOLERANCE, "{name}: other padding: {difference:e}");
            }
        }
    }
}

#[test]
fn windows_hide_what_is_further_away() {
    let source = json_of(&fixture("modernbert-encoder").join("config.json"));
    let with = |layers: Value| {
        let mut json = source.clone();
        json["num_hidden_layers"] = 2.into();
        json["layer_types"] = layers;
        let config = EncoderConfig::from_hf(&json).unwrap();
        Encoder::fresh(&config, 3, &Device::flex()).unwrap()
    };
    let ids: Vec<u32> = (0..12).map(|i| 10 + i).collect();
    let mut changed = ids.clone();
    changed[11] = 60;
    let states = |encoder: &Encoder, ids: &[u32]| {
        let batch = EncoderBatch::pad(&[ids], 2).unwrap();
        host_values(encoder.forward(&batch, None).unwrap().last_hidden_state)
    };
    // The last token reaches three tokens further back in each layer with a window.
    let sliding = with(json!(["sliding_attention", "sliding_attention"]));
    let (before, after) = (states(&sliding, &ids), states(&sliding, &changed));
    let same: Vec<bool> =
        before.chunks(32).zip(after.chunks(32)).map(|(before, after)| before == after).collect();
    assert_eq!(same, (0..12).map(|at| at < 5).collect::<Vec<_>>());
    let whole = with(json!(["sliding_attention", "full_attention"]));
    let (before, after) = (states(&whole, &ids), states(&whole, &changed));
    assert_ne!(before[..32], after[..32]);

    let long = EncoderBatch::pad(&[vec![5; 41]], 2).unwrap();
    let error = whole.forward(&long, None).unwrap_err();
    assert!(matches!(error, EncoderError::TooLong { found: 41, max: 40 }), "{error}");
}

#[test]
fn robertas_positions_leave_room_for_padding() {
    let model = opened("roberta-encoder");
    let of = |length: usize| {
        let row = vec![5; length];
        model.encoder().forward(&EncoderBatch::pad(&[row], 1).unwrap(), None)
    };
    // 40 positions, of which the first two are those before and of padding.
    assert!(of(38).is_ok());
    let error = of(39).unwrap_err();
    assert!(matches!(error, EncoderError::TooLong { found: 39, max: 38 }), "{error}");
    let typed = EncoderBatch::pad(&[[5, 6]], 1).unwrap().with_types(&[[0, 1]]).unwrap();
    let error = model.encoder().forward(&typed, None).unwrap_err();
    assert!(matches!(error, EncoderError::TypeOutOfRange { found: 1, .. }), "{error}");
}

/// Names and shapes of tensors with their values.
type Tensors = Vec<(TensorInfo, Vec<f32>)>;

/// The tensors of a folder.
fn contents(dir: &Path) -> Tensors {
    let weights = Weights::open(dir).unwrap();
    let read = |info: &TensorInfo| weights.read_f32(&info.name, &info.shape).unwrap();
    weights.infos().iter().map(|info| (info.clone(), read(info))).collect()
}

#[test]
fn what_is_saved_is_what_was_loaded() {
    for name in CASES {
        let out = tempfile::tempdir().unwrap();
        opened(name).save(out.path());
        assert_eq!(contents(out.path()), contents(&fixture(name)), "{name}");
        let config = |dir: &Path| json_of(&dir.join("config.json"));
        assert_eq!(config(out.path()), config(&fixture(name)), "{name}");
    }
}

#[test]
fn every_parameter_is_trained_under_its_name_in_the_checkpoint() {
    for name in CASES {
        let stored: Vec<String> =
            contents(&fixture(name)).into_iter().map(|(info, _)| info.name).collect();
        let device = Device::flex().autodiff();
        let names = |infos: Vec<parameters::ParameterInfo>| -> Vec<String> {
            infos.into_iter().map(|info| info.name).collect()
        };
        let found = match Any::open(&fixture(name), &device).unwrap() {
            // The prefix is that of a model with a head.
            Any::Encoder(model) => {
                let prefix = model.config().family.prefix();
                let names = names(parameters::trainable(&model));
                names.iter().map(|name| name.strip_prefix(prefix).unwrap().to_owned()).collect()
            }
            Any::Classifier(model) => names(parameters::trainable(&model)),
            Any::MaskedLm(model) => names(parameters::trainable(&model)),
        };
        assert_eq!(found, stored, "{name}");
    }
}

#[test]
fn gradients_with_dropout_are_differences_of_the_same_draw() {
    let device = Device::flex().autodiff();
    let rows: [&[u32]; 3] = [&[0, 9, 5, 33, 21, 7, 60, 1], &[0, 8, 1], &[0, 4, 44, 51, 1]];
    let batch = EncoderBatch::pad(&rows, 2).unwrap();
    for (name, dropped) in [
        ("roberta-classifier5", json!({})),
        ("distilbert-classifier5", json!({})),
        (
            "modernbert-classifier5",
            json!({"attention_dropout": 0.2, "embedding_dropout": 0.1,
                                          "mlp_dropout": 0.3, "classifier_dropout": 0.1}),
        ),
    ] {
        let dir = copied(name, |config| {
            config.as_object_mut().unwrap().extend(dropped.as_object().unwrap().clone());
        });
        let (model, _) = EncoderForSequenceClassification::open(dir.path(), &device).unwrap();
        let logits = |seed| host_values(model.forward(&batch, seed).unwrap());
        assert_eq!(logits(Some(5)), logits(Some(5)));
        assert!(largest_difference(logits(Some(5)), logits(Some(6))) > 1e-3, "{name}");
        assert!(largest_difference(logits(Some(5)), logits(None)) > 1e-3, "{name}");
        check_gradients(model, |model| weigh(model.forward(&batch, Some(5)).unwrap()));
    }
}

/// A checkpoint with changes to its configuration, in a new folder.
fn copied(name: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = json_of(&fixture(name).join("config.json"));
    change(&mut config);
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let weights = "model.safetensors";
    fs::copy(fixture(name).join(weights), dir.path().join(weights)).unwrap();
    dir
}

#[test]
fn settings_that_do_not_fit_are_refused_by_name() {
    for (name, key, value, part) in [
        ("roberta-encoder", "position_embedding_type", json!("relative_key"), "absolute"),
        ("roberta-encoder", "is_decoder", json!(true), "is_decoder"),
        ("roberta-encoder", "pad_token_id", json!(40), "max_position_embeddings"),
        ("roberta-encoder", "adapter_size", json!(64), "adapter_size"),
        ("roberta-encoder", "num_hidden_layers", json!(1), "encoder.layer.1."),
        ("roberta-encoder", "num_hidden_layers", json!(3), "encoder.layer.2."),
        ("distilbert-encoder", "hidden_size", json!(32), "hidden_size"),
        ("distilbert-encoder", "n_heads", json!(5), "n_heads"),
        ("distilbert-encoder", "activation", json!("mish"), "activation"),
        ("distilbert-encoder", "seq_classif_dropout", json!(1.0), "seq_classif_dropout"),
        ("distilbert-classifier5", "id2label", json!({"0": "no"}), "classifier.weight"),
        ("distilbert-mlm", "n_layers", json!(1), "distilbert.transformer.layer.1."),
        ("modernbert-encoder", "norm_bias", json!(true), "norm.bias"),
        ("modernbert-biases-mlm", "mlp_bias", json!(false), "mlp.Wi.bias"),
        ("modernbert-encoder", "classifier_pooling", json!("max"), "classifier_pooling"),
        ("modernbert-encoder", "layer_types", json!(["full_attention"]), "layer_types"),
        ("modernbert-encoder", "local_attention", json!(0), "local_attention"),
        ("modernbert-encoder", "global_rope_theta", json!("big"), "global_rope_theta"),
        ("modernbert-encoder", "rope_scaling", json!({"type": "spiral"}), "spiral"),
        ("modernbert-encoder", "unpadded_embeddings", json!(true), "unpadded_embeddings"),
    ] {
        let dir = copied(name, |config| config[key] = value);
        let error = Any::open(dir.path(), &Device::flex()).unwrap_err().to_string();
        assert!(error.contains(part), "{name} {key}: {error}");
    }
    let with = |settings: Value| {
        let dir = copied("modernbert-biases-classifier5", |config| {
            config["rope_parameters"]["full_attention"] = settings;
        });
        Any::open(dir.path(), &Device::flex()).unwrap_err().to_string()
    };
    let error = with(json!({"rope_type": "default", "rope_theta": 1e4, "temperature": 2.0}));
    assert!(error.contains("temperature"), "{error}");
    let error = with(json!({"rope_type": "default", "partial_rotary_factor": 0.5}));
    assert!(error.contains("partial_rotary_factor"), "{error}");
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    for (name, tensor) in [
        ("distilbert-encoder", "transformer.layer.1.ffn.lin2.weight"),
        ("modernbert-encoder", "layers.3.attn.Wqkv.weight"),
    ] {
        let save = |change: &dyn Fn(&mut Tensors)| {
            let dir = copied(name, |_| ());
            let mut tensors = contents(dir.path());
            change(&mut tensors);
            let infos = tensors.iter().map(|(info, _)| info.clone()).collect();
            let mut writer = WeightsWriter::create(dir.path(), infos, None).unwrap();
            for (info, values) in &tensors {
                writer.push(&info.name, values).unwrap();
            }
            writer.finish().unwrap();
            Any::open(dir.path(), &Device::flex()).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(save(&|_| ()), Ok(()));
        let error = save(&|tensors| tensors.retain(|(info, _)| info.name != tensor)).unwrap_err();
        assert!(error.contains(tensor), "{error}");
        let flat = save(&|tensors| {
            for (info, _) in tensors.iter_mut().filter(|(info, _)| info.name == tensor) {
                info.shape = vec![info.shape.iter().product()];
            }
        });
        assert!(flat.unwrap_err().contains(tensor));
        let more = save(&|tensors| {
            let info = TensorInfo {
                name: tensor.replace("weight", "scale"),
                dtype: StoredType::F32,
                shape: vec![1],
            };
            tensors.push((info, vec![1.0]));
        });
        assert!(more.unwrap_err().contains(&tensor.replace("weight", "scale")));
    }
}

#[test]
fn a_new_classifier_has_the_tensors_of_its_family() {
    let device = Device::flex();
    for (name, own) in [
        ("roberta-encoder", &["classifier.dense", "classifier.out_proj"][..]),
        ("distilbert-encoder", &["classifier", "pre_classifier"]),
        ("modernbert-encoder", &["classifier", "head.dense", "head.norm"]),
    ] {
        let (encoder, _) = Encoder::open(&fixture(name), &device).unwrap();
        let prefix = encoder.config().family.prefix();
        let labels = vec!["bad".to_owned(), "good".to_owned(), "fair".to_owned()];
        let made = |seed| {
            EncoderForSequenceClassification::fresh(encoder.clone(), labels.clone(), seed).unwrap()
        };
        let model = made(1);
        let mut names: Vec<String> = parameters::all(&model)
            .into_iter()
            .filter(|info| !info.name.starts_with(prefix))
            .map(|info| info.name.rsplit_once('.').unwrap().0.to_owned())
            .collect();
        names.dedup();
        assert_eq!(names, own);
        let batch = EncoderBatch::pad(&[[5, 6, 7]], 0).unwrap();
        let logits = |model: &EncoderForSequenceClassification| {
            host_values(model.forward(&batch, None).unwrap())
        };
        assert_eq!(logits(&model).len(), 3);
        assert_eq!(logits(&model), logits(&made(1)));
        assert_ne!(logits(&model), logits(&made(2)));
        let out = tempfile::tempdir().unwrap();
        model.save(out.path(), StoredType::F32).unwrap();
        let (again, report) = EncoderForSequenceClassification::open(out.path(), &device).unwrap();
        assert!(report.unused.is_empty(), "{report:?}");
        assert_eq!(again.labels(), labels);
        assert_eq!(logits(&again), logits(&model));
    }
}

// Values from transformers 5.24's `create_sinusoidal_embeddings(3, 4, …)`.
#[test]
fn new_sinusoidal_positions_are_sines_and_cosines() {
    let json = json!({"model_type": "distilbert", "vocab_size": 8, "dim": 4, "n_layers": 1,
        "n_heads": 2, "hidden_dim": 4, "max_position_embeddings": 3, "sinusoidal_pos_embds": true});
    let config = EncoderConfig::from_hf(&json).unwrap();
    let encoder = Encoder::fresh(&config, 1, &Device::flex()).unwrap();
    let name = "distilbert.embeddings.position_embeddings.weight";
    let found = host_values(parameters::values(&encoder, name).unwrap());
    let expected = [
        [0.0, 1.0, 0.0, 1.0],
        [0.841_471, 0.540_302_3, 0.009_999_833, 0.999_95],
        [0.909_297_4, -0.416_146_84, 0.019_998_666, 0.999_8],
    ];
    assert!(largest_difference(found, expected.concat()) < 1e-7);
}
