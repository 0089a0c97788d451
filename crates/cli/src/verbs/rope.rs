//! `rope`: the inverse frequencies and the attention factor of a checkpoint, or of any method.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bestof_checkpoints::gguf::{RopeFreqs, with_rope_freqs};
use bestof_positional::hf::{Extension, HfRope, LayerRopes, NoRope};
use bestof_positional::{Method, OnScaled, RopeBasis, RopeConfig, RopeParams, STANDSTILL};
use serde_json::{Value, json};

use crate::bounds::{TOKENS, at_most};
use crate::console::{self, Usage};

/// Show the inverse frequencies of a checkpoint's RoPE, or of a method's
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask rope --config models/smollm2-135m-instruct/config.json --length 4096\n  \
    cargo xtask rope --method yarn --head-dim 64 --theta 10000 --factor 4 --original-max-position-embeddings 2048\n  \
    cargo xtask rope --method power --head-dim 128 --theta 10000 --power 0.5\n  \
    cargo xtask rope --config models/extended --gguf-rope-freqs\n  \
    cargo xtask rope --config models/extended --gguf-rope-freqs --gguf model.gguf --out extended.gguf"
)]
pub(crate) struct Rope {
    /// A model's config.json, or its folder
    #[arg(long, required_unless_present = "method", conflicts_with = "method")]
    config: Option<PathBuf>,
    /// default, linear, ntk, dynamic, yarn, llama3, longrope, power, truncated, xpos, nope, drope …
    #[arg(long, requires_all = ["head_dim", "theta"])]
    method: Option<Method>,
    /// Dimension of one attention head
    #[arg(long, value_parser = at_most::<65_536>)]
    head_dim: Option<usize>,
    /// The base, such as 10000
    #[arg(long, allow_negative_numbers = true)]
    theta: Option<f64>,
    /// The length of the sequence, for methods whose frequencies depend on it
    #[arg(long, value_parser = at_most::<TOKENS>, default_value_t = 0)]
    length: usize,
    /// The model's context length
    #[arg(long, value_parser = at_most::<TOKENS>)]
    max_position_embeddings: Option<usize>,
    #[command(flatten)]
    params: RopeParams,
    #[command(flatten)]
    layers: NoRope,
    /// Show what the tensor `rope_freqs.weight` of a GGUF file holds for this basis: one divisor per pair
    #[arg(long)]
    gguf_rope_freqs: bool,
    /// Copy this GGUF file (of a model of the architecture llama) to --out and put the basis in
    #[arg(long, value_name = "FILE", requires_all = ["gguf_rope_freqs", "out"])]
    gguf: Option<PathBuf>,
    /// The GGUF file to make; it must not exist
    #[arg(long, value_name = "FILE", requires = "gguf")]
    out: Option<PathBuf>,
    /// Print one JSON object, or one for each kind of layer where they differ
    #[arg(long)]
    json: bool,
}

impl Rope {
    pub(crate) fn run(self) -> Result<()> {
        let length = self.length;
        if let Some(path) = &self.config {
            let given = [
                ("--head-dim", self.head_dim.is_some()),
                ("--theta", self.theta.is_some()),
                ("--max-position-embeddings", self.max_position_embeddings.is_some()),
                ("the parameters of a method", self.params != RopeParams::default()),
            ];
            if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
                bail!(Usage(format!(
                    "{name}: the basis of --config is the one that the file has; leave it out, or give \
                     --method with --head-dim and --theta in place of --config"
                )));
            }
            let path = if path.is_dir() { path.join("config.json") } else { path.clone() };
            let text = bestof_files::read_text(&path)
                .with_context(|| format!("could not read {}", path.display()))?;
            let config: Value = serde_json::from_str(&text)
                .with_context(|| format!("{} is not JSON", path.display()))?;
            let mut read =
                HfRope::of_model(&config).with_context(|| format!("{}", path.display()))?;
            if self.layers.is_given() {
                let extended = Extension {
                    on_scaled: OnScaled::Compose,
                    no_rope: self.layers.clone(),
                    ..Extension::new(Method::Default, RopeParams::default())
                };
                let extended = extended.apply(&config).map_err(|error| Usage(error.to_string()))?;
                read.no_rope = extended.no_rope;
            }
            if !read.no_rope.is_empty() {
                if self.gguf_rope_freqs {
                    bail!(
                        "{}: layers {:?} go without RoPE, and the rope_freqs.weight of a GGUF file is one \
                         list for all layers; run the folder itself",
                        path.display(),
                        read.no_rope
                    );
                }
                if !self.json {
                    console::line(&format!("layers {:?} (from 0) go without RoPE", read.no_rope))?;
                }
            }
            let without = &read.no_rope;
            return match &read.layers {
                LayerRopes::Uniform(rope) => self.show(rope, length, None, without),
                LayerRopes::PerLayerType(ropes) if self.gguf.is_some() => bail!(
                    "{}: the layers have a basis for each kind ({}), and the rope_freqs.weight of \
                     a GGUF file is one list for all layers; run the folder itself",
                    path.display(),
                    ropes.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
                ),
                LayerRopes::PerLayerType(ropes) => ropes
                    .iter()
                    .try_for_each(|(kind, rope)| self.show(rope, length, Some(kind), without)),
            };
        }
        let head = RopeConfig {
            max_position_embeddings: self.max_position_embeddings,
            ..RopeConfig::new(self.head_dim.unwrap_or(0), self.theta.unwrap_or(0.0))
        };
        let method = self.method.unwrap_or(Method::Default);
        let rope =
            head.with_method(method, &self.params).map_err(|error| Usage(error.to_string()))?;
        if self.layers.is_given() {
            bail!(Usage(
                "--no-rope-layers and --no-rope-layer-interval choose among the layers of a model; give it \
                 with --config"
                    .into()
            ));
        }
        self.show(&rope, length, None, &[])
    }

    fn show(
        &self,
        rope: &RopeConfig,
        length: usize,
        kind: Option<&String>,
        without: &[usize],
    ) -> Result<()> {
        if self.gguf_rope_freqs {
            return self.show_gguf(rope, kind);
        }
        let table = rope.build()?.table(length);
        let rope_type = rope.scaling.rope_type();
        if self.json {
            let mut object = json!({
                "rope_type": rope_type,
                "inv_freq": table.inv_freq,
                "attention_factor": table.attention_factor,
            });
            if let Some(kind) = kind {
                object["layer_type"] = json!(kind);
            }
            if !without.is_empty() {
                object["layers_without_rope"] = json!(without);
            }
            return console::json(&object);
        }
        let of = kind.map_or_else(String::new, |kind| format!(" of {kind}"));
        console::line(&format!("{rope_type}{of}, attention factor {}", table.attention_factor))?;
        for (pair, frequency) in table.inv_freq.iter().enumerate() {
            let turn = if frequency.abs() < STANDSTILL {
                "stands still".to_owned()
            } else {
                format!("one turn in {:.1} tokens", std::f64::consts::TAU / frequency)
            };
            console::line(&format!("{pair:4}  {frequency:<24}  {turn}"))?;
        }
        Ok(())
    }
}

impl Rope {
    fn show_gguf(&self, rope: &RopeConfig, kind: Option<&String>) -> Result<()> {
        let divisors = rope.gguf_rope_freqs()?;
        if let (Some(input), Some(out)) = (&self.gguf, &self.out) {
            return self.write_gguf(rope, divisors, input, out);
        }
        if self.json {
            let mut object =
                json!({"rope_freqs.weight": divisors, "rope.freq_base": rope.rope_theta});
            if let Some(kind) = kind {
                object["layer_type"] = json!(kind);
            }
            return console::json(&object);
        }
        console::line(&format!("rope.freq_base {}", rope.rope_theta))?;
        divisors.iter().try_for_each(|divisor| console::line(&divisor.to_string()))
    }

    fn write_gguf(
        &self,
        rope: &RopeConfig,
        divisors: Vec<f64>,
        input: &Path,
        out: &Path,
    ) -> Result<()> {
        let basis = RopeFreqs {
            divisors,
            freq_base: rope.rope_theta,
            context_length: rope.max_position_embeddings,
        };
        let written = with_rope_freqs(input, out, &basis)?;
        if self.json {
            return console::json(&json!({
                "gguf": out,
                "rope_freqs.weight": basis.divisors,
                "rope.freq_base": basis.freq_base,
                "context_length": written.context_length,
                "replaced": written.replaced,
            }));
        }
        let length = written
            .context_length
            .map_or_else(String::new, |length| format!(", context_length {length}"));
        console::line(&format!(
            "{}: rope_freqs.weight {} with {} divisors, rope.freq_base {}{length}",
            out.display(),
            if written.replaced { "replaced" } else { "added" },
            basis.divisors.len(),
            basis.freq_base,
        ))
    }
}
