//! Power cuts: what was answered is there, what is there is whole, and every artifact that can be seen verifies.
//!
//! A random workload runs through the real store on a [`platter`], which logs every write and sync. Then the power is
//! cut at random places of the log, in random ways, and the real store opens what is left. The same harness must find
//! the losses of planted bugs, or it proves nothing. `HALE_PROVE_IMAGES` sets the number of images.

pub mod platter;
pub mod vfs;

use crate::world::*;
use hale_core::fault::{Deed as Fault, Point};
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::run::{DEFAULT_QUEUE, Priority, State};
use hale_core::time::Timestamp;
use hale_store::sqlite::Synchronous;
use hale_store::{Folder, Line, Op, OpResult, Options, Sqlite, Store};
use platter::{Cutter, Deed, Dice, Mount, Platter};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Images of one workload: enough that each of its some hundred log places is cut.
const IMAGES_EACH: usize = 250;

/// What the test was told, and may count on afterwards.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Run {
        id: RunId,
        seq: u64,
    },
    /// Pruning began: runs that ended before may be gone from here on.
    MayGo {
        before: Timestamp,
    },
}

struct Workload<'a> {
    store: Option<Sqlite>,
    mount: &'a Mount,
    options: Options,
    dice: Dice,
    lives: BTreeMap<RunId, Life>,
    facts: Vec<Fact>,
    next: u64,
}

fn options(mount: &Mount) -> Options {
    Options {
        vfs: Some(vfs::register()),
        disk: mount.platter.clone(),
        // So short that a small workload sees checkpoints and the WAL beginning anew.
        wal_frames: 24,
        ..small()
    }
}

impl Workload<'_> {
    fn store(&self) -> &Sqlite {
        self.store.as_ref().unwrap()
    }

    fn open(&mut self) {
        self.store = None;
        self.store = Some(open(&self.mount.dir, self.options.clone()));
    }

    fn tell(&mut self, fact: Fact) {
        self.mount.platter.told(self.facts.len());
        self.facts.push(fact);
    }

    /// Several batches under way at once, as the engine and its workers have them.
    fn turn(&mut self) {
        let batches: Vec<Vec<Op>> = (0..1 + self.dice.below(3)).map(|_| self.batch()).collect();
        let answers: Vec<_> = batches.iter().map(|batch| self.store().apply(batch.clone())).collect();
        for (batch, answer) in batches.into_iter().zip(answers) {
            for (op, result) in batch.into_iter().zip(wait(answer).unwrap()) {
                self.learn(op, result);
            }
        }
    }

    fn batch(&mut self) -> Vec<Op> {
        (0..1 + self.dice.below(3)).filter_map(|_| self.op()).collect()
    }

    fn op(&mut self) -> Option<Op> {
        match self.dice.below(10) {
            0..4 => {
                self.next += 1;
                let life = wish(self.next).accepted();
                let life = match self.dice.below(3) {
                    0 => life,
                    1 => life.leased(),
                    _ => life.leased().stepped().completed(),
                };
                let op = life.insert();
                self.lives.insert(life.run.id, life);
                Some(op)
            }
            4 => {
                let at = Timestamp(START.0 + 10_000 + self.next as i64);
                Some(Op::Claim { from: hello(), n: 2, worker: WORKER, at })
            }
            _ => self.advance(),
        }
    }

    /// A run that this turn has not touched yet takes a step, perhaps with an artifact.
    fn advance(&mut self) -> Option<Op> {
        let stored: Vec<RunId> = self.store().active().unwrap().iter().map(|stored| stored.run.id).collect();
        let id = *stored.get(self.dice.below(stored.len()))?;
        let life = self.lives.get(&id)?.clone();
        let State::Running { .. } = life.run.state else { return None };
        if self.store().run(id).unwrap()?.run.seq != life.run.seq {
            return None;
        }
        let was = life.run.seq;
        let mut artifacts = Vec::new();
        let life = match self.dice.below(3) {
            0 => life.stepped().stepped().completed(),
            _ => {
                artifacts.push(self.artifact());
                life.stepped()
            }
        };
        let Op::Update(mut update) = life.update_since(was) else { return None };
        update.artifacts = artifacts;
        self.lives.insert(id, life);
        Some(Op::Update(update))
    }

    fn artifact(&mut self) -> Artifact {
        let content: Vec<u8> = (0..10 + self.dice.below(3000)).map(|_| self.dice.roll() as u8).collect();
        let hash = self.store().blobs().put(&content).unwrap();
        Artifact {
            name: format!("a{}", self.dice.below(100)),
            hash: hash.to_string(),
            bytes: content.len() as u64,
            media_type: "application/octet-stream".to_owned(),
        }
    }

    fn learn(&mut self, op: Op, result: OpResult) {
        match (op, result) {
            (Op::Insert(insert), OpResult::Done) => {
                self.tell(Fact::Run { id: insert.run.id, seq: insert.run.seq });
            }
            (Op::Update(update), OpResult::Done) => {
                self.tell(Fact::Run { id: update.run.id, seq: update.run.seq });
            }
            (_, OpResult::Claimed(claimed)) => {
                for claimed in claimed {
                    let seq = claimed.run.seq;
                    let id = claimed.run.id;
                    let life = self.lives.get_mut(&id).unwrap();
                    life.records
                        .extend(claimed.records.into_iter().filter(|record| record.seq > life.run.seq));
                    life.run = claimed.run;
                    self.tell(Fact::Run { id, seq });
                }
            }
            (op, result) => panic!("{op:?}: {result:?}"),
        }
    }

    fn run(&mut self, turns: usize) {
        self.open();
        for turn in 0..turns {
            self.turn();
            match self.dice.below(12) {
                0 => {
                    let before = Timestamp(START.0 + self.next as i64 / 2);
                    self.tell(Fact::MayGo { before });
                    self.store().prune(before, 5).unwrap();
                }
                1 if turn > 2 => self.open(),
                _ => {}
            }
        }
        if self.dice.below(2) == 0 {
            // A clean end is cut as well.
            self.store = None;
        }
    }
}

/// What a number of power cuts did.
#[derive(Debug, Default)]
struct Toll {
    images: usize,
    facts: usize,
    lost: Vec<String>,
    corrupt: Vec<String>,
}

/// Runs workloads and cuts each at many places, until there are enough images.
fn cut(seed: u64, images: usize, plant: impl Fn(&mut Options)) -> Toll {
    let mut toll = Toll::default();
    let mut seed = Dice(seed);
    while toll.images < images {
        let dir = tempfile::tempdir().unwrap();
        let dice = Dice(seed.roll());
        let turns = 4 + seed.below(12);
        let (log, lives, facts) = {
            let mount = Mount::new(dir.path(), Platter::default());
            let mut options = options(&mount);
            plant(&mut options);
            let mut workload = Workload {
                store: None,
                mount: &mount,
                options,
                dice,
                lives: BTreeMap::new(),
                facts: Vec::new(),
                next: 0,
            };
            workload.run(turns);
            let log = mount.platter.take_log();
            (log, workload.lives, workload.facts)
        };
        let root = dir.path().canonicalize().unwrap();
        let mut places: Vec<usize> =
            (0..IMAGES_EACH.min(images - toll.images)).map(|_| seed.below(log.len() + 1)).collect();
        places.sort_unstable();
        let mut cutter = Cutter::new(&log, &root);
        for place in places {
            cutter.go(place);
            let image = cutter.image(&mut seed);
            let told: Vec<Fact> = cutter.told.iter().map(|at| facts[*at]).collect();
            toll.images += 1;
            toll.facts += told.len();
            check(&root, image, (&told, &lives), &mut toll);
        }
    }
    toll
}

fn check(root: &Path, image: Platter, truth: (&[Fact], &BTreeMap<RunId, Life>), toll: &mut Toll) {
    let (told, lives) = truth;
    let mount = Mount::new(root, image);
    let store = match Sqlite::open(Folder::lock(root).unwrap(), options(&mount)) {
        Ok(store) => store,
        Err(error) => return toll.corrupt.push(format!("{error}: {:?}", std::error::Error::source(&error))),
    };
    let found = toll.corrupt.len();
    toll.corrupt.extend(store.verify().unwrap().problems);
    if toll.corrupt.len() > found {
        return;
    }
    for (at, fact) in told.iter().enumerate() {
        let Fact::Run { id, seq } = fact else { continue };
        let life = &lives[id];
        let may_be_gone = told.iter().any(|fact| match fact {
            Fact::MayGo { before } => hale_store::row::ended_at(&life.run).is_some_and(|at| at < *before),
            Fact::Run { .. } => false,
        });
        let superseded =
            told[at + 1..].iter().any(|later| matches!(later, Fact::Run { id: other, .. } if other == id));
        if may_be_gone || superseded {
            continue;
        }
        let records = store.history(*id, 0, u32::MAX).unwrap();
        if (records.len() as u64) < *seq {
            toll.lost.push(format!("{id} was answered at {seq}, {} records are left", records.len()));
        } else if records != life.records[..records.len()] {
            toll.corrupt.push(format!("{id} has another history"));
        }
    }
}

fn images() -> usize {
    std::env::var("HALE_PROVE_IMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

#[test]
fn no_power_cut_loses_an_answered_op_or_breaks_anything() {
    let started = Instant::now();
    let toll = cut(1, images(), |_| {});
    let Toll { images, facts, .. } = toll;
    eprintln!("{images} power cuts, {facts} answered ops checked, {:.1?}", started.elapsed());
    assert!(facts > images, "the cuts came before anything was answered");
    assert_eq!((toll.lost, toll.corrupt), (vec![], vec![]));
}

#[test]
fn the_power_cut_bites_a_store_that_does_not_sync() {
    let toll = cut(2, 300, |options| options.synchronous = Synchronous::PlantedOff);
    assert!(!toll.lost.is_empty(), "{toll:?}");
}

#[test]
fn the_power_cut_bites_a_store_that_answers_before_it_commits() {
    let toll = cut(3, 300, |options| options.faults.arm(Point::BeforeCommit, Fault::Skip));
    assert!(!toll.lost.is_empty(), "{toll:?}");
}

#[test]
fn the_power_cut_bites_blobs_that_are_not_synced() {
    let toll = cut(4, 600, |options| options.faults.arm(Point::AfterBlob, Fault::Skip));
    assert!(toll.corrupt.iter().any(|problem| problem.starts_with("artifact")), "{toll:?}");
    assert_eq!(toll.lost, Vec::<String>::new());
}

#[test]
fn the_log_has_checkpoints_and_a_wal_that_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Mount::new(dir.path(), Platter::default());
    let store = open(&mount.dir, options(&mount));
    for n in 0..40 {
        apply(&store, vec![wish(n).accepted().leased().insert()]);
    }
    let begun = Instant::now();
    while store.space().unwrap().wal_bytes > 64 * 4096 && begun.elapsed() < Duration::from_secs(5) {}
    drop(store);
    let db = mount.platter.state().names[&mount.dir.join("hale.db")];
    let log = mount.platter.take_log();
    let writes = log.iter().filter(|deed| matches!(deed, Deed::Write { id, .. } if *id == db)).count();
    let headers =
        log.iter().filter(|deed| matches!(deed, Deed::Write { id, at: 0, .. } if *id != db)).count();
    assert!(writes > 20 && headers > 2, "{writes} pages checkpointed, {headers} beginnings of a WAL");
}

/// The line of the runs of these tests.
fn hello() -> Line {
    Line { queue: DEFAULT_QUEUE.into(), key: "hello".into(), priority: Priority::Normal }
}
