//! The pages that the browser shows at the end of a sign-in: self-contained, with all text escaped.
//!
//! Their look follows the system (light, dark, forced colours, large text, narrow windows), and colour alone never
//! carries meaning. There is no button: the next step is back in the app.

use std::fmt::Write as _;

use crate::problem::{Problem, ProblemId};

/// A page: an HTTP status, a heading, and plain text below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    mark: Mark,
    heading: &'static str,
    parts: Vec<Part>,
}

/// The decorative sign beside the heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Done,
    Stopped,
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Under its own heading.
    Headed(&'static str, String),
    /// For support.
    Small(String),
}

/// A browser cannot know which app started the sign-in, and may not close its own tab.
const BACK: &str = "You can close this page and go back to your app.";

impl Page {
    /// The tokens are stored; `elsewhere` says what of the authorization server lies at other origins.
    pub fn signed_in(service: &str, elsewhere: Option<String>) -> Self {
        let may = format!("Your AI app can now use {service} as you.");
        let mut parts = vec![Part::Text(may), Part::Text(BACK.into())];
        parts.extend(elsewhere.map(Part::Small));
        Self::new(200, Mark::Done, "You are signed in", parts)
    }

    /// The sign-in failed.
    pub fn failed(problem: &Problem) -> Self {
        // Refusing access is a choice, not a failure.
        let (mark, heading) = match problem.id {
            ProblemId::AccessDenied => (Mark::Nothing, "Access was not granted"),
            _ => (Mark::Stopped, "The sign-in did not succeed"),
        };
        Self::new(
            400,
            mark,
            heading,
            vec![
                Part::Text(problem.what()),
                Part::Headed("Why", problem.cause()),
                Part::Headed("What to do", problem.fix()),
                Part::Text(BACK.into()),
                Part::Small(format!("Error code: `{}`.", problem.id.entry().name)),
            ],
        )
    }

    /// The request does not belong to the running sign-in.
    pub fn foreign(problem: &Problem) -> Self {
        let parts = vec![Part::Text(problem.what()), Part::Headed("What to do", problem.fix())];
        Self::new(400, Mark::Stopped, "This page does not belong to the sign-in", parts)
    }

    /// The answer has already arrived: a reload, or a page opened twice.
    pub fn already() -> Self {
        let received = "The result of this sign-in has already been received.";
        let parts = vec![Part::Text(received.into()), Part::Text(BACK.into())];
        Self::new(200, Mark::Nothing, "Nothing more to do here", parts)
    }

    /// There is nothing at this address, or not for this method.
    pub fn elsewhere(status: u16) -> Self {
        let only = "This page is only used to finish a sign-in.";
        Self::new(status, Mark::Nothing, "Nothing is here", vec![Part::Text(only.into())])
    }

    fn new(status: u16, mark: Mark, heading: &'static str, parts: Vec<Part>) -> Self {
        Self { status, mark, heading, parts }
    }

    /// The HTML; `nonce` is the one in the response's content security policy.
    pub fn html(&self, nonce: &str) -> String {
        let (heading, mark) = (self.heading, self.mark.svg());
        let mut body = String::new();
        for part in &self.parts {
            let _ = match part {
                Part::Text(text) | Part::Headed(_, text) if text.is_empty() => Ok(()),
                Part::Text(text) => write!(body, "<p>{}</p>", marked_up(text)),
                Part::Headed(heading, text) => write!(body, "<h2>{heading}</h2><p>{}</p>", marked_up(text)),
                Part::Small(text) => write!(body, "<p class=\"small\">{}</p>", marked_up(text)),
            };
        }
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{heading} - planhat-mcp</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><style nonce=\"{nonce}\">{STYLE}</style></head>\
             <body><main>{mark}<h1>{heading}</h1>{body}</main></body></html>"
        )
    }

    /// The content security policy, which allows only the page's own style.
    pub fn policy(nonce: &str) -> String {
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    }
}

impl Mark {
    /// Three shapes, not one shape in three colours.
    fn svg(self) -> String {
        let (class, lines) = match self {
            Mark::Done => ("done", "M9.5 16.5l4.5 4.5 8.5-9.5"),
            Mark::Stopped => ("stopped", "M11.5 11.5l9 9M20.5 11.5l-9 9"),
            Mark::Nothing => ("nothing", "M10.5 16h11"),
        };
        format!(
            "<svg class=\"{class}\" aria-hidden=\"true\" viewBox=\"0 0 32 32\" width=\"40\" height=\"40\">\
             <circle cx=\"16\" cy=\"16\" r=\"14.75\"/><path d=\"{lines}\"/></svg>"
        )
    }
}

/// The contrast of each pair of colours is at least 7 to 1 for text (WCAG 2.2, 1.4.6) and 3 to 1 for the marks (1.4.11).
const STYLE: &str = "\
    :root{--ground:#f4f5f7;--card:#fff;--text:#1c2330;--soft:#4a5364;--line:#dfe2e8;--done:#1b7a43;--stopped:#a8481c}\
    @media(prefers-color-scheme:dark){:root{--ground:#14171c;--card:#1e232b;--text:#e8ebf0;--soft:#b6bdc9;--line:#323945;\
    --done:#6fcf97;--stopped:#f0a37a}}\
    body{margin:0;padding:1rem;box-sizing:border-box;min-height:100vh;display:grid;place-items:center;\
    background:var(--ground);color:var(--text);font:1rem/1.6 system-ui,sans-serif}\
    main{box-sizing:border-box;width:100%;max-width:36rem;padding:2.25rem;border:1px solid var(--line);\
    border-radius:.75rem;background:var(--card);overflow-wrap:anywhere}\
    svg{display:block;margin-bottom:1rem;fill:none;stroke:var(--soft);stroke-width:2.5;stroke-linecap:round;\
    stroke-linejoin:round}.done{stroke:var(--done)}.stopped{stroke:var(--stopped)}\
    h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}h2{margin:1.25rem 0 .25rem;font-size:1rem}\
    p{margin:0 0 1rem;text-wrap:pretty}h2+p{margin-bottom:1.25rem}p:last-child{margin-bottom:0}\
    .small{padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}\
    code{padding:.1em .3em;border-radius:.25rem;background:var(--ground);font:.925em ui-monospace,monospace;\
    -webkit-box-decoration-break:clone;box-decoration-break:clone}\
    @media(max-width:30rem){main{padding:1.5rem}}@media(forced-colors:active){svg{stroke:CanvasText}}";

/// Escapes the text, and marks up what is between backquotes (commands in the catalogue) as code.
fn marked_up(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('`');
    out.push_str(&escaped(pieces.next().unwrap_or_default()));
    while let Some(piece) = pieces.next() {
        match pieces.next() {
            Some(after) => _ = write!(out, "<code>{}</code>{}", escaped(piece), escaped(after)),
            None => _ = write!(out, "`{}", escaped(piece)),
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::auth::login::loopback::page::*;

    #[test]
    fn nothing_that_a_server_said_becomes_markup() {
        let problem = Problem::new(ProblemId::AuthorizationFailed)
            .with("error", "<script>alert('1')</script>")
            .with("error_description", "\"><img src=x onerror=y>&amp; `<b>` `");
        let html = Page::failed(&problem).html("n");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("&amp;amp;") && html.contains("&lt;b&gt;"));
    }

    #[test]
    fn a_command_is_code_and_a_lonely_backquote_is_itself() {
        assert_eq!(marked_up("run `a <b>`, then ` it"), "run <code>a &lt;b&gt;</code>, then ` it");
        assert_eq!(marked_up("`x`"), "<code>x</code>");
        assert_eq!(marked_up("nothing"), "nothing");
    }

    #[test]
    fn every_problem_page_says_what_to_do_and_where_to_go() {
        for id in ProblemId::ALL {
            let html = Page::failed(&Problem::new(*id)).html("n");
            for words in ["<h2>What to do</h2><p>", BACK, id.entry().name] {
                assert!(html.contains(words), "{words} in {html}");
            }
        }
    }

    #[test]
    fn pages_load_nothing_from_anywhere() {
        let failed = Page::failed(&Problem::new(ProblemId::AccessDenied));
        for page in [
            Page::signed_in("Planhat", Some("Tokens come from <b>x</b>.".into())),
            Page::already(),
            Page::elsewhere(404),
            failed,
        ] {
            let html = page.html("n");
            for sign in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script"] {
                assert!(!html.contains(sign), "{sign} in {html}");
            }
        }
    }
}
