//! Owns the brake: how many browser tabs and token requests one profile may spend, counted by all of its processes
//! together in the state directory.
//!
//! No success elsewhere clears it: not an accepted token, not a renewal, not a restart, not `logout` or `reset`. Time does,
//! and the `login` of a person at a terminal.

mod record;
mod spending;

pub use record::{Brake, Counted, Spent, TabAdmission, time_of_day};
