//! The walk of a token against a local server: sign-in, renewal, and all that may go wrong.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use url::Url;

use super::record::{Accounts, Grant};
use super::testing::Fake;
use super::*;
use crate::clock::ManualClock;
use crate::config::*;
use crate::http::Http;
use crate::problem::ProblemId;
use crate::store::memory::Memory;
use crate::store::{CredentialStore, Store};

const NOW: u64 = 1_800_000_000;

/// A store that fails as it is told, and that survives the authorizer, as a keychain does.
#[derive(Clone, Default)]
struct Ring(Arc<Mutex<(Memory, Option<StoreError>)>>);

impl Ring {
    fn fail(&self, error: Option<StoreError>) {
        self.0.lock().unwrap().1 = error;
    }
    fn store(&self) -> Store {
        Store::with_backend(Box::new(self.clone()), Duration::from_secs(5))
    }
}

impl CredentialStore for Ring {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        let mut ring = self.0.lock().unwrap();
        ring.1.clone().map_or_else(|| ring.0.read(account), Err)
    }
    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        let mut ring = self.0.lock().unwrap();
        ring.1.clone().map_or_else(|| ring.0.write(account, record), Err)
    }
    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        let mut ring = self.0.lock().unwrap();
        ring.1.clone().map_or_else(|| ring.0.delete(account), Err)
    }
}

/// One user at one machine.
struct Rig {
    fake: Fake,
    ring: Ring,
    clock: Arc<ManualClock>,
    settings: Arc<Settings>,
    _dir: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let fake = Fake::start().await;
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { config_file: dir.path().join("config.toml"), state_dir: dir.path().join("state") };
        let url = Url::parse(&format!("{}/mcp", fake.origin)).unwrap();
        let mut settings = Settings::for_url(url, paths);
        settings.product = Product::Planhat;
        settings.oauth.client_id = Some("pk_test".into());
        settings.oauth.scope = Some("inclusive".into());
        settings.oauth.callback.port = free_port();
        settings.token_store = TokenStoreKind::Memory;
        settings.limits.sign_in = Duration::from_secs(30);
        change(&mut settings);
        Self { fake, ring: Ring::default(), clock: ManualClock::at(NOW), settings: Arc::new(settings), _dir: dir }
    }

    /// Another process of the same user.
    fn process(&self) -> Arc<Authorizer> {
        let http = Http::new(NetworkSettings::default());
        Authorizer::new(Arc::clone(&self.settings), http, self.ring.store(), self.clock.clone())
    }

    async fn signed_in(&self) -> Arc<Authorizer> {
        let process = self.process();
        login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
        process
    }

    async fn stored(&self) -> Option<Grant> {
        let record = self.ring.store().read(&Accounts::grant(&self.settings)).await.unwrap()?;
        Some(Grant::from_record(&record).unwrap())
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Passes the link of a sign-in to whoever plays the browser.
struct Links(mpsc::UnboundedSender<String>);

impl LoginUi for Links {
    fn event(&mut self, event: LoginEvent<'_>) {
        if let LoginEvent::Waiting { link, .. } = event {
            let _ = self.0.send(link.to_owned());
        }
    }
}

type Browsed = Vec<(u16, String)>;

/// Signs in; `urls` turns the link into what the browser then fetches, in this order.
async fn login(
    process: &Arc<Authorizer>,
    urls: impl FnOnce(&str) -> Vec<String> + Send + 'static,
) -> (Result<GrantSummary, Problem>, Browsed) {
    let (links, mut link) = mpsc::unbounded_channel::<String>();
    let browser = tokio::spawn(async move {
        let Some(link) = link.recv().await else { return Browsed::new() };
        let browse = move || urls(&link).iter().map(|url| get(url)).collect();
        tokio::task::spawn_blocking(browse).await.unwrap()
    });
    let mut ui = Links(links);
    let result = process.login(LoginOptions { open_browser: false, paste: None }, &mut ui).await;
    drop(ui);
    (result, browser.await.unwrap())
}

/// The redirect that an authorization server would make of this link, with the right state.
fn answer(link: &str, query: &str) -> Vec<String> {
    vec![format!("{}?{query}&state={}", redirect(link), param(link, "state"))]
}

fn redirect(link: &str) -> String {
    param(link, "redirect_uri")
}

fn param(link: &str, name: &str) -> String {
    Url::parse(link).unwrap().query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
}

/// A browser without a cache or a mind of its own.
fn get(url: &str) -> (u16, String) {
    let url = Url::parse(url).unwrap();
    let port = url.port().unwrap();
    let target = url.query().map_or(url.path().to_owned(), |q| format!("{}?{q}", url.path()));
    raw(port, &format!("GET {target} HTTP/1.1\r\nHost: {}:{port}\r\n\r\n", url.host_str().unwrap()))
}

fn raw(port: u16, request: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (head, rest) = request.split_once("\r\n").unwrap();
    stream.write_all(format!("{head}\r\nConnection: close\r\n{rest}").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    (answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), answer)
}

#[tokio::test]
async fn a_sign_in_ends_with_a_stored_token_and_only_then_says_so() {
    let rig = Rig::new().await;
    let process = rig.process();
    assert!(process.bearer().await.unwrap().is_none());
    let (result, pages) = login(&process, |link| {
        assert_eq!(param(link, "response_type"), "code");
        assert_eq!(param(link, "code_challenge_method"), "S256");
        assert_eq!(param(link, "scope"), "inclusive");
        assert!(param(link, "resource").ends_with("/mcp"));
        assert!(param(link, "state").len() >= 32);
        answer(link, "code=abc")
    })
    .await;
    let summary = result.unwrap();
    assert_eq!((summary.client_id.as_str(), summary.renews), ("pk_test", true));
    assert_eq!(summary.expires_at, Some(NOW + 3600));
    assert_eq!(pages[0].0, 200);
    for header in ["cache-control: no-store", "content-security-policy: default-src 'none'"] {
        assert!(pages[0].1.to_ascii_lowercase().contains(header), "{}", pages[0].1);
    }
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
    let form = rig.fake.token_requests()[0].form();
    assert!(form["resource"].ends_with("/mcp") && !form["code_verifier"].is_empty());
    assert!(form["redirect_uri"].ends_with("/callback"));
    // Another process finds it in the store.
    assert_eq!(rig.process().bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
}

#[tokio::test]
async fn a_failed_exchange_is_not_called_a_sign_in_by_the_page() {
    let rig = Rig::new().await;
    rig.fake
        .script()
        .token_faults
        .push_back((400, r#"{"error":"invalid_grant","error_description":"<b>no</b>"}"#.into()));
    let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::CodeRejected);
    assert_eq!(problem.fact("error_description"), Some("<b>no</b>"));
    assert_eq!(pages[0].0, 400);
    assert!(!pages[0].1.contains("<b>") && !pages[0].1.contains("You are signed in"));
    assert!(rig.stored().await.is_none());
}

#[tokio::test]
async fn what_is_not_the_answer_neither_ends_nor_stalls_the_sign_in() {
    let rig = Rig::new().await;
    let (result, pages) = login(&rig.process(), |link| {
        let to = redirect(link);
        let state = param(link, "state");
        vec![
            format!("{to}?code=x&state=wrong"),
            format!("{to}?code=x"),
            format!("{to}?error=access_denied&state=wrong"),
            format!("{to}?code=x&state={state}&state={state}"),
            to.replace("/callback", "/favicon.ico"),
            to.replace("/callback", &format!("/callback/?code=x&state={state}")),
            to.replace("127.0.0.1", "localhost") + &format!("?code=x&state={state}"),
            format!("{to}?code=abc&state={state}"),
        ]
    })
    .await;
    result.unwrap();
    let statuses: Vec<u16> = pages.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [400, 400, 400, 400, 404, 404, 421, 200]);
    assert_eq!(rig.fake.token_requests()[0].form()["code"], "abc");
}

#[tokio::test]
async fn other_methods_and_bodies_are_turned_away() {
    let rig = Rig::new().await;
    let port = rig.settings.oauth.callback.port;
    let (result, _) = login(&rig.process(), move |link| {
        let state = param(link, "state");
        let target = format!("/callback?code=x&state={state}");
        let host = format!("Host: 127.0.0.1:{port}\r\n");
        for (request, status) in [
            (format!("POST {target} HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx"), 405),
            (format!("HEAD {target} HTTP/1.1\r\n{host}\r\n"), 405),
            (format!("GET {target} HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx"), 400),
            (format!("GET {target} HTTP/1.1\r\n{host}{host}\r\n"), 421),
            (format!("GET {target} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"), 421),
            (format!("GET {target} HTTP/1.0\r\n\r\n"), 421),
            (format!("GET /callback?{} HTTP/1.1\r\n{host}\r\n", "x".repeat(64 * 1024)), 414),
        ] {
            assert_eq!(raw(port, &request).0, status, "{}", &request[..60.min(request.len())]);
        }
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn refusals_and_incomplete_answers_end_the_sign_in_with_their_own_reason() {
    for (query, expected) in [
        ("error=access_denied&error_description=No%20way", ProblemId::AccessDenied),
        ("error=server_error", ProblemId::AuthorizationFailed),
        ("x=y", ProblemId::CallbackIncomplete),
        ("code=a&code=b", ProblemId::CallbackIncomplete),
        ("code=a&iss=https%3A%2F%2Fevil.example", ProblemId::CallbackIssuerMismatch),
    ] {
        let rig = Rig::new().await;
        let (result, pages) = login(&rig.process(), move |link| answer(link, query)).await;
        assert_eq!(result.unwrap_err().id, expected, "{query}");
        assert_eq!(pages[0].0, 400);
        assert!(rig.fake.token_requests().is_empty(), "{query}");
        // The reason reaches the process that waits.
        let told: pending::Pending = pending::note(&rig.process().files).read().unwrap();
        assert_eq!(Problem::from(told.failure.unwrap()).id, expected);
    }
}

#[tokio::test]
async fn a_second_callback_gets_a_calm_page() {
    let rig = Rig::new().await;
    rig.fake.script().token_faults.push_back((503, "{}".into()));
    let (result, _) = login(&rig.process(), |link| {
        // The one that is taken waits for its page while the token endpoint is asked twice; the other comes meanwhile.
        let url = answer(link, "code=abc").remove(0);
        let browsers: Vec<_> = [url.clone(), url].map(|url| std::thread::spawn(move || get(&url))).into();
        let pages: Vec<_> = browsers.into_iter().map(|browser| browser.join().unwrap()).collect();
        for text in ["You are signed in", "Nothing more to do here"] {
            assert_eq!(
                pages.iter().filter(|(status, page)| *status == 200 && page.contains(text)).count(),
                1,
                "{text}"
            );
        }
        vec![]
    })
    .await;
    result.unwrap();
    let codes = rig.fake.token_requests().iter().filter(|seen| seen.form().contains_key("code")).count();
    assert_eq!(codes, 2, "one fault, one success");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it_before_a_page_is_opened() {
    let rig = Rig::new().await;
    let port = rig.settings.oauth.callback.port;
    let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (result, pages) = login(&rig.process(), |_| panic!("no page may be opened")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::PortInUse);
    assert_eq!(problem.fact("port"), Some(port.to_string().as_str()));
    assert!(pages.is_empty());
}

#[tokio::test]
async fn the_port_is_free_again_after_a_sign_in() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    for _ in 0..3 {
        login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
    }
}

#[tokio::test]
async fn a_pasted_address_is_as_good_as_the_callback() {
    let rig = Rig::new().await;
    let process = rig.process();
    let (links, mut link) = mpsc::unbounded_channel();
    let (lines, paste) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let link: String = link.recv().await.unwrap();
        for line in ["", "hello", "http://127.0.0.1/callback?code=x&state=wrong"] {
            lines.send(line.to_owned()).unwrap();
        }
        lines.send(answer(&link, "code=pasted").remove(0) + "\n").unwrap();
    });
    let options = LoginOptions { open_browser: false, paste: Some(paste) };
    process.login(options, &mut Links(links)).await.unwrap();
    assert_eq!(rig.fake.token_requests()[0].form()["code"], "pasted");
}

#[tokio::test]
async fn a_sign_in_that_nobody_finishes_ends_by_itself() {
    let rig = Rig::with(|settings| settings.limits.sign_in = Duration::from_millis(50)).await;
    let problem = login(&rig.process(), |_| vec![]).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::PlanhatSignInTimedOut);
    assert!(problem.fact("redirect_url").unwrap().ends_with("/callback"));
}

#[tokio::test]
async fn without_a_client_id_the_user_is_told_what_to_do() {
    let rig = Rig::with(|settings| settings.oauth.client_id = None).await;
    let problem = login(&rig.process(), |_| vec![]).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::PlanhatClientIdMissing);
}

#[tokio::test]
async fn the_secret_is_shown_as_the_server_wants_it_and_that_is_remembered() {
    for (require, methods) in [
        ("basic", None),
        ("post", Some(vec!["client_secret_post"])),
        ("post", None),
        ("basic", Some(vec!["client_secret_post"])),
    ] {
        let rig = Rig::with(|settings| settings.oauth.client_secret = Some("sk:&%+ü".into())).await;
        if let Some(methods) = methods {
            let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
            metadata["token_endpoint_auth_methods_supported"] = methods.into();
            rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        }
        rig.fake.script().require = Some(require);
        let process = rig.signed_in().await;
        let asked = rig.fake.token_requests().len();
        let bearer = process.bearer().await.unwrap().unwrap();
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
        assert_eq!(rig.fake.token_requests().len(), asked + 1, "no second guess");
        let last = rig.fake.token_requests().pop().unwrap();
        match require {
            // RFC 6749, 2.3.1: form-urlencoded before base64.
            "basic" => assert_eq!(last.headers["authorization"], "Basic cGtfdGVzdDpzayUzQSUyNiUyNSUyQiVDMyVCQw=="),
            _ => assert_eq!(last.form()["client_secret"], "sk:&%+ü"),
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_explained_as_that() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("wrong".into())).await;
    rig.fake.script().require = Some("neither");
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::InvalidClient);
    assert_eq!(problem.fact("error"), Some("invalid_client"));
    assert_eq!(rig.fake.token_requests().len(), 2);
}

#[tokio::test]
async fn a_kept_client_secret_serves_later_runs() {
    let rig = Rig::new().await;
    rig.process().keep_client_secret(&"sk_kept".into()).await.unwrap();
    rig.fake.script().require = Some("basic");
    rig.signed_in().await;
}

#[tokio::test]
async fn sixteen_rejected_calls_make_one_refresh() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (process, rejected) = (Arc::clone(&process), rejected.clone());
            tokio::spawn(async move { process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap() })
        })
        .collect();
    for call in calls {
        let bearer = call.await.unwrap();
        assert_eq!(bearer.token.expose(), "canary-access-2");
        assert!(bearer.serial > rejected.serial);
        assert_eq!(bearer.grant, rejected.grant);
    }
    assert_eq!(rig.fake.counts(), (1, 0));
}

#[tokio::test]
async fn eight_processes_with_one_rejected_token_make_one_refresh() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    let mut calls = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..8 {
        let process = rig.process();
        let rejected = process.bearer().await.unwrap().unwrap();
        processes.push((process, rejected));
    }
    for (process, rejected) in processes {
        calls.push(tokio::spawn(async move { process.unauthorized(Some(&rejected), Challenge::default()).await }));
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().token.expose(), "canary-access-2");
    }
    assert_eq!(rig.fake.counts(), (1, 0));
}

#[tokio::test]
async fn a_cancelled_call_does_not_lose_the_rotated_token() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    {
        let call = std::pin::pin!(process.unauthorized(Some(&rejected), Challenge::default()));
        // Given up as soon as the renewal is on its way.
        tokio::select! { biased; _ = call => {}, () = tokio::task::yield_now() => {} }
    }
    process.settle(Duration::from_secs(10)).await;
    // Either it was not begun or it is finished and stored; what is stored is always good.
    let bearer = process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap();
    assert_eq!(rig.stored().await.unwrap().access_token, bearer.token);
    assert_eq!(rig.stored().await.unwrap().refresh_token.unwrap().expose(), &rig.fake.script().refresh_token);
    assert_eq!(rig.fake.script().reused, 0);
}

#[tokio::test]
async fn passing_failures_keep_the_sign_in_and_the_next_try_succeeds() {
    for fault in [
        (503, "{}"),
        (500, r#"{"error":"invalid_grant"}"#),
        (429, ""),
        (200, "<html>portal</html>"),
        (403, "blocked"),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (302, ""),
    ] {
        let rig = Rig::new().await;
        let process = rig.signed_in().await;
        let bearer = process.bearer().await.unwrap().unwrap();
        rig.fake.script().token_faults.push_back((fault.0, fault.1.into()));
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert!(matches!(error, AuthError::NotNow(_)), "{fault:?}: {error:?}");
        assert!(rig.stored().await.unwrap().refresh_token.is_some());
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_spent_refresh_token_asks_for_a_sign_in_and_is_never_shown_again() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    rig.fake.script().refresh_token = "revoked".into();
    for _ in 0..3 {
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
    }
    assert!(rig.process().unauthorized(Some(&bearer), Challenge::default()).await.is_err());
    assert_eq!(rig.fake.script().reused, 1);
    assert!(process.bearer().await.unwrap().is_none());
    assert_eq!(*process.watch().borrow(), AuthState::SignedOut);
    // A new sign-in is a new grant.
    login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
    assert!(process.bearer().await.unwrap().unwrap().grant > bearer.grant);
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_without_holding_anybody_up() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    rig.clock.advance(Duration::from_secs(3600 - 30));
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
    process.settle(Duration::from_secs(10)).await;
    while rig.fake.script().refreshes == 0 {
        tokio::task::yield_now().await;
    }
    process.settle(Duration::from_secs(10)).await;
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-2");
    // After its end there is nothing to send meanwhile.
    rig.clock.advance(Duration::from_secs(3601));
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-3");
    rig.clock.advance(Duration::from_secs(3601));
    rig.fake.script().token_faults.push_back((503, "{}".into()));
    assert!(matches!(process.bearer().await, Err(AuthError::NotNow(_))));
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-4");
}

#[tokio::test]
async fn a_refresh_token_that_is_not_replaced_is_kept() {
    let rig = Rig::new().await;
    rig.fake.script().rotates = false;
    let process = rig.signed_in().await;
    for _ in 0..2 {
        let bearer = process.bearer().await.unwrap().unwrap();
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    }
    assert_eq!(rig.fake.script().refreshes, 2);
}

#[tokio::test]
async fn a_server_that_rejects_all_it_gives_out_is_not_asked_for_ever() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let mut renewed = 0;
    loop {
        let bearer = process.bearer().await.unwrap().unwrap();
        match process.unauthorized(Some(&bearer), Challenge::default()).await {
            Ok(_) => renewed += 1,
            Err(error) => break assert!(matches!(error, AuthError::SignInNeeded(_))),
        }
        assert!(renewed < 10);
    }
    assert_eq!(renewed, 3);
}

#[tokio::test]
async fn a_locked_or_absent_or_silent_store_never_means_signed_out() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    for (error, passing) in [
        (StoreError::Locked, true),
        (StoreError::TimedOut(Duration::from_secs(5)), true),
        (StoreError::Absent("no bus".into()), false),
        (StoreError::Corrupt("x".into()), false),
    ] {
        let process = rig.process();
        rig.ring.fail(Some(error.clone()));
        let result = process.bearer().await;
        match result {
            Err(AuthError::NotNow(_)) if passing => {}
            Err(AuthError::Failed(_)) if !passing => {}
            other => panic!("{error:?}: {other:?}"),
        }
        let rejected = Bearer { token: "x".into(), serial: 0, grant: 0 };
        assert!(process.unauthorized(Some(&rejected), Challenge::default()).await.is_err());
        rig.ring.fail(None);
        process.unauthorized(None, Challenge::default()).await.unwrap();
    }
    assert_eq!(rig.fake.script().refreshes, 0, "nobody refreshed with what it could not read");
}

#[tokio::test]
async fn a_keychain_that_is_absent_is_explained_with_the_way_out() {
    // With a secret at hand, registration does not look into the store.
    for secret in [None, Some("canary-secret")] {
        let rig = Rig::with(|settings| settings.oauth.client_secret = secret.map(Into::into)).await;
        rig.ring.fail(Some(StoreError::Absent("no bus".into())));
        let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.id, ProblemId::KeychainAbsent);
        assert!(problem.fix().contains("--token-store file"));
        assert!(pages.is_empty(), "found out before anybody signs in");
    }
}

#[tokio::test]
async fn a_damaged_record_does_not_keep_anybody_from_signing_in_anew() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    rig.ring.fail(Some(StoreError::Corrupt("x".into())));
    let (_, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert!(!pages.is_empty(), "the way to the browser is free");
}

#[tokio::test]
async fn a_rotated_token_that_cannot_be_saved_is_used_and_saved_later_and_the_lock_is_kept_meanwhile() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    let ring = rig.ring.clone();
    // Locked between reading and writing: the token endpoint is asked in between.
    rig.fake.script().token_faults.push_back((503, "{}".into()));
    assert!(process.unauthorized(Some(&rejected), Challenge::default()).await.is_err());
    let locker = tokio::spawn({
        let fake = rig.fake.clone();
        async move {
            while fake.script().refreshes == 0 {
                tokio::task::yield_now().await;
            }
            ring.fail(Some(StoreError::Locked));
        }
    });
    let bearer = process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap();
    locker.await.unwrap();
    assert_eq!(bearer.token.expose(), "canary-access-2");
    if process.is_unsaved() {
        assert!(crate::store::ProcessLock::try_acquire(&process.files.token_lock()).unwrap().is_none());
        // A further renewal goes on from what is in memory.
        let next = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
        assert_eq!(next.token.expose(), "canary-access-3");
        rig.ring.fail(None);
        process.settle(Duration::from_secs(20)).await;
        assert!(!process.is_unsaved());
        assert_eq!(rig.stored().await.unwrap().access_token.expose(), "canary-access-3");
        assert!(crate::store::ProcessLock::try_acquire(&process.files.token_lock()).unwrap().is_some());
    } else {
        panic!("the test did not lock the store in time");
    }
    assert_eq!(rig.fake.script().reused, 0);
}

#[tokio::test]
async fn another_process_s_sign_in_and_sign_out_are_noticed() {
    let rig = Rig::new().await;
    let waiting = rig.process();
    assert!(waiting.bearer().await.unwrap().is_none());
    let other = rig.signed_in().await;
    waiting.wait_signed_in(Duration::from_secs(5)).await.unwrap();
    assert_eq!(waiting.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
    assert!(matches!(*waiting.watch().borrow(), AuthState::SignedIn { .. }));
    assert!(other.logout().await.unwrap());
    assert!(other.bearer().await.unwrap().is_none());
    waiting.look_again().await.unwrap();
    assert!(waiting.bearer().await.unwrap().is_none());
    assert!(rig.stored().await.is_none());
}

#[tokio::test]
async fn a_static_token_is_sent_as_it_is_and_its_rejection_explained() {
    let rig = Rig::with(|settings| settings.static_token = Some("canary-static".into())).await;
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    assert_eq!(bearer.token.expose(), "canary-static");
    let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::PlanhatStaticTokenRejected);
    assert!(matches!(error, AuthError::Failed(_)));
    assert_eq!(process.start_sign_in(SignInReason::UserAsked).unwrap_err().id, ProblemId::StaticTokenSet);
    assert!(rig.fake.script().seen.is_empty());
}

#[tokio::test]
async fn a_sign_in_for_another_client_is_not_used() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    let mut settings = (*rig.settings).clone();
    settings.oauth.client_id = Some("pk_other".into());
    let http = Http::new(NetworkSettings::default());
    let other = Authorizer::new(Arc::new(settings), http, rig.ring.store(), rig.clock.clone());
    assert!(other.bearer().await.unwrap().is_none());
}

#[tokio::test]
async fn discovery_follows_the_challenge_and_never_gives_up_on_one_bad_answer() {
    for (name, html) in [("found by challenge", false), ("html at every other place", true)] {
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let origin = rig.fake.origin.clone();
        rig.fake.script().pages.remove("/.well-known/oauth-authorization-server");
        if html {
            rig.fake.page("/.well-known/oauth-authorization-server/tenant", 200, "<html>");
        }
        rig.fake.page("/meta", 200, format!(r#"{{"resource":"{origin}/mcp","authorization_servers":["{origin}/tenant"],"scopes_supported":["a","b"]}}"#));
        let metadata = rig.fake.metadata().replacen(
            &format!("\"issuer\":\"{origin}\""),
            &format!("\"issuer\":\"{origin}/tenant\""),
            1,
        );
        rig.fake.page("/tenant/.well-known/openid-configuration", 200, metadata);
        rig.fake.script().challenge = Some(format!("Basic, Bearer resource_metadata=\"{origin}/meta\""));
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert_eq!(result.unwrap().issuer, format!("{origin}/tenant"), "{name}");
    }
}

#[tokio::test]
async fn a_server_without_any_metadata_gets_the_default_endpoints_unless_it_is_planhat() {
    for product in [Product::Other, Product::Planhat] {
        let rig = Rig::with(|settings| settings.product = product).await;
        rig.fake.script().pages.clear();
        let (result, _) = login(&rig.process(), |link| {
            assert!(Url::parse(link).unwrap().path() == "/authorize");
            answer(link, "code=abc")
        })
        .await;
        match product {
            Product::Other => assert!(result.is_ok()),
            _ => assert_eq!(result.unwrap_err().id, ProblemId::NoAuthorizationServer),
        }
    }
}

#[tokio::test]
async fn metadata_that_speaks_for_another_resource_or_issuer_ends_it() {
    let rig = Rig::new().await;
    rig.fake.page(
        "/.well-known/oauth-protected-resource/mcp",
        200,
        r#"{"resource":"https://evil.example/mcp","authorization_servers":["https://evil.example"]}"#,
    );
    assert_eq!(login(&rig.process(), |_| vec![]).await.0.unwrap_err().id, ProblemId::ResourceMismatch);
    let rig = Rig::new().await;
    rig.fake.page(
        "/.well-known/oauth-authorization-server",
        200,
        rig.fake.metadata().replacen("\"issuer\":\"http", "\"issuer\":\"https", 1),
    );
    assert_eq!(login(&rig.process(), |_| vec![]).await.0.unwrap_err().id, ProblemId::IssuerMismatch);
}

#[tokio::test]
async fn a_server_in_trouble_is_not_taken_for_one_without_metadata() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    rig.fake.page("/.well-known/oauth-authorization-server", 503, "");
    let problem = login(&rig.process(), |_| vec![]).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::TokenEndpointUnavailable);
}

#[tokio::test]
async fn no_token_is_shown_by_anything_that_can_be_printed() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap();
    let status = process.status().await;
    assert!(status.grant.is_some());
    let shown = format!("{process:?} {bearer:?} {status:?} {:?}", rig.stored().await);
    assert!(!shown.contains("canary"), "{shown}");
}
