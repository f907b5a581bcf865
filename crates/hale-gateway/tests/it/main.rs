//! Facts about the gateway.
