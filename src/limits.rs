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
    "Messages of the server" {
        /// Members of a batch, in either direction; the rest is counted while parsing and dropped, or the batch refused.
        BATCH_MEMBERS: usize = 1_000, because "a batch is a handful of messages, and one revision alone has them",
            shown by "a_batch_of_a_server_has_a_thousand_members_and_the_rest_and_the_garbage_is_counted";
        /// What is looked through on the runtime's one thread at once; what is longer is looked through on another.
        LONGEST_LOOK_BYTES: usize = 4 * MIB, because "some hundred MiB of JSON are looked through in a second",
            shown by "a_long_text_is_looked_through_on_another_thread_and_a_short_one_here";
        /// The longest answer to a request of the bridge's own.
        OWN_ANSWER_BYTES: usize = 8 * MIB, because "it is a list, or what a server offers",
            shown by "an_answer_to_the_bridge_itself_has_a_bound_of_its_own";
        /// The longest body of a refusal that is read for a JSON-RPC error in it.
        REFUSAL_JSON_BYTES: usize = 8 * MIB, because "an error is short, and its data are not a result",
            shown by "a_refusal_of_a_great_body_costs_neither_its_memory_nor_time";
        /// The longest body of a refusal of which the server's words are quoted.
        REFUSAL_BODY_BYTES: usize = MIB, because "a few hundred characters of it are shown",
            shown by "a_refusal_of_a_great_body_costs_neither_its_memory_nor_time";
        /// The longest id of an event; a stream with a longer one is not resumed after it.
        EVENT_ID_BYTES: usize = 4 * 1024, because "it goes back in a header, where servers take 8 KiB in all",
            shown by "an_id_that_no_header_could_carry_is_not_kept";
    }
    "Lists" {
        /// The longest list, or page of one, that is remembered and learned from; a longer one is passed on.
        LIST_BYTES: usize = 8 * MIB, because "a thousand tools with long schemas have 5 MiB",
            shown by "a_list_of_more_members_than_anybody_has_is_not_kept";
        /// Members of such a list.
        LIST_MEMBERS: usize = 10_000, because "clients take a hundred tools, and page through resources",
            shown by "a_list_of_more_members_than_anybody_has_is_not_kept";
        /// Arguments of one tool that are marked to be repeated in headers; a tool with more leaves the list.
        MARKED_ARGUMENTS: usize = 64, because "they are for routing, and servers take a hundred header fields",
            shown by "a_tool_with_too_many_marked_arguments_leaves_the_list_and_none_costs_more_than_its_length";
        /// How deep in the arguments a marked one may lie.
        MARK_DEPTH: usize = 8, because "the arguments are gone through once for each level",
            shown by "a_tool_with_too_many_marked_arguments_leaves_the_list_and_none_costs_more_than_its_length";
        /// Names and values of the headers that repeat parts of one request; those that do not fit are left out.
        REPEATED_HEADERS_BYTES: usize = 32 * 1024, because "servers take 8 to 32 KiB of headers",
            shown by "headers_that_repeat_the_body_are_bounded_together";
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
