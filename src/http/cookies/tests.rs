use reqwest::Method;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn sent(jar: &mut CookieJar, to: &str, now: SystemTime) -> String {
    let header = jar.header(&url(to), now);
    header.map(|header| header.to_str().expect("ASCII").to_owned()).unwrap_or_default()
}

/// What goes back to `to` after each of these came from `from`.
fn after_all(from: &str, to: &str, set: &[&str]) -> String {
    let mut jar = CookieJar::of(&url(from));
    set.iter().for_each(|set| jar.set(set, &url(from), at(0)));
    sent(&mut jar, to, at(1))
}

const MCP: &str = "https://mcp.example.com/v1/mcp";

#[test]
fn a_cookie_goes_back_to_the_origin_that_set_it_and_to_no_other() {
    for (to, cookie) in [
        (MCP, "node=b7"),
        ("https://mcp.example.com/v1/other", "node=b7"),
        ("https://mcp.example.com:444/v1/mcp", ""),
        ("http://mcp.example.com/v1/mcp", ""),
        ("https://as.example.com/v1/mcp", ""),
        ("https://sub.mcp.example.com/v1/mcp", ""),
    ] {
        assert_eq!(after_all(MCP, to, &["node=b7; Domain=example.com; Path=/"]), cookie, "{to}");
    }
    let mut jar = CookieJar::of(&url(MCP));
    jar.set("node=evil; Domain=example.com", &url("https://as.example.com/token"), at(0));
    assert_eq!(jar.size(), (0, 0), "nor does another one set it");
}

#[test]
fn the_cookies_that_keep_a_session_on_one_server_work() {
    for (set, cookie) in [
        ("AWSALB=x9/y+z==; Expires=Fri, 22 Jan 2027 08:00:00 GMT; Path=/", "AWSALB=x9/y+z=="),
        (
            "AWSALBCORS=x9/y+z==; Expires=Fri, 22 Jan 2027 08:00:00 GMT; Path=/; SameSite=None; Secure",
            "AWSALBCORS=x9/y+z==",
        ),
        ("ARRAffinity=0a1b;Path=/;HttpOnly;Secure;Domain=mcp.example.com", "ARRAffinity=0a1b"),
        (
            "__cf_bm=a.b-1.2-3-c_d; path=/; expires=Fri, 22-Jan-27 08:30:00 GMT; domain=.example.com; HttpOnly; Secure; SameSite=None",
            "__cf_bm=a.b-1.2-3-c_d",
        ),
        ("GCLB=\"CO+1\"; path=/; HttpOnly; expires=Fri, 22-Jan-2027 08:00:00 GMT", "GCLB=\"CO+1\""),
        ("SERVERID=s1|YZ; path=/v1", "SERVERID=s1|YZ"),
        ("route=1700000000.1.2.3|0f; Max-Age=172800; Path=/v1/mcp; HttpOnly", "route=1700000000.1.2.3|0f"),
        ("sticky", ""),
    ] {
        assert_eq!(after_all(MCP, MCP, &[set]), cookie, "{set}");
    }
}

#[test]
fn each_attribute_means_what_the_rfc_says() {
    for (set, cookie) in [
        // 5.2: the pair.
        ("a=1", "a=1"),
        ("  a = 1 2 ; x", "a=1 2"),
        ("a=b=c", "a=b=c"),
        ("a=", "a="),
        ("a", ""),
        ("=1", ""),
        ("; a=1", ""),
        ("a=1\r\nb: c", ""),
        ("a=\u{7f}", ""),
        // 5.1.4 and 5.2.4: the path.
        ("a=1; Path=/", "a=1"),
        ("a=1; Path=/v1", "a=1"),
        ("a=1; Path=/v1/", "a=1"),
        ("a=1; Path=/v1/mcp", "a=1"),
        ("a=1; Path=/v1/mcp/", ""),
        ("a=1; Path=/v1/m", ""),
        ("a=1; Path=/v2", ""),
        ("a=1; Path=v2", "a=1"),
        ("a=1; Path", "a=1"),
        ("a=1; Path=/v2; path=/", "a=1"),
        // 5.2.3 and 5.3: the domain.
        ("a=1; Domain=mcp.example.com", "a=1"),
        ("a=1; Domain=.EXAMPLE.com", "a=1"),
        ("a=1; Domain=com", "a=1"),
        ("a=1; Domain=", "a=1"),
        ("a=1; Domain=ample.com", ""),
        ("a=1; Domain=other.com", ""),
        ("a=1; Domain=x.mcp.example.com", ""),
        // 5.2.1 and 5.2.2: the end.
        ("a=1; Max-Age=2", "a=1"),
        ("a=1; Max-Age=1", ""),
        ("a=1; Max-Age=0", ""),
        ("a=1; Max-Age=-1", ""),
        ("a=1; Max-Age=99999999999999999999", "a=1"),
        ("a=1; Max-Age=-99999999999999999999", ""),
        ("a=1; Max-Age=1x", "a=1"),
        ("a=1; Max-Age=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1"),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        ("a=1; Expires=soon", "a=1"),
        ("a=1; SECURE; HttpOnly; SameSite=Strict; Partitioned; x=y", "a=1"),
    ] {
        assert_eq!(after_all(MCP, MCP, &[set]), cookie, "{set:?}");
    }
    let local = "http://127.0.0.1:8080/mcp";
    assert_eq!(after_all(local, local, &["a=1; Secure", "b=2; Domain=127.0.0.1", "c=3; Domain=0.0.1"]), "b=2");
}

#[test]
fn a_cookie_is_replaced_ended_and_ordered_by_its_name_path_and_domain() {
    for (set, cookies) in [
        (&["a=1", "a=2"][..], "a=2"),
        (&["a=1", "b=1", "a=2"], "a=2; b=1"),
        (&["a=1", "a=; Max-Age=0"], ""),
        (&["a=1", "a=2; Path=/"], "a=1; a=2"),
        (&["a=2; Path=/", "a=1; Path=/v1/mcp"], "a=1; a=2"),
        (&["a=1", "a=2; Domain=example.com"], "a=1; a=2"),
        (&["a=1", "A=2"], "a=1; A=2"),
    ] {
        assert_eq!(after_all(MCP, MCP, set), cookies, "{set:?}");
    }
}

#[test]
fn a_server_that_sets_ever_new_cookies_has_fifty_of_them_and_eight_kilobytes() {
    let mut jar = CookieJar::of(&url(MCP));
    for n in 0..10_000 {
        jar.set(&format!("c{n}={n}"), &url(MCP), at(0));
        jar.set("node=b7", &url(MCP), at(0));
        let (count, bytes) = jar.size();
        assert!(count <= MAX_COOKIES && bytes <= COOKIES_BYTES, "{n}: {count} {bytes}");
    }
    let header = sent(&mut jar, MCP, at(1));
    assert!(header.contains("node=b7") && header.contains("c9999=9999") && !header.contains("c9900="), "{header}");
    for n in 0..100 {
        jar.set(&format!("long{n}={}", "x".repeat(3_000)), &url(MCP), at(0));
        assert!(jar.size().1 <= COOKIES_BYTES);
    }
    assert_eq!(jar.size().0, 2, "the oldest make room");
    assert!(sent(&mut jar, MCP, at(1)).len() <= COOKIES_BYTES + 4 * MAX_COOKIES);
    jar.set(&format!("huge={}", "x".repeat(COOKIE_BYTES)), &url(MCP), at(0));
    assert!(!sent(&mut jar, MCP, at(1)).contains("huge"));
}

#[test]
fn what_has_expired_makes_room_first_and_is_not_sent_from_memory() {
    let mut jar = CookieJar::of(&url(MCP));
    jar.set("old=1", &url(MCP), at(0));
    for n in 1..MAX_COOKIES {
        jar.set(&format!("brief{n}={n}; Max-Age=10"), &url(MCP), at(0));
    }
    jar.set("new=1", &url(MCP), at(20));
    assert_eq!(sent(&mut jar, MCP, at(20)), "old=1; new=1");
    jar.set("brief=1; Max-Age=10", &url(MCP), at(20));
    assert!(sent(&mut jar, MCP, at(29)).contains("brief"));
    assert!(sent(&mut jar, MCP, at(29)).contains("brief"));
    assert!(!sent(&mut jar, MCP, at(30)).contains("brief"));
    assert_eq!(sent(&mut jar, "https://mcp.example.com/else", at(30)), "", "it was kept for another path");
    assert_eq!(jar.size().0, 2);
}

#[test]
fn the_cookies_of_one_user_never_reach_the_next_however_late_an_answer_comes() {
    let mcp = url(MCP);
    let cookies = Cookies::of(&mcp);
    let request = || Request::new(Method::POST, mcp.clone());
    let headers: HeaderMap = [(SET_COOKIE, HeaderValue::from_static("node=b7"))].into_iter().collect();
    let first = cookies.add_to(&mut request());
    cookies.take(&headers, &mcp, first);
    let mut second = request();
    second.headers_mut().insert(COOKIE, HeaderValue::from_static("stale=1"));
    assert_eq!(cookies.add_to(&mut second), first);
    assert_eq!(second.headers().get(COOKIE).map(HeaderValue::as_bytes), Some(b"node=b7".as_slice()));
    assert!(!format!("{cookies:?} {second:?}").contains("b7"));
    cookies.forget();
    cookies.take(&headers, &mcp, first);
    let mut third = request();
    cookies.add_to(&mut third);
    assert!(!third.headers().contains_key(COOKIE));
}
