//! The suite that every store passes. Each fact is checked against the model and against SQLite.

use crate::bulk::*;
use crate::world::*;
use hale_core::code::Code;
use hale_core::id::{KeyId, OperationId, RunId, WorkerId};
use hale_core::run::event::Artifact;
use hale_core::run::{DEFAULT_QUEUE, Event, Parent, Priority, Run, StateName, StepKind, Wait};
use hale_core::time::Timestamp;
use hale_store::*;

macro_rules! every_store {
    ($($(#[$meta:meta])* $fact:ident;)*) => {
        mod memory {
            $($(#[$meta])* #[test] fn $fact() { super::$fact(&crate::world::memory()); })*
        }
        mod sqlite {
            $($(#[$meta])* #[test] fn $fact() { super::$fact(&crate::world::sqlite()); })*
        }
    };
}

every_store! {
    a_submitted_run_reads_back_whole;
    a_run_born_ended_is_one_insert;
    an_idempotency_key_answers_the_first_run;
    an_expired_idempotency_key_is_free_again;
    a_known_run_id_is_a_conflict;
    an_update_from_a_stale_sequence_changes_nothing;
    an_update_of_an_unknown_run_is_a_conflict;
    claims_take_the_oldest_of_their_key_and_class;
    a_claim_after_a_lost_lease_brings_the_whole_history;
    runs_in_flight_are_active;
    history_is_dense_and_pages;
    a_batch_with_a_gap_in_its_journal_is_refused_whole;
    the_queue_and_the_counts_follow_every_move;
    artifacts_of_completing_and_of_steps_are_named;
    lists_filter_and_page_newest_first;
    pack_versions_are_immutable;
    a_pack_version_is_forgotten_only_when_nothing_needs_it;
    settings_keys_workers_and_audit_read_back;
    the_audit_trail_is_one_chain_and_a_cut_vouches_for_what_it_took;
    pruning_forgets_old_ended_runs_only;
    what_a_person_or_a_parent_waits_for_is_not_pruned;
    artifacts_are_listed_page_by_page;
    contents_past_their_retention_go_and_their_names_stay;
    a_delayed_run_waits_for_its_time_then_for_its_turn;
    a_ripened_run_is_cancelled_out_of_its_line;
    named_queues_are_claimed_apart;
    a_line_is_seen_without_being_taken;
    the_children_of_a_run_are_found;
    a_wait_for_a_child_and_the_child_are_one;
    a_first_claim_after_a_fork_brings_the_steps;
    a_run_that_fails_is_one_dead_letter;
    a_dead_letter_is_resolved_once_and_put_back_once;
    a_blob_reads_back_by_its_hash;
    ops_that_belong_together_are_all_done_or_none;
    a_bulk_operation_keeps_what_came_of_each_run_once;
    a_forked_run_is_claimed_with_its_whole_history;
}

fn a_submitted_run_reads_back_whole(subject: &Subject) {
    let store = &*subject.store;
    let life = wish(1).accepted();
    assert_eq!(one(store, life.insert()), OpResult::Done);
    let stored = store.run(life.run.id).unwrap().unwrap();
    assert_eq!(stored.run, life.run);
    assert_eq!(&*stored.input, r#"{"name":"Ada"}"#);
    assert_eq!(stored.output, None);
    assert_eq!(store.history(life.run.id, 0, 100).unwrap(), life.records);
    assert_eq!(store.run(RunId(5)).unwrap(), None);
    assert_eq!(store.history(RunId(5), 0, 100).unwrap(), []);
}

fn a_run_born_ended_is_one_insert(subject: &Subject) {
    let store = &*subject.store;
    let life = wish(1).accepted().leased().stepped().completed();
    let Op::Insert(mut insert) = life.insert() else { unreachable!() };
    insert.output = Some(r#"{"greeting":"hello"}"#.into());
    assert_eq!(one(store, Op::Insert(insert)), OpResult::Done);
    let stored = store.run(life.run.id).unwrap().unwrap();
    assert_eq!((stored.run, stored.output.as_deref()), (life.run.clone(), Some(r#"{"greeting":"hello"}"#)));
    assert_eq!(store.history(life.run.id, 1, 100).unwrap(), life.records);
    assert_eq!(store.queue().unwrap(), []);
}

fn an_idempotency_key_answers_the_first_run(subject: &Subject) {
    let store = &*subject.store;
    let (first, second) = (wish(1).accepted(), wish(2).accepted());
    let expires = Timestamp(START.0 + 1000);
    assert_eq!(one(store, first.insert_promised("k", 1, expires)), OpResult::Done);
    let duplicate = OpResult::Duplicate { run: first.run.id, digest: [1; 32] };
    assert_eq!(one(store, second.insert_promised("k", 1, expires)), duplicate);
    // The caller compares the digests: another body under the same key is told the first one's.
    assert_eq!(one(store, second.insert_promised("k", 2, expires)), duplicate);
    // Even within one batch.
    let third = wish(3).accepted();
    let batch = vec![third.insert_promised("other", 3, expires), second.insert_promised("other", 3, expires)];
    let twice = OpResult::Duplicate { run: third.run.id, digest: [3; 32] };
    assert_eq!(apply(store, batch), [OpResult::Done, twice]);
    assert_eq!(store.run(second.run.id).unwrap(), None);
}

fn an_expired_idempotency_key_is_free_again(subject: &Subject) {
    let store = &*subject.store;
    let (first, second) = (wish(1).accepted(), wish(500).accepted());
    let expires = second.run.submitted_at;
    assert_eq!(one(store, first.insert_promised("k", 1, expires)), OpResult::Done);
    assert_eq!(one(store, second.insert_promised("k", 1, Timestamp(START.0 + 9000))), OpResult::Done);
    let third = wish(600).accepted();
    let duplicate = OpResult::Duplicate { run: second.run.id, digest: [1; 32] };
    assert_eq!(one(store, third.insert_promised("k", 1, Timestamp(START.0 + 9000))), duplicate);
}

fn a_known_run_id_is_a_conflict(subject: &Subject) {
    let store = &*subject.store;
    let life = wish(1).accepted();
    one(store, life.insert());
    assert_eq!(one(store, life.clone().leased().insert()), OpResult::Conflict { seq: Some(1) });
    assert_eq!(store.run(life.run.id).unwrap().unwrap().run, life.run);
}

fn an_update_from_a_stale_sequence_changes_nothing(subject: &Subject) {
    let store = &*subject.store;
    let pending = wish(1).accepted();
    one(store, pending.insert());
    let leased = pending.clone().leased();
    assert_eq!(one(store, leased.update_since(1)), OpResult::Done);
    let cancelled = pending.then(Event::CancelAsked { by: "ada".to_owned(), reason: None });
    assert_eq!(one(store, cancelled.update_since(1)), OpResult::Conflict { seq: Some(3) });
    assert_eq!(store.run(leased.run.id).unwrap().unwrap().run, leased.run);
    assert_eq!(store.history(leased.run.id, 0, 100).unwrap(), leased.records);
    assert_eq!(store.queue().unwrap(), []);
}

fn an_update_of_an_unknown_run_is_a_conflict(subject: &Subject) {
    let life = wish(1).accepted().leased();
    assert_eq!(one(&*subject.store, life.update_since(1)), OpResult::Conflict { seq: None });
}

fn claim(key: &str, priority: Priority, n: u32, at: i64) -> Op {
    Op::Claim { from: line(key, priority), n, worker: WORKER, at: Timestamp(START.0 + at) }
}

fn line(key: &str, priority: Priority) -> Line {
    Line { queue: DEFAULT_QUEUE.into(), key: key.into(), priority }
}

fn claimed(result: OpResult) -> Vec<Claimed> {
    match result {
        OpResult::Claimed(claimed) => claimed,
        other => panic!("{other:?}"),
    }
}

fn ids(claimed: &[Claimed]) -> Vec<RunId> {
    claimed.iter().map(|claimed| claimed.run.id).collect()
}

fn claims_take_the_oldest_of_their_key_and_class(subject: &Subject) {
    let store = &*subject.store;
    // Accepted in this order, which is not the order of their ids.
    let order = [4, 2, 9, 1];
    let mine: Vec<Life> = order.iter().map(|n| wish(*n).accepted()).collect();
    let high = Wish { priority: Priority::High, ..wish(10) }.accepted();
    let foreign = Wish { key: "other", ..wish(11) }.accepted();
    let mut batch: Vec<Op> = mine.iter().map(Life::insert).collect();
    batch.extend([high.insert(), foreign.insert()]);
    apply(store, batch);
    let first = claimed(one(store, claim("hello", Priority::Normal, 2, 100)));
    assert_eq!(ids(&first), [mine[0].run.id, mine[1].run.id]);
    assert_eq!(first[0].run.state.name(), StateName::Running);
    assert_eq!((first[0].run.epoch, first[0].run.seq), (1, 3));
    assert_eq!(&*first[0].input, r#"{"name":"Ada"}"#);
    assert_eq!(first[0].records, store.history(first[0].run.id, 2, 10).unwrap());
    assert_eq!(store.run(first[0].run.id).unwrap().unwrap().run, first[0].run);
    // In the batch of its own insert, behind the two that are left.
    let late = wish(12).accepted();
    let results = apply(store, vec![late.insert(), claim("hello", Priority::Normal, 10, 101)]);
    let rest = claimed(results.into_iter().nth(1).unwrap());
    assert_eq!(ids(&rest), [mine[2].run.id, mine[3].run.id, late.run.id]);
    assert_eq!(claimed(one(store, claim("hello", Priority::Normal, 10, 102))), []);
    assert_eq!(ids(&claimed(one(store, claim("hello", Priority::High, 10, 103)))), [high.run.id]);
    assert_eq!(ids(&claimed(one(store, claim("other", Priority::Normal, 10, 104)))), [foreign.run.id]);
}

fn a_claim_after_a_lost_lease_brings_the_whole_history(subject: &Subject) {
    let store = &*subject.store;
    let lost = wish(1).accepted().leased().stepped().then(Event::LeaseLost {
        worker: WORKER,
        epoch: 1,
        why: "gone".to_owned(),
    });
    apply(store, vec![lost.insert(), wish(2).accepted().insert()]);
    let again = claimed(one(store, claim("hello", Priority::Normal, 1, 100)));
    assert_eq!(again[0].run.epoch, 2);
    assert_eq!(again[0].records, store.history(lost.run.id, 0, 100).unwrap());
    assert_eq!(again[0].records.len(), lost.records.len() + 2);
    assert!(!again[0].effects.is_empty());
}

fn runs_in_flight_are_active(subject: &Subject) {
    let store = &*subject.store;
    let waiting = wish(3).accepted().leased().then(Event::Parked { index: 0, name: "pay".to_owned() });
    let lives = [
        wish(1).accepted(),
        wish(2).accepted().leased(),
        waiting,
        Wish { pack: "other", ..wish(4) }.accepted().leased().then(Event::Completing { artifacts: vec![] }),
        wish(5).accepted().leased().completed(),
        wish(6).accepted().leased().failed(),
    ];
    apply(store, lives.iter().map(Life::insert).collect());
    let active: Vec<Run> = store.active().unwrap().into_iter().map(|stored| stored.run).collect();
    assert_eq!(active, [lives[1].run.clone(), lives[2].run.clone(), lives[3].run.clone()]);
}

fn history_is_dense_and_pages(subject: &Subject) {
    let store = &*subject.store;
    let mut life = wish(1).accepted();
    one(store, life.insert());
    life = life.leased();
    one(store, life.update_since(1));
    for _ in 0..5 {
        let was = life.run.seq;
        life = life.stepped().stepped().stepped();
        one(store, life.update_since(was));
    }
    let id = life.run.id;
    assert_eq!(store.history(id, 0, u32::MAX).unwrap(), life.records);
    for from in 0..20u64 {
        for limit in [0, 1, 2, 5, 100] {
            let expected: Vec<_> =
                life.records.iter().filter(|record| record.seq >= from).take(limit).cloned().collect();
            assert_eq!(store.history(id, from, limit as u32).unwrap(), expected, "{from} {limit}");
        }
    }
    assert_eq!(store.history(id, u64::MAX, 10).unwrap(), []);
}

fn a_batch_with_a_gap_in_its_journal_is_refused_whole(subject: &Subject) {
    let store = &*subject.store;
    let good = wish(1).accepted();
    let mut gap = wish(2).accepted().leased().stepped();
    gap.records.remove(1);
    let refused = wait(store.apply(vec![good.insert(), gap.insert()])).unwrap_err();
    assert!(matches!(refused, Error::Malformed { .. }), "{refused}");
    assert_eq!(store.list(&ListFilter::default(), None, 10).unwrap(), Page::default());
}

fn the_queue_and_the_counts_follow_every_move(subject: &Subject) {
    let store = &*subject.store;
    let high = Wish { priority: Priority::High, ..wish(2) }.accepted();
    let lives = [wish(1).accepted(), high, wish(3).accepted(), Wish { key: "other", ..wish(4) }.accepted()];
    apply(store, lives.iter().map(Life::insert).collect());
    let row = |key: &str, priority, count, oldest: &Life| QueueRow {
        line: line(key, priority),
        count,
        oldest: Some(oldest.run.waits_since()),
    };
    let expected = [
        row("hello", Priority::High, 1, &lives[1]),
        row("hello", Priority::Normal, 2, &lives[0]),
        row("other", Priority::Normal, 1, &lives[3]),
    ];
    assert_eq!(store.queue().unwrap(), expected);
    one(store, claim("hello", Priority::Normal, 1, 100));
    one(store, claim("hello", Priority::High, 1, 100));
    let expected =
        [row("hello", Priority::Normal, 1, &lives[2]), row("other", Priority::Normal, 1, &lives[3])];
    assert_eq!(store.queue().unwrap(), expected);
    let ended = lives[2].clone().then(Event::CancelAsked { by: "ada".to_owned(), reason: None });
    one(store, ended.update_since(1));
    let at = ended_at(&ended.run);
    let counts = store.counts(at).unwrap();
    assert_eq!(
        counts.by_state.into_iter().collect::<Vec<_>>(),
        [(StateName::Pending, 1), (StateName::Running, 2), (StateName::Cancelled, 1)]
    );
    assert_eq!(counts.ended_since.into_iter().collect::<Vec<_>>(), [(StateName::Cancelled, 1)]);
    assert!(store.counts(Timestamp(at.0 + 1)).unwrap().ended_since.is_empty());
}

fn ended_at(run: &Run) -> Timestamp {
    row::ended_at(run).unwrap()
}

fn artifacts_of_completing_and_of_steps_are_named(subject: &Subject) {
    let store = &*subject.store;
    let artifact = |name: &str, content: &[u8]| Artifact {
        name: name.to_owned(),
        hash: subject.blobs.put(content).unwrap().to_string(),
        bytes: content.len() as u64,
        media_type: "text/plain".to_owned(),
    };
    let (report, step, newer) =
        (artifact("report", b"one"), artifact("step-0", b"two"), artifact("report", b"three"));
    let life = wish(1).accepted().leased();
    one(store, life.insert());
    let life = life.stepped();
    let Op::Update(mut update) = life.update_since(3) else { unreachable!() };
    update.artifacts = vec![step.clone()];
    one(store, Op::Update(update));
    let was = life.run.seq;
    let life = life.then(Event::Completing { artifacts: vec![report] }).then(Event::LeaseLost {
        worker: WORKER,
        epoch: 1,
        why: "gone".to_owned(),
    });
    one(store, life.update_since(was));
    let was = life.run.seq;
    let life = life.leased().then(Event::Completing { artifacts: vec![newer.clone()] });
    one(store, life.update_since(was));
    assert_eq!(store.run(life.run.id).unwrap().unwrap().artifacts, [newer, step]);
}

fn all(store: &dyn Store, filter: &ListFilter, limit: u32) -> Vec<RunId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(filter, after, limit).unwrap();
        assert!(page.runs.len() <= limit as usize);
        found.extend(page.runs.iter().map(|run| run.id));
        match page.next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

fn lists_filter_and_page_newest_first(subject: &Subject) {
    let store = &*subject.store;
    let mut lives = Vec::new();
    for n in 0..60u64 {
        let pack = ["hello", "search", "triage"][n as usize % 3];
        let life = Wish { pack, correlation: format!("c-{}", n % 7), ..wish(n) }.accepted();
        lives.push(match n % 5 {
            0 => life,
            1 => life.leased(),
            2 => life.leased().completed(),
            3 => life.leased().failed(),
            _ => life.leased().then(Event::TimedOut { doing: "thinking".to_owned() }),
        });
    }
    apply(store, lives.iter().map(Life::insert).collect());
    let at = |n: i64| Some(Timestamp(START.0 + n));
    let filters = [
        ListFilter::default(),
        ListFilter { states: vec![StateName::Failed], ..Default::default() },
        ListFilter { states: vec![StateName::Failed, StateName::Pending], ..Default::default() },
        ListFilter { pack: Some("search".to_owned()), ..Default::default() },
        ListFilter {
            pack: Some("search".to_owned()),
            states: vec![StateName::Timeout],
            ..Default::default()
        },
        ListFilter { pack: Some("unknown".to_owned()), ..Default::default() },
        ListFilter { since: at(20), ..Default::default() },
        ListFilter { since: at(20), until: at(40), states: vec![StateName::Completed], ..Default::default() },
        ListFilter { error_code: Some(Code::E006), ..Default::default() },
        ListFilter { error_code: Some(Code::E003), pack: Some("triage".to_owned()), ..Default::default() },
        ListFilter { correlation: Some("c-3".to_owned()), ..Default::default() },
        ListFilter {
            correlation: Some("c-3".to_owned()),
            error_code: Some(Code::E006),
            since: at(5),
            ..Default::default()
        },
        ListFilter { text: Some("RATE_limited".to_owned()), ..Default::default() },
        ListFilter { text: Some("nowhere".to_owned()), ..Default::default() },
    ];
    for filter in &filters {
        let mut expected: Vec<RunId> =
            lives.iter().map(|life| &life.run).filter(|run| takes(filter, run)).map(|run| run.id).collect();
        expected.reverse();
        for limit in [1, 7, 100] {
            assert_eq!(all(store, filter, limit), expected, "{filter:?} by {limit}");
        }
    }
}

/// The filter's meaning, written down again.
fn takes(filter: &ListFilter, run: &Run) -> bool {
    let minted = run.id.minted_at();
    (filter.states.is_empty() || filter.states.contains(&run.state.name()))
        && filter.pack.as_deref().is_none_or(|pack| pack == &*run.pack.name)
        && filter.since.is_none_or(|since| minted >= since)
        && filter.until.is_none_or(|until| minted < until)
        && filter
            .error_code
            .is_none_or(|code| run.failure.as_ref().is_some_and(|failure| failure.code == code))
        && filter.correlation.as_deref().is_none_or(|text| text == &*run.correlation)
        && filter.text.as_deref().is_none_or(|text| {
            serde_json::to_string(run).unwrap().to_ascii_lowercase().contains(&text.to_ascii_lowercase())
        })
}

fn pack(version: &str, digest: u8) -> PackRow {
    PackRow {
        name: "hello".into(),
        version: version.into(),
        source: format!("source of {version}").into(),
        digest: [digest; 32],
        deployed_at: START,
        by: "ada".to_owned(),
        manifest_json: "{}".into(),
    }
}

fn pack_versions_are_immutable(subject: &Subject) {
    let store = &*subject.store;
    let (v1, v2) = (pack("1.0.0", 1), pack("1.1.0", 2));
    let deploy = |row: &PackRow| Op::PackDeploy(Box::new(row.clone()));
    let current = |version: &str| Op::PackCurrent { name: "hello".into(), version: version.into() };
    let gone = OpResult::Conflict { seq: None };
    assert_eq!(one(store, current("1.0.0")), gone);
    assert_eq!(one(store, Op::PackEnabled { name: "hello".into(), enabled: false }), gone);
    assert_eq!(one(store, deploy(&v1)), OpResult::Done);
    assert_eq!(store.pack("hello", None).unwrap(), None);
    assert_eq!(apply(store, vec![current("1.0.0"), current("9.9.9")]), [OpResult::Done, gone.clone()]);
    assert_eq!(one(store, deploy(&v1)), OpResult::Done);
    assert_eq!(one(store, deploy(&pack("1.0.0", 9))), gone);
    assert_eq!(one(store, deploy(&v2)), OpResult::Done);
    assert_eq!(store.pack("hello", None).unwrap(), Some(v1.clone()));
    assert_eq!(one(store, current("1.1.0")), OpResult::Done);
    assert_eq!(store.pack("hello", None).unwrap(), Some(v2.clone()));
    assert_eq!(store.pack("hello", Some("1.0.0")).unwrap(), Some(v1.clone()));
    assert_eq!(store.pack("hello", Some("3")).unwrap(), None);
    assert_eq!(store.pack("hullo", None).unwrap(), None);
    assert_eq!(store.pack_versions("hello").unwrap(), [v2, v1]);
    assert_eq!(one(store, Op::PackEnabled { name: "hello".into(), enabled: false }), OpResult::Done);
    let head = PackHead { name: "hello".into(), current: Some("1.1.0".into()), enabled: false, versions: 2 };
    assert_eq!(store.packs().unwrap(), [head]);
}

fn a_pack_version_is_forgotten_only_when_nothing_needs_it(subject: &Subject) {
    let store = &*subject.store;
    let forget = |version: &str| Op::PackForget { name: "hello".into(), version: version.into() };
    let needed = OpResult::Conflict { seq: None };
    let rows =
        ["1.0.0", "1.1.0", "1.2.0"].into_iter().zip(1..).map(|(version, digest)| pack(version, digest));
    apply(store, rows.map(|row| Op::PackDeploy(Box::new(row))).collect());
    one(store, Op::PackCurrent { name: "hello".into(), version: "1.2.0".into() });
    // Of version 1.0.0.
    let life = wish(1).accepted();
    one(store, life.insert());
    assert_eq!(one(store, forget("1.2.0")), needed, "it is the current one");
    assert_eq!(one(store, forget("1.0.0")), needed, "a run of it waits");
    assert_eq!(one(store, forget("1.1.0")), OpResult::Done);
    assert_eq!(one(store, forget("9.9.9")), OpResult::Done, "it is not there");
    let was = life.run.seq;
    let life = life.leased();
    one(store, life.update_since(was));
    assert_eq!(one(store, forget("1.0.0")), needed, "a run of it is under way");
    let was = life.run.seq;
    let life = life.failed();
    one(store, life.update_since(was));
    assert_eq!(one(store, forget("1.0.0")), OpResult::Done);
    let left: Vec<_> = store.pack_versions("hello").unwrap().into_iter().map(|row| row.version).collect();
    assert_eq!(left, ["1.2.0".into()]);
}

fn settings_keys_workers_and_audit_read_back(subject: &Subject) {
    let store = &*subject.store;
    let set =
        |key: &str, value: Option<&str>| Op::Setting { key: key.to_owned(), value: value.map(str::to_owned) };
    apply(store, vec![set("b", Some("1")), set("a", Some("2")), set("b", Some("3")), set("c", Some("4"))]);
    one(store, set("c", None));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(store.settings().unwrap(), [pair("a", "2"), pair("b", "3")]);

    let key = KeyRow {
        id: KeyId(1),
        name: "ci".to_owned(),
        tenant: "acme".to_owned(),
        hash: [5; 32],
        created_at: START,
        expires_at: Some(Timestamp(START.0 + 5)),
        revoked_at: None,
        last_used_at: None,
    };
    let revoked = KeyRow { revoked_at: Some(START), last_used_at: Some(START), ..key.clone() };
    apply(store, vec![Op::KeyPut(Box::new(key)), Op::KeyPut(Box::new(revoked.clone()))]);
    assert_eq!(store.keys().unwrap(), [revoked]);

    let worker = WorkerRow {
        id: WorkerId(3),
        kind: WorkerKind::Process,
        host: "box".to_owned(),
        pid: 42,
        slots: 5,
        started_at: START,
        seen_at: START,
        draining: false,
        ended: None,
        exit: None,
    };
    let exit = Some("{}".to_owned());
    let ended = WorkerRow { draining: true, ended: Some("drained".to_owned()), exit, ..worker.clone() };
    let other = WorkerRow { id: WorkerId(2), kind: WorkerKind::Embedded, ..worker.clone() };
    apply(store, vec![Op::Worker(worker), Op::Worker(ended.clone()), Op::Worker(other.clone())]);
    assert_eq!(store.workers().unwrap(), [other.clone(), ended.clone()]);
    ended_workers_are_bounded(store, (&ended, &other));
    audit_reads_back(store);
}

/// The newest ends stay; who lives stays however long ago it was heard of.
fn ended_workers_are_bounded(store: &dyn Store, (ended, live): (&WorkerRow, &WorkerRow)) {
    let kept = hale_core::limits::ENDED_WORKERS_KEPT;
    let later = |n: usize| WorkerRow {
        id: WorkerId(100 + n as u128),
        seen_at: Timestamp(START.0 + 1 + n as i64),
        ..ended.clone()
    };
    apply(store, (0..=kept).map(|n| Op::Worker(later(n))).collect());
    let ids: Vec<WorkerId> = store.workers().unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 1 + kept);
    assert_eq!((ids[0], ids[1]), (live.id, later(1).id), "the two oldest ends were forgotten");
}

fn audit_reads_back(store: &dyn Store) {
    let row = |id: u128, phase, at: i64| AuditRow {
        id: OperationId(id),
        at: Timestamp(START.0 + at),
        actor: "ada".to_owned(),
        operation: if id == 1 { "pack.deploy" } else { "run.cancel" }.to_owned(),
        target: format!("target-{id}"),
        phase,
        detail: "{}".to_owned(),
        undo: (id == 1).then(|| "hale packs rollback hello".to_owned()),
        lab: id == 2,
    };
    let rows = [row(1, Phase::Intent, 0), row(2, Phase::Intent, 1), row(1, Phase::Outcome, 2)];
    let put = |row: &AuditRow| Op::Audit(Box::new(row.clone()));
    apply(store, rows.iter().map(put).collect());
    assert_eq!(one(store, put(&row(1, Phase::Intent, 9))), OpResult::Conflict { seq: None });
    let found = |filter: AuditFilter| store.audit(&filter, 10).unwrap();
    let [a, b, c] = rows;
    assert_eq!(found(AuditFilter::default()), [c.clone(), b.clone(), a.clone()]);
    assert_eq!(found(AuditFilter { id: Some(OperationId(1)), ..Default::default() }), [c.clone(), a.clone()]);
    assert_eq!(found(AuditFilter { lab: Some(false), ..Default::default() }), [c.clone(), a]);
    let cancels = found(AuditFilter { operation: Some("run.cancel".into()), ..Default::default() });
    assert_eq!(cancels.as_slice(), std::slice::from_ref(&b));
    assert_eq!(found(AuditFilter { target: Some("target-2".into()), ..Default::default() }), [b]);
    let late = found(AuditFilter { since: Some(Timestamp(START.0 + 2)), ..Default::default() });
    assert_eq!(late.as_slice(), std::slice::from_ref(&c));
    assert_eq!(store.audit(&AuditFilter::default(), 1).unwrap(), [c]);
    let by = |actor: &str| AuditFilter { actor: Some(actor.into()), ..Default::default() };
    assert_eq!((found(by("ada")).len(), found(by("bob")).len()), (3, 0));
    let early = AuditFilter { until: Some(Timestamp(START.0 + 1)), ..Default::default() };
    assert_eq!(found(early).len(), 1);
    let worded = |text: &str| AuditFilter { text: Some(text.into()), ..Default::default() };
    assert_eq!((found(worded("TARGET-2")).len(), found(worded("nothing")).len()), (1, 0));
}

fn the_audit_trail_is_one_chain_and_a_cut_vouches_for_what_it_took(subject: &Subject) {
    use hale_store::audit::{START as BEGIN, check, hash};
    let store = &*subject.store;
    assert_eq!((check(store).unwrap().rows, store.audit_head().unwrap()), (0, None));
    let row = |id: u128, phase, at: i64| AuditRow {
        id: OperationId(id),
        at: Timestamp(START.0 + at),
        actor: "ada".to_owned(),
        operation: "pack.deploy".to_owned(),
        target: String::new(),
        phase,
        detail: "{\"detail\":\"x\"}".to_owned(),
        undo: None,
        lab: false,
    };
    for n in 1..=6 {
        let both = [Phase::Intent, Phase::Outcome].map(|phase| Op::Audit(Box::new(row(n, phase, n as i64))));
        apply(store, both.to_vec());
    }
    // What is taken back leaves no gap and no trace.
    let known = Op::Audit(Box::new(row(1, Phase::Intent, 1)));
    let fresh = Op::Audit(Box::new(row(7, Phase::Intent, 7)));
    assert_eq!(one(store, Op::Together(vec![fresh.clone(), known])), OpResult::Conflict { seq: None });
    let rows = store.audit_oldest(0, 100).unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    let mut before = BEGIN;
    for row in &rows {
        assert_eq!((row.prev, row.hash), (before, hash(row.seq, &before, &row.row)));
        before = row.hash;
    }
    let newest = store.audit_newest(&AuditFilter::default(), Some(12), 2).unwrap();
    assert_eq!(newest.iter().map(|row| row.seq).collect::<Vec<_>>(), [11, 10]);
    let walked = check(store).unwrap();
    assert_eq!((walked.rows, walked.first, walked.broken), (12, Some(1), None));
    let nothing = Op::AuditCut { before: Timestamp(START.0 + 1), row: Box::new(row(8, Phase::Outcome, 8)) };
    assert_eq!(one(store, nothing), OpResult::Conflict { seq: None });
    assert_eq!(store.audit_cuttable(Timestamp(START.0 + 3)).unwrap(), 4);
    let anchor = AuditRow { operation: "audit.prune".to_owned(), ..row(9, Phase::Outcome, 9) };
    let cut = Op::AuditCut { before: Timestamp(START.0 + 3), row: Box::new(anchor) };
    assert_eq!(one(store, cut), OpResult::Done);
    let walked = check(store).unwrap();
    assert_eq!((walked.rows, walked.first, walked.broken), (9, Some(5), None));
    let anchor = store.audit_newest(&AuditFilter::default(), None, 1).unwrap().remove(0);
    assert_eq!(anchor.seq, 13);
    let detail: serde_json::Value = serde_json::from_str(&anchor.row.detail).unwrap();
    assert_eq!((&detail["cut_to"], &detail["rows"], &detail["detail"]), (&4.into(), &4.into(), &"x".into()));
    apply(store, vec![fresh]);
    assert_eq!(check(store).unwrap().broken, None);
}

fn pruning_forgets_old_ended_runs_only(subject: &Subject) {
    let store = &*subject.store;
    let lives = [
        wish(1).accepted().leased().completed(),
        wish(2).accepted(),
        wish(3).accepted().leased(),
        wish(4).accepted().leased().failed(),
        wish(1000).accepted().leased().completed(),
    ];
    apply(
        store,
        lives
            .iter()
            .map(|life| life.insert_promised(&life.run.id.to_string(), 1, Timestamp(i64::MAX)))
            .collect(),
    );
    let before = Timestamp(START.0 + 900);
    // Until somebody has decided about it, a dead letter keeps its run.
    let (run, resolution) = (lives[3].run.id, Some("discarded".to_owned()));
    let resolved = Op::DeadResolve { run, resolution, by: "local".to_owned(), at: before };
    assert_eq!((store.freeable(before).unwrap().runs, one(store, resolved)), (1, OpResult::Done));
    assert_eq!(store.freeable(before).unwrap().runs, 2);
    assert_eq!(store.prune(before, 1).unwrap().runs, 1);
    assert_eq!(store.run(lives[0].run.id).unwrap(), None);
    assert_eq!(store.history(lives[0].run.id, 0, 10).unwrap(), []);
    assert_eq!(store.prune(before, 10).unwrap().runs, 1);
    let left: Vec<RunId> = all(store, &ListFilter::default(), 10);
    assert_eq!(left, [lives[4].run.id, lives[2].run.id, lives[1].run.id]);
    let counts: Vec<_> = store.counts(Timestamp(0)).unwrap().by_state.into_iter().collect();
    assert_eq!(counts, [(StateName::Pending, 1), (StateName::Running, 1), (StateName::Completed, 1)]);
    // A promise dies with its run.
    let again = wish(5).accepted();
    let result = one(store, again.insert_promised(&lives[0].run.id.to_string(), 1, Timestamp(i64::MAX)));
    assert_eq!(result, OpResult::Done);
}

fn what_a_person_or_a_parent_waits_for_is_not_pruned(subject: &Subject) {
    let store = &*subject.store;
    let dead = wish(1).accepted().leased().failed();
    let parent = wish(2).accepted().leased();
    let above = Parent::new(parent.run.id, 0, 1);
    let child = Wish { parent: Some(above), ..wish(3) }.accepted().leased().completed();
    let plain = wish(4).accepted().leased().completed();
    for life in [&dead, &parent, &child, &plain] {
        apply(store, vec![life.insert()]);
    }
    // A run that is inserted at its end has died there: its letter waits.
    assert_eq!(store.dead(&DeadFilter::default(), 10).unwrap().len(), 1);
    let before = Timestamp(START.0 + 900);
    assert_eq!(store.freeable(before).unwrap().runs, 1);
    assert_eq!(store.prune(before, 10).unwrap().runs, 1);
    assert!(store.run(dead.run.id).unwrap().is_some() && store.run(child.run.id).unwrap().is_some());
    let resolved = Op::DeadResolve {
        run: dead.run.id,
        resolution: Some("discarded".to_owned()),
        by: "local".to_owned(),
        at: before,
    };
    assert_eq!(one(store, resolved), OpResult::Done);
    assert_eq!(store.prune(before, 10).unwrap().runs, 1);
    assert_eq!(store.run(dead.run.id).unwrap(), None);
    assert!(store.run(child.run.id).unwrap().is_some());
}

fn made(subject: &Subject, n: u64, names: &[(&str, &str)]) -> Life {
    let artifact = |(name, content): &(&str, &str)| Artifact {
        name: (*name).to_owned(),
        hash: subject.blobs.put(content.as_bytes()).unwrap().to_string(),
        bytes: content.len() as u64,
        media_type: "text/plain".to_owned(),
    };
    let artifacts = names.iter().map(artifact).collect();
    let life = wish(n)
        .accepted()
        .leased()
        .then(Event::Completing { artifacts })
        .then(Event::Completed { output: serde_json::json!(n) });
    apply(&*subject.store, vec![life.insert()]);
    life
}

fn artifacts_are_listed_page_by_page(subject: &Subject) {
    let store = &*subject.store;
    let lives = [
        made(subject, 1, &[("a.txt", "one"), ("b.txt", "two two")]),
        made(subject, 2, &[("report.md", "three")]),
        made(subject, 3, &[("a.txt", "one")]),
    ];
    let all = |filter: &str, limit: u32| {
        let filter = hale_core::filter::artifacts::parse(filter, Timestamp(START.0 + 1000)).unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.artifacts(&filter, after.as_ref(), limit).unwrap();
            assert!(page.rows.len() <= limit as usize);
            found.extend(page.rows.into_iter().map(|row| (row.run, row.artifact.name)));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    let named = |n: usize, name: &str| (lives[n].run.id, name.to_owned());
    let every = [named(2, "a.txt"), named(1, "report.md"), named(0, "b.txt"), named(0, "a.txt")];
    for limit in [1, 2, 3, 10] {
        assert_eq!(all("", limit), every, "pages of {limit}");
    }
    assert_eq!(all("REPORT", 10), [named(1, "report.md")]);
    assert_eq!(all("size:>5", 10), [named(1, "report.md"), named(0, "b.txt")]);
    assert_eq!(all(&format!("run:{}", lives[0].run.id), 1), every[2..]);
    assert_eq!(all("pack:other", 10), []);
    assert_eq!(all("since:998ms", 10), every[..2]);
}

fn contents_past_their_retention_go_and_their_names_stay(subject: &Subject) {
    let (store, blobs) = (&*subject.store, &*subject.blobs);
    let old = made(subject, 1, &[("mine", "mine"), ("shared", "shared")]);
    made(subject, 1000, &[("shared", "shared")]);
    let before = Timestamp(START.0 + 900);
    let due = store.expirable(before).unwrap();
    assert_eq!((due.artifacts, due.artifact_bytes), (2, 10));
    assert_eq!(store.expire(before, 10).unwrap().artifacts, 2);
    assert_eq!(store.expirable(before).unwrap().artifacts, 0);
    let filter = hale_core::filter::artifacts::Filter { run: Some(old.run.id), ..Default::default() };
    let rows = store.artifacts(&filter, None, 10).unwrap().rows;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.expired), "{rows:?}");
    assert_eq!(store.run(old.run.id).unwrap().unwrap().artifacts.len(), 2);
    // Named by another run still.
    assert_eq!(blobs.get(Hash::of(b"shared")).unwrap(), b"shared");
}

fn a_blob_reads_back_by_its_hash(subject: &Subject) {
    let blobs = &*subject.blobs;
    let hash = blobs.put(b"content").unwrap();
    assert_eq!(blobs.put(b"content").unwrap(), hash);
    assert_eq!(blobs.get(hash).unwrap(), b"content");
    assert_eq!(blobs.verify(hash).unwrap(), 7);
    assert_eq!(blobs.list().unwrap(), [(hash, 7)]);
    let missing = blobs.get(Hash::of(b"other")).unwrap_err();
    assert!(matches!(missing, Error::BlobMissing { .. }), "{missing}");
}

fn delayed(n: u64, due: i64) -> Life {
    Wish { due: Some(Timestamp(START.0 + due)), ..wish(n) }.accepted()
}

fn ripen(n: u32, at: i64) -> Op {
    Op::Ripen { n, at: Timestamp(START.0 + at) }
}

fn a_delayed_run_waits_for_its_time_then_for_its_turn(subject: &Subject) {
    let store = &*subject.store;
    let (late, early, gone) = (delayed(1, 900), delayed(2, 500), delayed(3, 600));
    apply(store, vec![late.insert(), early.insert(), gone.insert()]);
    let due = |at| Some(Timestamp(START.0 + at));
    assert_eq!(store.delayed().unwrap(), Delayed { count: 3, next: due(500) });
    assert_eq!(store.queue().unwrap(), []);
    assert_eq!(claimed(one(store, claim("hello", Priority::Normal, 9, 100))), []);
    // A cancelled one has no time to wait for.
    let gone = gone.then(Event::CancelAsked { by: "ada".to_owned(), reason: None });
    assert_eq!(one(store, gone.update_since(1)), OpResult::Early);
    assert_eq!(one(store, ripen(9, 499)), OpResult::Ripened { ready: vec![], next: due(500) });
    let ready = vec![(line("hello", Priority::Normal), 1)];
    assert_eq!(one(store, ripen(9, 500)), OpResult::Ripened { ready: ready.clone(), next: due(900) });
    let row = store.queue().unwrap().remove(0);
    assert_eq!((row.count, row.oldest), (1, due(500)), "it waits for its turn since its time came");
    let taken = claimed(one(store, claim("hello", Priority::Normal, 9, 501)));
    assert_eq!(ids(&taken), [early.run.id]);
    assert_eq!(one(store, ripen(9, 2000)), OpResult::Ripened { ready, next: None });
    assert_eq!(store.delayed().unwrap(), Delayed::default());
    // Back in the queue after a lost lease it is not delayed again.
    let lost = Event::LeaseLost { worker: WORKER, epoch: 1, why: "gone".to_owned() };
    let mut back = Life { run: taken[0].run.clone(), records: vec![early.records[0].clone()] };
    back.records.extend(taken[0].records.clone());
    assert_eq!(one(store, back.then(lost).update_since(3)), OpResult::Done);
    assert_eq!(ids(&claimed(one(store, claim("hello", Priority::Normal, 1, 502)))), [late.run.id]);
    assert_eq!(store.queue().unwrap()[0].count, 1);
}

fn a_ripened_run_is_cancelled_out_of_its_line(subject: &Subject) {
    let store = &*subject.store;
    let (ripe, unripe) = (delayed(1, 500), delayed(2, 900));
    apply(store, vec![ripe.insert(), unripe.insert(), ripen(9, 500)]);
    let cancel = |life: &Life| life.clone().then(Event::CancelAsked { by: "ada".to_owned(), reason: None });
    assert_eq!(one(store, cancel(&unripe).update_since(1)), OpResult::Early);
    assert_eq!(store.queue().unwrap()[0].count, 1);
    assert_eq!(one(store, cancel(&ripe).update_since(1)), OpResult::Done);
    assert_eq!(store.queue().unwrap(), []);
    assert_eq!(one(store, ripen(9, 2000)), OpResult::Ripened { ready: vec![], next: None });
}

fn named_queues_are_claimed_apart(subject: &Subject) {
    let store = &*subject.store;
    let mut gpu = wish(1).accepted();
    gpu.run.queue = "gpu".into();
    let Event::Accepted { queue, .. } = &mut gpu.records[0].event else { unreachable!() };
    *queue = "gpu".into();
    let plain = wish(2).accepted();
    apply(store, vec![gpu.insert(), plain.insert()]);
    let queues: Vec<String> = store.queue().unwrap().iter().map(|row| row.line.queue.to_string()).collect();
    assert_eq!(queues, ["default", "gpu"]);
    let of = |queue: Option<&str>, priority| {
        let filter = ListFilter { queue: queue.map(str::to_owned), priority, ..ListFilter::default() };
        store.list(&filter, None, 9).unwrap().runs.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(of(Some("gpu"), None), [gpu.run.id]);
    assert_eq!(of(Some("cpu"), None), []);
    assert_eq!(of(Some("default"), Some(Priority::Normal)), [plain.run.id]);
    assert_eq!(of(None, Some(Priority::High)), []);
    assert_eq!(ids(&claimed(one(store, claim("hello", Priority::Normal, 9, 100)))), [plain.run.id]);
    let from = Line { queue: "gpu".into(), ..line("hello", Priority::Normal) };
    let op = Op::Claim { from, n: 9, worker: WORKER, at: Timestamp(START.0 + 101) };
    assert_eq!(ids(&claimed(one(store, op))), [gpu.run.id]);
}

fn a_line_is_seen_without_being_taken(subject: &Subject) {
    let store = &*subject.store;
    let order = [4, 2, 9];
    let lives: Vec<Life> = order.iter().map(|n| wish(*n).accepted()).collect();
    apply(store, lives.iter().map(Life::insert).collect());
    let seen = store.peek(&line("hello", Priority::Normal), 2).unwrap();
    assert_eq!(seen, [lives[0].run.clone(), lives[1].run.clone()]);
    assert_eq!(store.queue().unwrap()[0].count, 3);
    assert_eq!(store.peek(&line("hello", Priority::Low), 2).unwrap(), []);
}

fn the_children_of_a_run_are_found(subject: &Subject) {
    let store = &*subject.store;
    let parent = wish(1).accepted();
    let child = |n, index| Wish { parent: Some(Parent::new(parent.run.id, index, 1)), ..wish(n) }.accepted();
    let (first, second) = (child(2, 0), child(3, 1));
    apply(store, vec![parent.insert(), second.insert(), first.insert()]);
    assert_eq!(store.children(parent.run.id).unwrap(), [first.run, second.run.clone()]);
    assert_eq!(store.children(second.run.id).unwrap(), []);
}

fn a_wait_for_a_child_and_the_child_are_one(subject: &Subject) {
    let store = &*subject.store;
    let parent = wish(1).accepted().leased();
    let child = Wish { parent: Some(Parent::new(parent.run.id, 0, 1)), ..wish(2) }.accepted();
    one(store, parent.insert());
    let waits = Event::Awaiting {
        index: 0,
        kind: StepKind::Child,
        name: "pack:hello".to_owned(),
        wait: Wait::Child { run: child.run.id },
        until: Timestamp(START.0 + 50_000),
    };
    let waiting = parent.clone().then(waits);
    let delegate = |since: u64, child: &Life| {
        let (Op::Update(update), Op::Insert(child)) = (waiting.update_since(since), child.insert()) else {
            unreachable!()
        };
        Op::Delegate { update, child }
    };
    // A stale parent: no child.
    let stale = one(store, delegate(parent.run.seq - 1, &child));
    assert_eq!(stale, OpResult::Conflict { seq: Some(parent.run.seq) });
    assert_eq!(store.run(child.run.id).unwrap(), None);
    // A child that is there already: the parent stays.
    let known = wish(3).accepted();
    one(store, known.insert());
    assert_eq!(one(store, delegate(parent.run.seq, &known)), OpResult::Conflict { seq: Some(1) });
    assert_eq!(store.run(parent.run.id).unwrap().unwrap().run, parent.run);
    assert_eq!(one(store, delegate(parent.run.seq, &child)), OpResult::Done);
    assert_eq!(store.run(parent.run.id).unwrap().unwrap().run, waiting.run);
    assert_eq!(store.children(parent.run.id).unwrap(), std::slice::from_ref(&child.run));
    // Told twice, it is one child.
    assert_eq!(
        one(store, delegate(parent.run.seq, &child)),
        OpResult::Conflict { seq: Some(waiting.run.seq) }
    );
    assert_eq!(store.children(parent.run.id).unwrap().len(), 1);
    let waiting = store.queue().unwrap();
    assert_eq!(waiting.iter().map(|row| row.count).sum::<u64>(), 2, "{waiting:?}");
}

fn a_first_claim_after_a_fork_brings_the_steps(subject: &Subject) {
    let store = &*subject.store;
    let first = wish(1).accepted();
    let forked = wish(2).accepted().then(Event::Forked { from: first.run.id, steps: vec![step(0)] });
    assert_eq!(forked.run.steps, 1);
    apply(store, vec![forked.insert()]);
    let claimed = claimed(one(store, claim("hello", Priority::Normal, 1, 100)));
    assert!(claimed[0].records.iter().any(|record| matches!(record.event, Event::Forked { .. })));
}

fn a_run_that_fails_is_one_dead_letter(subject: &Subject) {
    let store = &*subject.store;
    let leased = wish(1).accepted().leased();
    apply(store, vec![leased.insert(), wish(2).accepted().leased().completed().insert()]);
    let failed = leased.clone().failed();
    one(store, failed.update_since(leased.run.seq));
    let other = Wish { pack: "other", ..wish(3) }.accepted().leased().failed();
    let child = Wish { parent: Some(Parent::new(other.run.id, 0, 1)), ..wish(4) };
    apply(store, vec![other.insert(), child.accepted().leased().failed().insert()]);
    // A fenced write after the end changes the row, and buries nobody twice.
    let fenced = Event::Fenced { worker: WORKER, epoch: 0, what: "step".to_owned() };
    let seq = failed.run.seq;
    assert_eq!(one(store, failed.clone().then(fenced).update_since(seq)), OpResult::Done);
    let cause = failure().cause;
    let runs = |filter: DeadFilter| -> Vec<RunId> {
        store.dead(&filter, 10).unwrap().iter().map(|row| row.run).collect()
    };
    assert_eq!(
        runs(DeadFilter::default()),
        [failed.run.id, other.run.id],
        "a child is its parent's to handle"
    );
    let of_pack = DeadFilter { pack: Some("other".to_owned()), ..Default::default() };
    assert_eq!(runs(of_pack), [other.run.id]);
    assert_eq!(runs(DeadFilter { after: Some(failed.run.id), ..Default::default() }), [other.run.id]);
    let group = &store.dead_groups().unwrap()[0];
    assert_eq!((group.cause.as_str(), group.count), (cause.as_str(), 2));
    let resolve = |resolution: Option<&str>| Op::DeadResolve {
        run: failed.run.id,
        resolution: resolution.map(str::to_owned),
        by: "ada".to_owned(),
        at: Timestamp(START.0 + 900),
    };
    assert_eq!(one(store, resolve(Some("discarded"))), OpResult::Done);
    assert_eq!(runs(DeadFilter::default()), [other.run.id]);
    let row = &store.dead(&DeadFilter { resolved: true, ..Default::default() }, 1).unwrap()[0];
    assert_eq!((row.resolution.as_deref(), row.resolved_by.as_deref()), (Some("discarded"), Some("ada")));
    assert_eq!(one(store, resolve(None)), OpResult::Done);
    assert_eq!(runs(DeadFilter::default()).len(), 2, "undone");
    let unknown = Op::DeadResolve { run: RunId(5), resolution: None, by: String::new(), at: START };
    assert_eq!(one(store, unknown), OpResult::Conflict { seq: None });
}
