//! Arguments as a model wrote them, read strictly.
//!
//! Every refusal names the field and what would be right, since the model reads it and tries again.
//! Read next: [`super::place`].

use crate::error::{Error, shown};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

pub(super) struct Args<'a> {
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Args<'a> {
    /// Takes an object with no other fields than these; `null` stands for an empty one.
    pub(super) fn new(value: &'a Value, known: &[&str]) -> Result<Self, Error> {
        let fields = match value {
            Value::Null => None,
            Value::Object(fields) => Some(fields),
            other => {
                let problem = format!("write an object with {}, not {}", known.join(", "), kind(other));
                return Err(Error::argument("arguments", problem));
            }
        };
        if let Some(field) =
            fields.into_iter().flat_map(Map::keys).find(|field| !known.contains(&field.as_str()))
        {
            let problem = format!("there is no such argument; there are {}", known.join(", "));
            return Err(Error::argument(&shown(field), problem));
        }
        Ok(Self { fields })
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&'a str>, Error> {
        match self.field(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::argument(field, format!("write a string, not {}", kind(other)))),
        }
    }

    pub(super) fn required(&self, field: &str) -> Result<&'a str, Error> {
        match self.text(field)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(Error::argument(field, "it is missing or empty")),
        }
    }

    /// A whole number within these bounds; models also write `5.0`.
    pub(super) fn count(&self, field: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        let Some(value) = self.field(field) else { return Ok(None) };
        let whole =
            |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        match number {
            Some(number) if bounds.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = bounds.into_inner();
                let range = if most == u64::MAX {
                    format!("from {least}")
                } else {
                    format!("from {least} to {most}")
                };
                Err(Error::argument(
                    field,
                    format!("write a whole number {range}, not {}", shown(&value.to_string())),
                ))
            }
        }
    }

    fn field(&self, field: &str) -> Option<&'a Value> {
        self.fields?.get(field).filter(|value| !value.is_null())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
