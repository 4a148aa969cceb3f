//! The private key that a client may prove itself with, as it is set.

use std::path::PathBuf;

/// A private key of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySettings {
    /// The PEM file that holds it.
    pub file: PathBuf,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
}

/// How a client's key signs (RFC 7518, 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// RSA PKCS #1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA-PSS with SHA-384.
    Ps384,
    /// RSA-PSS with SHA-512.
    Ps512,
    /// Ed25519.
    EdDsa,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [KeyAlgorithm; 9] = [
        KeyAlgorithm::Es256,
        KeyAlgorithm::Es384,
        KeyAlgorithm::Rs256,
        KeyAlgorithm::Rs384,
        KeyAlgorithm::Rs512,
        KeyAlgorithm::Ps256,
        KeyAlgorithm::Ps384,
        KeyAlgorithm::Ps512,
        KeyAlgorithm::EdDsa,
    ];

    /// As it stands in a JWT's header and in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyAlgorithm::Es256 => "ES256",
            KeyAlgorithm::Es384 => "ES384",
            KeyAlgorithm::Rs256 => "RS256",
            KeyAlgorithm::Rs384 => "RS384",
            KeyAlgorithm::Rs512 => "RS512",
            KeyAlgorithm::Ps256 => "PS256",
            KeyAlgorithm::Ps384 => "PS384",
            KeyAlgorithm::Ps512 => "PS512",
            KeyAlgorithm::EdDsa => "EdDSA",
        }
    }
}
