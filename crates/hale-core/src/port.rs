//! What one room needs of another, as traits of plain boxed futures.
//!
//! The rooms below the engine are strangers; where one needs another, it asks for one of these, and the engine
//! hands it in. This slice has one port; `Ledger`, `Spawn` and `Embedder` come with the rooms that need them.
//! Read next: [`crate::meter`].

use std::future::Future;
use std::pin::Pin;

/// A boxed future, the plain shape of everything asynchronous at a border.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an agent may ask of the machine that runs it: every deed is one journaled step.
///
/// A step whose result is stored is not executed again: `step` answers it from the journal.
pub trait Host: Send + Sync {
    /// Runs one step: `name` is what the journal shows, `deed` what happens if it was not done before.
    ///
    /// # Errors
    /// The failure that ended the step after its retries, or the reason for which the run must stop.
    fn step<'a>(
        &'a self,
        step: crate::run::StepSpec,
        deed: Box<dyn Fn(u32) -> Boxed<'a, crate::run::StepResult> + Send + Sync + 'a>,
    ) -> Boxed<'a, crate::run::StepResult>;

    /// A line for the run's log.
    fn log(&self, text: &str);
}
