//! Integration tests of hale-core.
