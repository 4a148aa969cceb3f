//! The cookies of the MCP endpoint: load balancers set them to keep a session on one server (RFC 6265). They are kept in
//! memory, for that origin alone, and within bounds: a server can set new ones with every answer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::{Request, Response};
use url::{Host, Url};

use crate::limits::{COOKIE_BYTES, COOKIES_BYTES, MAX_COOKIES};
use crate::secret::Secret;

use super::cookie_date;

/// The cookies that one origin has set.
///
/// Nothing is sent to, or taken from, any other origin; so a `Domain` that others share, even a public suffix, is harmless.
#[derive(Debug)]
pub struct CookieJar {
    origin: Url,
    /// The one that was set last comes last.
    cookies: VecDeque<Cookie>,
    /// What [`Cookie::bytes`] add up to.
    bytes: usize,
    /// Counts the cookies, for their order of creation.
    created: u64,
    /// What was sent last, as long as nothing has changed.
    newest: Option<SentHeader>,
}

#[derive(Debug)]
struct SentHeader {
    /// The path that it is for.
    path: String,
    value: Option<HeaderValue>,
    /// When the first of the cookies expires.
    until: Option<SystemTime>,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: Secret,
    /// Without a leading dot, in lower case; `None` for this host alone.
    domain: Option<String>,
    path: String,
    is_secure: bool,
    /// `None`: at the end of this process.
    expires: Option<SystemTime>,
    created: u64,
}

/// One `Set-Cookie`, with the attributes that matter here (RFC 6265, 5.2).
#[derive(Debug, Default)]
struct Parsed<'a> {
    name: &'a str,
    value: &'a str,
    domain: Option<&'a str>,
    path: Option<&'a str>,
    is_secure: bool,
    expires: Option<SystemTime>,
    max_age: Option<i64>,
}

impl CookieJar {
    /// An empty jar for the origin of `url`.
    pub fn of(url: &Url) -> Self {
        Self { origin: url.clone(), cookies: VecDeque::new(), bytes: 0, created: 0, newest: None }
    }

    /// Takes one `Set-Cookie` of an answer from `url` that came at `now`. What is malformed, too long or not for this
    /// origin changes nothing.
    pub fn set(&mut self, set_cookie: &str, url: &Url, now: SystemTime) {
        if url.origin() != self.origin.origin() {
            return;
        }
        let Some(parsed) = parse(set_cookie) else { return };
        let Ok(domain) = self.domain_of(parsed.domain) else { return };
        let path = parsed.path.filter(|path| path.starts_with('/')).unwrap_or_else(|| default_path(url.path()));
        let expires = match parsed.max_age {
            Some(seconds) => Some(u64::try_from(seconds).map_or(SystemTime::UNIX_EPOCH, |life| after(now, life))),
            None => parsed.expires,
        };
        self.newest = None;
        let is_same = |old: &Cookie| old.name == parsed.name && old.path == path && old.domain == domain;
        let old = self.cookies.iter().position(is_same).and_then(|at| self.cookies.remove(at));
        self.bytes -= old.as_ref().map_or(0, Cookie::bytes);
        if expires.is_some_and(|at| at <= now) {
            return;
        }
        // It keeps its place in the order of creation (RFC 6265, 5.3).
        let created = old.map_or(self.created, |old| old.created);
        self.created += 1;
        let cookie = Cookie {
            name: parsed.name.to_owned(),
            value: Secret::unlisted(parsed.value.to_owned()),
            domain,
            path: path.to_owned(),
            is_secure: parsed.is_secure,
            expires,
            created,
        };
        self.bytes += cookie.bytes();
        self.cookies.push_back(cookie);
        if !self.is_within_bounds() {
            self.drop_expired(now);
        }
        while !self.is_within_bounds()
            && let Some(oldest) = self.cookies.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// The `Cookie` header of a request to `url` at `now`; `None` when there is nothing to send.
    pub fn header(&mut self, url: &Url, now: SystemTime) -> Option<HeaderValue> {
        if self.cookies.is_empty() || url.origin() != self.origin.origin() {
            return None;
        }
        if let Some(newest) = &self.newest
            && newest.path == url.path()
            && newest.until.is_none_or(|until| now < until)
        {
            return newest.value.clone();
        }
        self.drop_expired(now);
        let is_https = url.scheme() == "https";
        let fits = |cookie: &&Cookie| (is_https || !cookie.is_secure) && path_matches(&cookie.path, url.path());
        let mut sent: Vec<&Cookie> = self.cookies.iter().filter(fits).collect();
        // Longer paths first, then by creation (RFC 6265, 5.4).
        sent.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created));
        let text = Secret::unlisted(sent.iter().map(|cookie| cookie.pair()).collect::<Vec<_>>().join("; "));
        let mut value = if sent.is_empty() { None } else { HeaderValue::from_bytes(text.expose().as_bytes()).ok() };
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        let until = self.cookies.iter().filter_map(|cookie| cookie.expires).min();
        self.newest = Some(SentHeader { path: url.path().to_owned(), value: value.clone(), until });
        value
    }

    /// Forgets all cookies.
    pub fn clear(&mut self) {
        (self.cookies, self.bytes, self.newest) = Default::default();
    }

    /// How many cookies it has, and their bytes in all.
    pub fn size(&self) -> (usize, usize) {
        (self.cookies.len(), self.bytes)
    }

    fn is_within_bounds(&self) -> bool {
        self.cookies.len() <= MAX_COOKIES && self.bytes <= COOKIES_BYTES
    }

    fn drop_expired(&mut self, now: SystemTime) {
        self.cookies.retain(|cookie| cookie.expires.is_none_or(|at| now < at));
        self.bytes = self.cookies.iter().map(Cookie::bytes).sum();
        self.newest = None;
    }

    /// The domain of a cookie with this attribute.
    ///
    /// # Errors The cookie is for another host, and is refused (RFC 6265, 5.3, step 6).
    fn domain_of(&self, attribute: Option<&str>) -> Result<Option<String>, ()> {
        let Some(domain) = attribute else { return Ok(None) };
        let domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
        if domain.is_empty() {
            return Ok(None);
        }
        let host = self.origin.host_str().unwrap_or_default();
        let is_above = matches!(self.origin.host(), Some(Host::Domain(_)))
            && host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        if host == domain || is_above { Ok(Some(domain)) } else { Err(()) }
    }
}

impl Cookie {
    fn bytes(&self) -> usize {
        self.name.len() + self.value.expose().len() + self.path.len() + self.domain.as_ref().map_or(0, String::len)
    }

    fn pair(&self) -> String {
        format!("{}={}", self.name, self.value.expose())
    }
}

/// Reads a `Set-Cookie` (RFC 6265, 5.2); `None` when it is to be ignored as a whole.
fn parse(set_cookie: &str) -> Option<Parsed<'_>> {
    let is_blank = |c: char| c == ' ' || c == '\t';
    if set_cookie.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let mut parts = set_cookie.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim_matches(is_blank), value.trim_matches(is_blank));
    if name.is_empty() || name.len() + value.len() > COOKIE_BYTES {
        return None;
    }
    let mut parsed = Parsed { name, value, ..Parsed::default() };
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        let (attribute, value) = (attribute.trim_matches(is_blank), value.trim_matches(is_blank));
        if value.len() > COOKIE_BYTES {
            continue;
        }
        // Of several, the last one counts.
        if attribute.eq_ignore_ascii_case("domain") {
            parsed.domain = Some(value);
        } else if attribute.eq_ignore_ascii_case("path") {
            parsed.path = Some(value);
        } else if attribute.eq_ignore_ascii_case("secure") {
            parsed.is_secure = true;
        } else if attribute.eq_ignore_ascii_case("max-age") {
            parsed.max_age = seconds(value).or(parsed.max_age);
        } else if attribute.eq_ignore_ascii_case("expires") {
            parsed.expires = cookie_date::parse(value).or(parsed.expires);
        }
    }
    Some(parsed)
}

/// A `Max-Age` (RFC 6265, 5.2.2); more digits than fit are for ever.
fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { -1 } else { i64::MAX }))
}

fn after(now: SystemTime, seconds: u64) -> SystemTime {
    /// Longer than anything here runs, and within what every system can represent.
    const LONGEST_LIFE_SECONDS: u64 = 400 * 24 * 60 * 60;
    now + Duration::from_secs(seconds.min(LONGEST_LIFE_SECONDS))
}

/// The path of a cookie that names none (RFC 6265, 5.1.4).
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(end @ 1..) if path.starts_with('/') => &path[..end],
        _ => "/",
    }
}

/// Whether a cookie with this path belongs to a request for `asked` (RFC 6265, 5.1.4).
fn path_matches(path: &str, asked: &str) -> bool {
    asked.strip_prefix(path).is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// The jar of the MCP endpoint, shared by its requests.
#[derive(Debug)]
pub struct Cookies(Mutex<(CookieJar, Turn)>);

/// Tells the requests of one user from those of the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn(u64);

impl Cookies {
    /// No cookies yet.
    pub fn of(url: &Url) -> Self {
        Self(Mutex::new((CookieJar::of(url), Turn::default())))
    }

    /// Puts the cookies on a request, in the place of any that are on it.
    pub fn add_to(&self, request: &mut Request) -> Turn {
        request.headers_mut().remove(COOKIE);
        let mut shared = self.lock();
        let (jar, turn) = &mut *shared;
        if !jar.cookies.is_empty()
            && let Some(header) = jar.header(request.url(), SystemTime::now())
        {
            request.headers_mut().insert(COOKIE, header);
        }
        *turn
    }

    /// Takes the cookies of an answer to a request that began in this turn: those of the user before are not the next
    /// user's.
    pub fn take_from(&self, response: &Response, turn: Turn) {
        self.take(response.headers(), response.url(), turn);
    }

    fn take(&self, headers: &HeaderMap, url: &Url, turn: Turn) {
        let mut set = headers.get_all(SET_COOKIE).iter().peekable();
        if set.peek().is_none() {
            return;
        }
        let mut shared = self.lock();
        let (jar, now) = (&mut *shared, SystemTime::now());
        if jar.1 == turn {
            set.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
                .for_each(|value| jar.0.set(value, url, now));
        }
    }

    /// Forgets all cookies: the next request may be another user's.
    pub fn forget(&self) {
        let mut shared = self.lock();
        shared.0.clear();
        shared.1.0 += 1;
    }

    fn lock(&self) -> MutexGuard<'_, (CookieJar, Turn)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
