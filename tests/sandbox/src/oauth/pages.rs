//! The pages that a person sees: consent, and refusals that do not lead back.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::grants::Request;
use crate::body::{Answer, answer, set_header};
use crate::config::{ClientKind, Config};
use crate::tenant::permission::{Action, Model, Permission};

const STYLE: &str = include_str!("pages.css");

/// Asks the person: who wants what, what the Role allows, what will be granted.
pub(crate) fn consent(config: &Config, request: &Request, ticket: &str) -> Answer {
    let Some(client) = config.client(&request.client_id) else { return refused(400, "The client is gone.") };
    let kind = match client.kind {
        ClientKind::Private => "Private Client of this tenant",
        ClientKind::Published => "Published Client",
    };
    let stray = match (&request.state, config.quirks.strays) {
        (Some(state), true) => {
            let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
            format!("<img alt=\"\" src=\"{}?state={state}\">", escape(&request.redirect_uri))
        }
        _ => String::new(),
    };
    let asked: BTreeSet<Permission> = client.permissions.iter().copied().collect();
    let granted = request.granted.len();
    let body = format!(
        r#"<main>
<p class="brand"><span aria-hidden="true">&#9673;</span> Planhat sandbox</p>
<h1>Allow <b>{name}</b> to use your data?</h1>
<dl>
<dt>Application</dt><dd>{name} <small>{kind}</small></dd>
<dt>Client id</dt><dd><code>{id}</code></dd>
<dt>You</dt><dd>{user}</dd>
<dt>Your Role</dt><dd>{role}</dd>
</dl>{stray}
<h2 id="what">What it may do in your name</h2>
<p>It gets what it asks for and your Role allows: {granted} of {total} permissions.</p>
{table}
<p class="key"><span class="yes">&#10003;</span> will be granted <span class="no">&ndash;</span> asked for, but not in your Role</p>
<form method="post" action="/oauth/consent">
<input type="hidden" name="ticket" value="{ticket}">
<button name="choice" value="cancel">Cancel</button>
<button class="primary" name="choice" value="allow">Allow</button>
</form>
<p class="foot">You then return to <code>{back}</code>. You can disconnect the application later in your User Profile,
under Applications.</p>
</main>"#,
        name = escape(&client.name),
        id = escape(&client.id),
        user = escape(&config.user.name),
        role = escape(&config.user.role),
        total = asked.len(),
        table = table(&asked, &request.granted),
        back = escape(&request.redirect_uri),
    );
    page(200, "Allow access", &body)
}

/// Says why there is nothing to allow. Nothing leads back from here, as on Planhat's own page.
pub(crate) fn refused(status: u16, text: &str) -> Answer {
    let body = format!(
        r#"<main>
<p class="brand"><span aria-hidden="true">&#9673;</span> Planhat sandbox</p>
<h1>Authorization failed</h1>
<p class="failed" role="alert">{}</p>
</main>"#,
        escape(text)
    );
    page(status, "Authorization failed", &body)
}

/// Models down, actions across; only what is asked for has a mark.
fn table(asked: &BTreeSet<Permission>, granted: &BTreeSet<Permission>) -> String {
    let mut table = String::from("<table aria-labelledby=\"what\"><thead><tr><th scope=\"col\">Data model</th>");
    for action in Action::ALL {
        let _ = write!(table, "<th scope=\"col\">{}</th>", action.title());
    }
    table.push_str("</tr></thead><tbody>");
    for model in Model::ALL {
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", model.title());
        for action in Action::ALL {
            let permission = Permission::new(model, action);
            table.push_str(if granted.contains(&permission) {
                "<td class=\"yes\"><span aria-hidden=\"true\">&#10003;</span><span class=\"sr\">granted</span></td>"
            } else if asked.contains(&permission) {
                "<td class=\"no\"><span aria-hidden=\"true\">&ndash;</span><span class=\"sr\">not in your Role</span></td>"
            } else {
                "<td><span class=\"sr\">not asked for</span></td>"
            });
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table>");
    table
}

fn page(status: u16, title: &str, body: &str) -> Answer {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title} - Planhat sandbox</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    );
    let mut page = answer(status, "text/html; charset=utf-8", html);
    set_header(&mut page, "cache-control", "no-store");
    set_header(&mut page, "referrer-policy", "no-referrer");
    set_header(
        &mut page,
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    );
    page
}

/// Text as HTML text or attribute value.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
