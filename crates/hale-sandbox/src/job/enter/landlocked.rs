//! Landlock: which files and folders the job sees, and whether it may speak TCP.
//!
//! Without it the job can read what the user can read, `/proc/PID/environ` of the server included. With it `/proc` is
//! readable, but other processes' memory and environment are not: the kernel refuses to look out of a domain.
//! Read next: [`super::filtered`].

use crate::job::plan::Plan;
use crate::job::spec::Network;
use crate::job::wall::{Standing, Wall};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// What programs need to be loaded and to know the time and the certificates; no file of a user is below.
const SYSTEM: [&str; 20] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/proc",
    "/sys/devices/system/cpu",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/passwd",
    "/etc/nsswitch.conf",
    "/etc/alternatives",
];
/// Needed only where the network is allowed.
const NAMES: [&str; 4] = ["/etc/resolv.conf", "/etc/hosts", "/etc/services", "/etc/gai.conf"];
/// Devices without a state.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The newest rights that we were written for; an older kernel enforces those that it has.
const ABI_KNOWN: ABI = ABI::V6;

pub(super) fn build(plan: &Plan) -> [Standing; 3] {
    match restrict(plan) {
        Ok(landlock) => standing(plan, landlock),
        Err(error) => {
            let why = with_sources(&error);
            [Wall::Files.missing(&why), Wall::Scope.missing(&why), tcp(plan, Err(why))]
        }
    }
}

fn standing(plan: &Plan, landlock: LandlockStatus) -> [Standing; 3] {
    let has = |least: ABI, what: &str| match landlock {
        LandlockStatus::Available { effective_abi, .. } if effective_abi >= least => Ok(()),
        LandlockStatus::Available { effective_abi, .. } => Err(format!(
            "this kernel's landlock has version {}, {what} needs {}",
            effective_abi as i32, least as i32
        )),
        LandlockStatus::NotEnabled => {
            Err("landlock is built into this kernel but not switched on".to_owned())
        }
        LandlockStatus::NotImplemented => Err("this kernel has no landlock".to_owned()),
    };
    // Below version 3 a file outside could still be truncated.
    [
        Wall::Files.built(has(ABI::V3, "it")),
        Wall::Scope.built(has(ABI::V6, "it")),
        tcp(plan, has(ABI::V4, "TCP")),
    ]
}

fn tcp(plan: &Plan, built: Result<(), String>) -> Standing {
    match plan.network {
        Network::Allowed => Wall::Tcp.not_asked(),
        Network::Denied => Wall::Tcp.built(built),
    }
}

fn restrict(plan: &Plan) -> Result<LandlockStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_KNOWN))?
        .scope(Scope::from_all(ABI_KNOWN))?;
    if plan.network == Network::Denied {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI_KNOWN))?;
    }
    let status = rules(ruleset.create()?, plan)?.restrict_self()?;
    // The crate reports what the kernel has; whether it took anything at all is a second thing.
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => match status.landlock {
            LandlockStatus::Available { .. } => LandlockStatus::NotEnabled,
            missing => missing,
        },
        _ => status.landlock,
    })
}

fn rules(created: RulesetCreated, plan: &Plan) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(ABI_KNOWN);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    // Devices cannot be made where the job may write.
    let write =
        AccessFs::from_all(ABI_KNOWN) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let names: &[&str] = if plan.network == Network::Allowed { &NAMES } else { &[] };
    created
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(names, read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules([&plan.program], AccessFs::Execute | AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(&plan.read_only, read))?
        .add_rules(path_beneath_rules(&plan.read_write, write))
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    said
}
