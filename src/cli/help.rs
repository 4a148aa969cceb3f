//! Longer texts of `-h` and `--help`.

/// What the program is.
pub const ABOUT: &str = "Use Planhat, or any other remote MCP server, from any local MCP client.

An MCP client starts planhat-mcp and talks to it over stdin and stdout;
planhat-mcp passes every message to the remote server, and signs you in.";

/// The end of the page.
pub const AFTER_SHORT_HELP: &str = "\
Begin with:       planhat-mcp setup
What is wrong:    planhat-mcp doctor
All options:      planhat-mcp --help";

/// The end of the whole.
pub const AFTER_HELP: &str = "\
Where to start:
  1. A Planhat admin creates an OAuth client in the App Center, with exactly
     this redirect URL: http://127.0.0.1:7526/callback
  2. planhat-mcp setup asks for its client id and secret, signs you in, and
     adds itself to your MCP clients. The same step by step:
       planhat-mcp login --client-id pk_...
       planhat-mcp install claude-desktop

Examples:
  planhat-mcp --tenant demo                      a tenant at ws.planhatdemo.com
  planhat-mcp https://mcp.example.com/mcp        another server (or: --url)
  planhat-mcp login --no-browser                 on a computer without a browser
  planhat-mcp doctor                             what is wrong, and what to do
  planhat-mcp doctor --fix                       repair what can be repaired
  planhat-mcp doctor --report                    a report to attach to a ticket
  planhat-mcp status --profile acme              one of several sign-ins

Environment:
  Each option can be given as a variable, for example PLANHAT_MCP_CLIENT_ID for
  --client-id. Two secrets have no option, because other programs can read
  command lines:
  PLANHAT_MCP_CLIENT_SECRET  the client secret (sk_...)
  PLANHAT_MCP_TOKEN          a Private App's access token, sent unchanged, in
                             place of a sign-in
  Order of precedence: options, variables, configuration file.

Exit codes:
  0 done   1 failed   2 wrong option or setting   3 sign-in needed or failed
  4 the server cannot be reached or refused   5 keychain or local files";

/// Where completions go.
pub const COMPLETIONS_HELP: &str = "\
Where they go:
  bash        planhat-mcp completions bash > \\
                ~/.local/share/bash-completion/completions/planhat-mcp
  zsh         planhat-mcp completions zsh > ~/.zfunc/_planhat-mcp
              with these in ~/.zshrc: fpath+=~/.zfunc
                autoload -Uz compinit; compinit
  fish        planhat-mcp completions fish > \\
                ~/.config/fish/completions/planhat-mcp.fish
  PowerShell  planhat-mcp completions powershell >> $PROFILE
  elvish      planhat-mcp completions elvish >> ~/.config/elvish/rc.elv";

/// What to type.
pub const INSTALL_HELP: &str = "\
Without a client: lists those on this machine.

Examples:
  planhat-mcp install claude-desktop        shows the change, asks, writes it
  planhat-mcp install cursor --tenant demo  with options for the bridge
  planhat-mcp install vscode --for project  for all who work in this folder
  planhat-mcp install --all --dry-run       what would change, everywhere
  planhat-mcp install cursor --undo         takes back what install did";
