//! Arms: who can be routed to, who registers, who leaves.
//!
//! A registration becomes a pack of `kind: arm`, so that its runs, versions and limits are those of any pack; that it
//! registered, and for how long, stands beside it in the settings.
//! Read next: [`super::tasks`].

use super::Engine;
use super::operate::Deed;
use crate::arms::{Kept, key};
use crate::input::Caller;
use crate::registry::{PackInfo, Versioning};
use hale_core::arm::{ARMS_MAX, Health, Registration, TTL_MAX, TTL_MIN, WORDS_MAX};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::limits;
use hale_core::pack::{Kind, Manifest};
use hale_core::routing::{Conflict, Rules, conflicts};
use hale_core::time::{Millis, Timestamp};
use hale_gateway::arm::Repeat;
use hale_store::Op;
use std::sync::Arc;

/// A pack that can be routed to, as it stands.
#[derive(Clone, Debug)]
pub struct ArmInfo {
    pub manifest: Arc<Manifest>,
    pub enabled: bool,
    /// Of a pack that runs here: healthy.
    pub health: Health,
    /// Of a service elsewhere.
    pub seen_at: Option<Timestamp>,
    pub asked_at: Option<Timestamp>,
    pub failures: u32,
    /// It registered itself.
    pub registered_at: Option<Timestamp>,
    /// Without word for so long it expires.
    pub ttl: Option<Millis>,
}

impl Engine {
    /// Everything that can be routed to: packs that say what they can do, by name.
    pub fn arms(&self) -> Vec<ArmInfo> {
        self.packs()
            .into_iter()
            .filter(|info| is_arm(&info.manifest))
            .map(|info| self.arm_info(info))
            .collect()
    }

    /// One arm.
    ///
    /// # Errors
    /// E010 when there is none.
    pub fn arm(&self, name: &str) -> Result<ArmInfo, Failure> {
        match self.registry().info(name, None) {
            Ok(info) if is_arm(&info.manifest) => Ok(self.arm_info(info)),
            Ok(_) => {
                let message =
                    format!("find arm {name}: the pack says neither capabilities nor keywords nor domains");
                Err(Failure::new(Code::E010, "arm.not_found", "engine", message))
            }
            Err(_) => Err(self.no_arm(name)),
        }
    }

    fn no_arm(&self, name: &str) -> Failure {
        let known: Vec<String> = self.arms().iter().map(|arm| arm.manifest.name.clone()).take(8).collect();
        let among = if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        Failure::new(Code::E010, "arm.not_found", "engine", format!("find arm {name}: {among}"))
    }

    fn arm_info(&self, info: PackInfo) -> ArmInfo {
        let (now, manifest) = (self.now(), info.manifest);
        if manifest.kind != Kind::Arm {
            return ArmInfo {
                manifest,
                enabled: info.enabled,
                health: Health::Healthy,
                seen_at: None,
                asked_at: None,
                failures: 0,
                registered_at: None,
                ttl: None,
            };
        }
        let kept = self.kept(&manifest.name).filter(|kept| !kept.gone);
        let ttl = kept.as_ref().map(|kept| kept.registration.ttl());
        let heard = self.0.arms.of(&manifest.name, now);
        ArmInfo {
            enabled: info.enabled,
            health: heard.health(ttl, now),
            seen_at: heard.ok_at,
            asked_at: heard.asked_at,
            failures: heard.failures,
            registered_at: kept.map(|kept| kept.registered_at),
            ttl,
            manifest,
        }
    }

    /// Pairs of arms that only their names tell apart; `name` narrows it to those of one arm.
    ///
    /// # Errors
    /// E010 when there is no arm of that name.
    pub fn arm_conflicts(&self, name: Option<&str>) -> Result<Vec<Conflict>, Failure> {
        if let Some(name) = name {
            self.arm(name)?;
        }
        let candidates = self.candidates(|_| Ok(()));
        let mut found = conflicts(&candidates, &Rules::default());
        found.retain(|conflict| name.is_none_or(|name| conflict.arms.iter().any(|arm| arm == name)));
        Ok(found)
    }

    /// An arm says that it is there, for the first time or again.
    ///
    /// # Errors
    /// E002, E012 and E013 for what it says of itself, E011 when the name belongs to another pack.
    pub async fn register_arm(
        &self,
        registration: Registration,
        caller: &Caller,
    ) -> Result<ArmInfo, Failure> {
        let name = registration.name.clone();
        let registered = self.register(registration, caller).await;
        match &registered {
            Ok(info) => {
                let endpoint = info.manifest.endpoint.as_deref().unwrap_or_default();
                tracing::debug!(event = "arm_seen", arm = %name, "arm {name} at {endpoint} registered");
            }
            Err(failure) => tracing::error!(
                event = "arm_refused", arm = %name, code = %failure.code, error = %failure,
                "Failed to register with orchestrator: arm {name}: {failure}"
            ),
        }
        registered
    }

    async fn register(&self, registration: Registration, caller: &Caller) -> Result<ArmInfo, Failure> {
        let registration = self.as_before(registration);
        check(&registration)?;
        let (name, url) = (registration.name.clone(), registration.url.trim_end_matches('/').to_owned());
        self.gateway().arms().check(&name, &url).map_err(|error| error.failure(Repeat::Harmless))?;
        let known = self.registry().info(&name, None).ok();
        let kept = self.kept(&name);
        if let Some(known) = &known {
            self.check_name(known, (&kept, &url))?;
        }
        let by_hand = known.is_some() && kept.is_none();
        let same = kept.as_ref().is_some_and(|kept| !kept.gone && kept.registration == registration);
        let now = self.now();
        if !by_hand && !same {
            self.keep(
                Kept { registration, registered_at: now, by: caller.actor.to_string(), gone: false },
                caller,
            )
            .await?;
            self.0.arms.begin_anew(&name, now);
            tracing::info!(
                event = "arm_registered", arm = %name,
                "Successfully registered with orchestrator: arm {name} at {url}"
            );
        }
        self.0.arms.registered(&name, now);
        self.probe_arm(&name, &url).await;
        self.arm(&name)
    }

    /// A name alone means: as it was before.
    fn as_before(&self, registration: Registration) -> Registration {
        let bare = Registration { name: registration.name.clone(), ..Registration::default() };
        match self.kept(&registration.name) {
            Some(kept) if registration == bare => kept.registration,
            _ => registration,
        }
    }

    /// A name belongs to whoever had it first.
    fn check_name(&self, known: &PackInfo, (kept, url): (&Option<Kept>, &str)) -> Result<(), Failure> {
        let name = &known.manifest.name;
        let conflict = |why: String| {
            Err(Failure::new(Code::E011, "arm.name_taken", "engine", format!("register arm {name}: {why}")))
        };
        if known.manifest.kind != Kind::Arm {
            return conflict("a pack of that name runs here; take another name".to_owned());
        }
        let endpoint = known.manifest.endpoint.as_deref().unwrap_or_default();
        if kept.is_none() && endpoint != url {
            return conflict(format!("it was deployed from a file with the address {endpoint}, not {url}"));
        }
        Ok(())
    }

    /// The pack and the registration, in one commit with its audit line.
    async fn keep(&self, kept: Kept, caller: &Caller) -> Result<(), Failure> {
        let registration = &kept.registration;
        let name = registration.name.clone();
        let others =
            self.arms().into_iter().filter(|arm| arm.registered_at.is_some() && arm.manifest.name != name);
        if others.filter(|arm| !matches!(arm.health, Health::Expired { .. })).count() >= ARMS_MAX {
            let message = format!("register arm {name}: {ARMS_MAX} are registered already");
            return Err(Failure::new(Code::E004, "arm.too_many", "engine", message));
        }
        let source = registration.pack_source();
        let file = format!("{name}.md");
        let (actor, now) = (caller.actor.as_ref(), self.now());
        let plan = self.registry().plan(&file, source.as_bytes(), Versioning::Suffix, (actor, now))?;
        let mut ops = plan.ops;
        let enabled = self.registry().info(&name, None).map_or(true, |info| info.enabled);
        let was_gone = self.kept(&name).is_some_and(|before| before.gone);
        // What an operator disabled stays disabled, however often the arm comes back.
        if !enabled && was_gone {
            ops.push(Op::PackEnabled { name: name.as_str().into(), enabled: true });
        }
        let value = encoded(&kept)?;
        ops.push(Op::Setting { key: key(&name), value: Some(value.clone()) });
        let deed = Deed {
            operation: "arms.register",
            target: name.clone(),
            detail: registration.url.clone(),
            undo: Some(format!("hale arms deregister {name}")),
        };
        self.operate(deed, ops, caller).await?;
        self.settings().set(&key(&name), Some(&value));
        self.registry().refresh(&name)
    }

    /// Sends an arm that registered no more tasks.
    ///
    /// # Errors
    /// E010 when there is none, E011 for a pack that did not register itself.
    pub async fn deregister_arm(&self, name: &str, caller: &Caller) -> Result<ArmInfo, Failure> {
        let info = self.arm(name)?;
        let Some(kept) = self.kept(name).filter(|kept| !kept.gone) else {
            let message =
                format!("deregister arm {name}: it was deployed, it did not register; disable its pack");
            return Err(Failure::new(Code::E011, "arm.not_registered", "engine", message));
        };
        let url = kept.registration.url.clone();
        let value = encoded(&Kept { gone: true, ..kept })?;
        let ops = vec![
            Op::PackEnabled { name: name.into(), enabled: false },
            Op::Setting { key: key(name), value: Some(value.clone()) },
        ];
        let deed = Deed {
            operation: "arms.deregister",
            target: name.to_owned(),
            detail: url.clone(),
            undo: Some(format!("hale arms register {name}")),
        };
        self.operate(deed, ops, caller).await?;
        self.settings().set(&key(name), Some(&value));
        self.registry().refresh(name)?;
        tracing::info!(event = "arm_deregistered", arm = name, "arm {name} at {url} deregistered");
        self.arm(&info.manifest.name)
    }
}

/// Whether a pack can be routed to.
fn is_arm(manifest: &Manifest) -> bool {
    let says = [&manifest.capabilities, &manifest.domains, &manifest.keywords];
    manifest.kind == Kind::Arm || says.iter().any(|words| !words.is_empty())
}

fn encoded(kept: &Kept) -> Result<String, Failure> {
    serde_json::to_string(kept).map_err(|error| {
        Failure::new(Code::E015, "arm.unencodable", "engine", "encode the registration").caused_by(&error)
    })
}

/// What the parser of packs does not bound.
fn check(registration: &Registration) -> Result<(), Failure> {
    let words = [&registration.domains, &registration.keywords, &registration.capabilities];
    let count: usize = words.iter().map(|words| words.len()).sum::<usize>() + registration.properties.len();
    let invalid = |what: String| {
        Err(Failure::new(Code::E002, "arm.invalid", "engine", format!("register an arm: {what}")))
    };
    if registration.name.trim().is_empty() {
        return invalid("`name` is missing".to_owned());
    }
    if registration.url.trim().is_empty() {
        return invalid("`url` is missing; send the base address of the service".to_owned());
    }
    if count > WORDS_MAX {
        return invalid(format!("it names {count} words, at most {WORDS_MAX}"));
    }
    let seconds = |span: Millis| span.0 / 1000;
    let spans = [
        ("timeout_seconds", registration.timeout_seconds, 1..=seconds(limits::RUN_TIMEOUT_MAX)),
        ("ttl_seconds", registration.ttl_seconds, seconds(TTL_MIN)..=seconds(TTL_MAX)),
    ];
    for (field, asked, range) in spans {
        if let Some(asked) = asked.filter(|asked| !range.contains(asked)) {
            return invalid(format!("`{field}` is {asked}, from {} to {}", range.start(), range.end()));
        }
    }
    Ok(())
}
