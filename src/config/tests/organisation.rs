//! What an organisation decides, against what a user says.

use super::*;

/// What an organisation says in these tests.
const ORGANISATION: &str = r#"
client_id = "pk_org"
callback_port = 7600
token_store = "file"
allowed_servers = "*.planhat.com, mcp.example.com"
locked = ["client_id", "callback_port", "allowed_servers"]
"#;

fn with_organisation(text: fn() -> Result<Organisation, Problem>) -> Try {
    let mut tried = Try::new();
    tried.inputs.organisation = text;
    tried
}

fn organisation() -> Result<Organisation, Problem> {
    Organisation::parse(Path::new("/etc/planhat-mcp/config.toml"), ORGANISATION)
}

#[test]
fn what_an_organisation_locks_wins_over_everything_and_its_other_values_are_defaults() {
    let tried = with_organisation(organisation)
        .flag(Key::CallbackPort, "9999")
        .variable("PLANHAT_MCP_CLIENT_ID", "pk_mine")
        .file("client_id = \"pk_file\"\ntoken_store = \"memory\"\n");
    let loaded = tried.load();
    let settings = &loaded.settings;
    assert_eq!((settings.oauth.client_id.as_deref(), settings.oauth.callback.port), (Some("pk_org"), 7600));
    assert_eq!(settings.token_store, TokenStoreKind::Memory, "the user's own choice");
    assert_eq!(origin(&loaded, Key::ClientId), "/etc/planhat-mcp/config.toml:2 (locked)");
    for named in ["PLANHAT_MCP_CLIENT_ID", "--callback-port", "config.toml:1:13"] {
        assert!(loaded.notes.iter().any(|note| note.contains(named) && note.contains("organisation")), "{named}");
    }
    let bare = with_organisation(organisation).load();
    assert_eq!(bare.settings.token_store, TokenStoreKind::File);
    assert_eq!(origin(&bare, Key::TokenStore), "/etc/planhat-mcp/config.toml:4");
    assert!(bare.notes.is_empty(), "{:?}", bare.notes);
}

#[test]
fn a_server_that_the_organisation_does_not_allow_is_not_used_and_its_client_goes_to_no_other() {
    let problem = with_organisation(organisation).flag(Key::Url, "https://other.example/mcp").problem();
    assert_eq!(problem.id, ProblemId::ServerNotAllowed);
    assert!(problem.cause().contains("*.planhat.com") && problem.cause().contains("/etc/"), "{}", problem.cause());
    let other = with_organisation(organisation).flag(Key::Url, "https://mcp.example.com/mcp");
    let loaded = other.flag(Key::ClientId, "theirs").load();
    assert_eq!(loaded.settings.oauth.client_id.as_deref(), Some("theirs"), "the lock is that of its own server");
    assert_eq!(loaded.settings.oauth.callback.port, 7600, "a matter of this machine, whatever the server");
    let planned = with_organisation(organisation)
        .flag(Key::AllowedServers, "other.example")
        .flag(Key::Url, "https://other.example/mcp");
    assert_eq!(planned.problem().id, ProblemId::ServerNotAllowed, "nobody widens it");
}

#[test]
fn an_organisation_s_tenant_is_a_default_for_all_or_locked_for_all() {
    fn chosen() -> Result<Organisation, Problem> {
        Organisation::parse(Path::new("/o.toml"), "tenant = \"demo\"\n")
    }
    fn locked() -> Result<Organisation, Problem> {
        Organisation::parse(Path::new("/o.toml"), "tenant = \"demo\"\nlocked = [\"tenant\"]\n")
    }
    let host = |tried: &Try| tried.load().settings.url.host_str().map(str::to_owned);
    let demo = Some("api.planhatdemo.com".to_owned());
    let production = Some("api.planhat.com".to_owned());
    assert_eq!(host(&with_organisation(chosen)), demo);
    for (key, text) in
        [(Key::Tenant, "production"), (Key::Profile, "planhat"), (Key::Url, "https://api.planhat.com/v1/mcp")]
    {
        assert_eq!(host(&with_organisation(chosen).flag(key, text)), production, "{text}");
        assert_eq!(host(&with_organisation(locked).flag(key, text)), demo, "{text}");
    }
    // A user's own keys without a server are for the organisation's.
    let own = with_organisation(chosen).file("client_id = \"pk_file\"\n").load();
    assert_eq!(own.settings.oauth.client_id.as_deref(), Some("pk_file"));
}

#[test]
fn a_mistake_in_an_organisation_s_file_is_named_with_its_place_and_opens_no_lock() {
    for (text, word) in [
        ("locked = [\"client_id\"]\n", "client_id, which has no value here"),
        ("locked = [\"clientid\"]\n", "a list of settings"),
        ("locked = \"client_id\"\n", "a list of settings"),
        ("[profiles.a]\nclient_id = \"pk_1\"\n", "has no profiles"),
        ("client_secret = \"sk_1\"\n", "contains a secret"),
    ] {
        let problem = Organisation::parse(Path::new("/o.toml"), text).expect_err("wrong");
        let shown = problem.to_terminal(false).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(word) && shown.contains("/o.toml"), "{text}: {shown}");
        assert!(!shown.contains("sk_1"));
    }
}

#[test]
fn no_other_spelling_of_the_address_gets_around_a_lock() {
    for url in [
        "https://api.planhat.com/v1/mcp/",
        "https://api.planhat.com/v1/%6dcp",
        "https://api.planhat.com/v1/mcp?a=b",
        "https://API.planhat.com:443/",
        "https://api.planhat.com./v1/mcp",
    ] {
        let loaded = with_organisation(organisation).flag(Key::Url, url).flag(Key::ClientId, "pk_mine").load();
        assert_eq!(loaded.settings.oauth.client_id.as_deref(), Some("pk_org"), "{url}");
    }
}

#[test]
fn an_organisation_s_profile_chooses_the_table_of_the_user_s_file() {
    fn locked() -> Result<Organisation, Problem> {
        Organisation::parse(Path::new("/o.toml"), "profile = \"acme\"\nlocked = [\"profile\"]\n")
    }
    let file = "[profiles.acme]\nclient_id = \"pk_acme\"\n[profiles.other]\nclient_id = \"pk_other\"\n";
    let loaded = with_organisation(locked).flag(Key::Profile, "other").file(file).load();
    assert_eq!(loaded.settings.profile, "acme");
    assert_eq!(loaded.settings.oauth.client_id.as_deref(), Some("pk_acme"));
}
