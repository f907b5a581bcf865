//! What input a run of a pack takes.
//!
//! Guarantees: an input that passes has every declared field with its declared type and nothing else. A pack that
//! declares no `input:` takes any object.
//! Read next: [`super::parse`].

use crate::nearest::nearest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    String,
    Integer,
    Number,
    Boolean,
    Object,
    Array,
    Any,
}

impl FieldType {
    pub const ALL: [FieldType; 7] = {
        use FieldType::*;
        [String, Integer, Number, Boolean, Object, Array, Any]
    };

    pub const fn name(self) -> &'static str {
        match self {
            FieldType::String => "string",
            FieldType::Integer => "integer",
            FieldType::Number => "number",
            FieldType::Boolean => "boolean",
            FieldType::Object => "object",
            FieldType::Array => "array",
            FieldType::Any => "any",
        }
    }

    /// Whether a value is of this type. As in JSON Schema, 3.0 is an integer and no truth value is a number.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            FieldType::String => value.is_string(),
            FieldType::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            FieldType::Number => value.is_number(),
            FieldType::Boolean => value.is_boolean(),
            FieldType::Object => value.is_object(),
            FieldType::Array => value.is_array(),
            FieldType::Any => true,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FieldType {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// One field of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: FieldType,
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The fields that a run's input may have, in the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputSchema {
    pub fields: Vec<Field>,
    /// No `input:` in the pack: any object will do.
    pub open: bool,
}

impl Default for InputSchema {
    fn default() -> Self {
        Self { fields: Vec::new(), open: true }
    }
}

/// The field of an input that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("input {problem}; expected {expected}")]
pub struct InputError {
    /// Empty when the input as a whole does not fit.
    pub field: String,
    /// For example ``lacks `name` ``.
    pub problem: String,
    pub expected: String,
    /// The declared name that was probably meant.
    pub suggestion: Option<String>,
}

impl InputSchema {
    /// Checks an input and fills in the defaults; `null` stands for an empty input.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self, input: &Value) -> Result<Value, InputError> {
        let given = match input {
            Value::Null => Map::new(),
            Value::Object(given) => given.clone(),
            other => {
                let problem = format!("is {}", described(other));
                return Err(InputError {
                    field: String::new(),
                    problem,
                    expected: self.words(),
                    suggestion: None,
                });
            }
        };
        if self.open {
            return Ok(Value::Object(given));
        }
        if let Some(unknown) = given.keys().find(|name| self.field(name).is_none()) {
            return Err(self.unknown(unknown, &given));
        }
        let mut full = Map::new();
        for field in &self.fields {
            let value =
                given.get(&field.name).filter(|value| !value.is_null() || field.kind == FieldType::Any);
            match value.or(field.default.as_ref()) {
                Some(value) if field.kind.takes(value) => {
                    full.insert(field.name.clone(), value.clone());
                }
                Some(value) => {
                    return Err(field.misfit(format!("`{}` is {}", field.name, described(value))));
                }
                None if field.required => return Err(field.misfit(format!("lacks `{}`", field.name))),
                None => {}
            }
        }
        Ok(Value::Object(full))
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The value that a word of the command line means (`--input n=3`), by the declared type.
    ///
    /// A word that does not fit stays text, so that [`InputSchema::check`] names it.
    pub fn typed(&self, name: &str, word: &str) -> Value {
        let text = || Value::String(word.to_owned());
        match self.field(name).map(|field| field.kind) {
            Some(FieldType::String) => text(),
            Some(FieldType::Any) | None => match serde_json::from_str(word) {
                Ok(value @ (Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_))) => value,
                _ => text(),
            },
            Some(kind) => {
                serde_json::from_str(word).ok().filter(|value| kind.takes(value)).unwrap_or_else(text)
            }
        }
    }

    /// The schema in the form in which models are told of it.
    pub fn json_schema(&self) -> Value {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), Value::from("object"));
        let fields = self.fields.iter().map(|field| (field.name.clone(), field.json_schema()));
        schema.insert("properties".to_owned(), Value::Object(fields.collect()));
        let required = self.fields.iter().filter(|field| field.required && field.default.is_none());
        let required: Vec<Value> = required.map(|field| Value::from(field.name.as_str())).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
        schema.insert("additionalProperties".to_owned(), Value::Bool(self.open));
        Value::Object(schema)
    }

    fn unknown(&self, name: &str, given: &Map<String, Value>) -> InputError {
        // A field that the input already has is not what a misspelt one meant.
        let free =
            self.fields.iter().map(|field| field.name.as_str()).filter(|name| !given.contains_key(*name));
        let suggestion = nearest(name, free).map(str::to_owned);
        let mut problem = format!("has an unknown field `{}`", super::tree::clipped(name));
        if let Some(meant) = &suggestion {
            problem.push_str(&format!(", did you mean `{meant}`?"));
        }
        InputError { field: name.to_owned(), problem, expected: self.words(), suggestion }
    }

    /// The declared fields in one line: `an object with name (string), n (integer, default 3)`.
    fn words(&self) -> String {
        if self.open {
            return "an object".to_owned();
        }
        if self.fields.is_empty() {
            return "an object without fields".to_owned();
        }
        let fields: Vec<String> = self.fields.iter().map(Field::words).collect();
        format!("an object with {}", fields.join(", "))
    }
}

impl Field {
    fn json_schema(&self) -> Value {
        let mut schema = Map::new();
        if self.kind != FieldType::Any {
            schema.insert("type".to_owned(), Value::from(self.kind.name()));
        }
        if let Some(description) = &self.description {
            schema.insert("description".to_owned(), Value::from(description.as_str()));
        }
        if let Some(default) = &self.default {
            schema.insert("default".to_owned(), default.clone());
        }
        Value::Object(schema)
    }

    fn misfit(&self, problem: String) -> InputError {
        InputError { field: self.name.clone(), problem, expected: self.words(), suggestion: None }
    }

    fn words(&self) -> String {
        match (&self.default, self.required) {
            (Some(default), _) => format!("{} ({}, default {default})", self.name, self.kind),
            (None, true) => format!("{} ({})", self.name, self.kind),
            (None, false) => format!("{} ({}, optional)", self.name, self.kind),
        }
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("the truth value {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {:?}", super::tree::clipped(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
