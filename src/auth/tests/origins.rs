//! What is stored stays at the origin that it came from, and each issuer answers at a redirect URL of its own.

use serde_json::{Value, json};

use super::*;
use crate::auth::coordination::start::SignInReason;
use crate::auth::endpoints::Elsewhere;
use crate::auth::login::attempt::Since;

/// The metadata of `fake` with this change.
pub(super) fn publish(fake: &Fake, change: Value) {
    let mut metadata: Value = serde_json::from_str(&fake.metadata()).unwrap();
    metadata.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
    fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
}

/// The same user at the same machine, with other settings.
pub(super) fn with(rig: Rig, change: impl FnOnce(&mut Settings)) -> Rig {
    let mut settings = (*rig.settings).clone();
    change(&mut settings);
    Rig { settings: Arc::new(settings), ..rig }
}

fn token_endpoint(fake: &Fake) -> Option<Url> {
    Some(Url::parse(&format!("{}/token", fake.origin)).unwrap())
}

fn is_untouched(fake: &Fake) -> bool {
    fake.script().seen.is_empty()
}

/// A sign-in that a person types at a terminal, and consents to.
pub(super) async fn typed(rig: &Rig) -> Result<GrantSummary, Problem> {
    let options = LoginOptions { by_person: true, ..LoginOptions::default() };
    login_with(&rig.process(), options, |link| answer(link, "code=abc")).await.0
}

/// A sign-in on the order of a bridge; the user consents.
pub(super) async fn ordered(rig: &Rig) -> Result<GrantSummary, Problem> {
    let grant = rig.stored().await.map(|grant| grant.id);
    let options = LoginOptions { since: Some(Since { number: u64::MAX, grant }), ..LoginOptions::default() };
    login_with(&rig.process(), options, |link| answer(link, "code=abc")).await.0
}

#[tokio::test]
async fn a_stored_sign_in_and_its_secret_are_not_shown_to_another_token_endpoint_that_the_settings_name() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    publish(&rig.fake, json!({ "revocation_endpoint": format!("{}/revoke", rig.fake.origin) }));
    rig.signed_in().await;
    let other = Fake::start().await;
    let rig = with(rig, |settings| settings.oauth.token_endpoint = token_endpoint(&other));
    let process = rig.process();
    assert!(process.bearer().await.unwrap().is_none(), "it is not used");
    for renewed in [
        process.unauthorized(None, Challenge::default()).await.unwrap_err().problem().clone(),
        process.sign_in_needed().await,
        process.start_sign_in(SignInReason::Call).await.unwrap_err(),
        process.start_sign_in(SignInReason::UserAsked).await.unwrap_err(),
        ordered(&rig).await.unwrap_err(),
        login(&process, |_| panic!("no page may be opened")).await.0.unwrap_err(),
    ] {
        assert_eq!(renewed.id, ProblemId::TokenEndpointMoved);
        assert_eq!(renewed.fact("found"), token_endpoint(&other).as_ref().map(Url::as_str));
        assert!(renewed.fix().contains("remove the setting token_endpoint"), "{}", renewed.fix());
    }
    assert_eq!(Status::of(&process).await.not_used.map(|why| why.id), Some(ProblemId::TokenEndpointMoved));
    assert!(rig.stored().await.is_some(), "and it is kept");
    // Who signs out gives it up where it came from, and may then go there.
    let revoked = process.logout().await.unwrap();
    assert!(matches!(revoked, Some(Revoked::Yes | Revoked::Refused { .. })), "{revoked:?}");
    assert_eq!(rig.fake.script().seen.iter().filter(|seen| seen.target == "/revoke").count(), 1);
    assert!(is_untouched(&other));
    typed(&rig).await.unwrap();
    assert_eq!(other.token_requests().len(), 1);
}

#[tokio::test]
async fn a_token_endpoint_at_the_same_origin_renews_what_is_stored() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    rig.fake.page("/v2/token", 200, r#"{"access_token":"new","token_type":"bearer"}"#);
    let place = Url::parse(&format!("{}/v2/token", rig.fake.origin)).unwrap();
    let rig = with(rig, |settings| settings.oauth.token_endpoint = Some(place));
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert_eq!(rig.fake.script().seen.iter().filter(|seen| seen.target == "/v2/token").count(), 1);
}

#[tokio::test]
async fn the_secret_of_a_client_stays_at_the_token_endpoint_that_it_was_first_used_at() {
    let other = Fake::start().await;
    // Kept by a sign-in, and then wanted for client credentials elsewhere.
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    rig.signed_in().await;
    let rig = with(rig, |settings| {
        settings.oauth.client_secret = None;
        settings.oauth.client_credentials = true;
        settings.oauth.token_endpoint = token_endpoint(&other);
    });
    let error = rig.process().unauthorized(None, Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::TokenEndpointMoved);
    // Also where nobody had noted it yet.
    std::fs::remove_file(rig.state_file("token-origins.json")).unwrap();
    let error = rig.process().unauthorized(None, Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::TokenEndpointMoved);
    // A server whose metadata moves its token endpoint gets it as little.
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    rig.signed_in().await;
    publish(&rig.fake, json!({ "token_endpoint": format!("{}/token", other.origin) }));
    let problem = login(&rig.process(), |_| panic!("no page may be opened")).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::TokenEndpointMoved);
    let words = format!("{} {} {} {}", problem.what(), problem.cause(), problem.fix(), problem.model_line());
    assert!(!words.contains("setting") && words.contains("ask the server's operator"), "nobody has set it: {words}");
    // What is stored is renewed where it came from meanwhile.
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert!(is_untouched(&other));
}

#[tokio::test]
async fn other_endpoints_at_other_origins_get_neither_token_nor_secret() {
    let other = Fake::start().await;
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    let place = |path: &str| format!("{}/{path}", other.origin);
    publish(
        &rig.fake,
        json!({ "revocation_endpoint": place("revoke"), "device_authorization_endpoint": place("device") }),
    );
    let device = LoginOptions { device: true, ..LoginOptions::default() };
    let problem = rig.process().login(device, &mut Silent).await.unwrap_err();
    assert_eq!(problem.id, ProblemId::UnsafeEndpoint);
    rig.signed_in().await;
    let revoked = rig.process().logout().await.unwrap();
    assert!(matches!(revoked, Some(Revoked::NotOffered { .. })), "{revoked:?}");
    assert!(is_untouched(&other));
}

#[tokio::test]
async fn a_token_endpoint_that_only_the_settings_name_gets_a_code_after_somebody_has_typed_login() {
    let other = Fake::start().await;
    let rig = Rig::with(|settings| settings.oauth.token_endpoint = token_endpoint(&other)).await;
    let problem = ordered(&rig).await.unwrap_err();
    assert_eq!(problem.id, ProblemId::TokenEndpointUnconfirmed);
    assert_eq!(problem.fact("expected"), Some(format!("{}/token", rig.fake.origin).as_str()));
    let by_program = login(&rig.process(), |_| panic!("no page may be opened")).await.0;
    assert_eq!(
        by_program.unwrap_err().id,
        ProblemId::TokenEndpointUnconfirmed,
        "nor is a `login` without a person one"
    );
    assert!(is_untouched(&other));
    typed(&rig).await.unwrap();
    ordered(&rig).await.unwrap();
    assert_eq!(other.token_requests().len(), 2);
    rig.process().logout().await.unwrap();
    assert_eq!(ordered(&rig).await.unwrap_err().id, ProblemId::TokenEndpointUnconfirmed, "signing out takes it back");
    // Tokens that need no person confirm nothing.
    let credentials = with(rig, |settings| {
        settings.oauth.client_secret = Some("canary-secret".into());
        settings.oauth.client_credentials = true;
    });
    credentials.process().unauthorized(None, Challenge::default()).await.unwrap();
    let rig = with(credentials, |settings| settings.oauth.client_credentials = false);
    assert_eq!(ordered(&rig).await.unwrap_err().id, ProblemId::TokenEndpointUnconfirmed);
    // At its own origin it needs no word.
    let rig = Rig::new().await;
    let place = Url::parse(&format!("{}/token?v=2", rig.fake.origin)).unwrap();
    rig.fake.page("/token?v=2", 200, r#"{"access_token":"t","token_type":"bearer"}"#);
    let rig = with(rig, |settings| settings.oauth.token_endpoint = Some(place));
    ordered(&rig).await.unwrap();
}

/// A user whose client registers itself, at a server where the next registration gets this id.
async fn registering(id: &str) -> Rig {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_id = None;
    })
    .await;
    publish(&rig.fake, json!({ "registration_endpoint": format!("{}/register", rig.fake.origin) }));
    registers(&rig.fake, id);
    rig
}

fn registers(fake: &Fake, id: &str) {
    let answer = json!({ "client_id": id, "client_secret": format!("canary-{id}") });
    fake.script().registrations.push_back((201, answer.to_string()));
}

#[tokio::test]
async fn the_secret_of_a_registration_stays_at_its_token_endpoint() {
    let rig = registering("first").await;
    rig.signed_in().await;
    let other = Fake::start().await;
    let moved = json!({
        "registration_endpoint": format!("{}/register", rig.fake.origin),
        "token_endpoint": format!("{}/token", other.origin),
    });
    publish(&rig.fake, moved);
    registers(&rig.fake, "second");
    login(&rig.process(), |link| {
        assert_eq!(param(link, "client_id"), "second");
        answer(link, "code=abc")
    })
    .await
    .0
    .unwrap();
    let sent = other.token_requests();
    assert_eq!(sent.len(), 1);
    assert!(!format!("{sent:?}").contains("canary-first"));
}

#[tokio::test]
async fn what_is_sent_back_for_another_issuer_does_not_arrive() {
    let rig = registering("own").await;
    let (result, pages) = login(&rig.process(), |link| {
        let redirect = redirect(link);
        let own = redirect.rsplit_once('/').unwrap();
        assert!(own.0.ends_with("/callback") && own.1.len() == 24, "{redirect}");
        let state = param(link, "state");
        vec![
            format!("{}?code=stolen&state={state}", own.0),
            format!("{}/{}?code=stolen&state={state}", own.0, "0".repeat(24)),
            format!("{redirect}/?code=stolen&state={state}"),
            format!("{redirect}?code=true&state={state}"),
        ]
    })
    .await;
    result.unwrap();
    assert_eq!(pages.iter().map(|page| page.0).collect::<Vec<_>>(), [404, 404, 404, 200]);
    let exchange = &rig.fake.token_requests()[0].form();
    assert_eq!(exchange["code"], "true");
    let registered = rig.fake.script().seen.iter().find(|seen| seen.target == "/register").unwrap().body.clone();
    let registered: Value = serde_json::from_str(&registered).unwrap();
    assert_eq!(registered["redirect_uris"], json!([exchange["redirect_uri"]]));
}

#[tokio::test]
async fn a_server_that_takes_the_usual_redirect_url_alone_is_given_that() {
    let rig = registering("own").await;
    rig.fake.script().registrations.push_front((400, json!({ "error": "invalid_redirect_uri" }).to_string()));
    for _ in 0..2 {
        let (result, _) = login(&rig.process(), |link| {
            assert!(redirect(link).ends_with("/callback"), "{link}");
            answer(link, "code=abc")
        })
        .await;
        result.unwrap();
    }
}

#[tokio::test]
async fn a_registration_of_an_earlier_version_keeps_its_redirect_url() {
    let rig = registering("own").await;
    rig.signed_in().await;
    let account = &Accounts::registrations(&rig.settings, &rig.fake.origin)[0];
    let store = rig.ring.store();
    let record = store.read(account).await.unwrap().unwrap();
    let mut record: Value = serde_json::from_slice(record.expose()).unwrap();
    for name in ["redirect_path", "token_origin"] {
        assert!(record.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    store.write(account, Secret::new(record.to_string().into_bytes())).await.unwrap();
    let (result, _) = login(&rig.process(), |link| {
        assert_eq!(param(link, "client_id"), "own");
        assert!(redirect(link).ends_with("/callback"), "{link}");
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn a_client_that_was_given_out_keeps_the_redirect_url_that_is_registered_for_it() {
    let rig = Rig::new().await;
    let (result, _) = login(&rig.process(), |link| {
        assert!(redirect(link).ends_with("/callback"), "{link}");
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
}

/// Hears what a sign-in says of its server.
struct Heard(Option<Elsewhere>, mpsc::UnboundedSender<String>);

impl LoginUi for Heard {
    fn event(&mut self, event: LoginEvent<'_>) {
        match event {
            LoginEvent::Found { elsewhere, .. } => self.0 = Some(elsewhere.clone()),
            LoginEvent::Waiting { link, .. } => _ = self.1.send(link.to_owned()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_page_and_a_token_endpoint_that_lie_apart_from_their_issuer_are_told() {
    let rig = Rig::new().await;
    let other = Fake::start().await;
    publish(&rig.fake, json!({ "authorization_endpoint": format!("{}/authorize", other.origin) }));
    let (links, mut link) = mpsc::unbounded_channel::<String>();
    let mut ui = Heard(None, links);
    let browser = tokio::spawn(async move {
        let link = link.recv().await.unwrap();
        tokio::task::spawn_blocking(move || get(&answer(&link, "code=abc")[0])).await.unwrap()
    });
    rig.process().login(LoginOptions::default(), &mut ui).await.unwrap();
    assert_eq!(ui.0.unwrap(), Elsewhere { page: Some(other.origin.clone()), tokens: None });
    let (_, page) = browser.await.unwrap();
    assert!(page.contains(&format!("Its sign-in page is at {}.", other.origin)), "{page}");
}
