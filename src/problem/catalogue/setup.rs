//! Problems with flags, variables and the configuration file.

super::entry::entries! {
    ConfigUnreadable = "config-unreadable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file[ {file}] cannot be read.",
        cause "[The system says: {detail}|The file is missing or may not be read].",
        fix "Correct the path in --config or PLANHAT_MCP_CONFIG, or the file's permissions.",
        model "The configuration file cannot be read. Tell the user to check it.";
    ConfigSyntax = "config-syntax", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file is broken[ at {origin}][: {detail}].",
        cause "[Expected: {expected}|It is not valid TOML].",
        fix "Correct that line. Each line reads: key = \"value\". An example is in the README.",
        model "The configuration file is broken[ at {origin}]. Tell the user to correct it.";
    ConfigUnknownKey = "config-unknown-key", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file has a key that does not exist[: {key}][, at {origin}].",
        cause "The name is misspelled, or the key is of another version.",
        fix "Correct or remove it. The nearest key is {suggestion}. The command `planhat-mcp config` lists all of them.",
        model "The configuration file has an unknown key[: {key}]. Tell the user to correct it.";
    ConfigHoldsSecret = "config-holds-secret", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The configuration file holds a secret[ under {key}][, at {origin}], which is not accepted.",
        cause "Configuration files get copied, shared and backed up.",
        fix "Remove it there. Store the client secret once with `planhat-mcp login --client-secret-file -`, or set PLANHAT_MCP_CLIENT_SECRET; a static token goes into PLANHAT_MCP_TOKEN.",
        model "The configuration file holds a secret, which is not accepted. Tell the user to remove it there.";
    BadValue = "bad-value", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "A setting[, {setting},] has a value that cannot be used[: {found}].",
        cause "[Expected: {expected}].",
        fix "[Did you mean {suggestion}? ]Correct it[ in {origin}], or remove it to use the default.",
        model "A setting[, {setting},] has a wrong value. Tell the user to correct it[ in {origin}][, to {suggestion}].";
    InsecureUrl = "insecure-url", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The address[ {url}] is not encrypted, so tokens would be readable on the way.",
        cause "Plain http is accepted for this machine alone: 127.0.0.1, ::1 and localhost.",
        fix "Use https[ in {origin}].",
        model "The configured address is not encrypted and was refused. Tell the user to use https.";
    ServerNotAllowed = "server-not-allowed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The server[ {host}] is not among those that may be used here.",
        cause "[{origin} allows: {expected}|The setting allowed_servers names others].",
        fix "Use one of the allowed servers. If you need this one, ask whoever set allowed_servers, as a rule your organisation's administrator.",
        model "The configured server[ {host}] is not among those that may be used here. Tell the user to ask their administrator.";
    AnswerMissing = "answer-missing", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "An answer is missing[, for {flag}], so nothing was set up.",
        cause "There is no terminal to ask in, or what was typed could not be used.",
        fix "Give it as an option[: {flag}]. `planhat-mcp setup --help` explains each.",
        model "An answer is missing[, for {flag}], so nothing was set up. Give it as an option.";
    Conflict = "conflicting-settings", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Two settings contradict each other[: {detail}].",
        cause "Both were given at the same place[ ({origin})], so neither can win.",
        fix "Remove one of the two.",
        model "Two settings contradict each other[: {detail}]. Tell the user to remove one.";
    SecretInArguments = "secret-in-arguments", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "A secret was given on the command line[ with {flag}], which is not accepted.",
        cause "Every program on this machine can read command lines, and shells keep them in their history.",
        fix "Use `planhat-mcp login --client-secret-file FILE` (or - to type it), or set PLANHAT_MCP_CLIENT_SECRET; a static token goes into PLANHAT_MCP_TOKEN. Replace the secret that was given, because it may have been seen.",
        model "A secret was given on the command line, which is not accepted. Tell the user to use an environment variable or a file.";
    SecretFileUnusable = "secret-file-unusable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The file with the client secret[, {file},] cannot be used[: {detail}].",
        cause "It is missing, empty, may not be read, or is a pipe or device and no file.",
        fix "Give a file that holds the secret alone, readable by you only, or - to type it or pipe it into `planhat-mcp login`. What another program prints can go into PLANHAT_MCP_CLIENT_SECRET.",
        model "The file with the client secret cannot be used. Tell the user to check it.";
    SecretFileExposed = "secret-file-exposed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Others on this machine can read or change the file[ {file}] with the client's [{holds}|secret][ (its mode is {mode})].",
        cause "Whoever has the secret can act as the client.",
        fix "Close it with chmod 600, or have `planhat-mcp doctor --fix` do it. If others may have read it, replace the secret at the server.",
        model "The file with the client's [{holds}|secret] is open to other users. Tell the user to close it with chmod 600.";
    TokenUnusable = "token-unusable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The access token that was given cannot be kept[: {detail}].",
        cause "It was empty, or more than the token came with it.",
        fix "Run `planhat-mcp login --token-from-stdin` and paste the token alone, or pipe it in.",
        model "The access token could not be kept. Ask the user to run planhat-mcp login --token-from-stdin again.";
    ClientKeyUnusable = "client-key-unusable", code INTERNAL_ERROR, exit USAGE, recovery Settings,
        what "The client's private key cannot be used[: {detail}].",
        cause "[The file is {file}|No file is set with --client-key].",
        fix "Give a PEM file with --client-key that holds a private key without a password, readable by you only, and with --client-key-alg what it signs with.",
        model "The client's private key cannot be used. Tell the user to check --client-key and --client-key-alg.";
    ClientFileUnreadable = "client-file-unreadable", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client's configuration file[ {file}] names planhat-mcp, but cannot be understood[: {detail}].",
        cause "A comma, a quote or a bracket is missing or too many, or the file is not readable by you.",
        fix "Open the file in an editor that checks its form, and correct the place; until then the client starts no server from it.",
        model "The client's configuration file is broken[: {detail}]. Tell the user to correct it.";
    SecretInClientFile = "secret-in-client-file", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "A secret stands in the client's configuration file[ {file}][, as {place}].",
        cause "Whoever can read the file, a backup of it, or the repository that it is in can use the secret.",
        fix "Remove it there. A client secret is stored once, in the keychain, by `planhat-mcp login --client-secret-file -`; an access token by `planhat-mcp login --token-from-stdin`. If others may have read the file, replace the secret.",
        model "A secret stands in the client's configuration file. Tell the user to store it with planhat-mcp login and to remove it there.";
    ClientCommandMissing = "client-command-missing", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The program that the client's configuration file[ {file}] starts is not there[: {path}].",
        cause "It was moved or removed, or it lies in a folder in which the client does not look.",
        fix "Run `planhat-mcp install` with the name of the client, which writes the path of this copy into the file; then restart the client. By hand: `which planhat-mcp` shows the path, on Windows `where.exe planhat-mcp`; in a file of JSON, each `\\` of it is written twice.",
        model "The client starts a program that is not there. Tell the user to correct the path in the client's configuration.";
    ClientSettingsWrong = "client-settings-wrong", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client's configuration file[ {file}] starts planhat-mcp with settings that it refuses[: {detail}].",
        cause "An option or a variable is misspelled, out of date, or has a value that is not possible.",
        fix "Correct the arguments and variables in that file, then restart the client. `planhat-mcp --help` explains each option.",
        model "The client starts planhat-mcp with settings that it refuses[: {detail}]. Tell the user to correct them.";
    ClientSettingsDiffer = "client-settings-differ", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "No client starts planhat-mcp with the settings of this check.[ {detail}.]",
        cause "A sign-in counts for one server, profile and client id, so the clients would not share this one.",
        fix "Check the clients as they are set: repeat this command with their options. Or give them the options that were given here, or put what all of them need into the configuration file.",
        model "The client and this check use different settings. Tell the user to make them agree.";
    ConfirmationNeeded = "confirmation-needed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Nothing was removed.",
        cause "Removing needs a confirmation, and there was none.",
        fix "Run `[{command}|planhat-mcp reset]` in a terminal and answer y, or add --yes.",
        model "Nothing was removed, because nobody confirmed it.";
    FixNotConfirmed = "fix-not-confirmed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Nothing was changed.",
        cause "Mending needs a confirmation, and there was none.",
        fix "Run `[{command}|planhat-mcp doctor --fix]` in a terminal and answer y, or add --yes.",
        model "Nothing was changed, because nobody confirmed it.";
    Mendable = "mendable", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "Something that this program keeps here is not as it should be.",
        cause "A process was killed, a disk was full, or another program changed it.",
        fix "Have it mended with `[{command}|planhat-mcp doctor --fix]`, which says what it will do, and asks.",
        model "Something in the program's own files is not as it should be. Tell the user to run `[{command}|planhat-mcp doctor --fix]`.";
    ReportFailed = "report-failed", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "The report could not be written[ to {file}][: {detail}].",
        cause "The folder does not exist, or you may not write there.",
        fix "Name another file: `planhat-mcp doctor --report FILE`, or - to print it.",
        model "The report could not be written. Tell the user to name another file.";
    NoHome = "no-home", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "This account has no home directory, so there is no place for configuration and state.",
        cause "HOME is not set, and the system knows no home directory for the user.",
        fix "Set HOME to a directory that exists and that you may write to.",
        model "The program finds no home directory. Tell the user to set HOME.";
    LogFileFailed = "log-file-failed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The log file[ {file}] cannot be written[: {detail}].",
        cause "The directory does not exist, you may not write there, or something else than a file of yours has that name.",
        fix "Give another path with --log-file, or leave it out to log to standard error.",
        model "The log file cannot be written. Tell the user to correct --log-file.";
}
