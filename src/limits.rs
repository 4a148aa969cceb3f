//! Owns every limit on what the outside (a server, a client, another user of the machine) may make this program spend:
//! bytes held, items, requests that it makes by itself, tabs, log lines, time without yielding.
//!
//! `docs/limits.md` is made from [`ALL`]; a test compares them, and checks that the tests exist. A new limit is a row here
//! and its use. A loop over what the outside sent goes through [`Yielding`].

pub mod entry;
mod yielding;

pub use yielding::Yielding;

use entry::limits;

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

limits! {
    "Cookies" {
        /// Cookies of the MCP endpoint. Those that were set longest ago make room.
        MAX_COOKIES: usize = 50, because "RFC 6265 (6.1) wants as many for a domain",
            shown by "a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes";
        /// All of them together, with their names, paths and domains; each request carries them.
        MAX_COOKIES_BYTES: usize = 8 * KIB, because "many servers refuse a request with longer headers",
            shown by "a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes";
        /// One cookie, its name and value. A longer one is ignored.
        MAX_COOKIE_BYTES: usize = 4 * KIB, because "RFC 6265 (6.1) wants as much",
            shown by "a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes";
    }
    "Time without yielding" {
        /// Bytes that a loop may go through before it lets everything else run.
        YIELD_AFTER_BYTES: usize = MIB, because "a MiB is unpacked and looked through in some milliseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
        /// Items that a loop may go through before it lets everything else run.
        YIELD_AFTER_ITEMS: usize = 1_000, because "an item costs some microseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
    }
}
