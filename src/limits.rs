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
    "What is shown of others' words" {
        /// Characters of one text of a server that are shown, in an error, the log, the page or a terminal.
        MAX_SHOWN_WORDS_CHARS: usize = 2_000, because "a page of text; what matters stands at its beginning",
            shown by "words_are_bounded_and_show_what_hides_in_them";
        /// Bytes of one text of a server that are searched for secrets before it is shown.
        MAX_WORDS_READ_BYTES: usize = 8 * 1024, because "that holds all the characters that are shown, of any script",
            shown by "a_hostile_text_is_looked_through_at_once";
        /// Bytes of one line of the log, or of the output of a command.
        MAX_LINE_BYTES: usize = 16 * 1024, because "that is longer than any link, and one event must not fill a log",
            shown by "a_line_of_the_log_is_one_line_and_bounded_whatever_its_fields_hold";
    }
    "Files" {
        /// Bytes of a file that a person names: settings, certificates, a secret, a key.
        MAX_GIVEN_FILE_BYTES: usize = 4 * MIB, because "the certificates of all public authorities are a quarter of that",
            shown by "a_file_that_a_person_names_may_be_a_link_and_must_be_a_file";
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
