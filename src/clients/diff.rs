//! The difference of two texts, line by line, as a person may see it: what stays around a change is shown without its values,
//! which may be secrets of other programs, and so is what goes or comes, but for the words of our own entries.

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It goes.
    Gone,
    /// It comes.
    New,
    /// Lines are left out here.
    Cut,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What became of it.
    pub fate: Fate,
    /// The line, as it may be shown.
    pub text: String,
}

/// How many lines around a change are shown.
const AROUND: usize = 3;
/// What stands for a value that is not shown.
const VALUE: &str = "…";
/// What names a secret.
const SECRET_NAMES: [&str; 7] = ["secret", "token", "password", "passwd", "key", "auth", "cookie"];
/// What a secret begins with, or what is before it.
const SECRET_MARKS: [&str; 5] = ["sk_", "sk-", "Bearer ", "Basic ", "ghp_"];

/// Whether a value of this name is likely to be a secret.
pub fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// The lines that differ, with a few around them. Of their values, those among `own` are shown.
pub fn lines(before: &str, after: &str, own: &[String]) -> Vec<Line> {
    // As they stand in a file.
    let own: Vec<String> = own.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    let own: Vec<&str> = own.iter().map(|word| word.trim_matches('"')).collect();
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();
    let mut out = Vec::new();
    let mut push = |fate: Fate, line: &str| {
        let text = if fate == Fate::Kept { without_values(line) } else { with_own_values(line, &own) };
        out.push(Line { fate, text });
    };
    let cut = Line { fate: Fate::Cut, text: String::new() };
    let from = start.saturating_sub(AROUND);
    old[from..start].iter().for_each(|line| push(Fate::Kept, line));
    for (fate, line) in between(&old[start..old.len() - end], &new[start..new.len() - end]) {
        push(fate, line);
    }
    let tail = &old[old.len() - end..];
    tail.iter().take(AROUND).for_each(|line| push(Fate::Kept, line));
    if from > 0 {
        out.insert(0, cut.clone());
    }
    if tail.len() > AROUND {
        out.push(cut);
    }
    out
}

/// The longest common lines stay. Where there are too many to compare, all of them change.
fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Fate, &'t str)> {
    const COMPARED: usize = 1_000_000;
    if old.len().saturating_mul(new.len()) > COMPARED {
        let gone = old.iter().map(|line| (Fate::Gone, *line));
        return gone.chain(new.iter().map(|line| (Fate::New, *line))).collect();
    }
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            common[i * width + j] = if one == other {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            out.push((Fate::Kept, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            out.push((Fate::Gone, old[i]));
            i += 1;
        } else {
            out.push((Fate::New, new[j]));
            j += 1;
        }
    }
    out
}

/// The line with its names alone: of JSON, TOML or YAML.
fn without_values(line: &str) -> String {
    masked(line, |_, _| true)
}

/// The line with those of its values that are among `own` and neither look like secrets nor are called so.
fn with_own_values(line: &str, own: &[&str]) -> String {
    masked(line, |name, value| {
        let is_secret = names_secret(name) || SECRET_MARKS.iter().any(|mark| value.contains(mark));
        let bare = value.trim().trim_end_matches(',').trim_matches(['"', '\'']);
        // Nothing hides in these.
        let is_plain = matches!(bare, "true" | "false" | "null")
            || bare.len() <= 4 && bare.bytes().all(|b| !b.is_ascii_alphabetic());
        is_secret || !is_plain && !own.contains(&bare)
    })
}

/// The line with each text in quotes that is no name masked, where `hides` says so of the last name before it and of the
/// text; and likewise what stands behind the `:` or `=` of a line without quotes.
fn masked(line: &str, hides: impl Fn(&str, &str) -> bool) -> String {
    let (mut out, mut rest, mut name) = (String::new(), line, "");
    while let Some(at) = rest.find(['"', '\'', '#', '/']) {
        let (before, quoted) = rest.split_at(at);
        let mark = quoted.chars().next().unwrap_or('"');
        let is_comment = mark == '#' || quoted.starts_with("//") || quoted.starts_with("/*");
        if mark == '/' && !is_comment {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        out.push_str(before);
        if let Some((bare, _)) = before.split_once(['=', ':']).filter(|(bare, _)| !bare.trim().is_empty()) {
            name = bare.trim();
        }
        if is_comment {
            // What is commented out is a value, too.
            out.push_str(if hides(name, quoted) { "# …" } else { quoted });
            return out;
        }
        let end = closing(&quoted[1..], mark).map_or(quoted.len(), |end| end + 2);
        let (text, after) = quoted.split_at(end);
        let inner = text.trim_matches(mark);
        if after.trim_start().starts_with([':', '=']) {
            name = inner;
            out.push_str(text);
        } else if hides(name, inner) {
            out.push_str(&format!("{mark}{VALUE}{mark}"));
        } else {
            out.push_str(text);
        }
        rest = after;
    }
    match rest.split_once(": ").or_else(|| rest.split_once("= ")).filter(|(_, value)| !value.trim().is_empty()) {
        Some((bare, value)) if out.is_empty() && hides(bare.trim(), value) => {
            let kept = rest.len() - value.len();
            format!("{}{VALUE}", &rest[..kept])
        }
        _ if out.is_empty() && rest.trim_start().starts_with("- ") && hides(name, rest) => {
            format!("{}- {VALUE}", &rest[..rest.len() - rest.trim_start().len()])
        }
        _ => out + rest,
    }
}

/// Where the quotation ends.
fn closing(text: &str, mark: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == mark && !is_escaped;
        is_escaped = c == '\\' && mark == '"' && !is_escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> String {
        let sign = |fate| match fate {
            Fate::Kept => ' ',
            Fate::Gone => '-',
            Fate::New => '+',
            Fate::Cut => '@',
        };
        let own = ["/usr/bin/planhat-mcp".to_owned()];
        lines(before, after, &own).iter().map(|line| format!("{}{}\n", sign(line.fate), line.text)).collect()
    }

    #[test]
    fn a_change_is_shown_with_a_few_lines_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n";
        assert_eq!(shown(before, "1\n2\n3\n4\nnew\n5\n6\n7\n8\n"), "@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n@\n");
        assert_eq!(shown("a\nb\nc\n", "a\nx\nc\ny\n"), " a\n-b\n+x\n c\n+y\n");
        assert_eq!(shown("", "a\n"), "+a\n");
        assert_eq!(shown("a\n", ""), "-a\n");
        let (kept, new) = ("  \"TOKEN\": \"canary\"", "  \"A_KEY\": \"canary\"");
        let masked = "   \"TOKEN\": \"…\"\n+  \"A_KEY\": \"…\"\n";
        assert_eq!(shown(kept, &format!("{kept}\n{new}\n")), masked);
    }

    #[test]
    fn values_around_a_change_are_not_shown() {
        for (line, kept) in [
            (r#"      "GITHUB_TOKEN": "canary","#, r#"      "GITHUB_TOKEN": "…","#),
            (r#"  "args": ["--header", "X: canary"]"#, r#"  "args": ["…", "…"]"#),
            (r#"    "canary \" canary","#, r#"    "…","#),
            (r#"    "a": { "b": 1 } // canary"#, r#"    "a": { "b": 1 } # …"#),
            ("key = \"canary\" # canary", "key = \"…\" # …"),
            ("key = 'canary'", "key = '…'"),
            ("    TOKEN: canary", "    TOKEN: …"),
            ("    - canary", "    - …"),
            ("  \"mcpServers\": {", "  \"mcpServers\": {"),
            ("[mcp_servers.a]", "[mcp_servers.a]"),
            ("  planhat:", "  planhat:"),
        ] {
            assert_eq!(without_values(line), kept);
        }
    }

    #[test]
    fn of_a_line_that_changes_the_words_of_our_own_entry_are_shown_unless_they_look_like_a_secret() {
        let own = ["/usr/bin/planhat-mcp", "--client-id", "--header", "sk_canary", "--tenant", "demo", "b", "stdio"];
        for (line, kept) in [
            (r#"  "command": "/usr/bin/planhat-mcp","#, r#"  "command": "/usr/bin/planhat-mcp","#),
            (r#"  "PLANHAT_MCP_CLIENT_SECRET": "canary""#, r#"  "PLANHAT_MCP_CLIENT_SECRET": "…""#),
            (r#"  "args": ["--client-id", "sk_canary"]"#, r#"  "args": ["--client-id", "…"]"#),
            (r#"  "args": ["--header", "Authorization: Bearer canary"]"#, r#"  "args": ["--header", "…"]"#),
            (r#"{"env":{"API_KEY":"canary"},"a":"b"}"#, r#"{"env":{"API_KEY":"…"},"a":"b"}"#),
            ("args = [\"--tenant\", \"demo\"]", "args = [\"--tenant\", \"demo\"]"),
            ("    cmd: \"/usr/bin/planhat-mcp\"", "    cmd: \"/usr/bin/planhat-mcp\""),
            ("    A_TOKEN: canary", "    A_TOKEN: …"),
            // Another program's.
            (r#"  "args": ["--api-key", "canary"]"#, r#"  "args": ["…", "…"]"#),
            (r#"{"DATABASE_URL":"postgres://u:canary@h/d","type":"stdio"}"#, r#"{"DATABASE_URL":"…","type":"stdio"}"#),
            (r#"  "PASS": "canary","#, r#"  "PASS": "…","#),
            ("    enabled: true", "    enabled: true"),
            ("    timeout: 300", "    timeout: 300"),
        ] {
            assert_eq!(with_own_values(line, &own), kept);
        }
    }
}
