//! Every operation that is declared can be done: by a command and by a route that carry its name, or by those named here.

use hale::cli::command;
use hale::http::routes::TABLE;
use hale_core::operation::{DECLARED, Operation};
use hale_playbooks::playbook::Verb;

/// Where an operation is done under another name: operation, command, route.
const ELSEWHERE: &[(Operation, &str, &str)] = &[
    (Operation::RunsSubmit, "run", "runs.start"),
    (Operation::ServerDrain, "down", "shutdown"),
    (Operation::DlqWithdraw, "operations undo", "operations.undo"),
    (Operation::DlqRestore, "operations undo", "operations.undo"),
    (Operation::PacksRelease, "packs quarantine release", "packs.release"),
    (Operation::WorkerDrain, "workers drain", "workers.drain"),
    (Operation::WorkerRestart, "workers restart", "workers.restart"),
    (Operation::WorkerScale, "workers scale", "workers.scale"),
    (Operation::WorkerLimits, "workers limits", "workers.limits"),
    (Operation::NotifySend, "notify", "notify.send"),
    (Operation::RetentionPrune, "prune", "prune"),
    (Operation::QueuesLimit, "queues limit", "limits.set"),
    (Operation::ToolsLimit, "queues limit", "limits.set"),
    // Done by a fix of the doctor, and taken back by its undo.
    (Operation::PacksSetModes, "doctor", "doctor.fix"),
    (Operation::PacksRestoreModes, "doctor", "doctor.undo"),
    (Operation::ModelSetFallback, "doctor", "doctor.fix"),
    (Operation::ModelClearFallback, "doctor", "doctor.undo"),
    (Operation::LimitsRaise, "doctor", "doctor.fix"),
    (Operation::LimitsRestore, "doctor", "doctor.undo"),
    (Operation::WorkerStart, "doctor", "doctor.fix"),
    (Operation::DiskFree, "doctor", "doctor.fix"),
];

/// Operations without a route, each with its reason.
const NO_ROUTE: &[(Operation, &str)] = &[
    (Operation::SecretsSet, "a secret does not travel"),
    (Operation::SecretsRemove, "its place is the folder, as that of setting it"),
    (Operation::BackupCreate, "it writes to a folder of the machine where it is called"),
];

/// Operations that nobody orders.
const BY_ITSELF: &[Operation] = &[Operation::PacksQuarantine];

/// Whether there is a command of this path.
fn commanded(path: &str) -> bool {
    let mut at = command();
    for word in path.split(' ') {
        let Some(next) = at.get_subcommands().find(|sub| sub.get_name() == word) else { return false };
        at = next.clone();
    }
    true
}

fn routed(id: &str) -> bool {
    TABLE.iter().any(|route| route.id == id)
}

/// What is missing of an operation's surface.
fn missing(op: Operation) -> Vec<String> {
    let name = op.name();
    let own = name.replace('.', " ").replace('_', "-");
    let elsewhere = ELSEWHERE.iter().find(|(other, ..)| *other == op);
    let (path, route) = elsewhere.map_or((own.as_str(), name), |(_, path, route)| (*path, *route));
    let mut missing = Vec::new();
    if !commanded(path) {
        missing.push(format!("{name}: no command hale {path}"));
    }
    let needs_route = !NO_ROUTE.iter().any(|(other, _)| *other == op);
    if routed(route) != needs_route {
        missing.push(format!("{name}: route {route}, wanted: {needs_route}"));
    }
    missing
}

#[test]
fn every_operation_has_a_command_and_a_route() {
    let ordered = DECLARED.iter().filter(|declared| !BY_ITSELF.contains(&declared.op));
    let missing: Vec<String> = ordered.flat_map(|declared| missing(declared.op)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn what_is_named_elsewhere_is_not_there_under_its_own_name() {
    for (op, ..) in ELSEWHERE {
        let own = op.name().replace('.', " ").replace('_', "-");
        assert!(!commanded(&own) || !routed(op.name()), "{} has its own surface by now", op.name());
    }
    // What a fix does is a verb of the playbooks, so that the doctor can be asked for it.
    for (op, _, route) in ELSEWHERE.iter().filter(|(_, _, route)| *route == "doctor.fix") {
        assert!(
            Verb::ALL.iter().any(|verb| verb.name() == op.name()),
            "{} is said to be done by {route}",
            op.name()
        );
    }
}
