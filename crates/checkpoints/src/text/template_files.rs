//! The files of a model folder that a chat template may be in.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::CheckpointError;
use crate::json;

/// The sources of a folder's template.
pub(crate) struct Found {
    pub(crate) default: Source,
    /// For conversations with tools, where there is one.
    pub(crate) tool_use: Option<Source>,
}

/// The source of one template, and the file that holds it.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    fn read(path: PathBuf) -> Result<Self, CheckpointError> {
        Ok(Self { text: json::read_text(&path)?, path })
    }
}

/// Files with a key `chat_template`, the tokenizer's before those of a multimodal model's processor.
const JSON_FILES: [&str; 3] =
    ["tokenizer_config.json", "chat_template.json", "processor_config.json"];

/// The template of a folder, in the order in which transformers looks for it.
pub(crate) fn read(dir: &Path) -> Result<Option<Found>, CheckpointError> {
    let path = dir.join("chat_template.jinja");
    if path.exists() {
        let default = Source::read(path)?;
        let more = dir.join("additional_chat_templates").join("tool_use.jinja");
        let tool_use = more.exists().then(|| Source::read(more)).transpose()?;
        return Ok(Some(Found { default, tool_use }));
    }
    for name in JSON_FILES {
        let path = dir.join(name);
        let value = json::read_if_there(&path)?;
        let fields = json::Fields { path: &path, value: &value };
        let expected = "a template, or a list with one named default";
        let named = |value: &Value| by_name(value, &path);
        if let Some(found) = fields.get("chat_template", expected, named)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn by_name(value: &Value, path: &Path) -> Option<Found> {
    let named = |name: &str| match value {
        Value::String(source) => (name == "default").then(|| source.clone()),
        Value::Array(list) => {
            list.iter().find(|t| t["name"] == name)?["template"].as_str().map(str::to_owned)
        }
        _ => value[name].as_str().map(str::to_owned),
    };
    let source = |text| Source { path: path.to_path_buf(), text };
    Some(Found { default: named("default").map(source)?, tool_use: named("tool_use").map(source) })
}
