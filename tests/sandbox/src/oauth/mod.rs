//! The authorization server: metadata, the authorize endpoint with its pages, the token endpoint, and what it granted.

pub(crate) mod authorize;
pub(crate) mod grants;
pub(crate) mod metadata;
pub(crate) mod pages;
pub(crate) mod registration;
pub(crate) mod token;
