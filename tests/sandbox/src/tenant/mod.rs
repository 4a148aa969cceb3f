//! The tenant's own side: permissions, records, and what its tools do with them.

pub(crate) mod actions;
pub(crate) mod dataset;
pub mod permission;
