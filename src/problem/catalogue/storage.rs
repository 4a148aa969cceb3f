//! Problems with the credential store and local files.

super::entry::entries! {
    KeychainAbsent = "keychain-absent", code INTERNAL_ERROR, exit STORAGE, recovery Settings,
        what "No keychain is available to store the sign-in.",
        cause "No Secret Service runs (usual on a server, over SSH, or in a container), or the D-Bus address is not passed on to planhat-mcp.",
        fix "Install and start gnome-keyring or KWallet, or choose a protected file with --token-store file (or token_store = \"file\" in the configuration file).",
        model "No keychain is available to store the sign-in. Tell the user to choose --token-store file, or to install one.";
    KeychainLocked = "keychain-locked", code INTERNAL_ERROR, exit STORAGE, recovery Later,
        what "The keychain is locked, so the sign-in cannot be read.",
        cause "It unlocks when you log in to the desktop; over SSH or with automatic login it stays locked. On a Mac, its question may also have been answered with Deny.",
        fix "Unlock it (for example by opening the system's password manager), then try again, and allow what it asks. Nothing is lost. Where it cannot be unlocked, use --token-store file.",
        model "The keychain is locked. Ask the user to unlock it, then call again.";
    KeychainSlow = "keychain-slow", code INTERNAL_ERROR, exit STORAGE, recovery Later,
        what "The keychain did not answer[ within {seconds} s].",
        cause "It is probably waiting for you to answer a prompt, perhaps hidden behind another window.",
        fix "Answer the keychain's prompt, then try again. Nothing is lost.",
        model "The keychain did not answer, probably because a prompt is waiting for the user. Ask them to look for it, then call again.";
    StoreDamaged = "store-damaged", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "The stored sign-in is damaged[: {detail}].",
        cause "Another program changed it, or a write was cut off.",
        fix "Remove it with `planhat-mcp doctor --fix`, which asks first, or with `[{logout_command}|planhat-mcp logout]`; then sign in again with `[{command}|planhat-mcp login]`.",
        model "The stored sign-in is damaged. Ask the user to run `[{logout_command}|planhat-mcp logout]`, then `[{command}|planhat-mcp login]`.";
    StoreFailed = "store-failed", code INTERNAL_ERROR, exit STORAGE, recovery Later,
        what "The stored sign-in cannot be read or written[: {detail}].",
        cause "The keychain has a fault, or the disk is full or read-only.",
        fix "Try again. If this keeps happening, log out of the desktop and in again, or store the tokens elsewhere with --token-store.",
        model "The stored sign-in cannot be reached. Try once more; if it fails again, tell the user.";
    FileStoreUnsafe = "file-store-unsafe", code INTERNAL_ERROR, exit STORAGE, recovery Settings,
        what "The token file[ {file}] is not protected from others, so it is not used[: {detail}].",
        cause "Its permissions, or those of its folder, give other users of this computer access.",
        fix "Allow only yourself to read the file (chmod 600) and its folder (chmod 700). If others had access, run `[{logout_command}|planhat-mcp logout]` and sign in again.",
        model "The token file is open to other users and was refused. Tell the user to correct its permissions.";
    LockTimedOut = "lock-timed-out", code INTERNAL_ERROR, exit STORAGE, recovery Later,
        what "Another planhat-mcp process[ (PID {process})] has been busy[ with {purpose}] for [{seconds} s|too long].",
        cause "It may be waiting for a slow server or for you to answer a keychain prompt.[ Lock file: {path}]",
        fix "Look for a keychain prompt, or end [process {process}|other planhat-mcp processes]. The lock ends with that process; you need not remove the file.",
        model "Another planhat-mcp process held a lock for too long. Try again in a moment; if this keeps happening, tell the user.";
    StateDirUnusable = "state-dir-unusable", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "The state folder of planhat-mcp[, {dir},] cannot be used[: {detail}].",
        cause "It cannot be created or written, or it belongs to another user.",
        fix "Correct its owner and permissions: only you may have access (chmod 700).",
        model "The state folder of planhat-mcp cannot be used. Tell the user to check its permissions.";
    StateFileFailed = "state-file-failed", code INTERNAL_ERROR, exit STORAGE, recovery Depends,
        what "The file[ {path}] cannot be read or written[: {detail}].",
        cause "The disk is full or read-only, or the permissions do not allow it.",
        fix "Check that its folder exists, belongs to you, and that the disk has space.",
        model "The files of planhat-mcp cannot be used. Tell the user to check the disk and the permissions.";
}
