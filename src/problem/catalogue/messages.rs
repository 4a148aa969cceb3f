//! Problems with a message between the client and the bridge.

super::entry::entries! {
    NotJson = "not-json", code PARSE_ERROR, exit FAILED, recovery Depends,
        what "A line on standard input is not JSON[: {detail}].",
        cause "The MCP client sent a line that is not one complete JSON message in UTF-8.",
        fix "Send one JSON-RPC message per line, in UTF-8. Nothing else is affected; the next line is read as usual.",
        model "The message was not valid JSON[: {detail}]. Send it again as one line of valid JSON.";
    NotJsonRpc = "not-json-rpc", code INVALID_REQUEST, exit FAILED, recovery Depends,
        what "A message on standard input is JSON, but not a JSON-RPC 2.0 message[: {detail}].",
        cause "The MCP client sent something that MCP does not define.",
        fix "Report it to the maker of the client. Nothing else is affected.",
        model "The message was not a valid JSON-RPC message[: {detail}].";
    EmptyBatch = "empty-batch", code INVALID_REQUEST, exit FAILED, recovery Depends,
        what "A batch on standard input contains no message.",
        cause "JSON-RPC 2.0 requires at least one message in a batch.",
        fix "Report it to the maker of the client. Nothing else is affected.",
        model "The batch was empty. Send at least one message.";
    BatchNotAllowed = "batch-not-allowed", code INVALID_REQUEST, exit FAILED, recovery Depends,
        what "A batch was sent, but the protocol revision in use[ ({revision})] does not allow batches.",
        cause "Only revision 2025-03-26 of MCP allows several messages in one array.",
        fix "Send each message on a line of its own.",
        model "Batches are not allowed in this protocol revision. Send each message on its own.";
    DuplicateId = "duplicate-id", code INVALID_REQUEST, exit FAILED, recovery Depends,
        what "A request uses an id[, {id},] that another unanswered request already has.",
        cause "Two answers with one id could not be told apart.",
        fix "Report it to the maker of the client. The earlier request continues.",
        model "The request id is already in use by an unanswered request. Use a new id.";
    TooManyInFlight = "too-many-in-flight", code RATE_LIMITED, exit FAILED, recovery Depends,
        what "Too many requests are waiting for an answer, so this one was not sent.",
        cause "The client sends requests faster than the server answers them, sends several very large ones at once, or keeps sending while the server cannot be reached.",
        fix "Wait for some of the answers, then send the request again. The earlier requests continue.",
        model "Too many calls are waiting for an answer, so this one was not carried out. Wait for other answers before calling again.";
    DuplicateMember = "duplicate-member", code INVALID_REQUEST, exit FAILED, recovery Depends,
        what "A message contains a member[, \"{member}\",] twice in one object.",
        cause "Readers disagree on which of the two counts, so such a message could pass a filter unseen.",
        fix "Report it to the maker of the client. Nothing else is affected.",
        model "The message contains a member twice[: {member}]. Send it once.";
    MessageTooLarge = "message-too-large", code INVALID_REQUEST, exit FAILED, recovery Depends,
        what "A message[ {direction}] is larger than the limit[ of {limit} bytes].",
        cause "The arguments or the result are unusually large.",
        fix "Ask for less at a time, or raise the limit with --max-message-bytes.",
        model "The message is larger than the limit[ of {limit} bytes]. Ask for less at a time (filters, fewer fields, pages).";
    MethodNotFound = "method-not-found", code METHOD_NOT_FOUND, exit FAILED, recovery Depends,
        what "The method[ {method}] is not available.",
        cause "The server does not offer it, or cannot be reached yet.",
        fix "There is nothing to do; clients that probe for newer methods continue without them.",
        model "This method is not available[: {method}]. Continue without it.";
    NotDeclared = "not-declared", code METHOD_NOT_FOUND, exit FAILED, recovery Depends,
        what "The client has not declared that it answers[ {method}], so the request was not passed on to it.",
        cause "A server may ask a client only for what the client declared in `initialize` (MCP, \"Capability Negotiation\").",
        fix "Report it to the maker of the server.",
        model "The client does not offer this[: {method}]. Continue without it.";
    ClientSilent = "client-silent", code REMOTE, exit FAILED, recovery Depends,
        what "The client has not answered a request of the server[ within {seconds} s], so planhat-mcp no longer waits for it.",
        cause "A question in the client was not answered, or the client has forgotten it.",
        fix "Repeat the call, and answer the question that comes with it.",
        model "The client did not answer[ within {seconds} s]. Continue without the answer.";
    ShuttingDown = "shutting-down", code INTERNAL_ERROR, exit FAILED, recovery Depends,
        what "The program planhat-mcp is shutting down, so this request was not completed.",
        cause "The MCP client ended the connection or stopped planhat-mcp.",
        fix "Start the client again. If the request changes data, check first whether it took effect.",
        model "The connection is closing. The request may not have been carried out; check before repeating a change.";
    NewSignIn = "new-sign-in", code REMOTE, exit FAILED, recovery Depends,
        what "You signed in again while this request was waiting, so it was not sent.",
        cause "The new sign-in may belong to another user, and the request was not meant to run as them.",
        fix "Repeat the request.",
        model "The user signed in again, so this request was not sent. Repeat it if it is still needed.";
    InternalError = "internal-error", code INTERNAL_ERROR, exit FAILED, recovery Depends,
        what "An internal error occurred in planhat-mcp[: {detail}].",
        cause "This is a bug in planhat-mcp.",
        fix "Try again. If it happens again, run with --log-level debug and report what the log says.",
        model "The local program planhat-mcp failed[: {detail}]. Try once more; if it fails again, tell the user.";
}
