//! Packs in quarantine: which, why, and letting one go.
//!
//! Read next: [`crate::quarantine`], which puts them there.

use super::Engine;
use super::operate::Deed;
use crate::input::{Caller, Input};
use crate::quarantine::{PREFIX, Quarantine};
use hale_core::code::Code;
use hale_core::failure::Failure;

impl Engine {
    pub fn quarantines(&self) -> Vec<Quarantine> {
        self.0.settings.quarantines()
    }

    /// Lets the pack take new runs and its turns again.
    ///
    /// # Errors
    /// E001 when there is no such pack, E011 when it is not in quarantine.
    pub async fn release(&self, pack: &str, caller: &Caller) -> Result<Quarantine, Failure> {
        let Some(quarantine) = self.0.settings.quarantine(pack) else {
            self.0.registry.info(pack, None)?;
            let message = format!("release pack {pack}: it is not in quarantine");
            return Err(Failure::new(Code::E011, "pack.not_quarantined", "engine", message));
        };
        let undo = Some(format!("hale packs disable {pack}"));
        let detail = quarantine.reason.clone();
        let deed = Deed { operation: "packs.release", target: pack.to_owned(), detail, undo };
        self.set(deed, (&format!("{PREFIX}{pack}"), None), caller).await?;
        self.send(Input::Released { pack: pack.into() }).await?;
        tracing::info!(event = "pack_released", pack, by = %caller.actor, "pack {pack} released from quarantine");
        Ok(quarantine)
    }
}
