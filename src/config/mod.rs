//! Owns the settings: where each value comes from, and the final typed form that everything else reads.

pub mod settings;

pub use settings::*;
