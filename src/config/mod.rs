//! Owns the settings: the source of each value, and the final typed form that everything else reads.
//!
//! The layers, in order of precedence: what the organisation has locked, flags, environment, the user's file, the
//! organisation's other values, built-in values for Planhat, defaults.
//!
//! `table` has one row per setting. It generates the keys ([`key`]), the structs ([`settings`]), the command line
//! (`cli::args`) and the order to the sign-in process.

mod choices;
pub mod consent;
mod exposed;
mod file;
mod hosts;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod key;
mod layers;
pub mod organisation;
pub mod origin;
mod paths;
mod raw_setting;
mod read;
mod resolve;
pub mod safe_url;
mod secret_files;
pub mod server;
pub mod settings;
mod shown;
mod table;
#[cfg(test)]
mod tests;

pub use choices::{CallbackHost, Choice, KeyAlgorithm, LogLevel, SignInPolicy, TokenStoreKind, TransportKind};
pub use hosts::HostPattern;
pub use layers::{CONFIG_VARIABLE, Inputs, VARIABLE_PREFIX};
pub use organisation::Organisation;
pub use paths::{Paths, home};
pub use resolve::{Loaded, Row, load};
pub use server::Product;
pub use settings::*;
pub use shown::{Shown, masked_url};
