//! The rows about signing in: tabs, token requests, documents, and the listener on the loopback address.

use std::time::Duration;

use super::entry::{KIB, MIB, limits};

limits! {
    "Tabs and token requests" {
        /// Tabs that sign-ins of one profile open within `TAB_WINDOW`, in all processes together; `login` at a terminal is not
        /// counted, and lifts this when it succeeds.
        TAB_BUDGET: usize = 3,
            because "a sign-in, one that went wrong, and a wider scope are three",
            shown by "all_processes_of_a_profile_share_one_budget_of_tabs_that_only_time_refills";
        /// The time in which `TAB_BUDGET` tabs may open.
        TAB_WINDOW: Duration = Duration::from_secs(600),
            because "a tab every few minutes is one that a person can still ask about",
            shown by "all_processes_of_a_profile_share_one_budget_of_tabs_that_only_time_refills";
        /// Sign-ins that one process starts within `TAB_WINDOW`, whether or not they come to open a tab.
        SIGN_IN_BUDGET: usize = 10,
            because "a server that is down may be tried every minute",
            shown by "sign_ins_that_open_no_tab_have_a_bound_of_their_own_and_leave_the_tabs_alone";
        /// How long after a failed sign-in no other starts by itself, in any process.
        FAILED_SIGN_IN_PAUSE: Duration = Duration::from_secs(120),
            because "a person reads the reason, and may ask for another at any time",
            shown by "a_failed_sign_in_holds_back_others_for_a_while_and_one_that_succeeded_does_not";
        /// How long calls start no sign-in after the user has declined one.
        DECLINED_SIGN_IN_PAUSE: Duration = Duration::from_secs(120),
            because "a model repeats its calls at once",
            shown by "a_sign_in_that_the_user_declines_ends_the_call_and_is_not_proposed_again_by_itself";
        /// Sign-ins for ever wider scopes within `STEP_UP_WINDOW`.
        STEP_UP_BUDGET: usize = 3,
            because "a server that is never content must not keep its user busy",
            shown by "requests_that_meet_the_same_token_ask_together_and_the_number_is_bounded";
        /// The time in which `STEP_UP_BUDGET` of them may start.
        STEP_UP_WINDOW: Duration = Duration::from_secs(600),
            because "it is that of the tabs",
            shown by "requests_that_meet_the_same_token_ask_together_and_the_number_is_bounded";
        /// Scopes that were asked for and that do not count when they are asked for again.
        MAX_REMEMBERED_SCOPES: usize = 16,
            because "a server has a handful",
            shown by "requests_that_want_different_scopes_in_turn_count_once_each";
        /// Requests to the token endpoint (refresh token, client credentials; a code counts, but is never refused) within
        /// `TOKEN_REQUEST_WINDOW`, by all processes of a profile together.
        TOKEN_REQUEST_BUDGET: usize = 30,
            because "tokens that last six seconds are renewed ten times a minute",
            shown by "no_server_causes_more_renewals_in_a_minute_than_the_bound";
        /// The time in which `TOKEN_REQUEST_BUDGET` requests may be sent.
        TOKEN_REQUEST_WINDOW: Duration = Duration::from_secs(60),
            because "a burst is over soon, and a call can wait for the rest of a minute",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
        /// The same within `TOKEN_REQUEST_LONG_WINDOW`.
        TOKEN_REQUEST_LONG_BUDGET: usize = 240,
            because "it is sixteen a minute, half as much again as six-second tokens need",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
        /// The time in which `TOKEN_REQUEST_LONG_BUDGET` requests may be sent.
        TOKEN_REQUEST_LONG_WINDOW: Duration = Duration::from_secs(900),
            because "a storm in bursts shows in a quarter of an hour",
            shown by "a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty";
        /// Renewals within `REJECTED_RENEWAL_WINDOW` at a server that rejects what it has just issued.
        REJECTED_RENEWAL_BUDGET: usize = 3,
            because "a key that has just been changed is known everywhere by then",
            shown by "a_server_that_rejects_all_it_gives_out_is_not_asked_for_ever";
        /// The time in which `REJECTED_RENEWAL_BUDGET` of them may be asked for.
        REJECTED_RENEWAL_WINDOW: Duration = Duration::from_secs(60),
            because "a server that is mended is noticed within a minute",
            shown by "a_server_that_rejects_all_it_gives_out_is_not_asked_for_ever";
        /// How long after a renewal a token whose end the server does not tell counts as young, whatever the server answers to it.
        OLD_TOKEN_RENEWAL_PAUSE: Duration = Duration::from_secs(60),
            because "a server that fails for other reasons costs no more than a renewal a minute",
            shown by "a_token_may_have_ended_when_its_end_has_passed_or_was_never_told";
        /// How long after the page of a sign-in was opened, or its link shown, it is neither opened nor shown again.
        REOPENING_PAUSE: Duration = Duration::from_secs(3),
            because "nobody can have closed it and asked again",
            shown by "calls_that_want_a_link_together_show_it_once";
        /// Sign-in processes in a row that end without an outcome before there is a pause.
        MAX_SILENT_SIGN_INS: u32 = 2,
            because "one may have been ended by chance",
            shown by "sign_in_processes_that_end_without_a_word_are_followed_by_a_pause";
        /// The pause before a refresh token is presented for the third time when it is not known what became of it; it
        /// doubles from time to time. The second time needs none.
        SHORTEST_PRESENTATION_PAUSE: Duration = Duration::from_secs(30),
            because "a server that detects reuse bears an old token for a moment only",
            shown by "a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow";
        /// The longest such pause.
        LONGEST_PRESENTATION_PAUSE: Duration = Duration::from_secs(600),
            because "who does not want to wait signs in again",
            shown by "a_token_of_unknown_fate_is_repeated_once_and_then_after_pauses_that_grow";
        /// The pause after a renewal that did not help a refused request, in which no such request causes another one; it
        /// doubles from time to time.
        SHORTEST_REFUSAL_PAUSE: Duration = Duration::from_secs(60),
            because "a server may refuse many tools with 401",
            shown by "refusals_that_a_renewal_does_not_mend_cause_ever_fewer_renewals";
        /// The longest such pause.
        LONGEST_REFUSAL_PAUSE: Duration = Duration::from_secs(3600),
            because "whether the token itself has ended is found out by a ping",
            shown by "refusals_that_a_renewal_does_not_mend_cause_ever_fewer_renewals";
        /// Kinds of requests (tools, methods) that are remembered as refused; the oldest are forgotten.
        MAX_REFUSED_KINDS: usize = 256,
            because "servers have fewer tools",
            shown by "only_what_is_accepted_of_the_same_kind_clears_a_kind_and_their_number_is_bounded";
        /// How long it counts that a kind of request is refused although the sign-in is good; then one ping finds out anew.
        REFUSED_KIND_LIFE: Duration = Duration::from_secs(60),
            because "a sign-in that has ended since is found out within a minute, at one ping a minute and kind",
            shown by "that_a_kind_is_refused_alone_is_asked_anew_after_a_while";
        /// An access token is used for as long, whatever end the server names, unless the server refuses it.
        SHORTEST_TOKEN_LIFE: Duration = Duration::from_secs(3),
            because "a token that ends at once would be renewed before each request",
            shown by "a_token_that_ends_at_once_is_used_until_the_server_refuses_it";
        /// The longest pause after a client that gets tokens for itself was given none; it begins with a second, and doubles.
        LONGEST_CLIENT_PAUSE: Duration = Duration::from_secs(60),
            because "a server that is back is noticed within a minute",
            shown by "a_client_that_is_given_no_token_asks_ever_less_often_however_many_calls_there_are";
        /// Further tries of a token request whose connection was never made.
        MAX_TOKEN_RETRIES: u32 = 2,
            because "the server has not seen it",
            shown by "a_connection_that_is_never_made_is_tried_a_few_times";
    }
    "Documents of a sign-in" {
        /// Bytes of a `WWW-Authenticate` header that are read.
        CHALLENGE_BYTES: usize = 16 * KIB,
            because "servers send no longer headers",
            shown by "a_challenge_is_read_up_to_its_bound";
        /// The largest metadata document, and the largest sign-in page that `doctor` looks at.
        METADATA_BYTES: usize = 512 * KIB,
            because "metadata have some kilobytes, and pages without their pictures some more",
            shown by "metadata_of_a_hundred_megabytes_is_cut_off_however_it_comes";
        /// The largest answer of a token endpoint, and of those for device codes and revocation.
        TOKEN_ANSWER_BYTES: usize = MIB,
            because "tokens that hold a person's groups have some hundred kilobytes",
            shown by "answers_of_a_hundred_megabytes_from_other_endpoints_are_cut_off_too";
        /// The largest answer to the registration of a client.
        REGISTRATION_ANSWER_BYTES: usize = 256 * KIB,
            because "it repeats what was sent",
            shown by "answers_of_a_hundred_megabytes_from_other_endpoints_are_cut_off_too";
        /// Authorization servers of one resource that are looked at.
        MAX_AUTHORIZATION_SERVERS: usize = 5,
            because "a resource has one, or one for each region",
            shown by "a_server_that_names_ever_more_authorization_servers_has_a_few_looked_at";
        /// How long the search for the authorization server may take.
        DISCOVERY_WAIT: Duration = Duration::from_secs(90),
            because "a server that names many places must not make somebody wait for each",
            shown by "a_server_that_names_many_silent_places_is_not_waited_for_at_each_of_them";
        /// The shortest interval at which a server can have a device code asked for.
        SHORTEST_DEVICE_POLL: Duration = Duration::from_secs(1),
            because "zero would be a storm",
            shown by "a_missing_interval_is_five_seconds_and_a_silly_one_is_bounded";
        /// The longest such interval.
        LONGEST_DEVICE_POLL: Duration = Duration::from_secs(60),
            because "a person who has signed in waits for it",
            shown by "a_missing_interval_is_five_seconds_and_a_silly_one_is_bounded";
        /// The largest order that a bridge gives to its sign-in process.
        SIGN_IN_ORDER_BYTES: u64 = 1024 * 1024,
            because "it holds settings and a challenge",
            shown by "an_order_without_end_is_read_up_to_its_bound";
    }
    "The listener of a sign-in" {
        /// The largest head of a request.
        CALLBACK_HEAD_BYTES: usize = 32 * KIB,
            because "a redirect with all headers of a browser has a few thousand bytes",
            shown by "a_head_without_end_is_cut_off_at_its_bound";
        /// The longest address in a request.
        CALLBACK_TARGET_BYTES: usize = 16 * KIB,
            because "a redirect URL is far shorter, and browsers have a similar limit",
            shown by "other_methods_and_bodies_are_turned_away";
        /// Connections that may be sending their heads at a time; a further one replaces the oldest.
        MAX_INCOMPLETE_HEADS: usize = 24,
            because "browsers open some in advance",
            shown by "the_oldest_silent_connection_makes_room_for_a_new_one";
        /// Requests that may wait for a response at a time.
        MAX_UNANSWERED_CALLBACKS: usize = 16,
            because "with all others they stay within half of macOS's 256 open files",
            shown by "the_door_lets_in_only_so_many_at_a_time";
        /// Peers that may linger to read their response; in a flood, the rest are cut off.
        MAX_LINGERING_PEERS: usize = 32,
            because "each has a thread for a second",
            shown by "the_door_lets_in_only_so_many_at_a_time";
        /// How long the search for the program that holds the port may take.
        PORT_OWNER_SEARCH_WAIT: Duration = Duration::from_millis(500),
            because "an error must not wait for its explanation",
            shown by "a_look_that_takes_too_long_is_given_up";
        /// The longest line that somebody may paste in place of the redirect; the rest of a longer one is another line.
        PASTED_LINE_BYTES: u64 = 64 * 1024,
            because "a redirect URL is far shorter",
            shown by "no_pasted_line_keeps_the_next_one_from_being_read";
    }
}
