//! What kind of tenant to run: the client, the user, the authorization server's habits and the MCP server's.
//!
//! The defaults are what is known of Planhat; where its behaviour is unknown, every plausible one can be chosen.

use std::time::Duration;

use serde_json::Value;

use crate::quirks::Quirks;
use crate::tenant::permission::Permission;
use crate::tls::Tls;

/// A tenant, described; `Config::default()` is shaped like Planhat.
///
/// ```
/// use planhat_sandbox::{AnswerMode, ClientSpec, Config};
///
/// let config = Config {
///     clients: vec![ClientSpec::confidential().redirect("http://127.0.0.1:4040/callback")],
///     answers: AnswerMode::Json,
///     ..Config::default()
/// };
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The OAuth Clients that an administrator created.
    pub clients: Vec<ClientSpec>,
    /// Who is signed in to the web application when the browser arrives.
    pub user: UserSpec,
    /// Whether the person is asked.
    pub consent: Consent,
    /// How long an access token is valid.
    pub access_token_lifetime: Duration,
    /// How the token answer states that lifetime.
    pub expires_in: ExpiresIn,
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// Which ways of client authentication the token endpoint takes.
    pub token_auth: TokenAuth,
    /// What the authorization server makes of RFC 8707's `resource`.
    pub resource: ResourceParameter,
    /// Whether authorization responses carry `iss` (RFC 9207).
    pub iss: Iss,
    /// A merge patch (RFC 7396) on the authorization server's metadata; `{api}` and `{ws}` in its strings become the
    /// base URLs.
    pub metadata_patch: Option<Value>,
    /// Whether protected-resource metadata (RFC 9728) is served.
    pub protected_resource: ProtectedResource,
    /// What a 401 of the MCP endpoint says in `WWW-Authenticate`.
    pub challenge: Challenge,
    /// How the MCP endpoint answers a token that it does not take, if not with 401: this status, with this `Location`.
    pub bad_token_answer: Option<(u16, Option<String>)>,
    /// Whether the MCP endpoint wants a bearer token at all.
    pub auth_required: bool,
    /// The tools that want a token also where nothing else does.
    pub guarded_tools: Vec<String>,
    /// The client id that dynamic registration (RFC 7591) gives to everybody; `None` offers no registration.
    pub registered_client_id: Option<String>,
    /// More tools that are listed, with their descriptions; somebody has to script the answers to their calls.
    pub more_tools: Vec<(String, String)>,
    /// Long-lived tokens of Private Apps, which the MCP endpoint takes as they are, with all permissions.
    pub private_app_tokens: Vec<String>,
    /// How a request is answered.
    pub answers: AnswerMode,
    /// Whether a standing GET stream is offered; if not, GET is answered 405.
    pub get_stream: bool,
    /// Whether `initialize` gives a session id. Fixed at the start.
    pub sessions: bool,
    /// Whether DELETE ends a session; if not, it is answered 405.
    pub delete_session: bool,
    /// The `retry:` of the empty event that opens each stream; `None` leaves that event out. Fixed at the start.
    pub sse_retry: Option<Duration>,
    /// How a call is refused that lacks a permission, names an unknown model or misses a parameter.
    pub refusals: Refusals,
    /// Whether the tools that exist for tests only are there: `echo`, `slow`, `ask_user`, `ask_model`, `list_roots`, `blob`.
    pub test_tools: bool,
    /// What it does otherwise than the standards say.
    pub quirks: Quirks,
    /// How https is spoken; plain http unless said. Fixed at the start.
    pub tls: Option<Tls>,
    /// The largest request body, in bytes. Fixed at the start.
    pub max_body: usize,
    /// Whether requests are kept for [`Sandbox::requests`](crate::Sandbox::requests).
    pub record: bool,
    /// The port of the API; 0 lets the system choose.
    pub api_port: u16,
    /// The port of the web application; 0 lets the system choose.
    pub ws_port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clients: vec![ClientSpec::confidential()],
            user: UserSpec::default(),
            consent: Consent::Page,
            access_token_lifetime: Duration::from_secs(3600),
            expires_in: ExpiresIn::Integer,
            rotation: Rotation::Rotate,
            token_auth: TokenAuth::default(),
            resource: ResourceParameter::Ignored,
            iss: Iss::Absent,
            metadata_patch: None,
            protected_resource: ProtectedResource::Absent,
            challenge: Challenge::default(),
            bad_token_answer: None,
            auth_required: true,
            guarded_tools: Vec::new(),
            registered_client_id: None,
            more_tools: Vec::new(),
            private_app_tokens: Vec::new(),
            answers: AnswerMode::Sse,
            get_stream: true,
            sessions: true,
            delete_session: true,
            sse_retry: Some(Duration::from_millis(200)),
            refusals: Refusals::HttpStatus,
            test_tools: false,
            quirks: Quirks::default(),
            tls: None,
            max_body: 32 * 1024 * 1024,
            record: true,
            api_port: 0,
            ws_port: 0,
        }
    }
}

impl Config {
    /// The default tenant, whose one confidential client may be sent back to `redirect_url`.
    pub fn with_redirect(redirect_url: impl Into<String>) -> Self {
        Self { clients: vec![ClientSpec::confidential().redirect(redirect_url)], ..Self::default() }
    }

    pub(crate) fn client(&self, id: &str) -> Option<&ClientSpec> {
        self.clients.iter().find(|client| client.id == id)
    }
}

/// An OAuth Client as an administrator creates it in the App Center.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSpec {
    /// The client id, `pk_…`.
    pub id: String,
    /// The client secret, `sk_…`; `None` makes it a public client.
    pub secret: Option<String>,
    /// The "Redirect URLs" field; compared exactly.
    pub redirect_urls: Vec<String>,
    /// The name that the consent page shows.
    pub name: String,
    /// The "Permissions" tab.
    pub permissions: Vec<Permission>,
    /// In which tenants it works.
    pub kind: ClientKind,
}

/// The id of the client that a default tenant has.
pub const CLIENT_ID: &str = "pk_sandbox_client";
/// Its secret: worth nothing outside a sandbox.
pub const CLIENT_SECRET: &str = "sk_sandbox_secret_of_no_worth";
/// The long-lived token of a Private App, for tenants that are told to have one.
pub const PRIVATE_APP_TOKEN: &str = "pat_sandbox_token_of_no_worth";

impl ClientSpec {
    /// The default client: confidential, all permissions, no redirect URL yet.
    pub fn confidential() -> Self {
        Self {
            id: CLIENT_ID.into(),
            secret: Some(CLIENT_SECRET.into()),
            redirect_urls: Vec::new(),
            name: "Assistant bridge".into(),
            permissions: Permission::all(),
            kind: ClientKind::Private,
        }
    }

    /// The same client without a secret.
    pub fn public() -> Self {
        Self { secret: None, ..Self::confidential() }
    }

    /// Adds a redirect URL.
    pub fn redirect(mut self, url: impl Into<String>) -> Self {
        self.redirect_urls.push(url.into());
        self
    }

    /// Replaces the permissions.
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = Permission>) -> Self {
        self.permissions = permissions.into_iter().collect();
        self
    }
}

/// In which tenants an OAuth Client works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// In the tenant that created it.
    Private,
    /// In other tenants also.
    Published,
}

/// The person in front of the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// The name that the consent page shows.
    pub name: String,
    /// The name of the Role.
    pub role: String,
    /// What the Role allows.
    pub permissions: Vec<Permission>,
}

impl Default for UserSpec {
    fn default() -> Self {
        Self {
            name: "Maja Lindqvist".into(),
            role: "Customer Success Manager".into(),
            permissions: Permission::all_but_delete(),
        }
    }
}

/// Whether the person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// The consent page is shown, and waits.
    Page,
    /// The authorize endpoint redirects back at once.
    Automatic,
}

/// How a token answer states the access token's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiresIn {
    /// As RFC 6749, 5.1 has it.
    Integer,
    /// As some servers send it: `"3600"`.
    Text,
    /// With a fraction: `3600.0`.
    Float,
    /// Not at all.
    Missing,
}

/// What a refresh does to the refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// A new one each time; the old one used again revokes the whole grant (RFC 9700, 4.14.2).
    Rotate,
    /// It stays valid, and the answer repeats it.
    Repeat,
    /// It stays valid, and the answer leaves it out (RFC 6749, 6).
    Omit,
    /// None is given out at all.
    Never,
}

/// Which ways of client authentication the token endpoint takes (RFC 6749, 2.3.1); the others earn `invalid_client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenAuth {
    /// `client_secret_basic`.
    pub basic: bool,
    /// `client_secret_post`.
    pub post: bool,
    /// `none`, for public clients.
    pub none: bool,
}

impl Default for TokenAuth {
    fn default() -> Self {
        Self { basic: true, post: true, none: true }
    }
}

/// What the authorization server makes of RFC 8707's `resource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceParameter {
    /// Nothing.
    Ignored,
    /// It must be the MCP endpoint, at authorize, token and refresh alike.
    Required,
    /// It is rejected as `invalid_target`.
    Rejected,
}

/// Whether authorization responses carry `iss` (RFC 9207), which the metadata then announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iss {
    /// Neither sent nor announced.
    Absent,
    /// Announced and sent.
    Right,
    /// Announced, and another issuer's is sent.
    Wrong,
    /// Sent with a slash at its end that the metadata does not have.
    WithSlash,
    /// Announced, and left out.
    Missing,
}

/// Whether protected-resource metadata (RFC 9728) is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedResource {
    /// 401 with a body that is not metadata.
    Absent,
    /// At `/.well-known/oauth-protected-resource`.
    AtRoot,
    /// At `/.well-known/oauth-protected-resource/v1/mcp`.
    AtPath,
}

/// What a 401 of the MCP endpoint says in `WWW-Authenticate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whether the header is there.
    pub header: bool,
    /// Whether it names the protected-resource metadata.
    pub resource_metadata: bool,
    /// A `resource_metadata` of its own, as it is written; `{api}` becomes the base URL.
    pub hint: Option<String>,
    /// Whether it says `error="invalid_token"` when a token was sent.
    pub error: bool,
    /// The scope that it asks for.
    pub scope: Option<String>,
}

impl Default for Challenge {
    fn default() -> Self {
        Self { header: true, resource_metadata: false, hint: None, error: true, scope: None }
    }
}

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerMode {
    /// By an SSE stream.
    Sse,
    /// By one JSON body, unless something precedes the answer.
    Json,
    /// On the one stream of HTTP+SSE, the transport of revision 2024-11-05.
    HttpSse,
}

/// How a call is refused that lacks a permission, names an unknown model or misses a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// As the HTTP status that Planhat documents.
    HttpStatus,
    /// As a tool result with `isError`.
    ToolResult,
}
