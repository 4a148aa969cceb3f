//! A flag that one side raises and another reads.

use std::sync::atomic::{AtomicBool, Ordering};

/// Lowered at first.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// Raises it, and returns whether it was raised before.
    pub fn raise(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// Lowers it, and returns whether it was raised before.
    pub fn lower(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
