//! Which addresses are inward, and what a guarded client does with names.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::http::ssrf_guard::*;

#[test]
fn every_range_that_is_not_globally_reachable_is_inward_up_to_its_edges() {
    for (inward, outward) in [
        ("0.0.0.0 0.255.255.255", "1.0.0.0"),
        ("10.0.0.0 10.255.255.255", "9.255.255.255 11.0.0.0"),
        ("100.64.0.0 100.127.255.255 100.100.100.200", "100.63.255.255 100.128.0.0"),
        ("127.0.0.0 127.0.0.1 127.255.255.255", "126.255.255.255 128.0.0.0"),
        ("169.254.0.0 169.254.169.254 169.254.255.255", "169.253.255.255 169.255.0.0"),
        ("172.16.0.0 172.31.255.255", "172.15.255.255 172.32.0.0"),
        ("192.0.0.0 192.0.0.255 192.0.2.1 192.88.99.1", "192.0.1.0 192.0.3.0 192.88.98.1"),
        ("192.168.0.0 192.168.255.255", "192.167.255.255 192.169.0.0"),
        ("198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.1", "198.17.255.255 198.20.0.0 203.0.114.1"),
        ("224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255", "223.255.255.255"),
        ("168.63.129.16", "168.63.129.15 168.63.129.17"),
        (":: ::1 ::2 ::127.0.0.1 ::ffff:0:127.0.0.1", "2000::1"),
        ("::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:a9fe:a9fe", "::ffff:8.8.8.8"),
        ("64:ff9b::10.0.0.1 64:ff9b::7f00:1 64:ff9b:1:0:100::1", "64:ff9b::8.8.8.8"),
        ("2002:7f00:1::1 2002:a00:1::1 2002:c0a8:101::", "2002:808:808::1"),
        (
            "2001::1 2001:0:1234::1 2001:1ff::1 2001:db8::1 3fff::1 3fff:fff::1",
            "2001:200::1 2001:4860:4860::8888 3ffe::1",
        ),
        ("fc00::1 fd00:ec2::254 fdff:ffff::1", "2600::1"),
        ("fe80::1 febf::1 fec0::1 ff02::1 100::1 5f00::1 4000::1", "2a00::1"),
    ] {
        for address in inward.split(' ') {
            assert!(is_inward(address.parse().unwrap()), "{address}");
        }
        for address in outward.split(' ') {
            assert!(!is_inward(address.parse().unwrap()), "{address}");
        }
    }
}

#[test]
fn an_address_of_nat64_leads_where_its_ipv4_address_leads_wherever_that_stands() {
    // 64:ff9b:1::/48 with prefixes of 96, 48, 56 and 64 bits (RFC 6052, 2.2).
    for (inner, outer) in [
        ("64:ff9b:1::10.0.0.1 64:ff9b:1::127.0.0.1 64:ff9b:1:2:3::169.254.169.254", "64:ff9b:1::8.8.8.8"),
        ("64:ff9b:1:a00:0:100:: 64:ff9b:1:7f00:0:100:: 64:ff9b:1:c0a8:1:700::", "64:ff9b:1:808:8:800::"),
        ("64:ff9b:1:a:0:1:: 64:ff9b:1:ffac:10:1::", "64:ff9b:1:8:8:808::"),
        ("64:ff9b:1:0:a:0:100:0 64:ff9b:1:5:a9:fea9:fe00:0", "64:ff9b:1:5:8:808:800:0"),
        // No reading at all: the octet that must be zero is not, or nothing is embedded.
        ("64:ff9b:1:0:ff00::8.8.8.8 64:ff9b:1::", "64:ff9b:1:2:3::8.8.8.8"),
    ] {
        for address in inner.split(' ') {
            assert!(is_inward(address.parse().unwrap()), "{address}");
        }
        for address in outer.split(' ') {
            assert!(!is_inward(address.parse().unwrap()), "{address}");
        }
    }
}

#[test]
fn only_a_server_in_a_range_for_machines_inside_may_name_what_it_likes() {
    let guard = Guard::new(Surroundings::default(), &[]);
    for (addresses, namer) in [
        ("127.0.0.1 10.0.0.1 172.16.0.1 192.168.0.1 169.254.1.1 100.64.0.1 0.0.0.0", AddressSource::Insider),
        (":: ::1 fc00::1 fdff::1 fe80::1 fec0::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1", AddressSource::Insider),
        // Public, and put in the place of a public address by fake-IP DNS or by NAT64.
        ("8.8.8.8 2600::1 198.18.0.0 198.18.0.7 198.19.255.255 ::ffff:198.18.0.7", AddressSource::Public),
        ("64:ff9b::8.8.8.8 64:ff9b::10.0.0.1 64:ff9b:1::8.8.8.8 64:ff9b:1::10.0.0.1", AddressSource::Public),
        // Of nobody, or embedded.
        ("192.0.0.170 192.0.2.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 168.63.129.16", AddressSource::Public),
        ("2002:a00:1::1 2001::1 2001:db8::1 ff02::1 ::2 ::127.0.0.1 100::1 5f00::1", AddressSource::Public),
    ] {
        for address in addresses.split(' ') {
            assert_eq!(guard.namer(address.parse().unwrap()), namer, "{address}");
        }
    }
}

#[tokio::test]
async fn behind_a_fake_ip_dns_a_name_may_lead_to_its_stand_in_and_an_address_may_not() {
    for (answer, good) in [
        ("198.18.0.7", true),
        ("198.19.255.255", true),
        ("198.18.0.7 10.0.0.1", false),
        ("64:ff9b:1::8.8.8.8", true),
        ("64:ff9b:1::10.0.0.1", false),
        ("64:ff9b::10.0.0.1", false),
        ("198.20.0.1", true),
        ("203.0.113.1", false),
    ] {
        let guard = Guard::new(Script::surroundings(&[answer]), &[]);
        let page = guard.check_page(&Url::parse("https://as.example/").unwrap()).await;
        assert_eq!(page.is_ok(), good, "{answer}");
        // A connection leaves out what is inward.
        assert_eq!(resolved(&guard, "as.example").await.is_ok(), good || answer.contains(' '), "{answer}");
    }
    let guard = Guard::new(Surroundings::default(), &[]);
    for text in ["https://198.18.0.7/", "https://[::ffff:198.18.0.7]/", "https://[64:ff9b:1::a00:1]/"] {
        assert!(guard.check(&Url::parse(text).unwrap()).is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_page_whose_host_dns_does_not_know_is_refused_with_what_allows_it() {
    struct Failing(bool);
    impl Resolve for Failing {
        fn resolve(&self, _: Name) -> Resolving {
            let is_silent = self.0;
            Box::pin(async move {
                if is_silent {
                    std::future::pending::<()>().await;
                }
                Err("no such name".into())
            })
        }
    }
    tokio::time::pause();
    let page = Url::parse("https://as.example/authorize").unwrap();
    let allowed = HostPattern::parse_all("as.example").unwrap();
    for is_silent in [false, true] {
        let surroundings = Surroundings { is_inward, resolver: Arc::new(Failing(is_silent)) };
        let problem = Problem::from(Guard::new(surroundings.clone(), &[]).check_page(&page).await.unwrap_err());
        assert_eq!((problem.id, problem.fact("host")), (ProblemId::PageHostUnknown, Some("as.example")));
        assert!(problem.fix().contains("--allow-private as.example"), "{}", problem.fix());
        assert!(Guard::new(surroundings, &allowed).check_page(&page).await.is_ok());
    }
}

#[test]
fn an_address_in_place_of_a_name_is_refused_however_it_is_written() {
    let guard = Guard::new(Surroundings::default(), &HostPattern::parse_all("10.0.0.9, fd00::9").unwrap());
    for text in [
        "http://127.0.0.1:8080/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1./",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://0/",
        "https://１２７.0.0.1/",
    ] {
        let problem = Problem::from(guard.check(&Url::parse(text).unwrap()).unwrap_err());
        assert_eq!(problem.id, ProblemId::InwardAddress, "{text}");
    }
    for text in ["https://8.8.8.8/", "https://[2606:4700::1111]/", "https://10.0.0.9/", "https://[fd00::9]/"] {
        assert!(guard.check(&Url::parse(text).unwrap()).is_ok(), "{text}");
    }
}

/// Answers in turn, the last one for ever.
struct Script(Mutex<VecDeque<Vec<SocketAddr>>>);

impl Script {
    fn surroundings(answers: &[&str]) -> Surroundings {
        let each = |list: &&str| list.split_whitespace().map(|a| SocketAddr::new(a.parse().unwrap(), 0)).collect();
        let answers = answers.iter().map(each).collect();
        Surroundings { is_inward, resolver: Arc::new(Self(Mutex::new(answers))) }
    }
}

impl Resolve for Script {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(std::future::ready(Ok(Box::new(answer.unwrap_or_default().into_iter()) as Addrs)))
    }
}

async fn resolved(guard: &Guard, name: &str) -> Result<Vec<String>, Inward> {
    let found = guard.resolve(name.parse().unwrap()).await.map_err(|error| *error.downcast::<Inward>().unwrap())?;
    Ok(found.map(|address| address.ip().to_string()).collect())
}

#[tokio::test]
async fn a_name_keeps_its_public_addresses_and_is_refused_when_it_has_none() {
    let guard = Guard::new(Script::surroundings(&["8.8.8.8 10.0.0.1 ::1", "10.0.0.1 ::1", ""]), &[]);
    assert_eq!(resolved(&guard, "h.example").await.unwrap(), ["8.8.8.8"]);
    let inward = resolved(&guard, "h.example").await.unwrap_err();
    assert_eq!((inward.host.as_str(), inward.address.to_string().as_str()), ("h.example", "10.0.0.1"));
    assert!(resolved(&guard, "h.example").await.unwrap().is_empty(), "unknown is not the same as inward");
}

#[tokio::test]
async fn a_host_that_the_user_has_allowed_may_lead_anywhere_and_no_other() {
    let allowed = HostPattern::parse_all("*.corp.example").unwrap();
    let guard = Guard::new(Script::surroundings(&["10.0.0.1"]), &allowed);
    assert_eq!(resolved(&guard, "auth.corp.example").await.unwrap(), ["10.0.0.1"]);
    assert!(resolved(&guard, "corp.example").await.is_err());
    for (page, good) in [("https://auth.corp.example/a", true), ("https://auth.example/a", false)] {
        assert_eq!(guard.check_page(&Url::parse(page).unwrap()).await.is_ok(), good, "{page}");
    }
}

#[tokio::test]
async fn a_page_is_refused_when_a_browser_may_find_it_inside() {
    for (page, answer, good) in [
        ("https://h.example/", "8.8.8.8", true),
        ("https://h.example/", "8.8.8.8 192.168.0.1", false),
        ("https://h.example/", "", false),
        ("http://127.0.0.1/", "", false),
        ("http://localhost:8080/", "", false),
        ("https://x.localhost./", "8.8.8.8", false),
        ("https://notlocalhost/", "8.8.8.8", true),
    ] {
        let guard = Guard::new(Script::surroundings(&[answer]), &[]);
        assert_eq!(guard.check_page(&Url::parse(page).unwrap()).await.is_ok(), good, "{page} {answer}");
    }
}

#[tokio::test]
async fn the_system_s_resolver_is_the_one_behind_it() {
    let guard = Guard::new(Surroundings::default(), &[]);
    assert!(resolved(&guard, "localhost").await.unwrap_err().address.is_loopback());
}
