use super::*;
use crate::ids::ClientId;

pub(crate) fn envelope(data: serde_json::Value) -> Envelope {
    let id = EventId::from_parts(1_700_000_000_000, [3; 10]);
    Envelope {
        v: 1,
        origin: "ledger.example/test/1".into(),
        merchant: Some(MerchantId::parse("shop").unwrap()),
        stream: StreamId::parse("quote-x").unwrap(),
        stream_version: Version(0),
        event_id: id,
        event_type: "QuoteIssued".into(),
        type_v: 1,
        recorded_at: Timestamp::from_seconds(1_700_000_000),
        occurred_at: Timestamp::from_seconds(1_700_000_000),
        actor: Actor::Client {
            id: ClientId::parse("backend").unwrap(),
            auth: "k1".into(),
        },
        on_behalf_of: None,
        source: Source {
            entry: "POST /v1/quotes".into(),
            node: "a".into(),
            ip_prefix: None,
        },
        cause: Cause {
            command: "issue_quote".into(),
            command_id: id,
            key_hmac: None,
            fingerprint: None,
            causation_id: None,
            correlation_id: None,
        },
        claims: vec![],
        reason: None,
        evidence: vec![],
        data,
        pii: BTreeMap::new(),
    }
}

fn recorded(record: Record) -> Recorded {
    Recorded {
        position: Position::new(1, 0, 0, 0),
        stream: StreamId::parse("quote-x").unwrap(),
        record,
    }
}

#[test]
fn the_bytes_are_canonical_and_read_back() {
    let written = envelope(serde_json::json!({"z": 1, "a": "\u{20ac}\n", "aa": [true, null]}));
    let record = Record::write(&written).unwrap();
    let text = std::str::from_utf8(&record.bytes).unwrap();
    assert!(
        text.starts_with(r#"{"actor":{"auth":"k1","id":"backend","kind":"client"},"cause":"#),
        "{text}"
    );
    assert!(
        text.contains("\"data\":{\"a\":\"\u{20ac}\\n\",\"aa\":[true,null],\"z\":1}"),
        "{text}"
    );
    let back = recorded(record);
    assert_eq!(back.verified_envelope().unwrap(), written);
    assert_eq!(back.envelope().unwrap(), written);
}

#[test]
fn the_leaf_hash_is_that_of_rfc_6962() {
    assert_eq!(
        leaf_hash(b"").to_string(),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
}

#[test]
fn other_bytes_of_the_same_meaning_are_refused() {
    let record = Record::write(&envelope(serde_json::json!({}))).unwrap();
    let mut spaced = record.bytes.to_vec();
    spaced.insert(1, b' ');
    let changed = recorded(Record {
        bytes: spaced.into(),
        ..record
    });
    assert!(changed.envelope().is_ok());
    assert!(matches!(
        changed.verified_envelope(),
        Err(RecordError::NotCanonical)
    ));
}

#[test]
fn a_record_has_a_longest_length() {
    let long = envelope(serde_json::json!("x".repeat(RECORD_BYTES_MAX)));
    assert!(matches!(
        Record::write(&long),
        Err(RecordError::TooLong { .. })
    ));
}
