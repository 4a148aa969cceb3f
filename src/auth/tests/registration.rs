//! Clients that register themselves, and the scope that they may ask for.

use serde_json::{Value, json};

use super::*;
use crate::auth::registration::dynamic;
use crate::store::{CredentialStore, Store};

/// A server where clients register, and a user whose client has to.
async fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_id = None;
        settings.oauth.scope = None;
        change(settings);
    })
    .await;
    let mut metadata: Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
    metadata["registration_endpoint"] = format!("{}/register", rig.fake.origin).into();
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
    wants(&rig, "mcp:read mcp:write");
    rig
}

/// The scope that the MCP server asks for from now on.
fn wants(rig: &Rig, scope: &str) {
    rig.fake.script().challenge = Some(format!("Bearer scope=\"{scope}\""));
}

/// The next registrations are answered with these ids and fields.
fn registers(rig: &Rig, answers: &[(&str, Value)]) {
    for (id, extra) in answers {
        let mut answer = json!({"client_id": id, "client_secret": format!("canary-{id}")});
        answer.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap_or_default());
        rig.fake.script().registrations.push_back((201, answer.to_string()));
    }
}

/// The scopes that registrations have named so far.
fn named(rig: &Rig) -> Vec<Value> {
    let script = rig.fake.script();
    let seen = script.seen.iter().filter(|seen| seen.target == "/register");
    seen.map(|seen| serde_json::from_str::<Value>(&seen.body).unwrap()["scope"].clone()).collect()
}

/// The client and the scope that the next sign-in asks with.
async fn asked(rig: &Rig) -> (String, String) {
    let (tell, told) = std::sync::mpsc::channel();
    let (result, _) = login(&rig.process(), move |link| {
        tell.send((param(link, "client_id"), param(link, "scope"))).unwrap();
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
    told.recv().unwrap()
}

fn pair(id: &str, scope: &str) -> (String, String) {
    (id.to_owned(), scope.to_owned())
}

#[tokio::test]
async fn the_registration_names_the_scope_of_the_sign_in_and_its_answer_is_the_bound() {
    let whole = "mcp:read mcp:write";
    for (said, expected) in [
        (json!({}), whole),
        (json!({"scope": ""}), whole),
        (json!({"scope": null}), whole),
        (json!({"scope": "mcp:write mcp:read more"}), whole),
        (json!({"scope": "mcp:read"}), "mcp:read"),
        (json!({"scope": ["mcp:read"]}), "mcp:read"),
        (json!({"scope": "other"}), ""),
    ] {
        let rig = rig(|_| {}).await;
        registers(&rig, &[("own", said.clone())]);
        // What the server did not grant once is not asked of it with each sign-in.
        for _ in 0..2 {
            assert_eq!(asked(&rig).await, pair("own", expected), "{said}");
        }
        assert_eq!(named(&rig), [whole], "{said}");
    }
}

#[tokio::test]
async fn a_scope_that_the_user_has_chosen_is_asked_for_even_where_the_registration_leaves_nothing_of_it() {
    let rig = rig(|settings| settings.oauth.scope = Some("chosen".into())).await;
    registers(&rig, &[("own", json!({"scope": "other"}))]);
    assert_eq!(asked(&rig).await, pair("own", "chosen"));
    assert_eq!(named(&rig), ["chosen"]);
}

#[tokio::test]
async fn a_registration_that_is_too_narrow_is_made_anew_and_the_sign_in_in_use_can_still_be_renewed() {
    let rig = rig(|_| {}).await;
    registers(&rig, &[("first", json!({"scope": "mcp:read mcp:write"})), ("second", json!({}))]);
    rig.fake.script().require = Some("basic");
    asked(&rig).await;
    wants(&rig, "mcp:read");
    assert_eq!(asked(&rig).await, pair("first", "mcp:read"), "it is wide enough");
    wants(&rig, "mcp:read mcp:admin");
    // Nobody completes this one.
    let (result, _) = login(&rig.process(), |link| {
        assert_eq!(param(link, "client_id"), "second");
        answer(link, "error=access_denied")
    })
    .await;
    assert_eq!(result.unwrap_err().id, ProblemId::AccessDenied);
    assert_eq!(named(&rig), ["mcp:read mcp:write", "mcp:read mcp:admin"]);
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert_eq!(asked(&rig).await, pair("second", "mcp:read mcp:admin"), "it is kept");
}

#[tokio::test]
async fn a_registration_without_a_scope_is_made_anew_as_soon_as_the_server_wants_one() {
    let rig = rig(|_| {}).await;
    rig.fake.script().challenge = None;
    registers(&rig, &[("first", json!({})), ("second", json!({}))]);
    assert_eq!(asked(&rig).await, pair("first", ""));
    wants(&rig, "user");
    assert_eq!(asked(&rig).await, pair("second", "user"));
    assert_eq!(named(&rig), [Value::Null, json!("user")]);
}

#[tokio::test]
async fn a_registration_that_is_refused_for_its_scope_is_tried_once_without() {
    for error in ["invalid_client_metadata", "invalid_scope"] {
        let rig = rig(|_| {}).await;
        rig.fake.script().registrations.push_back((400, json!({"error": error}).to_string()));
        registers(&rig, &[("own", json!({}))]);
        for _ in 0..2 {
            assert_eq!(asked(&rig).await, pair("own", "mcp:read mcp:write"));
        }
        assert_eq!(named(&rig), [json!("mcp:read mcp:write"), Value::Null], "{error}");
    }
    for (status, error, requests) in
        [(400, "invalid_redirect_uri", 2), (503, "invalid_scope", 1), (400, "invalid_scope", 2)]
    {
        let rig = rig(|_| {}).await;
        for _ in 0..3 {
            rig.fake.script().registrations.push_back((status, json!({"error": error}).to_string()));
        }
        login(&rig.process(), |_| panic!("no page may be opened")).await.0.unwrap_err();
        assert_eq!(named(&rig).len(), requests, "{status} {error}");
    }
}

/// A keychain that does not answer when it is read, and deletes all the same.
struct SilentForReading(Ring);

impl CredentialStore for SilentForReading {
    fn read(&mut self, _account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        Err(StoreError::Locked)
    }
    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        self.0.write(account, record)
    }
    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        self.0.delete(account)
    }
}

/// The first registration, which somebody has signed in with, and the second, which nobody has signed in with yet.
async fn rig_with_two_registrations() -> Rig {
    let rig = rig(|_| {}).await;
    registers(&rig, &[("first", json!({"scope": "mcp:read mcp:write"})), ("second", json!({}))]);
    asked(&rig).await;
    wants(&rig, "mcp:read mcp:admin");
    let (result, _) = login(&rig.process(), |link| answer(link, "error=access_denied")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::AccessDenied);
    rig
}

async fn is_kept(rig: &Rig, id: &str) -> bool {
    let stored = dynamic::by_id(&rig.settings, &rig.ring.store(), &rig.fake.origin, id).await;
    stored.unwrap().is_some()
}

#[tokio::test]
async fn a_store_that_cannot_be_read_loses_no_registration() {
    let rig = rig_with_two_registrations().await;
    let silent = Store::with_backend(Box::new(SilentForReading(rig.ring.clone())), Duration::from_secs(5));
    dynamic::forget(&rig.settings, &silent, &rig.fake.origin, "second").await;
    assert!(is_kept(&rig, "first").await, "the sign-in in use is renewed with it");
    dynamic::forget(&rig.settings, &rig.ring.store(), &rig.fake.origin, "second").await;
    assert!(is_kept(&rig, "first").await && !is_kept(&rig, "second").await);
}

#[tokio::test]
async fn an_earlier_registration_is_kept_until_the_later_one_has_signed_in_and_no_longer() {
    let rig = rig_with_two_registrations().await;
    assert!(is_kept(&rig, "first").await && is_kept(&rig, "second").await);
    assert_eq!(asked(&rig).await, pair("second", "mcp:read mcp:admin"));
    assert!(!is_kept(&rig, "first").await && is_kept(&rig, "second").await);
}

/// Begins a sign-in and gives it up while it waits; the client that it asked with.
async fn given_up(rig: &Rig) -> String {
    let (tell, told) = tokio::sync::oneshot::channel();
    let process = rig.process();
    let begun = login(&process, move |link| {
        let _ = tell.send(param(link, "client_id"));
        Vec::new()
    });
    tokio::select! {
        _ = begun => panic!("it waits for an answer"),
        id = told => id.unwrap(),
    }
}

#[tokio::test]
async fn a_sign_in_after_one_that_came_back_to_nobody_registers_anew_and_the_one_in_use_can_still_be_renewed() {
    let rig = rig(|_| {}).await;
    registers(&rig, &[("first", json!({})), ("second", json!({})), ("third", json!({}))]);
    rig.fake.script().require = Some("basic");
    assert_eq!(asked(&rig).await.0, "first");
    // The server may have forgotten the client, and say so on its page alone.
    assert_eq!(given_up(&rig).await, "first");
    // One that ends before its page opens clears no doubt.
    rig.ring.fail(Some(StoreError::Locked));
    let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert!(result.is_err() && pages.is_empty());
    rig.ring.fail(None);
    assert_eq!(given_up(&rig).await, "second");
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert_eq!(asked(&rig).await.0, "third");
    assert_eq!(asked(&rig).await.0, "third", "one that was answered is known");
}

#[tokio::test]
async fn where_no_other_client_can_be_registered_the_doubted_one_is_used_once_more() {
    let rig = rig(|_| {}).await;
    registers(&rig, &[("first", json!({}))]);
    assert_eq!(asked(&rig).await.0, "first");
    assert_eq!(given_up(&rig).await, "first");
    let refused = json!({"error": "access_denied"}).to_string();
    rig.fake.script().registrations.push_back((403, refused));
    assert_eq!(asked(&rig).await.0, "first");
    assert_eq!(named(&rig).len(), 2, "another was asked for");
}

#[tokio::test]
async fn a_registration_that_the_sign_in_page_no_longer_knows_is_made_anew_before_the_tab() {
    let rig = rig(|_| {}).await;
    registers(&rig, &[("first", json!({})), ("second", json!({}))]);
    assert_eq!(asked(&rig).await.0, "first");
    let asked_page = |rig: &Rig| {
        let script = rig.fake.script();
        script.seen.iter().filter(|seen| seen.target.starts_with("/authorize?")).cloned().collect::<Vec<_>>()
    };
    assert!(asked_page(&rig).is_empty(), "a client that was just registered is known");
    // A page that says nothing of the client, and one in trouble, are for the user.
    for (status, says) in [(200, "<form>"), (503, "invalid_client"), (400, r#"{"error":"invalid_scope"}"#)] {
        rig.fake.page("/authorize", status, says);
        assert_eq!(asked(&rig).await.0, "first", "{status} {says}");
    }
    rig.fake.page("/authorize", 400, r#"{"error":"invalid_client"}"#);
    assert_eq!(asked(&rig).await.0, "second");
    let seen = asked_page(&rig);
    assert_eq!(seen.len(), 5, "once for each sign-in, and for the second client, which it refuses as well");
    for one in &seen {
        assert!(!one.headers.contains_key("authorization") && !one.headers.contains_key("cookie"), "{one:?}");
    }
}

#[tokio::test]
async fn a_page_that_refuses_a_client_of_a_moment_ago_says_nothing_of_clients_and_costs_one_registration() {
    let refusals = [(500, "<h1>error code: 1101</h1>"), (400, "<p>Bad state</p><p>Client apps not found here</p>")];
    for (status, says) in refusals {
        let rig = rig(|_| {}).await;
        registers(&rig, &[("first", json!({})), ("second", json!({})), ("third", json!({}))]);
        assert_eq!(asked(&rig).await.0, "first");
        rig.fake.page("/authorize", status, says);
        assert_eq!(asked(&rig).await.0, "second", "{status}");
        let asked_page =
            |rig: &Rig| rig.fake.script().seen.iter().filter(|seen| seen.target.starts_with("/authorize?")).count();
        assert_eq!(asked_page(&rig), 2, "{status}: one question for each client");
        assert_eq!(asked(&rig).await.0, "second", "{status}");
        assert_eq!(asked_page(&rig), 2, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_that_comes_back_is_an_answer_and_costs_no_registration() {
    let rig = rig(|_| {}).await;
    registers(&rig, &[("first", json!({})), ("second", json!({}))]);
    let (result, _) = login(&rig.process(), |link| answer(link, "error=access_denied")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::AccessDenied);
    assert_eq!(asked(&rig).await.0, "first");
}

#[tokio::test]
async fn a_registered_client_is_refused_once_by_its_own_method_and_the_next_sign_in_registers_anew() {
    let rig = rig(|_| {}).await;
    let named = json!({"token_endpoint_auth_method": "client_secret_post"});
    registers(&rig, &[("first", named.clone()), ("second", named)]);
    assert_eq!(asked(&rig).await.0, "first");
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    for (status, error) in [(400, "invalid_client"), (400, "invalid_request")] {
        rig.fake.script().token_faults.push_back((status, format!(r#"{{"error":"{error}"}}"#)));
    }
    let before = rig.fake.token_requests().len();
    let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert!(matches!(&error, AuthError::SignInNeeded(p) if p.id == ProblemId::RegisteredClientRefused), "{error:?}");
    assert_eq!(rig.fake.token_requests().len(), before + 1, "its registration names the method");
    rig.fake.script().token_faults.clear();
    assert_eq!(asked(&rig).await.0, "second");
}

#[tokio::test]
async fn offline_access_that_the_server_lists_and_refuses_is_taken_back_in_the_same_tab() {
    let rig = rig(|_| {}).await;
    let mut metadata: Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
    metadata["registration_endpoint"] = format!("{}/register", rig.fake.origin).into();
    metadata["scopes_supported"] = json!(["mcp:read", "mcp:write", "offline_access"]);
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
    registers(&rig, &[("own", json!({}))]);
    let (result, pages) = login(&rig.process(), |link| {
        assert_eq!(param(link, "scope"), "mcp:read mcp:write offline_access");
        let (status, page) = get(&answer(link, "error=invalid_scope")[0]);
        assert_eq!(status, 303, "{page}");
        let next = page.lines().find_map(|line| line.strip_prefix("Location: ")).expect("where it goes on").to_owned();
        assert_eq!((param(&next, "scope").as_str(), param(&next, "prompt").as_str()), ("mcp:read mcp:write", ""));
        assert_eq!(redirect(&next), redirect(link));
        assert_ne!(param(&next, "state"), param(link, "state"));
        // What answers the first request belongs to nobody now.
        [answer(link, "code=old"), answer(&next, "code=abc")].concat()
    })
    .await;
    result.unwrap();
    assert_eq!(pages.iter().map(|page| page.0).collect::<Vec<_>>(), [400, 200]);
    assert_eq!(rig.fake.token_requests()[0].form()["code"], "abc");
    // A second refusal ends it, and so does one of what the user has chosen.
    let (result, pages) = login(&rig.process(), |link| {
        let (_, page) = get(&answer(link, "error=invalid_scope")[0]);
        let next = page.lines().find_map(|line| line.strip_prefix("Location: ")).expect("where it goes on").to_owned();
        answer(&next, "error=invalid_scope")
    })
    .await;
    assert_eq!((result.unwrap_err().id, pages[0].0), (ProblemId::InvalidScope, 400));
}
