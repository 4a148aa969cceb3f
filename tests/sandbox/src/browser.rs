//! What a browser and the person in front of it do, over plain HTTP: open the link, press a button, follow redirects.

use std::io;

use url::Url;

use crate::wire::{Page, Route, send_by};

/// What the person does on the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Presses "Allow".
    Allow,
    /// Presses "Cancel".
    Deny,
    /// Looks at it and leaves.
    Leave,
}

/// Everything that a browser was shown on its way.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// The pages, in order; redirects are among them.
    pub pages: Vec<Page>,
}

impl Walk {
    /// Where the walk ended.
    ///
    /// # Panics
    ///
    /// On a walk that `walk` did not make: that one has at least one page.
    pub fn last(&self) -> &Page {
        self.pages.last().expect("a walk has at least the first page")
    }
}

/// What browsers allow is some twenty; nothing here needs five.
const MAX_PAGES: usize = 12;

/// Opens a link and does what a person would; blocks until there is nothing left to follow.
///
/// # Errors
///
/// When a page cannot be fetched, which is what the person would see as the browser's own error page.
pub fn walk(url: &str, choice: Choice) -> io::Result<Walk> {
    walk_by(&Route::default(), url, choice)
}

/// The same also over https, where the route leads there.
///
/// # Errors
///
/// As with [`walk`].
pub fn walk_by(route: &Route, url: &str, choice: Choice) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let mut next: Option<(Url, Option<String>)> = Some((Url::parse(url).map_err(io::Error::other)?, None));
    while let Some((url, form)) = next.take() {
        if walk.pages.len() == MAX_PAGES {
            return Err(io::Error::other("the redirects do not end"));
        }
        let accept = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        let page = match &form {
            None => send_by(route, "GET", url.as_str(), &[accept], None)?,
            Some(form) => {
                let form_type = ("content-type", "application/x-www-form-urlencoded");
                send_by(route, "POST", url.as_str(), &[accept, form_type], Some(form.as_bytes()))?
            }
        };
        if (300..400).contains(&page.status) {
            let location = page.header("location").ok_or_else(|| io::Error::other("a redirect without a location"))?;
            next = Some((url.join(location).map_err(io::Error::other)?, None));
        } else if choice != Choice::Leave && page.status == 200 {
            for image in images(&page.body) {
                // What comes of it is not shown to anybody.
                let _ = send_by(route, "GET", &image, &[("accept", "image/*")], None);
            }
            next = press(&page.body, choice)
                .map(|(action, fields)| {
                    url.join(&action).map(|action| (action, Some(fields))).map_err(io::Error::other)
                })
                .transpose()?;
        }
        walk.pages.push(page);
    }
    Ok(walk)
}

/// The images of a page, which browsers fetch unasked.
fn images(html: &str) -> Vec<String> {
    html.split("<img").skip(1).filter_map(|tag| attribute(tag.split('>').next()?, "src")).collect()
}

/// The first form's action and fields, with the button that the choice means; `None` when there is no such button.
fn press(html: &str, choice: Choice) -> Option<(String, String)> {
    let start = html.find("<form")?;
    let form = &html[start..];
    let form = &form[..form.find("</form>").unwrap_or(form.len())];
    let wanted = if choice == Choice::Allow { "allow" } else { "cancel" };
    let mut action = String::new();
    let mut pressed = false;
    let mut fields = url::form_urlencoded::Serializer::new(String::new());
    for tag in form.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let value = attribute(tag, "value").unwrap_or_default();
        match tag.split_whitespace().next() {
            Some("form") => action = attribute(tag, "action").unwrap_or_default(),
            Some("input") => {
                if let Some(name) = attribute(tag, "name") {
                    fields.append_pair(&name, &value);
                }
            }
            Some("button") if value == wanted => {
                fields.append_pair(&attribute(tag, "name")?, &value);
                pressed = true;
            }
            _ => {}
        }
    }
    pressed.then(|| (action, fields.finish()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = &tag[start..];
    let value = &value[..value.find('"')?];
    Some(
        value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&"),
    )
}
