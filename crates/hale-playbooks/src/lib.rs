//! From evidence to a verdict: signals, expressions, playbooks, findings.
//!
//! Guarantees: a pure function. The same evidence gives the same verdict byte for byte, today or offline from a bundle;
//! unknown never counts as false; when the evidence does not decide, the verdict says so and names what would.
//! Leaves to others: gathering evidence and carrying out fixes (`hale-engine`), proving the catalogue (`hale-lab`).
//! Read next: [`verdict::diagnose`], the whole way from readings to findings.

pub mod catalogue;
pub mod evidence;
pub mod expr;
pub mod finding;
pub mod playbook;
pub mod signal;
pub mod template;
pub mod value;
pub mod verdict;

pub use catalogue::{catalogue, explain};
pub use evidence::{Evidence, Subject};
pub use finding::Finding;
pub use playbook::Playbook;
pub use playbook::load::load;
pub use value::Value;
pub use verdict::{Verdict, diagnose};
