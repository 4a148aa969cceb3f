//! Codes, tokens and the grants (families) that they belong to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::lock;
use crate::tenant::permission::Permission;

/// How long a code may lie around (RFC 6749, 4.1.2 recommends ten minutes at most).
const CODE_LIFETIME: Duration = Duration::from_secs(120);

/// What an authorize request asks for, once it was found to be in order.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) state: Option<String>,
    pub(crate) scope: String,
    pub(crate) granted: BTreeSet<Permission>,
}

/// What the token endpoint hands out.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    /// `None` when the one that was used stays the valid one.
    pub(crate) refresh: Option<String>,
    pub(crate) scope: String,
}

/// Why a code or a refresh token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    UnknownCode,
    UsedCode,
    ExpiredCode,
    OtherClient,
    OtherRedirect,
    WrongVerifier,
    UnknownRefreshToken,
    ReusedRefreshToken,
    Revoked,
}

impl Invalid {
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Invalid::UnknownCode => "Invalid authorization code.",
            Invalid::UsedCode => "The authorization code was already used.",
            Invalid::ExpiredCode => "The authorization code has expired.",
            Invalid::OtherClient => "Issued to another client.",
            Invalid::OtherRedirect => "The redirect_uri differs from the authorization request's.",
            Invalid::WrongVerifier => "PKCE verification failed.",
            Invalid::UnknownRefreshToken => "Invalid refresh token.",
            Invalid::ReusedRefreshToken => "The refresh token was already used; the grant is revoked.",
            Invalid::Revoked => "The grant was revoked.",
        }
    }
}

#[derive(Debug)]
struct Code {
    request: Request,
    family: usize,
    issued: Instant,
    used: bool,
}

#[derive(Debug)]
struct Access {
    family: usize,
    expires: Instant,
}

#[derive(Debug)]
struct Refresh {
    family: usize,
    used: bool,
}

#[derive(Debug)]
struct Family {
    client_id: String,
    scope: String,
    granted: BTreeSet<Permission>,
    revoked: bool,
    refresh_revoked: bool,
}

#[derive(Debug, Default)]
struct Inner {
    /// Consent pages that wait for an answer, by their form's ticket.
    tickets: HashMap<String, Request>,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    families: Vec<Family>,
    /// The scopes that clients registered, where these are their bounds.
    bounds: HashMap<String, BTreeSet<String>>,
    /// Verifiers that were shown to the token endpoint.
    verifiers: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Grants {
    inner: Mutex<Inner>,
}

impl Grants {
    pub(crate) fn ticket(&self, request: Request) -> String {
        let ticket = random("ticket_");
        lock(&self.inner).tickets.insert(ticket.clone(), request);
        ticket
    }

    pub(crate) fn redeem_ticket(&self, ticket: &str) -> Option<Request> {
        lock(&self.inner).tickets.remove(ticket)
    }

    pub(crate) fn issue_code(&self, request: Request) -> String {
        let code = random("code_sandbox_");
        let mut inner = lock(&self.inner);
        let family = inner.families.len();
        inner.families.push(Family {
            client_id: request.client_id.clone(),
            scope: request.scope.clone(),
            granted: request.granted.clone(),
            revoked: false,
            refresh_revoked: false,
        });
        inner.codes.insert(code.clone(), Code { request, family, issued: Instant::now(), used: false });
        code
    }

    /// Exchanges a code, which may be done once; a second time revokes what the first gave (RFC 6749, 4.1.2).
    pub(crate) fn exchange(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
        lifetime: Duration,
    ) -> Result<Tokens, Invalid> {
        let mut inner = lock(&self.inner);
        inner.verifiers.push(verifier.to_owned());
        let code = inner.codes.get_mut(code).ok_or(Invalid::UnknownCode)?;
        let family = code.family;
        if code.used {
            inner.families[family].revoked = true;
            return Err(Invalid::UsedCode);
        }
        if code.issued.elapsed() > CODE_LIFETIME {
            return Err(Invalid::ExpiredCode);
        }
        if code.request.client_id != client_id {
            return Err(Invalid::OtherClient);
        }
        if code.request.redirect_uri != redirect_uri {
            return Err(Invalid::OtherRedirect);
        }
        if challenge_of(verifier) != code.request.challenge {
            return Err(Invalid::WrongVerifier);
        }
        code.used = true;
        Ok(inner.issue(family, true, lifetime))
    }

    pub(crate) fn refresh(
        &self,
        token: &str,
        client_id: &str,
        rotate: bool,
        lifetime: Duration,
    ) -> Result<Tokens, Invalid> {
        let mut inner = lock(&self.inner);
        let refresh = inner.refresh.get_mut(token).ok_or(Invalid::UnknownRefreshToken)?;
        let family = refresh.family;
        if refresh.used {
            inner.families[family].revoked = true;
            return Err(Invalid::ReusedRefreshToken);
        }
        let grant = &inner.families[family];
        if grant.client_id != client_id {
            return Err(Invalid::OtherClient);
        }
        if grant.revoked || grant.refresh_revoked {
            return Err(Invalid::Revoked);
        }
        if rotate && let Some(refresh) = inner.refresh.get_mut(token) {
            refresh.used = true;
        }
        Ok(inner.issue(family, rotate, lifetime))
    }

    pub(crate) fn bind_scope(&self, client_id: &str, scope: &str) {
        let scopes = scope.split_whitespace().map(str::to_owned).collect();
        lock(&self.inner).bounds.insert(client_id.to_owned(), scopes);
    }

    /// The scopes that a client may ask for, where there is such a bound.
    pub(crate) fn scope_bound(&self, client_id: &str) -> Option<BTreeSet<String>> {
        lock(&self.inner).bounds.get(client_id).cloned()
    }

    /// What a token allows, or `None` when it is not valid now.
    pub(crate) fn granted(&self, access: &str) -> Option<BTreeSet<Permission>> {
        let inner = lock(&self.inner);
        let access = inner.access.get(access)?;
        let family = &inner.families[access.family];
        (!family.revoked && Instant::now() < access.expires).then(|| family.granted.clone())
    }

    pub(crate) fn expire_access_tokens(&self) {
        let now = Instant::now();
        lock(&self.inner).access.values_mut().for_each(|access| access.expires = now);
    }

    pub(crate) fn revoke_refresh_tokens(&self) {
        lock(&self.inner).families.iter_mut().for_each(|family| family.refresh_revoked = true);
    }

    pub(crate) fn revoke_all(&self) {
        lock(&self.inner).families.iter_mut().for_each(|family| family.revoked = true);
    }

    /// Everything that ever was secret: codes, tokens, verifiers.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let inner = lock(&self.inner);
        let keys = inner.codes.keys().chain(inner.access.keys()).chain(inner.refresh.keys());
        keys.chain(inner.verifiers.iter()).cloned().collect()
    }
}

impl Inner {
    fn issue(&mut self, family: usize, new_refresh_token: bool, lifetime: Duration) -> Tokens {
        let access = random("at_sandbox_");
        self.access.insert(access.clone(), Access { family, expires: Instant::now() + lifetime });
        let refresh = new_refresh_token.then(|| {
            let refresh = random("rt_sandbox_");
            self.refresh.insert(refresh.clone(), Refresh { family, used: false });
            refresh
        });
        Tokens { access, refresh, scope: self.families[family].scope.clone() }
    }
}

/// S256 (RFC 7636, 4.2).
pub(crate) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// A name that nobody guesses.
pub(crate) fn random(prefix: &str) -> String {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}
