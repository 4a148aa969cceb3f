//! Owns what the guard knows of ranges of addresses. Three questions, because a range can answer them differently:
//!
//! - Is it inward, so that a public server may not name it? Everything is that is not globally reachable.
//! - Does a server at such an address count as inside, so that it may name what it likes? Only in ranges that are made
//!   for machines inside. An address that a translator (NAT64) or a local proxy (fake-IP DNS) put in the place of the real
//!   one says nothing about where the server is.
//! - May a name lead there all the same? With fake-IP DNS all names do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is not globally reachable (IANA's registries of special-purpose addresses, RFC 6890): it belongs
/// to this machine, its network, or nobody.
pub fn is_inward(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_inward_v4(address),
        IpAddr::V6(address) => is_inward_v6(address),
    }
}

/// Whether a server at this address is certainly inside: on this machine, in its network, or in a carrier's or a VPN's
/// network.
pub fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => matches!(
            address.octets(),
            [0 | 10 | 127, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..]
        ),
        // `::`, `::1`; unique local (RFC 4193); link-local; site-local, which is out of date (RFC 3879).
        IpAddr::V6(address) => {
            address.to_bits() <= 1 || matches!(address.segments()[0], 0xfc00..=0xfdff | 0xfe80..=0xfeff)
        }
    }
}

/// Whether local proxies (Clash, Surge, sing-box) hand out this address in the place of any name's, to recognise its
/// connections: 198.18.0.0/15, which is for benchmarks of routers (RFC 2544) and routed nowhere else.
pub fn is_stand_in(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(address) if matches!(address.octets(), [198, 18 | 19, ..]))
}

fn is_inward_v4(address: Ipv4Addr) -> bool {
    /// Azure's platform services, including metadata, for virtual machines there; formally a public address.
    const AZURE_PLATFORM: [u8; 4] = [168, 63, 129, 16];
    match address.octets() {
        // This network; private; loopback; shared (CGNAT, and Alibaba's metadata); link-local (most metadata services).
        [0 | 10 | 127, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        // Protocol assignments; documentation; the anycast of 6to4 relays; benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        octets => octets == AZURE_PLATFORM,
    }
}

fn is_inward_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match (segments[0], segments[1]) {
        // NAT64 with the well-known prefix (RFC 6052, 2.1), and with one of a network's own (RFC 8215).
        (0x64, 0xff9b) if segments[2..6] == [0; 4] => is_inward_v4(low_half(address)),
        (0x64, 0xff9b) if segments[2] == 1 => leads_inward_by_nat64(address),
        // 6to4 (RFC 3056) embeds the IPv4 address that it leads to.
        (0x2002, high) => is_inward_v4(v4(u32::from(high) << 16 | u32::from(segments[2]))),
        // Protocol assignments, Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => true,
        // Only this is global unicast.
        (0x2000..=0x3fff, _) => false,
        _ => true,
    }
}

/// Whether an address of 64:ff9b:1::/48 leads inwards. A network chooses how long its prefix is, and so where the IPv4
/// address stands (RFC 6052, 2.2), so each reading counts that the zeroes around the IPv4 address permit. Of the ranges that
/// lead nowhere through a translator, only the reading that most networks use (a prefix of 96 bits) takes notice: a public
/// address, read wrongly, often falls there.
fn leads_inward_by_nat64(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    // The IPv4 address follows the prefix, and jumps over the bits 64 to 71, which are zero, and so is what follows it.
    let reading = |prefix: u32| {
        let before = 64 - prefix;
        let high = bits >> 64 & ((1 << before) - 1);
        let low = bits >> (24 + before) & ((1 << (32 - before)) - 1);
        let rest = bits & ((1 << (24 + before)) - 1);
        (rest == 0).then(|| v4(u32::try_from(high << (32 - before) | low).unwrap_or_default()))
    };
    let leads_somewhere = |address: &Ipv4Addr| !matches!(address.octets(), [0 | 224..=255, ..]);
    let short = [reading(48), reading(56), reading(64)];
    let mut found: Vec<Ipv4Addr> = short.into_iter().flatten().filter(leads_somewhere).collect();
    found.extend(Some(low_half(address)).filter(|address| !address.is_unspecified()));
    let octet_is_zero = bits >> 56 & 0xff == 0;
    !octet_is_zero || found.is_empty() || found.into_iter().any(is_inward_v4)
}

fn low_half(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

fn v4(bits: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(bits)
}
