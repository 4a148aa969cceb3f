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
    "Requests for tokens" {
        /// The pause before a refresh token is presented for the third time when it is not known what became of it; it
        /// doubles from time to time. The second time needs none.
        SHORTEST_PRESENTATION_PAUSE: Duration = Duration::from_secs(30), because "a server that detects reuse bears an old token for a moment only",
            shown by "a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow";
        /// The longest such pause.
        LONGEST_PRESENTATION_PAUSE: Duration = Duration::from_secs(600), because "who does not want to wait signs in again",
            shown by "a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow";
        /// The pause after a renewal that did not help a refused request, in which no such request causes another one; it
        /// doubles from time to time.
        SHORTEST_REFUSAL_PAUSE: Duration = Duration::from_secs(60), because "a server may refuse many tools with 401",
            shown by "refusals_that_a_renewal_does_not_mend_cause_ever_fewer_renewals";
        /// The longest such pause.
        LONGEST_REFUSAL_PAUSE: Duration = Duration::from_secs(3600), because "whether the token itself has ended is found out by a ping",
            shown by "refusals_that_a_renewal_does_not_mend_cause_ever_fewer_renewals";
        /// Kinds of requests (tools, methods) that are remembered as refused; the oldest are forgotten.
        MAX_REFUSED_KINDS: usize = 256, because "servers have fewer tools",
            shown by "only_what_is_accepted_of_the_same_kind_clears_a_kind_and_their_number_is_bounded";
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
    "Requests that the bridge makes by itself" {
        /// Requests that nobody waits for and a server can cause: streams that are opened again, sessions, subscriptions and
        /// lists that are asked for again, refusals. So many go at once; further ones wait their turn, or are left out.
        OWN_REQUESTS_AT_ONCE: u32 = 60, because "a new session is asked for everything that the client had in the last one",
            shown by "no_server_makes_the_bridge_send_more_by_itself_than_its_allowance";
        /// The same within a minute, beyond those at once.
        OWN_REQUESTS_PER_MINUTE: u32 = 120, because "fifty calls whose streams all break are still answered within the minute",
            shown by "no_server_makes_the_bridge_send_more_by_itself_than_its_allowance";
        /// The wait before a stream is opened again; it doubles as long as none has lived. A server's `retry:` can make it
        /// longer, but not shorter.
        SHORTEST_REOPENING_WAIT: Duration = Duration::from_secs(1), because "a server that restarts needs longer",
            shown by "a_standing_stream_that_ends_at_once_is_opened_ever_less_often_whatever_its_retry_says";
        /// The longest such wait, whatever a `retry:` asks for.
        LONGEST_REOPENING_WAIT: Duration = Duration::from_secs(60), because "a server that is back is noticed within a minute",
            shown by "a_standing_stream_that_ends_at_once_is_opened_ever_less_often_whatever_its_retry_says";
        /// The longest wait before the stream of a call is resumed, if the server asks for none.
        LONGEST_RESUMPTION_WAIT: Duration = Duration::from_secs(30), because "somebody waits for the answer",
            shown by "a_call_s_stream_is_resumed_ever_less_often_while_it_brings_nothing_and_given_up_in_the_end";
        /// Resumptions in a row that bring no message; then the call is answered without the rest.
        MAX_RESUMPTIONS_WITHOUT_MESSAGE: u32 = 60, because "a tool that says nothing may take half an hour",
            shown by "a_call_s_stream_is_resumed_ever_less_often_while_it_brings_nothing_and_given_up_in_the_end";
        /// A stream that stays open for as long has lived, as has one that brought a message.
        STREAM_LIFE: Duration = Duration::from_secs(10), because "a gateway that ends idle streams is more patient",
            shown by "a_stream_has_lived_when_it_brought_a_message_or_stayed_open_for_a_while";
        /// A session that lasts as long has lived. One that is lost sooner is opened again ever later.
        SESSION_LIFE: Duration = Duration::from_secs(60), because "a server that loses its sessions more often keeps none",
            shown by "a_session_that_is_lost_again_and_again_is_left_to_the_client_s_next_request";
        /// Sessions in a row that the bridge opens by itself after one that was lost; then only a message of the client opens
        /// the next.
        MAX_OWN_SESSIONS: u32 = 5, because "that is half a minute, and a server that restarts is back by then",
            shown by "a_session_that_is_lost_again_and_again_is_left_to_the_client_s_next_request";
    }
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
        /// Bytes of one line that a command prints.
        MAX_LINE_BYTES: usize = 16 * KIB, because "that is longer than any link",
            shown by "a_printed_line_is_bounded_and_the_next_one_stays";
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
        /// Sign-ins that one process starts within `TAB_WINDOW`, whether or not they come to open a tab.
        SIGN_IN_BUDGET: usize = 10, because "a server that is down may be tried every minute",
            shown by "sign_ins_that_open_no_tab_have_a_bound_of_their_own_and_leave_the_tabs_alone";
        /// Requests to the token endpoint (refresh token, client credentials; a code counts, but is never refused) within
        /// `TOKEN_REQUEST_WINDOW`, by all processes of a profile together.
        TOKEN_REQUEST_BUDGET: usize = 30, because "tokens that last six seconds are renewed ten times a minute",
            shown by "no_server_causes_more_renewals_in_a_minute_than_the_bound";
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
    "Messages of the server" {
        /// Members of a batch, in either direction; the rest is counted while parsing and dropped, or the batch refused.
        BATCH_MEMBERS: usize = 1_000, because "a batch is a handful of messages, and one revision alone has them",
            shown by "a_batch_of_a_server_has_a_thousand_members_and_the_rest_and_the_garbage_is_counted";
        /// What is looked through on the runtime's one thread at once; what is longer is looked through on another.
        LONGEST_LOOK_BYTES: usize = MIB, because "that takes some milliseconds, and a message is looked through several times",
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
        /// When so many of them wait, a further question of the server is refused here.
        MAX_OUTBOX_BEFORE_REFUSALS: usize = 250, because "a server that asks faster than it reads causes an answer for each question",
            shown by "a_server_that_asks_faster_than_it_reads_never_pauses_the_client";
        /// When so many wait, the refusal is dropped, too.
        MAX_OUTBOX_WITH_REFUSALS: usize = 500, because "the rest is for the client, whose stdin is not read while there is no room",
            shown by "a_server_that_asks_faster_than_it_reads_never_pauses_the_client";
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
        MAX_SERVER_REQUESTS: usize = 500, because "a person answers a few, and the answers of all fit into the outbox",
            shown by "what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids";
        /// The longest id of such a request; one with a longer id is refused.
        SERVER_REQUEST_ID_BYTES: usize = KIB, because "ids are numbers or a few characters",
            shown by "what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids";
        /// How long an answer that the client owes excuses a server's silence, and is waited for.
        OWED_ANSWER_WAIT: Duration = Duration::from_secs(10 * 60), because "a person reads, decides and types in that time",
            shown by "a_debt_of_the_client_excuses_silence_for_as_long_as_a_person_may_take";
        /// Tools that are remembered as safe, or as unsafe, to repeat; and those whose marked arguments are remembered.
        MAX_KNOWN_TOOLS: usize = 4_000, because "a model is offered some hundreds",
            shown by "what_is_known_of_tools_is_bounded_and_what_does_not_fit_is_not_repeated";
    }
}
