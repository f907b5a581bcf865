//! What an operator may set, and where each value comes from.
//!
//! Guarantees: flags win over the environment, the environment over `hale.toml`, that over the built-in defaults; an
//! unknown key, a wrong value or a limit above its parent's is an error with file, line and fix; every value keeps
//! its source; a secret never appears, only its fingerprint.
//! Leaves to others: settings that change while the server runs (`hale-engine::settings`).
//! Read next: [`keys`], the list of all settings; then [`load`].

pub mod check;
pub mod env;
pub mod keys;
pub mod load;
pub mod source;
pub mod value;

pub use check::{Problem, Problems};
pub use keys::{Provider, Settings};
pub use load::{Config, Flag, Order, load};
pub use source::Source;
