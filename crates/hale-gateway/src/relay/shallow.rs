//! The top level of a JSON object; its values stay the bytes that they were.
//!
//! Guarantees: what is not changed comes out byte for byte; a name that stands twice is refused, since two readers
//! could take different ones.
//! Read next: [`super`].

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Why a body is not taken: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadBody {
    /// The field, if it is about one.
    pub field: Option<String>,
    pub message: String,
}

impl BadBody {
    pub fn of(field: &str, message: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), message: message.into() }
    }
}

/// The fields of a body in their order.
#[derive(Debug)]
pub struct Shallow<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Shallow<'a> {
    /// Reads a body that must be one JSON object.
    ///
    /// # Errors
    /// It is none, or names a field twice.
    pub fn read(body: &'a [u8]) -> Result<Self, BadBody> {
        serde_json::from_slice(body).map_err(|error| BadBody {
            field: None,
            message: format!("read the body as a JSON object: {error}"),
        })
    }

    /// The bytes of a value; null is as if it were not there.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.fields.iter().find(|(known, _)| known == name)?;
        Some(value.get()).filter(|value| *value != "null")
    }

    /// A value as this type.
    ///
    /// # Errors
    /// It is of another.
    pub fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, BadBody> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        match serde_json::from_str(raw) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(BadBody::of(name, format!("read `{name}`: {error}"))),
        }
    }

    /// The body with these values instead, each as JSON; a field that was not there comes last.
    pub fn with(&self, changes: &[(&str, &str)]) -> Vec<u8> {
        let most: usize = self.fields.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
        let mut body = Vec::with_capacity(most + 128);
        let kept = self.fields.iter().map(|(name, value)| {
            let change = changes.iter().find(|(changed, _)| changed == name);
            (name.as_ref(), change.map_or(value.get(), |(_, value)| value))
        });
        let new = changes.iter().filter(|(name, _)| !self.fields.iter().any(|(known, _)| known == name));
        for (n, (name, value)) in kept.chain(new.copied()).enumerate() {
            body.push(if n == 0 { b'{' } else { b',' });
            // A name that could be read can be written.
            let _ = serde_json::to_writer(&mut body, name);
            body.push(b':');
            body.extend_from_slice(value.as_bytes());
        }
        if body.is_empty() {
            body.push(b'{');
        }
        body.push(b'}');
        body
    }
}

impl<'de> Deserialize<'de> for Shallow<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Shallow<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Shallow<'de>, M::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
                while let Some(Name(name)) = map.next_key()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(M::Error::custom(format_args!("the field `{name}` stands twice")));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Shallow { fields })
            }
        }
        input.deserialize_map(Fields)
    }
}

/// A name that is borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        input.deserialize_str(Text)
    }
}
