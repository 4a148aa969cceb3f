//! The tenant as a client meets it.

mod calls;
mod faults;
mod habits;
mod sign_in;
mod support;
