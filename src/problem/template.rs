//! Fills the catalogue's small notation: `{key}`, `[optional {key}]`, `[{key}|fallback]`, sentence by sentence.

/// Finds a fact by its key.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// Fills `template` with facts; sentences that lack one are left out.
pub(super) fn fill(template: &str, lookup: &Lookup<'_>) -> String {
    let filled: Vec<String> = sentences(template).into_iter().filter_map(|s| fill_sentence(s, lookup)).collect();
    filled.join(" ")
}

/// The keys that `template` names, for the catalogue's own test.
#[cfg(test)]
pub(super) fn keys(template: &str) -> Vec<&str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(key, _)| key)).collect()
}

/// Splits after each full stop outside `[...]` that is followed by white space or the end.
fn sentences(template: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let bytes = template.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b'.' if depth == 0 && bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace) => {
                found.push(template[start..=at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(template[start..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

fn fill_sentence(sentence: &str, lookup: &Lookup<'_>) -> Option<String> {
    let mut out = Filled::default();
    let mut rest = sentence;
    while let Some(open) = rest.find('[') {
        let close = rest[open..].find(']').map_or(rest.len(), |at| open + at);
        out.push(&rest[..open], lookup)?;
        let (preferred, fallback) = rest[open + 1..close].split_once('|').unwrap_or((&rest[open + 1..close], ""));
        let mut attempt = out.clone();
        if attempt.push(preferred, lookup).is_some() {
            out = attempt;
        } else {
            out.push(fallback, lookup)?;
        }
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    out.push(rest, lookup)?;
    Some(out.text)
}

#[derive(Debug, Clone, Default)]
struct Filled {
    text: String,
    ends_with_fact: bool,
}

impl Filled {
    /// Appends text with `{key}`s; `None` when one of them is missing.
    fn push(&mut self, text: &str, lookup: &Lookup<'_>) -> Option<()> {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            self.push_literal(before);
            let (key, after) = after.split_once('}')?;
            let value = lookup(key).map(str::trim).filter(|value| !value.is_empty())?;
            self.text.push_str(value);
            self.ends_with_fact = true;
            rest = after;
        }
        self.push_literal(rest);
        Some(())
    }

    /// A fact that is a sentence already ends in a full stop.
    fn push_literal(&mut self, text: &str) {
        let doubled = self.ends_with_fact && text.starts_with('.') && self.text.ends_with(['.', '!', '?']);
        self.text.push_str(if doubled { &text[1..] } else { text });
        self.ends_with_fact &= text.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_with(template: &str, facts: &[(&str, &str)]) -> String {
        let owned: Vec<(String, String)> = facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        fill(template, &|key| owned.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()))
    }

    #[test]
    fn a_sentence_without_its_fact_is_left_out_and_the_others_stay() {
        let template = "Try again later. The server asks to wait {seconds} s. That is all.";
        assert_eq!(fill_with(template, &[]), "Try again later. That is all.");
        assert_eq!(
            fill_with(template, &[("seconds", "2")]),
            "Try again later. The server asks to wait 2 s. That is all."
        );
    }

    #[test]
    fn an_optional_part_is_left_out_alone_or_replaced_by_its_fallback() {
        let template = "The port[, {port},] is taken on [{host}|this machine].[ It said: {said}.]";
        assert_eq!(fill_with(template, &[]), "The port is taken on this machine.");
        assert_eq!(
            fill_with(template, &[("port", "1"), ("host", "h"), ("said", "no")]),
            "The port, 1, is taken on h. It said: no."
        );
    }

    #[test]
    fn full_stops_inside_addresses_and_facts_end_no_sentence() {
        let template = "Use https://a.example/v1. See {url} now.";
        assert_eq!(fill_with(template, &[]), "Use https://a.example/v1.");
        assert_eq!(fill_with(template, &[("url", "b. c")]), "Use https://a.example/v1. See b. c now.");
    }

    #[test]
    fn a_fact_that_is_a_sentence_does_not_double_the_full_stop() {
        assert_eq!(fill_with("It said[: {said}].", &[("said", "No.")]), "It said: No.");
        assert_eq!(fill_with("It said: {said}. Go on.", &[("said", "No.")]), "It said: No. Go on.");
    }

    #[test]
    fn an_empty_fact_counts_as_missing_and_notation_in_a_fact_is_plain_text() {
        assert_eq!(fill_with("It failed[: {detail}].", &[("detail", " ")]), "It failed.");
        assert_eq!(fill_with("It failed[: {detail}].", &[("detail", "{port} [x|y]")]), "It failed: {port} [x|y].");
    }
}
