//! What one room needs of another, as plain boxed futures.
//!
//! The rooms below the engine are strangers. The named ports (`Ledger`, `Spawn`, `Host`, `Embedder`) come with the
//! rooms that need them; today all that they share is this shape.
//! Read next: [`crate::meter`].

use std::future::Future;
use std::pin::Pin;

/// A boxed future, the plain shape of everything asynchronous at a border.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
