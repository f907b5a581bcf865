//! Which packs there are, which version runs, and what became of the last reload.
//!
//! Guarantees: versions are immutable; a deploy is one commit; a pack that does not parse, or asks for more than is
//! allowed, changes nothing, and the last good version keeps running.
//! Leaves to others: the file format (`hale_core::pack`), the watched folder ([`watch`]).
//! Read next: [`watch`], then [`modes`].

mod children;
pub mod modes;
mod sites;
pub mod watch;

use crate::worker::jobs::Jobs;
use arc_swap::ArcSwap;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::limiter::Limit;
use hale_core::limits;
use hale_core::pack::{Env, Kind, Manifest, Pack, Warning};
use hale_core::run::PackRef;
use hale_core::time::Timestamp;
use hale_gateway::web::Web;
use hale_sandbox::Grant;
use hale_store::{Op, PackRow, Store};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Old versions that one deploy forgets; the next one goes on.
const FORGET_AT_ONCE: usize = 8;

/// One version of a pack as it stands in the registry.
#[derive(Clone, Debug)]
pub struct PackInfo {
    pub manifest: Arc<Manifest>,
    pub source: Arc<str>,
    /// BLAKE3, hexadecimal.
    pub digest: String,
    pub deployed_at: Timestamp,
    pub by: String,
    pub current: bool,
    pub enabled: bool,
    pub warnings: Vec<Warning>,
    /// All versions of the pack, newest first.
    pub versions: Vec<Arc<str>>,
    /// The last reload that was refused.
    pub reload_error: Option<String>,
}

/// What a deploy came to.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub info: PackInfo,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    New,
    Unchanged,
    WouldDeploy,
}

#[derive(Clone, Debug)]
struct Version {
    manifest: Arc<Manifest>,
    row: PackRow,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    current: Option<Arc<str>>,
    enabled: bool,
    /// Newest first.
    versions: Vec<Version>,
}

type Shelf = BTreeMap<String, Entry>;

/// The registry; clones share it.
#[derive(Clone)]
pub struct Registry {
    shelf: Arc<ArcSwap<Shelf>>,
    reload_errors: Arc<Mutex<BTreeMap<String, String>>>,
    store: Arc<dyn Store>,
    env: Env,
    allow: Vec<Grant>,
    web: Web,
    jobs: Option<Arc<Jobs>>,
}

/// A checked pack and the ops that deploy it; none when it is there already.
pub(crate) struct Plan {
    pub pack: Pack,
    pub ops: Vec<Op>,
    pub before: Option<Arc<str>>,
}

/// How a file's version is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// As the file says; another content under the same version is refused.
    Strict,
    /// Another content under the same version becomes `1.2.3+digest`: a watched file is edited in place.
    Suffix,
}

impl Registry {
    /// Reads all packs of the store.
    ///
    /// # Errors
    /// What the store could not read.
    pub fn load(
        store: Arc<dyn Store>,
        env: Env,
        (allow, web, jobs): (Vec<Grant>, Web, Option<Arc<Jobs>>),
    ) -> Result<Self, Failure> {
        let (shelf, reload_errors) = (Arc::default(), Arc::default());
        let registry = Self { shelf, reload_errors, store: store.clone(), env, allow, web, jobs };
        for head in store.packs().map_err(|error| error.failure())? {
            registry.refresh(&head.name)?;
        }
        Ok(registry)
    }

    /// Takes over what is durable of one pack.
    ///
    /// # Errors
    /// What the store could not read.
    pub(crate) fn refresh(&self, name: &str) -> Result<(), Failure> {
        let heads = self.store.packs().map_err(|error| error.failure())?;
        let Some(head) = heads.into_iter().find(|head| head.name.as_ref() == name) else { return Ok(()) };
        let rows = self.store.pack_versions(name).map_err(|error| error.failure())?;
        let versions = rows.into_iter().map(version_of).collect::<Result<Vec<_>, _>>()?;
        let entry = Entry { current: head.current, enabled: head.enabled, versions };
        self.shelf.rcu(|shelf| {
            let mut next = Shelf::clone(shelf);
            next.insert(name.to_owned(), entry.clone());
            next
        });
        Ok(())
    }

    /// The manifest of exactly this version.
    pub fn manifest(&self, pack: &PackRef) -> Option<Arc<Manifest>> {
        let shelf = self.shelf.load();
        let entry = shelf.get(pack.name.as_ref())?;
        let found = entry.versions.iter().find(|version| version.row.version == pack.version)?;
        Some(found.manifest.clone())
    }

    /// How much of a pack may go, by its current version; an unknown pack has no limit.
    pub(crate) fn flow(&self, name: &str) -> Limit {
        let shelf = self.shelf.load();
        let Some(entry) = shelf.get(name) else { return Limit::default() };
        let current =
            entry.versions.iter().find(|version| Some(&version.row.version) == entry.current.as_ref());
        current.map(|version| version.manifest.limits.flow()).unwrap_or_default()
    }

    /// The version that a new run takes.
    ///
    /// # Errors
    /// E001 with a near name when there is no such pack or version, E011 when it is disabled.
    pub fn resolve(&self, name: &str, version: Option<&str>) -> Result<Arc<Manifest>, Failure> {
        let shelf = self.shelf.load();
        let Some(entry) = shelf.get(name) else { return Err(unknown(name, shelf.keys())) };
        if !entry.enabled {
            let message = format!("run pack {name}: it is disabled");
            return Err(Failure::new(Code::E011, "pack.disabled", "registry", message));
        }
        let Some(version) = version.or(entry.current.as_deref()) else {
            return Err(unknown(name, shelf.keys()));
        };
        let found = entry.versions.iter().find(|other| other.row.version.as_ref() == version);
        found.map(|version| version.manifest.clone()).ok_or_else(|| {
            let known: Vec<&str> =
                entry.versions.iter().map(|version| version.row.version.as_ref()).take(5).collect();
            let message = format!("find version {version} of pack {name}: it has {}", known.join(", "));
            Failure::new(Code::E001, "pack.version_not_found", "registry", message)
        })
    }

    /// The current version of every pack.
    pub fn list(&self) -> Vec<PackInfo> {
        let shelf = self.shelf.load();
        shelf.keys().filter_map(|name| self.info(name, None).ok()).collect()
    }

    /// One version of one pack, the current one unless named.
    ///
    /// # Errors
    /// E001 when there is none.
    pub fn info(&self, name: &str, version: Option<&str>) -> Result<PackInfo, Failure> {
        let shelf = self.shelf.load();
        let Some(entry) = shelf.get(name) else { return Err(unknown(name, shelf.keys())) };
        let wanted = version.or(entry.current.as_deref());
        let found = match wanted {
            Some(version) => entry.versions.iter().find(|other| other.row.version.as_ref() == version),
            None => entry.versions.first(),
        };
        let Some(Version { manifest, row }) = found else {
            let message = format!("find version {} of pack {name}", wanted.unwrap_or("any"));
            return Err(Failure::new(Code::E001, "pack.version_not_found", "registry", message));
        };
        Ok(PackInfo {
            manifest: manifest.clone(),
            source: row.source.clone(),
            digest: hex(&row.digest),
            deployed_at: row.deployed_at,
            by: row.by.clone(),
            current: entry.current.as_ref() == Some(&row.version),
            enabled: entry.enabled,
            warnings: Vec::new(),
            versions: entry.versions.iter().map(|version| version.row.version.clone()).collect(),
            reload_error: self.errors().get(name).cloned(),
        })
    }

    /// Checks a file and plans its deploy.
    ///
    /// # Errors
    /// E012 with file, line, column and fix; E013 for a folder or a host that is not allowed; E011 for a version that exists
    /// with another content.
    pub(crate) fn plan(
        &self,
        file_name: &str,
        source: &[u8],
        versioning: Versioning,
        (by, now): (&str, Timestamp),
    ) -> Result<Plan, Failure> {
        let mut pack = hale_core::pack::parse(source, file_name, &self.env).map_err(|error| {
            let message = format!("read pack {error}");
            Failure::new(Code::E012, "pack.invalid", "registry", message)
        })?;
        self.check_grants(&pack.manifest)?;
        sites::check(&pack, file_name, &self.web)?;
        sites::warn(&mut pack, &self.web);
        warn_of_limits(&mut pack);
        self.warn_of_job(&mut pack);
        let shelf = self.shelf.load();
        children::warn(&mut pack, &shelf);
        let entry = shelf.get(&pack.manifest.name);
        let before = entry.and_then(|entry| entry.current.clone());
        let same = |digest: &str, version: &Version| hex(&version.row.digest) == digest;
        if let Some(entry) = entry
            && let Some(known) = entry.versions.iter().find(|version| same(&pack.digest, version))
        {
            // The same content under the version that it was given then.
            let version = known.row.version.clone();
            pack.manifest.version = version.to_string();
            let ops = if entry.current.as_ref() == Some(&version) {
                Vec::new()
            } else {
                vec![Op::PackCurrent { name: pack.manifest.name.as_str().into(), version }]
            };
            return Ok(Plan { pack, ops, before });
        }
        let taken = entry.is_some_and(|entry| {
            entry.versions.iter().any(|version| version.row.version.as_ref() == pack.manifest.version)
        });
        if taken {
            pack.manifest.version = suffixed(&pack, versioning)?;
        }
        let mut ops = vec![Op::PackDeploy(Box::new(row_of(&pack, by, now)?))];
        // Before the last op, whose answer is that of the deploy: a version that is still needed stays.
        ops.extend(entry.into_iter().flat_map(|entry| surplus(&pack.manifest.name, entry)));
        ops.push(Op::PackCurrent {
            name: pack.manifest.name.as_str().into(),
            version: pack.manifest.version.as_str().into(),
        });
        Ok(Plan { pack, ops, before })
    }

    fn check_grants(&self, manifest: &Manifest) -> Result<(), Failure> {
        for text in &manifest.files {
            let refused = |error: &(dyn std::error::Error + 'static)| {
                let message = format!("grant {text} to pack {}", manifest.name);
                Failure::new(Code::E013, "pack.grant_refused", "registry", message).caused_by(error)
            };
            let grant: Grant = text.parse().map_err(|error| refused(&error))?;
            grant.allowed_by(&self.allow).map_err(|error| refused(&error))?;
        }
        match (manifest.kind, &self.jobs) {
            (Kind::Job, Some(jobs)) => jobs.granted(manifest, &self.allow).map(drop),
            _ => Ok(()),
        }
    }

    /// A program that is not here may be on the machine of a worker, so that it is a warning; the start refuses it.
    fn warn_of_job(&self, pack: &mut Pack) {
        let objection = self.jobs.as_ref().and_then(|jobs| jobs.objection(&pack.manifest, &self.allow));
        if let Some(why) = objection {
            let message = format!("a job of this pack would not start here: {why}");
            pack.warnings.push(Warning { line: 1, column: 1, message, help: String::new() });
        }
    }

    pub(crate) fn errors(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.reload_errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version before the current one, by time of deploy.
    ///
    /// # Errors
    /// E011 when there is none.
    pub(crate) fn previous(&self, name: &str) -> Result<Arc<str>, Failure> {
        let info = self.info(name, None)?;
        let at = info.versions.iter().position(|version| version.as_ref() == info.manifest.version);
        let previous = at.and_then(|at| info.versions.get(at + 1)).cloned();
        previous.ok_or_else(|| {
            let message =
                format!("roll back pack {name}: there is no version before {}", info.manifest.version);
            Failure::new(Code::E011, "pack.no_previous", "registry", message)
        })
    }
}

/// Forgets the oldest versions beyond what is kept, once one more is deployed. The current one stays: it is the way
/// back from this deploy.
fn surplus<'e>(name: &'e str, entry: &'e Entry) -> impl Iterator<Item = Op> + 'e {
    let old = entry.versions.iter().skip(limits::PACK_VERSIONS_KEPT - 1).rev();
    let needless = old.filter(|version| entry.current.as_ref() != Some(&version.row.version));
    let forget =
        |version: &Version| Op::PackForget { name: name.into(), version: version.row.version.clone() };
    needless.take(FORGET_AT_ONCE).map(forget)
}

/// A limit that nothing holds yet is said to be so, at every deploy.
fn warn_of_limits(pack: &mut Pack) {
    let limits = &pack.manifest.limits;
    let unheld = [
        (limits.budget_usd.is_some(), "limits.budget_usd", "no prices are known; max_tokens bounds the use"),
        (
            pack.manifest.kind != Kind::Job && limits.memory.is_some(),
            "limits.memory",
            "it bounds processes, and this pack starts none",
        ),
    ];
    for (_, key, why) in unheld.into_iter().filter(|(set, _, _)| *set) {
        let message = format!("{key} is kept but not enforced: {why}");
        pack.warnings.push(Warning { line: 1, column: 1, message, help: String::new() });
    }
}

fn suffixed(pack: &Pack, versioning: Versioning) -> Result<String, Failure> {
    let Manifest { name, version, .. } = &pack.manifest;
    match versioning {
        Versioning::Suffix => {
            let bare = version.split_once('+').map_or(version.as_str(), |(bare, _)| bare);
            Ok(format!("{bare}+{}", &pack.digest[..8]))
        }
        Versioning::Strict => {
            let message = format!(
                "deploy {name} v{version}: this version exists with another content, versions never change; \
                 raise `version:` in the file"
            );
            Err(Failure::new(Code::E011, "pack.version_exists", "registry", message))
        }
    }
}

fn version_of(row: PackRow) -> Result<Version, Failure> {
    let manifest = serde_json::from_str(&row.manifest_json).map_err(|error| {
        let message = format!("decode the stored manifest of {} v{}", row.name, row.version);
        Failure::new(Code::E008, "store.damaged", "store", message).caused_by(&error)
    })?;
    Ok(Version { manifest: Arc::new(manifest), row })
}

fn row_of(pack: &Pack, by: &str, now: Timestamp) -> Result<PackRow, Failure> {
    let json = serde_json::to_string(&pack.manifest).map_err(|error| {
        Failure::new(Code::E015, "pack.unencodable", "registry", "encode the manifest").caused_by(&error)
    })?;
    Ok(PackRow {
        name: pack.manifest.name.as_str().into(),
        version: pack.manifest.version.as_str().into(),
        source: pack.source.as_str().into(),
        digest: *blake3::hash(pack.source.as_bytes()).as_bytes(),
        deployed_at: now,
        by: by.to_owned(),
        manifest_json: json.into(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Failure {
    let known: Vec<&str> = known.map(String::as_str).take(8).collect();
    let among = if known.is_empty() {
        "no pack is deployed".to_owned()
    } else {
        format!("deployed are {}", known.join(", "))
    };
    Failure::new(Code::E001, "pack.not_found", "registry", format!("find pack {name}: {among}"))
}

/// Whether a file may be a pack by its name.
pub(crate) fn is_pack_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|ending| ending == "md" || ending == "toml")
}
