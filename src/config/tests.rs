//! The rules that hold across the layers.

use std::ffi::OsString;
use std::path::Path;

use super::key::Key;
use super::*;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

mod organisation;

/// Flags, variables and a file to try.
struct Try {
    inputs: Inputs,
    folder: tempfile::TempDir,
}

impl Try {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths { config_file: folder.path().join("config.toml"), state_dir: folder.path().join("state") };
        let inputs = Inputs {
            flags: Vec::new(),
            config_file: None,
            environment: Vec::new(),
            secret_from_stdin: None,
            paths,
            organisation: || Ok(Organisation::default()),
            last_client_id: |_| None,
        };
        Self { inputs, folder }
    }

    fn flag(mut self, key: Key, text: &str) -> Self {
        self.inputs.flags.push((key, text.to_owned()));
        self
    }

    fn variable(mut self, name: &str, text: &str) -> Self {
        self.inputs.environment.push((name.to_owned(), OsString::from(text)));
        self
    }

    fn file(self, text: &str) -> Self {
        std::fs::write(&self.inputs.paths.config_file, text).expect("writable");
        self
    }

    fn load(&self) -> Loaded {
        load(&self.inputs).unwrap_or_else(|problem| panic!("{}", problem.to_terminal(false)))
    }

    fn problem(&self) -> Problem {
        load(&self.inputs).expect_err("these inputs are wrong")
    }
}

fn origin(loaded: &Loaded, key: Key) -> String {
    loaded.rows.iter().find(|row| row.key == key).expect("every key has a row").origin.to_string()
}

#[test]
fn nothing_given_means_planhats_production() {
    let loaded = Try::new().load();
    let settings = &loaded.settings;
    assert_eq!((settings.profile.as_str(), settings.product), ("planhat", Product::Planhat));
    assert_eq!(settings.url.as_str(), "https://api.planhat.com/v1/mcp");
    assert_eq!(settings.oauth.scope.as_deref(), Some("inclusive"));
    assert_eq!(settings.oauth.callback.redirect_url(), "http://127.0.0.1:7526/callback");
    assert_eq!(settings.token_store, TokenStoreKind::Keychain);
    assert_eq!(settings.limits.max_message_bytes, 64 * 1024 * 1024);
    assert_eq!(origin(&loaded, Key::Url), "built in");
    assert_eq!(origin(&loaded, Key::CallbackPort), "default");
    assert_eq!(loaded.rows.len(), Key::ALL.len(), "one row for each setting");
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_and_each_value_knows_where_it_came_from() {
    let file = "callback_port = 1001\ntoken_store = \"file\"\nlog_level = \"debug\"\n";
    let given = Try::new()
        .file(file)
        .variable("PLANHAT_MCP_CALLBACK_PORT", "1002")
        .variable("PLANHAT_MCP_TOKEN_STORE", "memory")
        .flag(Key::CallbackPort, "1003");
    let loaded = given.load();
    assert_eq!(loaded.settings.oauth.callback.port, 1003);
    assert_eq!(loaded.settings.token_store, TokenStoreKind::Memory);
    assert_eq!(loaded.settings.log.level, LogLevel::Debug);
    assert_eq!(origin(&loaded, Key::CallbackPort), "--callback-port");
    assert_eq!(origin(&loaded, Key::TokenStore), "PLANHAT_MCP_TOKEN_STORE");
    assert!(origin(&loaded, Key::LogLevel).ends_with("config.toml:3:13"), "{}", origin(&loaded, Key::LogLevel));
}

#[test]
fn an_empty_variable_and_a_clients_placeholder_count_as_not_set() {
    let given = Try::new()
        .variable("PLANHAT_MCP_CLIENT_ID", "")
        .variable("PLANHAT_MCP_CLIENT_SECRET", "${user_config.client_secret}")
        .variable("PLANHAT_MCP_TENANT", "  ");
    let loaded = given.load();
    assert!(loaded.settings.oauth.client_id.is_none() && loaded.settings.oauth.client_secret.is_none());
    assert_eq!(loaded.settings.product, Product::Planhat);
}

#[test]
fn a_tenant_by_flag_wins_over_a_url_in_the_file_but_both_in_one_layer_contradict_each_other() {
    let file = "url = \"https://mcp.example.com/mcp\"\n";
    assert_eq!(Try::new().file(file).flag(Key::Tenant, "demo").load().settings.profile, "planhat-demo");
    let both = Try::new().flag(Key::Tenant, "demo").flag(Key::Url, "https://mcp.example.com/mcp").problem();
    assert_eq!(both.id, ProblemId::Conflict);
    assert_eq!(both.fact("detail"), Some("--tenant and --url"));
}

#[test]
fn another_server_gets_neither_planhats_scope_nor_the_client_that_the_file_names_for_planhat() {
    let file = "client_id = \"pk_planhat\"\ncallback_port = 1001\n";
    let loaded = Try::new().file(file).flag(Key::Url, "https://mcp.example.com/mcp").load();
    assert_eq!(loaded.settings.oauth.scope, None);
    assert_eq!(loaded.settings.oauth.client_id, None);
    assert_eq!(loaded.settings.oauth.callback.port, 1001, "what is no server's own still counts");
    assert!(loaded.notes[0].contains("client_id") && loaded.notes[0].contains("api.planhat.com"), "{:?}", loaded.notes);
    assert_eq!(Try::new().file(file).load().settings.oauth.client_id.as_deref(), Some("pk_planhat"));
}

#[test]
fn what_flags_and_variables_say_counts_for_any_server() {
    let given = Try::new()
        .flag(Key::Url, "https://mcp.example.com/mcp")
        .flag(Key::ClientId, "mine")
        .variable("PLANHAT_MCP_CLIENT_SECRET", "secret");
    let settings = given.load().settings;
    assert_eq!(settings.oauth.client_id.as_deref(), Some("mine"));
    assert_eq!(settings.oauth.client_secret, Some(Secret::from("secret")));
}

#[test]
fn a_profile_of_the_file_goes_over_its_common_keys_and_brings_its_own_client() {
    let file = "client_id = \"pk_prod\"\nlog_level = \"warn\"\n\
                [profiles.acme]\ntenant = \"demo\"\nclient_id = \"pk_acme\"\n";
    let loaded = Try::new().file(file).flag(Key::Profile, "acme").load();
    assert_eq!(loaded.settings.profile, "acme");
    assert_eq!(loaded.settings.product, Product::PlanhatDemo);
    assert_eq!(loaded.settings.oauth.client_id.as_deref(), Some("pk_acme"));
    assert_eq!(loaded.settings.log.level, LogLevel::Warn);
    assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    assert_eq!(Try::new().file(file).load().settings.oauth.client_id.as_deref(), Some("pk_prod"));
}

#[test]
fn the_built_in_profile_names_choose_their_server() {
    let loaded = Try::new().flag(Key::Profile, "planhat-demo").load();
    assert_eq!(loaded.settings.product, Product::PlanhatDemo);
    assert_eq!(origin(&loaded, Key::Tenant), "built in");
}

#[test]
fn plain_http_to_another_machine_is_refused_and_names_its_origin() {
    let problem = Try::new().variable("PLANHAT_MCP_URL", "http://mcp.example.com/mcp").problem();
    assert_eq!(problem.id, ProblemId::InsecureUrl);
    assert_eq!(problem.fact("origin"), Some("PLANHAT_MCP_URL"));
    assert!(Try::new().flag(Key::Url, "http://127.0.0.1:9/mcp").load().settings.url.port() == Some(9));
}

#[test]
fn a_password_in_an_address_is_refused_without_being_repeated() {
    let problem = Try::new().flag(Key::Url, "https://me:canary@mcp.example.com/mcp").problem();
    assert!(!format!("{problem:?}").contains("canary"));
    let problem = Try::new().flag(Key::Proxy, "http://me:canary@proxy.example:8080").problem();
    assert_eq!(problem.id, ProblemId::SecretInArguments);
    assert!(!format!("{problem:?}").contains("canary"));
}

#[test]
fn each_wrong_value_says_where_it_stands_what_was_found_and_what_is_expected() {
    for (key, text) in [
        (Key::Tenant, "staging"),
        (Key::Url, "mcp.example.com"),
        (Key::Profile, "../x"),
        (Key::CallbackHost, "0.0.0.0"),
        (Key::CallbackPort, "0"),
        (Key::CallbackPort, "65536"),
        (Key::TokenStore, "plain"),
        (Key::MaxMessageBytes, "64MB"),
        (Key::LogLevel, "verbose"),
        (Key::Scope, "a\"b"),
        (Key::ClientId, ""),
        (Key::CaFile, ""),
    ] {
        let problem = Try::new().flag(key, text).problem();
        assert_eq!(problem.id, ProblemId::BadValue, "{key:?}");
        assert_eq!(problem.fact("origin"), key.flag(), "{key:?}");
        assert_eq!(problem.fact("found"), Some(if text.is_empty() { "nothing" } else { text }));
        assert_eq!(problem.fact("expected"), Some(key.info().expected));
        assert_eq!(problem.id.entry().exit, 2);
    }
}

#[test]
fn a_tenant_is_understood_by_its_name_and_by_the_address_that_a_browser_shows_there() {
    for (text, url) in [
        ("prod", server::PRODUCTION_URL),
        (" Production ", server::PRODUCTION_URL),
        ("ws.planhat.com", server::PRODUCTION_URL),
        ("https://ws.planhat.com/home?x=1", server::PRODUCTION_URL),
        ("DEMO", server::DEMO_URL),
        ("ws.planhatdemo.com", server::DEMO_URL),
        ("https://app.planhatdemo.com/", server::DEMO_URL),
    ] {
        assert_eq!(Try::new().variable("PLANHAT_MCP_TENANT", text).load().settings.url.as_str(), url, "{text}");
    }
    for text in ["staging", "planhat.com.example.com", "notplanhat.com", "http://ws.planhat.com", "planhat"] {
        assert_eq!(Try::new().variable("PLANHAT_MCP_TENANT", text).problem().id, ProblemId::BadValue, "{text}");
    }
}

#[test]
fn a_client_id_and_its_secret_in_each_others_place_are_used_as_meant_and_never_shown() {
    let swapped =
        || Try::new().variable("PLANHAT_MCP_CLIENT_ID", "sk_canary").variable("PLANHAT_MCP_CLIENT_SECRET", "pk_1");
    let loaded = swapped().load();
    assert_eq!(loaded.settings.oauth.client_id.as_deref(), Some("pk_1"));
    assert_eq!(loaded.settings.oauth.client_secret.as_ref().map(|secret| secret.expose().as_str()), Some("sk_canary"));
    let rows: Vec<_> = loaded.rows.iter().filter_map(|row| row.value.clone()).collect();
    assert!(!format!("{rows:?} {:?}", loaded.settings.run_flags).contains("canary"), "{rows:?}");
    assert_eq!(loaded.settings.origins.of(Key::ClientId).to_string(), "PLANHAT_MCP_CLIENT_SECRET", "where it stands");
    assert!(loaded.notes.iter().any(|note| note.contains("were swapped")), "{:?}", loaded.notes);
    // One alone is no exchange, and what stands in a command line has been seen.
    let alone = Try::new().variable("PLANHAT_MCP_CLIENT_ID", "sk_canary").problem();
    assert_eq!(alone.id, ProblemId::BadValue);
    let flag = Try::new().flag(Key::ClientId, "sk_canary").variable("PLANHAT_MCP_CLIENT_SECRET", "pk_1").problem();
    assert!([ProblemId::SecretInArguments, ProblemId::BadValue].contains(&flag.id), "{flag:?}");
    assert!(!format!("{alone:?} {flag:?}").contains("canary"));
}

#[test]
fn the_password_of_a_proxy_is_masked_and_its_address_is_not() {
    let _settings = Try::new().variable("PLANHAT_MCP_PROXY", "http://me:proxy%2Fcanary@proxy.example:8080").load();
    let shown = crate::secret::without_held_secrets("proxy/canary and proxy%2Fcanary at http://proxy.example:8080/");
    assert_eq!(shown, "[redacted] and [redacted] at http://proxy.example:8080/");
}

#[test]
fn an_address_that_lacks_only_its_scheme_is_suggested_with_it() {
    for (text, suggestion) in [
        ("mcp.example.com", Some("https://mcp.example.com/")),
        ("mcp.example.com:8443/v1/mcp", Some("https://mcp.example.com:8443/v1/mcp")),
        ("mcp.example.com/mcp?key=canary", Some("https://mcp.example.com/mcp?key=[redacted]")),
        ("ftp://mcp.example.com", None),
        ("mcp", None),
        ("me:canary@mcp.example.com", None),
    ] {
        let problem = Try::new().flag(Key::Url, text).problem();
        assert_eq!((problem.id, problem.fact("suggestion")), (ProblemId::BadValue, suggestion), "{text}");
        assert!(!format!("{problem:?}").contains("canary"), "{problem:?}");
    }
}

#[test]
fn client_id_and_secret_in_each_others_place_are_noticed_and_the_secret_is_not_shown() {
    let swapped = Try::new().flag(Key::ClientId, "sk_canary").problem();
    assert_eq!(swapped.id, ProblemId::SecretInArguments);
    let swapped = Try::new().variable("PLANHAT_MCP_CLIENT_ID", "sk_canary").problem();
    assert_eq!(swapped.id, ProblemId::BadValue);
    assert!(!format!("{swapped:?}").contains("sk_canary"));
    let given = Try::new().flag(Key::ClientId, "x").variable("PLANHAT_MCP_CLIENT_SECRET", "pk_1");
    assert_eq!(given.problem().fact("found"), Some("what looks like the client id (pk_...)"));
}

#[test]
fn a_secret_without_a_client_id_is_a_mistake_worth_naming() {
    let problem = Try::new().variable("PLANHAT_MCP_CLIENT_SECRET", "sk_1").problem();
    assert_eq!(problem.id, ProblemId::SecretWithoutClientId);
}

#[test]
fn the_client_secret_comes_from_a_file_without_its_line_break_and_counts_from_the_files_folder() {
    let given = Try::new().file("client_id = \"pk_1\"\nclient_secret_file = \"secret.txt\"\n");
    std::fs::write(given.folder.path().join("secret.txt"), "sk_1\r\n").expect("writable");
    assert_eq!(given.load().settings.oauth.client_secret, Some(Secret::from("sk_1")));
    std::fs::write(given.folder.path().join("secret.txt"), "\n").expect("writable");
    assert_eq!(given.problem().id, ProblemId::SecretFileUnusable);
}

#[test]
fn standard_input_holds_the_secret_for_login_alone() {
    let mut given = Try::new().flag(Key::ClientId, "pk_1").flag(Key::ClientSecretFile, "-");
    assert_eq!(given.problem().id, ProblemId::SecretFileUnusable);
    given.inputs.secret_from_stdin = Some("sk_1\n".into());
    assert_eq!(given.load().settings.oauth.client_secret, Some(Secret::from("sk_1")));
}

#[test]
fn no_row_and_no_debug_output_shows_a_secret() {
    let given = Try::new()
        .flag(Key::ClientId, "pk_1")
        .variable("PLANHAT_MCP_CLIENT_SECRET", "canary-secret")
        .variable("PLANHAT_MCP_TOKEN", "canary-token")
        .variable("PLANHAT_MCP_PROXY", "http://me:canary-password@proxy.example:8080");
    let loaded = given.load();
    assert!(!format!("{loaded:?}").contains("canary"), "{loaded:?}");
    let proxy = loaded.rows.iter().find(|row| row.key == Key::Proxy).and_then(|row| row.value.clone());
    assert_eq!(proxy.as_deref(), Some("http://proxy.example:8080/"));
    assert!(loaded.settings.network.proxy.is_some_and(|proxy| proxy.expose().contains("canary-password")));
}

#[test]
fn an_unknown_variable_with_our_prefix_is_noted_because_it_is_probably_misspelled() {
    let loaded = Try::new().variable("PLANHAT_MCP_CLIENTID", "x").variable("OTHER", "y").load();
    assert_eq!(loaded.notes.len(), 1);
    assert!(loaded.notes[0].contains("PLANHAT_MCP_CLIENTID"));
}

#[test]
fn a_command_for_the_terminal_repeats_flags_and_variables_but_no_secret_and_nothing_of_the_file() {
    let given = Try::new()
        .file("callback_port = 1001\n")
        .variable("PLANHAT_MCP_CLIENT_ID", "pk_1")
        .variable("PLANHAT_MCP_CLIENT_SECRET", "canary")
        .variable("PLANHAT_MCP_LOG_LEVEL", "debug")
        .flag(Key::Tenant, "demo");
    let command = given.load().settings.command("login");
    assert_eq!(command, "planhat-mcp login --tenant demo --client-id pk_1");
}

#[test]
fn another_configuration_file_can_be_named_and_must_then_exist() {
    let mut given = Try::new().variable(CONFIG_VARIABLE, "/nonexistent/config.toml");
    assert_eq!(given.problem().id, ProblemId::ConfigUnreadable);
    let other = given.folder.path().join("other.toml");
    std::fs::write(&other, "tenant = \"demo\"\n").expect("writable");
    given.inputs.config_file = Some(other.clone());
    let loaded = given.load();
    assert_eq!(loaded.settings.product, Product::PlanhatDemo);
    assert_eq!(loaded.settings.paths.config_file.as_path(), Path::new(&other));
}
