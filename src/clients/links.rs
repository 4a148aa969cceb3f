//! Links that add a server to a client: a person opens one, and the client asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::LinkForm;
use super::shape::Launch;

/// The link for this entry.
pub fn link(form: LinkForm, name: &str, launch: &Launch) -> String {
    let Launch { command, arguments } = launch;
    match form {
        LinkForm::Cursor => {
            let entry = json!({ "command": command, "args": arguments });
            format!("cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}", escaped(name), base64(&entry))
        }
        LinkForm::LmStudio => {
            let entry = json!({ "command": command, "args": arguments });
            format!("lmstudio://add_mcp?name={}&config={}", escaped(name), base64(&entry))
        }
        LinkForm::VsCode | LinkForm::VsCodeInsiders => {
            let entry = json!({ "name": name, "type": "stdio", "command": command, "args": arguments });
            let scheme = if form == LinkForm::VsCode { "vscode" } else { "vscode-insiders" };
            format!("{scheme}:mcp/install?{}", escaped(&entry.to_string()))
        }
        LinkForm::Goose => {
            let words = std::iter::once(("cmd", command)).chain(arguments.iter().map(|argument| ("arg", argument)));
            let words: Vec<String> = words.map(|(key, word)| format!("{key}={}", escaped(word))).collect();
            let (name, words) = (escaped(name), words.join("&"));
            format!("goose://extension?{words}&id={name}&name={name}&timeout=300")
        }
    }
}

/// As a value of a query, with what base64 has beyond letters and digits.
fn base64(entry: &Value) -> String {
    escaped(&STANDARD.encode(entry.to_string()))
}

/// As JavaScript's `encodeURIComponent` has it: some clients take a `+` for itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        Launch { command: "/ö p/planhat-mcp".to_owned(), arguments: vec!["--tenant".to_owned(), "demo".to_owned()] }
    }

    /// The pairs of the link's query, decoded.
    fn query(link: &str) -> Vec<(String, String)> {
        url::Url::parse(link).expect("an address").query_pairs().into_owned().collect()
    }

    fn value(link: &str, name: &str) -> String {
        query(link).into_iter().find(|(key, _)| key == name).expect("it is there").1
    }

    #[test]
    fn each_link_carries_the_entry_in_the_client_s_own_form() {
        let cursor = link(LinkForm::Cursor, "planhat", &launch());
        assert!(cursor.starts_with("cursor://anysphere.cursor-deeplink/mcp/install?name=planhat&config="), "{cursor}");
        let studio = link(LinkForm::LmStudio, "planhat", &launch());
        assert!(studio.starts_with("lmstudio://add_mcp?name=planhat&config="), "{studio}");
        for form in [LinkForm::Cursor, LinkForm::LmStudio] {
            for command in ["/a", "/ab", "/abc"] {
                let launch = Launch { command: command.to_owned(), arguments: Vec::new() };
                assert_eq!(link(form, "planhat", &launch).matches('=').count(), 2, "base64 ends in more of them");
            }
        }
        for link in [cursor, studio] {
            assert!(!link.contains('+') && !link.contains(' '), "{link}");
            let entry = STANDARD.decode(value(&link, "config")).expect("base64");
            let entry: Value = serde_json::from_slice(&entry).expect("JSON");
            assert_eq!(entry, json!({ "command": "/ö p/planhat-mcp", "args": ["--tenant", "demo"] }));
        }
        for (form, scheme) in [(LinkForm::VsCode, "vscode"), (LinkForm::VsCodeInsiders, "vscode-insiders")] {
            let link = link(form, "planhat", &launch());
            assert!(link.starts_with(&format!("{scheme}:mcp/install?%7B")), "{link}");
            let entry: Value = serde_json::from_str(&query(&link)[0].0).expect("JSON");
            assert_eq!((&entry["name"], &entry["command"]), (&json!("planhat"), &json!("/ö p/planhat-mcp")));
        }
        let goose = link(LinkForm::Goose, "planhat", &launch());
        assert!(
            goose.starts_with("goose://extension?cmd=%2F%C3%B6%20p%2Fplanhat-mcp&arg=--tenant&arg=demo&id=planhat")
        );
        assert_eq!(value(&goose, "cmd"), "/ö p/planhat-mcp");
    }
}
