use super::*;

fn config() -> MerchantConfig {
    serde_json::from_value(serde_json::json!({
        "merchant": "shop",
        "scenarios": [{
            "id": "telegram", "currencies": ["AMD"], "amount_minor_min": "10000", "amount_minor_max": "100000000",
            "life_s_max": 3600, "accounts": ["sim-main"], "whole_units": true
        }],
        "accounts": [{
            "account": "sim-main", "provider": "sim", "minimum": "signed", "look_up": true, "mode": "test"
        }],
        "catalogue": [{"code": "tea", "title": "Tea", "price": {"minor": "150000", "currency": "AMD"}}]
    }))
    .unwrap()
}

fn amd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("AMD").unwrap()).unwrap()
}

#[test]
fn a_scenario_admits_what_is_within_its_limits() {
    let scenario = &config().scenarios[0];
    assert_eq!(scenario.admit(amd(150_000), 3600), Ok(()));
    assert_eq!(
        scenario.admit(amd(150_050), 3600),
        Err(ScenarioRefusal::NotWhole)
    );
    assert!(matches!(
        scenario.admit(amd(9_900), 3600),
        Err(ScenarioRefusal::Amount { .. })
    ));
    assert!(matches!(
        scenario.admit(amd(100_000_100), 3600),
        Err(ScenarioRefusal::Amount { .. })
    ));
    assert_eq!(
        scenario.admit(amd(150_000), 3601),
        Err(ScenarioRefusal::TooLong { max_s: 3600 })
    );
    let dollars = Money::new(150_000, Currency::from_code("USD").unwrap()).unwrap();
    assert!(matches!(
        scenario.admit(dollars, 1),
        Err(ScenarioRefusal::Currency { .. })
    ));
}

#[test]
fn the_same_configuration_again_leaves_no_event() {
    let first = apply(None, &config());
    assert_eq!(first.len(), 1);
    let in_force = evolve(None, &first[0]).unwrap();
    assert_eq!(apply(Some(&in_force), &config()), vec![]);
}

#[test]
fn a_lowered_demand_on_evidence_is_named() {
    let mut lower = config();
    lower.accounts[0].minimum = EvidenceClass::WeaklySigned;
    let events = apply(Some(&config()), &lower);
    let Event::Applied { lowered, .. } = &events[0];
    assert_eq!(lowered, &[AccountSlug::parse("sim-main").unwrap()]);
    assert_ne!(config().digest(), lower.digest());
}

#[test]
fn a_dropped_look_up_is_named_and_a_raised_demand_is_not() {
    let lowered = |before: &MerchantConfig, after: &MerchantConfig| {
        let Event::Applied { lowered, .. } = &apply(Some(before), after)[0];
        lowered.len()
    };
    let mut without = config();
    without.accounts[0].look_up = false;
    assert_eq!(lowered(&config(), &without), 1);
    assert_eq!(lowered(&without, &config()), 0);
    let mut higher = config();
    higher.accounts[0].minimum = EvidenceClass::LookedUp;
    assert_eq!(lowered(&config(), &higher), 0);
    // An account that was not there before demands what it demands.
    let mut fewer = config();
    fewer.accounts.clear();
    assert_eq!(lowered(&fewer, &config()), 0);
}

/// History is read for ever, so this text never changes: fields are only added, with a default.
#[test]
fn the_wire_form_of_the_event_is_fixed() {
    let events = apply(None, &config());
    let wire = serde_json::json!({"type": "ConfigurationApplied", "data": {
        "config": {
            "merchant": "shop",
            "scenarios": [{
                "id": "telegram", "currencies": ["AMD"],
                "amount_minor_min": "10000", "amount_minor_max": "100000000", "life_s_max": 3600,
                "accounts": ["sim-main"], "partial": "reject_to_review", "tolerance_minor": "0", "whole_units": true,
                "auto_accept_on_time": false,
                "overrides": {"allowed": true, "four_eyes_from_minor": "0", "prove_within_days": 5}
            }],
            "accounts": [{
                "account": "sim-main", "provider": "sim", "minimum": "signed", "look_up": true, "mode": "test",
                "one_phase": true, "session_s_max": 1200, "danger_lower_minimum": false
            }],
            "catalogue": [{
                "code": "tea", "title": "Tea", "price": {"minor": "150000", "currency": "AMD", "exponent": 2}
            }]
        },
        "digest": config().digest().to_string()
    }});
    assert_eq!(serde_json::to_value(&events[0]).unwrap(), wire);
    assert_eq!(serde_json::from_value::<Event>(wire).unwrap(), events[0]);
}

#[test]
fn a_field_that_is_not_known_is_refused() {
    for place in ["/scenarios/0", "/accounts/0", "/catalogue/0", ""] {
        let mut value = serde_json::to_value(config()).unwrap();
        value.pointer_mut(place).unwrap()["tolerence"] = 1.into();
        assert!(
            serde_json::from_value::<MerchantConfig>(value).is_err(),
            "{place}"
        );
    }
}

#[test]
fn a_tolerance_never_makes_next_to_nothing_enough_d5() {
    let found = |tolerance| {
        let mut config = config();
        config.scenarios[0].tolerance_minor = MinorText(tolerance);
        config.mistakes().len()
    };
    let least = config().scenarios[0].amount_minor_min.0;
    assert_eq!((found(least - 1), found(least), found(i64::MAX)), (0, 1, 1));
}

#[test]
fn every_mistake_is_found() {
    assert_eq!(config().mistakes(), vec![]);
    let mut bad = config();
    bad.scenarios[0].accounts = vec![AccountSlug::parse("other").unwrap()];
    bad.scenarios[0].amount_minor_min = MinorText(0);
    bad.accounts.push(ProviderAccount {
        minimum: EvidenceClass::LookedUp,
        look_up: false,
        ..bad.accounts[0].clone()
    });
    bad.accounts.push(ProviderAccount {
        minimum: EvidenceClass::Unsigned,
        ..bad.accounts[0].clone()
    });
    let found = bad.mistakes();
    assert_eq!(found.len(), 5, "{found:?}");
}
