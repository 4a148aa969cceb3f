//! The settings in their final form: parsed, checked, complete. The rest of the program sees nothing else.
//!
//! The fields come from the [table](super::table), plus a few that no setting controls.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::problem::{Problem, desk};
use crate::secret::Secret;

use super::choices::{CallbackHost, Choice, KeyAlgorithm, LogLevel, SignInPolicy, TokenStoreKind, TransportKind};
use super::hosts::HostPattern;
use super::key::Key;
use super::origin::{Origin, Origins};
use super::paths::Paths;
use super::raw_setting::RawSetting;
use super::server::{Product, profile_of};
use super::shown::{Shown, masked_url};
use super::table::settings_table;
use super::{exposed, read};

/// The default port of the redirect URL: 7526 spells PLAN on a phone keypad. IANA has not assigned it, and it is below
/// the ephemeral ports of Linux (from 32768), macOS and Windows (from 49152).
pub const DEFAULT_CALLBACK_PORT: u16 = 7526;

/// The path of the redirect URL of every client that was registered elsewhere.
pub const CALLBACK_PATH: &str = "/callback";
/// The length of the part that tells issuers apart in the path of a client that registers itself, in bytes of SHA-256.
const ISSUER_PATH_BYTES: usize = 12;

/// Generates the structs. Each row of the table becomes a field of the struct that its group names: `@row` takes the next row,
/// `@put` appends its field to the right list of the six in `$lists`, and without rows the lists become structs.
macro_rules! structs {
    ($url:ident; $($rows:tt)+) => {
        structs! { @row $url { [] [] [] [] [] [] } $($rows)+ }
    };
    (@row $url:ident $lists:tt $(#$doc:tt)* [$($group:ident)*] $field:ident: Option<Secret> = $default:expr,
        $read:expr => $key:ident $info:tt; $($rows:tt)*) => {
        structs! {
            @put $url [$($group)*] { $(#$doc)* #[serde(with = "exposed")] $field: Option<Secret> = $default }
            $lists $($rows)*
        }
    };
    (@row $url:ident $lists:tt $(#$doc:tt)* [$($group:ident)*] $field:ident: $type:ty = $default:expr,
        $read:expr => $key:ident $info:tt; $($rows:tt)*) => {
        structs! { @put $url [$($group)*] { $(#$doc)* $field: $type = $default } $lists $($rows)* }
    };
    (@put $url:ident [] $field:tt { [$($list:tt)*] $($lists:tt)* } $($rows:tt)*) => {
        structs! { @row $url { [$($list)* $field] $($lists)* } $($rows)* }
    };
    (@put $url:ident [oauth] $field:tt { $a:tt [$($list:tt)*] $($lists:tt)* } $($rows:tt)*) => {
        structs! { @row $url { $a [$($list)* $field] $($lists)* } $($rows)* }
    };
    (@put $url:ident [oauth callback] $field:tt { $a:tt $b:tt [$($list:tt)*] $($lists:tt)* } $($rows:tt)*) => {
        structs! { @row $url { $a $b [$($list)* $field] $($lists)* } $($rows)* }
    };
    (@put $url:ident [limits] $field:tt { $a:tt $b:tt $c:tt [$($list:tt)*] $($lists:tt)* } $($rows:tt)*) => {
        structs! { @row $url { $a $b $c [$($list)* $field] $($lists)* } $($rows)* }
    };
    (@put $url:ident [network] $field:tt { $a:tt $b:tt $c:tt $d:tt [$($list:tt)*] $($lists:tt)* } $($rows:tt)*) => {
        structs! { @row $url { $a $b $c $d [$($list)* $field] $($lists)* } $($rows)* }
    };
    (@put $url:ident [log] $field:tt { $a:tt $b:tt $c:tt $d:tt $e:tt [$($list:tt)*] } $($rows:tt)*) => {
        structs! { @row $url { $a $b $c $d $e [$($list)* $field] } $($rows)* }
    };
    (@row $url:ident {
        [$({ $(#$own_doc:tt)* $own:ident: $own_type:ty = $own_default:expr })*]
        [$({ $(#$oauth_doc:tt)* $oauth:ident: $oauth_type:ty = $oauth_default:expr })*]
        [$({ $(#$callback_doc:tt)* $callback:ident: $callback_type:ty = $callback_default:expr })*]
        [$({ $(#$limits_doc:tt)* $limits:ident: $limits_type:ty = $limits_default:expr })*]
        [$({ $(#$network_doc:tt)* $network:ident: $network_type:ty = $network_default:expr })*]
        [$({ $(#$log_doc:tt)* $log:ident: $log_type:ty = $log_default:expr })*]
    }) => {
        /// Everything that a run of the program needs to know.
        ///
        /// It contains secrets, so it does not implement `Serialize`: only the order to the sign-in process serializes it,
        /// with `#[serde(with = "Settings")]`.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(remote = "Self")]
        pub struct Settings {
            $($(#$own_doc)* pub $own: $own_type,)*
            /// How to sign in.
            #[serde(with = "OAuthSettings")]
            pub oauth: OAuthSettings,
            /// Bounds and budgets.
            pub limits: Limits,
            /// How to reach the network.
            #[serde(with = "NetworkSettings")]
            pub network: NetworkSettings,
            /// What to log, and where.
            pub log: LogSettings,
            /// Where the program keeps its files.
            pub paths: Paths,
            /// The source of each setting.
            pub origins: Origins,
            /// The flags and variables of this run, as flags that a command in a terminal must repeat. No secrets.
            pub run_flags: Vec<String>,
        }

        /// What the authorization code flow needs from the user or the administrator.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(remote = "Self")]
        pub struct OAuthSettings {
            $($(#$oauth_doc)* pub $oauth: $oauth_type,)*
            /// The redirect URL.
            pub callback: CallbackSettings,
        }

        /// The loopback redirect URL (RFC 8252, 7.3): exactly `http://<host>:<port>/callback`, unless a client that registers
        /// itself has a path of its own.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct CallbackSettings {
            $($(#$callback_doc)* pub $callback: $callback_type,)*
            /// Whether the port is the default, so that a dynamically registered client may use any free port.
            pub free: bool,
            /// Its path.
            pub path: String,
        }

        /// Bounds and budgets.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits {
            $($(#$limits_doc)* pub $limits: $limits_type,)*
            /// How long `initialize` waits for the server before the program answers it.
            pub initialize_wait: Duration,
            /// How long `tools/list` waits for a sign-in before it offers the sign-in tool, unless its client is known to
            /// wait longer; never longer than a call waits.
            pub list_wait: Duration,
            /// How long a sign-in may take.
            pub sign_in: Duration,
        }

        /// How to reach the network; MCP clients often strip the environment, so the file can set all of it.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(remote = "Self")]
        pub struct NetworkSettings {
            $($(#$network_doc)* pub $network: $network_type,)*
        }

        /// What to log, and where.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct LogSettings {
            $($(#$log_doc)* pub $log: $log_type,)*
        }

        impl Default for NetworkSettings {
            fn default() -> Self {
                Self { $($network: $network_default,)* }
            }
        }

        impl Settings {
            /// The defaults for the server at `url`.
            pub fn for_url($url: Url, paths: Paths) -> Self {
                let product = Product::of(&$url);
                let mut origins = Origins::default();
                if product.scope().is_some() {
                    origins.set(Key::Scope, Origin::BuiltIn);
                }
                Self {
                    oauth: OAuthSettings {
                        $($oauth: $oauth_default,)*
                        callback: CallbackSettings {
                            $($callback: $callback_default,)*
                            free: true,
                            path: CALLBACK_PATH.to_owned(),
                        },
                    },
                    limits: Limits {
                        $($limits: $limits_default,)*
                        initialize_wait: Duration::from_secs(5),
                        list_wait: Duration::from_secs(8),
                        sign_in: Duration::from_secs(5 * 60),
                    },
                    network: NetworkSettings::default(),
                    log: LogSettings { $($log: $log_default,)* },
                    paths,
                    origins,
                    run_flags: Vec::new(),
                    $($own: $own_default,)*
                }
            }
        }
    };
}

/// Generates access to the fields by key.
macro_rules! by_key {
    ($url:ident; $($(#$doc:tt)* [$($group:ident)*] $field:ident: $type:ty = $default:expr, $read:expr => $key:ident
        $info:tt;)+) => {
        impl Settings {
            /// Parses a value into its field, and records its source.
            pub(super) fn set(&mut self, raw: &RawSetting) -> Result<(), Problem> {
                match raw.key {
                    $(Key::$key => self$(.$group)*.$field = $read(raw)?,)+
                }
                self.origins.set(raw.key, raw.origin.clone());
                Ok(())
            }

            /// The text of a setting for people; `None` when it is not set.
            pub fn shown(&self, key: Key) -> Option<String> {
                match key {
                    $(Key::$key => self$(.$group)*.$field.shown(),)+
                }
            }
        }
    };
}

settings_table!(structs, url);
settings_table!(by_key, url);

impl Settings {
    /// The service's name for people: `Planhat`, `Planhat (demo)`, or the host.
    pub fn service_name(&self) -> String {
        match self.product {
            Product::Planhat => "Planhat".to_owned(),
            Product::PlanhatDemo => "Planhat (demo)".to_owned(),
            Product::Other => {
                let host = self.url.host_str().unwrap_or_default();
                self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
        }
    }

    /// A command line for a terminal, such as `planhat-mcp login --tenant demo`, for the same server, profile and
    /// client as this run.
    pub fn command(&self, command: &str) -> String {
        let mut line = format!("{} {command}", desk::program());
        let mut before = "";
        for word in &self.run_flags {
            line.push(' ');
            // Whoever types it knows the key in the address, and whoever else reads it must not.
            let url = Url::parse(word).ok().filter(|url| before == "--url" && url.query().is_some());
            line.push_str(&quoted(url.map(|url| masked_url(&url)).as_deref().unwrap_or(word)));
            before = word;
        }
        line
    }

    /// The address of the server for people, who may be others than the one who gave it.
    pub fn shown_url(&self) -> String {
        masked_url(&self.url)
    }

    /// Sets the defaults that depend on other settings.
    pub(super) fn derive_defaults(&mut self) {
        let unset = |key| *self.origins.of(key) == Origin::Default;
        self.oauth.callback.free = unset(Key::CallbackPort);
        // A token that can be obtained at any time need not be stored, and unattended machines often have no keychain.
        if self.oauth.client_credentials && unset(Key::TokenStore) {
            self.token_store = TokenStoreKind::Memory;
        }
        if self.oauth.client_key.is_some() {
            self.oauth.client_key_alg.get_or_insert(KeyAlgorithm::Es256);
        }
    }
}

/// A private key of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySettings {
    /// The PEM file that holds it.
    pub file: PathBuf,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
}

impl OAuthSettings {
    /// The private key that the client authenticates with.
    pub fn key(&self) -> Option<KeySettings> {
        let file = self.client_key.clone()?;
        Some(KeySettings { file, algorithm: self.client_key_alg.unwrap_or(KeyAlgorithm::Es256) })
    }
}

impl CallbackSettings {
    /// The redirect URL, exactly as it must be registered.
    pub fn redirect_url(&self) -> String {
        format!("http://{}:{}{}", self.host.as_str(), self.port, self.path)
    }

    /// The same with a path for this issuer alone: what another server sends the browser back with does not arrive there
    /// (RFC 9700, 4.4.2.2).
    #[must_use]
    pub fn for_issuer(&self, issuer: &str) -> Self {
        let hash = Sha256::digest(issuer.as_bytes());
        let part: String = hash.iter().take(ISSUER_PATH_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("{}/{part}", self.path), ..self.clone() }
    }
}

/// `word` for a shell, quoted if necessary.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,\\".contains(c);
    if !word.is_empty() && word.chars().all(|c| plain(c) && (c != '\\' || cfg!(windows))) {
        word.to_owned()
    } else if cfg!(windows) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_the_terminal_repeats_what_this_run_was_told() {
        let paths = Paths { config_file: "/c".into(), state_dir: "/s".into() };
        let url = Url::parse("https://mcp.example.com/mcp").expect("valid");
        let mut settings = Settings::for_url(url, paths);
        assert_eq!(settings.command("login"), "planhat-mcp login");
        settings.run_flags = ["--url", "https://mcp.example.com/mcp?a=1&b=2"].map(str::to_owned).to_vec();
        let shown = settings.command("login");
        assert!(shown.starts_with("planhat-mcp login --url "), "{shown}");
        assert!(shown.ends_with(['\'', '"']), "an & must not reach the shell: {shown}");
        assert!(shown.contains("?a=[redacted]&b=[redacted]"), "a key may stand there: {shown}");
    }

    #[test]
    fn the_redirect_url_is_exactly_what_an_admin_registers() {
        let path = CALLBACK_PATH.to_owned();
        let callback = CallbackSettings { host: CallbackHost::Ipv4, port: DEFAULT_CALLBACK_PORT, free: true, path };
        assert_eq!(callback.redirect_url(), "http://127.0.0.1:7526/callback");
    }

    #[test]
    fn each_issuer_has_a_redirect_url_of_its_own() {
        let path = CALLBACK_PATH.to_owned();
        let callback = CallbackSettings { host: CallbackHost::Ipv4, port: 7526, free: true, path };
        let of = |issuer| callback.for_issuer(issuer).redirect_url();
        assert_eq!(of("https://as.example"), "http://127.0.0.1:7526/callback/93e20fbd9d9436f74c252dba");
        assert_ne!(of("https://as.example"), of("https://evil.example"));
        assert_ne!(of("https://as.example"), of("https://as.example/t"));
    }
}
