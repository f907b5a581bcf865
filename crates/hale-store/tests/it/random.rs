//! Random histories: SQLite answers as the model does, and the counters are the truth.

use crate::world::*;
use hale_core::id::RunId;
use hale_core::run::{DEFAULT_QUEUE, Event, Priority, State};
use hale_core::time::Timestamp;
use hale_store::{Line, ListFilter, Memory, Op, OpResult, Store};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Act {
    Submit { pack: u8, key: u8, priority: u8, fate: u8, promise: Option<u8> },
    Claim { key: u8, priority: u8, n: u8 },
    Move { which: u8, how: u8 },
    Stale { which: u8 },
    Prune { before: u8, runs_max: u8 },
    Reopen,
}

const PACKS: [&str; 3] = ["hello", "search", "triage"];
const KEYS: [&str; 2] = ["acme", "zenith"];

fn act() -> impl Strategy<Value = Act> {
    let promise = proptest::option::weighted(0.3, 0..6u8);
    prop_oneof![
        4 => (0..3u8, 0..2u8, 0..3u8, 0..4u8, promise)
            .prop_map(|(pack, key, priority, fate, promise)| Act::Submit { pack, key, priority, fate, promise }),
        3 => (0..2u8, 0..3u8, 0..4u8).prop_map(|(key, priority, n)| Act::Claim { key, priority, n }),
        6 => (any::<u8>(), 0..8u8).prop_map(|(which, how)| Act::Move { which, how }),
        1 => any::<u8>().prop_map(|which| Act::Stale { which }),
        1 => (any::<u8>(), 0..4u8).prop_map(|(before, runs_max)| Act::Prune { before, runs_max }),
        1 => Just(Act::Reopen),
    ]
}

struct Pair {
    model: Memory,
    sqlite: Option<hale_store::Sqlite>,
    dir: tempfile::TempDir,
    next: u64,
}

impl Pair {
    fn sqlite(&self) -> &hale_store::Sqlite {
        self.sqlite.as_ref().unwrap()
    }

    fn both(&self, batch: Vec<Op>) -> Vec<OpResult> {
        let model = apply(&self.model, batch.clone());
        assert_eq!(apply(self.sqlite(), batch), model);
        model
    }

    fn ids(&self) -> Vec<RunId> {
        let page = self.model.list(&ListFilter::default(), None, u32::MAX - 1).unwrap();
        page.runs.iter().map(|run| run.id).collect()
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Submit { .. } => self.submit(act),
            Act::Claim { key, priority, n } => {
                let at = Timestamp(START.0 + self.next as i64 + 50);
                let (key, priority) = (KEYS[*key as usize].into(), Priority::ALL[*priority as usize]);
                let from = Line { queue: DEFAULT_QUEUE.into(), key, priority };
                self.both(vec![Op::Claim { from, n: u32::from(*n), worker: WORKER, at }]);
            }
            Act::Move { which, how } => self.step(*which, *how),
            Act::Stale { which } => {
                let Some(life) = self.life(*which) else { return };
                let was = life.run.seq;
                let fenced = Event::Fenced { worker: WORKER, epoch: 0, what: "step".to_owned() };
                let Op::Update(mut update) = life.then(fenced.clone()).then(fenced).update_since(was + 1)
                else {
                    unreachable!()
                };
                update.was = was + 1;
                self.both(vec![Op::Update(update)]);
            }
            Act::Prune { before, runs_max } => {
                let before = Timestamp(START.0 + i64::from(*before) * 4);
                let runs = self.model.prune(before, u64::from(*runs_max)).unwrap().runs;
                assert_eq!(self.sqlite().prune(before, u64::from(*runs_max)).unwrap().runs, runs);
            }
            Act::Reopen => {
                self.sqlite = None;
                self.sqlite = Some(open(self.dir.path(), small()));
            }
        }
    }

    fn submit(&mut self, act: &Act) {
        let Act::Submit { pack, key, priority, fate, promise } = act else { return };
        self.next += 10;
        let life = Wish {
            pack: PACKS[*pack as usize],
            key: KEYS[*key as usize],
            priority: Priority::ALL[*priority as usize],
            ..wish(self.next)
        }
        .accepted();
        let life = match fate {
            0 | 1 => life,
            2 => life.leased(),
            _ => life.leased().stepped().completed(),
        };
        let op = match promise {
            Some(key) => {
                life.insert_promised(&format!("k{key}"), *key, Timestamp(START.0 + self.next as i64 + 40))
            }
            None => life.insert(),
        };
        self.both(vec![op]);
    }

    /// The stored life of one of the runs.
    fn life(&self, which: u8) -> Option<Life> {
        let ids = self.ids();
        let id = *ids.get(which as usize % ids.len().max(1))?;
        let run = self.model.run(id).unwrap()?.run;
        Some(Life { run, records: self.model.history(id, 0, u32::MAX).unwrap() })
    }

    /// Moves one run by an event that its state takes.
    fn step(&mut self, which: u8, how: u8) {
        let Some(life) = self.life(which) else { return };
        let was = life.run.seq;
        let (worker, epoch) = (WORKER, life.run.epoch);
        let event = match (&life.run.state, how) {
            (State::Running { .. }, 0..=2) => Event::StepEnded { step: Box::new(step(life.run.steps)) },
            (State::Running { .. }, 3) => Event::Completing { artifacts: Vec::new() },
            (State::Running { .. }, 4) => Event::LeaseLost { worker, epoch, why: "late".to_owned() },
            (State::Running { .. }, 5) => Event::Parked { index: 0, name: "pay".to_owned() },
            (State::Running { .. }, _) => Event::Failed { failure: Box::new(failure()) },
            (State::Completing { .. }, _) => Event::Completed { output: serde_json::json!(how) },
            (State::Waiting { .. }, 0..=5) => Event::Resolved { by: "ada".to_owned() },
            (State::Waiting { .. } | State::Pending { .. }, 6..) => {
                Event::CancelAsked { by: "ada".to_owned(), reason: None }
            }
            _ => Event::Fenced { worker, epoch, what: "step".to_owned() },
        };
        let life = life.then(event);
        self.both(vec![life.update_since(was)]);
    }

    fn agree(&self) {
        let (model, sqlite) = (&self.model, self.sqlite());
        let everything = ListFilter::default();
        let page = model.list(&everything, None, 1000).unwrap();
        assert_eq!(sqlite.list(&everything, None, 1000).unwrap(), page);
        for run in &page.runs {
            assert_eq!(sqlite.run(run.id).unwrap(), model.run(run.id).unwrap());
            assert_eq!(sqlite.history(run.id, 0, 1000).unwrap(), model.history(run.id, 0, 1000).unwrap());
        }
        assert_eq!(sqlite.active().unwrap(), model.active().unwrap());
        assert_eq!(sqlite.queue().unwrap(), model.queue().unwrap());
        let since = Timestamp(START.0 + self.next as i64 / 2);
        assert_eq!(sqlite.counts(since).unwrap(), model.counts(since).unwrap());
        // And the counters against the rows themselves.
        let mut truth = BTreeMap::new();
        page.runs.iter().for_each(|run| *truth.entry(run.state.name()).or_insert(0) += 1);
        assert_eq!(sqlite.counts(since).unwrap().by_state, truth);
        assert_eq!(sqlite.verify().unwrap().problems, Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_sqlite_and_the_model_alike(acts in proptest::collection::vec(act(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Some(open(dir.path(), small()));
        let mut pair = Pair { model: Memory::default(), sqlite, dir, next: 0 };
        for act in &acts {
            pair.act(act);
        }
        pair.agree();
    }
}
