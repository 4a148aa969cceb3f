//! Owns what several processes do about one sign-in: taking the lock or joining, when one may start by itself, the process
//! that it lives in, and how the others wait for it.

pub mod join;
pub mod link;
pub mod login;
pub mod logout;
pub mod observed;
pub mod process;
pub mod sign_ins;
pub mod start;
pub mod wait;
