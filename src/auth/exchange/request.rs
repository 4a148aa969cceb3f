//! Requests to the token endpoint (RFC 6749, 3.2), and what it issues.

use std::time::Duration;

use crate::auth::brake::Brake;
use crate::auth::context::Context;
use crate::auth::discovery::search::Discovered;
use crate::auth::exchange::client_authentication::Sender;
use crate::auth::registration::client::{AuthMethod, Client};
use crate::secret::Secret;

/// What is presented to the endpoint.
#[derive(Debug)]
pub enum GrantRequest<'a> {
    /// An authorization code, with the proof that the request was ours.
    Code {
        /// The authorization code.
        code: &'a Secret,
        /// The PKCE verifier (RFC 7636).
        verifier: &'a Secret,
        /// The redirect URL, exactly as in the authorization request.
        redirect_url: &'a str,
    },
    /// A refresh token.
    Refresh(&'a Secret),
    /// Client credentials (RFC 6749, 4.4).
    Client {
        /// The requested scope.
        scope: Option<&'a str>,
    },
    /// The code of a sign-in on another device (RFC 8628, 3.4).
    Device(&'a Secret),
}

impl GrantRequest<'_> {
    /// Whether it presents a refresh token.
    pub(crate) fn is_refresh(&self) -> bool {
        matches!(self, GrantRequest::Refresh(_))
    }
}

/// The token endpoint, and the client that uses it.
#[derive(Debug)]
pub struct Endpoint<'a> {
    /// The token endpoint.
    pub url: &'a str,
    /// The client.
    pub client: &'a Client,
    /// How the client authenticates.
    pub method: AuthMethod,
    /// The endpoint's issuer.
    pub issuer: &'a str,
    /// The `resource` parameter (RFC 8707), unless it is to be left out.
    pub resource: Option<&'a str>,
    /// Whether the ID token is the one to send.
    pub id_token: bool,
    /// Seconds since 1970.
    pub now: u64,
    /// Counts what is sent there.
    pub brake: &'a Brake,
}

impl<'a> Endpoint<'a> {
    /// The token endpoint of the server that was found, for this client.
    pub(crate) fn of(ctx: &'a Context, found: &'a Discovered, client: &'a Client) -> Self {
        Endpoint {
            url: &found.server.token_endpoint,
            client,
            method: client.auth_method(found.server.token_endpoint_auth_methods_supported.as_deref()),
            issuer: &found.server.issuer,
            resource: ctx.resource_parameter(&found.resource, found.without_resource_since),
            id_token: ctx.settings.oauth.id_token,
            now: ctx.now(),
            brake: &ctx.brake,
        }
    }
}

impl Endpoint<'_> {
    /// The client that posts to it, and how it authenticates.
    pub(crate) fn sender(&self, method: AuthMethod) -> Sender<'_> {
        Sender { client: self.client, method, audience: self.issuer, now: self.now }
    }
}

/// Issued tokens.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: Secret,
    /// A new refresh token, if one was issued.
    pub refresh_token: Option<Secret>,
    /// How long the access token lasts, if the server says so.
    pub expires_in: Option<Duration>,
    /// Its scope, if the server says so.
    pub scope: Option<String>,
    /// Who signed in, if an ID token says so.
    pub person: Option<String>,
    /// The method with which the client finally authenticated.
    pub method: AuthMethod,
}
