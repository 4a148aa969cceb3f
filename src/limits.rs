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
    "Time at the end" {
        /// From a signal to the end of the process, whatever it is doing.
        SIGNAL_END_WAIT: Duration = Duration::from_secs(2), because "the orderly end takes 1.9 s at most",
            shown by "a_signal_ends_the_process_although_its_runtime_does_not_answer";
    }
    "The log" {
        /// Lines of one kind (one place in the source) that are written in a minute, at error, warn or info; the rest is summed up in one.
        LOG_LINES_PER_KIND: usize = 20, because "twenty show what happens, and the count says how often",
            shown by "so_many_lines_of_a_kind_and_bytes_of_a_level_are_written_in_a_minute_and_the_rest_is_counted";
        /// The same at debug or trace, which somebody has asked for.
        LOG_DETAIL_LINES_PER_KIND: usize = 1_000, because "who follows each request wants to see each",
            shown by "so_many_lines_of_a_kind_and_bytes_of_a_level_are_written_in_a_minute_and_the_rest_is_counted";
        /// Bytes that each of the levels error, warn and info adds to the log in a minute.
        LOG_LEVEL_BYTES: usize = 128 * 1024, because "two minutes that touch stay below a MiB for all three",
            shown by "long_lines_of_many_kinds_fill_their_own_level_and_no_other";
        /// Bytes that each of debug and trace adds in a minute.
        LOG_DETAIL_LEVEL_BYTES: usize = 2 * MIB, because "a thousand requests are followed with room to spare",
            shown by "the_log_of_a_flood_stays_small_whatever_a_server_or_a_client_sends";
        /// The longest line of the log; a longer one is cut off.
        LOG_LINE_BYTES: usize = 4 * 1024, because "a problem with all that a server said has 2 KiB",
            shown by "a_line_is_cut_off_at_its_bound_and_never_held_as_a_whole";
        /// What the line that sums up a kind repeats of the kind.
        LOG_SAMPLE_BYTES: usize = 200, because "that tells one kind from another",
            shown by "long_lines_of_many_kinds_fill_their_own_level_and_no_other";
    }
}
