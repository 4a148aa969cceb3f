//! Problems between a challenge and a token.

super::entry::entries! {
    SignInNeeded = "sign-in-needed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You are not signed in[ to {service}].",
        cause "There is no valid sign-in for this profile, or the server no longer accepts it.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal.[ Or open this link in a browser: {link}]",
        model "The user has to sign in first. Ask them to [open this link, {link} , or to |]run `[{command}|planhat-mcp login]` in a terminal. Then call again.";
    SignInPending = "sign-in-pending", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "A sign-in is in progress and is waiting for you in the browser.",
        cause "A browser tab was opened, and you have not finished signing in there.",
        fix "Finish signing in there, then try again.[ If the tab is closed, open this link: {link}]",
        model "A browser tab was opened for the user to sign in, and they have not finished. Ask them to finish, then call again.[ If the tab is closed, this link reopens it: {link}]";
    SignInNotWanted = "sign-in-not-wanted", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "[{host}|The server] needs no sign-in.",
        cause "It accepts requests without one, and does not say where to sign in.",
        fix "There is nothing to do: your MCP client can use the server now. If some calls require a token, store it with `planhat-mcp login --token-from-stdin`.",
        model "The server needs no sign-in. Continue without one.";
    SignInDeclined = "sign-in-declined", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You are not signed in[ to {service}], because you chose not to open the sign-in page.",
        cause "Your MCP client asked whether to open it, and the answer was no.",
        fix "When you are ready, run `[{command}|planhat-mcp login]` in a terminal.[ Or open this link: {link}]",
        model "The user declined to sign in[ to {service}], so nothing was executed. Do not ask again unless the user brings it up. When the user wants to sign in, call the tool planhat_sign_in, or ask them to run `[{command}|planhat-mcp login]` in a terminal.[ Or show them this link: {link}]";
    PlanhatSignInTimedOut = "planhat-sign-in-timed-out", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was not finished[ within {minutes} minutes].",
        cause "The browser tab was left or closed, or Planhat's page showed an error that it does not report back to planhat-mcp.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. If the page said \"Invalid client_id: OAuth client not found\", the client id[ ({client_id})] is probably for the other environment: use --tenant demo for a tenant at ws.planhatdemo.com, and --tenant production otherwise. If it said \"Invalid redirect_uri: not registered for this client\", ask a Planhat admin to add exactly [{redirect_url}|the redirect URL that login prints] to the OAuth client's Redirect URLs in the App Center. If it said \"You do not have any of the permissions this application requests\", ask a Planhat admin to enable the permissions you need in the OAuth client's Permissions tab. If it said \"OAuth permission check failed: missing permissions\", sign in with --scope inclusive.",
        model "The user did not finish signing in in time. Ask whether Planhat's page showed an error: \"OAuth client not found\" means the wrong environment (production or demo tenant); \"Invalid redirect_uri\" means that a Planhat admin must register [{redirect_url}|the redirect URL]; \"You do not have any of the permissions\" means that an admin must enable permissions for the OAuth client. Otherwise they can simply sign in again.[ Link: {link}]";
    SignInTimedOut = "sign-in-timed-out", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was not finished[ within {minutes} minutes].",
        cause "The browser tab was left or closed, or the sign-in page showed an error that it does not report back to planhat-mcp.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. If the page complained about the client id, check --client-id if you set it; without it, the next sign-in registers planhat-mcp again. If it complained about the redirect URL, register exactly [{redirect_url}|the redirect URL that login prints] at the server.",
        model "The user did not finish signing in in time. Ask whether the page showed an error; otherwise they can simply sign in again.[ Link: {link}]";
    SignInCoolDown = "sign-in-cool-down", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The last sign-in did not succeed, so no browser opens automatically[ for the next {minutes} min].[ What went wrong: {detail}.]",
        cause "After a failed sign-in, planhat-mcp waits before it opens another tab.",
        fix "When you are ready, run `[{command}|planhat-mcp login]` in a terminal.[ Or open this link: {link}]",
        model "The last sign-in did not succeed.[ {advice}.] Ask the user whether to try again; the tool planhat_sign_in starts a new sign-in, and so does `[{command}|planhat-mcp login]` in a terminal.[ Link: {link}]";
    SignInManual = "sign-in-manual", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You need to sign in[ to {service}], and no browser opens automatically.",
        cause "planhat-mcp is set to open a browser only when you ask for it (sign_in = \"manual\").",
        fix "Call the tool planhat_sign_in, or run `[{command}|planhat-mcp login]` in a terminal.",
        model "The user has to sign in[ to {service}] first, and has turned off the automatic opening of a browser. Ask them whether to sign in now; the tool planhat_sign_in starts it, and so does `[{command}|planhat-mcp login]` in a terminal. Then call again.";
    TooManyTabs = "too-many-tabs", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "No browser tab opens for a sign-in[ before {until}].[ Of those that open automatically, {detail}.]",
        cause "The limit stops a server that soon rejects each sign-in, or a program that keeps asking for one, from opening tab after tab. Signing in through one of these tabs does not lift it.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal: it opens its page regardless of the limit, and lifts it when it succeeds.[ Or open this link in a browser: {link}]",
        model "The user has to sign in, and no browser tab opens automatically[ before {until}], because too many have opened.[ What was wrong with the last sign-in: {advice}.] Ask the user to [open this link, {link} , or to |]run `[{command}|planhat-mcp login]` in a terminal, which lifts this. [In {minutes} min, planhat_sign_in gives a link again, but it|Calling planhat_sign_in again] opens no tab[ before {until}].";
    TooManySignIns = "too-many-sign-ins", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "No sign-in starts automatically[ before {until}], because too many have started[: {detail}].[ What was wrong with the last one: {advice}.]",
        cause "Something keeps asking for a sign-in, and each one ends at once.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal: it shows why it ends.",
        model "No sign-in starts[ for the next {seconds} s], because too many have started.[ What was wrong with the last one: {advice}.] Do not call planhat_sign_in before then. Tell the user, and ask them to run `[{command}|planhat-mcp login]` in a terminal, which shows why.";
    TooManyTokenRequests = "too-many-token-requests", code REMOTE, exit REMOTE, recovery Later,
        what "No token is requested[ before {until}], because too many requests went to the token endpoint.[ For this profile, {detail}.]",
        cause "The server rejects tokens that it has just issued, or they expire at once; or many programs share this sign-in.",
        fix "Wait until then[, {seconds} s from now], or run `[{command}|planhat-mcp login]` in a terminal, which lifts this when it succeeds. The sign-in is kept.",
        model "The token that this call needs is not requested[ for the next {seconds} s], because too many token requests were sent. Nothing was executed. Call again after that time and not before; if this keeps happening, tell the user that the server rejects the tokens that it issues.";
    SignInStopped = "sign-in-stopped", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was cancelled before it finished.",
        cause "You signed out, or started a new sign-in in another window.",
        fix "Finish the newest sign-in, or run `[{command}|planhat-mcp login]` in a terminal.",
        model "The user cancelled the sign-in, or started a new one elsewhere. Ask them whether to sign in; the tool planhat_sign_in starts it, and so does `[{command}|planhat-mcp login]` in a terminal.";
    AccessDenied = "access-denied", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "Access was not granted.[ The server said: {error_description}.]",
        cause "The request was cancelled on the consent page, or your account may not use this app.",
        fix "If that was not intended, sign in again with `[{command}|planhat-mcp login]` and approve access.",
        model "The user or the server refused access. Do not start another sign-in unless the user asks for it.";
    AuthorizationFailed = "authorization-failed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server refused the sign-in[: {error}][ ({error_description})].",
        cause "The settings here do not match how the app is registered, or the server has a fault.",
        fix "Check --client-id and --scope if you set them, then sign in again with `[{command}|planhat-mcp login]`.",
        model "The authorization server refused the sign-in[: {error}][ ({error_description})]. Tell the user to check the client id and the scope if they are configured.";
    InvalidScope = "invalid-scope", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server does not accept the scope[ \"{scope}\"].",
        cause "The scope does not exist there, or the app may not ask for it.",
        fix "Leave --scope out to use the default (for Planhat: inclusive), or give one that the server offers.",
        model "The configured scope is not accepted. Tell the user to correct or remove the scope setting.";
    ScopeNeeded = "scope-needed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server requires a scope, and none was requested.[ It said: {error_description}.]",
        cause "No scope is configured, and the MCP server names none. [The authorization server offers: {scope}.|The authorization server does not list what it offers, either.]",
        fix "Choose the scopes that you need from those of the server, and give them with --scope \"NAME NAME\", PLANHAT_MCP_SCOPE, or scope in the configuration file. Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The authorization server requires a scope, and none is configured.[ It offers: {scope}.] Tell the user to choose from its scopes and to set --scope.";
    NoPermissions = "no-permissions", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "You do not have any of the permissions that this application requests.",
        cause "The OAuth client's Permissions tab in Planhat is empty, or has nothing in common with your Role.",
        fix "Ask a Planhat admin to enable the permissions that you need for the OAuth client in the App Center. Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The Planhat OAuth client grants nothing that this user's Role has. Tell the user that a Planhat admin must enable permissions for it in the App Center, then sign in again.";
    MissingPermissions = "missing-permissions", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The OAuth permission check failed, because permissions are missing.",
        cause "The older scope \"default\" asks for all of the OAuth client's permissions, and your Role does not have all of them.",
        fix "Sign in again with the scope \"inclusive\", which asks for what both have: leave --scope out.",
        model "The scope \"default\" asks for more than the user's Role has. Tell the user to sign in with the scope \"inclusive\".";
    StateMismatch = "state-mismatch", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The browser returned the result of a different sign-in, so it was ignored.",
        cause "The tab belongs to an earlier sign-in, or another page tried to inject a result.",
        fix "Finish the sign-in in the newest tab, or start over with `[{command}|planhat-mcp login]`.",
        model "The browser returned the result of a different sign-in. Ask the user to finish in the newest tab or to sign in again.";
    CallbackIncomplete = "callback-incomplete", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in result from the browser cannot be used[: {detail}].",
        cause "The authorization server made a mistake, or the address was cut off when it was copied.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. When you paste the address, copy all of it.",
        model "The sign-in result from the browser was incomplete. Ask the user to sign in again.";
    CallbackEmpty = "callback-empty", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The address contains no sign-in result. The sign-in is still in progress.",
        cause "Something other than the authorization server opened it, such as a browser extension, or it was cut off when it was copied or reloaded.",
        fix "Finish the sign-in in its own tab. When you paste the address, copy all of it.",
        model "The address contained no sign-in result. The sign-in is still in progress: ask the user to finish it in its own tab.";
    CallbackIssuerMismatch = "callback-issuer-mismatch", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in result came from a different authorization server than the one you signed in to, so it was ignored.",
        cause "Expected {expected}, but the result names {found}. This can be an attack (RFC 9207), or a server that is set up wrongly.",
        fix "Do not repeat this on a network that you do not trust. If this keeps happening, report it to the server's operator.",
        model "The sign-in result came from the wrong authorization server and was refused for safety. Tell the user.";
    CallbackIssuerSlash = "callback-issuer-slash", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The sign-in result and the authorization server's own document differ in the last slash of the server's name, so the result was not used.",
        cause "Expected {expected}, but the result names {found}. It is most likely the same server, which writes its name in two ways; the two must be identical (RFC 9207, section 2.4).",
        fix "Report it to the server's operator. To accept both forms of this one name, add {setting} to the settings of this profile, for your client and for `planhat-mcp login`.",
        model "The sign-in result names the server with a different last slash, and was refused. Tell the user[; only they can accept it, with {setting}].";
    PastedUrlInvalid = "pasted-url-invalid", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "That is not the address your browser ended on[: {detail}].",
        cause "The address was cut off, or copied from another page.",
        fix "Copy the whole address from the browser's address bar after you approved access. It begins with [{redirect_url}|the redirect URL].",
        model "The pasted address is not the redirect URL. Ask the user to copy the whole address.";
    PortInUse = "port-in-use", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The port for the sign-in[, {port},] is already in use[ by {owner}].",
        cause "Another program on this computer is listening there, perhaps another sign-in. The port is not changed automatically, because the redirect URL must match the registered one exactly.",
        fix "[A sign-in of planhat-mcp is waiting there, in process {process}, for another profile or another home folder. Finish it in its browser tab, or end that process|Quit that program, or choose another port with --callback-port and register its redirect URL as well].[ Redirect URL in use: {redirect_url}]",
        model "The local port for the sign-in[, {port},] is in use by another program. Tell the user to free it, or to choose another with --callback-port and register that redirect URL.";
    ListenFailed = "listen-failed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "Listening for the sign-in result[ at {place}] failed[: {detail}].",
        cause "The system does not allow it, or security software blocks it.",
        fix "Choose another port with --callback-port, and register its redirect URL. Or use `[{command}|planhat-mcp login --no-browser]` and paste the address.",
        model "The local port for the sign-in could not be opened. Tell the user to choose another with --callback-port.";
    PlanhatClientIdMissing = "planhat-client-id-missing", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "Planhat needs a client id, and none is configured.",
        cause "Planhat does not register apps automatically: an admin creates one OAuth client for the whole organisation.",
        fix "Ask your Planhat admin for the client id (pk_...) and the client secret (sk_...). Then run `planhat-mcp login --client-id pk_...` in a terminal, which asks for the secret, and restart your MCP client. Admins create the OAuth client in the App Center, with exactly [{redirect_url}|the redirect URL that planhat-mcp config shows] under Redirect URLs, and choose its permissions. The client id can also be set with --client-id, PLANHAT_MCP_CLIENT_ID, or client_id in [{config_file}|the configuration file], and the secret with PLANHAT_MCP_CLIENT_SECRET.",
        model "No Planhat client id is configured. Tell the user that a Planhat admin creates an OAuth client in the App Center with exactly this redirect URL: [{redirect_url}|see planhat-mcp config]; its client id and secret then go into the configuration of planhat-mcp.";
    ClientIdMissing = "client-id-missing", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "[{issuer}|This server] needs a client id: it does not register apps automatically.",
        cause "The authorization server requires apps to be registered beforehand.",
        fix "Register an app there with the redirect URL [{redirect_url}|that planhat-mcp config shows], and give its id with --client-id or PLANHAT_MCP_CLIENT_ID. If the app has a secret, set PLANHAT_MCP_CLIENT_SECRET.",
        model "No client id is configured for this server. Tell the user to register an app there and to set --client-id.";
    SecretWithoutClientId = "secret-without-client-id", code SIGN_IN, exit USAGE, recovery Settings,
        what "A client secret is configured, but no client id.",
        cause "The two belong together: Planhat shows both when the OAuth client is created (pk_... and sk_...).",
        fix "Set the client id with --client-id, PLANHAT_MCP_CLIENT_ID, or client_id in the configuration file.",
        model "A client secret is configured without its client id. Tell the user to set the client id as well.";
    ClientSecretMissing = "client-secret-missing", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The client secret[ for {client_id}] is not stored on this computer.",
        cause "This OAuth client has a secret, and every sign-in must use it.",
        fix "Run `[{command}|planhat-mcp login] --client-secret-file -` and paste the secret when asked, or set PLANHAT_MCP_CLIENT_SECRET. Or have the admin make it a public client, and run `planhat-mcp login` once.",
        model "The client secret is missing. Tell the user to store it with planhat-mcp login --client-secret-file -, or to set PLANHAT_MCP_CLIENT_SECRET.";
    InvalidClient = "invalid-client", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server does not accept this client[ ({client_id})].[ It said: {error_description}.]",
        cause "The client id does not exist there, or its secret is wrong, was replaced, or belongs to another client id.[ {clock}.]",
        fix "Check the client id and secret against the OAuth client (for Planhat in the App Center), enter both again, and sign in again with `[{command}|planhat-mcp login]`.",
        model "The server does not accept the configured client id and secret. Tell the user to check both; repeating does not help.";
    RegisteredClientRefused = "registered-client-refused", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server does not accept the registration that it gave planhat-mcp[ ({client_id})].[ It said: {error_description}.]",
        cause "It has forgotten the registration, as some servers do when they restart, or it requires another kind of registration.[ {clock}.]",
        fix "Sign in again with `[{command}|planhat-mcp login]`, which registers planhat-mcp again. If that is refused as well, ask the server's operator for a client id, and give it with --client-id.",
        model "The server does not accept the registration that it gave planhat-mcp. Ask the user to sign in again, which registers it again. If that is refused as well, the server's operator can give out a client id.";
    RedirectUrlNotRegistered = "redirect-url-not-registered", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The redirect URL[ {redirect_url}] is not registered for this client.",
        cause "The server compares it letter by letter with the registered ones: 127.0.0.1 and localhost differ, and so do ports.",
        fix "Ask the administrator of the app (for Planhat: an admin, in the App Center, under Redirect URLs of the OAuth client) to add exactly [{redirect_url}|the redirect URL that planhat-mcp config shows]. Or use --callback-host and --callback-port to match one that is registered.",
        model "The redirect URL is not registered. Tell the user that the administrator of the app (for Planhat: an admin, in the App Center) must add exactly [{redirect_url}|the URL that planhat-mcp config shows] to its redirect URLs.";
    RegistrationRefused = "registration-refused", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server[ {issuer}] refused to register planhat-mcp[: {error}][ ({error_description})][ (HTTP {status})].",
        cause "It may accept only known apps, or require an administrator to register them.",
        fix "Ask its administrator for a client id, and give it with --client-id or PLANHAT_MCP_CLIENT_ID.",
        model "The authorization server does not register planhat-mcp automatically. Tell the user to get a client id from its administrator and to set --client-id.";
    IssuerMoved = "issuer-moved", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server now names a different authorization server from the one that the client id[ {client_id}] was used with, so nothing was sent there.",
        cause "It was {expected}, and now it is {found}. The server may have moved, or someone is trying to steal the client secret and your sign-in.",
        fix "Ask the server's operator. If it has really moved, register the app at the new authorization server, set its client id, and run `[{logout_command}|planhat-mcp logout]` before you sign in again.",
        model "The server names a different authorization server than before, and the configured client was not used there, for safety. Tell the user to ask the server's operator.";
    TokenEndpointMoved = "token-endpoint-moved", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The token endpoint[, which the setting {setting} names,] is no longer the one that the sign-in and the client[ {client_id}] were used with, so nothing stored was sent there.",
        cause "It was {expected}, and now it is {found}. [Someone changed the setting {setting}, perhaps in the configuration of a project, and|The server's own description now names it: the server has moved, or someone] may be trying to steal the stored sign-in and the client secret.",
        fix "If you do not expect this, [remove the setting {setting} (--token-endpoint, PLANHAT_MCP_TOKEN_ENDPOINT, or token_endpoint in a configuration file)|ask the server's operator, and do not sign in before you know]. If you expect it, run `[{logout_command}|planhat-mcp logout]` and then `[{command}|planhat-mcp login]`, which starts again there.",
        model "The token endpoint is not the one that the sign-in came from, and nothing stored was sent there, for safety. Tell the user: unless they expect it, [they should remove the setting {setting}|they should ask the server's operator first]. Do not change it yourself.";
    TokenEndpointUnconfirmed = "token-endpoint-unconfirmed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The settings put a token endpoint of another origin in place of the authorization server's own, and you have not confirmed that.",
        cause "The server's own is {expected}, and the settings name {found}. The operator of that one receives the code of your consent.",
        fix "If you do not expect this, remove the setting (--token-endpoint, PLANHAT_MCP_TOKEN_ENDPOINT, or token_endpoint in a configuration file). If you expect it, run `[{command}|planhat-mcp login]` in a terminal once; later sign-ins start automatically.",
        model "The settings name a token endpoint of another origin than the authorization server's, so no sign-in starts automatically, for safety. Tell the user: unless they expect it, they should remove the setting token_endpoint; otherwise they run `[{command}|planhat-mcp login]` in a terminal once. Do not run it for them.";
    PinnedIssuerUnconfirmed = "pinned-issuer-unconfirmed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The document that the setting issuer accepts names a token endpoint of another origin than the issuer's, and you have not confirmed that.",
        cause "The issuer is {expected}, and the document, which is at another address, names {found}. The operator of that one receives the code of your consent.",
        fix "If you do not expect this, remove the setting (--issuer, PLANHAT_MCP_ISSUER, or issuer in a configuration file). If you expect it, run `[{command}|planhat-mcp login]` in a terminal once; later sign-ins start automatically.",
        model "The document of the pinned issuer names a token endpoint of another origin, so no sign-in starts automatically, for safety. Tell the user: unless they expect it, they should remove the setting issuer; otherwise they run `[{command}|planhat-mcp login]` in a terminal once. Do not run it for them.";
    DeviceNotOffered = "device-not-offered", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server[ {issuer}] offers no sign-in with a code on another device.",
        cause "It does not support the device authorization grant (RFC 8628), or does not say so.",
        fix "Sign in with `planhat-mcp login --no-browser`: open its link on any device, then copy the address your browser ends on and paste it into the terminal.",
        model "The server offers no sign-in with a code. Ask the user to run planhat-mcp login --no-browser in a terminal.";
    DeviceCodeExpired = "device-code-expired", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The code was not used in time.",
        cause "The code was not entered, or access was not approved, before it expired.",
        fix "Start over with `planhat-mcp login --device`, and enter the new code promptly.",
        model "The sign-in code expired. Ask the user to run planhat-mcp login --device again.";
    WrongEnvironment = "wrong-environment", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server does not know the client id[ {client_id}].",
        cause "Usually this is the wrong environment: production and demo tenants have different hosts, and an OAuth client exists in only one of them.",
        fix "For a tenant at ws.planhatdemo.com use --tenant demo (https://api.planhatdemo.com/v1/mcp), for all others --tenant production (https://api.planhat.com/v1/mcp). If the environment is right, check the client id against the App Center.",
        model "The client id is unknown at this server, usually because it belongs to the other environment. Tell the user to check whether their tenant is production or demo (--tenant).";
    NoAuthorizationServer = "no-authorization-server", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server[ at {url}] requires a sign-in, but does not say where to sign in.",
        cause "None of the places that the MCP specification names has a description of an authorization server. The last one said: {detail}.",
        fix "Check --url. If it is right, the server may require a fixed token: set it as PLANHAT_MCP_TOKEN.",
        model "The server requires a sign-in but does not say where. Tell the user to check the configured URL.";
    BotProtection = "bot-protection", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "Bot protection, or another gateway, in front of [{host}|the server] blocks planhat-mcp[ (HTTP {status})][ (ray id {id})], so it cannot find out where to sign in.",
        cause "It answers in place of the server where programs look for the description of the sign-in. Nothing was assumed about what is behind it.",
        fix "Ask the operator of [{host}|the server] to let programs reach the paths below /.well-known/ without a challenge[; the ray id {id} shows them the request]. A VPN or a shared network can cause the challenge: try another one.",
        model "Bot protection keeps planhat-mcp from finding out where to sign in[ at {host}]. Tell the user; its operator has to let programs through[ (ray id {id})]. Repeating does not help.";
    EndpointsAssumed = "endpoints-assumed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The server does not publish a description of its sign-in, so planhat-mcp uses the addresses that an older version of MCP defines[ at {issuer}].",
        cause "None of the well-known places has one. The last one said: {detail}.",
        fix "If signing in works, there is nothing to do. If it does not, check --url; the server may require a fixed token, as PLANHAT_MCP_TOKEN.",
        model "The server does not publish a description of its sign-in, so its addresses are assumed. Tell the user to check the configured URL if signing in fails.";
    IssuerMismatch = "issuer-mismatch", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server's description of its sign-in names another authorization server than expected, so it was not used.",
        cause "Expected the issuer {expected}, but the document[ at {place}] names {found}. The two must be identical (RFC 8414, section 3.3).",
        fix "Check --url, and --issuer if you set it. If the server's operator says that {found} is its authorization server, accept this one with {setting}, in the settings of this profile, for your client and for `planhat-mcp login`. Otherwise report this to the operator.",
        model "The server's sign-in description names another issuer and was refused for safety. Tell the user[; only they can accept it, with {setting}].";
    ResourceMismatch = "resource-mismatch", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server's description of itself is for another resource than expected, so it was not used.",
        cause "Expected {expected}, but the document[ at {place}] describes {found} (RFC 9728, section 3.3).",
        fix "Compare --url, and --resource if you set it, with the server's documentation. If {found} is what its operator calls the server, accept this one with {setting}, in the settings of this profile, for your client and for `planhat-mcp login`: the server at {url} then gets tokens that are issued for it.",
        model "The server describes itself as another resource. Tell the user to check the configured URL[; only they can accept the other one, with {setting}].";
    SchemeDropped = "scheme-dropped", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server[ {host}] names an http address[ for its {purpose}][, {found},] although it is reached by https, so that address was not used.",
        cause "The scheme alone is wrong: a proxy in front of the server ends TLS, and the server behind it does not know that it is reached by https.",
        fix "Ask the operator of [{host}|the server] to have the proxy send X-Forwarded-Proto: https, and the server trust it. Until then {setting}, in the settings of this profile, accepts the name unchanged.",
        model "The server names an http address although it is reached by https, so that address was not used. Tell the user: the operator's proxy has to send X-Forwarded-Proto.";
    NoS256 = "no-s256", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server[ {issuer}] lists PKCE methods without S256, so no sign-in is started.",
        cause "It lists {found}, which do not protect the authorization code from anyone who sees the request, and MCP requires S256.",
        fix "Ask the server's operator to support S256 and to list it in the metadata. No setting lifts this.",
        model "The authorization server lacks a required protection (PKCE S256). Tell the user; repeating does not help.";
    S256Unlisted = "s256-unlisted", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server[ {issuer}] does not say whether it supports PKCE with S256, so no sign-in is started.",
        cause "Expected S256 in code_challenge_methods_supported, but found none in its metadata. Without PKCE a stolen authorization code could be used by others, and MCP requires it.",
        fix "Ask the server's operator to list S256. If the server's documentation says that it supports S256 (as Entra ID and Cognito do without listing it), [{setting}|--allow-unlisted-s256] in the settings of this profile, for your client and for `planhat-mcp login`, sends it anyway.",
        model "The authorization server does not list a required protection (PKCE S256). Tell the user; only they can allow it, with [{setting}|--allow-unlisted-s256].";
    UnsafeEndpoint = "unsafe-endpoint", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server gave an address[ for its {purpose}] that planhat-mcp refuses to use[: {detail}].",
        cause "The server is set up wrongly, or is hostile. Such an address must be https (or http to this computer), with a host and without a user name.",
        fix "Do not open it by hand. Check --url, and report this to the server's operator.",
        model "An address that the server names for the sign-in was refused for safety. Tell the user; do not pass the address on.";
    InwardAddress = "inward-address", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "A public server gave a sign-in address that points to this computer or your private network[: {host} ({address})]. It was not used.",
        cause "The server is hostile or set up wrongly. Or the name belongs to your company, and leads to a private address from this network.",
        fix "If you know that the sign-in belongs there, allow the host with [{setting}|--allow-private HOST], or with allow_private in the configuration file. Otherwise do not open it by hand, and report this to the server's operator.",
        model "A public server gave a sign-in address that points to the user's own network[: {host}], and it was refused for safety. Tell the user; only they can allow it, with [{setting}|--allow-private HOST].";
    PageHostUnknown = "page-host-unknown", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in page was not opened: this computer cannot find its host[, {host}].",
        cause "A public server named the page, and without its address planhat-mcp cannot tell whether it points to this computer or your private network. The name is wrong, or DNS does not work here.",
        fix "Check that DNS works, then try again. If only your browser can find the host, and you know that the sign-in belongs there, allow it with [{setting}|--allow-private HOST], or with allow_private in the configuration file.",
        model "This computer cannot find the host of the sign-in page[, {host}], so the page was not opened, for safety. Tell the user to check the network; only they can allow the host, with [{setting}|--allow-private HOST].";
    TokenEndpointError = "token-endpoint-error", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server did not issue a token[: {error}][ ({error_description})].",
        cause "The settings here do not match how the app is registered, or the server has a fault.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. If this keeps happening, check the app's registration at the server.",
        model "The authorization server issued no token[: {error}][ ({error_description})]. Ask the user to sign in again.";
    TokenAnswerInvalid = "token-answer-invalid", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server's token answer cannot be used[: {detail}][ (HTTP {status})].",
        cause "The server has a temporary problem, or something in between (such as a proxy) replied instead.",
        fix "Try again in a moment. If this keeps happening, report it to the server's operator.",
        model "The authorization server's answer could not be used. Try again later; tell the user if this keeps happening.";
    TokenTypeUnusable = "token-type-unusable", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server issued a token[ of the type {found}] that planhat-mcp cannot use.",
        cause "MCP presents tokens as Bearer (RFC 6750). This one has a scheme of its own, which was not requested.",
        fix "Ask the server's operator to issue bearer tokens to this client. If the server offers tokens of several kinds, `--authorize-param NAME=VALUE` adds to the request what its documentation names for bearer tokens.",
        model "The authorization server issues tokens of a type that cannot be used. Tell the user to ask the server's operator for bearer tokens; repeating does not help.";
    TokenInsideMember = "token-inside-member", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server granted access, but its answer has no access token where it belongs[; there is one inside {member}].",
        cause "The token belongs at the top of the answer (RFC 6749, 5.1). Servers that separate the tokens of users and of apps put the one that was not requested elsewhere.",
        fix "Ask for the other kind with `--authorize-param NAME=VALUE`, as the server's documentation says; at Slack that is `--authorize-param user_scope=SCOPES`, at endpoints for users. Or create a token in the server's own settings, and store it with `planhat-mcp login --token-from-stdin`.",
        model "The authorization server's answer has the token in another place than the standard says[, inside {member}], so it was not used. Tell the user to ask for the right kind of token with --authorize-param, as the server's documentation says (at Slack: user_scope); repeating does not help.";
    CodeRejected = "code-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server rejected the authorization code.[ It said: {error_description}.]",
        cause "The code was used already or is too old, or this computer's clock is wrong.[ {clock}.]",
        fix "Sign in again with `[{command}|planhat-mcp login]`, and finish it within a minute.",
        model "The authorization code was rejected. Ask the user to sign in again.";
    GrantExpired = "grant-expired", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in[ to {service}] is no longer valid.[ The server said: {detail}.]",
        cause "It has expired, or the app was disconnected in the user's profile or by an admin.[ {clock}.]",
        fix "Sign in again: `[{command}|planhat-mcp login]`.",
        model "The user's sign-in has expired or was revoked. They have to sign in again.[ Link: {link}]";
    TokenRejected = "token-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "[{host}|The server] rejected a token that had just been issued.[ It said: {error_description}.]",
        cause "The token is for another environment or address, this computer's clock is wrong, or the app was disabled. Some servers do not know the audience that the parameter `resource` asks for.",
        fix "If the server speaks of the audience or the resource, set --no-resource. Otherwise check --tenant or --url, and this computer's date and time. Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The server rejected a token that had just been issued.[ It said: {error_description}.] If it speaks of the audience, tell the user to set --no-resource and to sign in again; otherwise to check the configured tenant or URL. Repeating does not help.";
    TokenRefusedHere = "token-refused-here", code REFUSED, exit REMOTE, recovery Depends,
        what "[{host}|The server] accepts this sign-in for other requests, but not for this one[ (HTTP {status})].",
        cause "The user, or the app that they authorized, may not do this, or a gateway in front of the server refuses it.",
        fix "Ask the server's administrator for access. If every request fails like this, sign in again: `[{command}|planhat-mcp login]`.",
        model "The server accepts the user's sign-in for other requests, but not for this one, so it was not executed. Repeating does not help. Tell the user to ask the server's administrator; if other calls fail in the same way, they can sign in again with `[{command}|planhat-mcp login]`.";
    PlanhatStaticTokenRejected = "planhat-static-token-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "Planhat does not accept the access token from [{place}|PLANHAT_MCP_TOKEN] (HTTP 401).",
        cause "The Private App token was revoked or is not active, or it belongs to the other environment.",
        fix "Check in Planhat's App Center that the Private App is active, then [store its new token with `{token_command}`|set PLANHAT_MCP_TOKEN to a valid token]. Or remove it to sign in with a browser: unset PLANHAT_MCP_TOKEN, or run `planhat-mcp logout` for one that was stored.",
        model "The configured Private App token is not accepted. Tell the user to check in Planhat's App Center that it is active; repeating does not help.";
    StaticTokenRejected = "static-token-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "[{host}|The server] does not accept the access token from [{place}|PLANHAT_MCP_TOKEN] (HTTP 401).",
        cause "The token has expired, was revoked, or belongs to another server.",
        fix "[Store a valid token with `{token_command}`|Set PLANHAT_MCP_TOKEN to a valid token]. Or remove it to sign in with a browser: unset PLANHAT_MCP_TOKEN, or run `planhat-mcp logout` for one that was stored.",
        model "The configured access token is not accepted. Tell the user to replace it; repeating does not help.";
    StaticTokenSet = "static-token-set", code SIGN_IN, exit USAGE, recovery Depends,
        what "No sign-in is needed, because PLANHAT_MCP_TOKEN is set.",
        cause "That access token is sent unchanged, and turns the sign-in off.",
        fix "Unset PLANHAT_MCP_TOKEN to sign in with a browser.",
        model "A fixed access token is configured, so there is no sign-in. Continue without it.";
    TokenEndpointUnavailable = "token-endpoint-unavailable", code REMOTE, exit REMOTE, recovery Later,
        what "[{host}|The authorization server] cannot answer at the moment[ (HTTP {status})].[ It said: {error_description}.]",
        cause "It is overloaded, under maintenance, or out of reach.",
        fix "Try again [in {retry_after_seconds} s|shortly]. Nothing was executed, and an earlier sign-in is kept.[ No request is sent to it in the next {retry_after_seconds} s; if you cannot wait, sign in again: `{command}`.]",
        model "[{host}|The authorization server] is unavailable for the moment, so nothing was executed. Try again [in {retry_after_seconds} s|shortly]; no new sign-in is needed.";
    SignInUnavailable = "sign-in-unavailable", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in did not succeed, because [{host}|the authorization server] cannot answer at the moment[ (HTTP {status})].[ It said: {error_description}.]",
        cause "It is overloaded, under maintenance, or out of reach.",
        fix "Sign in again with `[{command}|planhat-mcp login]` [in {retry_after_seconds} s|when it answers again]. `planhat-mcp doctor` shows whether it does.",
        model "The user is not signed in: the sign-in did not succeed, because [{host}|the authorization server] cannot answer at the moment. Nothing was executed. Tell the user, and do not call again at once; the tool planhat_sign_in starts a new sign-in when the user asks for it.";
    BrowserFailed = "browser-failed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The browser could not be opened[: {detail}].",
        cause "No browser is set as the default, or BROWSER names one that does not start.",
        fix "Run `[{command}|planhat-mcp login --no-browser]` in a terminal.[ Or open this link yourself: {link}]",
        model "The browser could not be opened. Ask the user to [open this link to sign in, {link} , or to |]run `[{command}|planhat-mcp login --no-browser]` in a terminal.";
    NoDesktop = "no-desktop", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You are not signed in, and there is no display to open a browser on.",
        cause "planhat-mcp runs on a server, over SSH, or in a client that does not pass on DISPLAY.",
        fix "Run `[{command}|planhat-mcp login --no-browser]` in a terminal and open the link that it prints on any device. Then copy the address your browser ends on (it starts with [{redirect_url}|http://127.0.0.1]) and paste it into the terminal.[ Or open this link in a browser on this computer: {link}]",
        model "The user has to sign in, and no browser can be opened here.[ If they have a browser on this computer, ask them to open this link, {link} , then call again.] On any other device, ask them to run `[{command}|planhat-mcp login --no-browser]` in a terminal and to paste the address their browser ends on. Then call again.";
    SignInProcessFailed = "sign-in-process-failed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in could not start, or ended early[: {detail}].",
        cause "Security software may have stopped it.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal; it shows what is wrong.",
        model "The sign-in could not start. Ask the user to run `[{command}|planhat-mcp login]` in a terminal.";
}

/// The errors that only Planhat's authorization page shows, word for word, and what each of them means.
pub const PLANHAT_PAGE_ERRORS: &[(&str, super::ProblemId)] = &[
    ("Invalid client_id: OAuth client not found.", super::ProblemId::WrongEnvironment),
    ("Invalid redirect_uri: not registered for this client.", super::ProblemId::RedirectUrlNotRegistered),
    ("You do not have any of the permissions this application requests.", super::ProblemId::NoPermissions),
    ("OAuth permission check failed: missing permissions", super::ProblemId::MissingPermissions),
];
