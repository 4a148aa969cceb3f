//! The rows about bytes and items that are held: messages, cookies, what the client sends, lists.

use super::entry::{KIB, MIB, limits};

limits! {
    "Messages and bodies" {
        /// Members of a batch, in either direction; the rest is counted while parsing and dropped, or the batch refused.
        MAX_BATCH_MEMBERS: usize = 1_000,
            because "a batch is a handful of messages, and one revision alone has them",
            shown by "a_batch_of_a_server_has_a_thousand_members_and_the_rest_and_the_garbage_is_counted";
        /// What is looked through on the runtime's one thread at once; what is longer is looked through on another.
        LOOK_BYTES: usize = MIB,
            because "that takes some milliseconds, and a message is looked through several times",
            shown by "a_long_text_is_looked_through_on_another_thread_and_a_short_one_here";
        /// Sequences that are no UTF-8 and are replaced in one message; with more of them it is refused.
        MAX_REPLACED_BYTES: usize = 1_000,
            because "a text has a few of them, and each grows by two bytes",
            shown by "what_is_hardly_text_is_not_mended";
        /// The longest answer to a request of the bridge's own.
        OWN_ANSWER_BYTES: usize = 8 * MIB,
            because "it is a list, or what a server offers",
            shown by "an_answer_to_the_bridge_itself_has_a_bound_of_its_own";
        /// The longest body of a refusal that is read for a JSON-RPC error in it.
        REFUSAL_JSON_BYTES: usize = 8 * MIB,
            because "an error is short, and its data are not a result",
            shown by "a_refusal_of_a_great_body_costs_neither_its_memory_nor_time";
        /// The longest body of a refusal of which the server's words are quoted.
        REFUSAL_QUOTED_BYTES: usize = MIB,
            because "a few hundred characters of it are shown",
            shown by "a_refusal_of_a_great_body_costs_neither_its_memory_nor_time";
        /// The longest body that is searched for words about a lost session.
        REFUSAL_OF_SESSION_BYTES: usize = 2 * KIB,
            because "a refusal for that reason is a sentence",
            shown by "a_lost_session_is_recognised_by_the_words_about_it";
        /// The longest id of an event; a stream with a longer one is not resumed after it.
        EVENT_ID_BYTES: usize = 4 * 1024,
            because "it goes back in a header, where servers take 8 KiB in all",
            shown by "an_id_that_no_header_could_carry_is_not_kept";
        /// The longest event of the type `error` that is looked at.
        ERROR_EVENT_BYTES: usize = 64 * KIB,
            because "it is a refusal in some words",
            shown by "what_a_stream_keeps_beside_its_messages_is_small";
        /// The longest event of type `endpoint`.
        ENDPOINT_EVENT_BYTES: usize = 8 * KIB,
            because "it is an address",
            shown by "what_a_stream_keeps_beside_its_messages_is_small";
        /// Messages of the server that wait for their reader on the one stream of HTTP+SSE; before the client is ready for
        /// them, more are dropped.
        MAX_UNREAD_SERVER_MESSAGES: usize = 64,
            because "what a server says before the handshake is over is little",
            shown by "what_a_server_says_before_anybody_listens_holds_up_no_answer";
        /// Events for which an empty queue of a stream keeps its memory.
        MAX_IDLE_EVENTS: usize = 64,
            because "more come at once in a flood only",
            shown by "what_a_stream_keeps_beside_its_messages_is_small";
        /// Bytes of each body or event that are read without asking for room.
        BODY_SHARE_BYTES: usize = 16 * KIB,
            because "ordinary answers are shorter, and a thousand of them take 16 MiB",
            shown by "long_bodies_that_wait_hold_up_no_short_one_and_no_ordinary_answer";
        /// Bytes from which on a body counts as long.
        SHORT_BODY_BYTES: usize = 64 * KIB,
            because "64 of them are read at once",
            shown by "a_body_takes_room_as_it_grows_and_gives_back_what_its_message_does_not_need";
        /// Bytes of all short bodies that are held, beyond their shares.
        SHORT_BODIES_BYTES: usize = 4 * MIB,
            because "that is 64 of the longest",
            shown by "sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together";
        /// Bytes of all long bodies that are held, except the large one that has the turn.
        LONG_BODIES_BYTES: usize = 8 * MIB,
            because "eight results of a MiB are read side by side",
            shown by "sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together";
        /// Bodies that are read beyond that at the same time, each up to the largest message.
        MAX_LARGE_BODIES: usize = 1,
            because "two of the largest would take 128 MiB",
            shown by "sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together";
        /// Bytes that a body with room of its own must bring within the idle time-out.
        BODY_PACE_BYTES: usize = 64 * KIB,
            because "a byte now and then would keep the room from all others",
            shown by "a_body_that_holds_room_must_go_on_whatever_the_client_owes";
        /// Bytes that are reserved for a body because its header announces them.
        ANNOUNCED_BODY_BYTES: usize = MIB,
            because "the announcement may be wrong",
            shown by "what_a_body_announces_reserves_no_more_than_its_bound";
        /// Bytes that are reserved at once for the rest of the large body or event that has the turn.
        RESERVED_BYTES: usize = 64 * MIB,
            because "the largest message has as many, unless somebody allows more",
            shown by "what_a_body_announces_reserves_no_more_than_its_bound";
        /// A message up to this size gets memory of its own; a larger one stays in the memory that it was put together in.
        COPIED_MESSAGE_BYTES: usize = 512 * KIB,
            because "no buffer of the network is as large, and copying so much takes some microseconds",
            shown by "a_message_holds_the_memory_that_its_room_counts";
        /// Bytes that the server may have sent on an HTTP/2 connection before they are read, all streams together.
        HTTP2_UNREAD_BYTES: u32 = 64 * 1024 * 1024,
            because "50 streams have a MiB each, enough for 40 MiB/s from 25 ms away",
            shown by "the_windows_of_all_streams_fit_into_that_of_their_connection";
        /// The same for one stream (RFC 9113, 5.2); with many streams at once it is less.
        HTTP2_STREAM_UNREAD_BYTES: u32 = 1024 * 1024,
            because "it is enough for 40 MiB/s from a server that is 25 ms away",
            shown by "the_windows_of_all_streams_fit_into_that_of_their_connection";
    }
    "Cookies" {
        /// Cookies of the MCP endpoint. Those that were set longest ago make room.
        MAX_COOKIES: usize = 50,
            because "RFC 6265 (6.1) wants as many for a domain",
            shown by "a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes";
        /// All of them together, with their names, paths and domains; each request carries them.
        COOKIES_BYTES: usize = 8 * KIB,
            because "many servers refuse a request with longer headers",
            shown by "a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes";
        /// One cookie, its name and value. A longer one is ignored.
        COOKIE_BYTES: usize = 4 * KIB,
            because "RFC 6265 (6.1) wants as much",
            shown by "a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes";
    }
    "What the client sends" {
        /// Requests in flight; further ones are answered with `too-many-in-flight`.
        MAX_REQUESTS_IN_FLIGHT: usize = 2_000,
            because "that is twice what is sent to a server at once, and 6 kB each are 12 MiB",
            shown by "no_more_requests_are_admitted_than_fit_and_each_end_makes_room";
        /// Bytes of all requests in flight; one larger request may be in flight alone.
        REQUESTS_BYTES: usize = 72 * MIB,
            because "the largest message passes beside 8 MiB of others",
            shown by "no_more_requests_are_admitted_than_fit_and_each_end_makes_room";
        /// Listening streams of the stateless revision that are open at once.
        MAX_LISTENING_REQUESTS: usize = 32,
            because "they stay open and count for none of the requests that a server takes at once",
            shown by "a_client_that_opens_ever_more_listening_streams_reads_that_the_bridge_is_busy";
        /// Notifications and answers that wait for the server; beyond, stdin is read no further.
        MAX_OUTBOX_MESSAGES: usize = 1_000,
            because "a server that is only slow loses nothing",
            shown by "what_a_server_that_accepts_nothing_is_sent_stays_bounded_and_stdin_is_paused_once";
        /// Bytes of them; one larger message may wait alone.
        OUTBOX_BYTES: usize = 8 * MIB,
            because "they are short, and stdin waits for the rest",
            shown by "large_messages_are_bounded_by_their_bytes_and_one_may_wait_alone";
        /// When so many messages wait there, a further question of the server is refused here.
        MAX_OUTBOX_BEFORE_REFUSALS: usize = 250,
            because "a server that asks faster than it reads causes an answer for each question",
            shown by "a_server_that_asks_faster_than_it_reads_never_pauses_the_client";
        /// When so many wait, the refusal is dropped, too.
        MAX_OUTBOX_WITH_REFUSALS: usize = 500,
            because "the rest is for the client, whose stdin is not read while there is no room",
            shown by "a_server_that_asks_faster_than_it_reads_never_pauses_the_client";
        /// Lines of stdin that are read ahead.
        MAX_LINES_AHEAD: usize = 64,
            because "that keeps the pipe moving while the bridge is at work",
            shown by "lines_are_read_ahead_up_to_a_bound_in_bytes_and_a_larger_one_alone";
        /// Bytes of them; one larger line may wait alone.
        LINES_AHEAD_BYTES: usize = MIB,
            because "what is not read waits in the pipe",
            shown by "lines_are_read_ahead_up_to_a_bound_in_bytes_and_a_larger_one_alone";
        /// The longest id that is found in a line that is too long, and answered under it.
        REFUSED_LINE_ID_BYTES: usize = 512,
            because "no client has longer ones",
            shown by "an_id_beyond_its_bound_is_not_kept";
        /// Bytes of the name of a tool or a method by which requests are told apart, and named in the log.
        REQUEST_NAME_BYTES: usize = 128,
            because "the names of tools are shorter",
            shown by "requests_of_one_kind_are_those_of_one_tool_or_one_method";
        /// The largest `initialize` and the largest `notifications/initialized`: both are kept for later sessions.
        HANDSHAKE_BYTES: usize = MIB,
            because "they name a client and what it can do",
            shown by "an_initialize_that_would_be_kept_whole_is_bounded";
        /// Subscriptions that a later session is asked for again; the oldest beyond that are not.
        MAX_SUBSCRIPTIONS: usize = 1_000,
            because "each costs the next session a request",
            shown by "subscriptions_that_are_kept_for_the_next_session_are_bounded";
        /// Bytes of them.
        SUBSCRIPTIONS_BYTES: usize = MIB,
            because "that is a thousand long addresses",
            shown by "subscriptions_that_are_kept_for_the_next_session_are_bounded";
    }
    "What waits for the client" {
        /// Bytes of short lines that wait for stdout; one larger line may wait alone. A long message of the server brings its own room.
        WAITING_LINES_BYTES: usize = 8 * MIB,
            because "a client that does not read for a moment stops nothing",
            shown by "a_client_that_does_not_read_costs_bounded_memory_and_its_cancellations_are_heard";
        /// Bytes that each such line counts for beside its own.
        WAITING_LINE_OVERHEAD_BYTES: usize = 256,
            because "that is what keeping it costs",
            shown by "a_short_line_counts_for_what_keeping_it_costs";
        /// Bytes of lines that wait although nobody waits for them any more; beyond, stdin is read no further and notifications are dropped.
        ABANDONED_LINES_BYTES: usize = 8 * MIB,
            because "they are what ended requests have left",
            shown by "lines_that_nobody_waits_for_any_more_are_bounded_and_only_notifications_are_lost";
        /// Bytes of answers that wait for the rest of their batches; one that finds no room is answered with `answer-too-large`.
        BATCH_ANSWERS_BYTES: usize = 16 * MIB,
            because "they are held twice while they are put together",
            shown by "what_waits_for_the_rest_of_its_batch_is_bounded_and_the_member_beyond_is_answered_with_a_problem";
    }
    "What the server asks the client" {
        /// Requests of the server that the client has not answered; further ones are refused.
        MAX_SERVER_REQUESTS: usize = 500,
            because "a person answers a few, and the answers of all fit into the outbox",
            shown by "what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids";
        /// The longest id of such a request; one with a longer id is refused.
        SERVER_REQUEST_ID_BYTES: usize = KIB,
            because "ids are numbers or a few characters",
            shown by "what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids";
        /// Requests of the server that the client need not answer any more, which are remembered so that a late answer
        /// goes nowhere.
        MAX_VOID_REQUESTS: usize = 1_000,
            because "a client answers what it was asked last",
            shown by "requests_of_lost_sessions_that_the_client_never_answers_are_bounded";
        /// Streams that the server opened in answer to messages without an answer and that are read at once; beyond,
        /// the oldest is closed.
        MAX_ANSWER_STREAMS: usize = 32,
            because "usually such an answer is empty",
            shown by "ever_more_streams_in_answer_to_notifications_are_read_up_to_a_bound";
    }
    "Lists" {
        /// The longest list, or page of one, that is remembered and learned from; a longer one is passed on.
        LIST_BYTES: usize = 8 * MIB,
            because "a thousand tools with long schemas have 5 MiB",
            shown by "a_list_of_more_members_than_anybody_has_is_not_kept";
        /// Members of such a list.
        MAX_LIST_MEMBERS: usize = 10_000,
            because "clients take a hundred tools, and page through resources",
            shown by "a_list_of_more_members_than_anybody_has_is_not_kept";
        /// Pages of one list that the bridge asks for by itself.
        MAX_LIST_PAGES: usize = 100,
            because "a page has fifty members or more",
            shown by "a_list_without_end_is_read_up_to_a_bound_of_pages";
        /// Pages of the list of tools that are searched for the one that a call names.
        MAX_SEARCHED_PAGES: usize = 20,
            because "somebody waits for the call",
            shown by "a_tool_is_searched_for_on_a_bounded_number_of_pages";
        /// Tools that are remembered as safe, or as unsafe, to repeat; and those whose marked arguments are remembered.
        MAX_KNOWN_TOOLS: usize = 4_000,
            because "a model is offered some hundreds",
            shown by "what_is_known_of_tools_is_bounded_and_what_does_not_fit_is_not_repeated";
        /// Arguments of one tool that are marked to be repeated in headers; a tool with more leaves the list.
        MAX_MARKED_ARGUMENTS: usize = 64,
            because "they are for routing, and servers take a hundred header fields",
            shown by "a_tool_with_too_many_marked_arguments_leaves_the_list_and_none_costs_more_than_its_length";
        /// The input schema of a tool that marks arguments; one that is longer leaves the list.
        MARKED_SCHEMA_BYTES: usize = 128 * KIB,
            because "decoded, JSON takes up to ninety times its length, and lists are read side by side",
            shown by "a_long_schema_is_decoded_only_to_find_marks_in_it_and_then_has_a_bound";
        /// How deep in the arguments a marked one may lie.
        MAX_MARK_DEPTH: usize = 8,
            because "the arguments are gone through once for each level",
            shown by "a_tool_with_too_many_marked_arguments_leaves_the_list_and_none_costs_more_than_its_length";
        /// Names and values of the headers that repeat parts of one request; those that do not fit are left out.
        REPEATED_HEADERS_BYTES: usize = 32 * 1024,
            because "servers take 8 to 32 KiB of headers",
            shown by "headers_that_repeat_the_body_are_bounded_together";
        /// The file of what a server said and that is remembered for the next start; what does not fit is not kept.
        ANSWERS_RECORD_BYTES: usize = MIB,
            because "a hundred tools with their schemas have half of that",
            shown by "what_is_too_large_is_not_kept_and_leaves_nothing_outdated";
    }
}
