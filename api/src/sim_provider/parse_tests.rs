use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Script {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    text.parse::<Script>().expect_err(text).to_string()
}

#[test]
fn an_empty_script_is_an_honest_provider() {
    for text in ["", " ", ";", " ; ; "] {
        assert_eq!(parsed(text), Script::default());
    }
}

#[test]
fn steps_before_the_first_act_are_about_the_page() {
    let script = parsed(
        "notify after 2s; pay; notify again x3; notify amount=100.00 currency=USD account=other",
    );
    let Plan::Told(page) = &script.page else {
        panic!("{script:?}")
    };
    assert_eq!(page.len(), 1);
    let Plan::Told(told) = &script.acts[0].plan else {
        panic!("{script:?}")
    };
    assert_eq!(
        told[0],
        Message::Again {
            when: When::Now,
            times: 3
        }
    );
    let Message::New { changes, .. } = &told[1] else {
        panic!("{told:?}")
    };
    assert_eq!(changes.amount.as_deref(), Some("100.00"));
    assert_eq!(changes.currency, Currency::from_code("USD"));
    assert_eq!(changes.account.as_deref(), Some("other"));
}

#[test]
fn every_word_is_read() {
    for text in [
        "pay",
        "pay after 500ms",
        "pay late",
        "pay amount=0.01 currency=USD",
        "decline; pay after 2s",
        "leave; notify status=captured",
        "pay; pay",
        "notify forged; notify old; notify late; notify after 1h",
        "notify reference=pr_x-1 order=so_1 transaction=st_1 mode=live",
        "pay; lose",
        "lose",
        "reorder",
        "late after expiry",
        "slow 5s",
        "register down",
        "register lost",
        "register slow 3s",
        "lookup down",
        "lookup slow 10s",
        "lookup account=other amount=1",
        "refund down",
        "refund lost",
        "refund slow 3s",
        "refund declined",
        "refund after 2s",
        "refund fails after 500ms",
    ] {
        let script = parsed(text);
        assert_ne!(script, Script::default(), "{text}");
        assert_eq!(parsed(&script.to_string()), script, "{text}");
    }
}

#[test]
fn a_mistake_is_named_with_its_step_and_the_nearest_word() {
    for (text, told) in [
        ("pai", r#"step 1: "pai" is not known; is "pay" meant?"#),
        (
            "pay; notfy",
            r#"step 2: "notfy" is not known; is "notify" meant?"#,
        ),
        (
            "pay;;looze",
            r#"step 3: "looze" is not known; is "lose" meant?"#,
        ),
        (
            "notify amout=1",
            r#"step 1: "amout" is not known; is "amount" meant?"#,
        ),
        (
            "notify agian",
            r#"step 1: "agian" is not known; is "again" meant?"#,
        ),
        (
            "lookup dwn",
            r#"step 1: "dwn" is not known; is "down" meant?"#,
        ),
        (
            "refund declind",
            r#"step 1: "declind" is not known; is "declined" meant?"#,
        ),
        (
            "refund fails",
            r#"step 1: after "refund fails" stands "after" and a length"#,
        ),
        (
            "explode",
            r#"step 1: "explode" is not known; here may stand: pay,"#,
        ),
        (
            "notify after",
            "step 1: a length like 500ms, 2s, 5m or 1h is missing",
        ),
        ("notify after soon", r#"step 1: "soon" is not a length"#),
        ("notify after 25h", r#"step 1: "25h" is not a length"#),
        ("notify after 0s", r#"step 1: "0s" is not a length"#),
        ("notify after +1s", r#"step 1: "+1s" is not a length"#),
        (
            "notify again x0",
            r#"step 1: "x0" is not a number of times"#,
        ),
        (
            "notify again x1001",
            r#"step 1: "x1001" is not a number of times"#,
        ),
        ("notify again x3 amount=1", r#"step 1: "again" repeats"#),
        ("notify amount=0.00", r#"step 1: "0.00" is not an amount"#),
        ("notify amount=-1", r#"step 1: "-1" is not an amount"#),
        ("notify amount=1e3", r#"step 1: "1e3" is not an amount"#),
        ("notify currency=amd", r#"step 1: "amd" is not a currency"#),
        (
            "notify mode=fake",
            r#"step 1: "fake" is not "live" or "test""#,
        ),
        (
            "decline amount=1",
            r#"step 1: only "pay" can be about other money"#,
        ),
        ("pay twice", r#"step 1: "twice" is not a change"#),
        ("lose now", r#"step 1: "now" is one word too many"#),
        ("lose; notify", "step 2: the message is lost already"),
        ("notify; lose", "step 2: a message is told already"),
        (
            "late after noon",
            r#"step 1: after "late after" stands "expiry""#,
        ),
        ("lookup", r#"step 1: "down", "lost" or "slow" is missing"#),
    ] {
        let error = refused(text);
        assert!(error.starts_with(told), "{text}: {error}");
    }
    assert!(refused(&"pay;".repeat(1001)).contains("at most 1000 steps"));
}

#[test]
fn amounts_must_fit_the_currency_of_the_order() {
    let money =
        |minor, code| domain::money::Money::new(minor, Currency::from_code(code).unwrap()).unwrap();
    assert!(parsed("notify amount=0.5").fits(money(100, "AMD")).is_ok());
    assert!(parsed("notify amount=0.5").fits(money(100, "JPY")).is_err());
    assert!(parsed("pay amount=0.5").fits(money(100, "JPY")).is_err());
    assert!(
        parsed("pay; notify currency=USD amount=0.5")
            .fits(money(100, "JPY"))
            .is_ok()
    );
}

fn length() -> impl Strategy<Value = Duration> {
    (1_u64..=86_400_000).prop_map(Duration::from_millis)
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        Just(When::Now),
        length().prop_map(When::After),
        Just(When::Late)
    ]
}

fn changes() -> impl Strategy<Value = Changes> {
    let reference =
        || proptest::option::of("[!-~]{1,20}".prop_map(|text| ProviderRef::parse(text).unwrap()));
    let reference = move || {
        reference().prop_filter("a semicolon ends the step", |value| {
            value
                .as_ref()
                .is_none_or(|value| !value.as_str().contains(';'))
        })
    };
    let currency = prop_oneof![Just("AMD"), Just("USD"), Just("JPY")]
        .prop_map(|code| Currency::from_code(code).unwrap());
    (
        proptest::option::of("[1-9][0-9]{0,8}(\\.[0-9]{1,4})?"),
        proptest::option::of(currency),
        proptest::option::of("[a-z0-9_.:-]{1,20}"),
        proptest::option::of("[a-z_]{1,20}"),
        (reference(), reference(), reference()),
        proptest::option::of(prop_oneof![Just(Mode::Live), Just(Mode::Test)]),
    )
        .prop_map(
            |(amount, currency, account, status, (reference, order, transaction), mode)| Changes {
                amount,
                currency,
                account,
                status,
                reference,
                order,
                transaction,
                mode,
            },
        )
}

fn plan() -> impl Strategy<Value = Plan> {
    let new = (when(), changes(), any::<bool>(), any::<bool>()).prop_map(
        |(when, changes, forged, old)| Message::New {
            when,
            changes,
            forged,
            old,
        },
    );
    let again = (when(), 1_u32..=1000).prop_map(|(when, times)| Message::Again { when, times });
    let told = proptest::collection::vec(prop_oneof![new, again], 1..4).prop_map(Plan::Told);
    prop_oneof![Just(Plan::Honest), Just(Plan::Lost), told]
}

fn answering() -> impl Strategy<Value = Answering> {
    prop_oneof![
        Just(Answering::Well),
        Just(Answering::Down),
        Just(Answering::Lost),
        length().prop_map(Answering::Slow)
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Done),
        Just(Fate::Declined),
        length().prop_map(Fate::DoneAfter),
        length().prop_map(Fate::FailsAfter)
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let act = (
        prop_oneof![
            Just(Choice::Pay),
            Just(Choice::Decline),
            Just(Choice::Leave)
        ],
        when(),
        changes(),
        plan(),
    )
        .prop_map(|(choice, when, changes, plan)| Act {
            choice,
            when,
            changes: if choice == Choice::Pay {
                changes
            } else {
                Changes::default()
            },
            plan,
        });
    let slow = prop_oneof![Just(Duration::ZERO), length()];
    (
        (
            plan(),
            proptest::collection::vec(act, 0..4),
            any::<bool>(),
            any::<bool>(),
        ),
        (slow, answering(), answering(), changes()),
        (answering(), fate()),
    )
        .prop_map(
            |(
                (page, acts, reorder, late),
                (slow, register, look_up, look_up_changes),
                (refund, refund_fate),
            )| Script {
                page,
                acts,
                reorder,
                late,
                slow,
                register,
                look_up,
                look_up_changes,
                refund,
                refund_fate,
            },
        )
}

proptest! {
    #[test]
    fn a_script_says_what_it_is(script in script()) {
        let text = script.to_string();
        prop_assert_eq!(text.parse::<Script>(), Ok(script), "{}", text);
    }

    #[test]
    fn no_text_breaks_the_parser(text in ".{0,200}") {
        let _ = text.parse::<Script>().map_err(|error| error.to_string());
    }

    #[test]
    fn no_heap_of_known_words_breaks_it_either(words in proptest::collection::vec(
        prop_oneof![
            Just("pay"), Just("notify"), Just("again"), Just("x3"), Just("after"), Just("2s"), Just("late"), Just(";"),
            Just("lookup"), Just("down"), Just("slow"), Just("amount=1"), Just("lose"), Just("é"), Just("="), Just("x"),
        ],
        0..20,
    )) {
        if let Ok(script) = words.join(" ").parse::<Script>() {
            prop_assert_eq!(script.to_string().parse::<Script>(), Ok(script));
        }
    }
}
