//! Everything that an operator can do, declared once: name, risk, undo, audit text.
//!
//! The command line, the API and the console offer what stands here and nothing else; the engine has a handler for
//! each (a test there walks [`DECLARED`]). A declaration says what a deed is, never how it is done.
//! Read next: `hale-engine/src/operations.rs`.

use crate::nearest::nearest;
use crate::run::StateName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a deed can do to the system, from harmless to destructive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Risk {
    R0,
    R1,
    R2,
    R3,
    R4,
}

impl Risk {
    pub const ALL: [Risk; 5] = [Risk::R0, Risk::R1, Risk::R2, Risk::R3, Risk::R4];

    pub const fn meaning(self) -> &'static str {
        match self {
            Risk::R0 => "reads, changes nothing",
            Risk::R1 => "harmless: adds something, disturbs nothing that runs",
            Risk::R2 => "changes how things run; can be undone",
            Risk::R3 => "asks a person first: it affects others or is hard to undo",
            Risk::R4 => "destroys data or weakens security",
        }
    }

    /// Whether a person must confirm before it is done.
    pub fn asks(self) -> bool {
        self >= Risk::R3
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How a deed is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// By another operation on the same target.
    By(Operation),
    /// By a person, in these words.
    Words(&'static str),
    /// Not at all.
    Never,
}

/// The declaration of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    pub op: Operation,
    pub name: &'static str,
    pub risk: Risk,
    /// The states in which a run takes it; empty when it is not about a run that exists.
    pub accepts: &'static [StateName],
    pub undo: Undo,
    /// For the audit trail, with `{target}`.
    pub audit: &'static str,
    /// One line for help texts.
    pub summary: &'static str,
}

impl Declared {
    /// The line of the audit trail.
    pub fn audit_text(&self, target: &str) -> String {
        self.audit.replace("{target}", target)
    }

    /// Whether a run in this state takes the operation.
    pub fn accepts(&self, state: StateName) -> bool {
        self.accepts.contains(&state)
    }
}

macro_rules! operations {
    ($($op:ident $name:literal $risk:ident $accepts:expr, $undo:expr, $audit:literal, $summary:literal;)*) => {
        /// What an operator can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation { $(#[doc = $summary] $op,)* }

        /// All operations, in the order of the enum.
        pub const DECLARED: &[Declared] = {
            use Operation::*;
            use Undo::*;
            &[$(Declared {
                op: $op,
                name: $name,
                risk: Risk::$risk,
                accepts: $accepts,
                undo: $undo,
                audit: $audit,
                summary: $summary,
            },)*]
        };
    };
}

const NO_RUN: &[StateName] = &[];
const ACTIVE: &[StateName] =
    &[StateName::Pending, StateName::Initializing, StateName::Running, StateName::Completing];
const ENDED: &[StateName] =
    &[StateName::Completed, StateName::Failed, StateName::Timeout, StateName::Cancelled];
const DEAD: &[StateName] = &[StateName::Failed, StateName::Timeout];
const UNSUCCESSFUL: &[StateName] = &[StateName::Failed, StateName::Timeout, StateName::Cancelled];

operations! {
    RunsSubmit "runs.submit" R1 NO_RUN, By(RunsCancel),
        "submitted a run of {target}", "Start a run of a pack";
    RunsCancel "runs.cancel" R2 ACTIVE, By(RunsRetry),
        "cancelled {target}", "Stop a run; its finished steps stay in the journal";
    RunsRetry "runs.retry" R1 UNSUCCESSFUL, Words("cancel the new run: hale runs cancel NEW"),
        "retried {target}", "Start a new run with the input of one that failed";
    RunsReplay "runs.replay" R1 ENDED, Words("cancel the new run: hale runs cancel NEW"),
        "replayed {target}", "Start a new run that keeps the first steps of one that ended";
    DlqRedrive "dlq.redrive" R2 DEAD, By(DlqWithdraw),
        "redrove {target}", "Run a dead letter's pack again with its input, and take the letter out";
    DlqWithdraw "dlq.withdraw" R2 DEAD, By(DlqRedrive),
        "withdrew the redrive of {target}", "Cancel the new run of a redrive and put the letter back";
    DlqDiscard "dlq.discard" R3 DEAD, By(DlqRestore),
        "discarded {target}", "Take a dead letter out without another try";
    DlqRestore "dlq.restore" R1 DEAD, By(DlqDiscard),
        "put back {target}", "Put a discarded dead letter back";
    PacksQuarantine "packs.quarantine" R2 NO_RUN, By(PacksRelease),
        "quarantined {target}", "Hold a pack whose runs ended their workers; done by hale itself";
    PacksRelease "packs.release" R2 NO_RUN, Words("disable the pack: hale packs disable NAME"),
        "released {target}", "Let a quarantined pack take its turns again";
    OperationsPause "operations.pause" R1 NO_RUN, By(OperationsResume),
        "paused {target}", "Let an operation over many runs rest where it stands";
    OperationsResume "operations.resume" R1 NO_RUN, By(OperationsPause),
        "resumed {target}", "Let a paused operation go on";
    OperationsAbort "operations.abort" R2 NO_RUN, Words("take back what was done: hale operations undo OP"),
        "aborted {target}", "End an operation where it stands; what was done stays done";
    RunsResolve "runs.resolve" R3 &[StateName::Running], Never,
        "resolved the parked step of {target}", "Say what became of a step that was in flight at a crash";
    ApprovalsApprove "approvals.approve" R3 &[StateName::Running], Never,
        "approved the deed that {target} asked for", "Allow the deed that a waiting run asks for";
    ApprovalsDeny "approvals.deny" R2 &[StateName::Running], Words("start it again: hale runs retry RUN"),
        "denied the deed that {target} asked for", "Refuse the deed that a waiting run asks for; the run goes on without it";
    PacksDeploy "packs.deploy" R2 NO_RUN, By(PacksRollback),
        "deployed {target}", "Make a version of a pack the current one";
    PacksRollback "packs.rollback" R2 NO_RUN, By(PacksDeploy),
        "rolled back {target}", "Make an earlier version of a pack the current one";
    PacksEnable "packs.enable" R1 NO_RUN, By(PacksDisable),
        "enabled {target}", "Let a pack take runs again";
    PacksDisable "packs.disable" R2 NO_RUN, By(PacksEnable),
        "disabled {target}", "Take no more runs of a pack; those under way go on";
    PacksReload "packs.reload" R2 NO_RUN, By(PacksRollback),
        "reloaded {target}", "Read the pack files again; a broken one leaves its last good version running";
    PacksSetModes "packs.set_modes" R2 NO_RUN, By(PacksRestoreModes),
        "set owner and mode of pack files in {target}", "Give pack files that are unreadable or open to others mode 0644";
    PacksRestoreModes "packs.restore_modes" R2 NO_RUN, By(PacksSetModes),
        "restored owner and mode of pack files in {target}", "Give pack files the owners and modes back that they had";
    KeysCreate "keys.create" R3 NO_RUN, By(KeysRevoke),
        "created the key {target}", "Create an API key";
    KeysRevoke "keys.revoke" R3 NO_RUN, Words("create another key: hale keys create"),
        "revoked the key {target}", "Refuse an API key from now on";
    SecretsSet "secrets.set" R3 NO_RUN, Words("set the former value again: hale secrets set NAME"),
        "set the secret {target}", "Store a secret, readable by the server alone";
    SecretsRemove "secrets.remove" R4 NO_RUN, Words("set it again: hale secrets set NAME"),
        "removed the secret {target}", "Destroy a stored secret";
    ModelSetFallback "model.set_fallback" R2 NO_RUN, By(ModelClearFallback),
        "set a fallback model for {target}", "Use another model when a model's calls fail";
    ModelClearFallback "model.clear_fallback" R2 NO_RUN, By(ModelSetFallback),
        "cleared the fallback model for {target}", "Stop using the fallback model that was set at run time";
    LimitsRaise "limits.raise" R2 NO_RUN, By(LimitsRestore),
        "raised a limit of {target}", "Raise a limit of a pack until it is restored";
    LimitsRestore "limits.restore" R2 NO_RUN, By(LimitsRaise),
        "restored the limits of {target}", "Go back to the limits that the pack's file says";
    WorkerStart "worker.start" R1 NO_RUN, By(WorkerDrain),
        "started the worker {target}", "Start a worker";
    WorkerDrain "worker.drain" R2 NO_RUN, By(WorkerStart),
        "drained the worker {target}", "Let a worker finish what it has and take nothing new";
    WorkerRestart "worker.restart" R2 NO_RUN, Words("its runs go on; to keep work from the new one: hale workers drain SEAT"),
        "restarted the worker {target}", "End a supervised worker process in order and start it again";
    WorkerScale "worker.scale" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "set the number of worker processes, {target}", "Set how many worker processes the server keeps";
    WorkerLimits "worker.limits" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "limited the worker, {target}", "Set how many runs a worker executes at a time";
    QueuesPause "queues.drain" R2 NO_RUN, By(QueuesResume),
        "drained the queue {target}", "Give no run of a queue to workers; it goes on taking runs";
    QueuesResume "queues.resume" R1 NO_RUN, By(QueuesPause),
        "resumed the queue {target}", "Give the runs of a queue to workers again";
    QueuesWeights "queues.weights" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "set the weights of the queue {target}", "Set how many turns the classes of a queue have";
    QueuesLimit "queues.limit" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "limited {target}", "Limit how many runs of a pack or key go at a time, or start in a span";
    QueuesPurge "queues.purge" R3 NO_RUN, Words("the cancelled runs stay; start one again: hale runs retry RUN"),
        "cancelled what waits in {target}", "Cancel the runs that wait in a queue";
    QueuesMoveStuck "queues.move_stuck" R3 NO_RUN, Words("start one again: hale runs retry RUN"),
        "gave up what is stuck in {target}", "Move runs that have waited too long to the dead letters";
    ToolsLimit "tools.limit" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "limited the tool {target}", "Limit how many calls of a tool each worker makes at a time";
    SchedulesCreate "schedules.create" R2 NO_RUN, By(SchedulesDelete),
        "set the schedule {target}", "Start runs of a pack at certain times";
    SchedulesDelete "schedules.delete" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "deleted the schedule {target}", "Start no more runs by a schedule, and forget it";
    SchedulesPause "schedules.pause" R2 NO_RUN, By(SchedulesResume),
        "paused the schedule {target}", "Start no runs by a schedule until it is resumed";
    SchedulesResume "schedules.resume" R1 NO_RUN, By(SchedulesPause),
        "resumed the schedule {target}", "Start runs by a schedule again, from now on";
    SchedulesTrigger "schedules.trigger" R1 NO_RUN, By(RunsCancel),
        "triggered the schedule {target}", "Start a schedule's run now, beside its times";
    DiskFree "disk.free" R3 NO_RUN, Never,
        "freed disk space on {target}", "Delete what retention already allows to delete";
    ChaosInject "chaos.inject" R3 NO_RUN, By(ChaosClear),
        "injected the fault {target}", "Make a fault happen, on purpose and for a stated time";
    ChaosClear "chaos.clear" R1 NO_RUN, By(ChaosInject),
        "cleared the fault {target}", "End an injected fault";
    BackupCreate "backup.create" R1 NO_RUN, Words("delete the backup file"),
        "backed up to {target}", "Copy the store while it runs";
    ArtifactsPut "artifacts.put" R1 NO_RUN, Words("it goes when retention.artifacts has passed"),
        "put the artifact {target}", "Keep a file that inputs of runs may name";
    ArtifactsFailover "artifacts.failover" R2 NO_RUN, Words("take it back: hale operations undo OPERATION"),
        "changed the artifact store: {target}", "Let new artifacts go to the other store";
    ArtifactsRetry "artifacts.retry" R1 NO_RUN, Words("nothing is taken back: what waited is stored"),
        "tried the artifacts in {target} again", "Store at once what waits because a store did not take it";
    RetentionPrune "retention.prune" R4 NO_RUN, Never,
        "pruned the {target}", "Forget ended runs, artifacts and log files that are past their retention";
    ArmsRegister "arms.register" R2 NO_RUN, By(ArmsDeregister),
        "registered the arm {target}", "Let a service elsewhere take tasks, until it falls silent";
    ArmsDeregister "arms.deregister" R2 NO_RUN, By(ArmsRegister),
        "deregistered the arm {target}", "Send an arm no more tasks; runs under way go on";
    NotifySend "notify.send" R1 NO_RUN, Words("send a correction to the same channel"),
        "told the channel {target}", "Send a message to a channel of people";
    KillswitchOn "killswitch.on" R3 NO_RUN, By(KillswitchOff),
        "threw the kill switch {target}", "Start nothing of a pack, tool or tenant, or nothing at all, and end what runs";
    KillswitchOff "killswitch.off" R2 NO_RUN, By(KillswitchOn),
        "took off the kill switch {target}", "Let a pack, tool or tenant go again, two targets a minute";
    AuditPrune "audit.prune" R4 NO_RUN, Never,
        "cut the audit trail before {target}", "Forget rows of the audit trail that are older than a year";
    ServerDrain "server.drain" R3 NO_RUN, Words("start the server again: hale up"),
        "drained the server {target}", "Finish what runs, take nothing new, and stop";
}

/// The word that names no operation, and the one that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find the operation {name:?}{}", suggestion.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default())]
pub struct Unknown {
    pub name: String,
    pub suggestion: Option<&'static str>,
}

impl Operation {
    pub const fn declared(self) -> &'static Declared {
        &DECLARED[self as usize]
    }

    pub const fn name(self) -> &'static str {
        self.declared().name
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Operation {
    type Err = Unknown;
    fn from_str(text: &str) -> Result<Self, Unknown> {
        DECLARED.iter().find(|declared| declared.name == text).map(|declared| declared.op).ok_or_else(|| {
            Unknown {
                name: text.chars().take(crate::limits::NAME_CHARS).collect(),
                suggestion: nearest(text, DECLARED.iter().map(|declared| declared.name)),
            }
        })
    }
}

impl Serialize for Operation {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
