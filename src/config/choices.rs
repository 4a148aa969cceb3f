//! Settings that are one of a few words.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::shown::Shown;

/// A setting that is one of a few words.
pub trait Choice: Copy + Sized + 'static {
    /// All choices.
    const CHOICES: &'static [Self];

    /// The word for it in settings.
    fn as_str(self) -> &'static str;

    /// The choice that `word` stands for.
    fn of_word(word: &str) -> Option<Self> {
        Self::CHOICES.iter().copied().find(|choice| choice.as_str() == word)
    }
}

impl<T: Choice> Shown for T {
    fn shown(&self) -> Option<String> {
        Some(self.as_str().to_owned())
    }
}

macro_rules! choice {
    ($(#$doc:tt)* pub enum $name:ident { $($(#$of_one:tt)* $one:ident = $word:literal,)+ }) => {
        $(#$doc)*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#$of_one)* $one,)+
        }

        impl Choice for $name {
            const CHOICES: &'static [Self] = &[$(Self::$one,)+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$one => $word,)+
                }
            }
        }
    };
}

choice! {
    /// When a browser opens for a sign-in.
    pub enum SignInPolicy {
        /// At the first list of tools or a call that needs it, with a pause after a failed sign-in.
        Auto = "auto",
        /// Only when the user asks: with the sign-in tool, or with `login`.
        Manual = "manual",
    }
}

choice! {
    /// How the redirect URL writes the loopback host.
    pub enum CallbackHost {
        /// `127.0.0.1`, which RFC 8252 recommends.
        Ipv4 = "127.0.0.1",
        /// `localhost`, for servers that insist on it.
        Localhost = "localhost",
    }
}

impl CallbackHost {
    /// The address to listen on.
    pub const fn address(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

choice! {
    /// How messages reach the server.
    pub enum TransportKind {
        /// Streamable HTTP, and HTTP+SSE where a server refuses that as one of HTTP+SSE does.
        Auto = "auto",
        /// Streamable HTTP alone.
        Http = "http",
        /// HTTP+SSE, the transport of revision 2024-11-05, alone.
        Sse = "sse",
    }
}

choice! {
    /// How a client's key signs (RFC 7518, 3.1; RFC 8037).
    pub enum KeyAlgorithm {
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// ECDSA with P-384 and SHA-384.
        Es384 = "ES384",
        /// RSA PKCS #1 v1.5 with SHA-256.
        Rs256 = "RS256",
        /// RSA PKCS #1 v1.5 with SHA-384.
        Rs384 = "RS384",
        /// RSA PKCS #1 v1.5 with SHA-512.
        Rs512 = "RS512",
        /// RSA-PSS with SHA-256.
        Ps256 = "PS256",
        /// RSA-PSS with SHA-384.
        Ps384 = "PS384",
        /// RSA-PSS with SHA-512.
        Ps512 = "PS512",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

choice! {
    /// Where tokens are stored.
    pub enum TokenStoreKind {
        /// The operating system's keychain.
        Keychain = "keychain",
        /// A file of mode 0600, only on request.
        File = "file",
        /// Only in memory: the tokens end with the process, which runs the sign-in itself.
        Memory = "memory",
    }
}

choice! {
    /// How much is logged.
    pub enum LogLevel {
        /// Failures.
        Error = "error",
        /// Also possible failures.
        Warn = "warn",
        /// Also what a user would want to know: signed in, reconnected.
        Info = "info",
        /// Also each request's outcome, without its content.
        Debug = "debug",
        /// Also everything else except secrets and message bodies.
        Trace = "trace",
    }
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        }
    }
}
