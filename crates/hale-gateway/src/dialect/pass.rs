//! The way through for a provider that speaks the client's own dialect.
//!
//! Guarantees: every field goes on byte by byte, known or not, but for the name of the model and the wish for usage;
//! a field that stands there twice is refused, since two readers could take either.
//! Leaves to others: whether the body may pass at all ([`Dialect::read`]).
//! Read next: [`super::ask`].

use super::Dialect;
use super::ask::BadAsk;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

impl Dialect {
    /// The client's body with the name that the provider has for the model. A chat stream is made to tell its usage.
    ///
    /// # Errors
    /// [`BadAsk`] if the body is no JSON object, or has a field twice.
    pub fn pass(self, body: &[u8], model: &str) -> Result<Vec<u8>, BadAsk> {
        let Entries(entries) = serde_json::from_slice(body)
            .map_err(|error| BadAsk { field: None, message: format!("the body is not JSON: {error}") })?;
        let streams = entries.iter().any(|(key, raw)| key == "stream" && raw.get() == "true");
        let counts = self == Self::OpenAiChat && streams;
        let mut out = vec![b'{'];
        entry("model", &Value::from(model).to_string(), &mut out);
        let mut options = Map::new();
        for (at, (key, raw)) in entries.iter().enumerate() {
            if entries[..at].iter().any(|(known, _)| known == key) {
                return Err(BadAsk::at(key.as_str(), "stands there twice"));
            }
            match key.as_str() {
                "model" => {}
                "stream_options" if counts => options = serde_json::from_str(raw.get()).unwrap_or_default(),
                _ => entry(key, raw.get(), &mut out),
            }
        }
        if counts {
            options.insert("include_usage".into(), Value::Bool(true));
            entry("stream_options", &Value::Object(options).to_string(), &mut out);
        }
        out.push(b'}');
        Ok(out)
    }
}

fn entry(key: &str, json: &str, out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend(Value::from(key).to_string().into_bytes());
    out.push(b':');
    out.extend_from_slice(json.as_bytes());
}

/// The fields of an object in their order, unread.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entries<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
