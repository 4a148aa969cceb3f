use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;

const TOKEN: &str = "eyJ+a/b.c\"d~\u{e9}1234567890";

fn secrets(of: &[&str]) -> Secrets {
    let mut secrets = Secrets::none();
    of.iter().for_each(|secret| secrets.add(secret));
    secrets
}

fn masked(of: &[&str], said: &str) -> String {
    secrets(of).words(said).to_string()
}

fn percent_all(text: &str, upper: bool) -> String {
    text.bytes().map(|byte| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }).collect()
}

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_all(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn html(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            '/' => "&#x2F;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

fn html_all(text: &str, hexadecimal: bool) -> String {
    text.chars()
        .map(|c| if hexadecimal { format!("&#x{:X};", u32::from(c)) } else { format!("&#{};", u32::from(c)) })
        .collect()
}

fn debug_all(text: &str) -> String {
    text.chars().map(|c| format!("\\u{{{:x}}}", u32::from(c))).collect()
}

/// Every form in which a server may quote `secret`.
fn quoted(secret: &str) -> Vec<String> {
    let mut forms = vec![
        secret.to_owned(),
        form(secret),
        percent_all(secret, true),
        percent_all(secret, false),
        json(secret),
        json_all(secret),
        json(&form(secret)),
        form(&json(secret)),
        form(&form(secret)),
        json(&json(secret)),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        form(&STANDARD.encode(secret)),
        hex(secret),
        hex(secret).to_uppercase(),
        html(secret),
        html_all(secret, false),
        html_all(secret, true),
        html(&form(secret)),
        form(&html(secret)),
        json(&html_all(secret, true)),
        debug_all(secret),
        format!("{secret:?}").strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap().to_owned(),
    ];
    for around in ["", "c", "id", "cid"] {
        forms.push(STANDARD.encode(format!("{around}:{secret}")));
        forms.push(URL_SAFE.encode(format!("Bearer {around}{secret}{around}")));
    }
    forms
}

#[test]
fn a_secret_is_replaced_in_every_encoding_and_what_stands_around_it_stays() {
    for form in quoted(TOKEN) {
        for (before, after) in [("Invalid token: ", " was sent"), ("(", ")"), ("", ""), ("\u{fc} '", "'\u{1f600}")] {
            let said = format!("{before}{form}{after}");
            assert_eq!(masked(&[TOKEN], &said), format!("{before}[redacted]{after}"), "{said}");
        }
    }
}

#[test]
fn the_pair_of_basic_is_replaced_and_the_client_id_alone_is_not() {
    let mut secrets = Secrets::none();
    secrets.add_pair("pk_a_client_id_that_is_long_enough", "s3cr3t");
    let id = "pk_a_client_id_that_is_long_enough";
    for engine in [STANDARD, URL_SAFE] {
        let said = secrets.words(&format!("Basic {} of {id}", engine.encode(format!("{id}:s3cr3t"))));
        assert_eq!(said.as_str(), format!("Basic [redacted] of {id}"));
    }
}

#[test]
fn secrets_that_overlap_touch_or_hold_each_other_leave_nothing() {
    assert_eq!(masked(&["abcdefgh1", "fgh1ijkl2"], "x abcdefgh1ijkl2 y"), "x [redacted] y");
    assert_eq!(masked(&["abcdefgh1", "ijklmnop2"], "x abcdefgh1ijklmnop2 y"), "x [redacted] y");
    assert_eq!(masked(&["abcdefgh", "abcdefgh-and-more"], "abcdefgh-and-more, abcdefgh"), "[redacted], [redacted]");
    assert_eq!(masked(&["abababab"], "abababababab"), "[redacted]abab");
}

#[test]
fn a_short_secret_is_replaced_only_as_a_whole_word() {
    assert_eq!(masked(&["code"], "the code was decoded: code."), "the [redacted] was decoded: [redacted].");
    assert_eq!(masked(&["code"], "a=%20code%26 \"\\ncode\" Y29kZQ== Y29kZQxx"), {
        "a=%20[redacted]%26 \"\\n[redacted]\" [redacted]== Y29kZQxx".replace("]==", "]")
    });
    assert_eq!(masked(&["a"], "a \u{e9}a aa a-a a"), "[redacted] \u{e9}a aa a-a [redacted]");
    assert_eq!(masked(&[""], "nothing"), "nothing");
}

#[test]
fn a_secret_that_was_cut_off_is_replaced_as_far_as_it_was_quoted() {
    let long = "0123456789abcdefghijklmnopqrstuvwxyz";
    assert_eq!(masked(&[long], &format!("bad token {}... sorry", &long[..30])), "bad token [redacted]... sorry");
    assert_eq!(masked(&[long], &format!("bad token {}", &long[..9])), "bad token [redacted]");
    let far = format!("{}{long}", "x".repeat(SEARCHED_WORDS_BYTES - 10));
    assert!(!masked(&[long], &far).contains(&long[..9]));
}

#[test]
fn clean_text_stays_as_it_is() {
    let said = "The scope \"read\" %is% \\unknown \\u12 %2 caf\u{e9} \u{1f600} 100% \\";
    assert_eq!(masked(&[TOKEN, "short", "another-secret"], said), said);
    assert_eq!(masked(&[], said), said);
    assert_eq!(masked(&[TOKEN], ""), "");
}

#[test]
fn no_secret_is_left_whatever_it_is_and_wherever_it_stands() {
    let mut seed = 7_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let letters: Vec<char> = "aAbB01%2\\/\"+-_.~:= u\u{e9}\u{1f600}".chars().collect();
    for _ in 0..300 {
        let mut text = |longest: usize| -> String {
            let length = random(longest);
            (0..length).map(|_| letters[random(letters.len())]).collect()
        };
        let (secret, before, after) = (format!("q{}z{}", text(6), text(40)), text(12), text(12));
        if secret.len() < SHORTEST_INSIDE_WORD_BYTES {
            continue;
        }
        for form in quoted(&secret) {
            let shown = masked(&[&secret], &format!("{before} {form} {after}"));
            assert!(shown.contains(REDACTED), "{secret}: {form} -> {shown}");
            assert!(!shown.contains(&*secret) && !shown.contains(&*form), "{secret}: {form} -> {shown}");
        }
    }
}

#[test]
fn words_are_bounded_and_show_what_hides_in_them() {
    assert_eq!(masked(&[TOKEN], "\u{1b}]0;x\u{7}\u{202e}\n"), r"\u001b]0;x\u0007\u202e ");
    for of in [&[][..], &[TOKEN]] {
        let long = masked(of, &"\u{1b}".repeat(100_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (SHOWN_WORDS_CHARS + 1, true));
    }
}

#[test]
fn a_secret_that_is_split_by_what_is_made_visible_is_replaced_before_that() {
    // What hides in a text must not keep a secret from being found in what is shown of it.
    let shown = masked(&["canary-canary"], "canary-canary\u{202e}");
    assert_eq!(shown, r"[redacted]\u202e");
}

#[test]
fn what_is_used_keeps_its_length_and_its_characters() {
    let long = format!("{}\u{202e}", "x".repeat(40_000));
    assert_eq!(secrets(&[TOKEN]).masked(&long), long);
}

#[test]
fn nothing_that_holds_secrets_shows_them() {
    assert!(!format!("{:?}", secrets(&["canary-canary"])).contains("canary"));
}

#[test]
fn a_hostile_text_is_looked_through_at_once() {
    let token = "a".repeat(8_000);
    let said = format!("{}b", "a".repeat(23)).repeat(40_000);
    let start = std::time::Instant::now();
    masked(&[&token, &token[1..], &token[2..]], &said);
    masked(&[&token], &"%25".repeat(20_000));
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn what_is_held_is_masked_verbatim_and_encoded_until_it_is_dropped() {
    let secret = Secret::from("held-canary+1");
    let copy = secret.clone();
    drop(secret);
    assert_eq!(without_held_secrets("a held-canary%2B1 b"), "a [redacted] b");
    drop(copy);
    assert_eq!(without_held_secrets("a held-canary+1 b"), "a held-canary+1 b");
}

#[test]
fn what_is_short_or_only_passes_by_masks_nothing() {
    let (_short, _passing) = (Secret::from("consent"), Secret::unlisted("mcp.held.example".to_owned()));
    assert_eq!(without_held_secrets("consent mcp.held.example"), "consent mcp.held.example");
}

#[test]
fn what_begins_like_a_held_secret_is_something_else() {
    let begin = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";
    let _held = Secret::new(format!("{begin}held-canary"));
    let link = format!("https://as.example/authorize?client_id={begin}client&state=1");
    assert_eq!(without_held_secrets(&link), link);
    assert_eq!(without_held_secrets(begin), begin);
}
