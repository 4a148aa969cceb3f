//! Problems between a challenge and a token.

super::entry::entries! {
    SignInNeeded = "sign-in-needed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You are not signed in[ to {service}].",
        cause "There is no valid sign-in for this profile, or the server no longer accepts it.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal[, or open this link in a browser: {link} ].",
        model "The user has to sign in first. Ask them to [open this link, {link} , or to |]run `[{command}|planhat-mcp login]` in a terminal. Then call again.";
    SignInPending = "sign-in-pending", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "A sign-in is under way and waits for you in the browser.",
        cause "A browser tab was opened, and the sign-in there is not complete yet.",
        fix "Complete the sign-in in the browser, then try again. If the tab is closed, open this link: {link} .",
        model "A browser tab was opened for the user to sign in, and they have not finished. Ask them to complete it, then call again. If the tab is closed, this link opens it: {link} .";
    SignInNotWanted = "sign-in-not-wanted", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "[{host}|The server] needs no sign-in.",
        cause "It takes requests without one, and nothing there says where to sign in.",
        fix "There is nothing to do: your MCP client can use the server as it is. If it wants a token for some calls, give it with `planhat-mcp login --token-from-stdin`.",
        model "The server needs no sign-in. Go on without one.";
    SignInDeclined = "sign-in-declined", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You are not signed in[ to {service}], because the sign-in page was not to be opened.",
        cause "Your client asked whether to open it, and the answer was no.",
        fix "When you are ready, run `[{command}|planhat-mcp login]` in a terminal[, or open this link: {link} ].",
        model "The user declined to sign in[ to {service}], so nothing was executed. Do not ask again by yourself. When the user wants to sign in, call the tool planhat_sign_in, or ask them to run `[{command}|planhat-mcp login]` in a terminal[, or show them this link: {link} ].";
    PlanhatSignInTimedOut = "planhat-sign-in-timed-out", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was not completed[ within {minutes} minutes].",
        cause "The browser tab was left or closed, or Planhat's page showed an error that it does not pass on to this program.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. If the page said \"Invalid client_id: OAuth client not found\", the client id[ ({client_id})] is probably for the other environment: use --tenant demo for a tenant at ws.planhatdemo.com, and --tenant production otherwise. If it said \"Invalid redirect_uri: not registered for this client\", a Planhat admin adds exactly [{redirect_url}|the redirect URL that login prints] to the OAuth Client's Redirect URLs in the App Center. If it said \"You do not have any of the permissions this application requests\", a Planhat admin enables the wanted permissions in the OAuth Client's Permissions tab. If it said \"OAuth permission check failed: missing permissions\", sign in with --scope inclusive.",
        model "The user did not complete the sign-in in time. Ask whether Planhat's page showed an error: \"OAuth client not found\" means the wrong environment (production or demo tenant); \"Invalid redirect_uri\" means that a Planhat admin must register [{redirect_url}|the redirect URL]; \"You do not have any of the permissions\" means that an admin must enable permissions for the OAuth Client. Otherwise they can simply sign in again.[ Link: {link} .]";
    SignInTimedOut = "sign-in-timed-out", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was not completed[ within {minutes} minutes].",
        cause "The browser tab was left or closed, or the authorization page showed an error that it does not pass on to this program.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. If the page complained about the client id, check --client-id if you set it; without it, the next sign-in registers this program anew. If it complained about the redirect URL, register exactly [{redirect_url}|the redirect URL that login prints] at the server.",
        model "The user did not complete the sign-in in time. Ask whether the page showed an error; otherwise they can simply sign in again.[ Link: {link} .]";
    SignInCoolDown = "sign-in-cool-down", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The last sign-in did not succeed, so no browser opens by itself[ for the next {minutes} min].[ What went wrong: {detail}.]",
        cause "A tab that opens again and again would be a nuisance.",
        fix "When you are ready, run `[{command}|planhat-mcp login]` in a terminal[, or open this link: {link} ].",
        model "The last sign-in did not succeed.[ {advice}.] Ask the user whether to try again; the tool planhat_sign_in starts a new sign-in, and so does `[{command}|planhat-mcp login]` in a terminal.[ Link: {link} .]";
    SignInManual = "sign-in-manual", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "Somebody has to sign in[ to {service}], and no browser opens by itself.",
        cause "The setting sign_in is manual.",
        fix "Call the tool planhat_sign_in, or run `[{command}|planhat-mcp login]` in a terminal.",
        model "The user has to sign in[ to {service}] first, and wants no browser to open by itself. Ask them whether to sign in now; the tool planhat_sign_in starts it, and so does `[{command}|planhat-mcp login]` in a terminal. Then call again.";
    TooManyTabs = "too-many-tabs", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "No browser tab opens for a sign-in[ before {until}].[ Of those that open by themselves, {detail}.]",
        cause "A server that accepts no sign-in for long, or a program that asks for one again and again, would open tab after tab. Signing in through one of these tabs does not lift this.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal: it opens its page all the same, and lifts this when it succeeds.[ Or open this link in a browser: {link} .]",
        model "The user has to sign in, and no browser tab opens by itself[ before {until}], because too many have opened.[ What was wrong with the last sign-in: {advice}.] Ask the user to [open this link, {link} , or to |]run `[{command}|planhat-mcp login]` in a terminal, which lifts this. [In {minutes} min, planhat_sign_in gives a link again, but it|Calling planhat_sign_in again] opens no tab[ before {until}].";
    TooManySignIns = "too-many-sign-ins", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "No sign-in starts by itself[ before {until}], because too many have started[: {detail}].[ What was wrong with the last one: {advice}.]",
        cause "Something asks for a sign-in again and again, and each ends at once.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal: it shows why it ends.",
        model "No sign-in starts[ for the next {seconds} s], because too many have started.[ What was wrong with the last one: {advice}.] Do not call planhat_sign_in before then. Tell the user, and ask them to run `[{command}|planhat-mcp login]` in a terminal, which shows why.";
    TooManyTokenRequests = "too-many-token-requests", code REMOTE, exit REMOTE, recovery Later,
        what "No token is requested[ before {until}], because too many requests went to the token endpoint.[ For this profile, {detail}.]",
        cause "The server rejects tokens that it has just issued, or lets them end at once; or many programs share this sign-in.",
        fix "Wait until then[, {seconds} s from now], or run `[{command}|planhat-mcp login]` in a terminal, which lifts this when it succeeds. The sign-in is kept.",
        model "The token that this call needs is not requested[ for the next {seconds} s], because too many token requests were sent. Nothing was executed. Call again after that time and not before; if it goes on, tell the user that the server rejects the tokens that it issues.";
    SignInStopped = "sign-in-stopped", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was given up before it was complete.",
        cause "Somebody signed out, or started over in another window.",
        fix "Complete the newest sign-in, or run `[{command}|planhat-mcp login]` in a terminal.",
        model "The user gave the sign-in up, or started over elsewhere. Ask them whether to sign in; the tool planhat_sign_in starts it, and so does `[{command}|planhat-mcp login]` in a terminal.";
    AccessDenied = "access-denied", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "Access was not granted.[ The server said: {error_description}.]",
        cause "Somebody chose to cancel on the consent page, or the server does not allow this user to use the app.",
        fix "If that was not intended, sign in again with `[{command}|planhat-mcp login]` and allow the access.",
        model "The user, or the server, refused the access. Do not start another sign-in unless the user asks for it.";
    AuthorizationFailed = "authorization-failed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server refused the sign-in[: {error}][ ({error_description})].",
        cause "The request does not fit the way the app is registered, or the server has a problem of its own.",
        fix "Check --client-id and --scope if you set them, then sign in again with `[{command}|planhat-mcp login]`.",
        model "The authorization server refused the sign-in[: {error}][ ({error_description})]. Tell the user to check the client id and the scope if they are configured.";
    InvalidScope = "invalid-scope", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server does not accept the scope[ \"{scope}\"].",
        cause "The scope does not exist there, or the app may not ask for it.",
        fix "Leave --scope out to use the default (for Planhat: inclusive), or give one that the server offers.",
        model "The configured scope is not accepted. Tell the user to correct or remove the scope setting.";
    ScopeNeeded = "scope-needed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server wants to be told which scope is asked for, and none was.[ It said: {error_description}.]",
        cause "No scope is configured, and the MCP server names none. [The authorization server offers: {scope}.|The authorization server does not list what it offers, either.]",
        fix "Choose what you need of the server's scopes, and give it with --scope \"NAME NAME\", PLANHAT_MCP_SCOPE, or scope in the configuration file. Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The authorization server wants a scope, and none is configured.[ It offers: {scope}.] Tell the user to choose from its scopes and to set --scope.";
    NoPermissions = "no-permissions", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "You do not have any of the permissions that this application requests.",
        cause "The OAuth Client's Permissions tab in Planhat is empty, or it shares nothing with your Role.",
        fix "Ask a Planhat admin to enable the wanted permissions for the OAuth Client in the App Center. Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The Planhat OAuth Client grants nothing that this user's Role has. Tell the user that a Planhat admin must enable permissions for it in the App Center, then sign in again.";
    MissingPermissions = "missing-permissions", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The OAuth permission check failed, because permissions are missing.",
        cause "The older scope \"default\" asks for all of the OAuth Client's permissions, and your Role does not have all of them.",
        fix "Sign in again with the scope \"inclusive\", which asks for what both have: leave --scope out.",
        model "The scope \"default\" asks for more than the user's Role has. Tell the user to sign in with the scope \"inclusive\".";
    StateMismatch = "state-mismatch", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The browser came back with an answer to another sign-in, so it was not used.",
        cause "The tab belongs to an earlier sign-in, or another page tried to slip in an answer.",
        fix "Complete the sign-in in the newest tab, or start over with `[{command}|planhat-mcp login]`.",
        model "The browser's answer belongs to another sign-in. Ask the user to complete the newest tab or to sign in again.";
    CallbackIncomplete = "callback-incomplete", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The answer to the sign-in cannot be used[: {detail}].",
        cause "The authorization server made a mistake, or the address was cut when it was copied.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. When you paste the address, copy all of it.",
        model "The sign-in came back incomplete. Ask the user to sign in again.";
    CallbackEmpty = "callback-empty", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The address holds no answer to the sign-in, which goes on.",
        cause "Something else than the authorization server opened it, such as a browser extension, or it was cut when it was copied or reloaded.",
        fix "Complete the sign-in in its own tab. When you paste the address, copy all of it.",
        model "The browser's address held no answer. The sign-in goes on: ask the user to complete it in its own tab.";
    CallbackIssuerMismatch = "callback-issuer-mismatch", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in was answered by another authorization server than the one that was asked, so it was not used.",
        cause "Expected {expected}, but the answer names {found}. This can be an attack (RFC 9207), or a server that is set up wrongly.",
        fix "Do not repeat this on a network that you do not trust. If it goes on, report it to the server's operator.",
        model "The sign-in was answered by the wrong authorization server and was refused for safety. Tell the user.";
    CallbackIssuerSlash = "callback-issuer-slash", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The answer to the sign-in writes the authorization server's name with another last slash than its own document, so it was not used.",
        cause "Expected {expected}, but the answer names {found}. It is most likely the same server, which writes its name in two ways; the two must be identical (RFC 9207, section 2.4).",
        fix "Report it to the server's operator. To accept both forms of this one name, add {setting} to the settings of this profile, for your client and for `planhat-mcp login`.",
        model "The sign-in was answered under the server's name with another last slash, and was refused. Tell the user[; only they can accept it, with {setting}].";
    PastedUrlInvalid = "pasted-url-invalid", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "What was pasted is not the address that the browser ended on[: {detail}].",
        cause "The address was cut, or copied from another page.",
        fix "Copy the whole address from the browser's address bar after you allowed the access. It begins with [{redirect_url}|the redirect URL].",
        model "The pasted address is not the redirect URL. Ask the user to copy the whole address.";
    PortInUse = "port-in-use", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The port for the sign-in[, {port},] is already in use[ by {owner}].",
        cause "Another program on this machine listens there, perhaps another sign-in. No other port is chosen by itself, because the redirect URL has to match the registered one exactly.",
        fix "[A sign-in of this program waits there, in process {process}, with another profile or another home folder. Complete it in its browser tab, or end that process|End the other program, or choose another port with --callback-port and register its redirect URL as well]. The redirect URL in use is {redirect_url} .",
        model "The local port for the sign-in[, {port},] is taken by another program. Tell the user to free it, or to choose another with --callback-port and register that redirect URL.";
    ListenFailed = "listen-failed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The answer to the sign-in cannot be received[ at {place}][: {detail}].",
        cause "The system does not allow listening there, or a security program forbids it.",
        fix "Choose another port with --callback-port, and register its redirect URL. Or use `[{command}|planhat-mcp login --no-browser]` and paste the address.",
        model "The local port for the sign-in could not be opened. Tell the user to choose another with --callback-port.";
    PlanhatClientIdMissing = "planhat-client-id-missing", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "No Planhat client id is configured, and Planhat needs one.",
        cause "Planhat has no automatic registration: a Planhat admin creates an OAuth Client once for the whole organisation.",
        fix "Ask a Planhat admin to create an OAuth Client in the App Center, to enter exactly [{redirect_url}|the redirect URL that planhat-mcp config shows] under Redirect URLs, and to choose its permissions. Then run `planhat-mcp login --client-id pk_...` in a terminal, which asks for the client secret (sk_...), and start the client again. Or set the client id with --client-id, PLANHAT_MCP_CLIENT_ID, or client_id in [{config_file}|the configuration file], and the secret with PLANHAT_MCP_CLIENT_SECRET.",
        model "No Planhat client id is configured. Tell the user that a Planhat admin creates an OAuth Client in the App Center with exactly this redirect URL: [{redirect_url}|see planhat-mcp config]; its client id and secret then go into the configuration of planhat-mcp.";
    ClientIdMissing = "client-id-missing", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "No client id is configured for [{issuer}|this server], and it cannot be had automatically.",
        cause "The authorization server wants apps to be registered beforehand.",
        fix "Register an app there with the redirect URL [{redirect_url}|that planhat-mcp config shows], and give its id with --client-id or PLANHAT_MCP_CLIENT_ID. A secret, if there is one, goes into PLANHAT_MCP_CLIENT_SECRET.",
        model "No client id is configured for this server. Tell the user to register an app there and to set --client-id.";
    SecretWithoutClientId = "secret-without-client-id", code SIGN_IN, exit USAGE, recovery Settings,
        what "A client secret is configured, but no client id.",
        cause "The two belong together: Planhat shows both when the OAuth Client is created (pk_... and sk_...).",
        fix "Set the client id with --client-id, PLANHAT_MCP_CLIENT_ID, or client_id in the configuration file.",
        model "A client secret is configured without its client id. Tell the user to set the client id as well.";
    ClientSecretMissing = "client-secret-missing", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server wants a client secret for the client id[ {client_id}], and none is configured.",
        cause "The app is registered as confidential.",
        fix "Store the secret once with `planhat-mcp login --client-secret-file FILE` (or - to type it), or set PLANHAT_MCP_CLIENT_SECRET. Or have the admin make the app a public client, and run `planhat-mcp login` once.",
        model "The client secret is missing. Tell the user to store it with planhat-mcp login --client-secret-file, or to set PLANHAT_MCP_CLIENT_SECRET.";
    InvalidClient = "invalid-client", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server does not accept this client[ ({client_id})].[ It said: {error_description}.]",
        cause "The client id does not exist there, or its secret is wrong, was replaced, or belongs to another client id.[ {clock}.]",
        fix "Compare client id and secret with the OAuth Client (for Planhat in the App Center), set both anew, and sign in again with `[{command}|planhat-mcp login]`.",
        model "The server does not accept the configured client id and secret. Tell the user to check both; repeating does not help.";
    RegisteredClientRefused = "registered-client-refused", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server does not accept the registration that it gave this program[ ({client_id})].[ It said: {error_description}.]",
        cause "It has forgotten the registration, as some servers do when they restart, or it wants another kind of registration.[ {clock}.]",
        fix "Sign in again with `[{command}|planhat-mcp login]`: the program registers itself anew. If that is refused as well, ask the server's operator for a client id, and give it with --client-id.",
        model "The server does not accept the registration that it gave this program. Ask the user to sign in again, which registers it anew. If that is refused as well, the server's operator can give out a client id.";
    RedirectUrlNotRegistered = "redirect-url-not-registered", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The redirect URL[ {redirect_url}] is not registered for this client.",
        cause "The server compares it letter by letter with the registered ones: 127.0.0.1 and localhost differ, and so do ports.",
        fix "Whoever administers the app (for Planhat: an admin, in the App Center, under Redirect URLs of the OAuth Client) adds exactly [{redirect_url}|the redirect URL that planhat-mcp config shows]. Or use --callback-host and --callback-port to match one that is registered.",
        model "The redirect URL is not registered. Tell the user that whoever administers the app (for Planhat: an admin, in the App Center) must add exactly [{redirect_url}|the URL that planhat-mcp config shows] to its redirect URLs.";
    RegistrationRefused = "registration-refused", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server[ {issuer}] does not register this program[: {error}][ ({error_description})][ (HTTP {status})].",
        cause "It may register only programs that it knows, or want an administrator to do it.",
        fix "Ask its administrator for a client id, and give it with --client-id or PLANHAT_MCP_CLIENT_ID.",
        model "The authorization server does not register this program by itself. Tell the user to get a client id from its administrator and to set --client-id.";
    IssuerMoved = "issuer-moved", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server now names another authorization server than the one that the client id[ {client_id}] was used with, so nothing was sent there.",
        cause "So far it was {expected}, and now it is {found}. The server may have moved; or somebody is after the client's secret and the sign-in.",
        fix "Ask the server's operator. If it has really moved, register the app at the new authorization server, set its client id, and run `[{logout_command}|planhat-mcp logout]` before you sign in again.",
        model "The server names another authorization server than before, and the configured client was not used there, for safety. Tell the user to ask the server's operator.";
    TokenEndpointMoved = "token-endpoint-moved", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The token endpoint[, which the setting {setting} names,] is now another one than the one that the sign-in and the client[ {client_id}] were used with, so nothing stored was sent there.",
        cause "So far it was {expected}, and now it is {found}. [Somebody changed the setting {setting}, perhaps in the configuration of a project, and|The server's own description now names it: the server has moved, or somebody] may be after the stored sign-in and the client's secret.",
        fix "If you do not expect this, [remove the setting {setting} (--token-endpoint, PLANHAT_MCP_TOKEN_ENDPOINT, or token_endpoint in a configuration file)|ask the server's operator, and do not sign in before you know]. If it is meant, run `[{logout_command}|planhat-mcp logout]` and then `[{command}|planhat-mcp login]`, which begins anew there.",
        model "The token endpoint is another one than the sign-in came from, and nothing stored was sent there, for safety. Tell the user: unless they expect it, [the setting {setting} is to be removed|they ask the server's operator first]. Do not change it by yourself.";
    TokenEndpointUnconfirmed = "token-endpoint-unconfirmed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The settings put a token endpoint of another origin in place of the authorization server's own, and nobody has confirmed that.",
        cause "The server's own is {expected}, and the settings name {found}. Whoever runs that one gets the code of your consent.",
        fix "If you do not expect this, remove the setting (--token-endpoint, PLANHAT_MCP_TOKEN_ENDPOINT, or token_endpoint in a configuration file). If it is meant, run `[{command}|planhat-mcp login]` in a terminal once; later sign-ins start by themselves.",
        model "The settings name a token endpoint of another origin than the authorization server's, so no sign-in starts by itself, for safety. Tell the user: unless they expect it, the setting token_endpoint is to be removed; otherwise they run `[{command}|planhat-mcp login]` in a terminal once. Do not run it for them.";
    PinnedIssuerUnconfirmed = "pinned-issuer-unconfirmed", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The document that the setting issuer accepts names a token endpoint of another origin than the issuer's, and nobody has confirmed that.",
        cause "The issuer is {expected}, and the document, which stands elsewhere, names {found}. Whoever runs that one gets the code of your consent.",
        fix "If you do not expect this, remove the setting (--issuer, PLANHAT_MCP_ISSUER, or issuer in a configuration file). If it is meant, run `[{command}|planhat-mcp login]` in a terminal once; later sign-ins start by themselves.",
        model "The document of the pinned issuer names a token endpoint of another origin, so no sign-in starts by itself, for safety. Tell the user: unless they expect it, the setting issuer is to be removed; otherwise they run `[{command}|planhat-mcp login]` in a terminal once. Do not run it for them.";
    DeviceNotOffered = "device-not-offered", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server[ {issuer}] offers no sign-in with a code on another device.",
        cause "It does not support the device authorization grant (RFC 8628), or does not say so.",
        fix "Sign in with `planhat-mcp login --no-browser`: open its link on any device, and paste the address on which the browser ends.",
        model "The server offers no sign-in with a code. Ask the user to run planhat-mcp login --no-browser in a terminal.";
    DeviceCodeExpired = "device-code-expired", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The code was not used in time.",
        cause "Nobody typed it at the page, or the access was not allowed there before it ended.",
        fix "Start over with `planhat-mcp login --device`, and type the new code soon.",
        model "The sign-in code expired. Ask the user to run planhat-mcp login --device again.";
    WrongEnvironment = "wrong-environment", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server does not know the client id[ {client_id}].",
        cause "Usually this is the wrong environment: production and demo tenants have different hosts, and an OAuth Client exists in one of them.",
        fix "For a tenant at ws.planhatdemo.com use --tenant demo (https://api.planhatdemo.com/v1/mcp), for all others --tenant production (https://api.planhat.com/v1/mcp). If the environment is right, compare the client id with the App Center.",
        model "The client id is unknown at this server, usually because it belongs to the other environment. Tell the user to check whether their tenant is production or demo (--tenant).";
    NoAuthorizationServer = "no-authorization-server", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server[ at {url}] wants a sign-in, but does not say where.",
        cause "None of the places that the MCP specification names holds a description of an authorization server. The last one said: {detail}.",
        fix "Check --url. If it is right, the server may want a fixed token: set it as PLANHAT_MCP_TOKEN.",
        model "The server wants a sign-in but does not say where. Tell the user to check the configured URL.";
    BotProtection = "bot-protection", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "A protection against bots, or another gateway, in front of [{host}|the server] refuses this program[ (HTTP {status})][ (ray id {id})], so that nobody can tell where to sign in.",
        cause "It answers in place of the server where programs look for the description of the sign-in. Nothing was assumed of what lies behind it.",
        fix "Ask the operator of [{host}|the server] to let programs reach the paths below /.well-known/ without a challenge[; the ray id {id} shows them the request]. A VPN or a shared network can be why you are challenged: try another one.",
        model "A protection against bots keeps this program from finding out where to sign in[ at {host}]. Tell the user; its operator has to let programs through[ (ray id {id})]. Repeating does not help.";
    EndpointsAssumed = "endpoints-assumed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The server publishes no description of its sign-in, so the places that an older revision of MCP names are assumed[ at {issuer}].",
        cause "None of the well-known places holds one. The last one said: {detail}.",
        fix "If signing in works, nothing is to be done. If it does not, check --url; the server may want a fixed token, as PLANHAT_MCP_TOKEN.",
        model "The server publishes no description of its sign-in, so its places are assumed. Tell the user to check the configured URL if signing in fails.";
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
        fix "Ask the operator of [{host}|the server] to have the proxy send X-Forwarded-Proto: https, and the server trust it. Until then {setting}, in the settings of this profile, accepts the name as it is.",
        model "The server names an http address although it is reached by https, so that address was not used. Tell the user: the operator's proxy has to send X-Forwarded-Proto.";
    NoS256 = "no-s256", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server[ {issuer}] lists PKCE methods without S256, so no sign-in is started.",
        cause "It lists {found}, which do not protect the authorization code from whoever sees the request, and MCP requires S256.",
        fix "Ask the server's operator to support S256 and to list it in the metadata. No setting lifts this.",
        model "The authorization server lacks a required protection (PKCE S256). Tell the user; repeating does not help.";
    S256Unlisted = "s256-unlisted", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server[ {issuer}] does not say whether it supports PKCE with S256, so no sign-in is started.",
        cause "Expected S256 in code_challenge_methods_supported, but found none in its metadata. Without PKCE a stolen authorization code could be used by others, and MCP requires it.",
        fix "Ask the server's operator to list S256. If the server's documentation says that it supports S256 (as Entra ID and Cognito do without listing it), [{setting}|--allow-unlisted-s256] in the settings of this profile, for your client and for `planhat-mcp login`, sends it all the same.",
        model "The authorization server does not list a required protection (PKCE S256). Tell the user; only they can allow it, with [{setting}|--allow-unlisted-s256].";
    UnsafeEndpoint = "unsafe-endpoint", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The server names an address[ for its {purpose}] that is not used[: {detail}].",
        cause "The server is set up wrongly, or is hostile. Such an address has to be https (or http to this machine), with a host and without a user name.",
        fix "Do not open it by hand. Check --url, and report this to the server's operator.",
        model "An address that the server names for the sign-in was refused for safety. Tell the user; do not pass the address on.";
    InwardAddress = "inward-address", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "A public server names an address for the sign-in that leads into this machine or its network[: {host} ({address})]. It was not used.",
        cause "The server is hostile or set up wrongly. Or the name belongs to your company, and leads to an inner address from here.",
        fix "If you know that the sign-in belongs there, allow the host with [{setting}|--allow-private HOST], or with allow_private in the configuration file. Otherwise do not open it by hand, and report this to the server's operator.",
        model "A public server names an address for the sign-in that leads into the user's own network[: {host}], and it was refused for safety. Tell the user; only they can allow it, with [{setting}|--allow-private HOST].";
    PageHostUnknown = "page-host-unknown", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The page for the sign-in was not opened: this machine does not find its host[, {host}].",
        cause "A public server named the page, and without its address nobody can tell whether it leads into this machine or its network. The name is wrong, or DNS does not answer here.",
        fix "Check that DNS works, then try again. If only your browser can find the host, and you know that the sign-in belongs there, allow it with [{setting}|--allow-private HOST], or with allow_private in the configuration file.",
        model "This machine does not find the host of the sign-in page[, {host}], so the page was not opened, for safety. Tell the user to check the network; only they can allow the host, with [{setting}|--allow-private HOST].";
    TokenEndpointError = "token-endpoint-error", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server did not give a token[: {error}][ ({error_description})].",
        cause "The request does not fit the way the app is registered, or the server has a problem of its own.",
        fix "Sign in again with `[{command}|planhat-mcp login]`. If it goes on, check the app's registration at the server.",
        model "The authorization server gave no token[: {error}][ ({error_description})]. Ask the user to sign in again.";
    TokenAnswerInvalid = "token-answer-invalid", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server's token answer cannot be used[: {detail}][ (HTTP {status})].",
        cause "The server has a passing problem, or something in between answered for it.",
        fix "Try again in a moment. If it goes on, report it to the server's operator.",
        model "The authorization server's answer could not be used. Try again later; tell the user if it goes on.";
    TokenTypeUnusable = "token-type-unusable", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server gave a token[ of the type {found}] that this program cannot present.",
        cause "MCP presents tokens as Bearer (RFC 6750). This one has a scheme of its own, which nobody asked for.",
        fix "Ask the server's operator to issue bearer tokens to this client. If the server offers tokens of several kinds, `--authorize-param NAME=VALUE` adds to the request what its documentation names for bearer tokens.",
        model "The authorization server issues tokens of a type that cannot be used. Tell the user to ask the server's operator for bearer tokens; repeating does not help.";
    TokenInsideMember = "token-inside-member", code SIGN_IN, exit SIGN_IN, recovery Settings,
        what "The authorization server granted access, but its answer holds no access token where it belongs[; there is one inside {member}].",
        cause "The token belongs at the top of the answer (RFC 6749, 5.1). Servers that keep tokens of people and of apps apart put the one that was not asked for elsewhere.",
        fix "Ask for the other kind with `--authorize-param NAME=VALUE`, as the server's documentation says; at Slack that is `--authorize-param user_scope=SCOPES`, at endpoints for users. Or get a token in the server's own settings, and give it with `planhat-mcp login --token-from-stdin`.",
        model "The authorization server's answer holds the token in another place than the standard says[, inside {member}], so it was not used. Tell the user to ask for the right kind of token with --authorize-param, as the server's documentation says (at Slack: user_scope); repeating does not help.";
    CodeRejected = "code-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The authorization server did not accept the sign-in's code.[ It said: {error_description}.]",
        cause "The code was used already or is too old, or this machine's clock is wrong.[ {clock}.]",
        fix "Sign in again with `[{command}|planhat-mcp login]`, and complete it without a long pause.",
        model "The sign-in's code was not accepted. Ask the user to sign in again.";
    GrantExpired = "grant-expired", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in[ to {service}] is no longer valid.[ The server said: {detail}.]",
        cause "It has expired, or the app was disconnected in the user's profile or by an admin.[ {clock}.]",
        fix "Sign in again: `[{command}|planhat-mcp login]`.",
        model "The user's sign-in has expired or was withdrawn. They have to sign in again.[ Link: {link} .]";
    TokenRejected = "token-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "[{host}|The server] refuses a token that was issued just now.[ It said: {error_description}.]",
        cause "The token is for another environment or address, this machine's clock is wrong, or the app was disabled. Some servers do not know the audience that the parameter `resource` asks for.",
        fix "If the server speaks of the audience or the resource, set --no-resource. Otherwise check --tenant or --url, and the machine's date and time. Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The server refuses a fresh token.[ It said: {error_description}.] If it speaks of the audience, tell the user to set --no-resource and to sign in again; otherwise to check the configured tenant or URL. Repeating does not help.";
    TokenRefusedHere = "token-refused-here", code REFUSED, exit REMOTE, recovery Depends,
        what "[{host}|The server] accepts this sign-in for other requests, but not for this one[ (HTTP {status})].",
        cause "The user, or the app that they authorized, may not do this, or a gateway before the server refuses it.",
        fix "Ask the server's administrator for the access. If every request fails like this, sign in again: `[{command}|planhat-mcp login]`.",
        model "The server accepts the user's sign-in for other requests, but not for this one, so it was not executed. Repeating does not help. Tell the user to ask the server's administrator; if other calls fail in the same way, they can sign in again with `[{command}|planhat-mcp login]`.";
    PlanhatStaticTokenRejected = "planhat-static-token-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "Planhat does not accept the access token from [{place}|PLANHAT_MCP_TOKEN] (HTTP 401).",
        cause "The Private App token was revoked or is not active, or it belongs to the other environment.",
        fix "Check in Planhat's App Center that the Private App is active, and set its token anew[ with `{token_command}`]. Or remove it to sign in with a browser: unset PLANHAT_MCP_TOKEN, or run `planhat-mcp logout` for one that was stored.",
        model "The configured Private App token is not accepted. Tell the user to check in Planhat's App Center that it is active; repeating does not help.";
    StaticTokenRejected = "static-token-rejected", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "[{host}|The server] does not accept the access token from [{place}|PLANHAT_MCP_TOKEN] (HTTP 401).",
        cause "The token has expired, was revoked, or belongs to another server.",
        fix "Set a valid token[ with `{token_command}`]. Or remove it to sign in with a browser: unset PLANHAT_MCP_TOKEN, or run `planhat-mcp logout` for one that was stored.",
        model "The configured access token is not accepted. Tell the user to replace it; repeating does not help.";
    StaticTokenSet = "static-token-set", code SIGN_IN, exit USAGE, recovery Depends,
        what "There is nothing to sign in to, because PLANHAT_MCP_TOKEN is set.",
        cause "That access token is sent as it is, and switches the sign-in off.",
        fix "Unset PLANHAT_MCP_TOKEN to sign in with a browser.",
        model "A fixed access token is configured, so there is no sign-in. Go on without it.";
    TokenEndpointUnavailable = "token-endpoint-unavailable", code REMOTE, exit REMOTE, recovery Later,
        what "[{host}|The authorization server] cannot answer at the moment[ (HTTP {status})].[ It said: {error_description}.]",
        cause "It is overloaded, under maintenance, or out of reach. It was asked at {endpoint} .",
        fix "Try again [in {retry_after_seconds} s|shortly]. Nothing was executed, and an earlier sign-in is kept.[ It is not asked in the next {retry_after_seconds} s; if you cannot wait, sign in again: `{command}`.]",
        model "[{host}|The authorization server] is unavailable for the moment, so nothing was executed. Try again [in {retry_after_seconds} s|shortly]; no new sign-in is needed.";
    SignInUnavailable = "sign-in-unavailable", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in did not succeed, because [{host}|the authorization server] cannot answer at the moment[ (HTTP {status})].[ It said: {error_description}.]",
        cause "It is overloaded, under maintenance, or out of reach. It was asked at {endpoint} .",
        fix "Sign in again with `[{command}|planhat-mcp login]` [in {retry_after_seconds} s|when it answers again]. `planhat-mcp doctor` shows whether it does.",
        model "The user is not signed in: the sign-in did not succeed, because [{host}|the authorization server] cannot answer at the moment. Nothing was executed. Tell the user, and do not call again at once; the tool planhat_sign_in starts a new sign-in when the user asks for it.";
    BrowserFailed = "browser-failed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The browser could not be opened[: {detail}].",
        cause "No browser is set as the default, or BROWSER names one that does not start.",
        fix "Run `[{command}|planhat-mcp login --no-browser]` in a terminal[, or open this link yourself: {link} ].",
        model "The browser could not be opened. Ask the user to [open this link to sign in, {link} , or to |]run `[{command}|planhat-mcp login --no-browser]` in a terminal.";
    NoDesktop = "no-desktop", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "You are not signed in, and there is no display to open a browser on.",
        cause "The program runs on a server, over SSH, or in a client that passes no DISPLAY on.",
        fix "Run `[{command}|planhat-mcp login --no-browser]` in a terminal, open the link that it prints on any device, and paste the address on which the browser ends.[ In a browser on the same machine, this link is enough: {link} .]",
        model "The user has to sign in, and no browser can be opened here.[ If they have a browser on this very machine, ask them to open this link: {link} .] On any other device, ask them to run `[{command}|planhat-mcp login --no-browser]` in a terminal, which takes the address on which the browser ends. Then call again.";
    SignInProcessFailed = "sign-in-process-failed", code SIGN_IN, exit SIGN_IN, recovery Depends,
        what "The sign-in could not be started, or ended early[: {detail}].",
        cause "A security program may have stopped it.",
        fix "Run `[{command}|planhat-mcp login]` in a terminal; it shows what is wrong.",
        model "The sign-in could not be started. Ask the user to run `[{command}|planhat-mcp login]` in a terminal.";
}

/// The errors that only Planhat's authorization page shows, word for word, and what each of them means.
pub const PLANHAT_PAGE_ERRORS: &[(&str, super::ProblemId)] = &[
    ("Invalid client_id: OAuth client not found.", super::ProblemId::WrongEnvironment),
    ("Invalid redirect_uri: not registered for this client.", super::ProblemId::RedirectUrlNotRegistered),
    ("You do not have any of the permissions this application requests.", super::ProblemId::NoPermissions),
    ("OAuth permission check failed: missing permissions", super::ProblemId::MissingPermissions),
];
