//! Addresses: of mail, and of hosts.
//!
//! Guarantees: what stands in a version, a path of Rust or C++, or a time is no address of a host; a file name is
//! none of mail. The addresses of a host itself (127.0.0.1, ::1) and of none (0.0.0.0, ::) tell nothing and pass.

use super::Kind;
use super::scan::Hit;
use super::view::View;
use std::net::{Ipv4Addr, Ipv6Addr};

const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// What follows an `@` in names of files and of packages.
const NO_DOMAINS: [&[u8]; 14] = [
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"tgz", b"zip", b"json", b"yaml", b"yml",
    b"html", b"pdf",
];

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte)
}

pub(super) fn email(view: &View<'_>) -> Option<Hit> {
    // The letters of `\u003c` belong to no address.
    let escape = view.was(1, |byte| byte == b'\\') && view.starts_with(0, b"u");
    if escape && view.run(1, 4, |byte| byte.is_ascii_hexdigit()) == 4 {
        return None;
    }
    let local = view.run(0, LOCAL_MAX + 1, is_local);
    if local > LOCAL_MAX || view.peek(local)? != b'@' || view.is(local - 1, |byte| byte == b'.') {
        return None;
    }
    let from = local + 1;
    let (mut at, mut end) = (from, None);
    loop {
        let label = view.run(at, LABEL_MAX + 1, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if label == 0 || label > LABEL_MAX || at + label - from > DOMAIN_MAX {
            break;
        }
        if at > from && is_top(view, at, label) {
            end = Some(at + label);
        }
        at += label;
        if view.peek(at) != Some(b'.') {
            break;
        }
        at += 1;
    }
    let end = end?;
    // The address of a repository.
    let git = local == 3 && view.starts_with(0, b"git") && view.is(end, |byte| byte == b':');
    (!git).then(|| Hit::new(Kind::Email, end))
}

/// Whether this label can be the last of a domain.
fn is_top(view: &View<'_>, at: usize, label: usize) -> bool {
    let mut letters = [0u8; 24];
    let Some(letters) = letters.get_mut(..label).filter(|_| label >= 2) else {
        return view.starts_with(at, b"xn--");
    };
    for (n, letter) in letters.iter_mut().enumerate() {
        *letter = view.peek(at + n).unwrap_or(b'-').to_ascii_lowercase();
    }
    let plain = letters.iter().all(u8::is_ascii_alphabetic) && !NO_DOMAINS.contains(&&*letters);
    plain || letters.starts_with(b"xn--")
}

pub(super) fn v4(view: &View<'_>) -> Option<Hit> {
    let version = view.was(1, |byte| byte == b'/') && view.was(2, |byte| byte.is_ascii_alphabetic());
    let inside =
        view.was(1, |byte| b".-".contains(&byte)) && view.was(2, |byte| byte.is_ascii_alphanumeric());
    if version || inside || view.near(10, &["version", " ver ", "rv:"]) {
        return None;
    }
    let mut octets = [0u8; 4];
    let mut at = 0;
    for (n, octet) in octets.iter_mut().enumerate() {
        if n > 0 {
            view.peek(at).filter(|byte| *byte == b'.')?;
            at += 1;
        }
        let length = view.run(at, 4, |byte| byte.is_ascii_digit());
        let zero = length > 1 && view.is(at, |byte| byte == b'0');
        if length == 0 || length > 3 || zero {
            return None;
        }
        let value = (0..length)
            .fold(0u32, |value, n| value * 10 + u32::from(view.peek(at + n).unwrap_or(b'0') - b'0'));
        *octet = u8::try_from(value).ok()?;
        at += length;
    }
    let on = view.is(at, |byte| byte == b'.' || byte == b'-')
        && view.is(at + 1, |byte| byte.is_ascii_alphanumeric());
    let joined = view.is(at, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let address = Ipv4Addr::from(octets);
    let own = address.is_unspecified() || address == Ipv4Addr::LOCALHOST;
    (!on && !joined && !own).then(|| Hit::new(Kind::Ip, at))
}

/// Whether a group of an address may stand before: `ab:` is one, `old:` is none.
fn is_inside(view: &View<'_>) -> bool {
    if !view.was(1, |byte| byte == b':') {
        return false;
    }
    let run = (2..8).take_while(|n| view.was(*n, |byte| byte.is_ascii_alphanumeric())).count();
    let hex = (2..2 + run).all(|n| view.was(n, |byte| byte.is_ascii_hexdigit()));
    if run == 0 { view.was(2, |byte| byte == b':') } else { run < 5 && hex }
}

/// The longest text of an address.
const V6_MAX: usize = 45;

pub(super) fn v6(view: &View<'_>) -> Option<Hit> {
    let hex = |byte: u8| byte.is_ascii_hexdigit();
    let first = view.run(0, 5, hex);
    if first > 4 || view.peek(first)? != b':' || view.was(1, |byte| b".-_".contains(&byte)) || is_inside(view)
    {
        return None;
    }
    let length = view.run(0, V6_MAX + 1, |byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
    if length > V6_MAX || view.is(length, |byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let mut text = [0u8; V6_MAX];
    for (n, byte) in text[..length].iter_mut().enumerate() {
        *byte = view.peek(n)?;
    }
    // The end of a sentence is no part of it.
    let mut text = &text[..length];
    while let Some(less) =
        text.strip_suffix(b".").or_else(|| text.strip_suffix(b":").filter(|less| !less.ends_with(b":")))
    {
        text = less;
    }
    let address: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    (is_meant(text, address)).then(|| Hit::new(Kind::Ip, text.len()))
}

/// Whether people mean an address by this: `fe80::1` they do, `a::b` is a path of a program.
fn is_meant(text: &[u8], address: Ipv6Addr) -> bool {
    if address.is_unspecified() || address.is_loopback() || !text.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let mapped = address.to_ipv4_mapped().is_some();
    let short = text.windows(2).any(|two| two == b"::");
    let wide = text.split(|byte| *byte == b':').any(|group| group.len() > 2);
    let lead = address.segments()[0];
    let known = matches!(lead, 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xfebf | 0xff00..=0xffff | 0x64);
    mapped || (if short { known } else { wide })
}
