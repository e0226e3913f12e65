//! What holds for every history, whatever the order, the repetition and the amounts.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::build::*;
use super::{Given, fold};
use crate::codec::{decode, encode};
use crate::ids::{CaseId, OperatorId, ProposalId, RefundId, TransferId};
use crate::money::{MinorText, Money};
use crate::payment::event::{CancelledBy, Grounds, NoticeKind, Part, Proposed, VerificationMethod};
use crate::payment::evidence::EvidenceClass;
use crate::payment::exception::ExceptionKind;
use crate::payment::fact::{Fact, FactKind, RefundAmount};
use crate::payment::request::Closure;
use crate::payment::{
    Command, Event, ExpiryCheck, Label, PartialPolicy, Propose, RefundAnswer, Request,
    RequestRefund, Resolve, Terms, Transfer,
};
use crate::record::tests::envelope;
use crate::stream::StreamId;
use crate::time::Timestamp;

/// Amounts that are small, near what is due, and as large as 64 bits hold.
fn minor() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => DUE - 2..=DUE + 2,
        3 => 1..=DUE,
        1 => Just(1),
        1 => select(vec![i64::MAX, i64::MAX - 1, i64::MAX / 2]),
        1 => 1..=i64::MAX,
    ]
}

fn money() -> impl Strategy<Value = Money> {
    (minor(), prop::bool::weighted(0.9))
        .prop_map(|(minor, due)| if due { amd(minor) } else { usd(minor) })
}

fn terms_of_any_scenario() -> impl Strategy<Value = Terms> {
    let policies = select(vec![
        PartialPolicy::RejectToReview,
        PartialPolicy::Accumulate,
    ]);
    let amounts = prop_oneof![4 => Just(DUE), 1 => minor()];
    let tolerances = prop_oneof![4 => Just(0), 1 => 0..=5_i64, 1 => minor()];
    (policies, amounts, tolerances).prop_map(|(partial, minor, tolerance)| {
        let mut terms = terms();
        terms.amount = amd(minor);
        terms.rules.partial = partial;
        terms.rules.tolerance_minor = MinorText(tolerance);
        terms
    })
}

fn transaction() -> impl Strategy<Value = &'static str> {
    select(vec!["t1", "t2", "t3"])
}

fn a_capture() -> impl Strategy<Value = Fact> {
    let clocks = prop::option::of(select(vec!["11:20:00", "11:59:59", "12:00:00", "12:00:01"]));
    let stated = prop::option::weighted(0.95, money());
    (transaction(), stated, clocks).prop_map(|(transaction, money, clock)| {
        let mut fact = captured(transaction, amd(1));
        (fact.amount, fact.provider_time) = (money, clock.map(to_the_second));
        fact
    })
}

/// Statements about an attempt that move no money.
fn a_word() -> impl Strategy<Value = Fact> {
    select(vec![
        FactKind::Registered,
        FactKind::Processing,
        FactKind::Authorised,
        FactKind::Declined,
        FactKind::SessionExpired,
        FactKind::Unknown,
    ])
    .prop_map(fact)
}

fn a_reversal() -> impl Strategy<Value = Fact> {
    let id = || prop::option::of(select(vec!["r1", "r2"])).prop_map(|id| id.map(reference));
    let dispute_id = || select(vec!["d1", "d2"]).prop_map(reference);
    let cumulative = prop_oneof![Just(0), Just(i64::MIN), minor()];
    let kind = prop_oneof![
        id().prop_map(|reversal| FactKind::Voided { reversal }),
        (money(), id()).prop_map(|(money, reversal)| {
            FactKind::Refunded {
                amount: RefundAmount::Delta(money),
                reversal,
            }
        }),
        (cumulative, id()).prop_map(|(minor, reversal)| {
            FactKind::Refunded {
                amount: RefundAmount::Cumulative(sum(minor)),
                reversal,
            }
        }),
        id().prop_map(|reversal| FactKind::RefundFailed { reversal }),
        (dispute_id(), prop::option::of(money())).prop_map(|(dispute, amount)| {
            FactKind::DisputeOpened {
                dispute,
                amount,
                reason: None,
                due_by: None,
            }
        }),
        dispute_id().prop_map(|dispute| FactKind::DisputeWon { dispute }),
        dispute_id().prop_map(|dispute| FactKind::DisputeLost { dispute }),
    ];
    (prop::option::weighted(0.8, transaction()), kind).prop_map(|(transaction, kind)| {
        let mut fact = fact(kind);
        fact.transaction = transaction.map(reference);
        fact
    })
}

/// One notification, look-up or statement: money, and one more word at most.
fn observation(more: impl Strategy<Value = Fact>) -> impl Strategy<Value = Command> {
    let classes = select(vec![
        EvidenceClass::Unsigned,
        EvidenceClass::Signed,
        EvidenceClass::Signed,
        EvidenceClass::LookedUp,
        EvidenceClass::LookedUp,
        EvidenceClass::Settlement,
    ]);
    let facts = (vec(a_capture(), 0..=2), prop::option::of(more));
    (classes, facts, 1..=3_u32, any::<bool>()).prop_map(
        |(class, (mut facts, more), attempt_no, look_up)| {
            facts.extend(more);
            says(class, facts)
                .about(attempt_no)
                .rules(|rules| rules.look_up = look_up)
                .into()
        },
    )
}

/// Everything but facts.
fn order() -> impl Strategy<Value = Command> {
    let checks = select(vec![
        ExpiryCheck::Confirmed,
        ExpiryCheck::Processing,
        ExpiryCheck::Unknown { look_up: true },
        ExpiryCheck::Unknown { look_up: false },
    ]);
    let attempt = || 1..=3_u32;
    prop_oneof![
        4 => select(vec!["sim-main", "sim-two", "elsewhere"]).prop_map(start),
        3 => attempt().prop_map(confirm),
        1 => attempt().prop_map(|attempt_no| Command::RejectAttempt { attempt_no, provider_status: None }),
        1 => attempt().prop_map(|attempt_no| Command::DoubtAttempt { attempt_no, why: "timeout".into() }),
        1 => (attempt(), money()).prop_map(|(attempt_no, money)| precheck(attempt_no, money)),
        1 => transaction().prop_map(|name| Command::OpenCase { kind: ExceptionKind::TxnReused, about: key(name).to_string() }),
        2 => checks.prop_map(Command::Expire),
        1 => select(vec![CancelledBy::Client, CancelledBy::Superseded])
            .prop_map(|by| Command::Cancel { by, superseded_by: None }),
        3 => a_refund(),
        4 => what_a_person_decides(),
        2 => a_transfer(),
        3 => an_override(),
        1 => any::<bool>().prop_map(|askable| Command::RecordNotice { kind: NoticeKind::Message, media: "text/plain".into(), bytes: 4, askable }),
    ]
}

fn letter() -> impl Strategy<Value = char> {
    select(vec!['a', 'b', 'c'])
}

fn named<T>(prefix: &str, letter: char, parse: impl Fn(String) -> T) -> T {
    parse(format!("{prefix}_{}", letter.to_string().repeat(26)))
}

fn a_refund() -> impl Strategy<Value = Command> {
    let refund =
        || letter().prop_map(|letter| named("rf", letter, |text| RefundId::parse(text).unwrap()));
    let part = select(vec![Part::Applied, Part::Unapplied]);
    let answer = prop_oneof![
        select(vec!["r1", "r2"]).prop_map(|id| RefundAnswer::Accepted(reference(id))),
        Just(RefundAnswer::Declined {
            provider_status: None
        }),
        Just(RefundAnswer::Unknown {
            why: "timeout".into()
        }),
    ];
    prop_oneof![
        (refund(), transaction(), part, minor()).prop_map(|(refund, name, part, minor)| {
            Command::RequestRefund(RequestRefund {
                refund,
                capture: key(name),
                part,
                minor,
            })
        }),
        refund().prop_map(|refund| Command::SubmitRefund { refund }),
        (refund(), answer).prop_map(|(refund, answer)| Command::AnswerRefund { refund, answer }),
    ]
}

fn what_a_person_decides() -> impl Strategy<Value = Command> {
    let case = || {
        (1..=6_u32).prop_map(|n| CaseId::parse(format!("payment_request-{}~{n}", id('a'))).unwrap())
    };
    let how = prop_oneof![
        4 => vec(case(), 0..=1).prop_map(|with| Resolve::Accept { with }),
        1 => letter().prop_map(|letter| Resolve::Refund {
            refund: named("rf", letter, |text| RefundId::parse(text).unwrap()),
        }),
        1 => letter().prop_map(|letter| Resolve::Reassign {
            transfer: named("tr", letter, |text| TransferId::parse(text).unwrap()),
            to: id('b'),
        }),
        1 => Just(Resolve::KeepAsIncome),
        1 => Just(Resolve::Dismiss),
        1 => any::<bool>().prop_map(|settled| Resolve::RefundAnswer { settled, reversal: None }),
    ];
    (case(), how).prop_map(|(case, how)| Command::ResolveCase { case, how })
}

fn a_transfer() -> impl Strategy<Value = Command> {
    (letter(), transaction(), money()).prop_map(|(letter, name, amount)| {
        Command::ReceiveTransfer(Transfer {
            transfer: named("tr", letter, |text| TransferId::parse(text).unwrap()),
            from: StreamId::payment_request(&id('b')),
            capture: key(name),
            amount,
            class: EvidenceClass::LookedUp,
            provider_time: None,
            refunded: MinorText(0),
            reversals: vec![],
        })
    })
}

fn an_override() -> impl Strategy<Value = Command> {
    let proposal =
        || letter().prop_map(|letter| named("ov", letter, |text| ProposalId::parse(text).unwrap()));
    let person = || select(vec!["ani", "davit"]).prop_map(|name| OperatorId::parse(name).unwrap());
    let decision = select(vec![Proposed::Pay, Proposed::Pay, Proposed::Revoke]);
    prop_oneof![
        3 => (proposal(), decision, person()).prop_map(|(proposal, decision, by)| {
            Command::Propose(Propose { proposal, decision, by, grounds: Grounds::None })
        }),
        3 => (proposal(), person()).prop_map(|(proposal, by)| Command::Approve { proposal, by }),
        1 => proposal().prop_map(|proposal| Command::Reject { proposal }),
        1 => Just(Command::CheckOverrides),
    ]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    select(vec![
        "11:00:00", "11:30:00", "11:30:00", "12:00:00", "12:10:00", "13:30:00",
    ])
    .prop_map(time)
}

type Steps = Vec<(Command, Timestamp)>;

fn steps(more: impl Strategy<Value = Fact> + 'static) -> impl Strategy<Value = Steps> {
    let command = prop_oneof![2 => observation(more), 1 => order()];
    vec((command, moment()), 0..12)
}

/// Two attempts, then the steps. Each is checked by [`super::When::at`] on its way.
fn live(terms: Terms, steps: Steps, mut seen: impl FnMut(&Request)) -> (Request, Vec<Event>) {
    let mut events = vec![
        Event::Created(Box::new(terms)),
        started(1),
        registered(1),
        started(2),
    ];
    let mut request = fold(None, &events);
    for (command, now) in steps {
        let decided = Given { request }.when(command).at(now);
        events.extend(decided.decided.unwrap_or_default());
        request = decided.after;
        seen(request.as_ref().unwrap());
    }
    (request.unwrap(), events)
}

/// What people read, which may not panic either.
fn read(request: &Request) {
    request.label();
    request.bot_label();
    request.applied();
    request.applied_gross();
    request.returned_applied();
    request.missing_minor();
    request.unapplied();
    request.expiry_due();
    request.live_attempt(open_time());
}

fn any_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![a_word(), a_reversal()]
}

/// Facts, each with its attempt.
type Told = Vec<(u32, Fact)>;

/// Captures of different money, refusals and progress of three attempts: (attempt, fact).
fn a_set_of_facts() -> impl Strategy<Value = Told> {
    let captures = vec((1..=3_u32, minor()), 0..4).prop_map(|all| {
        let named = all.into_iter().enumerate();
        named
            .map(|(n, (attempt, minor))| (attempt, captured(&format!("t{n}"), amd(minor))))
            .collect()
    });
    let words = select(vec![FactKind::Declined, FactKind::Processing]).prop_map(fact);
    (captures, vec((1..=3_u32, words), 0..4)).prop_map(|(mut facts, words): (Vec<_>, Vec<_>)| {
        facts.extend(words);
        facts
    })
}

fn in_some_order_with_repeats() -> impl Strategy<Value = (Told, Told)> {
    a_set_of_facts().prop_flat_map(|facts| {
        let repeated = vec(0..facts.len().max(1), 0..4);
        (Just(facts.clone()).prop_shuffle(), repeated).prop_flat_map(move |(shuffled, repeats)| {
            let again = repeats
                .into_iter()
                .filter_map(|place| facts.get(place).cloned());
            let all: Vec<_> = shuffled.into_iter().chain(again).collect();
            (Just(facts.clone()), Just(all).prop_shuffle())
        })
    })
}

proptest! {
    #[test]
    fn any_order_and_repetition_of_facts_ends_in_the_same_money_and_label(
        (told, told_otherwise) in in_some_order_with_repeats(),
        partial in select(vec![PartialPolicy::RejectToReview, PartialPolicy::Accumulate]),
    ) {
        let end = |facts: Told| {
            let mut terms = terms();
            terms.rules.partial = partial;
            let mut history = vec![Event::Created(Box::new(terms))];
            history.extend((1..=3).flat_map(|n| [started(n), registered(n)]));
            let mut request = fold(None, &history);
            for (attempt_no, fact) in facts {
                request = Given { request }.when(signed([fact]).about(attempt_no)).at(open_time()).after;
            }
            let request = request.unwrap();
            (request.applied(), request.unapplied(), request.label())
        };
        prop_assert_eq!(end(told), end(told_otherwise));
    }

    /// `When::at` counts the money after every step and repeats every command.
    #[test]
    fn no_history_loses_money_or_panics(terms in terms_of_any_scenario(), steps in steps(any_fact())) {
        live(terms, steps, read);
    }

    #[test]
    fn a_payment_is_verified_at_most_once_between_revocations(terms in terms_of_any_scenario(), steps in steps(any_fact())) {
        let (_, events) = live(terms, steps, read);
        let count = |which: fn(&Event) -> bool| events.iter().filter(|event| which(event)).count();
        let verified = count(|event| matches!(event, Event::PaymentVerified { .. }));
        let revoked = count(|event| matches!(event, Event::VerificationRevoked { .. }));
        prop_assert!(verified <= revoked + 1);
    }

    /// Reversals apart: what providers say of attempts and captures, timers, and callers. People may
    /// revoke, and answer for a refund that they asked for.
    #[test]
    fn no_notification_look_up_or_timer_takes_paid_back(
        terms in terms_of_any_scenario(),
        steps in steps(a_word()),
    ) {
        let mut paid = false;
        live(terms, steps, |request| {
            let label = request.label();
            let by_people = request.returned_applied() > 0
                || *request.closure() == Closure::Cancelled(CancelledBy::Revoked);
            assert!(!paid || label == Label::Paid || by_people, "{label:?}");
            paid = label == Label::Paid;
        });
    }

    #[test]
    fn more_is_never_applied_than_is_due(steps in steps(any_fact()), accumulate: bool) {
        let mut terms = terms();
        if accumulate {
            accumulating(&mut terms);
        }
        live(terms, steps, |request| assert!(request.missing_minor() >= 0, "{request:?}"));
    }

    #[test]
    fn a_closed_unverified_request_holds_nothing_applied(
        terms in terms_of_any_scenario(),
        steps in steps(any_fact()),
    ) {
        live(terms, steps, |request| {
            let closed = matches!(request.label(), Label::Expired | Label::Cancelled);
            assert!(!closed || request.applied().minor() == 0, "{request:?}");
        });
    }

    #[test]
    fn replay_equals_what_was_decided(terms in terms_of_any_scenario(), steps in steps(any_fact())) {
        let (request, events) = live(terms, steps, read);
        prop_assert_eq!(fold(None, &events), Some(request.clone()));
        let stored: Vec<Event> = events.iter().map(through_the_log).collect();
        prop_assert_eq!(&stored, &events);
        prop_assert_eq!(fold(None, &stored), Some(request.clone()));
        let kept = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(serde_json::from_str::<Request>(&kept).unwrap(), request);
    }

    /// A damaged stream is found by its hashes; until then nothing may fall over it.
    #[test]
    fn a_fold_never_fails(events in vec(any_money_event(), 0..12)) {
        let mut history = pending();
        history.extend(events);
        read(&fold(None, &history).unwrap());
    }
}

/// A provider may state what it likes: totals stop at the end of 64 bits, and each capture is exact.
#[test]
fn absurd_amounts_add_up_without_overflow() {
    let mut terms = terms();
    terms.amount = amd(i64::MAX);
    accumulating(&mut terms);
    let almost = || captured("t1", amd(i64::MAX - 1));
    let says = |fact| (Command::from(signed([fact])), open_time());
    let steps = vec![
        says(almost()),
        says(refund_of("t1", i64::MAX - 1, "r1")),
        says(captured("t2", amd(i64::MAX - 1))),
        says(captured("t3", amd(i64::MAX))),
        says(captured("t4", amd(i64::MAX))),
        says(refund_failed("t1", "r1")),
    ];
    let (request, _) = live(terms, steps, read);
    assert_eq!(request.label(), Label::Paid);
    assert_eq!(request.applied().minor(), i64::MAX);
    assert_eq!(request.unapplied(), [sum(i64::MAX)]);
}

/// To its record and back.
fn through_the_log(event: &Event) -> Event {
    let encoded = encode(event);
    let mut record = envelope(encoded.data);
    (record.event_type, record.type_v) = (encoded.event_type, encoded.type_v);
    let text = crate::canonical_json(&record).unwrap();
    decode(&serde_json::from_slice(&text).unwrap()).unwrap()
}

/// Events that move money, with numbers that no decision would write.
fn any_money_event() -> impl Strategy<Value = Event> {
    let number = || prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()].prop_map(MinorText);
    let parts = || (transaction().prop_map(key), number(), number());
    let id = || reference("r1");
    prop_oneof![
        (parts(), money()).prop_map(|((capture, applied, unapplied), amount)| {
            Event::PaymentCaptured {
                capture,
                attempt_no: 1,
                amount,
                applied,
                unapplied,
                why: None,
                class: EvidenceClass::Signed,
                provider_time: None,
                provider_status: None,
            }
        }),
        parts().prop_map(|(capture, minor, _)| Event::CaptureUnapplied {
            capture,
            minor,
            why: ExceptionKind::Underpaid,
        }),
        number().prop_map(|rounding_minor| Event::PaymentVerified {
            method: VerificationMethod::Settlement,
            capture: None,
            amount: sum(0),
            paid_at: None,
            late: false,
            rounding_minor,
        }),
        parts().prop_map(move |(capture, applied, unapplied)| Event::RefundSettled {
            capture,
            kind: crate::payment::event::RefundKind::Refund,
            reversal: Some(id()),
            applied,
            unapplied,
            cumulative: sum(0),
            requested: false,
            refund: None,
        }),
        parts().prop_map(move |(capture, applied, unapplied)| Event::RefundReversed {
            capture,
            reversal: id(),
            applied,
            unapplied,
        }),
        parts().prop_map(|(capture, applied, unapplied)| Event::DisputeClosed {
            dispute: reference("d1"),
            capture,
            outcome: crate::payment::event::DisputeOutcome::Lost,
            applied,
            unapplied,
        }),
    ]
}
