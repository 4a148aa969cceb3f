//! The catalogue: for each problem that a person can meet, what happened, the likely cause, the fix, a line for a model.
//!
//! The texts are grouped by area, to keep them consistent: [`messages`], [`network`], [`server`], [`sign_in`],
//! [`setup`], [`clients`], [`storage`]. The notation is small:
//!
//! - `{key}` is replaced by a fact of the case; a sentence is left out if the case lacks a fact that it names.
//! - Without its fact, `[on {host}]` is left out alone, not its whole sentence; `[{host}|the server]` then becomes
//!   its second part.
//!
//! So every `what`, `fix` and `model` needs one sentence without facts; a test checks it.

mod clients;
mod entry;
pub mod facts;
mod messages;
mod network;
mod server;
mod setup;
mod sign_in;
pub mod status;
mod storage;

pub use entry::{Entry, Recovery, code, exit};
pub use sign_in::PLANHAT_PAGE_ERRORS;

/// The table of contents: all problems, and the area of each.
macro_rules! catalogue {
    ($($area:ident $title:literal { $($(#[$doc:meta])* $id:ident,)+ })+) => {
        /// Names one entry of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProblemId { $($($(#[$doc])* $id,)+)+ }

        /// The areas, each with a title and its entries.
        pub const AREAS: &[(&str, &[ProblemId])] = &[$(($title, &[$(ProblemId::$id,)+]),)+];

        impl ProblemId {
            /// Every entry, in the order of the catalogue.
            pub const ALL: &'static [ProblemId] = &[$($(ProblemId::$id,)+)+];

            /// The texts and codes of this problem.
            pub const fn entry(self) -> &'static Entry {
                match self { $($(ProblemId::$id => &$area::$id,)+)+ }
            }
        }
    };
}

catalogue! {
    messages "Messages from the client" {
        /// A stdin line is not JSON (or not UTF-8).
        NotJson,
        /// JSON that is not a JSON-RPC message; fact `detail`.
        NotJsonRpc,
        /// A batch without a message in it.
        EmptyBatch,
        /// A batch in a revision that has none; fact `revision`.
        BatchNotAllowed,
        /// An id that is still in flight; fact `id`.
        DuplicateId,
        /// More requests wait for an answer than the bridge can hold.
        TooManyInFlight,
        /// A member that the bridge reads occurs twice in one object; fact `member`.
        DuplicateMember,
        /// A message larger than the bound; facts `limit`, `direction` ("to the server", "from the client", ...).
        MessageTooLarge,
        /// A method that is not there; fact `method`.
        MethodNotFound,
        /// The server asked the client for something that the client has not declared; fact `method`.
        NotDeclared,
        /// The client has not answered a request of the server in time; fact `seconds`.
        ClientSilent,
        /// The bridge is ending.
        ShuttingDown,
        /// A message that waited for an earlier user's sign-in is not sent for another user.
        NewSignIn,
        /// A fault in this program; fact `detail`.
        InternalError,
    }
    network "The way to the server" {
        /// The name does not resolve; fact `host`.
        DnsFailed,
        /// No TCP connection; facts `host`, `port`.
        ConnectFailed,
        /// A connection was not made in time; facts `host`, `seconds`.
        ConnectTimedOut,
        /// The TLS handshake failed; fact `host`.
        TlsFailed,
        /// The server's certificate is not trusted; fact `host`.
        TlsUntrusted,
        /// The server's certificate is not valid now; fact `host`.
        TlsExpired,
        /// The server's certificate is for another host; fact `host`.
        TlsWrongHost,
        /// The server's certificate is that of an authority; facts `host`, `name`, `san` (as openssl wants it).
        TlsAuthority,
        /// The proxy refused or could not be reached; facts `host`, `proxy` (without userinfo).
        ProxyFailed,
        /// The proxy setting is no proxy URL; facts `setting`, `expected`.
        ProxyInvalid,
        /// The CA file cannot be used; facts `file`, `detail`.
        CaFileUnusable,
        /// The system has no trusted certificate at all; fact `detail`.
        NoTrustRoots,
        /// The certificate ends soon; facts `host`, `days`.
        CertificateEndsSoon,
        /// This machine's clock and the server's differ; facts `host`, `clock`.
        ClockWrong,
        /// The server's IPv6 addresses cannot be reached, its IPv4 addresses can; fact `host`.
        Ipv6Unreachable,
        /// No answer within the budget; facts `host`, `seconds`. The effect is unknown.
        AnswerTimedOut,
        /// The connection broke after the request went out; fact `host`. The effect is unknown.
        ConnectionLost,
        /// The server cannot be reached for now, and there is no remembered answer; fact `host`.
        ServerOffline,
        /// An answer larger than its bound; facts `host`, `limit`.
        AnswerTooLarge,
        /// A redirect to another origin; facts `host`, `location`.
        RedirectElsewhere,
        /// A page for signing in, in the place of an answer; facts `host`, `location`.
        SignInPage,
        /// A redirect from https to http; facts `host`, `location`.
        RedirectInsecure,
        /// `--transport sse`, and no stream with an endpoint.
        NotHttpSse,
        /// An endpoint of HTTP+SSE at another origin; fact `location`.
        EndpointElsewhere,
        /// Redirects without end; fact `host`.
        TooManyRedirects,
    }
    server "What the server answered" {
        /// 429; facts `retry_after_seconds`, `status`.
        RateLimited,
        /// 400 from Planhat.
        PlanhatBadRequest,
        /// 403 from Planhat.
        PlanhatForbidden,
        /// 404 from Planhat.
        PlanhatNotFound,
        /// 5xx from Planhat; facts `status`, `server_request_id`. The effect is unknown.
        PlanhatServerError,
        /// 400 from another server.
        BadRequest,
        /// 403 from another server.
        Forbidden,
        /// 404 from another server.
        NotFound,
        /// 405 or 410: something is there, but not a Streamable HTTP endpoint.
        MethodNotAllowed,
        /// The server speaks the HTTP+SSE transport of 2024; fact `host`.
        OldTransport,
        /// 413: the server's own bound.
        RequestTooLarge,
        /// 5xx from another server; facts `status`, `server_request_id`. The effect is unknown.
        ServerError,
        /// Any other refusal; fact `status`.
        HttpStatus,
        /// 403 `insufficient_scope`; fact `scope`.
        InsufficientScope,
        /// The same, and neither the answer nor the server's metadata says which scope.
        ScopeNotNamed,
        /// HTML or another type that MCP does not use; facts `url`, `content_type`, `status`.
        NotMcp,
        /// The server's JSON is invalid; fact `detail`. The effect is unknown.
        InvalidAnswer,
        /// The answer belongs to another request; fact `found`. The effect is unknown.
        WrongAnswerId,
        /// The server accepted the request but ended without an answer. The effect is unknown.
        NoAnswer,
        /// The event stream broke before the answer. The effect is unknown.
        StreamCut,
        /// The session is lost and could not be reopened.
        SessionLost,
        /// The server and the client share no protocol revision; facts `revision`, `found`.
        RevisionRefused,
    }
    sign_in "Signing in" {
        /// Nobody is signed in; facts `service`, `link`, `command`.
        SignInNeeded,
        /// A sign-in is running; fact `link`.
        SignInPending,
        /// The server takes requests without a sign-in, and describes none; fact `host`.
        SignInNotWanted,
        /// The user does not want to sign in now; facts `service`, `link`.
        SignInDeclined,
        /// Nobody completed the sign-in at Planhat's page; facts `minutes`, `redirect_url`, `client_id`, `other_url`.
        PlanhatSignInTimedOut,
        /// Nobody completed the sign-in elsewhere; facts `minutes`, `redirect_url`.
        SignInTimedOut,
        /// A sign-in just failed, so no browser opens automatically; facts `link`, `minutes`, `command`.
        SignInCoolDown,
        /// `--sign-in manual`, and nobody has asked for a sign-in; facts `service`, `command`.
        SignInManual,
        /// Too many tabs have opened for sign-ins; facts `until`, `seconds`, `detail`, `advice`, `minutes`, `link`,
        /// `command`.
        TooManyTabs,
        /// One process has started too many sign-ins; facts `until`, `seconds`, `detail`, `advice`, `command`.
        TooManySignIns,
        /// Too many requests to the token endpoint; facts `until`, `seconds`, `detail`, `command`.
        TooManyTokenRequests,
        /// Somebody ended the running sign-in.
        SignInStopped,
        /// The user (or the server) said no: `error=access_denied`.
        AccessDenied,
        /// Any other error on the callback; facts `error`, `error_description`.
        AuthorizationFailed,
        /// The server does not know the scope; fact `scope`.
        InvalidScope,
        /// The server wants a scope, and none was asked for; facts `scope` (what it offers), `error_description`.
        ScopeNeeded,
        /// Planhat's page: the client's permissions and the user's Role share nothing.
        NoPermissions,
        /// Planhat's page: the older `default` scope wants all of the client's permissions.
        MissingPermissions,
        /// The `state` of the callback is not ours.
        StateMismatch,
        /// A callback that repeats something; fact `detail`.
        CallbackIncomplete,
        /// A callback with neither code nor error; the sign-in goes on.
        CallbackEmpty,
        /// The callback names another issuer (RFC 9207); facts `expected`, `found`.
        CallbackIssuerMismatch,
        /// The callback writes the issuer with another last slash; facts `expected`, `found`, `setting`.
        CallbackIssuerSlash,
        /// What was pasted is not the redirect URL; fact `detail`.
        PastedUrlInvalid,
        /// The callback port is taken; facts `port`, `owner`, `redirect_url`.
        PortInUse,
        /// The callback listener could not start; facts `place`, `detail`.
        ListenFailed,
        /// Planhat needs a client id; facts `redirect_url`, `config_file`.
        PlanhatClientIdMissing,
        /// Another server needs a client id; facts `issuer`, `redirect_url`.
        ClientIdMissing,
        /// A client secret without a client id.
        SecretWithoutClientId,
        /// The token endpoint wants a secret that is not there; fact `client_id`.
        ClientSecretMissing,
        /// The token endpoint refused the client; fact `client_id`.
        InvalidClient,
        /// The server refuses a dynamically registered client; facts `client_id`, `error_description`.
        RegisteredClientRefused,
        /// The authorization server does not know the redirect URL; fact `redirect_url`.
        RedirectUrlNotRegistered,
        /// The server does not register this program; facts `issuer`, `status`, `error`, `error_description`.
        RegistrationRefused,
        /// A client id that was issued by one server is requested by another; facts `client_id`, `expected`, `found`,
        /// `logout_command`.
        IssuerMoved,
        /// Another token endpoint than the one that stored secrets came from; facts `client_id`, `expected`, `found`,
        /// `logout_command`, and `setting` where it is one that names it.
        TokenEndpointMoved,
        /// The settings put a token endpoint at another origin in place of the server's own, and no person has typed `login`
        /// with it; facts `expected`, `found`, `command`.
        TokenEndpointUnconfirmed,
        /// The document of a pinned issuer names a token endpoint at another origin, and no person has typed `login` with it;
        /// facts `expected`, `found`, `command`.
        PinnedIssuerUnconfirmed,
        /// The server offers no sign-in on another device; fact `issuer`.
        DeviceNotOffered,
        /// The code for another device is too old, or was refused.
        DeviceCodeExpired,
        /// The client id belongs to the other environment; facts `client_id`, `url`, `other_url`.
        WrongEnvironment,
        /// No authorization server was found; facts `url`, `detail`.
        NoAuthorizationServer,
        /// A barrier answers where metadata should be; facts `host`, `status`, `id`.
        BotProtection,
        /// No metadata was found, and the endpoints of an older revision are used; facts `issuer`, `detail`.
        EndpointsAssumed,
        /// The metadata belongs to another issuer; facts `expected`, `found`, `place`, `setting`.
        IssuerMismatch,
        /// The metadata is for another resource; facts `expected`, `found`, `place`, `url`, `setting`.
        ResourceMismatch,
        /// An http address that a server with https names for itself; facts `host`, `purpose`, `found`, `setting`.
        SchemeDropped,
        /// The metadata lists other PKCE methods than S256; facts `issuer`, `found`.
        NoS256,
        /// The metadata lists no PKCE methods; facts `issuer`, `setting`.
        S256Unlisted,
        /// An address from the server that must not be used; facts `purpose`, `detail`.
        UnsafeEndpoint,
        /// An inward address that a public server named; facts `host`, `address`, `setting`.
        InwardAddress,
        /// A page that a public server named, whose host the system does not find; facts `host`, `setting`.
        PageHostUnknown,
        /// An error at the token endpoint; facts `error`, `error_description`.
        TokenEndpointError,
        /// An invalid answer of the token endpoint; facts `status`, `detail`.
        TokenAnswerInvalid,
        /// A token whose type is not presented as `Bearer`; fact `found`.
        TokenTypeUnusable,
        /// An access token inside another member of the answer; fact `member`.
        TokenInsideMember,
        /// The authorization code was refused.
        CodeRejected,
        /// The refresh token is no longer accepted; facts `service`, `detail`.
        GrantExpired,
        /// A fresh access token is refused; facts `host`, `error_description`.
        TokenRejected,
        /// A 401 to one kind of request, while the token is accepted for others.
        TokenRefusedHere,
        /// The static token was refused by Planhat.
        PlanhatStaticTokenRejected,
        /// The static token was refused by another server; fact `host`.
        StaticTokenRejected,
        /// No sign-in is possible while a static token is set.
        StaticTokenSet,
        /// The authorization server cannot answer, for a transient reason; facts `status`, `error_description`, `endpoint`, and
        /// `host` where it is the server's description that fails.
        TokenEndpointUnavailable,
        /// The same during a sign-in, which ended with it; facts `status`, `error_description`, `endpoint`, `command`.
        SignInUnavailable,
        /// The browser did not start; facts `link`, `detail`.
        BrowserFailed,
        /// There is no display to open a browser on; facts `link`, `command`.
        NoDesktop,
        /// The process that signs in could not be started or ended early; facts `detail`, `command`.
        SignInProcessFailed,
    }
    setup "Settings" {
        /// The configuration file cannot be read; fact `file`.
        ConfigUnreadable,
        /// The configuration file is no TOML; facts `origin` (file:line:column), `detail`, `expected`.
        ConfigSyntax,
        /// A key that does not exist; facts `origin`, `key`, `suggestion`.
        ConfigUnknownKey,
        /// A secret in the configuration file; facts `origin`, `key`.
        ConfigHoldsSecret,
        /// An invalid value; facts `origin`, `setting`, `found`, `expected`.
        BadValue,
        /// Plain http to a host that is not this machine; facts `origin`, `url`.
        InsecureUrl,
        /// A server that the setting `allowed_servers` does not name; facts `host`, `expected`, `origin`.
        ServerNotAllowed,
        /// `setup` lacks an answer; fact `flag`.
        AnswerMissing,
        /// Two settings that contradict each other; facts `origin`, `detail`.
        Conflict,
        /// A secret was given on the command line; fact `flag`.
        SecretInArguments,
        /// The file with the client secret cannot be used; facts `file`, `detail`.
        SecretFileUnusable,
        /// A file with a secret that others can read or change; facts `file`, `holds`, `mode`.
        SecretFileExposed,
        /// The access token that was typed cannot be used; fact `detail`.
        TokenUnusable,
        /// The client's private key cannot be used; facts `file`, `detail`.
        ClientKeyUnusable,
        /// A client's configuration file names the bridge and cannot be read; facts `file`, `detail`.
        ClientFileUnreadable,
        /// A client's configuration file holds a secret; facts `file`, `place`.
        SecretInClientFile,
        /// A client starts a program that is not there; facts `file`, `path`.
        ClientCommandMissing,
        /// A client starts the bridge with settings that it refuses; facts `file`, `detail`.
        ClientSettingsWrong,
        /// No client starts the bridge with these settings; facts `file`, `detail`.
        ClientSettingsDiffer,
        /// Something would be removed, and nobody can be asked to confirm; facts `command`.
        ConfirmationNeeded,
        /// `doctor --fix` found nobody to ask.
        FixNotConfirmed,
        /// Faults that `doctor --fix` mends.
        Mendable,
        /// The report cannot be written; facts `file`, `detail`.
        ReportFailed,
        /// No home directory is known.
        NoHome,
        /// The log file cannot be written; fact `file`.
        LogFileFailed,
    }
    clients "Clients' files" {
        /// Cannot be changed; facts `file`, `detail`.
        ClientFileBroken,
        /// Cannot be written; facts `file`, `detail`.
        ClientFileUnwritable,
        /// Another changed it; fact `file`.
        ClientFileMoved,
        /// Fact `name`.
        ClientNameTaken,
        /// Facts `client`, `expected`.
        ClientPlaceUnknown,
        /// Fact `client`.
        ClientTakesNoLink,
        /// A client starts another version; facts `client`, `path`, `found`, `detail` (older than, newer than).
        ClientStartsOtherCopy,
        /// None is here.
        NoClientHere,
        /// Nobody was there to ask.
        InstallNotConfirmed,
        /// Fact `setting`.
        SecretForClientFile,
        /// Fact `detail`.
        ProgramPathUnusable,
    }
    storage "Keychain and files" {
        /// There is no keychain on this machine.
        KeychainAbsent,
        /// The keychain is locked.
        KeychainLocked,
        /// The keychain did not answer in time; fact `seconds`.
        KeychainSlow,
        /// A record is not what this program wrote; fact `detail`.
        StoreDamaged,
        /// Any other failure of the store; fact `detail`.
        StoreFailed,
        /// The file store, or its folder, is open to others; facts `file`, `detail`.
        FileStoreUnsafe,
        /// Another process holds a lock for too long; facts `purpose`, `path`, `seconds`, `process`.
        LockTimedOut,
        /// The state directory cannot be used; facts `dir`, `detail`.
        StateDirUnusable,
        /// A file in the state directory cannot be read or written; facts `path`, `detail`.
        StateFileFailed,
    }
}

impl ProblemId {
    /// The problem that a text of Planhat's authorization page describes.
    pub fn in_words(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let says = |words: &str| text.contains(words.trim_end_matches('.').to_lowercase().as_str());
        PLANHAT_PAGE_ERRORS.iter().find(|(words, _)| says(words)).map(|(_, id)| *id)
    }

    /// Whether it is about a redirect that was not followed.
    pub fn is_redirect(self) -> bool {
        matches!(self, Self::RedirectElsewhere | Self::RedirectInsecure | Self::TooManyRedirects)
    }

    /// Whether trying again cannot help: the address is wrong, or there is no MCP server at it.
    pub const fn is_final(self) -> bool {
        matches!(self.entry().recovery, Recovery::Final)
    }

    /// Whether the server cannot be asked now, so that its earlier answer is the best available.
    pub const fn is_out_of_reach(self) -> bool {
        matches!(self.entry().recovery, Recovery::Later)
    }

    /// Whether a sign-in with this failure keeps failing until somebody changes the configuration, here or at the
    /// server.
    pub const fn is_fixed_by_settings(self) -> bool {
        matches!(self.entry().recovery, Recovery::Settings)
    }
}

#[cfg(test)]
mod tests;
