//! Facts about the lab.
