//! The catalogue: for each problem that a person can meet, what happened, the likely cause, the way out, and a line for
//! a model. Texts are in plain words; `{key}` stands for a fact of the case, and a sentence that names a fact that the
//! case does not have is left out.

/// One entry of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stable name, as in `data.problem` of a JSON-RPC error and in the documentation.
    pub name: &'static str,
    /// What happened.
    pub what: &'static str,
    /// The likely cause.
    pub cause: &'static str,
    /// What to do now.
    pub fix: &'static str,
    /// What a model should do or tell its user.
    pub model: &'static str,
    /// The JSON-RPC error code.
    pub code: i64,
    /// The exit code of a command that ends with this problem.
    pub exit: u8,
}

/// Codes of JSON-RPC 2.0 and ours (from the range that it leaves to implementations).
pub mod code {
    /// Not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// JSON, but no JSON-RPC request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// A method that is not there.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The bridge itself failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The remote server could not be reached or did not answer as it should.
    pub const REMOTE: i64 = -32000;
    /// Somebody has to sign in first.
    pub const SIGN_IN: i64 = -32001;
    /// The remote server refused.
    pub const REFUSED: i64 = -32003;
    /// Too many calls; `data.retry_after_seconds` says when to come back.
    pub const RATE_LIMITED: i64 = -32029;
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $id:ident = $name:literal, code $code:expr, exit $exit:literal,
        what $what:literal, cause $cause:literal, fix $fix:literal, model $model:literal;)+) => {
        /// Names one entry of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProblemId { $($(#[$doc])* $id,)+ }

        impl ProblemId {
            /// Every entry, in the order of the catalogue.
            pub const ALL: &'static [ProblemId] = &[$(ProblemId::$id,)+];

            /// The texts and codes of this problem.
            pub const fn entry(self) -> &'static Entry {
                match self {
                    $(ProblemId::$id => &Entry {
                        name: $name, what: $what, cause: $cause, fix: $fix, model: $model, code: $code, exit: $exit,
                    },)+
                }
            }
        }
    };
}

catalogue! {
    /// A stdin line is not JSON (or not UTF-8).
    NotJson = "not-json", code code::PARSE_ERROR, exit 1,
        what "A line on standard input is not JSON.",
        cause "{detail}",
        fix "Send one JSON-RPC message per line, in UTF-8.",
        model "The message was not valid JSON; send it again as one line of valid JSON.";
    /// JSON that is no JSON-RPC message.
    NotJsonRpc = "not-json-rpc", code code::INVALID_REQUEST, exit 1,
        what "A message on standard input is JSON, but no JSON-RPC 2.0 message: {detail}.",
        cause "The client sent something that MCP does not know.",
        fix "Report it to the maker of the client.",
        model "The message was no valid JSON-RPC request: {detail}.";
    /// A message larger than the bound, in either direction.
    MessageTooLarge = "message-too-large", code code::INVALID_REQUEST, exit 1,
        what "A message {direction} is larger than the bound of {limit} bytes.",
        cause "The arguments or the result are unusually large.",
        fix "Ask for less at a time, or raise the bound with --max-message-bytes.",
        model "The message exceeds {limit} bytes. Ask for less at a time (filters, fewer fields, pages).";
    /// No keychain on this machine, or none that answers at all.
    KeychainAbsent = "keychain-absent", code code::SIGN_IN, exit 1,
        what "There is no keychain on this machine to keep the sign-in in.",
        cause "No Secret Service answers on the session bus, as is usual on a server or in a container. The system said: {detail}.",
        fix "Start one (on Linux: gnome-keyring or KWallet in a desktop session), or use --token-store file, which keeps the tokens in a file that only you can read. For a single run, --token-store memory keeps them nowhere.",
        model "The bridge has no place to keep a sign-in. Ask the user to start a keychain or to add --token-store file to the bridge's arguments.";
    /// The keychain is there and locked.
    KeychainLocked = "keychain-locked", code code::SIGN_IN, exit 1,
        what "The keychain is locked.",
        cause "It opens with your session, and somebody locked it or it could not ask for its password.",
        fix "Unlock it (log in to the desktop, or open the keychain program and enter its password) and try again. You stay signed in.",
        model "The user's keychain is locked. Ask the user to unlock it, then try again; no new sign-in is needed.";
    /// The keychain did not answer in time.
    KeychainSlow = "keychain-slow", code code::SIGN_IN, exit 1,
        what "The keychain did not answer within {seconds} seconds.",
        cause "It may be showing a question that waits for you, perhaps behind other windows.",
        fix "Look for a question from the keychain, answer it and try again. You stay signed in.",
        model "The user's keychain may be showing a question. Ask the user to answer it, then try again.";
    /// The keychain or the token file could not do what was asked.
    StoreFailed = "token-store-failed", code code::SIGN_IN, exit 1,
        what "The stored sign-in could not be read or written.",
        cause "The system said: {detail}.",
        fix "Try again. If it stays so, try --token-store file, and report it.",
        model "The bridge cannot reach its stored sign-in. Ask the user to check the keychain or the token file.";
    /// A stored record is not what this program wrote.
    StoreDamaged = "stored-sign-in-damaged", code code::SIGN_IN, exit 1,
        what "The stored sign-in is damaged.",
        cause "Something else wrote to it, or a write was cut off: {detail}.",
        fix "Run `planhat-mcp logout`, then `planhat-mcp login`.",
        model "The stored sign-in is damaged. Ask the user to run `planhat-mcp logout` and then `planhat-mcp login`.";
    /// The token file or its folder can be read or replaced by others.
    TokenFileExposed = "token-file-exposed", code code::SIGN_IN, exit 1,
        what "The token file is not used, because it is not private.",
        cause "What is wrong: {detail}.",
        fix "Make it yours alone (chmod 700 for the folder, chmod 600 for the file), or delete the file and sign in again.",
        model "The token file is readable by others and therefore not used. Ask the user to repair its permissions.";
    /// A file in the state directory cannot be read or written.
    StateFailed = "state-directory-failed", code code::INTERNAL_ERROR, exit 1,
        what "The file {path} could not be read or written.",
        cause "The system said: {detail}.",
        fix "Check that its folder exists, belongs to you and has room.",
        model "The bridge cannot use its own folder. Ask the user to check {path}.";
    /// Another process holds a lock for too long.
    LockHeld = "lock-held", code code::SIGN_IN, exit 1,
        what "Another planhat-mcp process has been busy with {purpose} for more than {seconds} seconds.",
        cause "It may be waiting for a slow server or for a question from the keychain. The lock is {path}.",
        fix "Wait for it or end it, then try again. The lock ends with the process that holds it; the file itself may stay.",
        model "Another bridge process is busy with the same sign-in. Try again shortly.";
    /// Somebody has to sign in.
    SignInNeeded = "sign-in-needed", code code::SIGN_IN, exit 1,
        what "Nobody is signed in to {service}.",
        cause "A sign-in is needed once; after that it renews itself.",
        fix "Open {link} in the browser and sign in. Or run `planhat-mcp login` in a terminal.",
        model "The user has to sign in first, and then the call can be made again. Ask the user to sign in at {link}. If no page opened, ask them to run `planhat-mcp login` in a terminal.";
    /// The refresh token is no longer taken, or there is none.
    SignInExpired = "sign-in-expired", code code::SIGN_IN, exit 1,
        what "The sign-in to {service} has ended.",
        cause "The server no longer takes the stored sign-in. It said: {detail}.",
        fix "Sign in again: call planhat_sign_in, or run `planhat-mcp login` in a terminal.",
        model "The user's sign-in has ended. Ask the user to sign in again, then try again.";
    /// A sign-in was started and nobody finished it in time.
    SignInTimedOut = "sign-in-timed-out", code code::SIGN_IN, exit 1,
        what "The sign-in was not finished within {minutes} minutes.",
        cause "The page was closed, or it showed an error, which does not reach this program. \"Invalid client_id\" usually means the wrong environment: production and demo tenants have different addresses. \"Invalid redirect_uri\" means that {redirect_url} is not among the client's redirect URLs. Missing permissions mean that the client's permissions share nothing with your role.",
        fix "Run `planhat-mcp login` to try again. If the page showed an error, pass it on to the administrator of the OAuth client.",
        model "The sign-in was not finished in time. Ask the user whether the page showed an error, and to sign in again.";
    /// A sign-in is already under way.
    SignInUnderWay = "sign-in-under-way", code code::SIGN_IN, exit 1,
        what "A sign-in is already under way.",
        cause "Another planhat-mcp process waits for it.",
        fix "Finish it in the browser: {link}. Or wait until it ends, then try again.",
        model "A sign-in is already under way. Ask the user to finish it in the browser at {link}.";
    /// The last sign-in failed a moment ago, so no new one starts by itself.
    SignInPaused = "sign-in-paused", code code::SIGN_IN, exit 1,
        what "No sign-in was started, because the last one ended without success a moment ago.",
        cause "This keeps browser tabs from opening unasked again and again.",
        fix "Call planhat_sign_in or run `planhat-mcp login` when you want to sign in. Otherwise one may start again by itself after {seconds} seconds.",
        model "The last sign-in did not succeed. Ask the user whether to try again; if so, call planhat_sign_in.";
    /// No desktop on which a browser could open.
    NoDesktop = "no-desktop", code code::SIGN_IN, exit 1,
        what "Somebody has to sign in, and there is no desktop here on which a browser could open.",
        cause "None of DISPLAY, WAYLAND_DISPLAY and BROWSER is set. Some clients hide them from the servers that they start.",
        fix "Run `planhat-mcp login --no-browser` in a terminal, with the same options.",
        model "No browser can be opened from here. Ask the user to run `planhat-mcp login --no-browser` in a terminal, then try again.";
    /// The sign-in process could not be started.
    SignInNotStarted = "sign-in-not-started", code code::SIGN_IN, exit 1,
        what "The sign-in could not be started.",
        cause "The system said: {detail}.",
        fix "Run `planhat-mcp login` in a terminal.",
        model "The sign-in could not be started. Ask the user to run `planhat-mcp login` in a terminal.";
    /// The sign-in process ended without saying why.
    SignInFailed = "sign-in-failed", code code::SIGN_IN, exit 1,
        what "The sign-in ended without success.",
        cause "What is known: {detail}.",
        fix "Run `planhat-mcp login` in a terminal to see more.",
        model "The sign-in did not succeed. Ask the user to run `planhat-mcp login` in a terminal to see why.";
    /// The static bearer token was refused.
    StaticTokenRefused = "static-token-refused", code code::SIGN_IN, exit 1,
        what "The server does not accept the token in PLANHAT_MCP_TOKEN.",
        cause "It was revoked, belongs to another environment, or was copied incompletely.",
        fix "Check that the Private App is active and copy its token again, or unset PLANHAT_MCP_TOKEN to sign in with OAuth.",
        model "The configured access token is not accepted. Ask the user to check it; signing in does not help while PLANHAT_MCP_TOKEN is set.";
    /// Signing in makes no sense with a static token.
    StaticTokenSet = "static-token-set", code code::SIGN_IN, exit 1,
        what "There is nothing to sign in to, because PLANHAT_MCP_TOKEN is set.",
        cause "A static token is sent as it is and switches OAuth off.",
        fix "Unset PLANHAT_MCP_TOKEN to sign in with OAuth.",
        model "A static token is configured, so no sign-in takes place.";
    /// No client id, and no way to get one.
    ClientIdMissing = "client-id-missing", code code::SIGN_IN, exit 1,
        what "The server {issuer} knows its clients by a client id, and none is set.",
        cause "It offers no registration, so an administrator creates the client (in Planhat: App Center, OAuth Clients).",
        fix "Pass the id with --client-id, and the secret, if there is one, in PLANHAT_MCP_CLIENT_SECRET. The redirect URL to register is exactly {redirect_url}.",
        model "The bridge needs a client id. Ask the user to get one from the administrator and to add --client-id to the bridge's arguments.";
    /// The authorization server does not accept the client.
    ClientRefused = "client-refused", code code::SIGN_IN, exit 1,
        what "The server does not accept the OAuth client {client_id}.",
        cause "The client id or secret is wrong or of another environment, a secret is missing, or one is set where the client has none. The server said: {error}. It added: {description}.",
        fix "Compare client id and secret with what the administrator sees, and check that the address is the right one (production or demo).",
        model "The server does not accept the configured OAuth client. Ask the user to check client id and secret.";
    /// The server wants a sign-in and does not say where.
    NoAuthorizationServer = "no-authorization-server", code code::REMOTE, exit 1,
        what "The server at {url} asks for a sign-in, but does not say where.",
        cause "None of the places where that should stand has it. The last one said: {detail}.",
        fix "Check the address of the server. If it is right, its operator has to publish authorization server metadata.",
        model "The server does not say how to sign in. Ask the user to check its address.";
    /// Metadata that breaks the rules.
    MetadataRefused = "metadata-refused", code code::REMOTE, exit 1,
        what "The sign-in description at {place} cannot be used: {detail}.",
        cause "The server is set up wrongly, or something between answers in its place.",
        fix "Tell the operator of the server. Nothing is sent to it meanwhile.",
        model "The server's sign-in description is wrong. Ask the user to tell the operator of the server.";
    /// The authorization server does not offer PKCE with S256.
    NoPkce = "no-pkce-s256", code code::REMOTE, exit 1,
        what "The server {issuer} does not offer PKCE with S256, without which a sign-in can be stolen.",
        cause "Its metadata does not list S256 in code_challenge_methods_supported.",
        fix "Its operator has to turn on PKCE, which MCP requires.",
        model "The server lacks a protection that MCP requires. Ask the user to tell its operator.";
    /// An endpoint that must not be opened.
    EndpointRefused = "endpoint-refused", code code::REMOTE, exit 1,
        what "The server names an address for its {purpose} that is not opened: {detail}.",
        cause "Such addresses must be https (or http to this machine), with a host and without a user name in them.",
        fix "Tell the operator of the server.",
        model "The server names an unsafe address. Ask the user to tell its operator.";
    /// The callback port is taken.
    CallbackPortInUse = "callback-port-in-use", code code::SIGN_IN, exit 1,
        what "Port {port}, to which the browser is sent back, is in use by another program.",
        cause "The redirect URL is registered with exactly this port, so no other one is tried.",
        fix "End the program that uses port {port}, or choose another with --callback-port and have the administrator register the new redirect URL.",
        model "The port for the sign-in is in use. Ask the user to free port {port} or to choose another with --callback-port.";
    /// The callback listener could not be set up.
    CallbackFailed = "callback-failed", code code::SIGN_IN, exit 1,
        what "The sign-in cannot be received at {place}.",
        cause "The system said: {detail}.",
        fix "Find out what forbids listening there (a firewall, a sandbox), or use another port with --callback-port.",
        model "The sign-in cannot be received. Ask the user to run `planhat-mcp login` in a terminal.";
    /// The user or the server said no (access_denied).
    SignInRefused = "sign-in-refused", code code::SIGN_IN, exit 1,
        what "The sign-in was refused.",
        cause "Somebody chose not to allow it, or your role does not allow it. The server said: {description}.",
        fix "Sign in again and allow access. If that choice is not offered, ask the administrator.",
        model "The user or the server refused the sign-in. Ask the user whether to try again.";
    /// The authorization server answered with another error.
    SignInError = "sign-in-error", code code::SIGN_IN, exit 1,
        what "The sign-in server answered with the error {error}.",
        cause "It added: {description}.",
        fix "Try again. If it stays so, pass the error on to the administrator of the OAuth client.",
        model "The sign-in server answered with the error {error}. Ask the user to try again or to ask the administrator.";
    /// An answer to the sign-in that lacks or repeats something.
    CallbackIncomplete = "callback-incomplete", code code::SIGN_IN, exit 1,
        what "The answer to the sign-in cannot be used: {detail}.",
        cause "The server made a mistake, or the address was cut off on the way.",
        fix "Sign in again.",
        model "The answer to the sign-in was incomplete. Ask the user to sign in again.";
    /// An answer that belongs to another sign-in.
    CallbackForeign = "callback-foreign", code code::SIGN_IN, exit 1,
        what "This answer does not belong to the sign-in that is under way.",
        cause "It comes from an older tab, or somebody else sent it.",
        fix "Use the page that was opened last, or start the sign-in again.",
        model "That answer belongs to another sign-in. Ask the user to sign in again.";
    /// The answer comes from another issuer than asked (RFC 9207).
    IssuerMismatch = "issuer-mismatch", code code::SIGN_IN, exit 1,
        what "The answer to the sign-in does not come from {expected}.",
        cause "It says that it comes from: {found}. The server is set up wrongly, or somebody tries to divert the sign-in.",
        fix "Do not go on. Tell the operator of the server.",
        model "The answer to the sign-in came from the wrong place. Ask the user to tell the operator of the server.";
    /// What was pasted cannot be used.
    PasteUnreadable = "paste-unreadable", code code::SIGN_IN, exit 1,
        what "What was pasted is not the address of the last page.",
        cause "What is wrong: {detail}.",
        fix "Paste the whole address from the browser; it begins with {redirect_url}.",
        model "Ask the user to paste the whole address of the last page.";
    /// No browser opened.
    BrowserNotOpened = "browser-not-opened", code code::SIGN_IN, exit 1,
        what "No browser could be opened.",
        cause "The system said: {detail}.",
        fix "Open this address yourself: {link}",
        model "No browser could be opened. Give the user this address to open: {link}";
    /// The token endpoint refused.
    TokenRefused = "token-refused", code code::SIGN_IN, exit 1,
        what "The server did not give an access token: {error}.",
        cause "It added: {description}.",
        fix "Sign in again. If it stays so, pass this on to the administrator of the OAuth client.",
        model "The server did not give an access token. Ask the user to sign in again.";
    /// The authorization code was refused.
    CodeRefused = "code-refused", code code::SIGN_IN, exit 1,
        what "The server did not accept the result of the sign-in.",
        cause "It took too long, was used twice, or the redirect URL {redirect_url} differs from the registered one. The server said: {error}. It added: {description}.",
        fix "Sign in again. If it stays so, check the client's redirect URLs.",
        model "The server did not accept the result of the sign-in. Ask the user to sign in again.";
    /// The token endpoint answered something else than it should.
    TokenUnreadable = "token-answer-unreadable", code code::REMOTE, exit 1,
        what "The answer of {endpoint} (status {status}) is no token answer.",
        cause "What is wrong: {detail}.",
        fix "Try again. If it stays so, something between may answer in its place (a proxy, a sign-in page of the network), or the server is set up wrongly.",
        model "The sign-in server answered in a way that cannot be understood. Try again shortly.";
    /// The token endpoint cannot answer now.
    TokenUnavailable = "token-endpoint-unavailable", code code::REMOTE, exit 1,
        what "The sign-in server cannot answer right now (status {status}).",
        cause "It is overloaded or under maintenance. It added: {description}.",
        fix "Try again shortly. You stay signed in.",
        model "The sign-in server is unavailable for the moment. Try again shortly; no new sign-in is needed.";
}
