//! The integration tests of the doors: one binary.

mod http_listen;
