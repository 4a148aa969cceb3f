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
const MIB: usize = 1024 * KIB;

limits! {
    "Time without yielding" {
        /// Bytes that a loop may go through before it lets everything else run.
        YIELD_AFTER_BYTES: usize = MIB, because "a MiB is unpacked and looked through in some milliseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
        /// Items that a loop may go through before it lets everything else run.
        YIELD_AFTER_ITEMS: usize = 1_000, because "an item costs some microseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
    }
    "Bytes of the server's messages" {
        /// Bytes of each body or event that are read without asking for room.
        BODY_SHARE_BYTES: usize = 16 * KIB, because "ordinary answers are shorter, and a thousand of them take 16 MiB",
            shown by "long_bodies_that_wait_hold_up_no_short_one_and_no_ordinary_answer";
        /// Bytes from which on a body counts as long.
        SHORT_BODY_BYTES: usize = 64 * KIB, because "64 of them are read at once",
            shown by "a_body_takes_room_as_it_grows_and_gives_back_what_its_message_does_not_need";
        /// Bytes of all short bodies that are held, beyond their shares.
        SHORT_BODIES_BYTES: usize = 4 * MIB, because "that is 64 of the longest",
            shown by "sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together";
        /// Bytes of all long bodies that are held, except the large one that has the turn.
        LONG_BODIES_BYTES: usize = 8 * MIB, because "eight results of a MiB are read side by side",
            shown by "sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together";
        /// Bodies that are read beyond that at the same time, each up to the largest message.
        LARGE_BODIES: usize = 1, because "two of the largest would take 128 MiB",
            shown by "sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together";
        /// Bytes that a body with room of its own must bring within the idle time-out.
        BODY_PACE_BYTES: usize = 64 * KIB, because "a byte now and then would keep the room from all others",
            shown by "a_body_that_holds_room_must_go_on_whatever_the_client_owes";
        /// A message up to this size gets memory of its own; a larger one stays in the memory that it was put together in.
        COPIED_MESSAGE_BYTES: usize = 512 * KIB, because "no buffer of the network is as large, and copying so much takes some microseconds",
            shown by "a_message_holds_the_memory_that_its_room_counts";
        /// Bytes that the server may have sent on an HTTP/2 connection before they are read, all streams together.
        HTTP2_UNREAD_BYTES: u32 = 64 * 1024 * 1024, because "50 streams have a MiB each, enough for 40 MiB/s from 25 ms away",
            shown by "the_windows_of_all_streams_fit_into_that_of_their_connection";
        /// The longest event of the type `error` that is looked at.
        ERROR_EVENT_BYTES: usize = 64 * KIB, because "it is a refusal in some words",
            shown by "what_a_stream_keeps_beside_its_messages_is_small";
    }
    "What waits for the client" {
        /// Bytes of short lines that wait for stdout; one larger line may wait alone. A long message of the server brings its own room.
        LINES_BYTES: usize = 8 * MIB, because "a client that does not read for a moment stops nothing",
            shown by "a_client_that_does_not_read_costs_bounded_memory_and_its_cancellations_are_heard";
        /// Bytes that each such line counts for beside its own.
        LINE_OVERHEAD_BYTES: usize = 256, because "that is what keeping it costs",
            shown by "a_short_line_counts_for_what_keeping_it_costs";
        /// Bytes of lines that wait although nobody waits for them any more; beyond, stdin is read no further and notifications are dropped.
        ABANDONED_LINES_BYTES: usize = 8 * MIB, because "they are what ended requests have left",
            shown by "lines_that_nobody_waits_for_any_more_are_bounded_and_only_notifications_are_lost";
        /// Bytes of answers that wait for the rest of their batches; one that finds no room is answered with `answer-too-large`.
        BATCH_ANSWERS_BYTES: usize = 16 * MIB, because "they are held twice while they are put together",
            shown by "what_waits_for_the_rest_of_its_batch_is_bounded_and_the_member_beyond_is_answered_with_a_problem";
    }
    "What the client sends" {
        /// Requests in flight; further ones are answered with `too-many-in-flight`.
        MAX_REQUESTS: usize = 2_000, because "that is twice what is sent to a server at once, and 6 kB each are 12 MiB",
            shown by "no_more_requests_are_admitted_than_fit_and_each_end_makes_room";
        /// Bytes of all requests in flight; one larger request may be in flight alone.
        MAX_REQUESTS_BYTES: usize = 72 * MIB, because "the largest message passes beside 8 MiB of others",
            shown by "no_more_requests_are_admitted_than_fit_and_each_end_makes_room";
        /// Listening streams of the stateless revision that are open at once.
        MAX_LISTENING_REQUESTS: usize = 32, because "they stay open and count for none of the requests that a server takes at once",
            shown by "a_client_that_opens_ever_more_listening_streams_reads_that_the_bridge_is_busy";
        /// Notifications and answers that wait for the server; beyond, stdin is read no further.
        MAX_OUTBOX_MESSAGES: usize = 1_000, because "a server that is only slow loses nothing",
            shown by "what_a_server_that_accepts_nothing_is_sent_stays_bounded_and_stdin_is_paused_once";
        /// Bytes of them; one larger message may wait alone.
        MAX_OUTBOX_BYTES: usize = 8 * MIB, because "they are short, and stdin waits for the rest",
            shown by "large_messages_are_bounded_by_their_bytes_and_one_may_wait_alone";
        /// Lines of stdin that are read ahead.
        MAX_LINES_AHEAD: usize = 64, because "that keeps the pipe moving while the bridge is at work",
            shown by "lines_are_read_ahead_up_to_a_bound_in_bytes_and_a_larger_one_alone";
        /// Bytes of them; one larger line may wait alone.
        LINES_AHEAD_BYTES: usize = MIB, because "what is not read waits in the pipe",
            shown by "lines_are_read_ahead_up_to_a_bound_in_bytes_and_a_larger_one_alone";
        /// The largest `initialize` and the largest `notifications/initialized`: both are kept for later sessions.
        HANDSHAKE_BYTES: usize = MIB, because "they name a client and what it can do",
            shown by "an_initialize_that_would_be_kept_whole_is_bounded";
        /// Subscriptions that a later session is asked for again; the oldest beyond that are not.
        MAX_SUBSCRIPTIONS: usize = 1_000, because "each costs the next session a request",
            shown by "subscriptions_that_are_kept_for_the_next_session_are_bounded";
        /// Bytes of them.
        SUBSCRIPTIONS_BYTES: usize = MIB, because "that is a thousand long addresses",
            shown by "subscriptions_that_are_kept_for_the_next_session_are_bounded";
    }
    "What the server asks and lists" {
        /// Requests of the server that the client has not answered; further ones are refused.
        MAX_SERVER_REQUESTS: usize = 1_000, because "a person answers a few",
            shown by "what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids";
        /// The longest id of such a request; one with a longer id is refused.
        SERVER_REQUEST_ID_BYTES: usize = KIB, because "ids are numbers or a few characters",
            shown by "what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids";
        /// How long an answer that the client owes excuses a server's silence, and is waited for.
        OWED_ANSWER_WAIT: Duration = Duration::from_secs(10 * 60), because "a person reads, decides and types in that time",
            shown by "a_debt_of_the_client_excuses_silence_for_as_long_as_a_person_may_take";
        /// Tools that are remembered as safe, or as unsafe, to repeat.
        MAX_KNOWN_TOOLS: usize = 4_000, because "a model is offered some hundreds",
            shown by "what_is_known_of_tools_is_bounded_and_what_does_not_fit_is_not_repeated";
    }
}
