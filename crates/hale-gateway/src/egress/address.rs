//! What an address stands for: a place on the internet, one inside, or one that is never called.
//!
//! Guarantees: public is only what the registries of IANA give to the internet at large; all else is refused by those who
//! ask for public addresses, also what is not assigned yet. An IPv4 address inside an IPv6 one (mapped, compatible, 6to4,
//! NAT64) is judged by what it leads to.
//! Leaves to others: who may call what ([`super::guard`], [`super::policy`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Public,
    Loopback,
    /// Inside a network, or nothing that answers on the internet.
    Inside,
    /// What no service answers on, or only a machine's own innards do: where clouds keep their credentials.
    Never,
}

/// Addresses of innards that lie in ordinary ranges: the metadata services of Azure, Alibaba and Oracle.
const INNARDS_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
/// Those of Amazon and Google.
const INNARDS_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Ranges of IPv4 that are not public, by network and length of the prefix. Loopback and what is never called stand apart.
const INSIDE_V4: [(Ipv4Addr, u32); 11] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Between a provider and its customers.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4, which lead elsewhere.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Parts of `2000::/3`, which is all that is given to the internet, that are not public: protocols (Teredo, benchmarks,
/// identifiers among them) and documentation.
const INSIDE_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What this address stands for.
pub fn standing(ip: IpAddr) -> Standing {
    match ip.to_canonical() {
        IpAddr::V4(ip) => standing_v4(ip),
        IpAddr::V6(ip) => match wrapped(ip) {
            Some(Wrapped::Routed(inner)) => standing_v4(inner),
            // Nothing public is reached this way; what it holds may still be worse.
            Some(Wrapped::Dead(inner)) => match standing_v4(inner) {
                Standing::Public => Standing::Inside,
                other => other,
            },
            None => standing_v6(ip),
        },
    }
}

/// Whether no grant opens this address.
pub fn is_never_called(ip: IpAddr) -> bool {
    standing(ip) == Standing::Never
}

fn standing_v4(ip: Ipv4Addr) -> Standing {
    let inside = |(network, length): &(Ipv4Addr, u32)| {
        let shift = 32 - length;
        ip.to_bits() >> shift == network.to_bits() >> shift
    };
    let never = ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0;
    match () {
        () if never || INNARDS_V4.contains(&ip) => Standing::Never,
        () if ip.is_loopback() => Standing::Loopback,
        () if INSIDE_V4.iter().any(inside) => Standing::Inside,
        () => Standing::Public,
    }
}

fn standing_v6(ip: Ipv6Addr) -> Standing {
    let within = |(network, length): &(Ipv6Addr, u32)| {
        let shift = 128 - length;
        ip.to_bits() >> shift == network.to_bits() >> shift
    };
    let never = ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast();
    match () {
        () if never || INNARDS_V6.contains(&ip) => Standing::Never,
        () if ip.is_loopback() => Standing::Loopback,
        () if !within(&GLOBAL_V6) || INSIDE_V6.iter().any(within) => Standing::Inside,
        () => Standing::Public,
    }
}

/// An IPv4 address that an IPv6 one holds. Mapped ones are canonical already.
enum Wrapped {
    /// Packets go there: 6to4, NAT64.
    Routed(Ipv4Addr),
    /// A form that nobody routes any more, `::a.b.c.d`, and Teredo with its server and its client.
    Dead(Ipv4Addr),
}

fn wrapped(ip: Ipv6Addr) -> Option<Wrapped> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] => Some(Wrapped::Dead(v4(high, low))),
        [0x2002, high, low, ..] => Some(Wrapped::Routed(v4(high, low))),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(Wrapped::Routed(v4(high, low))),
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            let (server, client) = (v4(server_high, server_low), v4(!high, !low));
            let worse = if standing_v4(client) == Standing::Never { client } else { server };
            Some(Wrapped::Dead(worse))
        }
        _ => None,
    }
}
