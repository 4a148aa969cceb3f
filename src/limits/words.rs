//! The rows about what is shown and written, and about files.

use super::entry::{KIB, MIB, limits};

limits! {
    "What is shown of others' words" {
        /// Characters of one text of a server that are shown, in an error, the log, the page or a terminal.
        SHOWN_WORDS_CHARS: usize = 2_000,
            because "a page of text; what matters stands at its beginning",
            shown by "words_are_bounded_and_show_what_hides_in_them";
        /// Bytes of one text of a server that are searched for secrets before it is shown.
        SEARCHED_WORDS_BYTES: usize = 8 * 1024,
            because "that holds all the characters that are shown, of any script",
            shown by "a_hostile_text_is_looked_through_at_once";
        /// Characters of the server's words that a problem or a line of the log quotes.
        QUOTED_WORDS_CHARS: usize = 500,
            because "a reason is a sentence or two",
            shown by "a_quotation_of_the_server_is_bounded";
        /// Characters of the name of whoever signed in.
        PERSON_NAME_CHARS: usize = 120,
            because "names and addresses are shorter",
            shown by "a_name_cannot_drive_the_terminal_it_is_shown_on";
        /// Bytes of one line that a command prints.
        PRINTED_LINE_BYTES: usize = 16 * KIB,
            because "that is longer than any link",
            shown by "a_printed_line_is_bounded_and_the_next_one_stays";
    }
    "The log" {
        /// Lines of one kind (one place in the source) that are written in a minute, at error, warn or info; the rest is summed up in one.
        MAX_LOG_LINES_PER_KIND: usize = 20,
            because "twenty show what happens, and the count says how often",
            shown by "so_many_lines_of_a_kind_and_bytes_of_a_level_are_written_in_a_minute_and_the_rest_is_counted";
        /// The same at debug or trace, which somebody has asked for.
        MAX_LOG_DETAIL_LINES_PER_KIND: usize = 1_000,
            because "who follows each request wants to see each",
            shown by "so_many_lines_of_a_kind_and_bytes_of_a_level_are_written_in_a_minute_and_the_rest_is_counted";
        /// Bytes that each of the levels error, warn and info adds to the log in a minute.
        LOG_LEVEL_BYTES: usize = 128 * 1024,
            because "two minutes that touch stay below a MiB for all three",
            shown by "long_lines_of_many_kinds_fill_their_own_level_and_no_other";
        /// Bytes that each of debug and trace adds in a minute.
        LOG_DETAIL_LEVEL_BYTES: usize = 2 * MIB,
            because "a thousand requests are followed with room to spare",
            shown by "the_log_of_a_flood_stays_small_whatever_a_server_or_a_client_sends";
        /// The longest line of the log; a longer one is cut off.
        LOG_LINE_BYTES: usize = 4 * 1024,
            because "a problem with all that a server said has 2 KiB",
            shown by "a_line_is_cut_off_at_its_bound_and_never_held_as_a_whole";
        /// What the line that sums up a kind repeats of the kind.
        LOG_SAMPLE_BYTES: usize = 200,
            because "that tells one kind from another",
            shown by "long_lines_of_many_kinds_fill_their_own_level_and_no_other";
    }
    "Files" {
        /// Bytes of a file that a person names: settings, certificates, a secret, a key.
        GIVEN_FILE_BYTES: usize = 4 * MIB,
            because "the certificates of all public authorities are a quarter of that",
            shown by "a_file_that_a_person_names_may_be_a_link_and_must_be_a_file";
        /// Bytes of a file of the program's own that are read.
        OWN_FILE_BYTES: u64 = 4 * 1024 * 1024,
            because "none of them holds a quarter of that",
            shown by "a_file_of_the_program_s_own_is_read_up_to_its_bound";
        /// Of what another copy of this program says of its version, as much is read.
        COPY_VERSION_BYTES: u64 = 256,
            because "a line with a version is shorter",
            shown by "a_copy_that_talks_without_end_is_no_copy";
        /// The largest file of a client that `doctor` looks into and `install` changes.
        CLIENT_FILE_BYTES: u64 = 32 * 1024 * 1024,
            because "some clients keep their history in the same file",
            shown by "a_client_s_file_is_read_up_to_a_size_and_a_depth";
        /// How deep a list of servers may lie in such a file.
        MAX_CLIENT_FILE_DEPTH: usize = 6,
            because "the deepest that a client has lies three levels deep",
            shown by "a_client_s_file_is_read_up_to_a_size_and_a_depth";
        /// Bytes of the end of the log that a report of `doctor` reads.
        REPORTED_LOG_BYTES: u64 = 64 * 1024,
            because "they hold the lines that it shows",
            shown by "a_report_has_the_last_lines_of_the_log_and_no_more";
        /// Lines of them that it shows.
        MAX_REPORTED_LOG_LINES: usize = 100,
            because "what went wrong stands at the end",
            shown by "a_report_has_the_last_lines_of_the_log_and_no_more";
        /// Answers of the server that may wait to be written to a file; beyond, they are not remembered.
        MAX_UNWRITTEN_ANSWERS: usize = 32,
            because "a disk that answers takes each at once",
            shown by "remembered_answers_that_do_not_answer_are_none_and_hold_up_nothing_else";
        /// Addresses of one name that `doctor` tries to connect to.
        MAX_TRIED_ADDRESSES: usize = 8,
            because "names have two or four",
            shown by "a_name_with_ever_more_addresses_has_a_few_tried";
        /// Parts into which a record is divided where the platform's store takes only small items.
        MAX_STORED_PARTS: usize = 1_000,
            because "a record has a few hundred kilobytes at most",
            shown by "a_record_of_more_parts_than_any_has_is_refused";
    }
}
