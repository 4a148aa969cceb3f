"""Authlib in Flask as an authorization server that takes registrations, with a person and a database of its own."""

import os
import tempfile
import time

# The library would have TLS, which loopback does without.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.sqla_oauth2 import (
    OAuth2AuthorizationCodeMixin, OAuth2ClientMixin, OAuth2TokenMixin, create_query_client_func,
)
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, jsonify, request
from sqlalchemy import Column, Integer, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, scoped_session, sessionmaker

METHODS = ["client_secret_basic", "client_secret_post", "none"]
PEOPLE = {"ada": "correct horse"}
session = scoped_session(sessionmaker())


class Table(DeclarativeBase):
    """What every table has."""

    id = Column(Integer, primary_key=True)
    user_id = Column(String(40))


class Client(Table, OAuth2ClientMixin):
    """A registration."""

    __tablename__ = "client"


class Code(Table, OAuth2AuthorizationCodeMixin):
    """A code that waits to be exchanged."""

    __tablename__ = "code"


class Token(Table, OAuth2TokenMixin):
    """A pair of tokens."""

    __tablename__ = "token"


def first(table, **wanted):
    """The row with these values, if there is one."""
    return session.scalars(select(table).filter_by(**wanted)).first()


def revoke(token):
    """Ends a pair."""
    token.access_token_revoked_at = token.refresh_token_revoked_at = int(time.time())
    session.commit()


class ByCode(grants.AuthorizationCodeGrant):
    """A code becomes tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code, request):
        challenge = {name: request.payload.data.get(name) for name in ("code_challenge", "code_challenge_method")}
        session.add(Code(
            code=code, client_id=request.client.client_id, redirect_uri=request.payload.redirect_uri, scope=request.scope,
            user_id=request.user, **challenge,
        ))
        session.commit()

    def query_authorization_code(self, code, client):
        found = first(Code, code=code, client_id=client.client_id)
        return found if found and not found.is_expired() else None

    def delete_authorization_code(self, authorization_code):
        session.delete(authorization_code)
        session.commit()

    def authenticate_user(self, authorization_code):
        return authorization_code.user_id


class ByRefreshToken(grants.RefreshTokenGrant):
    """A refresh token becomes new tokens, and is good once."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        found = first(Token, refresh_token=refresh_token)
        return found if found and not found.is_revoked() else None

    def authenticate_user(self, refresh_token):
        return refresh_token.user_id

    def revoke_old_credential(self, refresh_token):
        revoke(refresh_token)


class Revocation(RevocationEndpoint):
    """Who signs out gives the tokens back."""

    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token_string, token_type_hint):
        return first(Token, access_token=token_string) or first(Token, refresh_token=token_string)

    def revoke_token(self, token, request):
        revoke(token)


class Registration(ClientRegistrationEndpoint):
    """Everybody may register."""

    metadata = None

    def authenticate_token(self, request):
        return "everybody"

    def get_server_metadata(self):
        return self.metadata

    def save_client(self, client_info, client_metadata, request):
        client = Client(**client_info)
        client.set_client_metadata(client_metadata)
        session.add(client)
        session.commit()
        return client


def described(issuer, scope):
    """The server's description of itself."""
    return {
        "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
        "registration_endpoint": f"{issuer}/register", "revocation_endpoint": f"{issuer}/revoke",
        "scopes_supported": [scope], "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": METHODS, "revocation_endpoint_auth_methods_supported": METHODS,
        "code_challenge_methods_supported": ["S256"],
    }


def authorization_server(issuer, scope, life):
    """The application, and what it knows of an access token: client, scope and end."""
    engine = create_engine(f"sqlite:///{tempfile.mkdtemp(dir='.')}/db")
    session.configure(bind=engine)
    Table.metadata.create_all(engine)
    app = Flask(__name__)
    app.teardown_request(lambda _: session.remove())
    app.config.update(
        OAUTH2_SCOPES_SUPPORTED=[scope], OAUTH2_REFRESH_TOKEN_GENERATOR=True,
        OAUTH2_TOKEN_EXPIRES_IN={"authorization_code": life, "refresh_token": life},
    )
    server = AuthorizationServer(app, create_query_client_func(session, Client), save_token)
    server.register_grant(ByCode, [CodeChallenge(required=True)])
    server.register_grant(ByRefreshToken)
    server.register_endpoint(Revocation)
    Registration.metadata = described(issuer, scope)
    server.register_endpoint(Registration)

    app.get("/.well-known/oauth-authorization-server", endpoint="description")(lambda: jsonify(Registration.metadata))
    app.post("/token", endpoint="token")(server.create_token_response)
    app.post("/register", endpoint="register")(lambda: server.create_endpoint_response(Registration.ENDPOINT_NAME))
    app.post("/revoke", endpoint="revoke")(lambda: server.create_endpoint_response(Revocation.ENDPOINT_NAME))

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize():
        name = request.form.get("username")
        person = name if name in PEOPLE and request.form.get("password") == PEOPLE[name] else None
        try:
            grant = server.get_consent_grant(end_user=person)
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        if request.method == "GET":
            return PAGE
        return server.create_authorization_response(grant_user=person, grant=grant)

    return app, look_up


def save_token(token, request):
    """Keeps what was issued."""
    session.add(Token(client_id=request.client.client_id, user_id=request.user, **token))
    session.commit()


def look_up(token):
    """What is known of an access token that is good."""
    try:
        found = first(Token, access_token=token)
        is_good = found and not found.is_revoked() and not found.is_expired()
        return (found.client_id, found.scope, found.issued_at + found.expires_in) if is_good else None
    finally:
        session.remove()


PAGE = """<form method="post"><input name="username"><input name="password" type="password"><button>Allow</button></form>"""
