//! Embeddings of the simulated server: numbers out of a hash, the same for the same text, and of no meaning.
//!
//! Read next: [`super::http`].

use base64::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers of a vector; enough to tell texts apart.
const DIMENSIONS: usize = 32;
/// Texts of one request, as OpenAI takes them.
const TEXTS_MAX: usize = 2048;

#[derive(Deserialize)]
pub(super) struct Asked {
    pub model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Encoding,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

/// The answer, or what is wrong with the question.
pub(super) fn answer(asked: Asked, seed: u64) -> Result<Value, String> {
    let texts = match asked.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > TEXTS_MAX {
        return Err(format!("input must hold 1 to {TEXTS_MAX} texts"));
    }
    let data = texts.iter().enumerate().map(|(index, text)| {
        let vector = vector(text, seed);
        let embedding = match asked.encoding_format {
            Encoding::Float => json!(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            }
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let data: Vec<Value> = data.collect();
    let tokens = texts.iter().map(|text| text.len().div_ceil(4)).sum::<usize>();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(json!({"object": "list", "model": asked.model, "data": data, "usage": usage}))
}

/// Of length one.
fn vector(text: &str, seed: u64) -> Vec<f32> {
    let numbers = (0..DIMENSIONS).map(|place| {
        let mut hasher = DefaultHasher::new();
        (seed, place, text).hash(&mut hasher);
        (hasher.finish() >> 40) as f32 / (1 << 24) as f32 - 0.5
    });
    let numbers: Vec<f32> = numbers.collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter().map(|number| number / length).collect()
}
