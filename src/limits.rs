//! Owns every limit on what the outside (a server, a client, another user of the machine) may make this program spend:
//! bytes held, items, requests that it makes by itself, tabs, log lines, time without yielding.
//!
//! `docs/limits.md` is made from [`ALL`]; a test compares them, and checks that the tests exist. A new limit is a row here
//! and its use. A loop over what the outside sent goes through [`Yielding`].

pub mod entry;
mod yielding;

pub use yielding::Yielding;

use std::time::Duration;

use entry::limits;

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

limits! {
    "Requests for tokens" {
        /// The pause before a refresh token is presented for the third time when it is not known what became of it; it
        /// doubles from time to time. The second time needs none.
        SHORTEST_PRESENTATION_PAUSE: Duration = Duration::from_secs(30), because "a server that detects reuse bears an old token for a moment only",
            shown by "a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow";
        /// The longest such pause.
        LONGEST_PRESENTATION_PAUSE: Duration = Duration::from_secs(600), because "who does not want to wait signs in again",
            shown by "a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow";
        /// Renewals in a minute, in one process, whatever the server says about its tokens.
        RENEWALS_PER_MINUTE: usize = 30, because "a sound server wants one in some minutes, and a test of it several",
            shown by "no_server_causes_more_renewals_in_a_minute_than_the_bound";
        /// An access token is used for as long, whatever end the server names, unless the server refuses it.
        SHORTEST_TOKEN_LIFE: Duration = Duration::from_secs(3), because "a token that ends at once would be renewed before each request",
            shown by "a_token_that_ends_at_once_is_used_until_the_server_refuses_it";
        /// The longest pause after a client that gets tokens for itself was given none; it begins with a second, and doubles.
        LONGEST_CLIENT_PAUSE: Duration = Duration::from_secs(60), because "a server that is back is noticed within a minute",
            shown by "a_client_that_is_given_no_token_asks_ever_less_often_however_many_calls_there_are";
    }
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
