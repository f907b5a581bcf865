//! Packs: deploy, roll back, enable, disable. Each is an operation with an audit line and an undo.
//!
//! Read next: [`crate::registry`].

use super::Engine;
use super::operate::Deed;
use crate::input::{Caller, DryRun};
use crate::registry::{Deployed, Outcome, PackInfo, Versioning};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::nearest::nearest;
use hale_core::pack::offers::{Offer, Offered, Standing, offered};
use hale_store::Op;
use std::sync::Arc;

impl Engine {
    pub fn packs(&self) -> Vec<PackInfo> {
        self.0.registry.list()
    }

    /// Who offers which capability: all of them, those of one pack, or the one of this name.
    ///
    /// # Errors
    /// E001 when no pack and no capability has the name.
    pub fn capabilities(&self, name: Option<&str>) -> Result<Vec<Offered>, Failure> {
        let packs = self.packs();
        let all = offered(packs.iter().map(|info| (offer(info), info.manifest.capabilities.as_slice())));
        let Some(name) = name else { return Ok(all) };
        let of_pack = |offered: &Offered| offered.offers.iter().any(|offer| offer.pack == name);
        if packs.iter().any(|info| info.manifest.name == name) {
            return Ok(all.into_iter().filter(of_pack).collect());
        }
        let known = packs.iter().map(|info| info.manifest.name.as_str());
        let known = known.chain(all.iter().map(|offered| offered.capability.as_str()));
        let meant = nearest(name, known).map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
        let found: Vec<Offered> = all.iter().filter(|offered| offered.capability == name).cloned().collect();
        if found.is_empty() {
            let message = format!("find {name}: neither a pack nor a capability is called so{meant}");
            return Err(Failure::new(Code::E001, "capability.not_found", "registry", message));
        }
        Ok(found)
    }

    /// One pack with its versions.
    ///
    /// # Errors
    /// E001 when there is none.
    pub async fn pack(&self, name: &str, version: Option<&str>) -> Result<PackInfo, Failure> {
        self.0.registry.info(name, version)
    }

    /// Checks a pack file and puts it in place.
    ///
    /// # Errors
    /// E011, E012, E013: nothing has changed then.
    pub async fn deploy(
        &self,
        file_name: &str,
        source: &[u8],
        dry_run: DryRun,
        caller: &Caller,
    ) -> Result<Deployed, Failure> {
        self.deploy_as(file_name, source, (dry_run, Versioning::Strict), caller).await
    }

    pub(crate) async fn deploy_as(
        &self,
        file_name: &str,
        source: &[u8],
        (dry_run, versioning): (DryRun, Versioning),
        caller: &Caller,
    ) -> Result<Deployed, Failure> {
        let now = self.now();
        let plan = self.0.registry.plan(file_name, source, versioning, (&caller.actor, now))?;
        let (name, version) = (plan.pack.manifest.name.clone(), plan.pack.manifest.version.clone());
        let outcome = match (plan.ops.is_empty(), dry_run) {
            (true, _) => Outcome::Unchanged,
            (false, DryRun::Yes) => Outcome::WouldDeploy,
            (false, DryRun::No) => Outcome::New,
        };
        if outcome == Outcome::New {
            let undo = plan.before.as_ref().map(|before| format!("hale packs rollback {name} --to {before}"));
            let deed =
                Deed { operation: "packs.deploy", target: name.clone(), detail: version.clone(), undo };
            self.operate(deed, plan.ops, caller).await?;
            self.0.registry.refresh(&name)?;
        }
        let mut info = match self.0.registry.info(&name, Some(&version)) {
            Ok(info) => info,
            Err(_) => planned(&plan.pack, (caller, now)),
        };
        info.warnings = plan.pack.warnings;
        Ok(Deployed { info, outcome })
    }

    /// Makes an older version the current one.
    ///
    /// # Errors
    /// E001 for an unknown version, E011 when there is none before.
    pub async fn rollback(&self, name: &str, to: Option<&str>, caller: &Caller) -> Result<PackInfo, Failure> {
        let version: Arc<str> = match to {
            Some(version) => {
                self.0.registry.info(name, Some(version))?;
                version.into()
            }
            None => self.0.registry.previous(name)?,
        };
        let before = self.0.registry.info(name, None)?.manifest.version.clone();
        let undo = Some(format!("hale packs rollback {name} --to {before}"));
        let deed =
            Deed { operation: "packs.rollback", target: name.to_owned(), detail: version.to_string(), undo };
        self.operate(deed, vec![Op::PackCurrent { name: name.into(), version }], caller).await?;
        self.0.registry.refresh(name)?;
        self.0.registry.info(name, None)
    }

    /// Lets new runs of the pack in.
    ///
    /// # Errors
    /// E001 when there is no such pack.
    pub async fn enable(&self, name: &str, caller: &Caller) -> Result<PackInfo, Failure> {
        let undo = format!("hale packs disable {name}");
        self.switch(name, true, ("packs.enable", undo), caller).await
    }

    /// Refuses new runs of the pack; those accepted go on.
    ///
    /// # Errors
    /// E001 when there is no such pack.
    pub async fn disable(&self, name: &str, caller: &Caller) -> Result<PackInfo, Failure> {
        let undo = format!("hale packs enable {name}");
        self.switch(name, false, ("packs.disable", undo), caller).await
    }

    async fn switch(
        &self,
        name: &str,
        enabled: bool,
        (operation, undo): (&'static str, String),
        caller: &Caller,
    ) -> Result<PackInfo, Failure> {
        self.0.registry.info(name, None)?;
        let deed = Deed { operation, target: name.to_owned(), detail: String::new(), undo: Some(undo) };
        self.operate(deed, vec![Op::PackEnabled { name: name.into(), enabled }], caller).await?;
        self.0.registry.refresh(name)?;
        self.0.registry.info(name, None)
    }

    /// Reads the pack's file in the watched folder again, now.
    ///
    /// # Errors
    /// E001 when the folder has no such file; as [`Engine::deploy`] when it is broken, and the last good version
    /// keeps running.
    pub async fn reload(&self, name: &str, caller: &Caller) -> Result<PackInfo, Failure> {
        let dir = self.0.config.packs.clone();
        let found = dir.and_then(|dir| {
            ["md", "toml"]
                .into_iter()
                .map(|ending| dir.join(format!("{name}.{ending}")))
                .find(|path| path.is_file())
        });
        let Some(path) = found else {
            let message = format!("reload pack {name}: the watched folder has no {name}.md or {name}.toml");
            return Err(Failure::new(Code::E001, "pack.file_not_found", "registry", message));
        };
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let source = std::fs::read(&path).map_err(|error| {
            let message = format!("read {}", path.display());
            Failure::new(Code::E012, "pack.unreadable", "registry", message).caused_by(&error)
        })?;
        let result = self.deploy_as(&file_name, &source, (DryRun::No, Versioning::Suffix), caller).await;
        match &result {
            Ok(_) => drop(self.0.registry.errors().remove(name)),
            Err(failure) => drop(self.0.registry.errors().insert(name.to_owned(), failure.to_string())),
        }
        result.map(|deployed| deployed.info)
    }
}

fn offer(info: &PackInfo) -> Offer {
    let standing = if info.enabled { Standing::Enabled } else { Standing::Disabled };
    Offer { pack: info.manifest.name.clone(), version: info.manifest.version.clone(), standing }
}

/// What a dry run would put in place.
fn planned(pack: &hale_core::pack::Pack, (caller, now): (&Caller, hale_core::time::Timestamp)) -> PackInfo {
    PackInfo {
        manifest: Arc::new(pack.manifest.clone()),
        source: pack.source.as_str().into(),
        digest: pack.digest.clone(),
        deployed_at: now,
        by: caller.actor.to_string(),
        current: false,
        enabled: true,
        warnings: Vec::new(),
        versions: Vec::new(),
        reload_error: None,
    }
}
