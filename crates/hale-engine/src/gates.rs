//! How much of each key may go now: runs at a time, and starts in a span of time.
//!
//! A run counts under its key (`tenant/pack`) and under its pack, from the moment its turn is decided until it gives
//! its lease back; a waiting run counts nothing. What an operator set for a name stands above what the pack's file
//! says. Counts are memory only: they are made anew from the leases at every load.
//! Read next: [`crate::claims`], which asks here before each turn.

use crate::registry::Registry;
use crate::settings::{QUEUE_LIMIT, Settings};
use hale_core::limiter::{Limit, Window};
use hale_core::queue::Line;
use hale_core::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The pack of a key: `tenant/pack` or `pack`.
pub(crate) fn pack_of(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, pack)| pack)
}

/// The names under which a run of this key is limited.
fn names(key: &str) -> impl Iterator<Item = &str> {
    let pack = pack_of(key);
    [Some(key), (pack != key).then_some(pack)].into_iter().flatten()
}

#[derive(Debug, Default)]
pub(crate) struct Gates {
    going: HashMap<Arc<str>, u32>,
    starts: HashMap<Arc<str>, Window>,
    set: BTreeMap<String, Limit>,
    /// When the next start of a key that its rate holds may come.
    pub(crate) wake: Option<Timestamp>,
}

impl Gates {
    /// Takes over what operators set.
    pub(crate) fn retune(&mut self, settings: &Settings) {
        let read = |(key, value): (String, String)| {
            let limit = serde_json::from_str(&value).ok()?;
            Some((key.strip_prefix(QUEUE_LIMIT)?.to_owned(), limit))
        };
        self.set = settings.below(QUEUE_LIMIT).into_iter().filter_map(read).collect();
    }

    /// The limit that holds for a name now: the operator's, else the pack file's.
    pub(crate) fn limit(&self, name: &str, registry: &Registry) -> Limit {
        match self.set.get(name) {
            Some(limit) => *limit,
            None if name.contains('/') => Limit::default(),
            None => registry.flow(name),
        }
    }

    pub(crate) fn going(&self, name: &str) -> u32 {
        self.going.get(name).copied().unwrap_or(0)
    }

    /// Whether one more run of the line may go; if so it counts from now on.
    pub(crate) fn may(&mut self, line: &Line, registry: &Registry, now: Timestamp) -> bool {
        let mut at = now;
        for name in names(&line.key) {
            let limit = self.limit(name, registry);
            if limit.concurrency.is_some_and(|most| self.going(name) >= most) {
                return false;
            }
            if let Some(rate) = limit.rate {
                at = at.max(self.starts.entry(Arc::from(name)).or_default().next_at(rate, now));
            } else {
                self.starts.remove(name);
            }
        }
        if at > now {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
            return false;
        }
        self.took(&line.key, 1);
        for name in names(&line.key) {
            if let Some(window) = self.starts.get_mut(name) {
                window.started(now);
            }
        }
        true
    }

    /// `n` runs of the key go.
    pub(crate) fn took(&mut self, key: &str, n: u32) {
        for name in names(key) {
            match self.going.get_mut(name) {
                Some(going) => *going += n,
                None => {
                    self.going.insert(Arc::from(name), n);
                }
            }
        }
    }

    /// `n` runs of the key have given their leases back, or never got them.
    pub(crate) fn gave_back(&mut self, key: &str, n: u32) {
        for name in names(key) {
            if let Some(going) = self.going.get_mut(name) {
                *going = going.saturating_sub(n);
                if *going == 0 {
                    self.going.remove(name);
                }
            }
        }
    }

    /// Counts anew, from nothing.
    pub(crate) fn clear(&mut self) {
        self.going.clear();
    }
}
