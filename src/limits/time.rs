//! The rows about time: that others may take, and between two turns of everything else.

use std::time::Duration;

use super::entry::{MIB, limits};

limits! {
    "Time that others may take" {
        /// How long an answer that the client owes excuses a server's silence, and is waited for.
        OWED_ANSWER_WAIT: Duration = Duration::from_secs(10 * 60),
            because "a person reads, decides and types in that time",
            shown by "a_debt_of_the_client_excuses_silence_for_as_long_as_a_person_may_take";
        /// How long the body of a refusal may be silent.
        REFUSAL_BODY_WAIT: Duration = Duration::from_secs(10),
            because "its status says enough",
            shown by "the_body_of_a_refusal_may_be_silent_for_seconds_only";
        /// How long the one stream of HTTP+SSE may take to say where messages go.
        ENDPOINT_EVENT_WAIT: Duration = Duration::from_secs(5),
            because "it is the first thing such a server says, and another may keep a stream open in silence",
            shown by "a_server_that_opens_a_stream_and_names_no_endpoint_does_not_hold_up_the_start_for_long";
        /// How long the rest of a stream is read after its answer, so that its connection can be used again.
        STREAM_REST_WAIT: Duration = Duration::from_secs(1),
            because "most servers end it at once",
            shown by "a_stream_that_goes_on_after_its_answer_is_closed";
        /// How long the server may take to answer `server/discover`.
        DISCOVER_WAIT: Duration = Duration::from_secs(5),
            because "clients that probe with it wait for nothing else",
            shown by "a_probe_that_the_server_does_not_answer_is_answered_here";
        /// How long the first list of a client waits for a server that is away before it is answered with the reason.
        FIRST_LIST_WAIT: Duration = Duration::from_millis(2_500),
            because "with the five seconds of `initialize`, that is before clients give up their start",
            shown by "a_first_list_at_a_server_that_is_away_says_why_within_seconds_and_is_announced_later";
        /// How long a server that is known to require a sign-in may take to open a session without one.
        SIGNED_OUT_OPENING_WAIT: Duration = Duration::from_secs(1),
            because "it may no longer require it, and its challenge is the best start for a sign-in",
            shown by "where_a_sign_in_is_known_to_be_due_nothing_waits_for_a_server_that_is_silent";
        /// How long the server may take to accept `notifications/initialized` before later messages go out anyway.
        INITIALIZED_ACCEPTANCE_WAIT: Duration = Duration::from_secs(3),
            because "some servers answer it only when they have asked the client something",
            shown by "a_server_that_never_answers_initialized_delays_what_follows_by_seconds_only";
        /// How long the server may take to accept a message before the next one goes, and how long its answer is read.
        MESSAGE_ACCEPTANCE_WAIT: Duration = Duration::from_secs(30),
            because "a server that is only slow loses nothing",
            shown by "no_message_holds_up_the_next_one_for_long";
        /// How long a full outbox pauses the reading of stdin before the oldest messages are dropped.
        STDIN_PAUSE: Duration = Duration::from_secs(10),
            because "cancellations come on stdin, too",
            shown by "what_a_server_that_accepts_nothing_is_sent_stays_bounded_and_stdin_is_paused_once";
        /// The longest single wait for a server that is throttling; one that asks for a day is tried again after this.
        RATE_LIMIT_WAIT: Duration = Duration::from_secs(120),
            because "limits are often lifted before the time that was named",
            shown by "the_server_is_never_asked_again_sooner_than_it_said_nor_later_than_the_cap";
        /// The longest wait that a server can ask for, as it is told to whoever comes meanwhile.
        ASKED_RATE_LIMIT_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60),
            because "a server that asks for more refuses for good, and its sum with the current time stays a time",
            shown by "nonsense_in_the_shared_file_closes_nothing_and_a_year_is_cut_short";
        /// How long a file is waited for that another program has open, on Windows, where that keeps it from being replaced.
        FILE_IN_USE_WAIT: Duration = Duration::from_secs(1),
            because "readers and virus scanners let go of it within moments",
            shown by "a_file_that_somebody_has_open_is_replaced_once_they_let_go_and_not_waited_for_for_long";
        /// How long a request waits for a look at the file through which processes share what a server asked for.
        SHARED_GATE_WAIT: Duration = Duration::from_millis(250),
            because "a disk answers in a millisecond",
            shown by "a_gate_whose_file_does_not_answer_holds_up_the_request_alone_and_not_for_long";
        /// How long a request that has a token waits for the store of tokens.
        STORE_WAIT_WITH_TOKEN: Duration = Duration::from_millis(250),
            because "the token is probably still good",
            shown by "a_state_directory_that_does_not_answer_holds_up_no_request_that_has_a_token";
        /// How long a request waits for what is remembered of the server.
        REMEMBERED_ANSWER_WAIT: Duration = Duration::from_secs(2),
            because "a state directory that does not answer has nothing",
            shown by "remembered_answers_that_do_not_answer_are_none_and_hold_up_nothing_else";
        /// How long what was learnt of a server (its address after a permanent redirect, an older revision, the older
        /// transport, Basic without the standard's encoding) is used before it is asked for anew.
        SERVER_MEMORY_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60),
            because "a server that was updated is met in the newer way within a week, for one question more",
            shown by "what_is_remembered_holds_for_its_address_and_for_a_time";
        /// How long another process may hold the lock of the tokens of a profile.
        TOKEN_LOCK_WAIT: Duration = Duration::from_secs(20),
            because "a renewal takes some seconds",
            shown by "a_token_lock_that_is_not_given_back_is_named_and_nothing_is_lost";
    }
    "Time at the end" {
        /// How long the server may take to end the session.
        SESSION_END_WAIT: Duration = Duration::from_millis(750),
            because "hosts kill what does not end within two seconds",
            shown by "a_server_that_takes_too_long_to_say_goodbye_is_not_waited_for";
        /// How long the last notifications may take to reach the server after the end of stdin.
        LAST_NOTIFICATIONS_WAIT: Duration = Duration::from_secs(2),
            because "no answer depends on them",
            shown by "a_notification_that_the_server_does_not_take_does_not_hold_up_the_end";
        /// From a signal to the end of the process, whatever it is doing.
        SIGNAL_END_WAIT: Duration = Duration::from_secs(2),
            because "the orderly end takes 1.9 s at most",
            shown by "a_signal_ends_the_process_although_its_runtime_does_not_answer";
    }
    "Time without yielding" {
        /// Bytes that a loop may go through before it lets everything else run.
        YIELD_AFTER_BYTES: usize = MIB,
            because "a MiB is unpacked and looked through in some milliseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
        /// Items that a loop may go through before it lets everything else run.
        YIELD_AFTER_ITEMS: usize = 1_000,
            because "an item costs some microseconds",
            shown by "a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte";
    }
}
