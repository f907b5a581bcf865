//! One model asked once: the request in its dialect, and the beginning of its answer in the client's.
//!
//! Guarantees: where both sides speak one dialect, bytes are passed on as they came; whatever goes wrong before the first
//! byte is a [`Lost`] attempt, and nothing of it is let out.
//! Read next: [`super::stream`].

use super::flow::Flow;
use super::frames::{Frames, Rules, Tokens};
use super::settle::Settle;
use super::shallow::Shallow;
use super::stream::Stream;
use super::translated::{Telling, Translated};
use super::{Answer, Endpoint, Head, Incoming};
use crate::call::Gateway;
use crate::dialect::ask::BadAsk;
use crate::dialect::reader::read_whole;
use crate::dialect::{About, Dialect};
use crate::error::{Error, Said};
use crate::openai::assembly::Flaw;
use crate::openai::{reading, refusal};
use crate::provider::Usage;
use crate::site::{Call, Site};
use crate::stats::CallRecord;
use bytes::Bytes;
use hale_core::id::CallId;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};

/// The longest whole answer: images come as text within it.
const WHOLE_BYTES_MAX: usize = 32 << 20;
/// What a client may see of the answer's own headers; they tell of limits and of the provider's id.
const PASSED_ON: [&str; 3] = ["openai-processing-ms", "openai-version", "openai-model"];
const PASSED_ON_BEGINNINGS: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];

/// An attempt that came to nothing.
pub(super) struct Lost {
    pub error: Error,
    /// The provider's own words, where the client may hear them.
    pub said: Option<(u16, Bytes)>,
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self { error, said: None }
    }
}

/// One model asked once.
pub(super) struct Attempt<'a> {
    pub gateway: &'a Gateway,
    pub incoming: &'a Incoming,
    /// As `provider/model`.
    pub full: &'a str,
    /// Attempts before.
    pub failed: usize,
    pub id: CallId,
}

/// What is sent, and how its answer is read.
struct Sending {
    body: Vec<u8>,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Both speak this.
    Same(Rules),
    /// The provider speaks this.
    Other(Dialect),
}

impl Attempt<'_> {
    pub(super) async fn run(&self, settle: &mut Settle) -> Result<Answer, Lost> {
        let begun = Instant::now();
        let answer = self.ask(settle).await;
        self.note(begun, answer.as_ref().err().map(|lost| &lost.error));
        answer
    }

    /// For the evidence about providers, which looks at attempts.
    fn note(&self, begun: Instant, error: Option<&Error>) {
        let primary = &self.incoming.route.primary;
        self.gateway.stats().record(CallRecord {
            at: (self.gateway.clock)(),
            model: self.full.to_owned(),
            provider: self.full.split_once('/').map_or(self.full, |(provider, _)| provider).to_owned(),
            cause: error.map(|error| error.cause().to_owned()),
            status: error.and_then(Error::http_status),
            latency: begun.elapsed().into(),
            retry_after: error.and_then(Error::retry_after),
            instead_of: (self.full != primary).then(|| primary.clone()),
        });
    }

    async fn ask(&self, settle: &mut Settle) -> Result<Answer, Lost> {
        let target = self.gateway.target(self.full)?;
        let Some(site) = target.provider.site() else { return Err(self.gateway.unknown(self.full).into()) };
        let call = site.call(&target.model)?;
        let Sending { body, way } = self.sending(site, &call)?;
        let url = site.below(self.incoming.endpoint.path(site.speaks));
        let mut post = site.client(&url)?.post(url).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in self.headers() {
            post = post.header(name, value);
        }
        let first = self.incoming.deadline.min(call.begun + site.timeouts.first_chunk);
        let response = match timeout_at(first, site.send(post, &call)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(call.timeout().into()),
        };
        if !response.status().is_success() {
            return Err(refused_with_words(response, &call, way).await);
        }
        let head = self.head(&response);
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        match (way, kind.starts_with(b"application/json")) {
            (Way::Same(_), is_json) if is_json || !self.incoming.look.streamed => {
                let body = read(response, &call, first).await?;
                let usage = whole_usage(&body, self.incoming).map_err(|flaw| call.flaw(flaw))?;
                Ok(self.whole((body.into(), usage), head, settle))
            }
            (Way::Same(rules), _) => {
                let flow = Flow::Same(Frames::new(rules, self.incoming.look.tells_usage));
                let stream = self.stream(response, flow, (site, call));
                self.streamed(stream, (head, first), settle).await
            }
            (Way::Other(dialect), is_json) => {
                let mut translated = self.translated(dialect);
                if is_json {
                    let body = read(response, &call, first).await?;
                    let events = read_whole(dialect, &body);
                    let events = events.map_err(|flaw| call.garbled(flaw))?;
                    let told = translated.whole(events).map_err(|flaw| call.flaw(flaw))?;
                    let told = match self.incoming.look.streamed {
                        true => told,
                        false => translated.told().map_err(|flaw| call.flaw(flaw))?,
                    };
                    return Ok(self.whole((told, translated.usage), head, settle));
                }
                let stream = self.stream(response, Flow::Other(Box::new(translated)), (site, call));
                self.streamed(stream, (head, first), settle).await
            }
        }
    }

    fn translated(&self, from: Dialect) -> Translated {
        let about = About {
            id: self.id.to_string(),
            model: self.incoming.look.model.clone(),
            created_s: (self.gateway.clock)().0 / 1000,
            include_usage: self.incoming.look.tells_usage,
        };
        let telling = if self.incoming.look.streamed { Telling::Pieces } else { Telling::Whole };
        Translated::new((from, self.incoming.dialect), about, telling)
    }

    fn stream(&self, response: Response, flow: Flow, (site, call): (&Site, Call<'_>)) -> Stream {
        Stream::new(response, flow, (self.incoming, self.full), site.timeouts, call)
    }

    async fn streamed(
        &self,
        mut stream: Stream,
        (head, first): (Head, Instant),
        settle: &mut Settle,
    ) -> Result<Answer, Lost> {
        stream.begin(first).await?;
        if self.incoming.look.streamed {
            stream.settle = Some(settle.served_by(self.full));
            return Ok(Answer::Stream { stream: Box::new(stream), head });
        }
        Ok(self.whole(stream.whole().await?, head, settle))
    }

    fn whole(&self, (body, usage): (Bytes, Option<Usage>), head: Head, settle: &mut Settle) -> Answer {
        let mut settle = settle.served_by(self.full);
        settle.first_byte();
        if let Some(record) = &mut settle.call {
            record.usage = usage;
        }
        settle.answered();
        Answer::Whole { body, head }
    }

    /// The client's own bytes where the provider speaks its dialect, else what they say in the provider's.
    fn sending(&self, site: &Site, call: &Call<'_>) -> Result<Sending, Error> {
        let (ours, theirs) = (self.incoming.dialect, site.speaks.dialect());
        let same_version = site.speaks.version().is_none_or(|version| version == self.incoming.version);
        let rules = match ours {
            Dialect::OpenAiChat if ours == theirs => Some(Rules::OpenAi),
            Dialect::Anthropic if ours == theirs && same_version => Some(Rules::Anthropic),
            _ => None,
        };
        if let Some(rules) = rules {
            return Ok(Sending { body: self.body(call.model, rules), way: Way::Same(rules) });
        }
        if self.incoming.endpoint != Endpoint::Chat {
            let path = self.incoming.endpoint.path(site.speaks);
            return Err(cannot(call, &format!("providers of its dialect have no {path}")));
        }
        let unsaid =
            |bad: BadAsk| cannot(call, format!("{} {}", bad.field.unwrap_or_default(), bad.message).trim());
        let mut ask = ours.read(&self.incoming.body, self.incoming.version).map_err(unsaid)?;
        // Always in pieces, so that silence is noticed and a client that left is too.
        (ask.stream, ask.include_usage) = (true, true);
        let version = site.speaks.version().unwrap_or_default();
        let written = theirs.write(&ask, call.model, version).map_err(unsaid)?;
        Ok(Sending { body: written.body, way: Way::Other(theirs) })
    }

    /// The client's own bytes with the provider's name of the model, and a wish for the usage.
    fn body(&self, model: &str, rules: Rules) -> Vec<u8> {
        let Ok(body) = Shallow::read(&self.incoming.body) else { return self.incoming.body.to_vec() };
        let model = serde_json::Value::from(model).to_string();
        let mut changes = vec![("model", model.as_str())];
        let options;
        if rules == Rules::OpenAi && self.incoming.look.streamed && !self.incoming.look.tells_usage {
            let given = body.raw("stream_options").and_then(|raw| Shallow::read(raw.as_bytes()).ok());
            options = match given {
                Some(given) => {
                    String::from_utf8_lossy(&given.with(&[("include_usage", "true")])).into_owned()
                }
                None => r#"{"include_usage":true}"#.to_owned(),
            };
            changes.push(("stream_options", &options));
        }
        body.with(&changes)
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let pairs = [
            ("x-correlation-id", Some(&self.incoming.correlation_id)),
            ("traceparent", self.incoming.traceparent.as_ref()),
        ];
        pairs.into_iter().filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(value?).ok()?))
        })
    }

    fn head(&self, response: &Response) -> Head {
        let may = |name: &HeaderName| {
            PASSED_ON.contains(&name.as_str())
                || PASSED_ON_BEGINNINGS.iter().any(|beginning| name.as_str().starts_with(beginning))
        };
        let headers = response.headers().iter().filter(|(name, _)| may(name));
        Head {
            call: self.id,
            served_by: self.full.to_owned(),
            failed_attempts: self.failed,
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

/// The provider cannot be asked for this at all.
fn cannot(call: &Call<'_>, why: &str) -> Error {
    let (provider, model) = call.names();
    Error::BadRequest { provider, model, status: 400, source: Said(why.to_owned()) }
}

async fn read(response: Response, call: &Call<'_>, limit: Instant) -> Result<Vec<u8>, Error> {
    match timeout_at(limit, reading::read_bounded(response, WHOLE_BYTES_MAX)).await {
        Ok(read) => read.map_err(|source| call.cut(Some(source))),
        Err(_) => Err(call.timeout()),
    }
}

/// Whether a whole answer is one, and what it cost.
fn whole_usage(body: &[u8], incoming: &Incoming) -> Result<Option<Usage>, Flaw> {
    let flawed = |source| Flaw::Json { part: refusal::excerpt(body), source };
    let answer: Shallow<'_> = serde_json::from_slice(body).map_err(flawed)?;
    if let Some(error) = answer.raw("error") {
        return Err(Flaw::Reported(serde_json::from_str(error).map_err(flawed)?));
    }
    if answer.raw(incoming.endpoint.answer(incoming.dialect)).is_none() {
        return Err(Flaw::Unfinished);
    }
    let usage: Option<Tokens> = answer.get("usage").unwrap_or(None);
    Ok(usage.map(Tokens::usage))
}

async fn refused_with_words(response: Response, call: &Call<'_>, way: Way) -> Lost {
    let status = response.status().as_u16();
    let (error, body) = reading::refused_with_body(response, call).await;
    let is_about_the_request = matches!(error, Error::BadRequest { .. });
    // Words that hold a part of our key are not passed on; what is no JSON is nobody's dialect.
    let clean = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok()
        && call.key.as_ref().is_none_or(|key| !String::from_utf8_lossy(&body).contains(key.reveal()));
    let said = (is_about_the_request && clean && matches!(way, Way::Same(_))).then(|| (status, body.into()));
    Lost { error, said }
}
