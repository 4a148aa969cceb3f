//! Owns every limit on what the outside (a server, a client, another user of the machine) may make this program spend:
//! bytes held, items, requests that it makes by itself, tabs, log lines, time without yielding.
//!
//! `docs/limits.md` is made from [`ALL`]; a test compares them, and checks that the tests exist. A new limit is a row here
//! and its use. A loop over what the outside sent goes through [`Yielding`].

pub mod entry;
mod yielding;

pub use yielding::Yielding;

use entry::limits;

const MIB: usize = 1024 * 1024;

limits! {
    "Time without yielding" {
        /// Bytes that a loop may go through before it lets everything else run.
        YIELD_AFTER_BYTES: usize = MIB, because "a MiB is unpacked and looked through in some milliseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
        /// Items that a loop may go through before it lets everything else run.
        YIELD_AFTER_ITEMS: usize = 1_000, because "an item costs some microseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
    }
}
