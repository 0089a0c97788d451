//! How large a value may be that a template gives a name.
//!
//! A list that holds another twice takes no room, but its text doubles with every level, and so does the time to compare
//! it. Every loop that builds such a value has to name it, which is where it is measured.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// Levels of lists and dicts inside each other: as many as JSON has here.
const MAX_DEPTH: usize = 128;
/// Values inside a value, each as often as it is seen from above.
const MAX_ITEMS: usize = 1_000_000;
/// Bytes of the texts inside a value.
const MAX_BYTES: usize = 64 << 20;

/// The value, unless it is too large; what would be made item by item later is a list now.
pub(crate) fn kept(
    state: &State<'_, '_>,
    value: Value,
    attribute: Option<bool>,
) -> Result<Value, Error> {
    if !is_container(&value) {
        return Ok(value);
    }
    let value = match value.kind() {
        ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter()? {
                state.consume_fuel(1)?;
                items.push(item);
            }
            Value::from(items)
        }
        _ => value,
    };
    let mut size = Size { items: 0, bytes: 0 };
    // A namespace inside itself would never end.
    size.add(&value, 0, attribute.unwrap_or(false))?;
    state.consume_fuel((size.items / 64) as u64)?;
    Ok(value)
}

fn is_container(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
}

fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with("Namespace"))
}

struct Size {
    items: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, value: &Value, depth: usize, inside: bool) -> Result<(), Error> {
        let too = |what| Err(Error::new(ErrorKind::InvalidOperation, what));
        self.items += 1;
        self.bytes += value.as_str().map_or(0, str::len);
        if self.items > MAX_ITEMS || self.bytes > MAX_BYTES {
            return too(format!(
                "a value has more than {MAX_ITEMS} items or {MAX_BYTES} bytes of text inside; \
                 no conversation needs that"
            ));
        }
        if !is_container(value) {
            return Ok(());
        }
        if depth >= MAX_DEPTH {
            return too(format!("a value is nested in more than {MAX_DEPTH} levels"));
        }
        if inside && is_namespace(value) {
            return too("a namespace cannot be kept inside a value".to_owned());
        }
        for item in value.try_iter()? {
            if value.kind() == ValueKind::Map {
                self.add(&value.get_item(&item)?, depth + 1, true)?;
            }
            self.add(&item, depth + 1, true)?;
        }
        Ok(())
    }
}
