//! Invariants of everything that a server says on its way to a person; the fuzz target `server_words` looks for words that
//! break one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{Problem, ProblemId};
use crate::secret::Secrets;

/// With characters that percent-encoding, JSON and both alphabets of base64 write differently.
const SECRET: &str = "canary?/+~\u{e5}>>canary-0123456789";

/// The longest that a problem becomes, in bytes, whatever a server says: its words, once or twice, and our own texts.
const LONGEST_RENDERING_BYTES: usize = 64 * 1024;

/// Words that are longer than what is shown of any, in bytes.
const LONG_WORDS_BYTES: usize = 20 * 1024;

/// Words that quote a secret, in whatever form and place, do not show it; nothing in them drives a terminal; and they are
/// bounded. The words are `data`, with the secret after each line, in a form that their length chooses.
pub fn server_words(data: &[u8]) {
    let words = String::from_utf8_lossy(data);
    if words.contains("canary") {
        return; // what remains of it would be no secret
    }
    let quoted = match data.len() % 8 {
        0 => SECRET.to_owned(),
        1 => url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        2 => STANDARD.encode(SECRET),
        3 => URL_SAFE_NO_PAD.encode(SECRET),
        4 => STANDARD.encode(format!("client:{SECRET}")),
        5 => STANDARD.encode(format!("x{SECRET}yz")),
        6 => serde_json::Value::from(SECRET).to_string(),
        _ => SECRET.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
    };
    let mut secrets = Secrets::none();
    secrets.add_pair("client", SECRET);
    shown(&secrets, &words.lines().chain([""]).map(|line| format!("{line} {quoted}")).collect::<Vec<_>>().join("\n"));
    shown(&Secrets::none(), &words.repeat(LONG_WORDS_BYTES / data.len().max(1)));
}

fn shown(secrets: &Secrets, said: &str) {
    let problem = Problem::new(ProblemId::HttpStatus)
        .with("status", 400)
        .said("server_said", secrets.words(said))
        .said("server_request_id", secrets.words(said).shortened(100))
        .because(secrets.words(said));
    for rendering in [
        problem.to_string(),
        problem.to_terminal(false),
        problem.to_json_rpc_error().to_string(),
        problem.to_tool_result().to_string(),
    ] {
        assert!(rendering.len() <= LONGEST_RENDERING_BYTES, "{} bytes for {said:?}", rendering.len());
        assert!(!rendering.contains(drives_a_terminal), "{rendering:?}");
        assert!(!rendering.contains("canary"), "{rendering:?} for {said:?}");
        for before in ["", "x", "client:"] {
            // The ends of the encoding depend on what stands around it.
            let encoded = STANDARD.encode(format!("{before}{SECRET}"));
            let inner = &encoded[16..encoded.len() - 4];
            assert!(!rendering.contains(inner) && !rendering.contains(&inner.replace('+', "-").replace('/', "_")));
        }
        let percent: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        assert!(!rendering.contains(&percent[6..]), "{rendering:?}");
    }
}

/// Control characters other than the end of a line, and what changes the direction of text (Unicode, UAX 9).
fn drives_a_terminal(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
