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
}
