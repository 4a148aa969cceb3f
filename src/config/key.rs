//! The table of settings: what each is called in the file, as a flag and in the environment, and what it may hold.

/// One setting that somebody can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Which of Planhat's environments.
    Tenant,
    /// Any other MCP server.
    Url,
    /// Which set of tokens and state.
    Profile,
    /// The pre-registered client id.
    ClientId,
    /// Its secret, from the environment alone.
    ClientSecret,
    /// A file that holds the secret; `-` is standard input, for `login` alone.
    ClientSecretFile,
    /// A static bearer token, from the environment alone.
    Token,
    /// The client ID metadata document.
    ClientMetadataUrl,
    /// Whether the client signs in for itself, without a person.
    ClientCredentials,
    /// A file with the client's private key.
    ClientKey,
    /// How that key signs.
    ClientKeyAlg,
    /// The token endpoint, over what the server says.
    TokenEndpoint,
    /// The scope to ask for.
    Scope,
    /// More parameters of the authorization request.
    AuthorizeParam,
    /// Whether `resource` is left out.
    NoResource,
    /// Whether the ID token is sent in place of the access token.
    IdToken,
    /// How the loopback host is written in the redirect URL.
    CallbackHost,
    /// The port of the redirect URL.
    CallbackPort,
    /// When a browser opens for a sign-in.
    SignIn,
    /// Where tokens are kept.
    TokenStore,
    /// The largest message.
    MaxMessageBytes,
    /// A proxy for all requests.
    Proxy,
    /// More trusted certificate authorities.
    CaFile,
    /// Whether to use IPv4 alone.
    Ipv4,
    /// Hosts that a public server may name although they lie inside.
    AllowPrivate,
    /// How long a connection that cannot be made is tried again.
    ConnectWait,
    /// How long a request may go without a byte.
    IdleTimeout,
    /// How long a request may take in all.
    TotalTimeout,
    /// How long a call waits for a sign-in.
    SignInWait,
    /// How many requests may be at the server at once.
    MaxInFlight,
    /// Whether the bridge outlives the process that started it.
    KeepWithoutParent,
    /// How much is logged.
    LogLevel,
    /// A file that the log goes to as well.
    LogFile,
}

/// How a setting is called and what it may hold.
#[derive(Debug, Clone, Copy)]
pub struct KeyInfo {
    /// As in the configuration file.
    pub name: &'static str,
    /// The flag; `None` where a value must not stand in argv.
    pub flag: Option<&'static str>,
    /// The environment variable.
    pub variable: &'static str,
    /// Whether the configuration file may hold it.
    pub in_file: bool,
    /// What a value looks like, for error messages.
    pub expected: &'static str,
}

macro_rules! keys {
    ($($key:ident: $name:literal, $flag:expr, $variable:literal, $in_file:literal, $expected:literal;)+) => {
        impl Key {
            /// All settings, in the order in which they are shown.
            pub const ALL: &'static [Key] = &[$(Key::$key,)+];

            /// How this one is called.
            pub const fn info(self) -> &'static KeyInfo {
                match self {
                    $(Key::$key => &KeyInfo {
                        name: $name, flag: $flag, variable: $variable, in_file: $in_file, expected: $expected,
                    },)+
                }
            }
        }
    };
}

keys! {
    Tenant: "tenant", Some("--tenant"), "PLANHAT_MCP_TENANT", true, "production or demo";
    Url: "url", Some("--url"), "PLANHAT_MCP_URL", true, "an https address, without user name and without #";
    Profile: "profile", Some("--profile"), "PLANHAT_MCP_PROFILE", true,
        "1 to 64 letters, digits, dots, hyphens or underscores, with a letter or digit first";
    ClientId: "client_id", Some("--client-id"), "PLANHAT_MCP_CLIENT_ID", true, "the id that the server gave, such as pk_...";
    ClientSecret: "client_secret", None, "PLANHAT_MCP_CLIENT_SECRET", false, "the secret that belongs to the client id";
    ClientSecretFile: "client_secret_file", Some("--client-secret-file"), "PLANHAT_MCP_CLIENT_SECRET_FILE", true,
        "the path of a file that holds the client secret alone";
    Token: "token", None, "PLANHAT_MCP_TOKEN", false, "an access token: visible characters without spaces";
    ClientMetadataUrl: "client_metadata_url", Some("--client-metadata-url"), "PLANHAT_MCP_CLIENT_METADATA_URL", true,
        "the https address of a client ID metadata document, with a path and without #";
    ClientCredentials: "client_credentials", Some("--client-credentials"), "PLANHAT_MCP_CLIENT_CREDENTIALS", true,
        "true or false";
    ClientKey: "client_key", Some("--client-key"), "PLANHAT_MCP_CLIENT_KEY", true,
        "the path of a PEM file that holds a private key";
    ClientKeyAlg: "client_key_alg", Some("--client-key-alg"), "PLANHAT_MCP_CLIENT_KEY_ALG", true,
        "ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512 or EdDSA";
    TokenEndpoint: "token_endpoint", Some("--token-endpoint"), "PLANHAT_MCP_TOKEN_ENDPOINT", true,
        "an https address, without user name and without #";
    Scope: "scope", Some("--scope"), "PLANHAT_MCP_SCOPE", true, "scope names with single spaces between";
    AuthorizeParam: "authorize_param", Some("--authorize-param"), "PLANHAT_MCP_AUTHORIZE_PARAM", true,
        "NAME=VALUE, several joined by & and encoded as in an address, and none of the protocol's own";
    NoResource: "no_resource", Some("--no-resource"), "PLANHAT_MCP_NO_RESOURCE", true, "true or false";
    IdToken: "id_token", Some("--id-token"), "PLANHAT_MCP_ID_TOKEN", true, "true or false";
    CallbackHost: "callback_host", Some("--callback-host"), "PLANHAT_MCP_CALLBACK_HOST", true, "127.0.0.1 or localhost";
    CallbackPort: "callback_port", Some("--callback-port"), "PLANHAT_MCP_CALLBACK_PORT", true, "a port from 1 to 65535";
    SignIn: "sign_in", Some("--sign-in"), "PLANHAT_MCP_SIGN_IN", true, "auto or manual";
    TokenStore: "token_store", Some("--token-store"), "PLANHAT_MCP_TOKEN_STORE", true, "keychain, file or memory";
    MaxMessageBytes: "max_message_bytes", Some("--max-message-bytes"), "PLANHAT_MCP_MAX_MESSAGE_BYTES", true,
        "a number of bytes from 1024 to 4294967295";
    Proxy: "proxy", Some("--proxy"), "PLANHAT_MCP_PROXY", true,
        "an address such as http://proxy.example:8080, or with https, socks5 or socks5h";
    CaFile: "ca_file", Some("--ca-file"), "PLANHAT_MCP_CA_FILE", true, "the path of a PEM file";
    Ipv4: "ipv4", Some("--ipv4"), "PLANHAT_MCP_IPV4", true, "true or false";
    AllowPrivate: "allow_private", Some("--allow-private"), "PLANHAT_MCP_ALLOW_PRIVATE", true,
        "host names, or patterns such as *.corp.example, separated by commas";
    ConnectWait: "connect_wait", Some("--connect-wait"), "PLANHAT_MCP_CONNECT_WAIT", true, "seconds, from 0 to 3600";
    IdleTimeout: "idle_timeout", Some("--idle-timeout"), "PLANHAT_MCP_IDLE_TIMEOUT", true, "seconds, from 1 to 86400";
    TotalTimeout: "total_timeout", Some("--total-timeout"), "PLANHAT_MCP_TOTAL_TIMEOUT", true, "seconds, from 1 to 86400";
    SignInWait: "sign_in_wait", Some("--sign-in-wait"), "PLANHAT_MCP_SIGN_IN_WAIT", true, "seconds, from 0 to 3600";
    MaxInFlight: "max_in_flight", Some("--max-in-flight"), "PLANHAT_MCP_MAX_IN_FLIGHT", true, "a number from 1 to 10000";
    KeepWithoutParent: "keep_without_parent", Some("--keep-without-parent"), "PLANHAT_MCP_KEEP_WITHOUT_PARENT", true,
        "true or false";
    LogLevel: "log_level", Some("--log-level"), "PLANHAT_MCP_LOG_LEVEL", true, "error, warn, info, debug or trace";
    LogFile: "log_file", Some("--log-file"), "PLANHAT_MCP_LOG_FILE", true, "the path of a file";
}

impl Key {
    /// The setting that the configuration file calls `name`.
    pub fn by_name(name: &str) -> Option<Key> {
        Key::ALL.iter().copied().find(|key| key.info().name == name)
    }

    /// Whether its value is shown to nobody.
    pub const fn is_secret(self) -> bool {
        matches!(self, Key::ClientSecret | Key::Token)
    }

    /// Whether it is meant for one server: given for one, it must not reach another.
    pub const fn belongs_to_a_server(self) -> bool {
        matches!(
            self,
            Key::ClientId
                | Key::ClientSecret
                | Key::ClientSecretFile
                | Key::Token
                | Key::ClientMetadataUrl
                | Key::ClientCredentials
                | Key::ClientKey
                | Key::ClientKeyAlg
                | Key::TokenEndpoint
                | Key::Scope
                | Key::AuthorizeParam
                | Key::NoResource
                | Key::IdToken
        )
    }
}

/// The name of a setting that `name` was probably meant to be.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace('-', "_");
    let candidates = Key::ALL.iter().map(|key| key.info()).filter(|info| info.in_file).map(|info| info.name);
    candidates.map(|name| (distance(&wanted, name), name)).filter(|(d, _)| *d <= 3).min().map(|(_, name)| name)
}

/// How many letters have to be added, removed or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(ca != *cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_gets_its_nearest_neighbour_and_nonsense_gets_none() {
        assert_eq!(suggestion("client-id"), Some("client_id"));
        assert_eq!(suggestion("calback_port"), Some("callback_port"));
        assert_eq!(suggestion("tokenstore"), Some("token_store"));
        assert_eq!(suggestion("something_else_entirely"), None);
    }

    #[test]
    fn names_flags_and_variables_of_a_setting_are_the_same_words() {
        for key in Key::ALL {
            let info = key.info();
            assert_eq!(info.variable, format!("PLANHAT_MCP_{}", info.name.to_uppercase()));
            if let Some(flag) = info.flag {
                assert_eq!(flag, format!("--{}", info.name.replace('_', "-")));
            }
        }
    }
}
