//! The clients, one row each: where its file lies, what it holds, and what its user does next.

use super::client::{Client, Format, LinkForm, OwnCommand, Scope};
use super::folders::Folders;
use super::places::{
    claude_code_file, codex_home, copilot_home, desktop_files, goose_home, lm_studio_home, none, opencode_file,
    vscode_files, zed_home,
};
use super::shape::Shape;

/// All of them, in the order in which they are listed.
pub static CLIENTS: &[Client] = &[
    Client {
        id: "claude-desktop",
        title: "Claude Desktop",
        also: &["claude", "claudedesktop"],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User],
        files: |folders, _| desktop_files(folders),
        older: none,
        traces: |folders| {
            let mut traces = folders.packaged("Claude_");
            traces.push(folders.settings.join("Claude"));
            traces
        },
        program: None,
        own: None,
        link: None,
        next: "Quit Claude Desktop fully (in its menu or its tray icon: closing the window is not enough) and start it \
               again. The tools are then under the + below the chat, in Connectors; Settings, Developer shows whether the \
               server runs.",
    },
    Client {
        id: "claude-code",
        title: "Claude Code",
        also: &["claudecode", "claude-cli"],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Stdio,
        scopes: &[Scope::User, Scope::Project, Scope::Local],
        files: |folders, scope| match scope {
            Scope::Project => vec![folders.project.join(".mcp.json")],
            Scope::User | Scope::Local => vec![claude_code_file(folders)],
        },
        older: none,
        traces: |folders| vec![claude_code_file(folders), folders.home.join(".claude")],
        program: Some("claude"),
        own: Some(OwnCommand::Claude),
        link: None,
        next: "Start a new session of Claude Code; /mcp in it shows the server and its tools. `claude mcp list` checks it.",
    },
    Client {
        id: "cursor",
        title: "Cursor",
        also: &[],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| {
            let folder = if scope == Scope::Project { &folders.project } else { &folders.home };
            vec![folder.join(".cursor").join("mcp.json")]
        },
        older: none,
        traces: |folders| vec![folders.home.join(".cursor"), folders.settings.join("Cursor")],
        program: Some("cursor"),
        own: None,
        link: Some(LinkForm::Cursor),
        next: "Cursor sees the change automatically. Open Cursor Settings, Tools & MCP: the server is listed there, with a \
               switch and its tools.",
    },
    Client {
        id: "vscode",
        title: "VS Code",
        also: &["code", "vs-code", "visual-studio-code"],
        format: Format::Json,
        list: &["servers"],
        shape: Shape::Stdio,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| vscode_files(folders, scope, "Code"),
        older: |folders| vec![folders.settings.join("Code").join("User").join("settings.json")],
        traces: |folders| vec![folders.settings.join("Code")],
        program: Some("code"),
        own: None,
        link: Some(LinkForm::VsCode),
        next: "In VS Code run the command \"MCP: List Servers\" and start the server; the tools are in the chat in Agent \
               mode, under the tools button.",
    },
    Client {
        id: "vscode-insiders",
        title: "VS Code Insiders",
        also: &["code-insiders"],
        format: Format::Json,
        list: &["servers"],
        shape: Shape::Stdio,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| vscode_files(folders, scope, "Code - Insiders"),
        older: |folders| vec![folders.settings.join("Code - Insiders").join("User").join("settings.json")],
        traces: |folders| vec![folders.settings.join("Code - Insiders")],
        program: Some("code-insiders"),
        own: None,
        link: Some(LinkForm::VsCodeInsiders),
        next: "In VS Code Insiders run the command \"MCP: List Servers\" and start the server; the tools are in the chat \
               in Agent mode, under the tools button.",
    },
    Client {
        id: "windsurf",
        title: "Windsurf",
        also: &["codeium"],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User],
        files: |folders, _| vec![folders.home.join(".codeium").join("windsurf").join("mcp_config.json")],
        older: none,
        traces: |folders| vec![folders.home.join(".codeium").join("windsurf")],
        program: Some("windsurf"),
        own: None,
        link: None,
        next: "In Windsurf open Settings, Cascade, MCP Servers and press Refresh; the server and its tools are listed there.",
    },
    Client {
        id: "zed",
        title: "Zed",
        also: &[],
        format: Format::Json,
        list: &["context_servers"],
        shape: Shape::Zed,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| match scope {
            Scope::Project => vec![folders.project.join(".zed").join("settings.json")],
            _ => vec![zed_home(folders).join("settings.json")],
        },
        older: none,
        traces: |folders| vec![zed_home(folders)],
        program: Some("zed"),
        own: None,
        link: None,
        next: "Zed sees the change automatically. In the settings of its Agent Panel the dot beside the server is green when it \
               runs.",
    },
    Client {
        id: "codex",
        title: "Codex",
        also: &["chatgpt"],
        format: Format::Toml,
        list: &["mcp_servers"],
        shape: Shape::Plain,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| match scope {
            Scope::Project => vec![folders.project.join(".codex").join("config.toml")],
            _ => vec![codex_home(folders).join("config.toml")],
        },
        older: none,
        traces: |folders| vec![codex_home(folders)],
        program: Some("codex"),
        own: Some(OwnCommand::Codex),
        link: None,
        next: "Start a new session of Codex; /mcp in it shows the server and its tools. The command line, the editor \
               extension and the desktop program share this file; a project's counts where the project is trusted.",
    },
    Client {
        id: "gemini",
        title: "Gemini CLI",
        also: &["gemini-cli"],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| {
            let folder = if scope == Scope::Project { &folders.project } else { &folders.home };
            vec![folder.join(".gemini").join("settings.json")]
        },
        older: none,
        traces: |folders| vec![folders.home.join(".gemini").join("settings.json")],
        program: Some("gemini"),
        own: Some(OwnCommand::Gemini),
        link: None,
        next: "Start Gemini CLI anew; /mcp in it shows the server and its tools.",
    },
    Client {
        id: "lmstudio",
        title: "LM Studio",
        also: &["lm-studio"],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User],
        files: |folders, _| vec![lm_studio_home(folders).join("mcp.json")],
        older: none,
        traces: |folders| vec![lm_studio_home(folders)],
        program: None,
        own: None,
        link: Some(LinkForm::LmStudio),
        next: "LM Studio sees the change automatically. Open the Program tab in its right-hand sidebar, and switch the server on.",
    },
    Client {
        id: "goose",
        title: "Goose",
        also: &[],
        format: Format::Yaml,
        list: &["extensions"],
        shape: Shape::Goose,
        scopes: &[Scope::User],
        files: |folders, _| vec![goose_home(folders).join("config.yaml")],
        older: none,
        traces: |folders| vec![goose_home(folders)],
        program: Some("goose"),
        own: None,
        link: Some(LinkForm::Goose),
        next: "Start a new session of Goose; in Goose Desktop the server is listed under Extensions.",
    },
    Client {
        id: "junie",
        title: "JetBrains Junie",
        also: &[],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| {
            let folder = if scope == Scope::Project { &folders.project } else { &folders.home };
            vec![folder.join(".junie").join("mcp").join("mcp.json")]
        },
        older: none,
        traces: |folders| vec![folders.home.join(".junie")],
        program: Some("junie"),
        own: None,
        link: None,
        next: "In the IDE open Settings, Tools, Junie, MCP Settings: the server is listed there, with its state.",
    },
    Client {
        id: "jetbrains",
        title: "JetBrains AI Assistant",
        also: &["intellij", "ai-assistant"],
        format: Format::None,
        list: &["mcpServers"],
        shape: Shape::Plain,
        scopes: &[Scope::User],
        files: |_, _| Vec::new(),
        older: none,
        traces: none,
        program: None,
        own: None,
        link: None,
        next: "In the IDE open Settings, Tools, AI Assistant, Model Context Protocol (MCP), press Add, choose JSON, and \
               paste what is printed above. Where Claude Desktop is set up already, Import from Claude does the same.",
    },
    Client {
        id: "opencode",
        title: "opencode",
        also: &["open-code"],
        format: Format::Json,
        list: &["mcp"],
        shape: Shape::Opencode,
        scopes: &[Scope::User, Scope::Project],
        files: |folders, scope| match scope {
            Scope::Project => vec![opencode_file(&folders.project)],
            _ => vec![opencode_file(&folders.dot_config.join("opencode"))],
        },
        older: none,
        traces: |folders| vec![folders.dot_config.join("opencode")],
        program: Some("opencode"),
        own: None,
        link: None,
        next: "Start opencode anew; `opencode mcp list` shows the server.",
    },
    Client {
        id: "copilot",
        title: "Copilot CLI",
        also: &["copilot-cli", "github-copilot"],
        format: Format::Json,
        list: &["mcpServers"],
        shape: Shape::Copilot,
        scopes: &[Scope::User],
        files: |folders, _| vec![copilot_home(folders).join("mcp-config.json")],
        older: none,
        traces: |folders| vec![copilot_home(folders)],
        program: Some("copilot"),
        own: None,
        link: None,
        next: "Start Copilot CLI anew; /mcp show in it lists the server and its tools.",
    },
];

/// The client that is meant by a word.
pub fn named(word: &str) -> Option<&'static Client> {
    let word = word.to_ascii_lowercase();
    CLIENTS.iter().find(|client| client.id == word || client.also.contains(&word.as_str()))
}

/// Those that this machine has.
pub fn on_this_machine(folders: &Folders) -> Vec<&'static Client> {
    CLIENTS.iter().filter(|client| client.is_here(folders)).collect()
}

#[cfg(test)]
mod tests;
