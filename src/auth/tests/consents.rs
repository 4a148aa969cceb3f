//! What is refused, and what a user's consent lifts of it: exactly that, and nothing beside it.

use serde_json::json;

use super::origins::{ordered, publish, typed, with};
use super::*;

const PRM: &str = "/.well-known/oauth-protected-resource/mcp";

async fn refusal(rig: &Rig) -> Problem {
    login(&rig.process(), |_| panic!("no page may be opened")).await.0.unwrap_err()
}

#[tokio::test]
async fn a_resource_of_another_name_is_refused_with_the_option_that_accepts_it_and_then_asked_for() {
    for named in ["https://other.example/v2/mcp", "api://1111/app"] {
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let describe = |named: &str| {
            let resource = format!(r#"{{"resource":"{named}","authorization_servers":["{}"]}}"#, rig.fake.origin);
            rig.fake.page(PRM, 200, resource);
        };
        describe(named);
        let problem = refusal(&rig).await;
        assert_eq!(problem.id, ProblemId::ResourceMismatch);
        let words = problem.to_terminal(false).split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [rig.settings.url.as_str(), named, &format!("--resource {named}")] {
            assert!(words.contains(part), "{part} in {words}");
        }
        let settings = Arc::new(Settings {
            oauth: OAuthSettings { resource: Some(named.into()), ..rig.settings.oauth.clone() },
            ..(*rig.settings).clone()
        });
        describe("https://evil.example/mcp");
        let rig = Rig { settings, ..rig };
        assert_eq!(refusal(&rig).await.id, ProblemId::ResourceMismatch, "no other");
        let resource = format!(r#"{{"resource":"{named}","authorization_servers":["{}"]}}"#, rig.fake.origin);
        rig.fake.page(PRM, 200, resource);
        let (result, _) = login(&rig.process(), move |link| {
            assert_eq!(param(link, "resource"), named);
            answer(link, "code=abc")
        })
        .await;
        result.unwrap();
        assert_eq!(rig.fake.token_requests()[0].form()["resource"], named);
        assert!(rig.process().bearer().await.unwrap().is_some(), "what was stored is used");
        // Without the consent the grant is for something else.
        let rig = with(rig, |settings| settings.oauth.resource = None);
        assert!(rig.process().bearer().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_pinned_issuer_is_taken_from_the_place_of_another_and_its_answers_are_held_against_it() {
    const PINNED: &str = "https://as.example/t";
    let rig = Rig::new().await;
    publish(&rig.fake, json!({ "issuer": PINNED, "token_endpoint": "https://as.example/token" }));
    let problem = refusal(&rig).await;
    assert_eq!(problem.id, ProblemId::IssuerMismatch);
    let words = problem.to_terminal(false).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [&rig.fake.origin, PINNED, "--issuer https://as.example/t"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    let rig = with(rig, |settings| settings.oauth.issuer = Some(PINNED.into()));
    for (iss, id) in [
        ("https%3A%2F%2Fevil.example", ProblemId::CallbackIssuerMismatch),
        ("https%3A%2F%2Fas.example", ProblemId::CallbackIssuerMismatch),
    ] {
        let query = format!("code=a&iss={iss}");
        let (result, _) = login(&rig.process(), move |link| answer(link, &query)).await;
        assert_eq!(result.unwrap_err().id, id, "{iss}");
    }
    for issuer in ["https://as.example", "https://evil.example/t", &rig.fake.origin] {
        publish(&rig.fake, json!({ "issuer": issuer }));
        let problem = refusal(&rig).await;
        assert_eq!((problem.id, problem.fact("expected")), (ProblemId::IssuerMismatch, Some(PINNED)), "{issuer}");
    }
    // Nor is anything assumed where there is no document.
    rig.fake.script().pages.clear();
    let rig = with(rig, |settings| settings.product = Product::Other);
    assert_eq!(refusal(&rig).await.id, ProblemId::NoAuthorizationServer);
    assert!(rig.fake.token_requests().is_empty());
}

#[tokio::test]
async fn a_pinned_issuer_s_document_that_stands_elsewhere_leads_no_code_to_another_origin_before_somebody_has_typed_login()
 {
    const PINNED: &str = "https://as.example";
    let rig = Rig::with(|settings| settings.oauth.issuer = Some(PINNED.into())).await;
    publish(&rig.fake, json!({ "issuer": "https://as.example/" }));
    let problem = ordered(&rig).await.unwrap_err();
    assert_eq!(
        (problem.id, problem.fact("expected")),
        (ProblemId::PinnedIssuerUnconfirmed, Some("https://as.example/"))
    );
    assert_eq!(refusal(&rig).await.id, ProblemId::PinnedIssuerUnconfirmed, "nor is a `login` without a person one");
    assert!(rig.fake.token_requests().is_empty());
    assert_eq!(typed(&rig).await.unwrap().issuer, "https://as.example/");
    ordered(&rig).await.unwrap();
    // The document is the server's to change; what was confirmed is one place.
    let other = Fake::start().await;
    publish(&rig.fake, json!({ "issuer": PINNED, "token_endpoint": format!("{}/token", other.origin) }));
    let moved = [typed(&rig).await.unwrap_err(), ordered(&rig).await.unwrap_err()];
    assert!(moved.iter().all(|problem| problem.id == ProblemId::TokenEndpointMoved), "{moved:?}");
    assert!(other.script().seen.is_empty());
}

#[tokio::test]
async fn where_pkce_is_not_listed_a_consent_sends_s256_all_the_same_and_plain_alone_stays_refused() {
    let rig = Rig::new().await;
    publish(&rig.fake, json!({ "code_challenge_methods_supported": null }));
    let problem = refusal(&rig).await;
    assert_eq!(problem.id, ProblemId::S256Unlisted);
    assert!(problem.fix().contains("--allow-unlisted-s256"), "{}", problem.fix());
    let rig = with(rig, |settings| settings.oauth.allow_unlisted_s256 = true);
    let (result, _) = login(&rig.process(), |link| {
        assert_eq!(param(link, "code_challenge_method"), "S256");
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
    assert!(rig.fake.token_requests()[0].form()["code_verifier"].len() >= 43);
    publish(&rig.fake, json!({ "code_challenge_methods_supported": ["plain"] }));
    assert_eq!(refusal(&rig).await.id, ProblemId::NoS256);
}
