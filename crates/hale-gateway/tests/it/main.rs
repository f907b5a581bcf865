//! Facts about the gateway, each against a server that sends exactly the bytes of its script.

mod calls;
mod errors;
mod keys;
mod script;
mod splitting;
mod stats;
mod wire;
