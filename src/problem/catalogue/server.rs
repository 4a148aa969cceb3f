//! Problems in the server's answers.

super::entry::entries! {
    RateLimited = "rate-limited", code RATE_LIMITED, exit REMOTE, recovery Depends,
        what "Too many requests: the server is rate-limiting[ (HTTP {status})].[ It said: {server_said}.]",
        cause "Too many calls were made in a short time. Planhat allows about 200 a minute.",
        fix "Try again later. The server asks you to wait {retry_after_seconds} s.",
        model "Too many calls; this one was not carried out. Wait[ {retry_after_seconds} s] before calling again, and ask for more at a time.";
    PlanhatBadRequest = "planhat-bad-request", code REFUSED, exit REMOTE, recovery Final,
        what "Planhat refused the request as invalid (HTTP 400).[ It said: {server_said}.]",
        cause "A parameter is missing or has the wrong type.",
        fix "Check the types and the required fields with the tool get_model_action_parameters.",
        model "Planhat found the parameters invalid.[ It said: {server_said}.] Call get_model_action_parameters for this model and operation, correct the arguments, and try again.";
    PlanhatForbidden = "planhat-forbidden", code REFUSED, exit REMOTE, recovery Final,
        what "Planhat refused the request for lack of permissions (HTTP 403).[ It said: {server_said}.]",
        cause "The OAuth client's permissions, or your own Role, do not cover it. Permissions added since you last signed in take effect when you sign in again.",
        fix "Ask a Planhat admin to update the app's permissions in the App Center (or your Role). Then sign in again: `[{command}|planhat-mcp login]`.",
        model "The signed-in user or the app lacks permission for this in Planhat.[ It said: {server_said}.] Repeating does not help. Tell the user that a Planhat admin can extend the app's permissions in the App Center or the user's Role, and that they must sign in again afterwards.";
    PlanhatNotFound = "planhat-not-found", code REFUSED, exit REMOTE, recovery Final,
        what "Planhat does not know the requested model or operation (HTTP 404).[ It said: {server_said}.]",
        cause "The name of the model, the operation or the record is wrong, or the URL of the endpoint is.",
        fix "Check the supported models and operations with the tools get_model_actions or get_model_action_parameters. If every call fails like this, check --url.",
        model "Planhat does not know this model or operation.[ It said: {server_said}.] Call get_model_action_parameters (or get_model_actions) to see what is supported, then try again.";
    PlanhatServerError = "planhat-server-error", code REMOTE, exit REMOTE, recovery Depends,
        what "Planhat failed while handling the request[ (HTTP {status})].[ It said: {server_said}.]",
        cause "The fault is on Planhat's side. Whether the request took effect is unknown.",
        fix "If the request changes data, check whether it took effect before you repeat it. If this keeps happening, report it to Planhat[ with the request id {server_request_id}].[ The token may have been the reason: {renewed}.][ If the sign-in has ended, which some servers answer in this way, sign in again: `{sign_in}`.]",
        model "Planhat failed on its side[ (HTTP {status})]. The call may or may not have been carried out: check before repeating a change; reading can simply be repeated.[ The server asks to wait {retry_after_seconds} s first.][ The server said: {server_said}.][ The sign-in may have ended: if this keeps happening, tell the user to sign in again with `{sign_in}`.]";
    BadRequest = "bad-request", code REFUSED, exit REMOTE, recovery Final,
        what "The server refused the request as invalid (HTTP 400).[ It said: {server_said}.]",
        cause "A parameter is missing or wrong, or the server does not understand this protocol revision.",
        fix "Check the arguments against the tool's description. If every call fails like this, check --url.",
        model "The server found the request invalid.[ It said: {server_said}.] Check the arguments against the tool's input schema and try again.";
    Forbidden = "forbidden", code REFUSED, exit REMOTE, recovery Final,
        what "The server refused the request for lack of permissions (HTTP 403).[ It said: {server_said}.]",
        cause "Your account, or the app that you authorized, may not do this.",
        fix "Ask the server's administrator for the permission, then sign in again: `[{command}|planhat-mcp login]`.",
        model "The signed-in user lacks permission for this.[ It said: {server_said}.] Repeating does not help; tell the user to ask the server's administrator.";
    NotFound = "not-found", code REFUSED, exit REMOTE, recovery Final,
        what "The server found nothing at this address (HTTP 404).[ It said: {server_said}.]",
        cause "The path in --url is probably not the MCP endpoint.",
        fix "Compare --url[ ({url})] with the address in the server's documentation, including the path.",
        model "The server's endpoint was not found.[ It said: {server_said}.] Tell the user to check the configured URL.";
    MethodNotAllowed = "method-not-allowed", code REFUSED, exit REMOTE, recovery Final,
        what "The server does not accept MCP messages at this address[ (HTTP {status})].",
        cause "The path is not the MCP endpoint.",
        fix "Compare --url[ ({url})] with the address in the server's documentation.",
        model "The configured address is not an MCP endpoint.[ The server said: {server_said}.] Tell the user to check the URL; repeating does not help.";
    OldTransport = "old-transport", code REFUSED, exit REMOTE, recovery Final,
        what "[{host}|The server] speaks HTTP+SSE at this address, the transport that MCP replaced in 2025.",
        cause "Its stream begins with an `endpoint` event, and --transport http excludes that transport, or only some of its answers use it.",
        fix "Leave --transport out, to detect the transport automatically; or give the address of \"Streamable HTTP\" with --url, often /mcp in place of /sse.",
        model "The configured address speaks the old HTTP+SSE transport, which a setting excludes. Tell the user to leave --transport out; repeating does not help.";
    RequestTooLarge = "request-too-large", code REFUSED, exit REMOTE, recovery Depends,
        what "The server refused the request as too large (HTTP 413).[ It said: {server_said}.]",
        cause "The arguments exceed the server's own limit; Planhat accepts 32 MB.",
        fix "Send less at a time.",
        model "The request is too large for the server.[ It said: {server_said}.] Split it into smaller ones.";
    ServerError = "server-error", code REMOTE, exit REMOTE, recovery Depends,
        what "The server failed while handling the request[ (HTTP {status})].[ It said: {server_said}.]",
        cause "The fault is on the server's side. Whether the request took effect is unknown.",
        fix "If the request changes data, check whether it took effect before you repeat it. If this keeps happening, report it to the server's operator[ with the request id {server_request_id}].[ The token may have been the reason: {renewed}.][ If the sign-in has ended, which some servers answer in this way, sign in again: `{sign_in}`.]",
        model "The server failed on its side[ (HTTP {status})]. The call may or may not have been carried out: check before repeating a change; reading can simply be repeated.[ The server asks to wait {retry_after_seconds} s first.][ The server said: {server_said}.][ The sign-in may have ended: if this keeps happening, tell the user to sign in again with `{sign_in}`.]";
    HttpStatus = "http-status", code REMOTE, exit REMOTE, recovery Depends,
        what "The server refused the request[ (HTTP {status})].[ It said: {server_said}.]",
        cause "The response was not an MCP message.",
        fix "Check --url[ ({url})]. If the address is right, report this to the server's operator[ with the request id {server_request_id}].",
        model "The server refused the request[ (HTTP {status})].[ It said: {server_said}.] Tell the user if it happens again.";
    InsufficientScope = "insufficient-scope", code REFUSED, exit REMOTE, recovery Depends,
        what "This request needs more access than your sign-in covers[: {scope}].",
        cause "The sign-in did not request this scope.",
        fix "Sign in again and allow it: `[{command}|planhat-mcp login]`. If a scope is set with --scope, add what is named, or remove the setting.[ Or open this link in a browser: {link}]",
        model "The current sign-in does not cover this[; needed: {scope}]. Tell the user to sign in again with a wider scope.";
    ScopeNotNamed = "scope-not-named", code REFUSED, exit REMOTE, recovery Depends,
        what "This request needs more access than your sign-in covers, and the server does not say which scope.",
        cause "Neither its answer nor its metadata names a scope that the sign-in has not requested.",
        fix "Ask the server's operator which scope it needs, or look it up in its documentation. Then sign in with it, and add the same --scope to your MCP client's settings: `[{command}|planhat-mcp login] --scope \"NAME NAME\"`.",
        model "The current sign-in does not cover this, and the server does not say what is missing. Tell the user to ask its operator which scope it needs; signing in again without that does not help.";
    NotMcp = "not-mcp", code REMOTE, exit REMOTE, recovery Final,
        what "[{url}|The configured address] is not an MCP server[: it sent {content_type}].",
        cause "The address leads to a web page, a company's login page or a proxy's error page.",
        fix "Check --url. For Planhat it is https://api.planhat.com/v1/mcp, for a demo tenant https://api.planhatdemo.com/v1/mcp. On guest Wi-Fi, open a browser and sign in to the network first.[ The token may have been the reason: {renewed}.][ If the sign-in has ended, which some servers answer in this way, sign in again: `{sign_in}`.]",
        model "The configured address is not an MCP server. Tell the user to check the URL and the network; repeating does not help.[ The sign-in may have ended: if this keeps happening, tell the user to sign in again with `{sign_in}`.]";
    InvalidAnswer = "invalid-answer", code REMOTE, exit REMOTE, recovery Depends,
        what "The server answered, but not with valid JSON[: {detail}].",
        cause "The response was cut off or damaged on the way, or the server is at fault. Whether the request took effect is unknown.",
        fix "If the request changes data, check whether it took effect before you repeat it. If this keeps happening, report it to the server's operator.",
        model "The server's answer could not be read. The call may have been carried out; check before repeating a change.";
    WrongAnswerId = "wrong-answer-id", code REMOTE, exit REMOTE, recovery Depends,
        what "The server answered with the id of another request[ ({found})].",
        cause "The server is at fault. Whether the request took effect is unknown.",
        fix "If the request changes data, check whether it took effect before you repeat it. Report this to the server's operator.",
        model "The server's answer belongs to another request and was not used. The call may have been carried out; check before repeating a change.";
    NoAnswer = "no-answer", code REMOTE, exit REMOTE, recovery Later,
        what "The server accepted the request, but sent no answer[ (HTTP {status})].",
        cause "The server is at fault. Whether the request took effect is unknown.",
        fix "If the request changes data, check whether it took effect before you repeat it. If this keeps happening, report it to the server's operator.",
        model "The server sent no answer. The call may have been carried out; check before repeating a change.";
    StreamCut = "stream-cut", code REMOTE, exit REMOTE, recovery Depends,
        what "The server's answer broke off before it was complete.",
        cause "The connection broke in the middle of the stream, or the server ended it there. Whether the request took effect is unknown.",
        fix "If the request changes data, check whether it took effect before you repeat it.",
        model "The answer broke off. The call may have been carried out; check before repeating a change.";
    SessionLost = "session-lost", code REMOTE, exit REMOTE, recovery Depends,
        what "The server no longer knows the session, and this request could not be moved to a new one.",
        cause "The server was restarted, or the session was idle for too long.",
        fix "Repeat the request; it gets a new session. If it changes data, check first whether it took effect.",
        model "The server lost the session. Call again; check first if the call changes data.";
    RevisionRefused = "revision-refused", code REMOTE, exit REMOTE, recovery Final,
        what "The server and this MCP client have no protocol version in common[; the client asks for {revision}][; the server offers {offered}].",
        cause "One of the two is much older than the other. planhat-mcp tried each version that it supports up to the client's.",
        fix "Ask the server's operator which versions it supports: if they are newer, update the client; if they are older, the server needs an update.",
        model "The client and the server have no protocol version in common. Tell the user to ask the server's operator which versions it supports; repeating does not help.";
}
