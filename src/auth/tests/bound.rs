//! What a client has is for the server that gave it, and a user is asked so often and no more.

use super::*;
use crate::config::key::Key;
use crate::config::origin::Origin;

/// An authorization server of its own, which the MCP server of `rig` names from now on.
async fn moved(rig: &Rig) -> Fake {
    let other = Fake::start().await;
    let resource = format!(r#"{{"resource":"{}/mcp","authorization_servers":["{}"]}}"#, rig.fake.origin, other.origin);
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
    other
}

#[tokio::test]
async fn a_client_that_was_given_out_is_not_shown_to_another_issuer() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    rig.signed_in().await;
    let other = moved(&rig).await;
    let (result, pages) = login(&rig.process(), |_| panic!("no page may be opened")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::IssuerMoved);
    assert_eq!(problem.fact("expected"), Some(rig.fake.origin.as_str()));
    assert_eq!(problem.fact("found"), Some(other.origin.as_str()));
    assert!(pages.is_empty() && other.token_requests().is_empty());
    // Who signs out, and so says that it is meant, may go there.
    rig.process().logout().await.unwrap();
    let mut settings = (*rig.settings).clone();
    settings.oauth.client_secret = Some("another-secret".into());
    let rig = Rig { settings: Arc::new(settings), ..rig };
    login(&rig.process(), |link| answer(link, "code=abc")).await.0.unwrap();
    assert_eq!(other.token_requests().len(), 1);
}

#[tokio::test]
async fn among_several_servers_the_one_that_the_client_id_belongs_to_is_chosen_and_said() {
    let rig = Rig::new().await;
    let other = Fake::start().await;
    let list = |issuers: [&Fake; 2]| {
        let issuers = issuers.map(|fake| format!("\"{}\"", fake.origin)).join(",");
        let resource = format!(r#"{{"resource":"{}/mcp","authorization_servers":[{issuers}]}}"#, rig.fake.origin);
        rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
    };
    list([&rig.fake, &other]);
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap().issuer, rig.fake.origin, "the first that can be used");
    // Their order says nothing about whose client it is, nor does an outage.
    list([&other, &rig.fake]);
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap().issuer, rig.fake.origin);
    let found = checkup::Checkup::of(&rig.process()).route().await.found.unwrap();
    assert_eq!(found.chosen(), format!("{} (one of 2 that the server names)", rig.fake.origin));
    rig.fake.page("/.well-known/oauth-authorization-server", 503, "");
    let problem = login(&rig.process(), |_| panic!("no page may be opened")).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::SignInUnavailable);
    assert!(other.script().seen.is_empty());
}

#[tokio::test]
async fn a_registration_is_used_at_the_server_that_gave_it_and_nowhere_else() {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_id = None;
        settings.oauth.callback.free = true;
    })
    .await;
    let offer = |fake: &Fake, id: &str| {
        let mut metadata: serde_json::Value = serde_json::from_str(&fake.metadata()).unwrap();
        metadata["registration_endpoint"] = format!("{}/register", fake.origin).into();
        fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        fake.page("/register", 201, format!(r#"{{"client_id":"{id}","client_secret":"canary-{id}"}}"#));
    };
    offer(&rig.fake, "first");
    let registrations = |fake: &Fake| fake.script().seen.iter().filter(|seen| seen.target == "/register").count();
    for _ in 0..2 {
        let (result, _) = login(&rig.process(), |link| {
            assert_eq!(param(link, "client_id"), "first");
            answer(link, "code=abc")
        })
        .await;
        result.unwrap();
    }
    assert_eq!(registrations(&rig.fake), 1, "it is kept");
    let other = moved(&rig).await;
    offer(&other, "second");
    let (result, _) = login(&rig.process(), |link| {
        assert_eq!(param(link, "client_id"), "second");
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
    let seen = other.script().seen.iter().map(|seen| format!("{seen:?}")).collect::<String>();
    assert!(!seen.contains("first"), "{seen}");
}

#[tokio::test]
async fn a_server_that_is_never_content_is_not_asked_for_ever_wider_scopes() {
    let rig = Rig::with(|settings| settings.oauth.scope = None).await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    let wants = |scope: &str| Challenge {
        error: Some("insufficient_scope".into()),
        scope: Some(scope.into()),
        ..Challenge::default()
    };
    let mut asked = 0;
    for n in 0..10 {
        match process.step_up(Some(&bearer), wants(&format!("more-{n}"))).await.unwrap_err() {
            AuthError::SignInNeeded(_) => asked += 1,
            AuthError::Failed(problem) => assert_eq!(problem.id, ProblemId::InsufficientScope),
            AuthError::NotNow(problem) => panic!("{problem}"),
        }
    }
    assert_eq!(asked, 3);
    // What the user has chosen is all there is.
    let rig = Rig::with(|settings| settings.origins.set(Key::Scope, Origin::Flag(Key::Scope))).await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    let error = process.step_up(Some(&bearer), wants("more")).await;
    assert!(matches!(error, Err(AuthError::Failed(_))), "{error:?}");
}

#[tokio::test]
async fn a_built_in_scope_is_where_a_grant_begins_and_a_step_up_goes_beyond_it() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    let challenge =
        Challenge { error: Some("insufficient_scope".into()), scope: Some("more".into()), ..Challenge::default() };
    let error = process.step_up(Some(&bearer), challenge).await.unwrap_err();
    assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
    let link = login(&process, |link| {
        assert_eq!(param(link, "scope"), "inclusive more");
        answer(link, "code=abc")
    });
    link.await.0.unwrap();
}

/// The same server, whose metadata now writes the issuer with a slash at its end.
fn with_slash(rig: &Rig) {
    let mut metadata: serde_json::Value =
        serde_json::from_str(&rig.fake.script().pages["/.well-known/oauth-authorization-server"].1).unwrap();
    metadata["issuer"] = format!("{}/", rig.fake.origin).into();
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
}

#[tokio::test]
async fn the_slash_after_an_origin_makes_no_other_issuer_for_a_client_that_was_given_out() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    with_slash(&rig);
    login(&rig.process(), |link| answer(link, "code=abc")).await.0.unwrap();
}

#[tokio::test]
async fn the_slash_after_an_origin_makes_no_other_issuer_for_a_registered_client() {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_id = None;
    })
    .await;
    let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
    metadata["registration_endpoint"] = format!("{}/register", rig.fake.origin).into();
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
    rig.fake.page("/register", 201, r#"{"client_id":"own"}"#);
    let registrations = || rig.fake.script().seen.iter().filter(|seen| seen.target == "/register").count();
    rig.signed_in().await;
    with_slash(&rig);
    let process = rig.signed_in().await;
    assert_eq!(registrations(), 1, "it is the same server");
    // Nothing of it stays behind under either name.
    process.logout().await.unwrap();
    login(&rig.process(), |link| answer(link, "code=abc")).await.0.unwrap();
    assert_eq!(registrations(), 2);
}
