//! The border of hale-playbooks: text in, verdict out.

#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up should fail there")]

mod catalogue;
mod causes;
mod evidence;
mod expression;
mod judge;
mod loader;
mod worlds;
