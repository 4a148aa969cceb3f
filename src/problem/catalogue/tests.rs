//! What every entry must hold to.

use std::collections::HashSet;

use super::super::{Problem, template};
use super::facts::FACTS;
use super::status::of_status;
use super::*;

fn texts(entry: &'static Entry) -> [(&'static str, &'static str); 4] {
    [("what", entry.what), ("cause", entry.cause), ("fix", entry.fix), ("model", entry.model)]
}

#[test]
fn every_name_is_unique_and_fit_for_an_anchor() {
    let mut seen = HashSet::new();
    for id in ProblemId::ALL {
        let name = id.entry().name;
        assert!(seen.insert(name), "{name} occurs twice");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
    }
}

#[test]
fn every_text_is_a_sentence_and_uses_the_notation_rightly() {
    for id in ProblemId::ALL {
        for (part, text) in texts(id.entry()) {
            let place = format!("{} {part}: {text}", id.entry().name);
            let ends_in_address = ["{link}]", "{redirect_url}]", "{path}]"].iter().any(|end| text.ends_with(end));
            assert!(text.ends_with('.') || text.ends_with(".]") || ends_in_address, "no full stop: {place}");
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{place}");
            assert_eq!(text.matches('[').count(), text.matches(']').count(), "{place}");
            assert!(!text.contains('!') && !text.contains("  "), "{place}");
            for span in text.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(span, _)| span) {
                assert!(span.contains('{'), "an optional part without a fact: {place}");
            }
            for key in template::keys(text) {
                assert!(FACTS.contains(&key), "unknown fact {key}: {place}");
            }
        }
    }
}

#[test]
fn every_problem_is_explained_even_without_facts() {
    for id in ProblemId::ALL {
        let problem = Problem::new(*id);
        for text in [problem.what(), problem.fix(), problem.model_line()] {
            assert!(text.ends_with('.'), "{}: {text:?}", id.entry().name);
            assert!(!text.contains(['{', '}', '|']), "{}: {text:?}", id.entry().name);
            assert!(text.starts_with(|c: char| c.is_uppercase() || c == '`'), "{}: {text:?}", id.entry().name);
        }
    }
}

/// A terminal that makes links of addresses takes a full stop behind one for a part of it.
#[test]
fn an_address_to_open_is_the_last_of_a_remedy() {
    const LINK: &str = "https://as.example/authorize?a=b";
    for id in ProblemId::ALL {
        let fix = Problem::new(*id).with("link", LINK).fix();
        assert!(!fix.contains(LINK) || fix.ends_with(LINK), "{}: {fix}", id.entry().name);
    }
}

#[test]
fn the_texts_have_one_word_for_one_thing() {
    let others = [
        ("anew", "again"),
        ("by itself", "automatically"),
        ("by themselves", "automatically"),
        ("goes on", "keeps happening"),
        ("this machine", "this computer"),
        ("the bridge", "planhat-mcp"),
        ("this program", "planhat-mcp"),
        ("oauth client", "OAuth client"),
        ("somebody", "you"),
        ("nobody", "you"),
        ("whoever", "anyone who"),
        ("in vain", "without success"),
        ("log in again", "sign in again"),
    ];
    for id in ProblemId::ALL {
        for (part, text) in texts(id.entry()) {
            let lower = text.replace("OAuth client", "").to_lowercase();
            for (other, word) in others {
                assert!(!lower.contains(other), "{} {part}: {word}, not {other}: {text}", id.entry().name);
            }
        }
    }
}

#[test]
fn a_refusal_by_status_is_explained_in_planhats_own_terms_when_it_is_planhat() {
    assert_eq!(of_status(403, true), ProblemId::PlanhatForbidden);
    assert_eq!(of_status(403, false), ProblemId::Forbidden);
    assert_eq!(of_status(503, true), ProblemId::PlanhatServerError);
    assert_eq!(of_status(418, true), ProblemId::HttpStatus);
}

#[test]
fn every_problem_says_what_has_to_happen_before_the_same_attempt_can_succeed() {
    use ProblemId as Id;
    for id in ProblemId::ALL.iter().copied() {
        let expected = match id {
            Id::BadRequest
            | Id::Forbidden
            | Id::NotFound
            | Id::MethodNotAllowed
            | Id::OldTransport
            | Id::NotMcp
            | Id::RevisionRefused
            | Id::RedirectElsewhere
            | Id::RedirectInsecure
            | Id::NotHttpSse
            | Id::EndpointElsewhere
            | Id::TooManyRedirects
            | Id::PlanhatBadRequest
            | Id::PlanhatForbidden
            | Id::PlanhatNotFound
            | Id::CaFileUnusable
            | Id::ProxyInvalid => (true, false, false),
            Id::AnswerTimedOut
            | Id::ServerOffline
            | Id::NoAnswer
            | Id::TokenEndpointUnavailable
            | Id::TooManyTokenRequests
            | Id::KeychainLocked
            | Id::KeychainSlow
            | Id::StoreFailed
            | Id::LockTimedOut => (false, true, false),
            Id::PlanhatClientIdMissing
            | Id::ClientIdMissing
            | Id::SecretWithoutClientId
            | Id::WrongEnvironment
            | Id::RedirectUrlNotRegistered
            | Id::NoPermissions
            | Id::MissingPermissions
            | Id::ClientSecretMissing
            | Id::InvalidClient
            | Id::ClientKeyUnusable
            | Id::RegistrationRefused
            | Id::IssuerMoved
            | Id::TokenEndpointMoved
            | Id::TokenEndpointUnconfirmed
            | Id::InvalidScope
            | Id::TokenTypeUnusable
            | Id::TokenInsideMember
            | Id::ScopeNeeded
            | Id::CallbackIssuerSlash
            | Id::PinnedIssuerUnconfirmed
            | Id::PortInUse
            | Id::ListenFailed
            | Id::NoAuthorizationServer
            | Id::IssuerMismatch
            | Id::ResourceMismatch
            | Id::SchemeDropped
            | Id::NoS256
            | Id::S256Unlisted
            | Id::UnsafeEndpoint
            | Id::InwardAddress
            | Id::TlsUntrusted
            | Id::TlsWrongHost
            | Id::TlsAuthority
            | Id::KeychainAbsent
            | Id::FileStoreUnsafe => (false, false, true),
            _ => (false, false, false),
        };
        let found = (id.is_final(), id.is_out_of_reach(), id.is_fixed_by_settings());
        assert_eq!(found, expected, "(final, out of reach, mended by settings) of {}", id.entry().name);
    }
}

/// What Planhat's help centre says of each error that people meet, in the terms that lead out of it.
#[test]
fn each_error_that_planhat_documents_has_its_cause_and_its_way_out() {
    use ProblemId as Id;
    for (id, person, model) in [
        (
            Id::WrongEnvironment,
            &["ws.planhatdemo.com", "https://api.planhat.com/v1/mcp", "--tenant demo"][..],
            "--tenant",
        ),
        (Id::RedirectUrlNotRegistered, &["Redirect URLs", "exactly", "letter by letter", "App Center"], "App Center"),
        (Id::NoPermissions, &["Permissions tab", "Role", "admin", "App Center"], "App Center"),
        (Id::MissingPermissions, &["\"default\"", "\"inclusive\""], "\"inclusive\""),
        (
            Id::PlanhatForbidden,
            &["App Center", "Role", "take effect when you sign in again", "sign in again"],
            "sign in again",
        ),
        (Id::PlanhatNotFound, &["get_model_actions", "get_model_action_parameters"], "get_model_action_parameters"),
        (Id::PlanhatBadRequest, &["get_model_action_parameters", "required fields"], "get_model_action_parameters"),
        (Id::RateLimited, &["Try again later"], "Wait"),
        (Id::PlanhatServerError, &["report it to Planhat"], "check before repeating"),
        (Id::PlanhatStaticTokenRejected, &["Private App", "revoked", "active"], "Private App"),
    ] {
        let entry = id.entry();
        let text = format!("{} {} {}", entry.what, entry.cause, entry.fix);
        for words in person {
            assert!(text.contains(words), "{}: {words} in {text}", entry.name);
        }
        assert!(entry.model.contains(model), "{}: {model} in {}", entry.name, entry.model);
    }
}

#[test]
fn planhats_own_words_are_recognised_wherever_they_stand() {
    for (words, id) in PLANHAT_PAGE_ERRORS {
        assert_eq!(ProblemId::in_words(&format!("<p>{}</p>", words.to_uppercase())), Some(*id));
        assert_eq!(ProblemId::in_words(words.trim_end_matches('.')), Some(*id));
    }
    assert_eq!(ProblemId::in_words("The user denied the request."), None);
}

#[test]
fn the_codes_of_our_own_lie_outside_the_range_that_others_use() {
    use super::entry::code;
    for id in ProblemId::ALL.iter().copied() {
        let found = id.entry().code;
        let is_json_rpc =
            [code::PARSE_ERROR, code::INVALID_REQUEST, code::METHOD_NOT_FOUND, code::INTERNAL_ERROR].contains(&found);
        assert!(is_json_rpc || (7501..=7504).contains(&found), "{}: {found}", id.entry().name);
    }
}
