//! How the commands look at 80 columns, with colors and without: `tests/snapshots` holds each as it was looked at and found
//! good. To write them anew after a change: `UPDATE_SNAPSHOTS=1 cargo test --test it snapshots`; then look at them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use planhat_mcp::auth::Revoked;
use planhat_mcp::auth::reset::Removed;
use planhat_mcp::cli::doctor::row::{self, Group, Row};
use planhat_mcp::cli::grant::Grant;
use planhat_mcp::cli::install::{list, show};
use planhat_mcp::cli::status::SignInStatus;
use planhat_mcp::cli::style::Style;
use planhat_mcp::cli::{config_command, login_texts, logout, reset, status};
use planhat_mcp::clients::folders::System;
use planhat_mcp::clients::plan::{self, Wanted};
use planhat_mcp::clients::shape::Launch;
use planhat_mcp::clients::{Folders, Scope, table};
use planhat_mcp::config::{Inputs, Paths, Settings, load, server};
use planhat_mcp::problem::{Problem, ProblemId};

/// Some moment in 2026.
const NOW: u64 = 1_790_000_000;
const LINK: &str = "https://ws.planhat.com/oauth/authorize?response_type=code&client_id=pk_1f0c2a9b7e&state=Vn8mJ3kqXyPz0aQfWc5tLg&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&redirect_uri=http%3A%2F%2F127.0.0.1%3A7526%2Fcallback&scope=inclusive&resource=https%3A%2F%2Fapi.planhat.com%2Fv1%2Fmcp";

fn paths() -> Paths {
    Paths {
        config_file: "/home/maja/.config/planhat-mcp/config.toml".into(),
        state_dir: "/home/maja/.local/state/planhat-mcp".into(),
    }
}

fn settings(url: &str) -> Settings {
    let mut settings = Settings::for_url(url.parse().expect("a constant"), paths());
    settings.oauth.client_id = Some("pk_1f0c2a9b7e".to_owned());
    if url == server::DEMO_URL {
        settings.run_flags = ["--tenant", "demo"].map(str::to_owned).to_vec();
    }
    settings
}

fn grant() -> Grant {
    let words = |text| planhat_mcp::secret::Secrets::none().words(text);
    Grant {
        client_id: Some(words("pk_1f0c2a9b7e")),
        person: Some(words("Maja Lindqvist (maja@example.com)")),
        scope: Some(words("inclusive")),
        expires_at: Some(NOW + 3_540),
        renewable: true,
        kept: "in the keychain (Secret Service)".to_owned(),
    }
}

/// Renders with this style and compares with the file of that name.
fn compare(name: &str, render: impl Fn(Style) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let plain = render(Style::PLAIN);
    let colored = render(Style::COLORED);
    assert!(!plain.contains('\u{1b}'), "{name}: colors where none are wanted");
    assert_eq!(without_colors(&colored), plain, "{name}: colors change the text");
    for line in plain.lines() {
        // A word that cannot be broken, such as an address that somebody will click, stands on a line of its own.
        let alone = !line.trim().contains(' ');
        assert!(line.chars().count() <= 80 || alone, "{name}: {line}");
        assert_eq!(line.trim_end(), line, "{name}: white space at the end of {line:?}");
    }
    for (file, text) in [(format!("{name}.txt"), &plain), (format!("{name}.ansi"), &colored)] {
        let file: PathBuf = folder.join(file);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(&folder).expect("tests/ is writable");
            std::fs::write(&file, text).expect("tests/snapshots is writable");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
        assert!(kept == *text, "{} is not what is shown now; see the head of this file:\n{text}", file.display());
    }
}

fn without_colors(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}

#[test]
fn snapshots_of_login() {
    let planhat = settings(server::PRODUCTION_URL);
    compare("login", |style| {
        login_texts::introduction(&planhat, false, style)
            + &login_texts::waiting(&planhat, LINK, true, true)
            + &login_texts::done(&planhat, &grant(), NOW, style)
    });
    compare("login-help", |style| login_texts::page_errors(&planhat, style));
    let other = settings("https://mcp.example.com/mcp");
    let link = "https://login.example.com/authorize?client_id=pk_1f0c2a9b7e&state=x";
    compare("login-elsewhere", |style| {
        login_texts::introduction(&other, false, style) + &login_texts::waiting(&other, link, false, true)
    });
}

#[test]
fn snapshots_of_status() {
    let signed_in = SignInStatus { grant: Some(grant()), ..SignInStatus::default() };
    let kept = "in the keychain (Secret Service)".to_owned();
    let signed_out = SignInStatus { kept: kept.clone(), ..SignInStatus::default() };
    let pending = SignInStatus { kept, link: Some(LINK.to_owned()), ..SignInStatus::default() };
    let ended = Grant { expires_at: Some(NOW - 60), renewable: false, person: None, ..grant() };
    let ended = SignInStatus { grant: Some(ended), ..SignInStatus::default() };
    let demo = settings(server::DEMO_URL);
    compare("status", |style| status::text(&demo, &signed_in, NOW, style));
    compare("status-signed-out", |style| status::text(&demo, &signed_out, NOW, style));
    compare("status-pending", |style| status::text(&demo, &pending, NOW, style));
    compare("status-ended", |style| status::text(&demo, &ended, NOW, style));
}

#[test]
fn snapshots_of_install() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let folders = Folders::of(System::Linux, home.path(), &home.path().join("work"));
    let text = "{\n  // mine\n  \"theme\": \"dark\",\n  \"mcpServers\": {\n    \"github\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"server-github\"],\n      \"env\": { \"GITHUB_TOKEN\": \"canary\" }\n    },\n    \"hat\": {\n      \"command\": \"npx\",\n      \"args\": [\"mcp-remote\", \"https://api.planhat.com/v1/mcp\"]\n    }\n  }\n}\n";
    let put = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    put(".cursor/mcp.json", text);
    put(".codex/config.toml", "[mcp_servers.planhat]\ncommand = \"/old/planhat-mcp\"\n");
    put(".config/zed/settings.json", "{\n  \"context_servers\" {\n");
    let url = server::PRODUCTION_URL.parse().expect("a constant");
    let launch = Launch { command: "/usr/local/bin/planhat-mcp".to_owned(), arguments: Vec::new() };
    let wanted = Wanted {
        name: "planhat",
        is_named: false,
        launch: &launch,
        keeps_arguments: true,
        replaces: false,
        url: &url,
        is_same: &|_| true,
    };
    let target = |id: &str| table::named(id).expect("a client").targets(&folders, Scope::User).remove(0);
    let planned = |id: &str| {
        let target = target(id);
        plan::install(&target, plan::text_of(&target).expect("readable"), &wanted).expect("planned")
    };
    let next = |id: &str, style| show::next(table::named(id).expect("a client").next, style);
    compare("install", |style| {
        show::change(&planned("cursor"), home.path(), style) + "\n" + &next("claude-desktop", style)
    });
    compare("install-updated", |style| show::change(&planned("codex"), home.path(), style));
    compare("install-list", |style| list::text(&folders, style));
    let broken = plan::install(&target("zed"), plan::text_of(&target("zed")).expect("readable"), &wanted);
    let mut broken = broken.expect_err("broken");
    broken.facts.retain(|(key, _)| *key != "file");
    compare("install-broken", |style| show::failed("Zed", &broken, style));
}

#[test]
fn snapshots_of_logout_and_reset() {
    let planhat = settings(server::PRODUCTION_URL);
    let not_offered = Revoked::NotOffered { issuer: "https://api.planhat.com".to_owned() };
    compare("logout", |_| logout::done(&planhat, Some(&not_offered)));
    let other = settings("https://mcp.example.com/mcp");
    let elsewhere = Revoked::NotOffered { issuer: "https://login.example.com".to_owned() };
    compare("logout-elsewhere", |_| logout::done(&other, Some(&elsewhere)));
    compare("logout-token", |_| logout::done(&planhat, Some(&Revoked::Typed)));
    let problem = Problem::new(ProblemId::TokenEndpointUnavailable).with("status", 503);
    let failed = Revoked::Failed(problem);
    compare("logout-offline", |_| logout::done(&other, Some(&failed)));
    let folder = paths().state_dir;
    let files = ["planhat.generation", "planhat.profile.json", "planhat.token.lock"].map(|name| folder.join(name));
    let removed = Removed { revoked: Some(not_offered.clone()), files: files.to_vec(), held: Vec::new() };
    compare("reset", |style| {
        reset::plan(&planhat, "in the keychain (Secret Service)", &files, style)
            + "Remove all this? [y/N] y\n"
            + &reset::done(&planhat, &removed, style)
    });
}

#[test]
fn snapshots_of_config() {
    let environment = [
        ("PLANHAT_MCP_TENANT", "demo"),
        ("PLANHAT_MCP_CLIENT_ID", "pk_1f0c2a9b7e"),
        ("PLANHAT_MCP_CLIENT_SECRET", "canary"),
        ("PLANHAT_MCP_TENNANT", "demo"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.into())).to_vec();
    let inputs = Inputs {
        flags: Vec::new(),
        config_file: None,
        environment,
        secret_from_stdin: None,
        paths: paths(),
        organisation: || Ok(planhat_mcp::config::Organisation::default()),
        last_client_id: |_| None,
    };
    let loaded = load(&inputs).expect("valid");
    compare("config", |style| config_command::text(&loaded, style));
}

fn head(style: Style) -> String {
    format!("{}\nhttps://api.planhatdemo.com/v1/mcp", style.strong("Planhat (demo), with the profile planhat-demo"))
}

fn well() -> Vec<Group> {
    let places = [
        "status 401: /.well-known/oauth-protected-resource/v1/mcp",
        "status 401: /.well-known/oauth-protected-resource",
        "found: /.well-known/oauth-authorization-server",
    ];
    vec![
        Group {
            title: "Settings",
            rows: vec![
                Row::ok("configuration", "~/.config/planhat-mcp/config.toml")
                    .with_details(vec!["client_id from ~/.config/planhat-mcp/config.toml:1:13".to_owned()]),
                Row::ok("clients", "Cursor, as planhat: ~/.cursor/mcp.json"),
            ],
        },
        Group {
            title: "Network",
            rows: vec![
                Row::ok("proxy", "none is set"),
                Row::ok("name", "api.planhatdemo.com is 192.0.2.10, 192.0.2.11"),
                Row::ok("connection", "192.0.2.10:443 responds within 21 ms"),
                Row::ok("certificate", "trusted, expires in 61 days, issued by Example CA"),
                Row::ok("answer", "responds after 85 ms (HTTP 401: sign-in required)"),
                Row::ok("clock", "agrees with the server's"),
            ],
        },
        Group {
            title: "This computer",
            rows: vec![
                Row::ok("state folder", "~/.local/state/planhat-mcp"),
                Row::ok("token store", "sign-ins can be stored in the keychain (Secret Service)"),
                Row::ok("sign-in", "signed in with client id pk_1f0c2a9b7e, for 59 minutes, then renews automatically"),
            ],
        },
        Group {
            title: "Signing in",
            rows: vec![
                Row::ok("discovery", "the authorization server is https://api.planhatdemo.com")
                    .with_details(places.map(str::to_owned).to_vec()),
                Row::ok("client", "pk_1f0c2a9b7e: given by the settings, with a secret"),
                Row::ok("redirect URL", "http://127.0.0.1:7526/callback, and its port is free"),
                Row::ok(
                    "sign-in page",
                    "responds (HTTP 200); only the page itself can tell whether client id and redirect URL are right",
                ),
            ],
        },
        Group { title: "The server", rows: vec![Row::ok("tools", "10 tools listed within 240 ms")] },
    ]
}

#[test]
fn snapshots_of_doctor() {
    compare("doctor", |style| row::text(&head(style), &well(), style));
    let mut groups = well();
    let file = "/home/maja/.config/Claude/claude_desktop_config.json";
    let secret = Problem::new(ProblemId::SecretInClientFile).with("file", file);
    groups[0].rows[1] = Row::warn("clients", secret.with("place", "the variable PLANHAT_MCP_CLIENT_SECRET"));
    let needed = Problem::new(ProblemId::SignInNeeded).with("service", "Planhat (demo)");
    groups[2].rows[2] = Row::fail("sign-in", needed.with("command", "planhat-mcp login --tenant demo"));
    let wrong = Problem::new(ProblemId::WrongEnvironment).with("client_id", "pk_1f0c2a9b7e");
    groups[3].rows[3] = Row::fail("sign-in page", wrong);
    let port = Problem::new(ProblemId::PortInUse).with("port", 7526).with("owner", "node (process 4711)");
    groups[3].rows[2] = Row::fail("redirect URL", port.with("redirect_url", "http://127.0.0.1:7526/callback"));
    groups[4].rows[0] = Row::skip("tools", "it needs \"sign-in\"");
    compare("doctor-signed-out", |style| row::text(&head(style), &groups, style));

    let untrusted = Problem::new(ProblemId::TlsUntrusted).with("host", "api.planhatdemo.com");
    let mut groups = well();
    groups[1].rows[3] =
        Row::fail("certificate", untrusted).with_details(vec!["It was issued by: Acme TLS Inspection CA".to_owned()]);
    groups[1].rows[4] = Row::skip("answer", "it needs \"certificate\"");
    groups[1].rows[5] = Row::skip("clock", "it needs \"certificate\"");
    groups[3].rows = ["discovery", "client", "redirect URL", "sign-in page"]
        .map(|name| Row::skip(name, "the server cannot be reached"))
        .to_vec();
    groups[4].rows[0] = Row::skip("tools", "the server cannot be reached");
    compare("doctor-intercepted", |style| row::text(&head(style), &groups, style));
}

#[test]
fn snapshots_of_a_code_for_another_device() {
    let page = "https://login.example.com/device";
    compare("login-device", |_| {
        login_texts::waiting_for_code(
            "WDJB-MJHT",
            page,
            Some(&format!("{page}?code=WDJB-MJHT")),
            Duration::from_secs(600),
        )
    });
}
