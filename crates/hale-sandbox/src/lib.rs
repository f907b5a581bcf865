//! What is not trusted: file tools inside granted folders, and child processes.
//!
//! Guarantees: a tool reads nothing outside the folders that its pack was granted, whatever paths, links, races or
//! patterns it is handed; it never blocks on a special file; what it returns, searches and waits for is bounded. A
//! program runs within walls that are named, and nothing of it is left behind.
//! Leaves to others: deciding which run may call which tool and journaling the call (`hale-engine`).
//! Everything here is synchronous: the engine calls it on a blocking thread.
//! Read next: [`grant`], then [`folder`]; for programs, [`job`].

pub mod control;
pub mod error;
pub mod folder;
pub mod grant;
pub mod limits;
pub mod process;
pub mod job;
pub mod tools;

pub use control::Control;
pub use error::Error;
pub use folder::{Folder, Resolver};
pub use grant::{Grant, Mode};
pub use process::piped::Launcher;
pub use tools::{ToolSpec, call, specs};
