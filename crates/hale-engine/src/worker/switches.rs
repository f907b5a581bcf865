//! The kill switches as a worker sees them: asked before every step, heard of while calls are under way.
//!
//! Guarantees: once [`Switches::set`] has returned, no step of a run that a switch covers begins here, and no call of a
//! tool that is switched off; a run that meets a switch between two steps rests there with its results written, and
//! goes on if the switch is taken off before its time is over.
//! Leaves to others: ending runs (`crate::killswitch`), which is the server's.
//! Read next: `hale-core/src/killswitch.rs`.

use super::host::{Halt, Host};
use hale_core::failure::Failure;
use hale_core::killswitch::{Standing, Switch};
use hale_core::retry::RetryClass;
use hale_core::run::Run;
use hale_core::time::Timestamp;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Switches that are on, with the moment of this machine's clock at which calls of a tool are cut.
#[derive(Debug, Default)]
struct On {
    standing: Standing,
    cut_at: Vec<Instant>,
}

/// Shared by all runs of a worker; cheap to clone.
#[derive(Clone, Debug)]
pub struct Switches(Arc<watch::Sender<Arc<On>>>);

impl Default for Switches {
    fn default() -> Self {
        Self(Arc::new(watch::channel(Arc::default()).0))
    }
}

impl Switches {
    /// Takes over what is on; `now` is of the clock that the switches were thrown by.
    pub fn set(&self, on: &[Switch], now: Timestamp) {
        let here = Instant::now();
        let cut_at = on.iter().map(|switch| here + switch.forced_at().since(now).duration()).collect();
        let standing = Standing { on: on.to_vec(), ..Standing::default() };
        self.0.send_replace(Arc::new(On { standing, cut_at }));
    }

    /// Whether no step of the run may begin.
    pub fn is_over(&self, run: &Run) -> bool {
        self.0.borrow().standing.over(run).is_some()
    }

    /// Until no switch covers the run any more.
    pub async fn lifted(&self, run: &Run) {
        let mut switches = self.0.subscribe();
        // The sender is ours, so the channel does not close.
        let _ = switches.wait_for(|on| on.standing.over(run).is_none()).await;
    }

    /// Refuses to begin what was prepared, if a switch covers the run by now.
    ///
    /// # Errors
    /// E011, worth another try: the run waits in its queue until the switch is off.
    pub fn still_on(&self, run: &Run) -> Result<(), Failure> {
        match self.0.borrow().standing.over(run) {
            Some(switch) => Err(switch.refuses(&run.pack.name).retried_as(RetryClass::Tool)),
            None => Ok(()),
        }
    }

    /// Refuses a call of a tool that is switched off.
    ///
    /// # Errors
    /// E013 with who switched it off, when and why.
    pub fn admit(&self, tool: &str) -> Result<(), Failure> {
        match self.0.borrow().standing.tool(tool) {
            Some(switch) => Err(switch.refuses_call(tool)),
            None => Ok(()),
        }
    }

    /// Until a call of the tool that is under way must end: never while the tool is on.
    pub async fn cut(&self, tool: &str) -> Failure {
        let mut switches = self.0.subscribe();
        loop {
            let off = {
                let on = switches.borrow_and_update();
                let mut both = on.standing.on.iter().zip(&on.cut_at);
                both.find(|(switch, _)| on.standing.tool(tool) == Some(*switch))
                    .map(|(switch, at)| (switch.refuses_call(tool), *at))
            };
            let Some((failure, at)) = off else {
                let _ = switches.changed().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(at) => return failure,
                _ = switches.changed() => {}
            }
        }
    }
}

impl Host<'_> {
    /// The border between two steps: passed at once, unless a kill switch covers the run. Then what is finished is
    /// written, and the run rests until the switch is off or it is told to stop.
    ///
    /// # Errors
    /// [`Halt::Stopped`], or as [`Host::write`].
    pub async fn border(&self) -> Result<(), Halt> {
        if !self.worker.switches.is_over(&self.run) {
            return Ok(());
        }
        self.write(Vec::new()).await?;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            () = self.worker.switches.lifted(&self.run) => Ok(()),
        }
    }
}
