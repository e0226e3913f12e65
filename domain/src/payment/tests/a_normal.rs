//! Rows A: creating, trying, paying.

use super::build::*;
use super::{Nothing, given};
use crate::digest::InstanceKey;
use crate::ids::QuoteId;
use crate::money::{MinorText, Money};
use crate::payment::claims::{needs_of, order_key, quote_key};
use crate::payment::event::{
    AttemptEnd, CancelledBy, PrecheckRefusal, PrecheckVerdict, Progress, VerificationMethod,
};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::FactKind;
use crate::payment::{Command, Event, Label, Outcome, PricedBy, Refusal};
use crate::ports::ClaimSpace;

fn create() -> Command {
    Command::Create(Box::new(terms()))
}

#[test]
fn a_created_request_is_pending_a1() {
    given([])
        .when(create())
        .at(open_time())
        .then(fresh())
        .label(Label::Pending);
}

#[test]
fn a_request_that_would_be_expired_from_the_start_is_refused_a1() {
    given([])
        .when(create())
        .at(noon())
        .then(Refusal::ExpiryInThePast);
}

#[test]
fn a_quote_is_claimed_by_the_request_made_from_it_a1b() {
    let quote_id = QuoteId::parse(format!("qt_{}", "b".repeat(26))).unwrap();
    let event = created_with(|terms| {
        terms.priced_by = PricedBy::Quote {
            quote_id: quote_id.clone(),
        }
    });
    let secret = InstanceKey::new([1; 32]);
    let claims: Vec<_> = needs_of(&secret, None, &event)
        .into_iter()
        .map(|need| (need.ns, need.key))
        .collect();
    let order = order_key(&secret, &terms().merchant, &terms().order_id);
    let expected = [
        (ClaimSpace::Order, order),
        (ClaimSpace::Quote, quote_key(&secret, &quote_id)),
    ];
    assert_eq!(claims, expected);
}

#[test]
fn a_stream_is_created_once_a2_a3() {
    given(fresh())
        .when(create())
        .at(open_time())
        .then(Refusal::AlreadyCreated);
}

#[test]
fn a_replaced_request_is_cancelled_as_superseded_a4() {
    let by = CancelledBy::Superseded;
    let supersede = Command::Cancel {
        by,
        superseded_by: Some(id('b')),
    };
    given(pending())
        .when(supersede)
        .at(open_time())
        .then([Event::Cancelled {
            by,
            superseded_by: Some(id('b')),
        }])
        .label(Label::Cancelled);
}

#[test]
fn a_paid_request_is_never_replaced_a5() {
    let supersede = Command::Cancel {
        by: CancelledBy::Superseded,
        superseded_by: Some(id('b')),
    };
    given(paid())
        .when(supersede)
        .at(open_time())
        .then(Refusal::AlreadyPaid)
        .label(Label::Paid);
}

#[test]
fn an_attempt_is_written_before_the_provider_is_called_a6() {
    given(fresh())
        .when(start("sim-main"))
        .at(open_time())
        .then([started(1)])
        .label(Label::Pending);
}

#[test]
fn a_session_is_no_longer_than_the_provider_takes_a6() {
    let Command::StartAttempt(mut short) = start("sim-main") else {
        unreachable!()
    };
    short.session_s_max = 60;
    let mut event = started(1);
    if let Event::AttemptStarted {
        session_expires_at, ..
    } = &mut event
    {
        *session_expires_at = time("11:31:00");
    }
    given(fresh())
        .when(Command::StartAttempt(short))
        .at(open_time())
        .then([event]);
}

#[test]
fn a_registered_attempt_can_be_paid_a6() {
    given(and(fresh(), [started(1)]))
        .when(confirm(1))
        .at(open_time())
        .then([registered(1)])
        .label(Label::Pending);
}

#[test]
fn a_live_attempt_is_used_again_a6() {
    given(pending())
        .when(start("sim-main"))
        .at(open_time())
        .then(Nothing);
}

#[test]
fn the_next_attempt_asks_for_what_is_missing_a6() {
    given(partially_paid())
        .when(start("sim-main"))
        .at(open_time())
        .then([started_for(2, 90_000)]);
}

#[test]
fn a_live_attempt_for_more_than_is_missing_is_not_used_again_a6() {
    // Attempt 2 was started for the whole; then a part came through attempt 1.
    let events = [
        created_with(accumulating),
        started(1),
        registered(1),
        started(2),
        registered(2),
    ];
    let events = and(events.into(), [money_came("t1", 60_000, 60_000, None)]);
    given(events)
        .when(start("sim-main"))
        .at(open_time())
        .then([started_for(3, 90_000)]);
}

#[test]
fn the_provider_may_refuse_to_register_a6() {
    let reject = Command::RejectAttempt {
        attempt_no: 1,
        provider_status: None,
    };
    given(and(fresh(), [started(1)]))
        .when(reject)
        .at(open_time())
        .then([failed(1, AttemptEnd::NotRegistered)])
        .label(Label::Pending);
}

#[test]
fn a_refusal_ends_an_attempt_that_nobody_could_tell_about_a6_a7() {
    let reject = || Command::RejectAttempt {
        attempt_no: 1,
        provider_status: None,
    };
    let in_doubt = and(fresh(), [started(1), uncertain(1)]);
    given(and(in_doubt, [progressed(1, Progress::Unknown)]))
        .when(reject())
        .at(open_time())
        .then([failed(1, AttemptEnd::NotRegistered)])
        .label(Label::Pending);
    // Where a payer or money is known to be, it is too late to refuse.
    for events in [
        pending(),
        processing(),
        and(pending(), [progressed(1, Progress::Authorised)]),
        paid(),
    ] {
        given(events).when(reject()).at(open_time()).then(Nothing);
    }
}

#[test]
fn a_register_answer_that_a_message_overtook_still_tells_where_to_pay_a6() {
    let overtaken = Event::AttemptRegistered {
        attempt_no: 1,
        provider_order_ref: Some(order_ref(1)),
        pay_url: None,
        session_expires_at: None,
    };
    for early in [vec![overtaken], vec![progressed(1, Progress::Processing)]] {
        let events = and(and(fresh(), [started(1)]), early);
        let decided = given(events)
            .when(confirm(1))
            .at(open_time())
            .then([registered(1)]);
        let request = decided.after.unwrap();
        assert!(
            request
                .live_attempt(open_time())
                .unwrap()
                .1
                .pay_url
                .is_some()
        );
    }
}

#[test]
fn a_register_answer_that_tells_nothing_new_leaves_nothing_a6() {
    let silent = |attempt_no| Command::ConfirmAttempt {
        attempt_no,
        provider_order_ref: None,
        pay_url: None,
        session_expires_at: None,
    };
    given(pending())
        .when(silent(1))
        .at(open_time())
        .then(Nothing);
    given(processing())
        .when(silent(1))
        .at(open_time())
        .then(Nothing);
    given(paid()).when(confirm(1)).at(open_time()).then(Nothing);
}

#[test]
fn what_is_not_allowed_or_not_known_is_refused_a6() {
    let other = account("elsewhere");
    given(fresh())
        .when(start("elsewhere"))
        .at(open_time())
        .then(Refusal::AccountNotAllowed { account: other });
    given(fresh())
        .when(confirm(1))
        .at(open_time())
        .then(Refusal::UnknownAttempt { attempt_no: 1 });
    let many = (1..=50).flat_map(|n| [started(n), failed(n, AttemptEnd::Declined)]);
    given(and(fresh(), many))
        .when(start("sim-main"))
        .at(open_time())
        .then(Refusal::TooManyAttempts { max: 50 });
    given([])
        .when(start("sim-main"))
        .at(open_time())
        .then(Refusal::UnknownRequest);
}

#[test]
fn nobody_pays_twice_at_once_a6b() {
    for state in [
        Progress::Processing,
        Progress::Authorised,
        Progress::Unknown,
    ] {
        given(and(pending(), [progressed(1, state)]))
            .when(start("sim-two"))
            .at(open_time())
            .then(Refusal::PaymentInFlight);
    }
    for doubtful in [vec![], vec![uncertain(1)]] {
        let events = and(and(fresh(), [started(1)]), doubtful);
        given(events)
            .when(start("sim-two"))
            .at(open_time())
            .then(Refusal::PaymentInFlight);
    }
}

#[test]
fn what_is_paid_or_closed_takes_no_attempt_a6c() {
    given(paid())
        .when(start("sim-main"))
        .at(open_time())
        .then(Refusal::AlreadyPaid);
    given(refunded())
        .when(start("sim-main"))
        .at(open_time())
        .then(Refusal::AlreadyPaid);
    for (events, label) in [
        (expired_unpaid(), Label::Expired),
        (cancelled_unpaid(), Label::Cancelled),
    ] {
        given(events)
            .when(start("sim-main"))
            .at(open_time())
            .then(Refusal::NotPayable { label });
    }
    // Its time is over, though nobody has written that yet.
    for events in [pending(), processing(), partially_paid()] {
        let label = Label::Expired;
        given(events)
            .when(start("sim-main"))
            .at(noon())
            .then(Refusal::NotPayable { label });
    }
}

#[test]
fn a_registration_without_an_answer_is_in_doubt_a7() {
    let doubt = |attempt_no| Command::DoubtAttempt {
        attempt_no,
        why: "timeout".into(),
    };
    given(and(fresh(), [started(1)]))
        .when(doubt(1))
        .at(open_time())
        .then([uncertain(1)])
        .label(Label::Pending);
    given(and(fresh(), [started(1), uncertain(1)]))
        .when(doubt(1))
        .at(open_time())
        .then(Nothing);
    given(pending())
        .when(doubt(1))
        .at(open_time())
        .then(Nothing);
    given(fresh())
        .when(doubt(1))
        .at(open_time())
        .then(Refusal::UnknownAttempt { attempt_no: 1 });
}

#[test]
fn a_look_up_answers_the_doubt_a7() {
    let in_doubt = || and(fresh(), [started(1), uncertain(1)]);
    let mut known = fact(FactKind::Registered);
    known.provider_order_ref = Some(order_ref(1));
    let answer = Event::AttemptRegistered {
        attempt_no: 1,
        provider_order_ref: Some(order_ref(1)),
        pay_url: None,
        session_expires_at: None,
    };
    given(in_doubt())
        .when(looked_up([known]))
        .at(open_time())
        .then([answer])
        .label(Label::Pending);
    let unknown_there = Command::RejectAttempt {
        attempt_no: 1,
        provider_status: None,
    };
    given(in_doubt())
        .when(unknown_there)
        .at(open_time())
        .then([failed(1, AttemptEnd::NotRegistered)]);
}

fn verdict(attempt_no: u32, verdict: PrecheckVerdict) -> Event {
    Event::AttemptPrechecked {
        attempt_no,
        verdict,
    }
}

fn refusal(attempt_no: u32, reason: PrecheckRefusal) -> Event {
    verdict(attempt_no, PrecheckVerdict::Refused { reason })
}

#[test]
fn a_precheck_of_our_terms_is_allowed_a8() {
    let allowed = || verdict(1, PrecheckVerdict::Allowed {});
    given(pending())
        .when(precheck(1, amd(DUE)))
        .at(open_time())
        .then([allowed()])
        .label(Label::Pending);
    given(and(pending(), [allowed()]))
        .when(precheck(1, amd(DUE)))
        .at(open_time())
        .then(Nothing);
    let unknown = Refusal::UnknownAttempt { attempt_no: 2 };
    given(pending())
        .when(precheck(2, amd(DUE)))
        .at(open_time())
        .then(unknown);
}

#[test]
fn a_precheck_is_refused_while_another_attempt_may_pay_a8() {
    let two = || and(pending(), [started(2), registered(2)]);
    for state in [
        Progress::Processing,
        Progress::Authorised,
        Progress::Unknown,
    ] {
        given(and(two(), [progressed(1, state)]))
            .when(precheck(2, amd(DUE)))
            .at(open_time())
            .then([refusal(2, PrecheckRefusal::OtherAttempt)]);
    }
    // Attempt 1 took too little, and a person decides about that.
    let underpaid = money_came("t1", 60_000, 0, Some(ExceptionKind::Underpaid));
    given(and(two(), [underpaid]))
        .when(precheck(2, amd(DUE)))
        .at(open_time())
        .then([refusal(2, PrecheckRefusal::OtherAttempt)]);
}

#[test]
fn a_precheck_of_the_missing_rest_is_allowed_a8() {
    let rest = and(partially_paid(), [started_for(2, 90_000), registered(2)]);
    given(rest)
        .when(precheck(2, amd(90_000)))
        .at(open_time())
        .then([verdict(2, PrecheckVerdict::Allowed {})]);
    // An attempt for the whole would now be too much.
    let whole = [
        created_with(accumulating),
        started(1),
        registered(1),
        started(2),
        registered(2),
    ];
    given(and(whole.into(), [money_came("t1", 60_000, 60_000, None)]))
        .when(precheck(2, amd(DUE)))
        .at(open_time())
        .then([refusal(2, PrecheckRefusal::OtherAttempt)]);
}

#[test]
fn what_is_paid_or_closed_or_failed_is_not_prechecked_a9() {
    let declined = and(pending(), [failed(1, AttemptEnd::Declined)]);
    for events in [
        paid(),
        refunded(),
        expired_unpaid(),
        cancelled_unpaid(),
        declined,
    ] {
        given(events)
            .when(precheck(1, amd(DUE)))
            .at(open_time())
            .then([refusal(1, PrecheckRefusal::NotPayable)]);
    }
    given(pending())
        .when(precheck(1, amd(DUE)))
        .at(noon())
        .then([refusal(1, PrecheckRefusal::NotPayable)]);
}

#[test]
fn a_precheck_of_other_terms_is_refused_and_looked_at_a10() {
    let tampered = || case(1, ExceptionKind::TamperedTerms, "attempt 1", open_time());
    for (money, reason) in [
        (amd(DUE - 1), PrecheckRefusal::Amount),
        (usd(DUE), PrecheckRefusal::Currency),
    ] {
        given(pending())
            .when(precheck(1, money))
            .at(open_time())
            .then([refusal(1, reason), tampered()])
            .label(Label::Pending);
    }
    let Command::Precheck(ours) = precheck(1, amd(DUE)) else {
        unreachable!()
    };
    let mut elsewhere = ours.clone();
    elsewhere.account = account("sim-two");
    let mut for_others = ours;
    for_others.other_payee = true;
    for question in [elsewhere, for_others] {
        given(pending())
            .when(Command::Precheck(question))
            .at(open_time())
            .then([refusal(1, PrecheckRefusal::Account), tampered()]);
    }
}

#[test]
fn a_payer_at_work_makes_it_processing_a11() {
    given(pending())
        .when(signed([fact(FactKind::Processing)]))
        .at(open_time())
        .then([progressed(1, Progress::Processing)])
        .label(Label::Processing)
        .outcome(Outcome::Applied);
    given(processing())
        .when(signed([fact(FactKind::Processing)]))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Duplicate);
}

#[test]
fn an_order_that_nobody_touched_is_no_progress_a11() {
    given(pending())
        .when(looked_up([fact(FactKind::Registered)]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Pending)
        .outcome(Outcome::Duplicate);
}

#[test]
fn the_exact_amount_with_proof_pays_a12() {
    for events in [pending(), processing()] {
        given(events)
            .when(signed([captured("t1", amd(DUE))]))
            .at(open_time())
            .then([money_came("t1", DUE, DUE, None), verified("t1")])
            .label(Label::Paid)
            .money(DUE, 0)
            .outcome(Outcome::Applied);
    }
}

#[test]
fn the_method_tells_how_it_was_proved_a12() {
    for (class, method) in [
        (
            EvidenceClass::Signed,
            VerificationMethod::SignedNotification,
        ),
        (EvidenceClass::LookedUp, VerificationMethod::StatusLookup),
        (EvidenceClass::Settlement, VerificationMethod::Settlement),
    ] {
        let paid_at = to_the_second("11:29:00");
        let came = with(money_came("t1", DUE, DUE, None), 1, class, Some(paid_at));
        given(pending())
            .when(says(class, [captured_at("t1", amd(DUE), paid_at)]))
            .at(open_time())
            .then([came, verified_by(method, "t1", Some(time("11:29:00")), 0)]);
    }
}

#[test]
fn less_proof_than_the_account_demands_pays_nothing_a13() {
    for class in [
        EvidenceClass::PayerNotice,
        EvidenceClass::Unsigned,
        EvidenceClass::WeaklySigned,
    ] {
        for events in [pending(), processing()] {
            let label = given(events.clone()).request.unwrap().label();
            given(events.clone())
                .when(says(class, [captured("t1", amd(DUE))]))
                .at(open_time())
                .then(Nothing)
                .label(label)
                .outcome(Outcome::LookUp);
            given(events)
                .when(says(class, [captured("t1", amd(DUE))]).without_look_up())
                .at(open_time())
                .then(Nothing)
                .outcome(Outcome::Refused);
        }
    }
}

#[test]
fn less_proof_than_the_account_demands_opens_no_case_a13() {
    // Whoever can send unsigned messages must not be able to fill the stream.
    let mut lie = captured("t1", amd(DUE));
    lie.provider_order_ref = Some(reference("another-order"));
    lie.mode = Some(crate::payment::evidence::Mode::Test);
    given(pending())
        .when(says(EvidenceClass::Unsigned, [lie]))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::LookUp);
}

#[test]
fn held_money_is_not_paid_a14() {
    let held = || fact(FactKind::Authorised);
    given(pending())
        .when(signed([held()]))
        .at(open_time())
        .then([progressed(1, Progress::Authorised)])
        .label(Label::Processing)
        .money(0, 0);
    given(pending())
        .when(signed([held()]).rules(|rules| rules.one_phase = true))
        .at(open_time())
        .then([
            progressed(1, Progress::Authorised),
            case(1, ExceptionKind::UnexpectedHold, "attempt 1", open_time()),
        ])
        .label(Label::Processing);
}

#[test]
fn a_declined_attempt_does_not_fail_the_request_a15() {
    for events in [pending(), processing()] {
        given(events)
            .when(signed([fact(FactKind::Declined)]))
            .at(open_time())
            .then([failed(1, AttemptEnd::Declined)])
            .label(Label::Pending)
            .outcome(Outcome::Applied);
    }
    given(and(pending(), [failed(1, AttemptEnd::Declined)]))
        .when(start("sim-main"))
        .at(open_time())
        .then([started(2)]);
}

#[test]
fn an_expired_session_does_not_expire_the_request_a16() {
    for events in [pending(), processing()] {
        given(events)
            .when(signed([fact(FactKind::SessionExpired)]))
            .at(open_time())
            .then([failed(1, AttemptEnd::SessionExpired)])
            .label(Label::Pending);
    }
}

#[test]
fn a_provider_that_cannot_say_keeps_it_in_flight_a17() {
    for events in [pending(), processing()] {
        given(events)
            .when(looked_up([fact(FactKind::Unknown)]))
            .at(open_time())
            .then([progressed(1, Progress::Unknown)])
            .label(Label::Processing);
    }
    given(and(pending(), [progressed(1, Progress::Unknown)]))
        .when(looked_up([fact(FactKind::Unknown)]))
        .at(open_time())
        .then(Nothing)
        .outcome(Outcome::Duplicate);
}

#[test]
fn only_our_own_question_ends_that_doubt_a17() {
    let doubtful = || and(pending(), [progressed(1, Progress::Unknown)]);
    given(doubtful())
        .when(signed([fact(FactKind::Registered)]))
        .at(open_time())
        .then(Nothing)
        .label(Label::Processing)
        .outcome(Outcome::Stale);
    let answer = Event::AttemptRegistered {
        attempt_no: 1,
        provider_order_ref: Some(order_ref(1)),
        pay_url: Some("https://pay.example/1".into()),
        session_expires_at: None,
    };
    given(doubtful())
        .when(looked_up([fact(FactKind::Registered)]))
        .at(open_time())
        .then([answer])
        .label(Label::Pending);
}

#[test]
fn a_tolerance_below_zero_tolerates_nothing_a12() {
    let strict = |terms: &mut crate::payment::Terms| terms.rules.tolerance_minor = MinorText(-500);
    let almost = Money::new(DUE - 1, currency("AMD")).unwrap();
    given(pending_with(strict))
        .when(signed([captured("t1", almost)]))
        .at(open_time())
        .label(Label::Pending)
        .money(0, DUE - 1);
}

#[test]
fn look_ups_that_all_stayed_in_vain_are_told_to_a_person_a7() {
    let silence = Command::ReportSilence { attempt_no: 1 };
    let doubt = vec![created_with(|_| {}), started(1), uncertain(1)];
    let opened = case(1, ExceptionKind::RegistrationUncertain, "attempt 1", late());
    given(doubt)
        .when(silence.clone())
        .at(late())
        .then([opened])
        .label(Label::Pending);
    given(pending()).when(silence).at(late()).then(Nothing);
}

#[test]
fn a_status_that_stays_unknown_is_told_to_a_person_a17() {
    let silence = Command::ReportSilence { attempt_no: 1 };
    let opened = case(1, ExceptionKind::StatusUnknown, "attempt 1", late());
    given(and(pending(), [progressed(1, Progress::Unknown)]))
        .when(silence)
        .at(late())
        .then([opened])
        .label(Label::Processing);
}

#[test]
fn what_an_unconfirmed_expiry_told_is_not_told_again_a17() {
    let in_doubt = and(pending(), [progressed(1, Progress::Unknown)]);
    let told = case(1, ExceptionKind::StatusUnknown, "expiry", late());
    given(and(in_doubt, [Event::Expired { confirmed: false }, told]))
        .when(Command::ReportSilence { attempt_no: 1 })
        .at(late())
        .then(Nothing);
}
