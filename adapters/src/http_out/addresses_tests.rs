use super::*;

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

#[test]
fn what_is_inside_of_an_address_is_found_where_translators_look() {
    for (outer, inside) in [
        ("::7f00:1", Some("127.0.0.1")),
        ("::ffff:0:7f00:1", Some("127.0.0.1")),
        ("64:ff9b::a00:1", Some("10.0.0.1")),
        ("64:ff9b:1:fffe::a00:1", Some("10.0.0.1")),
        ("2002:a00:1::9", Some("10.0.0.1")),
        ("2606:4700::a00:1", None),
        ("10.0.0.1", None),
    ] {
        let inside = inside.map(|text| text.parse().unwrap());
        assert_eq!(carried(outer.parse().unwrap()), inside, "{outer}");
    }
}

#[test]
fn no_network_of_the_tables_is_written_inexactly() {
    let tables = [NEVER, BLOCKED_V4, BLOCKED_V6, NAMED_V6];
    for (network, what) in tables.into_iter().flatten() {
        assert_eq!(
            Cidr::parse(&network.to_string()).as_ref(),
            Ok(network),
            "{what}"
        );
    }
}
