//! Pre-tokenizers of byte-level vocabularies, by their names in GGUF.
//!
//! The names and their cuts are those of llama.cpp's `llama-vocab.cpp`; where a model's own
//! `tokenizer.json` spells the same cut in another way, that spelling is written.

use serde_json::{Value, json};

use super::error::GgufError;

/// Words with at most one space in front, numbers, symbols, white space.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Words with at most one leading symbol, numbers of up to three digits, symbols, white space.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As Llama 3, but each digit alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As Qwen 2, with line ends apart from the symbols before them.
const SEED_CODER: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Words split where capitals follow small letters, each digit alone.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As Tekken, with contractions at the word and numbers of up to three digits.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What llama.cpp cuts by where a file names nothing: symbols, GPT-2's words, numbers in threes.
const DEFAULT: &[&str] = &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"];
/// Cased letters as Unicode had them when the vocabulary was made, without the mathematical ones.
const DEEPSEEK_LLM: &[&str] = &[
    r"[\r\n]",
    r"\s?[\p{Lu}\p{Ll}\p{Lt}&&[^\x{10D0}-\x{10FF}\x{2D00}-\x{2D2F}\x{A790}-\x{A7FA}\x{AB30}-\x{AB68}\x{10570}-\x{105BC}\x{16E40}-\x{16E7F}\x{1D400}-\x{1DF1E}]]+",
    r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+",
    r"\s+$",
    CJK_AND_HANGUL,
    r"\p{N}+",
];
const DEEPSEEK_CODER: &[&str] = &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK_AND_HANGUL, r"\p{N}"];
const CJK_AND_HANGUL: &str = r"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+";
const DEEPSEEK_V3: &[&str] = &[
    r"\p{N}{1,3}",
    r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];

/// Whether a regular expression is one of published models, whose time grows with the text's length only.
pub(crate) fn is_published(pattern: &str) -> bool {
    CUTS.iter().any(|cut| cut.patterns.contains(&pattern))
}

/// A cut: the regular expressions it is made by, one after the other.
struct Cut {
    names: &'static [&'static str],
    patterns: &'static [&'static str],
    /// Whether text is brought to Unicode's composed form before.
    nfc: bool,
    /// Whether a word that is in the vocabulary becomes its token without merging.
    ignore_merges: bool,
}

const fn cut(names: &'static [&'static str], patterns: &'static [&'static str]) -> Cut {
    Cut { names, patterns, nfc: false, ignore_merges: false }
}

/// Every cut that is rebuilt, by its names in `tokenizer.ggml.pre`.
const CUTS: &[Cut] = &[
    cut(&["default"], DEFAULT),
    cut(&["gpt-2", "mellum", "a.x-4.0", "trillion"], &[GPT2]),
    cut(&["smollm", "starcoder", "refact", "command-r", "minerva-7b"], &[r"\p{N}", GPT2]),
    Cut {
        ignore_merges: true,
        ..cut(&["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0"], &[LLAMA3])
    },
    cut(&["smaug-bpe", "dbrx"], &[LLAMA3]),
    Cut { nfc: true, ..cut(&["qwen2", "deepseek-r1-qwen", "megrez"], &[QWEN2]) },
    cut(&["deepseek-llm"], DEEPSEEK_LLM),
    cut(&["deepseek-coder"], DEEPSEEK_CODER),
    cut(&["deepseek-v3"], DEEPSEEK_V3),
    cut(&["seed-coder"], &[SEED_CODER]),
    cut(&["gpt-4o", "llama4"], &[GPT4O]),
    Cut { ignore_merges: true, ..cut(&["tekken"], &[TEKKEN]) },
];

/// The steps before merging, as `tokenizer.json` spells them.
#[derive(Debug)]
pub(super) struct TextSteps {
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    /// Whether a word that is in the vocabulary becomes its token without merging.
    pub(super) ignore_merges: bool,
}

/// The pre-tokenizer with a name in `tokenizer.ggml.pre`.
pub(super) fn pre_tokenizer(name: &str) -> Result<TextSteps, GgufError> {
    let Some(cut) = CUTS.iter().find(|cut| cut.names.contains(&name)) else {
        let known: Vec<&str> = CUTS.iter().flat_map(|cut| cut.names).copied().collect();
        return Err(GgufError::UnknownTokenizer {
            what: "pre-tokenizer",
            found: name.to_owned(),
            known: known.join(", "),
        });
    };
    let mut steps: Vec<Value> = cut.patterns.iter().copied().map(step).collect();
    // The byte-level step cuts as GPT-2 does where it is asked to.
    let last = cut.patterns.last() == Some(&GPT2);
    if last {
        steps.pop();
    }
    steps.push(byte_level(last));
    let pre_tokenizer = match steps.as_slice() {
        [one] => one.clone(),
        _ => json!({ "type": "Sequence", "pretokenizers": steps }),
    };
    let normalizer = if cut.nfc { json!({ "type": "NFC" }) } else { Value::Null };
    Ok(TextSteps { normalizer, pre_tokenizer, ignore_merges: cut.ignore_merges })
}

fn step(pattern: &str) -> Value {
    if pattern == r"\p{N}" {
        return json!({ "type": "Digits", "individual_digits": true });
    }
    json!({
        "type": "Split",
        "pattern": { "Regex": pattern },
        "behavior": "Isolated",
        "invert": false
    })
}

fn byte_level(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
}

/// The name of the cut that steps of a `tokenizer.json` make, if it is one of those above.
pub(super) fn name_of(
    normalizer: &Value,
    pre_tokenizer: &Value,
    ignore_merges: bool,
) -> Option<&'static str> {
    let nfc = match flat(normalizer, "normalizers").as_slice() {
        [] => false,
        [step] if step["type"] == "NFC" => true,
        _ => return None,
    };
    let steps = flat(pre_tokenizer, "pretokenizers");
    let (last, before) = steps.split_last()?;
    if last["type"] != "ByteLevel" || last["add_prefix_space"] == true {
        return None;
    }
    let mut patterns = before.iter().map(|step| pattern_of(step)).collect::<Option<Vec<_>>>()?;
    if last["use_regex"] != false {
        patterns.push(spelled(GPT2));
    }
    let same = |cut: &&Cut| {
        cut.ignore_merges == ignore_merges
            && (cut.nfc || !nfc)
            && cut.patterns.iter().map(|pattern| spelled(pattern)).eq(patterns.iter().cloned())
    };
    Some(CUTS.iter().find(same)?.names[0])
}

/// The steps of a sequence, of one step, or of none.
pub(super) fn flat<'a>(steps: &'a Value, list: &str) -> Vec<&'a Value> {
    match (steps, steps[list].as_array()) {
        (Value::Null, _) => Vec::new(),
        (_, Some(inner)) => inner.iter().flat_map(|step| flat(step, list)).collect(),
        (step, None) => vec![step],
    }
}

fn pattern_of(step: &Value) -> Option<String> {
    match step["type"].as_str()? {
        "Digits" if step["individual_digits"] == true => Some(r"\p{N}".to_owned()),
        "Digits" => Some(r"\p{N}+".to_owned()),
        // Matches apart from what is between them, or matches only, of patterns that match everything.
        "Split" if step["behavior"] == "Isolated" || step["invert"] == true => {
            step["pattern"]["Regex"].as_str().map(spelled)
        }
        _ => None,
    }
}

/// A regular expression in one of its spellings.
fn spelled(pattern: &str) -> String {
    let mut spelled = pattern.replace('\r', r"\r").replace('\n', r"\n").replace(
        "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    );
    while let Some((start, end, character)) = escape(&spelled) {
        spelled.replace_range(start..end, character.encode_utf8(&mut [0; 4]));
    }
    spelled
}

/// Place and meaning of the first `\x{…}`.
fn escape(pattern: &str) -> Option<(usize, usize, char)> {
    let start = pattern.find(r"\x{")?;
    let end = start + pattern[start..].find('}')? + 1;
    let number = u32::from_str_radix(&pattern[start + 3..end - 1], 16).ok()?;
    Some((start, end, char::from_u32(number)?))
}
