//! Front matter as a tree in which every key and value knows where it stands.
//!
//! Guarantees: bounded nodes and depth; no aliases, merge keys or tags; no duplicate keys; positions are bytes of
//! the whole file. Leaves the meaning of keys to [`super::parse`].
//! Read next: [`super::parse`].

use super::error::{Flaw, Span};
use crate::limits;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};
use std::fmt;
use toml::de::{DeTable, DeValue};

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands.
    pub at: Span,
    pub node: Node,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Value {
    /// What it is, for messages.
    pub fn described(&self) -> String {
        match self {
            Value::Null => "empty".to_owned(),
            Value::Bool(truth) => format!("the truth value {truth}"),
            Value::Int(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::Text(text) => format!("the text {:?}", clipped(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// The same value in JSON; none for a number that JSON cannot hold.
    pub fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(number) => Json::from(i64::try_from(*number).ok()?),
            Value::Float(number) => Json::Number(serde_json::Number::from_f64(*number)?),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(nodes) => {
                Json::Array(nodes.iter().map(|node| node.value.json()).collect::<Option<_>>()?)
            }
            Value::Map(entries) => {
                let pairs = entries.iter().map(|entry| Some((entry.key.clone(), entry.node.value.json()?)));
                Json::Object(pairs.collect::<Option<_>>()?)
            }
        })
    }
}

/// At most forty letters of a text, for messages.
pub(super) fn clipped(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Where and how a YAML text could not be read.
pub(super) struct YamlFlaw {
    pub flaw: Flaw,
    /// Bad grammar, in contrast to what is well formed but refused.
    pub syntax: bool,
}

/// Reads YAML that begins at byte `base` of the file.
pub(super) fn yaml(text: &str, base: usize) -> Result<Vec<Entry>, YamlFlaw> {
    // Only blanks and comments: an empty map, as a person would read it.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let root: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| yaml_flaw(error.without_snippet(), text, base))?;
    let node = placed(root, base, text);
    match node.value {
        Value::Map(entries) => Ok(entries),
        other => {
            let flaw = Flaw {
                at: node.at,
                message: format!("the front matter is {}, not keys with values", other.described()),
                label: "expected `key: value`".to_owned(),
                help: "write for example `name: my-pack`".to_owned(),
            };
            Err(YamlFlaw { flaw, syntax: false })
        }
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: limits::PACK_NODES,
            // A node is at most three events, and a document has a few of its own.
            max_events: limits::PACK_NODES * 3 + 16,
            max_depth: limits::PACK_DEPTH,
            flow_nesting_limit: limits::PACK_DEPTH,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_documents: 1,
            max_total_scalar_bytes: limits::PACK_BYTES,
            max_total_comment_bytes: limits::PACK_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// A value as the parser hands it over, with the places of what is in it.
#[derive(Debug)]
enum Raw {
    Leaf(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Null))
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Null))
    }
    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Raw, D::Error> {
        Raw::deserialize(input)
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Bool(truth)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Int(number.into())))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Int(number.into())))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Float(number)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Text(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}

fn placed(raw: Spanned<Raw>, base: usize, text: &str) -> Node {
    let at = span(raw.referenced, base, text);
    let value = match raw.value {
        Raw::Leaf(value) => value,
        Raw::List(nodes) => Value::List(nodes.into_iter().map(|node| placed(node, base, text)).collect()),
        Raw::Map(pairs) => {
            let entries = pairs.into_iter().map(|(key, node)| Entry {
                at: span(key.referenced, base, text),
                key: key.value,
                node: placed(node, base, text),
            });
            Value::Map(entries.collect())
        }
    };
    Node { at, value }
}

/// The bytes of the file that a location means; at least the place, if its length is not known.
fn span(location: Location, base: usize, text: &str) -> Span {
    let by_line = || {
        let line = usize::try_from(location.line()).unwrap_or(1).max(1);
        let begin: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let column = usize::try_from(location.column()).unwrap_or(1).max(1);
        begin + text[begin..].chars().take(column - 1).map(char::len_utf8).sum::<usize>()
    };
    let of = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let from = of(location.span().byte_offset()).unwrap_or_else(by_line).min(text.len());
    let length = of(location.span().byte_len()).unwrap_or(0);
    let to = (from + length).min(text.len());
    // A block or a text over many lines is pointed at by its first line.
    let first_line = text.get(from..to).and_then(|part| part.find('\n')).map_or(to, |length| from + length);
    base + from..base + first_line
}

fn yaml_flaw(error: &serde_saphyr::Error, text: &str, base: usize) -> YamlFlaw {
    use serde_saphyr::Error as Yaml;
    let at = error.location().map_or(base..base, |location| span(location, base, text));
    let (message, label, help, syntax) = match error {
        Yaml::DuplicateMappingKey { key, .. } => (
            format!("key `{}` stands twice", clipped(key.as_deref().unwrap_or("?"))),
            "the second one".to_owned(),
            "keep one of the two and remove the other".to_owned(),
            false,
        ),
        Yaml::Budget { breach, .. } => {
            let Breach { message, label, help } = breach_words(breach);
            (message, label, help, false)
        }
        Yaml::UnknownAnchor { .. } => {
            let Breach { message, label, help } = breach_words(&BudgetBreach::Aliases { aliases: 1 });
            (message, label, help, false)
        }
        Yaml::UnsupportedTag { .. } => (
            "YAML tags are refused in a pack".to_owned(),
            "a tag".to_owned(),
            "remove the `!` word and write the plain value".to_owned(),
            false,
        ),
        Yaml::MultipleDocuments { .. } => (
            "the front matter holds more than one YAML document".to_owned(),
            "here the second begins".to_owned(),
            "keep one block between the two `---` lines".to_owned(),
            false,
        ),
        // The scanner has a bound of its own, before the budget sees the depth.
        other if other.to_string().contains("recursion limit") => {
            let Breach { message, label, help } =
                breach_words(&BudgetBreach::Depth { depth: limits::PACK_DEPTH });
            (message, label, help, false)
        }
        other => (
            format!("the front matter is not YAML: {}", grammar_words(other)),
            "here reading stopped".to_owned(),
            "write `key: value`, one a line; put text with `: `, `#` or brackets in quotes".to_owned(),
            true,
        ),
    };
    YamlFlaw { flaw: Flaw { at, message, label, help }, syntax }
}

/// The parser's own words in one line, without the place, which we show ourselves.
fn grammar_words(error: &serde_saphyr::Error) -> String {
    let words = error.to_string();
    let line = words.lines().next().unwrap_or_default();
    let line = line.find(" at line ").map_or(line, |end| &line[..end]);
    let line =
        line.split_once(": ").filter(|(head, _)| head.starts_with("line ")).map_or(line, |(_, tail)| tail);
    line.chars().take(200).collect()
}

struct Breach {
    message: String,
    label: String,
    help: String,
}

fn breach_words(breach: &BudgetBreach) -> Breach {
    let (message, label, help) = match breach {
        BudgetBreach::Depth { .. } => (
            format!("the front matter is nested deeper than {} levels", limits::PACK_DEPTH),
            "one level too deep",
            "make it flatter; no key of a pack needs more than four levels",
        ),
        BudgetBreach::Anchors { .. }
        | BudgetBreach::Aliases { .. }
        | BudgetBreach::AliasAnchorRatio { .. } => (
            "YAML anchors and aliases are refused in a pack".to_owned(),
            "refused",
            "write the value out; quote text that begins with `&` or `*`",
        ),
        BudgetBreach::MergeKeys { .. } => (
            "YAML merge keys are refused in a pack".to_owned(),
            "refused",
            "write the keys out instead of `<<`",
        ),
        _ => (
            format!("the front matter holds more than {} values", limits::PACK_NODES),
            "here it is one too many",
            "keep data out of the front matter; a run gets it as input or from a file",
        ),
    };
    Breach { message, label: label.to_owned(), help: help.to_owned() }
}

/// Reads a whole TOML file.
pub(super) fn toml(text: &str) -> Result<Vec<Entry>, Flaw> {
    let table = DeTable::parse(text).map_err(|error| {
        let words = error.message().lines().next().unwrap_or_default();
        let help = match words {
            "duplicate key" => "keep one of the two and remove the other",
            _ => "write `key = \"value\"`; every text stands in quotes",
        };
        Flaw {
            at: error.span().unwrap_or(0..0),
            message: format!("the file is not TOML: {words}"),
            label: "here reading stopped".to_owned(),
            help: help.to_owned(),
        }
    })?;
    let at = table.span();
    let mut left = limits::PACK_NODES;
    match toml_node(DeValue::Table(table.into_inner()), at, &mut left, 0)?.value {
        Value::Map(entries) => Ok(entries),
        _ => Ok(Vec::new()),
    }
}

fn toml_node(value: DeValue<'_>, at: Span, left: &mut usize, depth: usize) -> Result<Node, Flaw> {
    let refused = |breach: BudgetBreach| {
        let Breach { message, label, help } = breach_words(&breach);
        Flaw { at: at.clone(), message, label, help }
    };
    *left = left.checked_sub(1).ok_or_else(|| refused(BudgetBreach::Nodes { nodes: limits::PACK_NODES }))?;
    if depth > limits::PACK_DEPTH {
        return Err(refused(BudgetBreach::Depth { depth }));
    }
    let value = match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i128::from_str_radix(&digits, number.radix()).map_or(Value::Text(digits), Value::Int)
        }
        DeValue::Float(number) => {
            let digits = number.as_str().replace('_', "");
            digits.parse().map_or(Value::Text(digits), Value::Float)
        }
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Datetime(moment) => Value::Text(moment.to_string()),
        DeValue::Array(nodes) => {
            let nodes = nodes.into_iter().map(|node| {
                let at = node.span();
                toml_node(node.into_inner(), at, left, depth + 1)
            });
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let entries = table.into_iter().map(|(key, node)| {
                let (key_at, at) = (key.span(), node.span());
                let node = toml_node(node.into_inner(), at, left, depth + 1)?;
                Ok(Entry { key: key.into_inner().into_owned(), at: key_at, node })
            });
            let mut entries = entries.collect::<Result<Vec<_>, Flaw>>()?;
            // The table is sorted by name; the order of the file is what its author meant.
            entries.sort_by_key(|entry| entry.at.start);
            Value::Map(entries)
        }
    };
    Ok(Node { at, value })
}
