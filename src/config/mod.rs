//! Owns the settings: where each value comes from, and the final typed form that everything else reads.
//!
//! The layers, the first one wins: flags, environment, the user's file, what is built in for Planhat, defaults. A layer
//! that an administrator distributes will stand between the user's file and what is built in.

mod client_key;
mod file;
mod hosts;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod key;
mod layers;
pub mod origin;
mod paths;
mod resolve;
pub mod server;
pub mod settings;
mod signing_in;
#[cfg(test)]
mod tests;

pub use client_key::{KeyAlgorithm, KeySettings};
pub use hosts::HostPattern;
pub use layers::{CONFIG_VARIABLE, Inputs, VARIABLE_PREFIX};
pub use paths::own_dir;
pub use resolve::{Loaded, REDACTED, Row, load};
pub use settings::*;
