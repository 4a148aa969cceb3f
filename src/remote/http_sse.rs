//! Which transport carries a message: Streamable HTTP, or the HTTP+SSE of revision 2024-11-05, where the client's messages
//! go to an address that the server names in the first event of its one stream ("Backwards Compatibility",
//! Streamable HTTP, 2025-11-25).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::StatusCode;

use crate::auth::Bearer;
use crate::config::{Settings, TransportKind};
use crate::http::{host_of, with_scheme_of};
use crate::limits::ENDPOINT_EVENT_WAIT;
use crate::message::{Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};

use super::body::Media;
use super::failure::Failure;
use super::one_stream::{AwaitedAnswer, OneStream};
use super::outgoing::Outgoing;
use super::redirect::same_origin;
use super::remembered::Remembered;
use super::request;
use super::session::RemoteSession;
use super::transport::{Answer, Transport};

/// The transport of HTTP+SSE, as far as this process uses it.
#[derive(Debug)]
pub(super) struct HttpSse {
    settings: Arc<Settings>,
    transport: Transport,
    remembered: Arc<Remembered>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stream: Option<Arc<OneStream>>,
}

/// How a message goes out.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// A POST whose answer is in its response.
    Streamable,
    /// First a GET for the one stream, because the message opens a session.
    OpenStream,
    /// A POST to the endpoint of the one stream, which brings the answer.
    Posted(Arc<OneStream>),
}

impl Route {
    /// Whether a message that goes this way belongs to a session.
    pub(super) fn is_in_session(&self, session: &RemoteSession) -> bool {
        session.id.is_some() || matches!(self, Self::Posted(_))
    }

    /// The session with the address for a ping beside a message that went this way.
    pub(super) fn seen_by_a_ping(&self, session: Arc<RemoteSession>) -> Arc<RemoteSession> {
        match self {
            Self::Posted(stream) => {
                Arc::new(RemoteSession { endpoint: Some(stream.endpoint.clone()), ..(*session).clone() })
            }
            Self::Streamable | Self::OpenStream => session,
        }
    }
}

impl HttpSse {
    pub(super) fn new(settings: Arc<Settings>, transport: Transport, remembered: Arc<Remembered>) -> Self {
        Self { settings, transport, remembered, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kind(&self) -> TransportKind {
        self.settings.transport
    }

    /// Whether this message may decide the transport: an `initialize` that is sent without a session.
    pub(super) fn decides(&self, out: &Outgoing, session: &RemoteSession) -> bool {
        self.kind() != TransportKind::Http
            && out.mcp_headers.is_none()
            && session.version.is_none()
            && out.expects.is_some()
            && matches!(peek(&out.body), Ok(Peek::One(Kind::Request { method, .. })) if method == "initialize")
    }

    /// How a message of this session goes out; `falls_back` says that Streamable HTTP was refused to it.
    ///
    /// # Errors `SessionLost` when the stream of its session has ended.
    pub(super) fn route(&self, out: &Outgoing, decides: bool, falls_back: bool, epoch: u64) -> Result<Route, Failure> {
        let state = self.state();
        let is_used = self.remembered.speaks_http_sse() || falls_back || self.kind() == TransportKind::Sse;
        if out.mcp_headers.is_some() || !is_used {
            return Ok(Route::Streamable);
        }
        match state.stream.as_ref().filter(|stream| stream.epoch == epoch && stream.is_open()) {
            Some(stream) => Ok(Route::Posted(Arc::clone(stream))),
            None if decides => Ok(Route::OpenStream),
            None => Err(lost(epoch)),
        }
    }

    /// Awaits the answer to a message that goes out by this route, if it comes on the one stream.
    ///
    /// # Errors `SessionLost` when that has just ended.
    pub(super) fn await_answer(&self, out: &Outgoing, route: &Route) -> Result<Option<Box<AwaitedAnswer>>, Failure> {
        let (Route::Posted(stream), Some(id)) = (route, &out.expects) else { return Ok(None) };
        let patience = self.transport.patience(Some(self.settings.limits.idle));
        stream.await_answer(id, patience).map(Some).ok_or_else(|| lost(stream.epoch))
    }

    /// Asks for the one stream.
    ///
    /// # Errors As those of a message that is sent.
    pub(super) async fn get(&self, session: &RemoteSession, bearer: Option<&Bearer>) -> Result<Answer, Failure> {
        let message = request::listen(&self.settings.url, session, bearer, None);
        match self.transport.execute(message, Some(ENDPOINT_EVENT_WAIT)).await {
            // A server that has come to speak the newer transport may hold such a request. What it was asked for is not sent.
            Err(Failure::Explained(problem)) if problem.id == ProblemId::AnswerTimedOut && self.forget() => {
                Err(Failure::NotSent(problem))
            }
            Ok(answer) => {
                // It may have come to speak the newer one behind a gateway that cannot pass this on: that is tried next.
                if answer.response.status().is_server_error() {
                    self.forget();
                }
                Ok(answer)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Uses the stream that this answer opens in the session of this epoch.
    ///
    /// # Errors When it does not begin with an endpoint of the server's own origin.
    pub(super) async fn open(&self, answer: Answer, epoch: u64) -> Result<(), Failure> {
        if Media::of(answer.response.headers()) != Media::Events {
            return Err(self.refused());
        }
        let at = answer.response.url().clone();
        let mut stream = self.transport.stream(answer.response, None);
        let begins = tokio::time::timeout(ENDPOINT_EVENT_WAIT, stream.endpoint()).await;
        let Ok(Some(endpoint)) = begins else { return Err(self.refused()) };
        let (url, named) = (&self.settings.url, String::from_utf8_lossy(&endpoint));
        let named_url = at.join(named.trim()).ok().map(|target| with_scheme_of(url, &target).unwrap_or(target));
        let Some(endpoint) = named_url.filter(|endpoint| same_origin(url, endpoint)) else {
            let problem = Problem::new(ProblemId::EndpointElsewhere).with("host", host_of(url));
            return Err(problem.said("location", answer.secrets.words(&named)).into());
        };
        tracing::info!("the server speaks HTTP+SSE, the transport of revision 2024-11-05");
        let stream = Arc::new(OneStream::start(stream, endpoint, epoch));
        self.state().stream = Some(stream);
        self.remembered.set_http_sse(true);
        Ok(())
    }

    /// What follows a stream that could not be used: where the server was known to speak this transport, the newer one is
    /// tried. `first` is how that was refused before.
    ///
    /// # Errors What is to be told.
    pub(super) fn after_unusable(&self, first: Option<Failure>, failure: Failure) -> Result<(), Failure> {
        let is_other_kind = matches!(&failure, Failure::Explained(problem) if problem.id == ProblemId::NotHttpSse);
        match first {
            Some(first) => Err(first),
            None if is_other_kind && self.forget() => Ok(()),
            None => Err(failure),
        }
    }

    /// Whether the server speaks it although the user has excluded it.
    pub(super) async fn is_spoken_and_excluded(&self, bearer: Option<&Bearer>) -> bool {
        if self.kind() != TransportKind::Http {
            return false;
        }
        let look = async {
            let answer = self.get(&RemoteSession::default(), bearer).await.ok()?;
            let is_stream =
                answer.response.status() == StatusCode::OK && Media::of(answer.response.headers()) == Media::Events;
            if !is_stream {
                return None;
            }
            self.transport.stream(answer.response, None).endpoint().await
        };
        tokio::time::timeout(ENDPOINT_EVENT_WAIT, look).await.ok().flatten().is_some()
    }

    /// Whether an answer with this status leaves the older transport to be tried.
    pub(super) fn may_fall_back(&self, decides: bool, route: &Route, status: StatusCode) -> bool {
        decides
            && self.kind() == TransportKind::Auto
            && matches!(route, Route::Streamable)
            && matches!(status.as_u16(), 200 | 400 | 404 | 405)
    }

    /// What to do after a refusal: the message is sent again by another route, or there is no other. `first` is how
    /// Streamable HTTP was refused before; the refusal to fall back upon is returned.
    ///
    /// # Errors What is to be told.
    pub(super) fn after_refusal(
        &self,
        decides: bool,
        route: &Route,
        status: StatusCode,
        first: Option<Failure>,
        refusal: Failure,
    ) -> Result<Option<Failure>, Failure> {
        // A refusal that is about the revision is an answer of the newer transport.
        let is_of_revision = matches!(&refusal, Failure::Refused { revisions: Some(_), .. });
        if self.may_fall_back(decides, route, status) && first.is_none() && !is_of_revision {
            return Ok(Some(refusal));
        }
        match (route, first) {
            (_, Some(first)) => Err(first),
            // The server may have come to speak Streamable HTTP.
            (Route::OpenStream, None) if self.forget() => Ok(None),
            (Route::OpenStream, None) if matches!(status.as_u16(), 400 | 404..=406) => Err(self.refused()),
            (_, None) => Err(refusal),
        }
    }

    fn refused(&self) -> Failure {
        Problem::new(ProblemId::NotHttpSse).with("host", host_of(&self.settings.url)).into()
    }

    /// The stream that belongs to the session of this epoch, even when it has ended.
    pub(super) fn stream_of(&self, epoch: u64) -> Option<Arc<OneStream>> {
        self.state().stream.as_ref().filter(|stream| stream.epoch == epoch).cloned()
    }

    /// Ends the stream, and with it the session of this epoch; never the stream of a later one.
    pub(super) fn close(&self, epoch: u64) {
        let mut state = self.state();
        if state.stream.as_ref().is_some_and(|stream| stream.epoch == epoch) {
            state.stream = None;
        }
    }

    /// Forgets that the server has spoken it; whether Streamable HTTP is to be tried now.
    fn forget(&self) -> bool {
        self.state().stream = None;
        let was_known = self.remembered.speaks_http_sse();
        self.remembered.set_http_sse(false);
        was_known
    }
}

fn lost(epoch: u64) -> Failure {
    Failure::SessionLost { epoch, otherwise: Box::new(Problem::new(ProblemId::SessionLost)) }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::config::Paths;
    use crate::http::Http;
    use crate::message::IdKey;

    fn with(kind: TransportKind) -> HttpSse {
        let url = url::Url::parse("https://mcp.example/mcp").expect("a constant");
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        settings.transport = kind;
        let settings = Arc::new(settings);
        let remembered = Remembered::new(Arc::clone(&settings), crate::clock::system(), false);
        let http = Http::new(Default::default());
        let transport = Transport::new(Arc::clone(&settings), http, Default::default(), Arc::clone(&remembered));
        HttpSse::new(settings, transport, remembered)
    }

    fn asks(body: &'static str) -> Outgoing {
        let body = Bytes::from_static(body.as_bytes());
        Outgoing { expects: Some(IdKey::Text("1".to_owned())), ..Outgoing::unanswered(body) }
    }

    const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{}}"#;

    #[test]
    fn only_an_initialize_without_a_session_decides_the_transport() {
        let (initialize, list) = (asks(INITIALIZE), asks(r#"{"jsonrpc":"2.0","id":"1","method":"tools/list"}"#));
        let none = RemoteSession::default();
        let open = RemoteSession { version: Some(HeaderValue::from_static("2025-11-25")), ..none.clone() };
        let stateless = Outgoing { mcp_headers: Some(Default::default()), ..initialize.clone() };
        for (kind, out, session, decides) in [
            (TransportKind::Auto, &initialize, &none, true),
            (TransportKind::Sse, &initialize, &none, true),
            (TransportKind::Http, &initialize, &none, false),
            (TransportKind::Auto, &initialize, &open, false),
            (TransportKind::Auto, &list, &none, false),
            (TransportKind::Auto, &stateless, &none, false),
        ] {
            assert_eq!(with(kind).decides(out, session), decides, "{kind:?} {out:?}");
        }
    }

    #[test]
    fn streamable_http_is_left_only_where_the_specification_says_so_or_the_user_does() {
        let auto = with(TransportKind::Auto);
        for (status, falls_back) in [(200, true), (400, true), (404, true), (405, true), (401, false), (500, false)] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(auto.may_fall_back(true, &Route::Streamable, status), falls_back, "{status}");
            assert!(!auto.may_fall_back(false, &Route::Streamable, status));
            assert!(!auto.may_fall_back(true, &Route::OpenStream, status));
            for kind in [TransportKind::Http, TransportKind::Sse] {
                assert!(!with(kind).may_fall_back(true, &Route::Streamable, status));
            }
        }
        let out = asks(INITIALIZE);
        let route = |kind, decides, falls_back| with(kind).route(&out, decides, falls_back, 0);
        assert!(matches!(route(TransportKind::Auto, true, false), Ok(Route::Streamable)));
        assert!(matches!(route(TransportKind::Auto, true, true), Ok(Route::OpenStream)));
        assert!(matches!(route(TransportKind::Sse, true, false), Ok(Route::OpenStream)));
        assert!(matches!(route(TransportKind::Sse, false, false), Err(Failure::SessionLost { epoch: 0, .. })));
        assert!(matches!(route(TransportKind::Http, true, false), Ok(Route::Streamable)));
    }

    #[tokio::test]
    async fn a_late_loss_of_an_earlier_session_leaves_the_stream_of_the_present_one() {
        let sse = with(TransportKind::Sse);
        let response = reqwest::Response::from(http::Response::new(""));
        let endpoint = sse.settings.url.clone();
        let stream = OneStream::start(sse.transport.stream(response, None), endpoint, 2);
        sse.state().stream = Some(Arc::new(stream));
        sse.close(1);
        assert!(sse.stream_of(2).is_some());
        sse.close(2);
        assert!(sse.stream_of(2).is_none());
    }

    #[test]
    fn a_refusal_of_both_transports_is_told_as_that_of_the_newer_one() {
        let refused =
            |status: StatusCode| Failure::Refused { status, problem: ProblemId::ServerError.into(), revisions: None };
        let (not_found, not_allowed) = (StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED);
        let auto = with(TransportKind::Auto);
        let first = auto.after_refusal(true, &Route::Streamable, not_allowed, None, refused(not_allowed));
        let first = first.expect("the older one is tried");
        assert!(matches!(&first, Some(Failure::Refused { status, .. }) if *status == not_allowed));
        let both = auto.after_refusal(true, &Route::OpenStream, not_found, first, refused(not_found));
        assert!(matches!(both, Err(Failure::Refused { status, .. }) if status == not_allowed));
        // One that spoke the older transport and no longer does may have been replaced.
        auto.remembered.set_http_sse(true);
        let again = auto.after_refusal(true, &Route::OpenStream, not_found, None, refused(not_found));
        assert!(matches!(again, Ok(None)) && !auto.remembered.speaks_http_sse());
        auto.remembered.set_http_sse(true);
        let (unusable, elsewhere) = (|| auto.refused(), Failure::Explained(ProblemId::EndpointElsewhere.into()));
        assert!(auto.after_unusable(None, elsewhere).is_err() && auto.remembered.speaks_http_sse());
        assert!(auto.after_unusable(None, unusable()).is_ok() && !auto.remembered.speaks_http_sse());
        assert!(auto.after_unusable(None, unusable()).is_err());
        let told =
            with(TransportKind::Sse).after_refusal(true, &Route::OpenStream, not_found, None, refused(not_found));
        assert!(matches!(told, Err(Failure::Explained(problem)) if problem.id == ProblemId::NotHttpSse));
    }
}
