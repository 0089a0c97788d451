//! The files of a model folder that a chat template may be in.

use std::path::Path;

use serde_json::Value;

use crate::error::CheckpointError;
use crate::json;

/// The sources of a folder's template.
pub(crate) struct Found {
    pub(crate) default: String,
    /// For conversations with tools, where there is one.
    pub(crate) tool_use: Option<String>,
}

/// Files with a key `chat_template`, the tokenizer's before those of a multimodal model's processor.
const JSON_FILES: [&str; 3] =
    ["tokenizer_config.json", "chat_template.json", "processor_config.json"];

/// The template of a folder, in the order in which transformers looks for it.
pub(crate) fn read(dir: &Path) -> Result<Option<Found>, CheckpointError> {
    let path = dir.join("chat_template.jinja");
    if path.exists() {
        let default = json::read_text(&path)?;
        let more = dir.join("additional_chat_templates").join("tool_use.jinja");
        let tool_use = more.exists().then(|| json::read_text(&more)).transpose()?;
        return Ok(Some(Found { default, tool_use }));
    }
    for name in JSON_FILES {
        let path = dir.join(name);
        let value = json::read_if_there(&path)?;
        let fields = json::Fields { path: &path, value: &value };
        let expected = "a template, or a list with one named default";
        if let Some(found) = fields.get("chat_template", expected, by_name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn by_name(value: &Value) -> Option<Found> {
    let named = |name: &str| match value {
        Value::String(source) => (name == "default").then(|| source.clone()),
        Value::Array(list) => {
            list.iter().find(|t| t["name"] == name)?["template"].as_str().map(str::to_owned)
        }
        _ => value[name].as_str().map(str::to_owned),
    };
    Some(Found { default: named("default")?, tool_use: named("tool_use") })
}
