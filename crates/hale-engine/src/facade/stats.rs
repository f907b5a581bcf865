//! Statistics of runs: by pack, by stage, by error, and the slowest, from a bounded sample that says its size.
//!
//! Guarantees: the sample is the newest runs that fit, at most [`limits::STATS_RUNS`], and journals are read of at most
//! [`limits::STATS_JOURNALS`] of them; percentiles are values that occurred (nearest rank).
//! Read next: `hale-core/src/run/profile.rs`.

use super::Engine;
use super::runs::{blocking, list_filter};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::filter::Filter;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::profile::Profile;
use hale_core::run::{Outcome, Run, State, StateName};
use hale_core::time::{Millis, Timestamp};
use hale_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub runs: u64,
    pub journals: u64,
    /// More runs fit than were looked at: the newest were.
    pub capped: bool,
}

/// Percentiles that occurred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    pub n: u64,
    pub p50: Millis,
    pub p95: Millis,
    pub p99: Millis,
    pub max: Millis,
}

#[derive(Clone, Debug)]
pub struct PackStats {
    pub pack: String,
    pub runs: u64,
    pub by_state: BTreeMap<StateName, u64>,
    /// Completed of those that ended, without cancelled ones; none when none ended so.
    pub success: Option<f64>,
    /// From submission to the end.
    pub took: Spread,
    /// Runs of which the tokens were counted, and the tokens.
    pub counted: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

#[derive(Clone, Debug)]
pub struct StageStats {
    pub pack: String,
    pub stage: String,
    pub took: Spread,
}

#[derive(Clone, Debug)]
pub struct ErrorRate {
    pub pack: String,
    pub code: Code,
    pub cause: String,
    /// Where it began: `provider:sim`.
    pub origin: String,
    pub count: u64,
    /// Of the pack's runs in the sample.
    pub share: f64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub example: RunId,
}

#[derive(Clone, Debug)]
pub struct Slow {
    pub run: Run,
    pub took: Millis,
    pub profile: Profile,
}

impl Engine {
    /// Runs, success and duration by pack; tokens from the journals of the newest.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn stats(&self, filter: &Filter) -> Result<(Sample, Vec<PackStats>), Failure> {
        let (store, filter) = (self.0.store.clone(), filter.clone());
        blocking(move || {
            let (mut sample, runs) = sample(&store, &filter)?;
            let profiles = profiles(&store, ended(&runs), &mut sample)?;
            Ok((sample, by_pack(&runs, &profiles)))
        })
        .await
    }

    /// Time by pack and stage.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn latency(&self, filter: &Filter) -> Result<(Sample, Vec<StageStats>), Failure> {
        let (store, filter) = (self.0.store.clone(), filter.clone());
        blocking(move || {
            let (mut sample, runs) = sample(&store, &filter)?;
            let profiles = profiles(&store, ended(&runs), &mut sample)?;
            Ok((sample, by_stage(&profiles)))
        })
        .await
    }

    /// Errors by pack, code and origin.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn error_rates(&self, filter: &Filter) -> Result<(Sample, Vec<ErrorRate>), Failure> {
        let (store, filter) = (self.0.store.clone(), filter.clone());
        blocking(move || {
            let (sample, runs) = sample(&store, &filter)?;
            Ok((sample, errors(&runs)))
        })
        .await
    }

    /// The slowest ended runs, with where their time went.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn slowest(&self, filter: &Filter, limit: u32) -> Result<(Sample, Vec<Slow>), Failure> {
        let (store, filter) = (self.0.store.clone(), filter.clone());
        blocking(move || {
            let (mut sample, runs) = sample(&store, &filter)?;
            let mut slow: Vec<&Run> = ended(&runs).collect();
            slow.sort_by_key(|run| std::cmp::Reverse(took(run)));
            let first = slow.into_iter().take(limit.min(limits::STATS_JOURNALS) as usize);
            let profiles = profiles(&store, first, &mut sample)?;
            let slow = profiles.into_iter().map(|(run, profile)| Slow { took: took(&run), run, profile });
            Ok((sample, slow.collect()))
        })
        .await
    }
}

fn sample(store: &Arc<dyn Store>, filter: &Filter) -> Result<(Sample, Vec<Run>), hale_store::Error> {
    let (filter, mut after, mut runs) = (list_filter(filter), None, Vec::new());
    loop {
        let page = store.list(&filter, after, limits::PAGE_MAX)?;
        runs.extend(page.runs);
        after = page.next;
        if after.is_none() || runs.len() >= limits::STATS_RUNS as usize {
            break;
        }
    }
    runs.truncate(limits::STATS_RUNS as usize);
    Ok((Sample { runs: runs.len() as u64, journals: 0, capped: after.is_some() }, runs))
}

fn ended(runs: &[Run]) -> impl Iterator<Item = &Run> {
    runs.iter().filter(|run| run.is_terminal())
}

fn profiles<'r>(
    store: &Arc<dyn Store>,
    runs: impl Iterator<Item = &'r Run>,
    sample: &mut Sample,
) -> Result<Vec<(Run, Profile)>, hale_store::Error> {
    let mut read = Vec::new();
    for run in runs.take(limits::STATS_JOURNALS as usize) {
        let records = store.history(run.id, 1, limits::STEPS_MAX)?;
        read.push((run.clone(), Profile::of(&records)));
    }
    sample.journals = read.len() as u64;
    Ok(read)
}

fn took(run: &Run) -> Millis {
    match run.state {
        State::Ended { at, .. } => at.since(run.submitted_at),
        _ => Millis(0),
    }
}

/// Nearest rank of what occurred.
fn spread(mut values: Vec<Millis>) -> Spread {
    values.sort_unstable();
    let rank = |percent: usize| {
        let place = (values.len() * percent).div_ceil(100).max(1);
        values.get(place - 1).copied().unwrap_or_default()
    };
    let max = values.last().copied().unwrap_or_default();
    Spread { n: values.len() as u64, p50: rank(50), p95: rank(95), p99: rank(99), max }
}

fn by_pack(runs: &[Run], profiles: &[(Run, Profile)]) -> Vec<PackStats> {
    let mut packs: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        packs.entry(&run.pack.name).or_default().push(run);
    }
    let stats = packs.into_iter().map(|(pack, runs)| {
        let mut by_state: BTreeMap<StateName, u64> = BTreeMap::new();
        for run in &runs {
            *by_state.entry(run.state.name()).or_default() += 1;
        }
        let n = |state: StateName| by_state.get(&state).copied().unwrap_or(0);
        let completed = n(StateName::Completed);
        let judged = completed + n(StateName::Failed) + n(StateName::Timeout);
        let read = profiles.iter().filter(|(run, _)| &*run.pack.name == pack);
        let (mut counted, mut input_tokens, mut output_tokens) = (0, 0, 0);
        for (_, profile) in read {
            counted += 1;
            input_tokens += profile.input_tokens;
            output_tokens += profile.output_tokens;
        }
        PackStats {
            pack: pack.to_owned(),
            runs: runs.len() as u64,
            success: (judged > 0).then(|| completed as f64 / judged as f64),
            took: spread(runs.iter().filter(|run| run.is_terminal()).map(|run| took(run)).collect()),
            by_state,
            counted,
            input_tokens,
            output_tokens,
        }
    });
    stats.collect()
}

fn by_stage(profiles: &[(Run, Profile)]) -> Vec<StageStats> {
    let mut stages: BTreeMap<(String, String), Vec<Millis>> = BTreeMap::new();
    for (run, profile) in profiles {
        let whole = [("total".to_owned(), profile.total), ("queue".to_owned(), profile.queued)];
        let parts = profile.parts().into_iter().filter(|(name, _)| name != "queue");
        for (stage, took) in whole.into_iter().chain(parts) {
            stages.entry((run.pack.name.to_string(), stage)).or_default().push(took);
        }
    }
    let stats = |((pack, stage), values)| StageStats { pack, stage, took: spread(values) };
    stages.into_iter().map(stats).collect()
}

fn errors(runs: &[Run]) -> Vec<ErrorRate> {
    let mut packs: BTreeMap<&str, u64> = BTreeMap::new();
    let mut rates: BTreeMap<(&str, Code, &str, &str), ErrorRate> = BTreeMap::new();
    for run in runs {
        *packs.entry(&run.pack.name).or_default() += 1;
        let State::Ended { at, outcome: Outcome::Failed { failure } | Outcome::Timeout { failure } } =
            &run.state
        else {
            continue;
        };
        let key = (&*run.pack.name, failure.code, failure.cause.as_str(), failure.origin.as_str());
        let rate = rates.entry(key).or_insert_with(|| ErrorRate {
            pack: run.pack.name.to_string(),
            code: failure.code,
            cause: failure.cause.clone(),
            origin: failure.origin.clone(),
            count: 0,
            share: 0.0,
            first: *at,
            last: *at,
            example: run.id,
        });
        rate.count += 1;
        rate.first = rate.first.min(*at);
        rate.last = rate.last.max(*at);
    }
    let mut rates: Vec<ErrorRate> = rates.into_values().collect();
    for rate in &mut rates {
        let of = packs.get(rate.pack.as_str()).copied().unwrap_or(1);
        rate.share = rate.count as f64 / of as f64;
    }
    rates.sort_by_key(|rate| std::cmp::Reverse(rate.count));
    rates
}
