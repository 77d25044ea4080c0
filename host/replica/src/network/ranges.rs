//! Ranges of addresses that the configuration can name by a word, and the forms of an address.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses with a special purpose, which no flow and no caller has a reason to name: this host itself, its link, the metadata
/// servers of clouds, and groups of hosts.
pub const SPECIAL: &[IpNet] = &[
    // "This network", including the unspecified address, which reaches this host on Linux (RFC 791, RFC 1122).
    v4([0, 0, 0, 0], 8),
    // Loopback (RFC 1122).
    v4([127, 0, 0, 0], 8),
    // Link-local (RFC 3927), with the metadata servers of most clouds.
    v4([169, 254, 0, 0], 16),
    // Metadata of Alibaba Cloud, and the host of a machine on Azure.
    v4([100, 100, 100, 200], 32),
    v4([168, 63, 129, 16], 32),
    // Protocol assignments (RFC 6890), with the metadata server of Oracle Cloud Classic.
    v4([192, 0, 0, 0], 24),
    // Multicast (RFC 5771), reserved and broadcast (RFC 1112, RFC 919).
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    // Unspecified and loopback (RFC 4291).
    v6([0; 8], 128),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    // Link-local and multicast (RFC 4291).
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // Metadata, credentials and name servers of AWS; metadata of Google Cloud.
    v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32),
    v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128),
];

/// Addresses of networks that are not the internet's (RFC 1918, RFC 6598, RFC 2544, RFC 4193, RFC 3879). The services of a
/// cluster have such addresses.
pub const PRIVATE: &[IpNet] = &[
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
    v4([198, 18, 0, 0], 15),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix))
}

/// Whether an address is one of this machine or of a private network, so that no proxy is needed to reach it.
pub(super) fn is_inside(address: IpAddr) -> bool {
    let contains = |range: &IpNet| canonical(address).iter().any(|form| range.contains(form));
    SPECIAL.iter().chain(PRIVATE).any(contains)
}

/// The address, and the one of IPv4 that it stands for, if it does.
pub(super) fn canonical(address: IpAddr) -> Vec<IpAddr> {
    let inside = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => embedded(address),
    };
    [Some(address), inside.map(IpAddr::V4)].into_iter().flatten().collect()
}

/// The address of IPv4 that routers, translators or systems read in one of IPv6.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let two = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // Unspecified and loopback are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Mapped, compatible (RFC 4291), and translated (RFC 2765).
        [0, 0, 0, 0, 0, 0xffff | 0, g, h] | [0, 0, 0, 0, 0xffff, 0, g, h] => Some(two(g, h)),
        // NAT64 (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, g, h] | [0x64, 0xff9b, 1, _, _, _, g, h] => Some(two(g, h)),
        // 6to4 (RFC 3056).
        [0x2002, b, c, ..] => Some(two(b, c)),
        // Teredo (RFC 4380).
        [0x2001, 0, .., g, h] => Some(two(!g, !h)),
        _ => None,
    }
}
