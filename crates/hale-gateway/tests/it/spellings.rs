//! Ways to write an address that must not be called: hundreds of them, made by rule.

use std::net::Ipv4Addr;

/// Addresses that nobody granted: this machine, networks of one's own, the machine's innards.
pub const TARGETS: [Ipv4Addr; 14] = [
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(127, 255, 0, 3),
    Ipv4Addr::new(0, 0, 0, 0),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(10, 0, 0, 7),
    Ipv4Addr::new(172, 16, 5, 4),
    Ipv4Addr::new(192, 168, 1, 1),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(100, 64, 0, 1),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(198, 18, 0, 9),
    Ipv4Addr::new(224, 0, 0, 251),
    Ipv4Addr::new(240, 0, 0, 1),
    Ipv4Addr::new(255, 255, 255, 255),
];

/// Ways to write an IPv4 address as the host of an address.
fn hosts(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let whole = ip.to_bits();
    let (low3, low2) = (whole & 0xff_ffff, whole & 0xffff);
    let dotted = format!("{a}.{b}.{c}.{d}");
    let mut all = vec![
        dotted.clone(),
        format!("{dotted}."),
        format!("{whole}"),
        format!("0{whole:o}"),
        format!("0x{whole:x}"),
        format!("0X{whole:08X}"),
        format!("0x{a:02x}.0x{b:02x}.0x{c:02x}.0x{d:02x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.000{b:o}.000{c:o}.000{d:o}"),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!("{a}.{low3}"),
        format!("{a}.{b}.{low2}"),
        format!("0x{a:x}.{low3}"),
        format!("0{a:o}.0x{b:x}.{low2}"),
        format!("0x{a:02x}{b:02x}{c:02x}{d:02x}."),
    ];
    all.push(mapped(&dotted, |digit| char::from_u32(0xff10 + digit).unwrap()));
    all.push(mapped(&dotted, |digit| char::from_u32(0x1d7ce + digit).unwrap()));
    all.push(mapped(&dotted, |digit| {
        if digit == 0 { '\u{24ea}' } else { char::from_u32(0x2460 + digit - 1).unwrap() }
    }));
    for dot in ['\u{3002}', '\u{ff0e}', '\u{ff61}'] {
        all.push(dotted.replace('.', &dot.to_string()));
    }
    all.push(dotted.bytes().map(|byte| format!("%{byte:02x}")).collect());
    all.push(dotted.replace('.', "%2e"));
    all.push(dotted.replace('.', "%E3%80%82"));
    all.push(dotted.replacen('.', "\u{ad}.", 1));
    all.push(dotted.replacen('.', ".\u{200b}", 1));
    let (high, low) = (whole >> 16, low2);
    all.extend([
        format!("[::ffff:{dotted}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:04X}:{low:04X}]"),
        format!("[::{dotted}]"),
        format!("[::{high:x}:{low:x}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2002:{high:04x}:{low:04x}:0:0:0:0:0]"),
        format!("[2001:0:{high:x}:{low:x}::1]"),
        format!("[2001:0:808:808::{:x}:{:x}]", !(high as u16), !(low as u16)),
        format!("[::ffff:0:{dotted}]"),
    ]);
    all
}

fn mapped(text: &str, digit: impl Fn(u32) -> char) -> String {
    text.chars().map(|letter| letter.to_digit(10).map_or(letter, &digit)).collect()
}

/// Hosts that are no IPv4 address.
const NAMES: [&str; 34] = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.",
    "a.localhost",
    "\u{ff4c}ocalhost",
    "\u{24db}\u{24de}\u{24d2}\u{24d0}\u{24db}\u{24d7}\u{24de}\u{24e2}\u{24e3}",
    "local%68ost",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "loca\u{ad}lhost",
    "metadata",
    "metadata.google.internal",
    "metadata.google.internal.",
    "METADATA.Google.Internal",
    "a.metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
    "printer.local",
    "wiki.internal",
    "router.lan",
    "intranet",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[fe80::1]",
    "[fd00::7]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[fec0::1]",
];

/// Every spelling, with `port` where one is written: each leads to what must not be called, or is no address at all.
pub fn all(port: u16) -> Vec<String> {
    let mut urls = Vec::new();
    let hosts: Vec<String> = TARGETS.into_iter().flat_map(hosts).chain(NAMES.map(str::to_owned)).collect();
    for host in &hosts {
        urls.push(format!("http://{host}:{port}/"));
        urls.push(format!("http://{host}/"));
        urls.push(format!("https://{host}/"));
    }
    for target in TARGETS.map(|ip| ip.to_string()) {
        let here = format!("{target}:{port}");
        urls.extend([
            format!("http://example.com@{here}/"),
            format!("http://example.com:80@{here}/"),
            format!("http://example.com%40{here}/"),
            format!("http://user:pass@{here}/"),
            format!("http://{here}\\@example.com/"),
            format!("http://{here}#@example.com/"),
            format!("http://{here}?@example.com/"),
            format!("http://example.com\\@{here}/").replace("example.com\\", "\\"),
            format!("http:\\\\{here}\\"),
            format!("http:/{here}/"),
            format!("http:{here}/"),
            format!("http:////{here}/"),
            format!("http://\t{here}/"),
            format!("ht\ntp://{here}/"),
            format!("http://{}/", here.replacen('.', ".\r\n", 1)),
            format!(" \u{1}http://{here}/"),
            format!("HTTP://{here}/"),
            format!("http://{here}/%0d%0aHost:%20example.com"),
            format!("http://{here}:80/"),
            format!("//{here}/"),
            here.clone(),
            format!("file:///{here}/etc/passwd"),
            format!("gopher://{here}/_x"),
            format!("ftp://{here}/"),
            format!("unix:///var/run/{here}"),
            format!("jar:http://{here}/!/"),
            format!("view-source:http://{here}/"),
            format!("data:text/plain,{here}"),
        ]);
    }
    urls
}
