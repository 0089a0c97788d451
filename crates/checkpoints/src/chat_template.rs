//! Chat messages to text, through the model's own Jinja template.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error};
use serde::{Deserialize, Serialize};

use crate::error::CheckpointError;
use crate::json;
use crate::template_functions as functions;
use crate::tokenizer::SpecialTokens;

/// Number of instructions a template may execute: more than any conversation needs, so that a
/// template that loops forever ends.
const FUEL: u64 = 10_000_000;
const NAME: &str = "chat_template";
/// The same template with its `generation` blocks marked.
const MARKED: &str = "marked_chat_template";

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text of the message.
    pub content: String,
}

impl Message {
    /// A message of a role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A model's chat template.
///
/// Rendering follows transformers: `trim_blocks` and `lstrip_blocks` are on, strings and dicts have
/// their Python methods, and `raise_exception`, `strftime_now`, `namespace`, `tojson`, `break`,
/// `continue` and the `generation` block are there.
///
/// ```
/// use bestof_checkpoints::{ChatTemplate, Message, SpecialTokens};
///
/// let source = "{% for m in messages %}
/// <{{ m.role }}>{{ m['content'].strip() }}</s>
/// {% endfor %}
/// {%- if add_generation_prompt %}<assistant>{% endif %}";
/// let template = ChatTemplate::new(source, &SpecialTokens::default())?;
/// let messages = [Message::new("user", " Hello ")];
/// assert_eq!(template.render(&messages, true)?, "<user>Hello</s>\n<assistant>");
/// # Ok::<(), bestof_checkpoints::CheckpointError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
    has_marks: bool,
    special: SpecialTokens,
}

impl ChatTemplate {
    /// The template of a model folder: `chat_template.jinja`, else `chat_template` in
    /// `tokenizer_config.json` (of several, the one named `default`); `None` if there is none.
    ///
    /// # Errors
    /// A file cannot be read or the template does not parse.
    pub fn from_dir(dir: &Path) -> Result<Option<Self>, CheckpointError> {
        let special = SpecialTokens::from_dir(dir)?;
        let path = dir.join("chat_template.jinja");
        if path.is_file() {
            let source =
                std::fs::read_to_string(&path).map_err(CheckpointError::io("read", &path))?;
            return Self::new(&source, &special).map(Some);
        }
        let path = dir.join("tokenizer_config.json");
        let value = json::read_if_there(&path)?;
        let fields = json::Fields { path: &path, value: &value };
        let source = fields.get(
            "chat_template",
            "a template, or a list with one named default",
            |value| {
                match value.as_array() {
                    Some(list) => {
                        list.iter().find(|t| t["name"] == "default")?["template"].as_str()
                    }
                    None => value.as_str(),
                }
                .map(str::to_owned)
            },
        )?;
        source.map(|source| Self::new(&source, &special)).transpose()
    }

    /// A template from its source, with the special tokens it may name.
    ///
    /// # Errors
    /// The template does not parse.
    pub fn new(source: &str, special: &SpecialTokens) -> Result<Self, CheckpointError> {
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(template_error)?;
        let mut environment = Environment::new();
        environment.set_syntax(syntax);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", functions::raise_exception);
        environment.add_function("strftime_now", functions::strftime_now);
        environment.add_filter("tojson", functions::tojson);
        environment.add_filter(functions::MARK_FILTER, functions::mark);
        let blocks = |open, close| functions::replace_generation_blocks(source, open, close);
        let plain = blocks("if true", "endif");
        let marked = blocks(&format!("filter {}", functions::MARK_FILTER), "endfilter");
        let has_marks = plain != marked;
        environment.add_template_owned(NAME, plain).map_err(template_error)?;
        if has_marks {
            environment.add_template_owned(MARKED, marked).map_err(template_error)?;
        }
        Ok(Self {
            has_marks,
            source: source.into(),
            environment: Arc::new(environment),
            special: special.clone(),
        })
    }

    /// The template's source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template marks the assistant's part with `generation` blocks.
    pub fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// The text of a conversation, and the byte ranges inside `generation` blocks, in order.
    ///
    /// ```
    /// use bestof_checkpoints::{ChatTemplate, Message, SpecialTokens};
    ///
    /// let source = "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}\
    ///     {% generation %}{{ m.content }}</s>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
    /// let template = ChatTemplate::new(source, &SpecialTokens::default())?;
    /// let messages = [Message::new("user", "2 + 2"), Message::new("assistant", "4")];
    /// let (text, marked) = template.render_marked(&messages)?;
    /// assert_eq!(text, "<user>2 + 2<assistant>4</s>");
    /// assert_eq!(marked.len(), 1);
    /// assert_eq!(&text[marked[0].clone()], "4</s>");
    /// # Ok::<(), bestof_checkpoints::CheckpointError>(())
    /// ```
    ///
    /// # Errors
    /// As [`ChatTemplate::render`]; [`CheckpointError::TemplateMarks`] if the marks change the text.
    pub fn render_marked(
        &self,
        messages: &[Message],
    ) -> Result<(String, Vec<Range<usize>>), CheckpointError> {
        let text = self.render(messages, false)?;
        if !self.has_marks {
            return Ok((text, Vec::new()));
        }
        let marked = self.render_as(MARKED, messages, false)?;
        match functions::take_marks(&marked) {
            Some((unmarked, ranges)) if unmarked == text => Ok((text, ranges)),
            _ => Err(CheckpointError::TemplateMarks),
        }
    }

    /// The text of a conversation; `add_generation_prompt` opens the answer of the assistant.
    ///
    /// # Errors
    /// The template refuses the messages or fails.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, CheckpointError> {
        self.render_as(NAME, messages, add_generation_prompt)
    }

    fn render_as(
        &self,
        name: &str,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, CheckpointError> {
        let message = |m: &Message| {
            Value::from_pairs([("role", m.role.as_str()), ("content", m.content.as_str())])
        };
        let mut context = vec![
            ("messages", messages.iter().map(message).collect::<Vec<_>>().into()),
            ("add_generation_prompt", add_generation_prompt.into()),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ];
        let SpecialTokens { bos, eos, pad, unk } = &self.special;
        for (name, token) in
            [("bos_token", bos), ("eos_token", eos), ("pad_token", pad), ("unk_token", unk)]
        {
            context.extend(token.as_ref().map(|token| (name, token.as_str().into())));
        }
        let template = self.environment.get_template(name).map_err(template_error)?;
        template.render(Value::from_pairs(context)).map_err(template_error)
    }
}

fn template_error(source: Error) -> CheckpointError {
    match functions::refusal(&source) {
        Some(message) => CheckpointError::TemplateRefused { message },
        None => CheckpointError::Template { line: source.line(), source },
    }
}
