//! Fields of a request body, read with the patience that clients need.
//!
//! Guarantees: a null is as good as absent, unknown fields are skipped, and a field of the wrong type is refused with
//! its whole path.
//! Leaves to others: what a field means.
//! Read next: [`super::ask`].

use super::ask::{BadAsk, Tool, no_parameters};
use serde_json::{Map, Value};

/// An object of the body, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

/// The body as JSON.
pub(super) fn parse(body: &[u8]) -> Result<Value, BadAsk> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| BadAsk { field: None, message: format!("the body is not JSON: {error}") })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(BadAsk { field: None, message: "the body must be a JSON object".to_owned() })
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, path: impl Into<String>) -> Result<Self, BadAsk> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(BadAsk::at(path, "must be an object")),
        }
    }

    /// The path of a field in here.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A refusal of a field in here.
    pub(super) fn bad(&self, key: &str, message: impl Into<String>) -> BadAsk {
        BadAsk::at(self.at(key), message)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The object as it is.
    pub(super) fn verbatim(&self) -> Value {
        Value::Object(self.map.clone())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, BadAsk> {
        self.typed(key, "a string", Value::as_str)
    }

    pub(super) fn needed_text(&self, key: &str) -> Result<&'a str, BadAsk> {
        self.text(key)?.ok_or_else(|| self.bad(key, "is required"))
    }

    pub(super) fn owned(&self, key: &str) -> Result<Option<String>, BadAsk> {
        Ok(self.text(key)?.map(str::to_owned))
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, BadAsk> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, BadAsk> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, BadAsk> {
        self.typed(key, "a whole number", Value::as_i64)
    }

    /// A whole number from one up.
    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, BadAsk> {
        self.typed(key, "a whole number of at least 1", |value| value.as_u64().filter(|count| *count > 0))
    }

    pub(super) fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, BadAsk> {
        self.typed(key, "an array", Value::as_array)
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, BadAsk> {
        self.get(key).map(|value| Fields::of(value, self.at(key))).transpose()
    }

    pub(super) fn needed_object(&self, key: &str) -> Result<Fields<'a>, BadAsk> {
        self.object(key)?.ok_or_else(|| self.bad(key, "is required"))
    }

    /// The objects of an array; none if it is absent.
    pub(super) fn objects(&self, key: &str) -> Result<Vec<Fields<'a>>, BadAsk> {
        let list = self.list(key)?.into_iter().flatten();
        list.enumerate().map(|(at, value)| Fields::of(value, format!("{}[{at}]", self.at(key)))).collect()
    }

    /// One string, or an array of them.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, BadAsk> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(list)) => {
                let texts = list.iter().map(|value| value.as_str().map(str::to_owned));
                texts
                    .collect::<Option<_>>()
                    .ok_or_else(|| self.bad(key, "must be a string or an array of strings"))
            }
            Some(_) => Err(self.bad(key, "must be a string or an array of strings")),
        }
    }

    /// Name, description, schema and strictness of a function; the key of the schema differs.
    pub(super) fn tool(&self, schema_key: &str) -> Result<Tool, BadAsk> {
        let parameters = self.object(schema_key)?.map_or_else(no_parameters, |schema| schema.verbatim());
        Ok(Tool {
            name: self.needed_text("name")?.to_owned(),
            description: self.owned("description")?,
            parameters,
            strict: self.flag("strict")?,
        })
    }

    fn typed<T>(
        &self,
        key: &str,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, BadAsk> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.bad(key, format!("must be {what}"))),
        }
    }
}
