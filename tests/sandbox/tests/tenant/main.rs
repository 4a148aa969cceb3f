//! The tenant as a client meets it.

mod attacks;
mod calls;
mod faults;
mod habits;
mod sign_in;
mod support;
