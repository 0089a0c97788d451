//! Converts a GGUF file to a Hugging Face folder: `convert_gguf IN.gguf OUT [f32|f16|bf16]`.

use std::io::Write;
use std::path::Path;

use bestof_checkpoints::StoredType;
use bestof_checkpoints::gguf::{ConvertOptions, convert};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: convert_gguf IN.gguf OUT [f32|f16|bf16]".into());
    };
    let dtype = match rest.first().map(String::as_str) {
        None | Some("f32") => StoredType::F32,
        Some("f16") => StoredType::F16,
        Some("bf16") => StoredType::BF16,
        Some(other) => return Err(format!("{other} is none of f32, f16, bf16").into()),
    };
    let options = ConvertOptions { dtype, ..ConvertOptions::default() };
    let converted = convert(Path::new(input), Path::new(out), &options, &mut |_| {})?;
    writeln!(
        std::io::stdout(),
        "{} parameters from {:?}",
        converted.parameters,
        converted.source_types
    )?;
    Ok(())
}
