//! Where each client keeps its servers, on the layout of each system.

use std::collections::HashSet;
use std::path::Path;

use super::super::folders::System;
use super::*;

const SYSTEMS: [System; 3] = [System::Linux, System::MacOs, System::Windows];

fn shown(path: &Path) -> String {
    path.display().to_string().replace('\\', "/")
}

fn file(system: System, id: &str, scope: Scope) -> String {
    let folders = Folders::of(system, Path::new("/home/u"), Path::new("/project"));
    let targets = named(id).expect("a client").targets(&folders, scope);
    targets.iter().map(|target| shown(&target.file)).collect::<Vec<_>>().join(", ")
}

#[test]
fn each_client_s_own_file_is_the_one_that_it_reads_on_each_system() {
    for (id, files) in [
        (
            "claude-desktop",
            [
                "/home/u/.config/Claude/claude_desktop_config.json",
                "/home/u/Library/Application Support/Claude/claude_desktop_config.json",
                "/home/u/AppData/Roaming/Claude/claude_desktop_config.json",
            ],
        ),
        ("claude-code", ["/home/u/.claude.json"; 3]),
        ("cursor", ["/home/u/.cursor/mcp.json"; 3]),
        (
            "vscode",
            [
                "/home/u/.config/Code/User/mcp.json",
                "/home/u/Library/Application Support/Code/User/mcp.json",
                "/home/u/AppData/Roaming/Code/User/mcp.json",
            ],
        ),
        (
            "vscode-insiders",
            [
                "/home/u/.config/Code - Insiders/User/mcp.json",
                "/home/u/Library/Application Support/Code - Insiders/User/mcp.json",
                "/home/u/AppData/Roaming/Code - Insiders/User/mcp.json",
            ],
        ),
        ("windsurf", ["/home/u/.codeium/windsurf/mcp_config.json"; 3]),
        (
            "zed",
            [
                "/home/u/.config/zed/settings.json",
                "/home/u/.config/zed/settings.json",
                "/home/u/AppData/Roaming/Zed/settings.json",
            ],
        ),
        ("codex", ["/home/u/.codex/config.toml"; 3]),
        ("gemini", ["/home/u/.gemini/settings.json"; 3]),
        ("lmstudio", ["/home/u/.lmstudio/mcp.json"; 3]),
        (
            "goose",
            [
                "/home/u/.config/goose/config.yaml",
                "/home/u/.config/goose/config.yaml",
                "/home/u/AppData/Roaming/Block/goose/config/config.yaml",
            ],
        ),
        ("junie", ["/home/u/.junie/mcp/mcp.json"; 3]),
        ("jetbrains", [""; 3]),
        ("opencode", ["/home/u/.config/opencode/opencode.json"; 3]),
        ("copilot", ["/home/u/.copilot/mcp-config.json"; 3]),
    ] {
        for (system, expected) in SYSTEMS.into_iter().zip(files) {
            assert_eq!(file(system, id, Scope::User), expected, "{id} on {system:?}");
        }
    }
    assert_eq!(CLIENTS.len(), 15, "a new client needs its row here");
}

#[test]
fn a_project_has_its_own_file_where_the_client_reads_one() {
    for (id, expected) in [
        ("claude-desktop", ""),
        ("claude-code", "/project/.mcp.json"),
        ("cursor", "/project/.cursor/mcp.json"),
        ("vscode", "/project/.vscode/mcp.json"),
        ("vscode-insiders", "/project/.vscode/mcp.json"),
        ("windsurf", ""),
        ("zed", "/project/.zed/settings.json"),
        ("codex", "/project/.codex/config.toml"),
        ("gemini", "/project/.gemini/settings.json"),
        ("lmstudio", ""),
        ("goose", ""),
        ("junie", "/project/.junie/mcp/mcp.json"),
        ("opencode", "/project/opencode.json"),
        ("copilot", ""),
    ] {
        assert_eq!(file(System::Linux, id, Scope::Project), expected, "{id}");
    }
}

#[test]
fn a_variable_or_a_pointer_of_the_client_moves_its_file() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let home = root.path();
    let mut folders = Folders::of(System::Linux, home, Path::new("/project"));
    folders.codex = Some("/c".into());
    folders.claude = Some("/d".into());
    folders.copilot = Some("/e".into());
    folders.dot_config = "/x".into();
    let file = |folders: &Folders, id: &str| {
        let targets = named(id).expect("a client").targets(folders, Scope::User);
        shown(&targets[0].file)
    };
    assert_eq!(file(&folders, "codex"), "/c/config.toml");
    assert_eq!(file(&folders, "claude-code"), "/d/.claude.json");
    assert_eq!(file(&folders, "copilot"), "/e/mcp-config.json");
    assert_eq!(file(&folders, "goose"), "/x/goose/config.yaml");
    assert_eq!(file(&folders, "zed"), "/x/zed/settings.json");
    std::fs::create_dir_all(home.join(".cache/lm-studio")).expect("writable");
    assert_eq!(file(&folders, "lmstudio"), shown(&home.join(".cache/lm-studio/mcp.json")), "an older version's");
    std::fs::create_dir_all(home.join("models")).expect("writable");
    std::fs::write(home.join(".lmstudio-home-pointer"), format!("{}\n", home.join("models").display()))
        .expect("writable");
    assert_eq!(file(&folders, "lmstudio"), shown(&home.join("models/mcp.json")));
    std::fs::create_dir_all(home.join("o/opencode")).expect("writable");
    std::fs::write(home.join("o/opencode/opencode.jsonc"), "{}").expect("writable");
    folders.dot_config = home.join("o");
    assert_eq!(file(&folders, "opencode"), shown(&home.join("o/opencode/opencode.jsonc")));
}

#[test]
fn claude_desktop_as_a_package_of_windows_has_its_file_there_and_both_are_written_where_both_are() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let home = root.path();
    let folders = Folders::of(System::Windows, home, Path::new("/project"));
    let packaged = home.join("AppData/Local/Packages/Claude_pzs8sxrjxfjjc");
    std::fs::create_dir_all(&packaged).expect("writable");
    let client = named("claude-desktop").expect("a client");
    let files = || {
        let targets = client.targets(&folders, Scope::User).into_iter();
        targets.map(|target| shown(target.file.strip_prefix(home).expect("below it"))).collect::<Vec<_>>()
    };
    let (package, classic) = (
        "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
        "AppData/Roaming/Claude/claude_desktop_config.json",
    );
    assert_eq!(files(), [package]);
    std::fs::create_dir_all(home.join("AppData/Roaming/Claude")).expect("writable");
    assert_eq!(files(), [classic, package]);
    assert!(client.is_here(&folders));
}

#[test]
fn an_entry_for_oneself_in_a_project_stands_under_the_root_of_its_repository() {
    let root = tempfile::tempdir().expect("a temporary directory");
    // Where `\` separates nothing, it may stand in a name.
    let name = if cfg!(windows) { "repository" } else { "repo\\sitory" };
    let folder = root.path().join(name).join("below");
    std::fs::create_dir_all(root.path().join(name).join(".git")).expect("writable");
    std::fs::create_dir_all(&folder).expect("writable");
    let list = |system: System| {
        let folders = Folders::of(system, root.path(), &folder);
        named("claude-code").expect("a client").targets(&folders, Scope::Local)[0].list.clone()
    };
    let repository = root.path().join(name).display().to_string();
    assert_eq!(list(System::Linux), ["projects", &repository, "mcpServers"]);
    assert_eq!(list(System::Windows), ["projects", &repository.replace('\\', "/"), "mcpServers"]);
}

#[test]
fn a_client_is_here_by_its_folder_or_by_its_program() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut folders = Folders::of(System::Linux, root.path(), Path::new("/project"));
    let here = |folders: &Folders| on_this_machine(folders).iter().map(|client| client.id).collect::<Vec<_>>();
    assert!(here(&folders).is_empty());
    std::fs::create_dir_all(root.path().join(".cursor")).expect("writable");
    std::fs::create_dir_all(root.path().join("bin")).expect("writable");
    std::fs::write(root.path().join("bin/codex"), "").expect("writable");
    folders.programs = vec![root.path().join("bin")];
    assert_eq!(here(&folders), ["cursor", "codex"]);
}

#[test]
fn no_two_clients_have_a_name_in_common_and_each_has_all_that_its_row_needs() {
    let mut names = HashSet::new();
    for client in CLIENTS {
        for name in client.also.iter().chain([&client.id]) {
            assert!(names.insert(*name), "{name} names two");
            assert_eq!(named(&name.to_uppercase()).map(|found| found.id), Some(client.id));
        }
        assert_eq!(client.scopes.first(), Some(&Scope::User), "{}", client.id);
        assert!(client.next.ends_with('.') && !client.next.contains("  "), "{}", client.next);
        let own = client.own == Some(OwnCommand::Claude);
        assert_eq!(client.scopes.contains(&Scope::Local), own, "its list lies under `projects`, as Claude Code has it");
    }
}
