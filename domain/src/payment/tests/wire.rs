//! The wire form of every event, written out: a rename in the code cannot rewrite history.

use super::build::*;
use crate::codec::{DomainEvent, decode, encode};
use crate::digest::Digest32;
use crate::ids::{
    CaseId, CorrelationId, CustomerRef, ItemCode, OperatorId, ProposalId, QuoteId, RefundId,
    TransferId,
};
use crate::money::MinorText;
use crate::payment::event::*;
use crate::payment::evidence::{EvidenceClass, Mode};
use crate::payment::exception::{ExceptionKind, Severity};
use crate::payment::fact::{Fact, FactKind, RefundAmount};
use crate::payment::terms::CatalogueLine;
use crate::payment::{Label, PartialPolicy, PricedBy};
use crate::record::tests::envelope;
use crate::sealed::Commitment;
use crate::stream::StreamId;

fn refund() -> RefundId {
    RefundId::parse(format!("rf_{}", "a".repeat(26))).unwrap()
}

fn proposal() -> ProposalId {
    ProposalId::parse(format!("ov_{}", "a".repeat(26))).unwrap()
}

/// A record of before the rules on late money and overrides is read with the careful ones.
#[test]
fn older_terms_are_read_with_careful_rules() {
    let (_, pin) = pinned().remove(0);
    let rules = r#""auto_accept_on_time":false,"overrides":{"allowed":true,"four_eyes_from_minor":"0","prove_within_days":5},"#;
    let old = pin.replace(rules, "");
    assert_ne!(old, pin);
    let event: Event = serde_json::from_str(&old).unwrap();
    assert_eq!(text(&event), pin);
}

/// Every event with all of its fields, and its text.
fn pinned() -> Vec<(Event, &'static str)> {
    let full_terms = created_with(|terms| {
        terms.customer_ref = Some(CustomerRef::parse("c-17").unwrap());
        terms.supersedes = Some(id('b'));
        terms.correlation_id = Some(CorrelationId::parse("cart-5").unwrap());
        terms.priced_by = PricedBy::Quote {
            quote_id: QuoteId::parse(format!("qt_{}", "c".repeat(26))).unwrap(),
        };
    });
    let mut captured = money_came("t1", 150_700, DUE, Some(ExceptionKind::Overpaid));
    if let Event::PaymentCaptured {
        provider_time,
        provider_status,
        ..
    } = &mut captured
    {
        (*provider_time, *provider_status) = (Some(to_the_second("11:29:00")), Some("OK".into()));
    }
    let verified = verified_by(
        VerificationMethod::StatusLookup,
        "t1",
        Some(time("11:29:00")),
        3,
    );
    let dispute = Event::DisputeOpened {
        dispute: reference("d1"),
        capture: key("t1"),
        amount: amd(DUE),
        reason: Some("fraudulent".into()),
        due_by: Some(late()),
    };
    let registered = Event::AttemptRegistered {
        attempt_no: 1,
        provider_order_ref: Some(order_ref(1)),
        pay_url: Some("https://pay.example/1".into()),
        session_expires_at: Some(noon()),
    };
    let declined = Event::AttemptFailed {
        attempt_no: 1,
        why: AttemptEnd::Declined,
        provider_status: Some("51".into()),
    };
    let refused = PrecheckVerdict::Refused {
        reason: PrecheckRefusal::Amount,
    };
    let notice = Event::PayerNoticeRecorded {
        kind: NoticeKind::Screenshot,
        media: "image/png".into(),
        bytes: 9,
    };
    let reversed = Event::RefundReversed {
        capture: key("t1"),
        reversal: reference("r1"),
        applied: MinorText(300),
        unapplied: MinorText(700),
    };
    let aside = Event::CaptureUnapplied {
        capture: key("t1"),
        minor: MinorText(700),
        why: ExceptionKind::UnderpaidAtExpiry,
    };
    let time = Some(to_the_second("11:29:00"));
    let transfer = TransferId::parse(format!("tr_{}", "a".repeat(26))).unwrap();
    let moved_out = Event::CaptureReassigned {
        transfer: transfer.clone(),
        to: id('b'),
        capture: key("t1"),
        amount: amd(700),
        class: EvidenceClass::LookedUp,
        provider_time: time,
        refunded: MinorText(0),
        reversals: vec![],
    };
    let moved_in = Event::CaptureReceived {
        transfer,
        from: StreamId::payment_request(&id('b')),
        capture: key("t1"),
        amount: amd(700),
        applied: MinorText(300),
        unapplied: MinorText(400),
        why: Some(ExceptionKind::Overpaid),
        class: EvidenceClass::LookedUp,
        provider_time: time,
        refunded: MinorText(100),
        reversals: vec![reference("r1")],
    };
    let proposed = Event::OverrideProposed {
        proposal: proposal(),
        decision: Proposed::Pay,
        by: OperatorId::parse("ani").unwrap(),
        grounds: Grounds::None,
        based_on: Digest32([7; 32]),
        lapses_at: late(),
    };
    let approved = Event::OverrideApproved {
        proposal: proposal(),
        by: OperatorId::parse("davit").unwrap(),
        prove_by: Some(late()),
        alone: false,
    };
    let proved = Event::OverrideSubstantiated {
        proposal: proposal(),
        capture: key("t1"),
        attempt_no: 1,
        amount: amd(DUE),
        class: EvidenceClass::Signed,
        provider_time: time,
        provider_status: Some("OK".into()),
    };
    vec![
        (
            full_terms,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"150000"},"client":"shop-bot","correlation_id":"cart-5","customer_ref":"c-17","expires_at":"2026-10-05T12:00:00.000Z","id":"pr_aaaaaaaaaaaaaaaaaaaaaaaaaa","merchant":"shop","mode":"live","order_id":"order-1001","priced_by":{"by":"quote","quote_id":"qt_cccccccccccccccccccccccccc"},"rules":{"accounts":["sim-main","sim-two"],"auto_accept_on_time":false,"overrides":{"allowed":true,"four_eyes_from_minor":"0","prove_within_days":5},"partial":"reject_to_review","tolerance_minor":"0"},"scenario":"telegram-shop","supersedes":"pr_bbbbbbbbbbbbbbbbbbbbbbbbbb"},"type":"PaymentRequestCreated"}"#,
        ),
        (
            started(1),
            r#"{"data":{"account":"sim-main","amount":{"currency":"AMD","exponent":2,"minor":"150000"},"attempt_no":1,"our_reference":"pr_aaaaaaaaaaaaaaaaaaaaaaaaaa-1","provider":"sim","session_expires_at":"2026-10-05T12:00:00.000Z"},"type":"AttemptStarted"}"#,
        ),
        (
            registered,
            r#"{"data":{"attempt_no":1,"pay_url":"https://pay.example/1","provider_order_ref":"sim-order-1","session_expires_at":"2026-10-05T12:00:00.000Z"},"type":"AttemptRegistered"}"#,
        ),
        (
            uncertain(1),
            r#"{"data":{"attempt_no":1,"why":"timeout"},"type":"AttemptUncertain"}"#,
        ),
        (
            Event::AttemptPrechecked {
                attempt_no: 1,
                verdict: refused,
            },
            r#"{"data":{"attempt_no":1,"verdict":{"reason":"amount","verdict":"refused"}},"type":"AttemptPrechecked"}"#,
        ),
        (
            progressed(1, Progress::Processing),
            r#"{"data":{"attempt_no":1,"state":"processing"},"type":"AttemptProgressed"}"#,
        ),
        (
            Event::AttemptCancelRequested { attempt_no: 1 },
            r#"{"data":{"attempt_no":1},"type":"AttemptCancelRequested"}"#,
        ),
        (
            declined,
            r#"{"data":{"attempt_no":1,"provider_status":"51","why":"declined"},"type":"AttemptFailed"}"#,
        ),
        (
            captured,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"150700"},"applied":"150000","attempt_no":1,"capture":"sim/sim-main/t1","class":"signed","provider_status":"OK","provider_time":{"at":"2026-10-05T11:29:00.000Z","precision":"second"},"unapplied":"700","why":"overpaid"},"type":"PaymentCaptured"}"#,
        ),
        (
            Event::CaptureAliasRecorded {
                capture: key("t1"),
                alias: key("T1"),
            },
            r#"{"data":{"alias":"sim/sim-main/T1","capture":"sim/sim-main/t1"},"type":"CaptureAliasRecorded"}"#,
        ),
        (
            Event::UnappliedMoneyAccepted {
                capture: key("t1"),
                minor: MinorText(700),
            },
            r#"{"data":{"capture":"sim/sim-main/t1","minor":"700"},"type":"UnappliedMoneyAccepted"}"#,
        ),
        (
            Event::UnappliedMoneyKept {
                capture: key("t1"),
                minor: MinorText(700),
            },
            r#"{"data":{"capture":"sim/sim-main/t1","minor":"700"},"type":"UnappliedMoneyKept"}"#,
        ),
        (
            moved_out,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"700"},"capture":"sim/sim-main/t1","class":"looked_up","provider_time":{"at":"2026-10-05T11:29:00.000Z","precision":"second"},"refunded":"0","to":"pr_bbbbbbbbbbbbbbbbbbbbbbbbbb","transfer":"tr_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"CaptureReassigned"}"#,
        ),
        (
            moved_in,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"700"},"applied":"300","capture":"sim/sim-main/t1","class":"looked_up","from":"payment_request-pr_bbbbbbbbbbbbbbbbbbbbbbbbbb","provider_time":{"at":"2026-10-05T11:29:00.000Z","precision":"second"},"refunded":"100","reversals":["r1"],"transfer":"tr_aaaaaaaaaaaaaaaaaaaaaaaaaa","unapplied":"400","why":"overpaid"},"type":"CaptureReceived"}"#,
        ),
        (
            aside,
            r#"{"data":{"capture":"sim/sim-main/t1","minor":"700","why":"underpaid_at_expiry"},"type":"CaptureUnapplied"}"#,
        ),
        (
            verified,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"149997"},"capture":"sim/sim-main/t1","late":false,"method":"status_lookup","paid_at":"2026-10-05T11:29:00.000Z","rounding_minor":"3"},"type":"PaymentVerified"}"#,
        ),
        (
            Event::VerificationRevoked {
                proposal: proposal(),
                amount: sum(DUE),
            },
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"150000"},"proposal":"ov_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"VerificationRevoked"}"#,
        ),
        (
            expired(),
            r#"{"data":{"confirmed":true},"type":"PaymentRequestExpired"}"#,
        ),
        (
            Event::ExpiryDeferred {
                until: late(),
                why: DeferredWhy::Unknown,
            },
            r#"{"data":{"until":"2026-10-05T12:10:00.000Z","why":"unknown"},"type":"ExpiryDeferred"}"#,
        ),
        (
            Event::Cancelled {
                by: CancelledBy::Superseded,
                superseded_by: Some(id('b')),
            },
            r#"{"data":{"by":"superseded","superseded_by":"pr_bbbbbbbbbbbbbbbbbbbbbbbbbb"},"type":"PaymentRequestCancelled"}"#,
        ),
        (
            Event::RefundRequested {
                refund: refund(),
                capture: key("t1"),
                part: Part::Unapplied,
                minor: MinorText(700),
            },
            r#"{"data":{"capture":"sim/sim-main/t1","minor":"700","part":"unapplied","refund":"rf_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"RefundRequested"}"#,
        ),
        (
            Event::RefundSubmitted { refund: refund() },
            r#"{"data":{"refund":"rf_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"RefundSubmitted"}"#,
        ),
        (
            Event::RefundAccepted {
                refund: refund(),
                reversal: reference("r1"),
            },
            r#"{"data":{"refund":"rf_aaaaaaaaaaaaaaaaaaaaaaaaaa","reversal":"r1"},"type":"RefundAccepted"}"#,
        ),
        (
            Event::RefundUncertain {
                refund: refund(),
                why: "timeout".into(),
            },
            r#"{"data":{"refund":"rf_aaaaaaaaaaaaaaaaaaaaaaaaaa","why":"timeout"},"type":"RefundUncertain"}"#,
        ),
        (
            Event::RefundFailed {
                refund: refund(),
                provider_status: Some("51".into()),
            },
            r#"{"data":{"provider_status":"51","refund":"rf_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"RefundFailed"}"#,
        ),
        (
            refund_settled(RefundKind::Refund, Some("r1"), 300, 700, 1000),
            r#"{"data":{"applied":"300","capture":"sim/sim-main/t1","cumulative":{"currency":"AMD","exponent":2,"minor":"1000"},"kind":"refund","requested":false,"reversal":"r1","unapplied":"700"},"type":"RefundSettled"}"#,
        ),
        (
            reversed,
            r#"{"data":{"applied":"300","capture":"sim/sim-main/t1","reversal":"r1","unapplied":"700"},"type":"RefundReversed"}"#,
        ),
        (
            dispute,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"150000"},"capture":"sim/sim-main/t1","dispute":"d1","due_by":"2026-10-05T12:10:00.000Z","reason":"fraudulent"},"type":"DisputeOpened"}"#,
        ),
        (
            dispute_closed("d1", "t1", DisputeOutcome::Lost, DUE, 0),
            r#"{"data":{"applied":"150000","capture":"sim/sim-main/t1","dispute":"d1","outcome":"lost","unapplied":"0"},"type":"DisputeClosed"}"#,
        ),
        (
            notice,
            r#"{"data":{"bytes":9,"kind":"screenshot","media":"image/png"},"type":"PayerNoticeRecorded"}"#,
        ),
        (
            Event::EvidenceOpened {
                commitment: Commitment(Digest32([7; 32])),
            },
            r#"{"data":{"commitment":"0707070707070707070707070707070707070707070707070707070707070707"},"type":"EvidenceOpened"}"#,
        ),
        (
            proposed,
            r#"{"data":{"based_on":"0707070707070707070707070707070707070707070707070707070707070707","by":"ani","decision":"pay","grounds":"none","lapses_at":"2026-10-05T12:10:00.000Z","proposal":"ov_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"OverrideProposed"}"#,
        ),
        (
            approved,
            r#"{"data":{"by":"davit","proposal":"ov_aaaaaaaaaaaaaaaaaaaaaaaaaa","prove_by":"2026-10-05T12:10:00.000Z"},"type":"OverrideApproved"}"#,
        ),
        (
            Event::OverrideRejected {
                proposal: proposal(),
                why: RejectedWhy::Lapsed,
            },
            r#"{"data":{"proposal":"ov_aaaaaaaaaaaaaaaaaaaaaaaaaa","why":"lapsed"},"type":"OverrideRejected"}"#,
        ),
        (
            proved,
            r#"{"data":{"amount":{"currency":"AMD","exponent":2,"minor":"150000"},"attempt_no":1,"capture":"sim/sim-main/t1","class":"signed","proposal":"ov_aaaaaaaaaaaaaaaaaaaaaaaaaa","provider_status":"OK","provider_time":{"at":"2026-10-05T11:29:00.000Z","precision":"second"}},"type":"OverrideSubstantiated"}"#,
        ),
        (
            Event::OverrideUnsubstantiated {
                proposal: proposal(),
            },
            r#"{"data":{"proposal":"ov_aaaaaaaaaaaaaaaaaaaaaaaaaa"},"type":"OverrideUnsubstantiated"}"#,
        ),
        (
            case_on(1, ExceptionKind::DuplicatePayment, "t1", open_time()),
            r#"{"data":{"about":"sim/sim-main/t1","capture":"sim/sim-main/t1","case":"payment_request-pr_aaaaaaaaaaaaaaaaaaaaaaaaaa~1","due":"2026-10-06T11:30:00.000Z","kind":"duplicate_payment","severity":"high"},"type":"ExceptionOpened"}"#,
        ),
        (
            Event::ExceptionAssigned {
                case: CaseId::parse(format!("payment_request-{}~1", id('a'))).unwrap(),
                to: Some(OperatorId::parse("ani").unwrap()),
            },
            r#"{"data":{"case":"payment_request-pr_aaaaaaaaaaaaaaaaaaaaaaaaaa~1","to":"ani"},"type":"ExceptionAssigned"}"#,
        ),
        (
            resolved(1),
            r#"{"data":{"case":"payment_request-pr_aaaaaaaaaaaaaaaaaaaaaaaaaa~1","resolution":"settled"},"type":"ExceptionResolved"}"#,
        ),
    ]
}

fn text(value: &impl serde::Serialize) -> String {
    String::from_utf8(crate::canonical_json(value).unwrap()).unwrap()
}

#[test]
fn every_event_is_written_and_read_as_it_always_was() {
    for (event, pin) in pinned() {
        assert_eq!(text(&event), pin);
        assert_eq!(serde_json::from_str::<Event>(pin).unwrap(), event, "{pin}");
        let encoded = encode(&event);
        let mut record = envelope(encoded.data);
        (record.event_type, record.type_v) = (encoded.event_type, encoded.type_v);
        assert_eq!(decode::<Event>(&record).unwrap(), event);
    }
}

/// A new variant does not compile here until it has a place in [`pinned`].
fn place(event: &Event) -> usize {
    match event {
        Event::Created(_) => 0,
        Event::AttemptStarted { .. } => 1,
        Event::AttemptRegistered { .. } => 2,
        Event::AttemptUncertain { .. } => 3,
        Event::AttemptPrechecked { .. } => 4,
        Event::AttemptProgressed { .. } => 5,
        Event::AttemptCancelRequested { .. } => 6,
        Event::AttemptFailed { .. } => 7,
        Event::PaymentCaptured { .. } => 8,
        Event::CaptureAliasRecorded { .. } => 9,
        Event::UnappliedMoneyAccepted { .. } => 10,
        Event::UnappliedMoneyKept { .. } => 11,
        Event::CaptureReassigned { .. } => 12,
        Event::CaptureReceived { .. } => 13,
        Event::CaptureUnapplied { .. } => 14,
        Event::PaymentVerified { .. } => 15,
        Event::VerificationRevoked { .. } => 16,
        Event::Expired { .. } => 17,
        Event::ExpiryDeferred { .. } => 18,
        Event::Cancelled { .. } => 19,
        Event::RefundRequested { .. } => 20,
        Event::RefundSubmitted { .. } => 21,
        Event::RefundAccepted { .. } => 22,
        Event::RefundUncertain { .. } => 23,
        Event::RefundFailed { .. } => 24,
        Event::RefundSettled { .. } => 25,
        Event::RefundReversed { .. } => 26,
        Event::DisputeOpened { .. } => 27,
        Event::DisputeClosed { .. } => 28,
        Event::PayerNoticeRecorded { .. } => 29,
        Event::EvidenceOpened { .. } => 30,
        Event::OverrideProposed { .. } => 31,
        Event::OverrideApproved { .. } => 32,
        Event::OverrideRejected { .. } => 33,
        Event::OverrideSubstantiated { .. } => 34,
        Event::OverrideUnsubstantiated { .. } => 35,
        Event::ExceptionOpened { .. } => 36,
        Event::ExceptionAssigned { .. } => 37,
        Event::ExceptionResolved { .. } => 38,
    }
}

#[test]
fn the_list_of_types_is_the_list_of_variants() {
    let pinned = pinned();
    let places: Vec<usize> = pinned.iter().map(|(event, _)| place(event)).collect();
    assert_eq!(places, (0..39).collect::<Vec<_>>());
    let types: Vec<(String, u16)> = pinned
        .iter()
        .map(|(event, _)| encode(event))
        .map(|encoded| (encoded.event_type, encoded.type_v))
        .collect();
    let listed: Vec<(String, u16)> = Event::TYPES
        .iter()
        .map(|(name, v)| ((*name).to_owned(), *v))
        .collect();
    assert_eq!(types, listed);
}

#[test]
fn what_is_not_known_is_left_out() {
    let bare = Event::AttemptRegistered {
        attempt_no: 1,
        provider_order_ref: None,
        pay_url: None,
        session_expires_at: None,
    };
    assert_eq!(
        text(&bare),
        r#"{"data":{"attempt_no":1},"type":"AttemptRegistered"}"#
    );
    let by_itself = cancelled(CancelledBy::Client);
    assert_eq!(
        text(&by_itself),
        r#"{"data":{"by":"client"},"type":"PaymentRequestCancelled"}"#
    );
}

#[test]
fn the_words_inside_of_events_are_written_out() {
    let words = |values: &[String]| {
        values
            .iter()
            .map(|word| word.trim_matches('"').to_owned())
            .collect::<Vec<_>>()
    };
    let all = [
        words(
            &[
                Progress::Processing,
                Progress::Authorised,
                Progress::Unknown,
            ]
            .map(|word| text(&word)),
        ),
        words(
            &[
                AttemptEnd::Declined,
                AttemptEnd::SessionExpired,
                AttemptEnd::NotRegistered,
            ]
            .map(|word| text(&word)),
        ),
        words(
            &[
                PrecheckRefusal::NotPayable,
                PrecheckRefusal::Amount,
                PrecheckRefusal::Currency,
                PrecheckRefusal::Account,
                PrecheckRefusal::OtherAttempt,
            ]
            .map(|word| text(&word)),
        ),
        words(
            &[
                VerificationMethod::SignedNotification,
                VerificationMethod::StatusLookup,
                VerificationMethod::Settlement,
                VerificationMethod::Override,
            ]
            .map(|word| text(&word)),
        ),
        words(&[DeferredWhy::Processing, DeferredWhy::Unknown].map(|word| text(&word))),
        words(
            &[
                CancelledBy::Client,
                CancelledBy::Superseded,
                CancelledBy::Revoked,
            ]
            .map(|word| text(&word)),
        ),
        words(&[RefundKind::Refund, RefundKind::Void].map(|word| text(&word))),
        words(&[DisputeOutcome::Won, DisputeOutcome::Lost].map(|word| text(&word))),
        words(
            &[
                NoticeKind::Screenshot,
                NoticeKind::Message,
                NoticeKind::SuccessPage,
            ]
            .map(|word| text(&word)),
        ),
        words(
            &[
                Resolution::Settled,
                Resolution::Accepted,
                Resolution::Refunded,
                Resolution::Reassigned,
                Resolution::KeptAsIncome,
                Resolution::Dismissed,
            ]
            .map(|word| text(&word)),
        ),
        words(&[Part::Applied, Part::Unapplied].map(|word| text(&word))),
        words(&[Proposed::Pay, Proposed::Revoke].map(|word| text(&word))),
        words(&[Grounds::Attached, Grounds::None].map(|word| text(&word))),
        words(&[RejectedWhy::Rejected, RejectedWhy::Lapsed].map(|word| text(&word))),
        words(
            &[
                Severity::Low,
                Severity::Medium,
                Severity::High,
                Severity::Critical,
            ]
            .map(|word| text(&word)),
        ),
        words(&[Mode::Live, Mode::Test].map(|word| text(&word))),
        words(&[PartialPolicy::RejectToReview, PartialPolicy::Accumulate].map(|word| text(&word))),
        words(
            &[
                EvidenceClass::PayerNotice,
                EvidenceClass::Unsigned,
                EvidenceClass::WeaklySigned,
                EvidenceClass::Signed,
                EvidenceClass::LookedUp,
                EvidenceClass::Settlement,
            ]
            .map(|word| text(&word)),
        ),
    ];
    let pins = [
        "processing authorised unknown",
        "declined session_expired not_registered",
        "not_payable amount currency account other_attempt",
        "signed_notification status_lookup settlement override",
        "processing unknown",
        "client superseded revoked",
        "refund void",
        "won lost",
        "screenshot message success_page",
        "settled accepted refunded reassigned kept_as_income dismissed",
        "applied unapplied",
        "pay revoke",
        "attached none",
        "rejected lapsed",
        "low medium high critical",
        "live test",
        "reject_to_review accumulate",
        "payer_notice unsigned weakly_signed signed looked_up settlement",
    ];
    assert_eq!(all.map(|words| words.join(" ")), pins);
}

#[test]
fn who_fixed_the_amount_is_written_out() {
    let lines = vec![CatalogueLine {
        item: ItemCode::parse("tea").unwrap(),
        quantity: 2,
    }];
    assert_eq!(text(&PricedBy::Amount {}), r#"{"by":"amount"}"#);
    assert_eq!(
        text(&PricedBy::Catalogue { lines }),
        r#"{"by":"catalogue","lines":[{"item":"tea","quantity":2}]}"#
    );
    assert_eq!(
        text(&PrecheckVerdict::Allowed {}),
        r#"{"verdict":"allowed"}"#
    );
}

#[test]
fn every_kind_of_exception_has_its_name_for_ever() {
    use ExceptionKind as K;
    let pins = [
        (K::Underpaid, "underpaid"),
        (K::UnderpaidAtExpiry, "underpaid_at_expiry"),
        (K::Overpaid, "overpaid"),
        (K::CurrencyMismatch, "currency_mismatch"),
        (K::AccountMismatch, "account_mismatch"),
        (K::UnprovableAmount, "unprovable_amount"),
        (K::DuplicatePayment, "duplicate_payment"),
        (K::ProviderContradiction, "provider_contradiction"),
        (K::LatePayment, "late_payment"),
        (K::LateNotification, "late_notification"),
        (K::PaidAfterCancel, "paid_after_cancel"),
        (K::PaidSuperseded, "paid_superseded"),
        (K::StatusUnknown, "status_unknown"),
        (K::RegistrationUncertain, "registration_uncertain"),
        (K::UnexpectedHold, "unexpected_hold"),
        (K::TamperedTerms, "tampered_terms"),
        (K::OrphanPayment, "orphan_payment"),
        (K::ForeignAttempt, "foreign_attempt"),
        (K::TxnReused, "txn_reused"),
        (K::IdentityMismatch, "identity_mismatch"),
        (K::TenantMismatch, "tenant_mismatch"),
        (K::ModeMismatch, "mode_mismatch"),
        (K::PayerNotice, "payer_notice"),
        (K::UnrequestedRefund, "unrequested_refund"),
        (K::UnrequestedVoid, "unrequested_void"),
        (K::RefundFailed, "refund_failed"),
        (K::RefundUncertain, "refund_uncertain"),
        (K::RefundReversed, "refund_reversed"),
        (K::ReversalWithoutCapture, "reversal_without_capture"),
        (K::Dispute, "dispute"),
        (K::RefundAndDispute, "refund_and_dispute"),
        (K::OverrideUnproven, "override_unproven"),
        (K::OverrideUnsubstantiated, "override_unsubstantiated"),
        (K::VerificationRevoked, "verification_revoked"),
    ];
    for (number, (kind, name)) in pins.into_iter().enumerate() {
        assert_eq!((kind as usize, kind.as_str()), (number, name));
        assert_eq!(text(&kind), format!("\"{name}\""));
    }
    assert_eq!(
        K::VerificationRevoked as usize + 1,
        pins.len(),
        "a kind stands behind the last one"
    );
}

#[test]
fn every_fact_and_label_has_its_name_for_ever() {
    let dispute = || reference("d1");
    let facts = [
        (FactKind::Registered, r#"{"kind":"registered"}"#),
        (FactKind::Processing, r#"{"kind":"processing"}"#),
        (FactKind::Authorised, r#"{"kind":"authorised"}"#),
        (FactKind::Captured, r#"{"kind":"captured"}"#),
        (FactKind::Declined, r#"{"kind":"declined"}"#),
        (FactKind::SessionExpired, r#"{"kind":"session_expired"}"#),
        (FactKind::Unknown, r#"{"kind":"unknown"}"#),
        (
            FactKind::Voided {
                reversal: Some(reference("r1")),
            },
            r#"{"kind":"voided","reversal":"r1"}"#,
        ),
        (
            FactKind::Refunded {
                amount: RefundAmount::Delta(amd(5)),
                reversal: Some(reference("r1")),
            },
            r#"{"kind":"refunded","refunded":{"amount":{"currency":"AMD","exponent":2,"minor":"5"},"counted":"delta"},"reversal":"r1"}"#,
        ),
        (
            FactKind::Refunded {
                amount: RefundAmount::Cumulative(sum(0)),
                reversal: Some(reference("r1")),
            },
            r#"{"kind":"refunded","refunded":{"amount":{"currency":"AMD","exponent":2,"minor":"0"},"counted":"cumulative"},"reversal":"r1"}"#,
        ),
        (
            FactKind::RefundFailed {
                reversal: Some(reference("r1")),
            },
            r#"{"kind":"refund_failed","reversal":"r1"}"#,
        ),
        (
            FactKind::DisputeOpened {
                dispute: dispute(),
                amount: Some(amd(5)),
                reason: Some("fraudulent".into()),
                due_by: Some(noon()),
            },
            r#"{"dispute":"d1","disputed":{"currency":"AMD","exponent":2,"minor":"5"},"due_by":"2026-10-05T12:00:00.000Z","kind":"dispute_opened","reason":"fraudulent"}"#,
        ),
        (
            FactKind::DisputeWon { dispute: dispute() },
            r#"{"dispute":"d1","kind":"dispute_won"}"#,
        ),
        (
            FactKind::DisputeLost { dispute: dispute() },
            r#"{"dispute":"d1","kind":"dispute_lost"}"#,
        ),
    ];
    for (kind, pin) in facts {
        assert_eq!(text(&kind), pin);
        assert_eq!(serde_json::from_str::<FactKind>(pin).unwrap(), kind);
        // Nothing of the kind may meet a field of the fact around it.
        let mut whole = fact(kind.clone());
        for stated in [None, Some(amd(7))] {
            whole.amount = stated;
            assert_eq!(serde_json::from_str::<Fact>(&text(&whole)).unwrap(), whole);
        }
        assert!(
            pin.contains(&format!("\"kind\":\"{}\"", kind.as_str())),
            "{pin}"
        );
    }
    let labels = Label::ALL.map(Label::as_str).join(" ");
    assert_eq!(
        labels,
        "pending processing partially_paid paid expired cancelled partially_refunded refunded disputed charged_back"
    );
    for label in Label::ALL {
        assert_eq!(text(&label), format!("\"{}\"", label.as_str()));
    }
}
