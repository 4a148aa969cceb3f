//! The table of settings: one row for each. To add a setting, write its row here, use its field, and add a line to
//! `README.md`; everything else (the flag, the variable, the key in the file, `config`, `--help`, the order to the
//! sign-in process) follows from the row.
//!
//! A row has the form
//!
//! ```text
//! /// The documentation of its field and of its key.
//! [group] field: Type = default, reader => Key {
//!     the fields of KeyInfo
//! };
//! ```
//!
//! - `[group]` is the struct within [`Settings`](super::Settings) that has the field: `[oauth callback]` is
//!   `settings.oauth.callback`, `[]` is `settings` itself.
//! - The default may depend on the address of the server, `$url`.
//! - The reader, from [`read`](super::read), parses the text.
//! - An `Option<Secret>` is exposed only on its way to the sign-in process.
//! - [`KeyInfo`](super::key::KeyInfo) has the names, the help, the syntax and the secrecy of the setting.
//!
//! The order of the rows is the order of `planhat-mcp config`; [`Flag::place`](super::key::Flag::place) orders `--help`.

/// Passes all rows to the macro `$consumer`, after the identifier that they use for the address of the server.
macro_rules! settings_table {
    ($consumer:ident, $url:ident) => {
        $consumer! { $url;

    /// The service at the other end; it decides texts and defaults, never the handling of messages.
    [] product: Product = Product::of(&$url), read::tenant => Tenant {
        name: "tenant", variable: "PLANHAT_MCP_TENANT",
        flag: flag("--tenant", One("NAME"), Heading::Server, 0, "Planhat tenant: production (default), demo"),
        expected: "production or demo",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };
    /// The remote MCP endpoint: https, or http to a loopback address; no userinfo, no fragment.
    [] url: Url = $url.clone(), read::server_url => Url {
        name: "url", variable: "PLANHAT_MCP_URL",
        flag: flag("--url", One("URL"), Heading::Server, 1, "Any other remote MCP server"),
        expected: "an https:// address without a user name or #, such as https://mcp.example.com/mcp",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };
    /// The hosts of the servers that may be used; none named: all. For organisations, which lock it.
    [] allowed_servers: Vec<HostPattern> = Vec::new(), read::hosts => AllowedServers {
        name: "allowed_servers", variable: "PLANHAT_MCP_ALLOWED_SERVERS",
        flag: flag("--allowed-servers", One("HOSTS"), Heading::Server, 36, "The only servers that may be used"),
        expected: "host names, or patterns such as *.planhat.com, separated by commas",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// The name of this set of tokens and remembered state: `planhat`, `planhat-demo`, or the host of `--url`.
    [] profile: String = profile_of(&$url), read::profile => Profile {
        name: "profile", variable: "PLANHAT_MCP_PROFILE",
        flag: flag("--profile", One("NAME"), Heading::Server, 2, "A separate set of tokens and settings"),
        expected: "1 to 64 letters, digits, dots, hyphens or underscores, with a letter or digit first",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };

    /// The pre-registered client id (RFC 6749, 2.2).
    [oauth] client_id: Option<String> = None, read::client_id => ClientId {
        name: "client_id", variable: "PLANHAT_MCP_CLIENT_ID",
        flag: flag("--client-id", One("ID"), Heading::SigningIn, 3, "Client id from the App Center (pk_...)"),
        expected: "the id that the server issued, such as pk_...",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// The pre-registered client's secret, if this run gets it from the environment or a file. `login` stores it in the
    /// credential store for other runs.
    [oauth] client_secret: Option<Secret> = None, read::client_secret => ClientSecret {
        name: "client_secret", variable: "PLANHAT_MCP_CLIENT_SECRET", flag: None,
        expected: "the secret that belongs to the client id",
        concerns: Concerns::Server, disclosure: Disclosure::Never,
    };
    /// The file that holds the client secret; `-` is standard input, only for `login`.
    [oauth] client_secret_file: Option<PathBuf> = None, read::path => ClientSecretFile {
        name: "client_secret_file", variable: "PLANHAT_MCP_CLIENT_SECRET_FILE",
        flag: flag("--client-secret-file", FileOrStdin, Heading::SigningIn, 4, "File with the client secret; - to be asked"),
        expected: "the path of a file that contains only the client secret",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// A bearer token that is sent unchanged; switches OAuth off.
    [] static_token: Option<Secret> = None, read::token => Token {
        name: "token", variable: "PLANHAT_MCP_TOKEN", flag: None,
        expected: "an access token: visible characters without spaces",
        concerns: Concerns::Server, disclosure: Disclosure::Never,
    };

    /// The scope to request; `None` leaves the choice to the server.
    [oauth] scope: Option<String> = Product::of(&$url).scope(), read::scope => Scope {
        name: "scope", variable: "PLANHAT_MCP_SCOPE",
        flag: flag("--scope", One("SCOPE"), Heading::SigningIn, 10, "Scope to ask for (Planhat: inclusive)"),
        expected: "scope names separated by single spaces",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// When a browser opens for a sign-in.
    [] sign_in: SignInPolicy = SignInPolicy::Auto, read::choice => SignIn {
        name: "sign_in", variable: "PLANHAT_MCP_SIGN_IN",
        flag: flag("--sign-in", One("WHEN"), Heading::SigningIn, 16, "When a browser opens: auto (default), manual"),
        expected: "auto or manual",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How the redirect URL writes the loopback host.
    [oauth callback] host: CallbackHost = CallbackHost::Ipv4, read::choice => CallbackHost {
        name: "callback_host", variable: "PLANHAT_MCP_CALLBACK_HOST",
        flag: flag("--callback-host", One("HOST"), Heading::SigningIn, 14, "127.0.0.1 (default) or localhost"),
        expected: "127.0.0.1 or localhost",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };
    /// The port of the redirect URL, fixed because Planhat compares redirect URLs exactly.
    [oauth callback] port: u16 = DEFAULT_CALLBACK_PORT, read::port => CallbackPort {
        name: "callback_port", variable: "PLANHAT_MCP_CALLBACK_PORT",
        flag: flag("--callback-port", One("PORT"), Heading::SigningIn, 15, "Port of the redirect URL (default: 7526)"),
        expected: "a port from 1 to 65535",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };

    /// The client ID metadata document, which is the client id of servers that support it.
    [oauth] metadata_url: Option<Url> = None, read::metadata_url => ClientMetadataUrl {
        name: "client_metadata_url", variable: "PLANHAT_MCP_CLIENT_METADATA_URL",
        flag: flag("--client-metadata-url", One("URL"), Heading::SigningIn, 5, "Client ID metadata document"),
        expected: "the https address of a client ID metadata document, with a path and without #",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// The token endpoint, in place of the server's own.
    [oauth] token_endpoint: Option<Url> = None, read::endpoint => TokenEndpoint {
        name: "token_endpoint", variable: "PLANHAT_MCP_TOKEN_ENDPOINT",
        flag: flag("--token-endpoint", One("URL"), Heading::SigningIn, 9, "Token endpoint, if not the server's own"),
        expected: "an https:// address without a user name or #, such as https://mcp.example.com/mcp",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// Extra parameters of the authorization request, except the protocol's own.
    [oauth] authorize_params: Vec<(String, String)> = Vec::new(), read::authorize_params => AuthorizeParam {
        name: "authorize_param", variable: "PLANHAT_MCP_AUTHORIZE_PARAM",
        flag: flag("--authorize-param", Many("NAME=VALUE"), Heading::SigningIn, 11, "Add to the authorization request"),
        expected: "NAME=VALUE, several joined by & and encoded as in an address, and none of the protocol's own",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// Whether the client signs in for itself, without a person (RFC 6749, 4.4).
    [oauth] client_credentials: bool = false, read::truth => ClientCredentials {
        name: "client_credentials", variable: "PLANHAT_MCP_CLIENT_CREDENTIALS",
        flag: flag("--client-credentials", Truth, Heading::SigningIn, 6, "Sign in as the client, without a person"),
        expected: "true or false",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// Whether requests leave out `resource` (RFC 8707), for servers that reject it.
    [oauth] no_resource: bool = false, read::truth => NoResource {
        name: "no_resource", variable: "PLANHAT_MCP_NO_RESOURCE",
        flag: flag("--no-resource", Truth, Heading::SigningIn, 12, "Leave out the resource parameter"),
        expected: "true or false",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// The one identifier that the server may have and that tokens are for (RFC 8707), in place of one that covers its address.
    [oauth] resource: Option<String> = None, read::resource => Resource {
        name: "resource", variable: "PLANHAT_MCP_RESOURCE",
        flag: flag("--resource", One("URI"), Heading::SigningIn, 32, "Accept this resource name, and ask for it"),
        expected: "an absolute URI without #, as the server names itself",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// The one issuer that the description of the sign-in may name (RFC 8414, 2), wherever that is kept.
    [oauth] issuer: Option<String> = None, read::issuer => Issuer {
        name: "issuer", variable: "PLANHAT_MCP_ISSUER",
        flag: flag("--issuer", One("URL"), Heading::SigningIn, 33, "Accept only this authorization server"),
        expected: "an https address, without user name, ? and #",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// Whether to sign in where the authorization server does not list the PKCE methods that it supports; S256 is sent.
    [oauth] allow_unlisted_s256: bool = false, read::truth => AllowUnlistedS256 {
        name: "allow_unlisted_s256", variable: "PLANHAT_MCP_ALLOW_UNLISTED_S256",
        flag: flag("--allow-unlisted-s256", Truth, Heading::SigningIn, 34, "Sign in where PKCE is not listed"),
        expected: "true or false",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// Whether to send the ID token as the bearer token, for servers that want it instead of the access token.
    [oauth] id_token: bool = false, read::truth => IdToken {
        name: "id_token", variable: "PLANHAT_MCP_ID_TOKEN",
        flag: flag("--id-token", Truth, Heading::SigningIn, 13, "Send the ID token as the bearer"),
        expected: "true or false",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// The PEM file with the private key that the client proves its identity with (RFC 7523, 2.2).
    [oauth] client_key: Option<PathBuf> = None, read::path => ClientKey {
        name: "client_key", variable: "PLANHAT_MCP_CLIENT_KEY",
        flag: flag("--client-key", File, Heading::SigningIn, 7, "Client's private key (PEM)"),
        expected: "the path of a PEM file that contains a private key",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// How that key signs.
    [oauth] client_key_alg: Option<KeyAlgorithm> = None, read::some_choice => ClientKeyAlg {
        name: "client_key_alg", variable: "PLANHAT_MCP_CLIENT_KEY_ALG",
        flag: flag("--client-key-alg", One("ALG"), Heading::SigningIn, 8, "Signing algorithm (default: ES256)"),
        expected: "ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512 or EdDSA",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// Where tokens are stored.
    [] token_store: TokenStoreKind = TokenStoreKind::Keychain, read::choice => TokenStore {
        name: "token_store", variable: "PLANHAT_MCP_TOKEN_STORE",
        flag: flag("--token-store", One("WHERE"), Heading::SigningIn, 18, "keychain (default), file or memory"),
        expected: "keychain, file or memory",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };

    /// The largest message in either direction, in bytes.
    [limits] max_message_bytes: usize = 64 * 1024 * 1024, read::number::<1_024, 4_294_967_295> => MaxMessageBytes {
        name: "max_message_bytes", variable: "PLANHAT_MCP_MAX_MESSAGE_BYTES",
        flag: flag("--max-message-bytes", One("N"), Heading::Network, 21, "Largest message (default: 67108864)"),
        expected: "a number of bytes from 1024 to 4294967295",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How long the program keeps trying to connect before it fails a request.
    [limits] connecting: Duration = Duration::from_secs(20), read::seconds::<0, 3_600> => ConnectWait {
        name: "connect_wait", variable: "PLANHAT_MCP_CONNECT_WAIT",
        flag: flag("--connect-wait", One("SECONDS"), Heading::Network, 24, "Keep trying to connect (default: 20 s)"),
        expected: "seconds, from 0 to 3600",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How long a request may go without receiving a byte before the program gives up; the clock stops while the client
    /// owes the server an answer.
    [limits] idle: Duration = Duration::from_secs(5 * 60), read::seconds::<1, 86_400> => IdleTimeout {
        name: "idle_timeout", variable: "PLANHAT_MCP_IDLE_TIMEOUT",
        flag: flag("--idle-timeout", One("SECONDS"), Heading::Network, 25, "Longest silence in a call (default: 300 s)"),
        expected: "seconds, from 1 to 86400",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How long a request may take in all; does not apply to listening streams.
    [limits] total: Duration = Duration::from_secs(60 * 60), read::seconds::<1, 86_400> => TotalTimeout {
        name: "total_timeout", variable: "PLANHAT_MCP_TOTAL_TIMEOUT",
        flag: flag("--total-timeout", One("SECONDS"), Heading::Network, 26, "Longest call (default: 3600 s)"),
        expected: "seconds, from 1 to 86400",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How long a call waits for a sign-in.
    [limits] call_wait: Duration = Duration::from_secs(50), read::seconds::<0, 3_600> => SignInWait {
        name: "sign_in_wait", variable: "PLANHAT_MCP_SIGN_IN_WAIT",
        flag: flag("--sign-in-wait", One("SECONDS"), Heading::SigningIn, 17,
            "How long a call waits for a sign-in (default: 50 s)"),
        expected: "seconds, from 0 to 3600",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How many requests may be at the server at once; the others wait in order.
    [limits] in_flight: usize = Product::of(&$url).requests_at_once(), read::requests_at_once => MaxInFlight {
        name: "max_in_flight", variable: "PLANHAT_MCP_MAX_IN_FLIGHT",
        flag: flag("--max-in-flight", One("N"), Heading::Network, 27, "Maximum concurrent requests (Planhat: 50)"),
        expected: "a number from 1 to 10000; more than 2000 are taken for 2000",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };

    /// Whether to use only IPv4, for networks with broken IPv6.
    [network] ipv4_only: bool = false, read::truth => Ipv4 {
        name: "ipv4", variable: "PLANHAT_MCP_IPV4",
        flag: flag("--ipv4", Truth, Heading::Network, 22, "Use IPv4 only"),
        expected: "true or false",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };
    /// Whether the bridge outlives its parent process, for launchers that exit on purpose.
    [] keep_without_parent: bool = false, read::truth => KeepWithoutParent {
        name: "keep_without_parent", variable: "PLANHAT_MCP_KEEP_WITHOUT_PARENT",
        flag: flag("--keep-without-parent", Truth, Heading::General, 28, "Keep running after the parent process exits"),
        expected: "true or false",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// Whether a client's extension starts the program, so that its user has no terminal and fills in a form.
    [] from_extension: bool = false, read::truth => FromExtension {
        name: "from_extension", variable: "PLANHAT_MCP_FROM_EXTENSION",
        flag: flag("--from-extension", Truth, Heading::General, 35, "Set by an MCP client's extension"),
        expected: "true or false",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// How messages reach the server.
    [] transport: TransportKind = TransportKind::Auto, read::choice => Transport {
        name: "transport", variable: "PLANHAT_MCP_TRANSPORT",
        flag: flag("--transport", One("KIND"), Heading::Network, 29, "auto (default), http, or sse: the one of 2024-11-05"),
        expected: "auto, http or sse",
        concerns: Concerns::Server, disclosure: Disclosure::Whole,
    };
    /// A proxy for all requests, in place of the environment's.
    [network] proxy: Option<Secret> = None, read::proxy => Proxy {
        name: "proxy", variable: "PLANHAT_MCP_PROXY",
        flag: flag("--proxy", One("URL"), Heading::Network, 19, "Proxy for all requests"),
        expected: "an address such as http://proxy.example:8080, or with https, socks5 or socks5h",
        concerns: Concerns::Route, disclosure: Disclosure::WithoutUserinfo,
    };
    /// More trusted certificate authorities, PEM.
    [network] ca_file: Option<PathBuf> = None, read::path => CaFile {
        name: "ca_file", variable: "PLANHAT_MCP_CA_FILE",
        flag: flag("--ca-file", File, Heading::Network, 20, "Extra CA certificates (PEM)"),
        expected: "the path of a PEM file",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };
    /// Hosts of a private network that a public server may name.
    [network] allow_private: Vec<HostPattern> = Vec::new(), read::hosts => AllowPrivate {
        name: "allow_private", variable: "PLANHAT_MCP_ALLOW_PRIVATE",
        flag: flag("--allow-private", One("HOSTS"), Heading::Network, 23, "Private hosts allowed for sign-in"),
        expected: "host names, or patterns such as *.corp.example, separated by commas",
        concerns: Concerns::Route, disclosure: Disclosure::Whole,
    };

    /// The most detailed level to log.
    [log] level: LogLevel = LogLevel::Info, read::choice => LogLevel {
        name: "log_level", variable: "PLANHAT_MCP_LOG_LEVEL",
        flag: flag("--log-level", One("LEVEL"), Heading::General, 30, "error, warn, info (default), debug, trace"),
        expected: "error, warn, info, debug or trace",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };
    /// A file for the log, in addition to stderr.
    [log] file: Option<PathBuf> = None, read::path => LogFile {
        name: "log_file", variable: "PLANHAT_MCP_LOG_FILE",
        flag: flag("--log-file", File, Heading::General, 31, "Write the log to this file as well"),
        expected: "the path of a file",
        concerns: Concerns::Run, disclosure: Disclosure::Whole,
    };

        }
    };
}

pub(super) use settings_table;
