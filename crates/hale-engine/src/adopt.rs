//! A step that is a run of another pack: the wait and the child are one commit, or an answer says why there is none.
//!
//! Guarantees: a child never has more time, turns or tokens than its parent has left; it inherits class, tenant,
//! correlation and trace; depth and number are bounded; a write that comes twice makes no second child.
//! Leaves to others: what the end of either means for the other ([`crate::family`]).
//! Read next: [`crate::family`].

use crate::desk::{Act, Desk, Moved};
use crate::input::{Append, Refusal, Spawn};
use crate::worker::waits::Delegate;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::pack::{Manifest, child_of};
use hale_core::queue::{Line, key_of};
use hale_core::run::{
    Answer, DEFAULT_QUEUE, Event, Order, Parent, Record, Run, StateName, Trigger, Wait, accept, event,
};
use hale_core::time::{Millis, Timestamp};
use hale_store::{Insert, Op};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A worker's write that begins a child, with its answer.
#[derive(Debug)]
pub(crate) struct Delegating {
    pub append: Append,
    pub spawn: Spawn,
    pub reply: oneshot::Sender<Result<(), Refusal>>,
}

/// A child that was decided with its parent's wait; what is needed if the store has no room for it.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub delegating: Delegating,
    pub parent: Moved,
    pub child: Moved,
}

impl Desk {
    pub(crate) fn delegate(&mut self, parent: &Run, delegating: Delegating, now: Timestamp) {
        match self.child_order(parent, &delegating.spawn, now) {
            Ok((order, input)) => self.adopt(parent, delegating, (order, input), now),
            Err(failure) => self.refuse_child(parent, delegating, failure, now),
        }
    }

    /// What the child is to be, or why there can be none.
    fn child_order(&self, parent: &Run, spawn: &Spawn, now: Timestamp) -> Result<(Order, Arc<str>), Failure> {
        let depth = parent.parent.map_or(0, |above| above.depth) + 1;
        if depth > limits::CHILD_DEPTH_MAX {
            let message = format!(
                "run pack {} as a child: {} generations of runs call each other already",
                spawn.pack,
                limits::CHILD_DEPTH_MAX
            );
            return Err(Failure::new(Code::E004, "run.child_depth", "engine", message));
        }
        if parent.children >= limits::CHILDREN_MAX {
            let message =
                format!("run pack {} as a child: a run has at most {}", spawn.pack, limits::CHILDREN_MAX);
            return Err(Failure::new(Code::E004, "run.child_count", "engine", message));
        }
        self.has_room(&format!("run pack {} as a child", spawn.pack))?;
        let manifest = self.registry.resolve(&spawn.pack, spawn.version.as_deref())?;
        let input = child_input(&manifest, spawn)?;
        let own = self.settings.limit(&manifest.name).unwrap_or(manifest.limits.timeout);
        let left = parent.limit.saturating_sub(parent.time_used(now));
        let index = parent.steps;
        let bound = Parent {
            turns: Some(spawn.turns),
            tokens: Some(spawn.tokens),
            ..Parent::new(parent.id, index, depth)
        };
        let order = Order {
            id: spawn.run,
            pack: manifest.pack_ref(),
            key: key_of(parent.tenant.as_deref(), &manifest.name),
            priority: parent.priority,
            // A limit of nothing would be no limit that can strike.
            limit: own.min(left).max(Millis(1)),
            trigger: Trigger::Child,
            correlation: parent.correlation.clone(),
            traceparent: parent.traceparent.clone(),
            retry_of: None,
            queue: manifest.queue.as_deref().unwrap_or(DEFAULT_QUEUE).into(),
            tenant: parent.tenant.clone(),
            due: None,
            parent: Some(bound),
        };
        self.admits(&order)?;
        Ok((order, input))
    }

    fn adopt(
        &mut self,
        parent: &Run,
        delegating: Delegating,
        (mut order, input): (Order, Arc<str>),
        now: Timestamp,
    ) {
        let (op, moved) = match self.advance(parent, delegating.append.events.clone(), now) {
            Ok(advanced) => advanced,
            Err(refused) => {
                let _ = delegating.reply.send(Err(Refusal::Unfit { why: refused.to_string() }));
                return;
            }
        };
        let waits = moved.run.awaits.as_ref().filter(|awaits| awaits.wait == Wait::Child { run: order.id });
        let (Op::Update(update), Some(awaits)) = (op.clone(), waits) else {
            // It was cancelled meanwhile, or waits for something else: nobody would hear of the child.
            return self.push(op, Act::Appended { reply: delegating.reply, moved });
        };
        if let Some(above) = &mut order.parent {
            above.index = awaits.index;
        }
        let (run, accepted, effects) = accept(order, now);
        let records = vec![Record { v: event::VERSION, seq: run.seq, at: now, event: accepted }];
        self.queue.added(&Line::of(&run), 1);
        let child =
            Insert { run: run.clone(), input, records: records.clone(), output: None, idempotency: None };
        let op = Op::Delegate { update, child: Box::new(child) };
        let child = Moved { run, records, effects, output: None };
        self.push(op, Act::Delegated(Box::new(Adopted { delegating, parent: moved, child })));
    }

    /// The wait and its answer at once: the model reads why there is no child.
    fn refuse_child(&mut self, parent: &Run, delegating: Delegating, failure: Failure, now: Timestamp) {
        let Delegating { append, spawn, reply } = delegating;
        let mut events = append.events;
        if let Some(Event::Awaiting { index, .. }) = events.last() {
            let answer = Answer::Child {
                run: spawn.run,
                outcome: StateName::Failed,
                output: None,
                failure: Some(Box::new(failure)),
                usage: None,
            };
            let index = *index;
            events.push(Event::Awaited { index, answer });
        }
        match self.advance(parent, events, now) {
            Ok((op, moved)) => self.push(op, Act::Appended { reply, moved }),
            Err(refused) => {
                let _ = reply.send(Err(Refusal::Unfit { why: refused.to_string() }));
            }
        }
    }

    /// Both are durable.
    pub(crate) fn adopted(&mut self, adopted: Adopted) {
        let Adopted { delegating, parent, child } = adopted;
        self.meters.runs_accepted.add(1);
        let _ = delegating.reply.send(Ok(()));
        self.moved(parent);
        self.moved(child);
    }

    /// Neither is stored: the parent stands where it stood. Without room on the disk it hears why; after a lost race
    /// its worker says it once more.
    pub(crate) fn not_adopted(&mut self, adopted: Adopted, why: NotAdopted) {
        let Adopted { delegating, parent, child } = adopted;
        self.forget(&child.run);
        self.take_back(&parent);
        let standing = self.active.get(&parent.run.id).map(|active| active.run.clone());
        match (why, standing) {
            (NotAdopted::Full, Some(run)) if run.lease().is_some() => {
                let (failure, now) = (self.full(), self.now());
                self.refuse_child(&run, delegating, failure, now);
            }
            (why, _) => {
                let why = format!("the child was not stored: {why:?}");
                let _ = delegating.reply.send(Err(Refusal::Unavailable { why }));
            }
        }
    }

    /// The packs that are tools of this one, as they stand now.
    pub(crate) fn delegates(&self, manifest: &Manifest) -> Vec<Delegate> {
        let children = manifest.tools.iter().filter_map(|tool| Some((tool, child_of(tool)?)));
        let delegate = |(tool, (name, version)): (&String, (&str, Option<&str>))| {
            let found = self.registry.resolve(name, version);
            let (found, refused) = match found {
                Ok(manifest) => (Some(manifest), None),
                Err(failure) => (None, Some(failure)),
            };
            Delegate {
                tool: tool.clone(),
                pack: name.to_owned(),
                version: found.as_ref().map(|manifest| manifest.version.clone()),
                description: found.as_ref().map(|manifest| manifest.description.clone()).unwrap_or_default(),
                input: found.map(|manifest| manifest.input.clone()).unwrap_or_default(),
                refused,
            }
        };
        children.map(delegate).collect()
    }

    /// The parent of a child that nobody waits for any more; none while somebody does.
    pub(crate) fn left_by(&self, run: &Run) -> Option<RunId> {
        let parent = run.parent?.run;
        let waits = self
            .active
            .get(&parent)
            .and_then(|active| active.run.awaits.as_ref())
            .is_some_and(|awaits| awaits.wait == Wait::Child { run: run.id });
        (!waits).then_some(parent)
    }
}

/// Why the store took neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdopted {
    Full,
    Overtaken,
}

fn child_input(manifest: &Manifest, spawn: &Spawn) -> Result<Arc<str>, Failure> {
    let input = manifest.check_input(&spawn.input).map_err(|error| {
        let message = format!("check the input of pack {}: {error}", manifest.name);
        Failure::new(Code::E002, "run.invalid_input", "engine", message)
    })?;
    let input: Arc<str> = input.to_string().into();
    if input.len() > limits::INPUT_BYTES {
        let message =
            format!("take an input of {} bytes: at most {} are allowed", input.len(), limits::INPUT_BYTES);
        return Err(Failure::new(Code::E004, "run.input_too_large", "engine", message));
    }
    Ok(input)
}
