//! Problems with the files of MCP clients, where this program writes itself into them.

super::entry::entries! {
    ClientFileBroken = "client-file-broken", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "The client's file[ {file}] cannot be changed[: line {line}, column {column}][: {detail}]. It was not changed.",
        cause "A comma, a quote or a bracket is missing or too many, or it holds something that planhat-mcp does not change.",
        fix "Open the file in an editor that checks its form, correct the place, and repeat the command. With --print the command shows what belongs there, to put it in by hand.",
        model "The client's file cannot be understood[: {detail}]. Tell the user to correct it.";
    ClientFileUnwritable = "client-file-unwritable", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "The client's file[ {file}] cannot be written[: {detail}]. It was not changed.",
        cause "It is protected, belongs to another user, or is made by another program (such as a manager of configuration), which would undo the change.",
        fix "Make the change where the file is made, or make the file writable, and repeat the command. With --print the command shows what belongs there.",
        model "The client's file cannot be written[: {detail}]. Tell the user.";
    ClientFileMoved = "client-file-moved", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "Another program has changed the file[ {file}] in the meantime, so it was not changed.",
        cause "The client itself, or an editor, wrote to it after the change was shown.",
        fix "Repeat the command, which reads the file again.",
        model "Another program has changed the client's file in the meantime. Tell the user to repeat the command.";
    ClientNameTaken = "client-name-taken", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Another server has the name[ {name}] in this file already[, {file}][: {detail}].",
        cause "It was set up there before, perhaps by hand and for the same purpose.",
        fix "Add --replace to put planhat-mcp in its place, or give it another name with --name.",
        model "Another server has the name[ {name}] in the client's file. Ask the user whether to replace it.";
    ClientPlaceUnknown = "client-place-unknown", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "[{client}|This client] has no list of servers of this kind[: {found}].",
        cause "Not every client has one for a project, or for yourself in a project.",
        fix "Leave out --for[, or give one of these: {expected}].",
        model "The client has no list of servers of this kind. Tell the user to leave out --for.";
    ClientTakesNoLink = "client-takes-no-link", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "[{client}|This client] takes no link that adds a server.",
        cause "Cursor, VS Code, LM Studio and Goose do.",
        fix "Run `[{command}|planhat-mcp install CLIENT]` without --link, on the machine that has the client.",
        model "The client takes no link that adds a server.";
    ClientStartsOtherCopy = "client-starts-other-copy", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "[{client}|A client] starts another copy of planhat-mcp[, {path}][, of version {found}][: {detail} this one].",
        cause "They were installed separately, and one of them was updated.",
        fix "Have the client start this copy: `planhat-mcp install`, with the client's name, changes its file. Or update the older one; its own `update` says how.",
        model "A client starts another version of planhat-mcp than the one that was asked. Tell the user to update the older one.";
    NoClientHere = "no-client-here", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "None of the MCP clients that planhat-mcp knows is on this computer.",
        cause "They are recognised by their folders, which they make when they are started for the first time.",
        fix "Start the client once, or name it: `planhat-mcp install CLIENT`. `planhat-mcp install` lists all that are known; for another one, --print shows what most of them read.",
        model "No known MCP client was found on this computer. Ask the user which one they use.";
    InstallNotConfirmed = "install-not-confirmed", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "Nothing was written.",
        cause "Changing a client's file needs a confirmation, and there was none.",
        fix "Run `[{command}|planhat-mcp install CLIENT]` in a terminal and answer y, or add --yes. --dry-run shows the change alone.",
        model "Nothing was written, because it was not confirmed.";
    SecretForClientFile = "secret-for-client-file", code INTERNAL_ERROR, exit USAGE, recovery Depends,
        what "[{setting}|A setting] holds what may be a secret, and would stand in the client's file.",
        cause "Anyone who can read that file, a backup of it, or the repository that contains it could use it.",
        fix "Put the setting into the configuration file, where `planhat-mcp config` says it is, and repeat the command without it.",
        model "A setting that may hold a secret does not belong in a client's file. Tell the user to put it into the configuration file.";
    ProgramPathUnusable = "program-path-unusable", code INTERNAL_ERROR, exit FAILED, recovery Depends,
        what "The path of planhat-mcp cannot be written into a client's file[: {detail}].",
        cause "The system does not say where the program lies, or its path has characters that a file of text cannot hold.",
        fix "Install the program in another folder, and repeat the command.",
        model "The program does not know its own path. Tell the user to install it in another folder.";
}
