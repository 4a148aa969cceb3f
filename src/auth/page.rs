//! The pages that the browser shows at the end of a sign-in: complete in themselves, and everything in them escaped.

use std::fmt::Write as _;

use crate::problem::Problem;

/// A page: its HTTP status, title and paragraphs of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    title: String,
    paragraphs: Vec<String>,
}

impl Page {
    /// The tokens are stored.
    pub fn signed_in(service: &str) -> Self {
        Self::new(
            200,
            "You are signed in",
            &[
                &format!("planhat-mcp may now use {service} for you."),
                "You can close this page and go back to where you came from.",
            ],
        )
    }

    /// The sign-in ended without success.
    pub fn failed(problem: &Problem) -> Self {
        Self::new(400, "The sign-in did not succeed", &[&problem.what(), &problem.cause(), &problem.fix()])
    }

    /// A request that is not part of the sign-in that is under way.
    pub fn foreign(problem: &Problem) -> Self {
        Self::new(400, "This page does not belong to the sign-in", &[&problem.what(), &problem.fix()])
    }

    /// The answer came already; a reload, or a page that was opened twice.
    pub fn already() -> Self {
        Self::new(
            200,
            "Nothing more to do here",
            &[
                "The answer to this sign-in has already been received.",
                "You can close this page and go back to where you came from.",
            ],
        )
    }

    /// Nothing is at this address, or not for this method.
    pub fn elsewhere(status: u16) -> Self {
        Self::new(status, "Nothing is here", &["This address only receives the end of a sign-in."])
    }

    fn new(status: u16, title: &str, paragraphs: &[&str]) -> Self {
        let paragraphs = paragraphs.iter().filter(|p| !p.is_empty()).map(|p| (*p).to_owned()).collect();
        Self { status, title: title.to_owned(), paragraphs }
    }

    /// The HTML; `nonce` is the one that the content security policy of the same answer allows.
    pub fn html(&self, nonce: &str) -> String {
        let title = escaped(&self.title);
        let mut body = String::new();
        for paragraph in &self.paragraphs {
            let _ = write!(body, "<p>{}</p>", escaped(paragraph));
        }
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><style nonce=\"{nonce}\">{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{body}</main></body></html>"
        )
    }

    /// The content security policy: nothing but the page's own style.
    pub fn policy(nonce: &str) -> String {
        format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    }
}

const STYLE: &str = "body{font:1.05rem/1.6 system-ui,sans-serif;margin:0;display:grid;place-items:center;min-height:100vh;\
    color:#1d2430;background:#f5f6f8}main{max-width:34rem;margin:1.5rem;padding:2rem 2.25rem;border-radius:.75rem;\
    background:#fff;box-shadow:0 1px 4px rgba(0,0,0,.12)}h1{font-size:1.4rem;margin:0 0 .75rem}p{margin:.5rem 0;\
    overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{color:#e5e8ee;background:#14171c}\
    main{background:#1f242c;box-shadow:none}}";

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
    use super::*;
    use crate::problem::ProblemId;

    #[test]
    fn nothing_that_a_server_said_becomes_markup() {
        let problem = Problem::new(ProblemId::AuthorizationFailed)
            .with("error", "<script>alert('1')</script>")
            .with("error_description", "\"><img src=x onerror=y>&amp;");
        let html = Page::failed(&problem).html("n");
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("&amp;amp;"));
    }

    #[test]
    fn pages_load_nothing_from_anywhere() {
        for page in [Page::signed_in("Planhat"), Page::already(), Page::elsewhere(404)] {
            let html = page.html("n");
            for sign in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script"] {
                assert!(!html.contains(sign), "{sign} in {html}");
            }
        }
    }
}
