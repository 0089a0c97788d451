//! Number formats by their names in a configuration.

use std::str::FromStr;

use bestof_models::{Dtype, NumberFormat, Precision, Quantization};

use super::error::{ConfigError, ValueProblem};
use super::problems::Problems;
use super::run_config::RunConfig;

const DTYPES: &str = "float32, bfloat16 or float16";
const BLOCKS: &str = "q8_0 or q4_0";
const OUTPUTS: &str =
    "auto, float32, float16, bfloat16, q8_0 or q4_0 (blocks of other types are read, not written)";

/// The number format of a trained model on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// That of the model it was made from.
    Auto,
    /// Plain floats.
    Floats(Dtype),
    /// A GGUF file in blocks.
    Blocks(Quantization),
}

impl RunConfig {
    /// How the model is loaded: what is not trained rests in fewer bits.
    ///
    /// # Errors
    /// [`ConfigError::Values`] for a name that is no format.
    pub fn precision(&self) -> Result<Precision, ConfigError> {
        Ok(Precision::default()
            .with_dtype(self.dtype()?)
            .with_quantize(self.quantize()?)
            .with_trained(self.lora.is_none()))
    }

    fn dtype(&self) -> Result<Dtype, ConfigError> {
        format("model.dtype", &self.model.dtype, DTYPES)
    }

    fn quantize(&self) -> Result<Option<Quantization>, ConfigError> {
        let quantize = self.model.quantize.as_deref();
        quantize.map(|name| format("model.quantize", name, BLOCKS)).transpose()
    }

    /// How the trained model is written.
    ///
    /// # Errors
    /// [`ConfigError::Values`] for a name that is no format.
    pub fn output_format(&self) -> Result<OutputFormat, ConfigError> {
        let name = self.output.dtype.as_str();
        if name == "auto" {
            return Ok(OutputFormat::Auto);
        }
        Ok(match format("output.dtype", name, OUTPUTS)? {
            NumberFormat::Floats(dtype) => OutputFormat::Floats(dtype),
            NumberFormat::Blocks(blocks) => OutputFormat::Blocks(blocks),
        })
    }

    pub(super) fn check_formats(&self, problems: &mut Problems) {
        problems.take(self.dtype());
        problems.take(self.quantize());
        if let Some(quantize) = &self.model.quantize {
            let expected = "absent without `[lora]`: blocks are not trained, adapters on them are";
            problems.need(self.lora.is_some(), "model.quantize", quantize, expected);
        }
        let master = &self.train.master_dtype;
        problems.need(
            master.parse() == Ok(Dtype::F32),
            "train.master_dtype",
            master,
            "float32: updates are too small for the digits of other types",
        );
        problems.take(self.output_format());
    }
}

fn format<T: FromStr>(
    key: &'static str,
    name: &str,
    expected: &'static str,
) -> Result<T, ConfigError> {
    name.parse().map_err(|_| unknown(key, name, expected))
}

fn unknown(key: &'static str, name: &str, expected: &'static str) -> ConfigError {
    let problems = vec![ValueProblem { key, found: name.to_owned(), expected }];
    ConfigError::Values { problems }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_set_without_a_check_is_refused_where_it_is_read() {
        let text = "[model]\npath = 'm'\n[data]\ntrain = 't'\n[output]\ndir = 'o'\n";
        let mut config = RunConfig::from_toml(text, &[]).unwrap();
        assert_eq!(config.output_format().unwrap(), OutputFormat::Auto);
        for (name, format) in [
            ("bf16", OutputFormat::Floats(Dtype::BF16)),
            ("q4_0", OutputFormat::Blocks(Quantization::Q4_0)),
        ] {
            name.clone_into(&mut config.output.dtype);
            assert_eq!(config.output_format().unwrap(), format);
        }
        config.model.dtype = "bf17".to_owned();
        config.output.dtype = "Auto".to_owned();
        let said = config.precision().unwrap_err().to_string();
        assert!(said.contains("model.dtype") && said.contains("bf17"), "{said}");
        let said = config.output_format().unwrap_err().to_string();
        assert!(said.contains("output.dtype") && said.contains("Auto"), "{said}");
        config.model.dtype = "f32".to_owned();
        config.model.quantize = Some("q4_k".to_owned());
        let said = config.precision().unwrap_err().to_string();
        assert!(said.contains("model.quantize") && said.contains("q4_k"), "{said}");
    }
}
