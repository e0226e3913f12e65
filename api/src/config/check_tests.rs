use super::super::load::parse;

const GOOD: &str = r#"
[ledger]
origin = "ledger.example/test/1"
[connections.sim-main]
url = "http://127.0.0.1:9099"
allow_networks = ["127.0.0.0/8"]
danger_allow_http = true
[[merchants]]
merchant = "shop"
[[merchants.accounts]]
account = "sim-main"
provider = "sim"
minimum = "signed"
look_up = true
mode = "test"
payee = "acc-1"
[[merchants.scenarios]]
id = "telegram"
currencies = ["AMD"]
amount_minor_min = 10000
amount_minor_max = "500000000"
life_s_max = 3600
accounts = ["sim-main"]
"#;

fn places(text: &str) -> Vec<String> {
    match parse(text, []) {
        Ok(_) => vec![],
        Err(mistakes) => mistakes.into_iter().map(|mistake| mistake.place).collect(),
    }
}

fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    places(&GOOD.replace(from, to))
}

#[test]
fn a_good_file_passes_and_the_environment_wins() {
    assert_eq!(places(GOOD), Vec::<String>::new());
    assert_eq!(places(""), Vec::<String>::new());
    let environment = [(
        "COUNTERFOIL_SERVER__LISTEN".to_owned(),
        "127.0.0.1:9000".to_owned(),
    )];
    let (settings, overridden) = parse(GOOD, environment).unwrap();
    assert_eq!(settings.server.listen.port(), 9000);
    assert_eq!(overridden, ["server.listen"]);
}

#[test]
fn every_single_mistake_is_found() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "[ledger]",
            "[server]\nlisten = \"0.0.0.0:80\"\n[ledger]",
            "server.listen",
        ),
        (
            "[ledger]",
            "[server]\nlisten = \"here\"\n[ledger]",
            "server.listen",
        ),
        (
            "[ledger]",
            "[server]\npublic_url = \"ftp://x\"\n[ledger]",
            "server.public_url",
        ),
        (
            "[ledger]",
            "[server]\npublic_url = \"https://u:p@x\"\n[ledger]",
            "server.public_url",
        ),
        (
            "[ledger]",
            "[server]\nnode = \"A B\"\n[ledger]",
            "server.node",
        ),
        (
            "[ledger]",
            "[server]\nshutdown_timeout_s = 0\n[ledger]",
            "server.shutdown_timeout_s",
        ),
        (
            "[ledger]",
            "[server]\nworkers = 1000\n[ledger]",
            "server.workers",
        ),
        (
            "[ledger]",
            "[server]\nlistn = \"x\"\n[ledger]",
            "server.listn",
        ),
        ("[ledger]", "[storage]\ndata = \"x\"\n[ledger]", "storage"),
        (
            "[ledger]",
            "[limits]\nconnections = 0\n[ledger]",
            "limits.connections",
        ),
        (
            "[ledger]",
            "[limits]\nstreams_per_client = 0\n[ledger]",
            "limits.streams_per_client",
        ),
        (
            "[ledger]",
            "[delivery]\nallow_networks = [\"10.0.0.0/33\"]\n[ledger]",
            "delivery.allow_networks",
        ),
        (
            "[ledger]",
            "[delivery]\nallow_networks = [\"10.0.0.0\"]\n[ledger]",
            "delivery.allow_networks",
        ),
        (
            "[ledger]",
            "[alerts]\nallow_networks = [\"10.0.0.1/8\"]\n[ledger]",
            "alerts.allow_networks",
        ),
        (
            "[ledger]",
            "[delivery]\nallow_networks = [\"fd00::1/8\"]\n[ledger]",
            "delivery.allow_networks",
        ),
        (
            "[ledger]",
            "[alerts]\nurl = \"http://x.example\"\n[ledger]",
            "alerts.url",
        ),
        ("[ledger]", "[alerts]\nurl = \"x\"\n[ledger]", "alerts.url"),
        (
            "[ledger]",
            "[alerts]\ncommand = [\"\"]\n[ledger]",
            "alerts.command",
        ),
        (
            "[ledger]",
            "[alerts]\nlate_after_s = 0\n[ledger]",
            "alerts.late_after_s",
        ),
        (
            "[ledger]",
            "[delivery]\nproxy = \"socks5://proxy.example:1080\"\n[ledger]",
            "delivery.proxy",
        ),
        (
            "[ledger]",
            "[delivery]\nproxy = \"http://me:secret@proxy.example:3128\"\n[ledger]",
            "delivery.proxy",
        ),
        (
            "[ledger]",
            "[delivery]\nproxy = \"http://proxy.example:3128/path\"\n[ledger]",
            "delivery.proxy",
        ),
        (
            "[ledger]",
            "[delivery]\ndanger_proxy_resolves = true\n[ledger]",
            "delivery.proxy",
        ),
        (
            "[ledger]",
            "[log]\nformat = \"xml\"\n[ledger]",
            "log.format",
        ),
        (
            "[ledger]",
            "[log]\nfilter = \"a=b=c\"\n[ledger]",
            "log.filter",
        ),
        (
            "danger_allow_http = true",
            "danger_allow_http = true\ncalls_per_min = 0",
            "connections.sim-main",
        ),
        (
            "[ledger]",
            "[limits]\ncheckout_starts_per_min = 0\n[ledger]",
            "limits.checkout_starts_per_min",
        ),
        (
            "[ledger]",
            "[checkout]\nlanguage = \"de\"\n[ledger]",
            "checkout.language",
        ),
        (
            "[ledger]",
            "[checkout]\ntime_zone = \"Yerevan\"\n[ledger]",
            "checkout.time_zone",
        ),
        (
            "danger_allow_http = true",
            "danger_allow_http = true\npay_origins = [\"https://pay.example/path\"]",
            "connections.sim-main",
        ),
        (
            "danger_allow_http = true",
            "danger_allow_http = true\npay_origins = [\"javascript:1\"]",
            "connections.sim-main",
        ),
        (
            "payee = \"acc-1\"",
            "payee = \"acc-1\"\ndisplay_name = \" \"",
            "merchant shop, account sim-main",
        ),
        (
            "merchant = \"shop\"",
            "merchant = \"shop\"\ndisplay_name = \"two\\nlines\"",
            "merchant shop, display_name",
        ),
        ("ledger.example/test/1", "A", "ledger.origin"),
        ("\"test\"", "\"live\"", "merchant shop, account sim-main"),
        (
            "provider = \"sim\"",
            "provider = \"bank\"",
            "merchant shop, account sim-main",
        ),
        (
            "minimum = \"signed\"",
            "minimum = \"weakly_signed\"",
            "merchant shop, account sim-main",
        ),
        (
            "provider = \"sim\"",
            "provider = \"generic\"",
            "merchant shop, account sim-main",
        ),
        (
            "http://127.0.0.1:9099",
            "http://u:p@127.0.0.1:9099",
            "connections.sim-main",
        ),
        (
            "danger_allow_http = true",
            "danger_allow_http = false",
            "connections.sim-main",
        ),
        ("http://127.0.0.1:9099", "nowhere", "connections.sim-main"),
        ("127.0.0.0/8", "127.0.0.0/99", "connections.sim-main"),
        (
            "[connections.sim-main]",
            "[connections.other]",
            "merchant shop, account sim-main",
        ),
        (
            "amount_minor_min = 10000",
            "amount_minor_min = 0",
            "merchant shop, scenario telegram",
        ),
        (
            "amount_minor_min = 10000",
            "amount_minor_min = 100.5",
            "merchant shop, scenario telegram.amount_minor_min",
        ),
        (
            "life_s_max = 3600",
            "life_s_max = 0",
            "merchant shop, scenario telegram",
        ),
        (
            "currencies = [\"AMD\"]",
            "currencies = []",
            "merchant shop, scenario telegram",
        ),
        (
            "currencies = [\"AMD\"]",
            "currencies = [\"XXX\"]",
            "merchant shop, scenario telegram.currencies",
        ),
        (
            "accounts = [\"sim-main\"]",
            "accounts = [\"x\"]",
            "merchant shop, scenario telegram",
        ),
        (
            "accounts = [\"sim-main\"]",
            "accounts = []",
            "merchant shop, scenario telegram",
        ),
        (
            "merchant = \"shop\"",
            "merchant = \"The Shop\"",
            "merchant The Shop.merchant",
        ),
    ];
    for (from, to, place) in cases {
        let found = changed(from, to);
        assert!(found.iter().any(|found| found == place), "{to}: {found:?}");
    }
    assert_eq!(places("not toml = ["), ["line 1"]);
}

#[test]
fn several_mistakes_are_listed_at_once() {
    let text = GOOD
        .replace("ledger.example/test/1", "A")
        .replace("life_s_max = 3600", "life_s_max = 0");
    let text = text.replace("127.0.0.0/8", "x");
    assert_eq!(places(&text).len(), 3);
}

#[test]
fn an_account_at_idram_names_its_payee_has_no_look_up_and_takes_drams() {
    let idram = GOOD
        .replace("provider = \"sim\"", "provider = \"idram\"")
        .replace("minimum = \"signed\"", "minimum = \"weakly_signed\"")
        .replace("look_up = true", "look_up = false");
    assert_eq!(places(&idram), Vec::<String>::new());
    for (from, to) in [
        ("payee = \"acc-1\"\n", ""),
        ("look_up = false", "look_up = true"),
        ("[\"AMD\"]", "[\"AMD\", \"USD\"]"),
        ("minimum = \"weakly_signed\"", "minimum = \"unsigned\""),
    ] {
        assert!(idram.contains(from), "{from}");
        let found = places(&idram.replace(from, to));
        let account = |place: &String| place == "merchant shop, account sim-main";
        assert!(found.iter().any(account), "{to}: {found:?}");
    }
}
