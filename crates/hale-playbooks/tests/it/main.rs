//! The border of hale-playbooks: text in, verdict out.

mod catalogue;
mod causes;
mod evidence;
mod expression;
mod judge;
mod loader;
mod worlds;
