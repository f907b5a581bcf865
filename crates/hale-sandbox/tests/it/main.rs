//! What the sandbox promises, tested at its border: `call`, `Folder`, `Grant`, and the process functions.

mod bounds;
mod escape;
mod grants;
mod list;
mod place;
mod processes;
mod race;
mod read;

mod search;
mod special;
mod stop;
