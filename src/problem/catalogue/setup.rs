//! Problems with flags, variables and the configuration file.

super::entry::entries! {
    ConfigUnreadable = "config-unreadable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file[ {file}] cannot be read.",
        cause "[The system says: {detail}|The file is missing or may not be read].",
        fix "Correct the path in --config or PLANHAT_MCP_CONFIG, or the file's permissions.",
        model "The configuration file cannot be read. Tell the user to check it.";
    ConfigSyntax = "config-syntax", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Syntax error in [{file}|the configuration file][, line {line}, column {column}][: {detail}].",
        cause "It is not valid TOML.[ The parser expected: {expected}.]",
        fix "Correct that line. Text must be in straight quotes: client_id = \"pk_...\".",
        model "The configuration file has a syntax error[ at {origin}]. Tell the user to correct it.";
    ConfigUnknownKey = "config-unknown-key", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file has an unknown key[: {key}][, at {origin}].",
        cause "The key is misspelled, or it belongs to another version.",
        fix "Correct or remove it. [Did you mean {suggestion}? ]All settings are listed by `planhat-mcp --help`, where client_id is --client-id.",
        model "The configuration file has an unknown key[: {key}]. Tell the user to correct it.";
    ConfigHoldsSecret = "config-holds-secret", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file contains a secret[ under {key}][, at {origin}], which is not accepted.",
        cause "Configuration files get copied, shared and backed up.",
        fix "Remove it there. Store the client secret once with `planhat-mcp login --client-secret-file -`, or set PLANHAT_MCP_CLIENT_SECRET; for an access token use `planhat-mcp login --token-from-stdin` or PLANHAT_MCP_TOKEN.",
        model "The configuration file contains a secret, which is not accepted. Tell the user to remove it there.";
    BadValue = "bad-value", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Invalid value for [{setting}|a setting][: {found}].",
        cause "[Expected: {expected}|The setting does not accept this value].",
        fix "[Did you mean {suggestion}? ]Correct it[ in {origin}], or remove it to use the default.",
        model "Invalid value for [{setting}|a setting]. Tell the user to correct it[ in {origin}][, to {suggestion}].";
    InsecureUrl = "insecure-url", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The address[ {url}] is not encrypted, so tokens would be readable on the way.",
        cause "Plain http is accepted only for this computer: 127.0.0.1, ::1 and localhost.",
        fix "Use https[ in {origin}].",
        model "The configured address is not encrypted and was refused. Tell the user to use https.";
    ServerNotAllowed = "server-not-allowed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The server[ {host}] is not one of those that are allowed on this computer.",
        cause "[{origin} allows: {expected}|The setting allowed_servers names others].",
        fix "Use one of the allowed servers. If you need this one, ask your organisation's administrator, who normally sets allowed_servers.",
        model "The configured server[ {host}] is not one of those that are allowed on this computer. Tell the user to ask their administrator.";
    AnswerMissing = "answer-missing", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "An answer is missing[, for {flag}], so nothing was set up.",
        cause "There is no terminal to ask you in, or your answer could not be used.",
        fix "Give it as an option[: {flag}]. `planhat-mcp setup --help` explains each option.",
        model "An answer is missing[, for {flag}], so nothing was set up. Give it as an option.";
    Conflict = "conflicting-settings", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Two settings contradict each other[: {detail}].",
        cause "Both are set in the same place[ ({origin})], so neither takes precedence.",
        fix "Remove one of the two.",
        model "Two settings contradict each other[: {detail}]. Tell the user to remove one.";
    SecretInArguments = "secret-in-arguments", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "A secret was given on the command line[ with {flag}], which is not accepted.",
        cause "Other programs can read command lines, and shells keep them in their history.",
        fix "Use `planhat-mcp login --client-secret-file FILE` (or - to type it), or set PLANHAT_MCP_CLIENT_SECRET; for an access token use `planhat-mcp login --token-from-stdin` or PLANHAT_MCP_TOKEN. Replace the secret that was given, because it may have been seen.",
        model "A secret was given on the command line, which is not accepted. Tell the user to use an environment variable or a file.";
    SecretFileUnusable = "secret-file-unusable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client secret cannot be read[ from {file}][: {detail}].",
        cause "The file is missing, empty or not readable, or it is a pipe or a device.",
        fix "Give a file that contains only the secret and that only you can read, or - to type it or pipe it into `planhat-mcp login`. To use the output of another program, put it into PLANHAT_MCP_CLIENT_SECRET.",
        model "The client secret cannot be read. Tell the user to check its file.";
    SecretFileExposed = "secret-file-exposed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Other users of this computer can read or change the file[ {file}] with the client's [{holds}|secret][ (its mode is {mode})].",
        cause "Anyone who has the secret can act as the client.",
        fix "Close it with chmod 600, or have `planhat-mcp doctor --fix` do it. If others may have read it, replace the secret at the server.",
        model "The file with the client's [{holds}|secret] is open to other users. Tell the user to close it with chmod 600.";
    TokenUnusable = "token-unusable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The access token cannot be stored[: {detail}].",
        cause "It was empty or contained spaces.",
        fix "Run `planhat-mcp login --token-from-stdin` and paste only the token, or pipe it in.",
        model "The access token could not be stored. Ask the user to run planhat-mcp login --token-from-stdin again.";
    ClientKeyUnusable = "client-key-unusable", code INTERNAL_ERROR, exit USAGE, recovery Settings,
        what "The client's private key cannot be used[: {detail}].",
        cause "[The file is {file}|No file is set with --client-key].",
        fix "Give a PEM file with --client-key that contains a private key without a password and that only you can read, and its signing algorithm with --client-key-alg.",
        model "The client's private key cannot be used. Tell the user to check --client-key and --client-key-alg.";
    ClientFileUnreadable = "client-file-unreadable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client's configuration file[ {file}] names planhat-mcp, but cannot be read[: {detail}].",
        cause "There is a missing or extra comma, quote or bracket (Windows paths need doubled backslashes), or you may not read the file.",
        fix "Fix it, in an editor that checks the syntax; until then the client starts none of the servers in that file.",
        model "The client's configuration file is broken[: {detail}]. Tell the user to correct it.";
    SecretInClientFile = "secret-in-client-file", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client's configuration file[ {file}] contains a secret[, as {place}].",
        cause "Anyone who can read the file, a backup of it, or the repository that contains it can use the secret.",
        fix "Remove it from there. Store a client secret in the keychain once, with `planhat-mcp login --client-secret-file -`; an access token with `planhat-mcp login --token-from-stdin`. If others may have read the file, replace the secret.",
        model "The client's configuration file contains a secret. Tell the user to store it with planhat-mcp login and to remove it there.";
    ClientCommandMissing = "client-command-missing", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The program that the client's configuration file[ {file}] starts does not exist[: {path}].",
        cause "It was moved or removed, or it is in a folder where the client does not look.",
        fix "Run `planhat-mcp install` with the client's name, which writes the path of this copy into the file. Or use the full path as the command (`which planhat-mcp`; Windows: `where.exe planhat-mcp`, with each `\\` doubled in JSON). Then restart the client.",
        model "The client starts a program that does not exist. Tell the user to correct the path in the client's configuration.";
    ClientSettingsWrong = "client-settings-wrong", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client's configuration file[ {file}] starts planhat-mcp with settings that it refuses[: {detail}].",
        cause "An option or a variable is misspelled, out of date, or has an invalid value.",
        fix "Correct the arguments and variables in that file, then restart the client. `planhat-mcp --help` explains each option.",
        model "The client starts planhat-mcp with settings that it refuses[: {detail}]. Tell the user to correct them.";
    ClientSettingsDiffer = "client-settings-differ", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "None of your MCP clients uses these settings.[ {detail}.]",
        cause "Each sign-in is for one server, profile and client id, so they would not use this one.",
        fix "Repeat this command with the options of the client that you want to check. Or give the clients the options used here, or put the settings that all of them need into the configuration file.",
        model "The client and this check use different settings. Tell the user to make them agree.";
    ConfirmationNeeded = "confirmation-needed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Nothing was removed.",
        cause "You did not confirm.",
        fix "Run `[{command}|planhat-mcp reset]` in a terminal and answer y, or add --yes.",
        model "Nothing was removed, because it was not confirmed.";
    FixNotConfirmed = "fix-not-confirmed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Nothing was changed.",
        cause "You did not confirm.",
        fix "Run `[{command}|planhat-mcp doctor --fix]` in a terminal and answer y, or add --yes.",
        model "Nothing was changed, because it was not confirmed.";
    Mendable = "mendable", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "Something that planhat-mcp stores on this computer needs repair.",
        cause "A process was killed, a disk was full, or another program changed it.",
        fix "Run `[{command}|planhat-mcp doctor --fix]`, which says what it will do, and asks first.",
        model "Something that planhat-mcp stores on this computer needs repair. Tell the user to run `[{command}|planhat-mcp doctor --fix]`.";
    ReportFailed = "report-failed", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "The report could not be written[ to {file}][: {detail}].",
        cause "The folder does not exist, or you may not write there.",
        fix "Name another file: `planhat-mcp doctor --report FILE`, or - to print it.",
        model "The report could not be written. Tell the user to name another file.";
    NoHome = "no-home", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "This account has no home directory, so there is nowhere to store settings and sign-ins.",
        cause "HOME is not set, and the system has no home directory for you.",
        fix "Set HOME to a directory that exists and that you may write to.",
        model "No home directory was found. Tell the user to set HOME.";
    LogFileFailed = "log-file-failed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The log file[ {file}] cannot be written[: {detail}].",
        cause "The directory does not exist, you may not write there, or that name belongs to something other than a file of yours.",
        fix "Give another path with --log-file, or leave it out to log to standard error.",
        model "The log file cannot be written. Tell the user to correct --log-file.";
}
