//! Owns how several processes share one sign-in: locking or joining, when one may start automatically, its process, and
//! how the others wait for it.

pub mod join;
pub mod link;
pub mod login;
pub mod logout;
pub mod observed;
pub mod outcome;
pub mod pages;
pub mod process;
pub mod sign_ins;
pub mod start;
pub mod wait;
