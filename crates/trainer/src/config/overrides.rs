//! `section.key=value` from the command line, put into the parsed file before it is checked.

use super::error::ConfigError;

/// Puts one override into the table.
///
/// The value is read as TOML; what is no TOML value (a bare path, a word) is taken as a string. No value at
/// all takes the key out, so that its default holds; an empty text is `""`.
pub(super) fn apply(table: &mut toml::Table, text: &str) -> Result<(), ConfigError> {
    let malformed = || ConfigError::Override { found: text.to_owned() };
    let (path, value) = text.split_once('=').ok_or_else(malformed)?;
    let mut keys: Vec<&str> = path.split('.').map(str::trim).collect();
    let last = keys.pop().ok_or_else(malformed)?;
    if last.is_empty() || keys.iter().any(|key| key.is_empty()) {
        return Err(malformed());
    }
    let mut target = table;
    for key in keys {
        let entry = target.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        target = entry.as_table_mut().ok_or_else(malformed)?;
    }
    match value.trim() {
        "" => target.remove(last),
        value => target.insert(last.to_owned(), parse_value(value)),
    };
    Ok(())
}

fn parse_value(text: &str) -> toml::Value {
    let document: Result<toml::Table, _> = format!("value = {text}").parse();
    match document {
        Ok(mut table) if table.len() == 1 => {
            table.remove("value").unwrap_or_else(|| toml::Value::String(text.to_owned()))
        }
        _ => toml::Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str) -> toml::Table {
        let mut table = toml::Table::new();
        apply(&mut table, text).unwrap();
        table
    }

    #[test]
    fn values_keep_their_type() {
        assert_eq!(applied("a.b=3")["a"]["b"], toml::Value::Integer(3), "integers");
        assert_eq!(applied("a.b=1e-5")["a"]["b"], toml::Value::Float(1e-5));
        assert_eq!(applied("a.b=true")["a"]["b"], toml::Value::Boolean(true));
        assert_eq!(applied("a.b=models/x")["a"]["b"], toml::Value::String("models/x".into()));
        assert_eq!(applied("a.b=[\"q\", \"v\"]")["a"]["b"].as_array().unwrap().len(), 2);
        assert_eq!(applied("a.b=x=y")["a"]["b"], toml::Value::String("x=y".into()));
        assert_eq!(
            applied("a.b=1\nc = 2")["a"]["b"],
            toml::Value::String("1\nc = 2".into()),
            "one override sets one key"
        );
    }

    #[test]
    fn no_value_takes_a_key_out() {
        let mut table: toml::Table = "[loss]\nname = 'dpop'\nlambda = 50.0".parse().unwrap();
        apply(&mut table, "loss.lambda=").unwrap();
        apply(&mut table, "loss.beta= ").unwrap();
        assert_eq!(table["loss"].as_table().unwrap().keys().collect::<Vec<_>>(), ["name"]);
        apply(&mut table, "loss.name=\"\"").unwrap();
        assert_eq!(table["loss"]["name"], toml::Value::String(String::new()));
    }

    #[test]
    fn malformed_overrides_are_refused() {
        for text in ["train.seed", "=3", "train..seed=3", "."] {
            let mut table = toml::Table::new();
            assert!(apply(&mut table, text).is_err(), "{text}");
        }
        let mut table: toml::Table = "seed = 3".parse().unwrap();
        assert!(apply(&mut table, "seed.x=3").is_err());
    }
}
