//! The rows about requests that the bridge makes without the client asking for them.

use std::time::Duration;

use super::entry::limits;

limits! {
    "Requests that planhat-mcp makes on its own" {
        /// Requests that nobody waits for and a server can cause: streams that are opened again, sessions, subscriptions and
        /// lists that are asked for again, refusals. So many go at once; further ones wait their turn, or are left out.
        MAX_OWN_REQUESTS_AT_ONCE: u32 = 60,
            because "a new session is asked for everything that the client had in the last one",
            shown by "no_server_makes_the_bridge_send_more_by_itself_than_its_allowance";
        /// The same within a minute, beyond those at once.
        MAX_OWN_REQUESTS_PER_MINUTE: u32 = 120,
            because "fifty calls whose streams all break are still answered within the minute",
            shown by "no_server_makes_the_bridge_send_more_by_itself_than_its_allowance";
        /// The wait before a stream is opened again; it doubles as long as none has lived. A server's `retry:` can make it
        /// longer, but not shorter.
        SHORTEST_REOPENING_WAIT: Duration = Duration::from_secs(1),
            because "a server that restarts needs longer",
            shown by "a_standing_stream_that_ends_at_once_is_opened_ever_less_often_whatever_its_retry_says";
        /// The longest such wait, whatever a `retry:` asks for.
        LONGEST_REOPENING_WAIT: Duration = Duration::from_secs(60),
            because "a server that is back is noticed within a minute",
            shown by "a_standing_stream_that_ends_at_once_is_opened_ever_less_often_whatever_its_retry_says";
        /// The longest wait before the stream of a call is resumed, if the server asks for none.
        LONGEST_RESUMPTION_WAIT: Duration = Duration::from_secs(30),
            because "somebody waits for the answer",
            shown by "a_call_s_stream_is_resumed_ever_less_often_while_it_brings_nothing_and_given_up_in_the_end";
        /// The shortest wait before the stream of a call is resumed for the first time, where the server asks for one.
        SHORTEST_FIRST_RESUMPTION_WAIT: Duration = Duration::from_millis(200),
            because "a client must keep to `retry:`, and a call does so once",
            shown by "a_call_s_stream_is_first_resumed_when_the_server_says_and_later_not_before_a_second";
        /// The longest such wait where the server has named one of a second or more, unless it named a longer one.
        LONGEST_POLL_WAIT: Duration = Duration::from_secs(5),
            because "servers make clients poll in this way, and know the answer by then",
            shown by "a_server_that_is_polled_for_an_answer_is_asked_when_it_says_or_some_seconds_later";
        /// Resumptions in a row that bring no message; then the call is answered without the rest.
        MAX_RESUMPTIONS_WITHOUT_MESSAGE: u32 = 60,
            because "a tool that says nothing may take half an hour",
            shown by "a_call_s_stream_is_resumed_ever_less_often_while_it_brings_nothing_and_given_up_in_the_end";
        /// A stream that stays open for as long has lived, as has one that brought a message.
        STREAM_LIFE: Duration = Duration::from_secs(10),
            because "a gateway that ends idle streams is more patient",
            shown by "a_stream_has_lived_when_it_brought_a_message_or_stayed_open_for_a_while";
        /// A session that lasts as long has lived. One that is lost sooner is opened again ever later.
        SESSION_LIFE: Duration = Duration::from_secs(60),
            because "a server that loses its sessions more often keeps none",
            shown by "a_session_that_is_lost_again_and_again_is_left_to_the_client_s_next_request";
        /// Sessions in a row that the bridge opens by itself after one that was lost; then only a message of the client opens
        /// the next.
        MAX_OWN_SESSIONS: u32 = 5,
            because "that is half a minute, and a server that restarts is back by then",
            shown by "a_session_that_is_lost_again_and_again_is_left_to_the_client_s_next_request";
    }
    "Attempts for one request" {
        /// Times that a request that only reads is sent again when its fate is unknown.
        MAX_REPEATS: u32 = 3,
            because "a fault that passes is over by then",
            shown by "each_failure_has_its_consequence_and_its_bound";
        /// Times that a request is sent again because its session was lost.
        MAX_LOST_SESSIONS: u32 = 1,
            because "a session that is lost again is not worth another",
            shown by "each_failure_has_its_consequence_and_its_bound";
        /// Sign-ins that one request may ask for.
        MAX_SIGN_INS: u32 = 1,
            because "a person who has just signed in cannot do more",
            shown by "each_failure_has_its_consequence_and_its_bound";
        /// Tokens that one request asks for after refusals.
        MAX_RENEWALS_OF_REQUEST: u32 = 2,
            because "one is its own, and another request may have caused the first",
            shown by "a_401_ends_the_sign_in_only_when_nothing_else_is_accepted_with_it";
        /// Times that a throttled request is sent again before its client reads the refusal.
        MAX_THROTTLED_ATTEMPTS: u32 = 8,
            because "with growing waits they take two minutes",
            shown by "a_request_that_is_throttled_again_and_again_ends_with_the_refusal";
        /// Redirects within its origin that a request follows.
        MAX_REDIRECTS: usize = 3,
            because "a server that moved something needs one",
            shown by "redirects_in_a_circle_to_the_standing_stream_are_followed_a_few_times_and_not_soon_again";
        /// How long words about a lost session are not believed after a new session did not help.
        LOSS_DOUBT_PERIOD: Duration = Duration::from_secs(60),
            because "a refusal that speaks of sessions costs one new session a minute",
            shown by "words_after_which_a_new_session_did_not_help_are_doubted_for_a_while";
    }
}
