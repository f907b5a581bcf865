//! What the sandbox promises, tested at its border: `call`, `Folder`, `Grant`, and the process functions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

mod bounds;
mod escape;
mod grants;
mod jobs;
mod list;
mod place;
mod processes;
mod race;
mod read;

mod search;
mod special;
mod stop;
