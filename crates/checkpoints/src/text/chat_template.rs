//! Chat messages to text, through the model's own Jinja template.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use serde::Serialize;

use super::message::TemplateOptions;
use super::special_tokens::SpecialTokens;
use super::template_files::Source;
use super::template_growth::KEPT_FILTER;
use super::template_source as sources;
use super::template_text::message;
use super::worker::{self, Failure};
use super::{
    python_methods, template_files, template_functions as functions, template_json, template_values,
};
use crate::error::CheckpointError;

/// Steps of a rendering, an instruction or 64 bytes of text each: more than any conversation needs, so that a
/// template that loops forever ends, and few enough for the memory and the stack they can fill.
const STEPS: u64 = 2_000_000;
/// Bytes of a template; the longest published ones have some tens of KiB.
const LONGEST_SOURCE: usize = 128 << 10;
/// Bytes of a rendered conversation: millions of tokens.
const LONGEST_TEXT: usize = 16 << 20;
const NAME: &str = "chat_template";
/// The same template with its `generation` blocks marked.
const MARKED: &str = "marked_chat_template";

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
    /// How errors call it, with its file where it has one.
    place: Arc<str>,
    environment: Arc<Environment<'static>>,
    has_marks: bool,
    special: SpecialTokens,
    /// Renders conversations with tools in place of this one.
    tool_use: Option<Arc<Self>>,
}

impl ChatTemplate {
    /// The template of a model folder: `chat_template.jinja`, else `chat_template` in
    /// `tokenizer_config.json`, `chat_template.json` or `processor_config.json`; `None` if there is
    /// none. Of several named ones it is `default`, and `tool_use` for conversations with tools.
    ///
    /// # Errors
    /// A file cannot be read, or as [`ChatTemplate::new`].
    pub fn from_dir(dir: &Path) -> Result<Option<Self>, CheckpointError> {
        let special = SpecialTokens::from_dir(dir)?;
        let Some(found) = template_files::read(dir)? else { return Ok(None) };
        let read = |found: &Source, name| {
            Self::at(
                format!("{}: chat template{name}", found.path.display()),
                &found.text,
                &special,
            )
        };
        let mut template = read(&found.default, "")?;
        let tool_use = found.tool_use.as_ref().map(|found| read(found, " tool_use"));
        template.tool_use = tool_use.transpose()?.map(Arc::new);
        Ok(Some(template))
    }

    /// A template from its source, with the special tokens it may name.
    ///
    /// # Errors
    /// The template does not parse, or is longer than 128 KiB.
    pub fn new(source: &str, special: &SpecialTokens) -> Result<Self, CheckpointError> {
        Self::at("chat template".to_owned(), source, special)
    }

    fn at(place: String, source: &str, special: &SpecialTokens) -> Result<Self, CheckpointError> {
        if source.len() > LONGEST_SOURCE {
            return Err(CheckpointError::TemplateTooLong {
                place,
                what: "its source",
                found: source.len(),
                limit: LONGEST_SOURCE,
            });
        }
        let read: Arc<str> = source.into();
        let parsed = worker::run({
            let (place, source) = (place.clone(), Arc::clone(&read));
            move || environment(&source).map_err(|error| template_error(&place, &error))
        });
        let (environment, has_marks) =
            parsed.unwrap_or_else(|failure| Err(failed(&place, failure)))?;
        Ok(Self {
            source: read,
            place: place.into(),
            environment: Arc::new(environment),
            has_marks,
            special: special.clone(),
            tool_use: None,
        })
    }

    /// The template's source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a variable or field of this name, such as `tool_calls`, occurs in the template.
    pub fn uses(&self, name: &str) -> bool {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let source = &self.source;
        let whole = |(place, _): (usize, &str)| {
            !source[..place].ends_with(is_name)
                && !source[place + name.len()..].starts_with(is_name)
        };
        source.match_indices(name).any(whole)
            || self.tool_use.as_ref().is_some_and(|template| template.uses(name))
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
    pub fn render_marked<M: Serialize>(
        &self,
        messages: &[M],
    ) -> Result<(String, Vec<Range<usize>>), CheckpointError> {
        self.render_marked_with(messages, &TemplateOptions::default())
    }

    /// As [`ChatTemplate::render_marked`], with tools, documents and arguments.
    ///
    /// # Errors
    /// As [`ChatTemplate::render_marked`].
    pub fn render_marked_with<M: Serialize>(
        &self,
        messages: &[M],
        options: &TemplateOptions,
    ) -> Result<(String, Vec<Range<usize>>), CheckpointError> {
        if let Some(tool_use) = self.for_tools(options) {
            return tool_use.render_marked_with(messages, options);
        }
        let text = self.render_as(NAME, messages, options)?;
        if !self.has_marks {
            return Ok((text, Vec::new()));
        }
        let marked = self.render_as(MARKED, messages, options)?;
        match functions::take_marks(&marked) {
            Some((unmarked, ranges)) if unmarked == text => Ok((text, ranges)),
            _ => Err(CheckpointError::TemplateMarks),
        }
    }

    /// The text of a conversation; `add_generation_prompt` opens the answer of the assistant.
    ///
    /// A message is anything that serialises to an object: [`Message`](crate::Message), or a
    /// [`TemplateValue`](crate::TemplateValue) read from JSON, whose every field the template sees.
    ///
    /// # Errors
    /// The template refuses the messages or fails, takes more than 2,000,000 steps or 20 seconds, or makes more
    /// than 16 MiB of text.
    pub fn render<M: Serialize>(
        &self,
        messages: &[M],
        add_generation_prompt: bool,
    ) -> Result<String, CheckpointError> {
        let options = TemplateOptions { add_generation_prompt, ..TemplateOptions::default() };
        self.render_with(messages, &options)
    }

    /// The text of a conversation with tools, documents and arguments of its own.
    ///
    /// ```
    /// use bestof_checkpoints::{ChatTemplate, SpecialTokens, TemplateOptions, TemplateValue};
    ///
    /// let source = "{{ tools|length }}{% for m in messages %}[{{ m.content or m.tool_calls[0].name }}]{% endfor %}";
    /// let template = ChatTemplate::new(source, &SpecialTokens::default())?;
    /// let messages: Vec<TemplateValue> = serde_json::from_str(
    ///     r#"[{"role": "user", "content": "Rain?"},
    ///         {"role": "assistant", "content": null, "tool_calls": [{"name": "weather"}]}]"#,
    /// )?;
    /// let tools = serde_json::from_str(r#"[{"name": "weather"}]"#)?;
    /// let options = TemplateOptions { tools: Some(tools), ..TemplateOptions::default() };
    /// assert_eq!(template.render_with(&messages, &options)?, "1[Rain?][weather]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`ChatTemplate::render`]; [`CheckpointError::CannotContinue`] where the last message is to be
    /// continued and is not a text that the template renders.
    pub fn render_with<M: Serialize>(
        &self,
        messages: &[M],
        options: &TemplateOptions,
    ) -> Result<String, CheckpointError> {
        if let Some(tool_use) = self.for_tools(options) {
            return tool_use.render_with(messages, options);
        }
        let text = self.render_as(NAME, messages, options)?;
        if options.continue_final_message { options.continued(messages, text) } else { Ok(text) }
    }

    fn for_tools(&self, options: &TemplateOptions) -> Option<&Self> {
        self.tool_use.as_deref().filter(|_| options.tools.is_some())
    }

    fn render_as<M: Serialize>(
        &self,
        name: &'static str,
        messages: &[M],
        options: &TemplateOptions,
    ) -> Result<String, CheckpointError> {
        let mut context = vec![("messages", Value::from(Serde(messages)))];
        let SpecialTokens { bos, eos, pad, unk, mask } = &self.special;
        for (name, token) in [
            ("bos_token", bos),
            ("eos_token", eos),
            ("pad_token", pad),
            ("unk_token", unk),
            ("mask_token", mask),
        ] {
            context.extend(token.as_ref().map(|token| (name, token.as_str().into())));
        }
        context.extend(options.context());
        let context = Value::from_pairs(context);
        let (environment, place) = (Arc::clone(&self.environment), Arc::clone(&self.place));
        let rendered = worker::run(move || {
            let template = environment.get_template(name);
            let text = template.and_then(|template| template.render(context));
            text.map_err(|error| template_error(&place, &error))
        });
        let text = rendered.unwrap_or_else(|failure| Err(failed(&self.place, failure)))?;
        if text.len() > LONGEST_TEXT {
            return Err(CheckpointError::TemplateTooLong {
                place: self.place.to_string(),
                what: "its text",
                found: text.len(),
                limit: LONGEST_TEXT,
            });
        }
        Ok(text)
    }
}

/// The engine as chat templates need it, with the template in it, and whether that has `generation` blocks.
fn environment(source: &str) -> Result<(Environment<'static>, bool), Error> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_debug(false);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(STEPS));
    // transformers gives its templates no loader, so that none can include another, nor itself.
    environment
        .set_path_join_callback(|name, _| format!("{name}, a file beside the template,").into());
    environment.set_formatter(functions::write);
    environment.set_unknown_method_callback(python_methods::call);
    environment.add_function("raise_exception", functions::raise_exception);
    environment.add_function("strftime_now", functions::strftime_now);
    environment.add_filter("tojson", template_json::tojson);
    environment.add_filter("default", functions::default);
    environment.add_filter("d", functions::default);
    environment.add_filter(sources::PERCENT_FILTER, functions::percent_format);
    environment.add_filter(sources::LOOP_FILTER, functions::loop_items);
    environment.add_filter(KEPT_FILTER, template_values::kept);
    environment.add_filter(functions::MARK_FILTER, functions::mark);
    environment.add_test("iterable", functions::is_iterable);
    environment.add_test("sequence", functions::is_sequence);
    // They print values in Rust's notation, and without paying.
    environment.remove_filter("pprint");
    environment.remove_global("debug");
    let read = sources::with_filters(&sources::normal_line_ends(source));
    let blocks = |open, close| sources::replace_generation_blocks(&read, open, close);
    let plain = blocks("if true", "endif");
    let marked = blocks(&format!("filter {}", functions::MARK_FILTER), "endfilter");
    let has_marks = plain != marked;
    environment.add_template_owned(NAME, plain)?;
    if has_marks {
        environment.add_template_owned(MARKED, marked)?;
    }
    Ok((environment, has_marks))
}

fn template_error(place: &str, error: &Error) -> CheckpointError {
    let (place, line) = (place.to_owned(), error.line());
    if let Some(message) = functions::refusal(error) {
        return CheckpointError::TemplateRefused { message };
    }
    let first: &(dyn std::error::Error + 'static) = error;
    let chain = || std::iter::successors(Some(first), |error| error.source());
    let kinds = chain().filter_map(|error| Some(error.downcast_ref::<Error>()?.kind()));
    if kinds.into_iter().any(|kind| kind == ErrorKind::OutOfFuel) {
        let limit = format!("{STEPS} steps (an instruction or 64 bytes of text each)");
        return CheckpointError::TemplateEndless { place, line, limit };
    }
    let said: Vec<String> = chain().map(message).collect();
    CheckpointError::Template { place, line, message: message(said.join(": ")) }
}

fn failed(place: &str, failure: Failure) -> CheckpointError {
    let place = place.to_owned();
    match failure {
        Failure::Panicked(said) => {
            let message = message(format_args!("the template engine gave up: {said}"));
            CheckpointError::Template { place, line: None, message }
        }
        Failure::TooSlow(seconds) => CheckpointError::TemplateEndless {
            place,
            line: None,
            limit: format!("{seconds} seconds"),
        },
        Failure::NoThread(source) => CheckpointError::TemplateThread { place, source },
    }
}
