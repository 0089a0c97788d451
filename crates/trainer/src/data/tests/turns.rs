//! Messages of an environment between two turns of the assistant.

use bestof_tasks::rows::{ChatMessage, Json, TemplateFields};
use serde_json::json;

use super::super::{EncodeOptions, Refusal};
use super::{CHAT, EOS, Model, byte_level, user};

/// The id of `<|end|>`, with which turns of the template end.
const END: u32 = 5;

fn tool(text: &str) -> Vec<ChatMessage> {
    vec![ChatMessage::new("tool", text)]
}

fn between(model: &Model, messages: &[ChatMessage], end: Option<u32>) -> Result<Vec<u32>, Refusal> {
    model.encoder(EncodeOptions::training()).encode_replies(messages, end)
}

#[test]
fn prompt_turn_and_reply_are_the_conversation() {
    let model = byte_level(false, Some(CHAT));
    let prompt = model.encoder(EncodeOptions::training()).encode_prompt(&user("2?")).unwrap();
    let reply = between(&model, &tool("the blue"), Some(END)).unwrap();
    let ids = [prompt, model.ids("4"), vec![END], reply].concat();
    let whole = "<|user|>2?<|end|>\n<|assistant|>4<|end|>\n<|tool|>the blue<|end|>\n<|assistant|>";
    assert_eq!(ids, model.ids(whole));
    let two = [tool("the"), vec![ChatMessage::user("ue")]].concat();
    let reply = between(&model, &two, Some(END)).unwrap();
    assert_eq!(model.text(&reply), "\n<|tool|>the<|end|>\n<|user|>ue<|end|>\n<|assistant|>");
}

#[test]
fn what_the_turn_did_not_close_is_closed() {
    let model = byte_level(false, Some(CHAT));
    let whole = "<|end|>\n<|tool|>the<|end|>\n<|assistant|>";
    // Ended by a stop text, and by an end token that the template does not write.
    for end in [None, Some(EOS)] {
        assert_eq!(model.text(&between(&model, &tool("the"), end).unwrap()), whole);
    }
    // What stands before the end token is closed with it.
    let spaced = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }} </s>{% endfor %}\
                  {% if add_generation_prompt %}<|assistant|>{% endif %}";
    let model = byte_level(false, Some(spaced));
    let reply = |end| model.text(&between(&model, &tool("the"), end).unwrap());
    assert_eq!(reply(Some(EOS)), "<|tool|>the </s><|assistant|>");
    assert_eq!(reply(None), " </s><|tool|>the </s><|assistant|>");
}

/// The end token in a message is none that the turn has.
#[test]
fn only_the_closing_is_left_out() {
    let open = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}\
                {% if add_generation_prompt %}<|assistant|>{% endif %}";
    let model = byte_level(false, Some(open));
    let reply = between(&model, &tool("a<|end|>b"), Some(END)).unwrap();
    assert_eq!(model.text(&reply), "<|tool|>a<|end|>b<|assistant|>");
}

#[test]
fn templates_that_rewrite_earlier_turns_change_nothing() {
    let stripping = "{% for m in messages %}<|{{ m.role }}|>\
         {% if m.role == 'assistant' and not loop.last %}{{ m.content.split(';')[-1] }}\
         {% else %}{{ m.content }}{% endif %}<|end|>\n\
         {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
    let (plain, other) = (byte_level(false, Some(CHAT)), byte_level(false, Some(stripping)));
    let reply = |model| between(model, &tool("the"), Some(END)).unwrap();
    assert_eq!(reply(&plain), reply(&other));
}

#[test]
fn what_a_row_gives_the_template_is_given_here_too() {
    let template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{{ mark }}\n\
         {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
    let model = byte_level(false, Some(template));
    let arguments: Json = serde_json::from_value(json!({"mark": "!"})).unwrap();
    let fields =
        TemplateFields { chat_template_kwargs: Some(arguments), ..TemplateFields::default() };
    let encoder = model.encoder(EncodeOptions::training());
    let reply = encoder.for_row(&fields).unwrap().encode_replies(&tool("the"), Some(END)).unwrap();
    assert_eq!(model.text(&reply), "!\n<|tool|>the<|end|>!\n<|assistant|>");
}

#[test]
fn messages_that_a_template_does_not_take_are_refused() {
    let no_tools =
        CHAT.replace("{% for m in messages %}", "{% for m in messages if m.role != 'tool' %}");
    let raising = CHAT.replace(
        "{% for m in messages %}",
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}",
    );
    let silent = CHAT.replace("{{ m.content }}", "{{ m.content | upper }}");
    for (template, part) in
        [(no_tools, "leaves out"), (raising, "no tools here"), (silent, "does not write as it is")]
    {
        let model = byte_level(false, Some(&template));
        let refusal = between(&model, &tool("the"), None).unwrap_err().in_words();
        assert!(refusal.contains(part), "{refusal} does not say {part}");
    }
}
