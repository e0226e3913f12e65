use url::{Host, Url};

use super::*;

/// The verdict on a host as somebody may write it in a URL. `None`: not a literal address.
fn verdict(host: &str) -> Option<Result<(), &'static str>> {
    verdict_of(&AddressGuard::public_only(), host)
}

fn verdict_of(guard: &AddressGuard, host: &str) -> Option<Result<(), &'static str>> {
    let url = Url::parse(&format!("https://{host}/hook")).unwrap();
    match url.host().unwrap() {
        Host::Ipv4(v4) => Some(guard.check(v4.into())),
        Host::Ipv6(v6) => Some(guard.check(v6.into())),
        Host::Domain(_) => None,
    }
}

#[test]
fn no_notation_of_an_inner_address_is_let_through() {
    let forms = [
        // Loopback, in every base and number of parts that browsers and resolvers know.
        ("127.0.0.1", "loopback"),
        ("127.1", "loopback"),
        ("127.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f000001", "loopback"),
        ("0x7F.1", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("017700000001", "loopback"),
        ("127.0.0.1.", "loopback"),
        ("%31%32%37.0.0.1", "loopback"),
        ("127。0。0。1", "loopback"),
        ("①②⑦.0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[0:0:0:0:0:0:0:1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::ffff:7f00:1]", "loopback"),
        // This host.
        ("0.0.0.0", "this network"),
        ("0", "this network"),
        ("0.1.2.3", "this network"),
        ("[::]", "not public unicast"),
        ("[::ffff:0.0.0.0]", "this network"),
        // Private.
        ("10.0.0.1", "private"),
        ("10.255.255.255", "private"),
        ("167772161", "private"),
        ("0xa000001", "private"),
        ("012.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("192.168.1", "private"),
        ("[::ffff:192.168.0.1]", "private"),
        ("[::ffff:a00:1]", "private"),
        // Carrier-grade NAT.
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        // Link-local and metadata.
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "cloud metadata"),
        ("2852039166", "cloud metadata"),
        ("0xa9fea9fe", "cloud metadata"),
        ("[::ffff:169.254.169.254]", "cloud metadata"),
        ("100.100.100.200", "cloud metadata"),
        ("168.63.129.16", "cloud metadata"),
        ("192.0.0.192", "protocol assignments"),
        ("[fe80::1]", "link-local"),
        ("[febf:ffff::1]", "link-local"),
        ("[fec0::1]", "not public unicast"),
        // Unique local, among them the metadata address of one cloud.
        ("[fc00::1]", "unique local"),
        ("[fd12:3456::1]", "unique local"),
        ("[fd00:ec2::254]", "unique local"),
        // Ways from IPv6 into IPv4.
        ("[64:ff9b::7f00:1]", "NAT64"),
        ("[64:ff9b::10.0.0.1]", "NAT64"),
        ("[64:ff9b:1::1]", "NAT64"),
        ("[2002:7f00:1::]", "6to4"),
        ("[2002:a00:1::1]", "6to4"),
        ("[2001::1]", "Teredo"),
        ("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "Teredo"),
        ("[::127.0.0.1]", "not public unicast"),
        ("[::ffff:0:127.0.0.1]", "not public unicast"),
        ("192.88.99.1", "6to4 relay"),
        // Documentation, benchmarks, multicast, reserved.
        ("192.0.2.1", "documentation"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.9", "documentation"),
        ("[2001:db8::1]", "documentation"),
        ("[3fff::1]", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("[2001:2::1]", "protocol assignments"),
        ("[2001:20::1]", "protocol assignments"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("[ff02::1]", "multicast"),
        ("240.0.0.1", "reserved or broadcast"),
        ("255.255.255.255", "reserved or broadcast"),
        ("4294967295", "reserved or broadcast"),
        ("[100::1]", "not public unicast"),
        ("[5f00::1]", "not public unicast"),
        ("[4000::1]", "not public unicast"),
    ];
    assert!(forms.len() >= 60);
    for (host, what) in forms {
        assert_eq!(verdict(host), Some(Err(what)), "{host}");
    }
}

#[test]
fn public_addresses_are_let_through_right_up_to_their_neighbours() {
    for host in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "[::ffff:8.8.8.8]",
        "[2606:4700:4700::1111]",
        "[2001:4860:4860::8888]",
        "[2001:200::1]",
        "[2003::1]",
        "[2a00:1450::1]",
    ] {
        assert_eq!(verdict(host), Some(Ok(())), "{host}");
    }
}

#[test]
fn a_name_is_never_judged_by_its_looks() {
    for host in [
        "localhost",
        "metadata.google.internal",
        "127.0.0.1.nip.io",
        "example.am",
    ] {
        assert_eq!(verdict(host), None, "{host}");
    }
}

#[test]
fn an_allowed_network_opens_exactly_itself() {
    let allowed =
        ["10.20.0.0/16", "127.0.0.1", "fd00:20::/32"].map(|text| Cidr::parse(text).unwrap());
    let guard = AddressGuard::allowing(allowed.to_vec());
    for host in [
        "10.20.0.1",
        "10.20.255.255",
        "[::ffff:10.20.3.4]",
        "127.0.0.1",
        "[fd00:20::9]",
        "1.1.1.1",
    ] {
        assert_eq!(verdict_of(&guard, host), Some(Ok(())), "{host}");
    }
    for host in [
        "10.21.0.1",
        "10.19.255.255",
        "127.0.0.2",
        "[::1]",
        "[fd00:21::9]",
        "169.254.169.254",
    ] {
        assert!(matches!(verdict_of(&guard, host), Some(Err(_))), "{host}");
    }
}

#[test]
fn networks_are_written_exactly() {
    for good in [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.2.3",
        "10.1.2.3/32",
        "::/0",
        "fd00::/8",
        "::1/128",
    ] {
        let network = Cidr::parse(good).unwrap();
        assert_eq!(Cidr::parse(&network.to_string()), Ok(network), "{good}");
    }
    for bad in [
        "",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0/8",
        "fd00::/129",
        "fd00::1/64",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "x/8",
    ] {
        assert!(Cidr::parse(bad).is_err(), "{bad}");
    }
    assert!(
        Cidr::parse("0.0.0.0/0")
            .unwrap()
            .contains("255.1.2.3".parse().unwrap())
    );
    assert!(
        !Cidr::parse("0.0.0.0/0")
            .unwrap()
            .contains("::1".parse().unwrap())
    );
}
