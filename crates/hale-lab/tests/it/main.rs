//! Facts about the lab.

mod sim;
