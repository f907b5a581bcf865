//! A value of JSON under the guard: its texts, its numbers and its names, so that it stays JSON.
//!
//! Guarantees: a value behind a name is looked at as behind `name=`, so that `{"password": "…"}` is found; a number
//! that is found becomes a text. Nothing of a value is kept after a block.
//! Leaves texts to [`super::stream`].

use super::{Filter, Found, Policy};
use serde_json::{Map, Value};

/// What of a name is looked at.
const NAME_MAX: usize = 48;

/// Puts what may pass in the place of `value`; tells what was found, and whether something forbids it all.
pub fn clean(value: &mut Value, policy: &Policy) -> (Vec<Found>, bool) {
    if policy.allows_all() {
        return (Vec::new(), false);
    }
    let mut walk = Walk { policy, found: Vec::new(), blocked: false };
    walk.value(value, "");
    if walk.blocked {
        *value = Value::Null;
    }
    (walk.found, walk.blocked)
}

struct Walk<'a> {
    policy: &'a Policy,
    found: Vec<Found>,
    blocked: bool,
}

impl Walk<'_> {
    /// JSON is read to a depth of 128 at most, so this ends.
    fn value(&mut self, value: &mut Value, before: &str) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => {
                if let Some(other) = self.text(text, before) {
                    *text = other;
                }
            }
            Value::Number(number) => {
                if let Some(other) = self.text(&number.to_string(), before) {
                    *value = Value::String(other);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value, before)),
            Value::Object(entries) => self.entries(entries),
        }
    }

    fn entries(&mut self, entries: &mut Map<String, Value>) {
        for (name, mut value) in std::mem::take(entries) {
            let last = name.char_indices().rev().nth(NAME_MAX).map_or(0, |(at, _)| at);
            self.value(&mut value, &format!("{}=", &name[last..]));
            let name = self.text(&name, "").unwrap_or(name);
            entries.insert(name, value);
        }
    }

    /// What stands in the place of a text, if it is another.
    fn text(&mut self, text: &str, before: &str) -> Option<String> {
        let released = Filter::behind(self.policy.clone(), before).whole(text);
        self.blocked |= released.blocked;
        self.found.extend(released.found);
        (released.text != text).then_some(released.text)
    }
}
