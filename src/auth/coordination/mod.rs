//! Owns what several processes do about one sign-in: when one may start by itself, the process that it lives in, how
//! others join it, and how a person opens its page by a link.

pub mod join;
pub mod link;
pub mod process;
pub mod start;
