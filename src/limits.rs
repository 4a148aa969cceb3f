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
    "Tabs and token requests" {
        /// Tabs that sign-ins of one profile open within `TAB_WINDOW`, in all processes together; `login` at a terminal is not
        /// counted, and lifts this when it succeeds.
        TAB_BUDGET: usize = 3, because "a sign-in, one that went wrong, and a wider scope are three",
            shown by "all_processes_of_a_profile_share_one_budget_of_tabs_that_only_time_refills";
        /// The time in which `TAB_BUDGET` tabs may open.
        TAB_WINDOW: Duration = Duration::from_secs(600),
            because "a tab every few minutes is one that a person can still ask about",
            shown by "all_processes_of_a_profile_share_one_budget_of_tabs_that_only_time_refills";
        /// Requests to the token endpoint (code, refresh token, client credentials) within `TOKEN_REQUEST_WINDOW`, by all
        /// processes of a profile together.
        TOKEN_REQUEST_BUDGET: usize = 30, because "tokens that last six seconds are renewed ten times a minute",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
        /// The time in which `TOKEN_REQUEST_BUDGET` requests may be sent.
        TOKEN_REQUEST_WINDOW: Duration = Duration::from_secs(60),
            because "a burst is over soon, and a call can wait for the rest of a minute",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
        /// The same within `TOKEN_REQUEST_LONG_WINDOW`.
        TOKEN_REQUEST_LONG_BUDGET: usize = 240, because "it is sixteen a minute, half as much again as six-second tokens need",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
        /// The time in which `TOKEN_REQUEST_LONG_BUDGET` requests may be sent.
        TOKEN_REQUEST_LONG_WINDOW: Duration = Duration::from_secs(900),
            because "a storm in bursts shows in a quarter of an hour",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
    }
}
