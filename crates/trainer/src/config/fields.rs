//! Which keys exist: asked of the section types themselves, so that no second list can go stale.

use bestof_positional::RopeParams;
use bestof_suggest::nearest;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::error::UnknownKey;
use super::extend::ExtendSection;
use super::lora::LoraSection;
use super::policy::{ObjectiveSection, RewardSection, RolloutSection};
use super::sections::{
    DataSection, DisplacementSection, LossSection, ModelSection, OutputSection, TrainSection,
};

/// Every section with the keys it knows.
fn sections() -> Vec<(&'static str, Vec<&'static str>)> {
    let extend = [&ExtendSection::KEYS[..], RopeParams::NAMES].concat();
    let mut sections: Vec<_> = [
        ("model", fields_of::<ModelSection>()),
        ("data", fields_of::<DataSection>()),
        ("output", fields_of::<OutputSection>()),
        ("train", fields_of::<TrainSection>()),
        ("lora", fields_of::<LoraSection>()),
        ("loss", fields_of::<LossSection>()),
        ("displacement", fields_of::<DisplacementSection>()),
        ("rollout", fields_of::<RolloutSection>()),
        ("reward", fields_of::<RewardSection>()),
        ("objective", fields_of::<ObjectiveSection>()),
    ]
    .map(|(name, keys)| (name, keys.to_vec()))
    .into();
    sections.push(("extend", extend));
    sections
}

/// Every key of the section `name` that `T` does not know, with the nearest that it does.
pub fn unknown_keys_of<'de, T: Deserialize<'de>>(
    name: &str,
    section: &toml::Table,
) -> Vec<UnknownKey> {
    let known = fields_of::<T>();
    section
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .map(|key| UnknownKey {
            found: format!("{name}.{key}"),
            nearest: nearest(key, known.iter().copied()).map(|known| format!("{name}.{known}")),
        })
        .collect()
}

/// Every key of `table` that no section knows, with the nearest that one does; foreign sections are not
/// looked into.
pub(super) fn unknown_keys(
    table: &toml::Table,
    is_foreign: impl Fn(&str) -> bool,
) -> Vec<UnknownKey> {
    let sections = sections();
    let mut unknown: Vec<UnknownKey> = Vec::new();
    for (name, value) in table {
        let Some((_, known)) = sections.iter().find(|(section, _)| section == name) else {
            if is_foreign(name) {
                continue;
            }
            unknown.push(UnknownKey {
                found: name.clone(),
                nearest: nearest_section_or_key(name, &sections),
            });
            continue;
        };
        for key in value.as_table().into_iter().flat_map(toml::Table::keys) {
            if !known.contains(&key.as_str()) {
                unknown.push(UnknownKey {
                    found: format!("{name}.{key}"),
                    nearest: nearest_key(name, key, known, &sections),
                });
            }
        }
    }
    unknown.sort_by(|a, b| a.found.cmp(&b.found));
    unknown
}

/// A top-level name may be a misspelt section, or a key written outside its section.
fn nearest_section_or_key(
    name: &str,
    sections: &[(&'static str, Vec<&'static str>)],
) -> Option<String> {
    exact_elsewhere(name, sections).or_else(|| {
        nearest(name, sections.iter().map(|(section, _)| *section)).map(ToOwned::to_owned)
    })
}

/// The same key in another section wins over a similar one in this section.
fn nearest_key(
    section: &str,
    key: &str,
    known: &[&'static str],
    sections: &[(&'static str, Vec<&'static str>)],
) -> Option<String> {
    exact_elsewhere(key, sections)
        .or_else(|| nearest(key, known.iter().copied()).map(|k| format!("{section}.{k}")))
}

fn exact_elsewhere(key: &str, sections: &[(&'static str, Vec<&'static str>)]) -> Option<String> {
    sections
        .iter()
        .find(|(_, keys)| keys.contains(&key))
        .map(|(section, _)| format!("{section}.{key}"))
}

/// The field names that the derived `Deserialize` of a struct asks for.
fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(FieldRecorder { fields: &mut fields });
    fields
}

/// Records the field list and then refuses to give a value.
struct FieldRecorder<'a> {
    fields: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for FieldRecorder<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only the field names are read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.fields = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_know_their_fields() {
        for (name, fields) in sections() {
            assert!(!fields.is_empty(), "{name}");
        }
        assert!(fields_of::<TrainSection>().contains(&"gradient_accumulation_steps"));
    }

    #[test]
    fn a_key_outside_its_section_is_recognised() {
        let table: toml::Table = "learning_rate = 1.0\n[lora]\nseed = 3".parse().unwrap();
        let unknown = unknown_keys(&table, |_| false);
        assert_eq!(unknown[0].nearest.as_deref(), Some("train.learning_rate"));
        assert_eq!(unknown[1].nearest.as_deref(), Some("train.seed"));
    }
}
