//! The client's private key, and the assertion that it signs for the token endpoint (RFC 7523, 2.2 and 3).

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde_json::json;

use crate::config::{Choice, KeyAlgorithm, KeySettings};
use crate::files;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// The `client_assertion_type` of a JWT assertion.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is valid, in seconds: each request gets a new one.
const ASSERTION_LIFETIME_SECONDS: u64 = 120;

/// A private key that matches its algorithm.
#[derive(Debug, Clone)]
pub struct ClientKey {
    key: Arc<dyn SigningKey>,
    algorithm: KeyAlgorithm,
    file: PathBuf,
}

impl ClientKey {
    /// Reads the PEM file: PKCS #8, or the older forms of EC and RSA keys.
    pub fn read(settings: &KeySettings) -> Result<Self, Problem> {
        let unusable = |detail: &dyn std::fmt::Display| {
            Problem::new(ProblemId::ClientKeyUnusable).with("file", settings.file.display()).with("detail", detail)
        };
        let pem = Secret::new(files::read_given(&settings.file).map_err(|error| unusable(&error))?);
        let der = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| {
            unusable(&"it contains no private key in PEM form, or the key is protected with a password")
        })?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der)
            .map_err(|_| unusable(&"a key of this kind, or without its public part, is not supported"))?;
        if key.choose_scheme(&[scheme(settings.algorithm)]).is_none() {
            let detail = format!("it is not a key for {}", settings.algorithm.as_str());
            return Err(unusable(&detail));
        }
        Ok(Self { key, algorithm: settings.algorithm, file: settings.file.clone() })
    }

    /// Proves to `audience` that this is `client_id`; `now` is in seconds since 1970.
    pub fn assertion(&self, client_id: &str, audience: &str, now: u64) -> Result<Secret, Problem> {
        let header = json!({ "alg": self.algorithm.as_str(), "typ": "JWT" });
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now.saturating_add(ASSERTION_LIFETIME_SECONDS),
            "jti": oauth2::CsrfToken::new_random_len(16).into_secret(),
        });
        let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.sign(signed.as_bytes()).ok_or_else(|| {
            Problem::new(ProblemId::ClientKeyUnusable)
                .with("file", self.file.display())
                .with("detail", "it does not sign")
        })?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.key.choose_scheme(&[scheme(self.algorithm)])?.sign(message).ok()?;
        match self.algorithm {
            KeyAlgorithm::Es256 => fixed(&signature, 32),
            KeyAlgorithm::Es384 => fixed(&signature, 48),
            _ => Some(signature),
        }
    }
}

const fn scheme(algorithm: KeyAlgorithm) -> SignatureScheme {
    match algorithm {
        KeyAlgorithm::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        KeyAlgorithm::Es384 => SignatureScheme::ECDSA_NISTP384_SHA384,
        KeyAlgorithm::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
        KeyAlgorithm::Rs384 => SignatureScheme::RSA_PKCS1_SHA384,
        KeyAlgorithm::Rs512 => SignatureScheme::RSA_PKCS1_SHA512,
        KeyAlgorithm::Ps256 => SignatureScheme::RSA_PSS_SHA256,
        KeyAlgorithm::Ps384 => SignatureScheme::RSA_PSS_SHA384,
        KeyAlgorithm::Ps512 => SignatureScheme::RSA_PSS_SHA512,
        KeyAlgorithm::EdDsa => SignatureScheme::ED25519,
    }
}

/// The two numbers of an ECDSA signature side by side (RFC 7518, 3.4), from the DER that TLS uses.
fn fixed(der: &[u8], width: usize) -> Option<Vec<u8>> {
    // SEQUENCE { INTEGER, INTEGER }: with these curves each length fits into one byte.
    let [0x30, length, rest @ ..] = der else { return None };
    let mut rest = rest.get(..usize::from(*length))?;
    let mut out = Vec::with_capacity(2 * width);
    for _ in 0..2 {
        let [0x02, length, numbers @ ..] = rest else { return None };
        let (number, after) = numbers.split_at_checked(usize::from(*length))?;
        let number = match number {
            [0, number @ ..] => number,
            number => number,
        };
        out.resize(out.len() + width.checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
        rest = after;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use crate::auth::registration::private_key::*;

    #[test]
    fn a_signature_of_two_numbers_gets_its_fixed_width() {
        assert_eq!(fixed(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 5], 4).unwrap(), [0, 0, 0, 0x80, 0, 0, 0, 5]);
        for bad in [&[][..], &[0x30, 3, 2, 1], &[0x30, 6, 2, 1, 1, 2, 9, 1], &[0x31, 6, 2, 1, 1, 2, 1, 1]] {
            assert!(fixed(bad, 4).is_none(), "{bad:?}");
        }
        assert!(fixed(&[0x30, 8, 2, 3, 1, 1, 1, 2, 1, 1], 2).is_none(), "a number that is too long");
    }
}
