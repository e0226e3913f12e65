use domain::ids::{CustomerRef, EventId};
use domain::stream::StreamId;

use super::*;
use crate::system::OsEntropy;

fn open(folder: &Path) -> SqliteKeyring {
    SqliteKeyring::open(&folder.join("keyring.db"), Kek::new([7; 32]), Arc::new(OsEntropy)).unwrap()
}

fn merchant() -> MerchantId {
    MerchantId::parse("shop").unwrap()
}

fn subject(name: &str) -> KeyScope {
    KeyScope::Subject { merchant: merchant(), subject: CustomerRef::parse(name).unwrap() }
}

fn secret(key_id: &str, value: &[u8], from: i64, until: Option<i64>) -> Secret {
    Secret {
        key_id: KeyId::parse(key_id).unwrap(),
        value: value.to_vec(),
        valid_from: Timestamp::from_seconds(from),
        valid_until: until.map(Timestamp::from_seconds),
    }
}

#[test]
fn root_keys_stay_the_same_and_need_their_own_kek() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = open(folder.path()).instance_key().unwrap().fingerprint();
    let again = open(folder.path());
    assert_eq!(again.instance_key().unwrap().fingerprint(), fingerprint);
    assert_ne!(again.link_key().unwrap().fingerprint(), fingerprint);
    drop(again);
    let path = folder.path().join("keyring.db");
    let other = SqliteKeyring::open(&path, Kek::new([8; 32]), Arc::new(OsEntropy)).unwrap();
    assert!(matches!(other.instance_key(), Err(KeyringError::NotAuthentic)));
}

#[tokio::test]
async fn what_is_sealed_opens_after_a_restart_under_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let stream = StreamId::parse("quote-a").unwrap();
    let place = Place { origin: "o", stream: &stream, event_id: EventId::from_parts(1, [0; 10]), field: "x" };
    let sealed = open(folder.path()).seal(&subject("c-1"), &place, b"secret").await.unwrap();
    let again = open(folder.path());
    assert_eq!(again.open(&sealed, &place).await.unwrap(), b"secret");
    assert_eq!(again.seal(&subject("c-1"), &place, b"x").await.unwrap().k, sealed.k);
    assert_ne!(again.seal(&subject("c-2"), &place, b"x").await.unwrap().k, sealed.k);
}

#[tokio::test]
async fn racing_makers_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = Arc::new(open(folder.path()));
    let makers = (0..16).map(|_| {
        let keyring = Arc::clone(&keyring);
        tokio::spawn(async move {
            let stream = StreamId::parse("quote-a").unwrap();
            let place = Place { origin: "o", stream: &stream, event_id: EventId::from_parts(1, [0; 10]), field: "x" };
            keyring.seal(&subject("c-1"), &place, b"x").await.unwrap().k
        })
    });
    let mut keys = std::collections::BTreeSet::new();
    for maker in makers.collect::<Vec<_>>() {
        keys.insert(maker.await.unwrap());
    }
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn two_secrets_live_side_by_side_while_one_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::ProviderInbound("sim-main".into());
    let live = async |now| {
        let secrets = keyring.active(&merchant(), &purpose, Timestamp::from_seconds(now)).await.unwrap();
        secrets.iter().map(|secret| secret.key_id.to_string()).collect::<Vec<_>>()
    };
    keyring.set(&merchant(), &purpose, secret("old", b"1", 0, Some(100))).await.unwrap();
    keyring.set(&merchant(), &purpose, secret("new", b"2", 50, None)).await.unwrap();
    assert_eq!(live(10).await, ["old"]);
    assert_eq!(live(60).await, ["new", "old"]);
    assert_eq!(live(100).await, ["new"]);
    let other = keyring.set(&merchant(), &purpose, secret("new", b"3", 50, None)).await;
    assert!(matches!(other, Err(KeyringError::NotAuthentic)));
    assert_eq!(keyring.list(&merchant()).await.unwrap().len(), 2);
    let foreign = MerchantId::parse("other").unwrap();
    assert!(keyring.active(&foreign, &purpose, Timestamp::from_seconds(60)).await.unwrap().is_empty());
}

#[tokio::test]
async fn swapped_rows_do_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::Subscriber("crm".into());
    keyring.set(&merchant(), &purpose, secret("a", b"first", 0, None)).await.unwrap();
    keyring.set(&merchant(), &purpose, secret("b", b"second", 0, None)).await.unwrap();
    locked(&keyring.connection)
        .execute_batch("update secret set wrapped = (select wrapped from secret where key_id = 'a') where key_id = 'b'")
        .unwrap();
    let read = keyring.active(&merchant(), &purpose, Timestamp::from_seconds(1)).await;
    assert!(matches!(read, Err(KeyringError::NotAuthentic)));
}
