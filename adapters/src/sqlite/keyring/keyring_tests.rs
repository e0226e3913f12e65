use std::collections::BTreeSet;

use domain::ids::{CustomerRef, EventId, KeyId, MerchantId, PaymentRequestId};
use domain::ports::{Secret, SecretPurpose, Secrets};
use domain::stream::StreamId;

use super::*;
use crate::system::OsEntropy;

fn open(folder: &Path) -> SqliteKeyring {
    SqliteKeyring::open(
        &folder.join("keyring.db"),
        Kek::new([7; 32]),
        Arc::new(OsEntropy),
    )
    .unwrap()
}

fn merchant() -> MerchantId {
    MerchantId::parse("shop").unwrap()
}

fn subject(name: &str) -> KeyScope {
    KeyScope::Subject {
        merchant: merchant(),
        subject: CustomerRef::parse(name).unwrap(),
    }
}

fn stream() -> StreamId {
    StreamId::parse("quote-a").unwrap()
}

fn place_at(stream: &StreamId) -> Place<'_> {
    Place {
        origin: "o",
        stream,
        event_id: EventId::from_parts(1, [0; 10]),
        field: "x",
    }
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
    let other = SqliteKeyring::open(&path, Kek::new([8; 32]), Arc::new(OsEntropy));
    assert!(matches!(
        other.err(),
        Some(KeyringOpenError::OtherKek { .. })
    ));
    assert_eq!(
        open(folder.path()).instance_key().unwrap().fingerprint(),
        fingerprint
    );
}

#[tokio::test]
async fn what_is_sealed_opens_after_a_restart_under_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream();
    let place = place_at(&stream);
    let sealed = open(folder.path())
        .seal(&subject("c-1"), &place, b"secret")
        .await
        .unwrap();
    let again = open(folder.path());
    assert_eq!(again.open(&sealed, &place).await.unwrap(), b"secret");
    assert_eq!(
        again.seal(&subject("c-1"), &place, b"x").await.unwrap().k,
        sealed.k
    );
    assert_ne!(
        again.seal(&subject("c-2"), &place, b"x").await.unwrap().k,
        sealed.k
    );
}

/// Runs `work` in several threads at the same moment, each with a connection of its own, as several
/// processes would.
fn at_once<T: Send>(folder: &Path, work: impl Fn(usize, &SqliteKeyring) -> T + Sync) -> Vec<T> {
    let keyrings: Vec<_> = (0..4).map(|_| open(folder)).collect();
    let start = std::sync::Barrier::new(keyrings.len());
    std::thread::scope(|scope| {
        let each = |(number, keyring)| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(number, keyring)
            })
        };
        let threads: Vec<_> = keyrings.iter().enumerate().map(each).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

#[test]
fn racing_makers_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let scope = subject(&format!("c-{round}"));
        let keys: BTreeSet<_> = at_once(folder.path(), |_, keyring| {
            wait(keyring.seal(&scope, &place_at(&stream()), b"x"))
                .unwrap()
                .k
        })
        .into_iter()
        .collect();
        assert_eq!(keys.len(), 1);
    }
}

#[test]
fn no_usable_key_is_made_after_its_destruction() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let scope = subject(&format!("c-{round}"));
        at_once(folder.path(), |number, keyring| {
            if number == 0 {
                // The log may be in use by the others; the key is gone all the same.
                let _ = wait(keyring.destroy(&scope, Timestamp::from_seconds(9)));
            } else {
                let _ = wait(keyring.seal(&scope, &place_at(&stream()), b"x"));
            }
        });
        let after = open(folder.path());
        let sealed = wait(after.seal(&scope, &place_at(&stream()), b"x"));
        assert!(matches!(sealed, Err(KeyringError::Destroyed)), "{sealed:?}");
    }
}

#[tokio::test]
async fn a_destroyed_key_opens_nothing_and_is_gone_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let (stream, now) = (stream(), Timestamp::from_seconds(9));
    let place = place_at(&stream);
    let sealed = keyring
        .seal(&subject("c-1"), &place, b"secret")
        .await
        .unwrap();
    let other = keyring
        .seal(&subject("c-2"), &place, b"secret")
        .await
        .unwrap();
    let wrapped: Vec<u8> = locked(&keyring.connection)
        .query_row(
            "select wrapped from data_key where key_id = ?1",
            [&sealed.k],
            |row| row.get(0),
        )
        .unwrap();
    let on_disk = || {
        let files = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files
            .filter(|bytes| bytes.windows(wrapped.len()).any(|window| window == wrapped))
            .count()
    };
    assert!(on_disk() > 0, "the scan must find what it looks for");
    keyring.destroy(&subject("c-1"), now).await.unwrap();
    assert_eq!(on_disk(), 0);
    keyring.destroy(&subject("c-1"), now).await.unwrap();
    assert!(matches!(
        keyring.open(&sealed, &place).await,
        Err(KeyringError::Destroyed)
    ));
    assert!(matches!(
        keyring.seal(&subject("c-1"), &place, b"x").await,
        Err(KeyringError::Destroyed)
    ));
    // A scope that never had a key can be closed as well.
    keyring.destroy(&subject("c-3"), now).await.unwrap();
    assert!(matches!(
        keyring.seal(&subject("c-3"), &place, b"x").await,
        Err(KeyringError::Destroyed)
    ));
    assert_eq!(keyring.open(&other, &place).await.unwrap(), b"secret");
    let unknown = Sealed {
        k: "dk_other".into(),
        ..sealed
    };
    assert!(matches!(
        keyring.open(&unknown, &place).await,
        Err(KeyringError::UnknownKey)
    ));
}

#[tokio::test]
async fn each_scope_has_its_own_key() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let stream = StreamId::parse("notification-a").unwrap();
    let foreign = MerchantId::parse("other").unwrap();
    let id = PaymentRequestId::parse(format!("pr_{}", "a".repeat(26))).unwrap();
    let scopes = [
        subject("c-1"),
        KeyScope::Subject {
            merchant: foreign.clone(),
            subject: CustomerRef::parse("c-1").unwrap(),
        },
        KeyScope::PaymentRequest {
            merchant: merchant(),
            id,
        },
        KeyScope::Notification {
            merchant: merchant(),
            stream: stream.clone(),
        },
        KeyScope::Notes {
            merchant: merchant(),
        },
        KeyScope::Notes { merchant: foreign },
    ];
    let mut keys = BTreeSet::new();
    for scope in &scopes {
        keys.insert(
            keyring
                .seal(scope, &place_at(&stream), b"x")
                .await
                .unwrap()
                .k,
        );
    }
    assert_eq!(keys.len(), scopes.len());
}

#[tokio::test]
async fn two_secrets_live_side_by_side_while_one_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::ProviderInbound("sim-main".into());
    let live = async |now| {
        let secrets = keyring
            .active(&merchant(), &purpose, Timestamp::from_seconds(now))
            .await
            .unwrap();
        secrets
            .iter()
            .map(|secret| secret.key_id.to_string())
            .collect::<Vec<_>>()
    };
    keyring
        .set(&merchant(), &purpose, secret("old", b"1", 0, Some(100)))
        .await
        .unwrap();
    keyring
        .set(&merchant(), &purpose, secret("new", b"2", 50, None))
        .await
        .unwrap();
    assert_eq!(live(10).await, ["old"]);
    assert_eq!(live(60).await, ["new", "old"]);
    assert_eq!(live(100).await, ["new"]);
    let other = keyring
        .set(&merchant(), &purpose, secret("new", b"3", 50, None))
        .await;
    assert!(matches!(other, Err(KeyringError::NotAuthentic)));
    assert_eq!(keyring.list(&merchant()).await.unwrap().len(), 2);
    let foreign = MerchantId::parse("other").unwrap();
    assert!(
        keyring
            .active(&foreign, &purpose, Timestamp::from_seconds(60))
            .await
            .unwrap()
            .is_empty()
    );
}

#[test]
fn one_name_never_stands_for_two_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let purpose = SecretPurpose::Subscriber("crm".into());
    let set = at_once(folder.path(), |number, keyring| {
        let value = [u8::try_from(number).unwrap(); 32];
        let set = wait(keyring.set(&merchant(), &purpose, secret("key-1", &value, 0, None)));
        set.is_ok().then_some(value)
    });
    let kept = wait(open(folder.path()).active(&merchant(), &purpose, Timestamp::from_seconds(1)))
        .unwrap();
    let told: Vec<_> = set
        .into_iter()
        .flatten()
        .map(|value| value.to_vec())
        .collect();
    assert_eq!(
        kept.iter()
            .map(|secret| secret.value.clone())
            .collect::<Vec<_>>(),
        told
    );
}

#[tokio::test]
async fn the_same_secret_again_changes_its_validity_only() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::ProviderApi("sim-main".into());
    keyring
        .set(&merchant(), &purpose, secret("a", b"1", 0, None))
        .await
        .unwrap();
    keyring
        .set(&merchant(), &purpose, secret("a", b"1", 0, Some(5)))
        .await
        .unwrap();
    let until = Some(Timestamp::from_seconds(5));
    let key_id = KeyId::parse("a").unwrap();
    let listed = keyring.list(&merchant()).await.unwrap();
    assert_eq!(
        listed,
        [(purpose, key_id, Timestamp::from_seconds(0), until)]
    );
}

#[tokio::test]
async fn a_removed_secret_is_gone_from_the_files_and_its_name_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::OperatorPassword("ann".into());
    for name in ["a", "b"] {
        let made = secret(name, name.as_bytes(), 0, None);
        keyring.set(&merchant(), &purpose, made).await.unwrap();
    }
    let wrapped: Vec<u8> = locked(&keyring.connection)
        .query_row("select wrapped from secret where key_id = 'a'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let in_files = || {
        let mut files = std::fs::read_dir(folder.path()).unwrap();
        files.any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(wrapped.len()).any(|w| w == wrapped)
        })
    };
    assert!(in_files());
    let gone = KeyId::parse("a").unwrap();
    for _ in 0..2 {
        keyring.remove(&merchant(), &purpose, &gone).await.unwrap();
    }
    assert!(!in_files());
    let now = Timestamp::from_seconds(1);
    let left = keyring.active(&merchant(), &purpose, now).await.unwrap();
    assert_eq!(left, [secret("b", b"b", 0, None)]);
    let other = secret("a", b"other", 0, None);
    keyring.set(&merchant(), &purpose, other).await.unwrap();
}

/// Writes the wrapped key of the first row into the second.
fn swap(keyring: &SqliteKeyring, table: &str, column: &str, from: &str, to: &str) {
    let statement = format!(
        "update {table} set wrapped = (select wrapped from {table} where {column} = '{from}') where {column} = '{to}'"
    );
    assert_eq!(
        locked(&keyring.connection).execute(&statement, []).unwrap(),
        1
    );
}

#[tokio::test]
async fn swapped_secrets_do_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::Subscriber("crm".into());
    keyring
        .set(&merchant(), &purpose, secret("a", b"first", 0, None))
        .await
        .unwrap();
    keyring
        .set(&merchant(), &purpose, secret("b", b"second", 0, None))
        .await
        .unwrap();
    swap(&keyring, "secret", "key_id", "a", "b");
    let read = keyring
        .active(&merchant(), &purpose, Timestamp::from_seconds(1))
        .await;
    assert!(matches!(read, Err(KeyringError::NotAuthentic)));
}

#[tokio::test]
async fn swapped_data_keys_do_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let stream = stream();
    let place = place_at(&stream);
    let first = keyring.seal(&subject("c-1"), &place, b"x").await.unwrap();
    let second = keyring.seal(&subject("c-2"), &place, b"x").await.unwrap();
    swap(&keyring, "data_key", "key_id", &first.k, &second.k);
    assert!(matches!(
        keyring.open(&second, &place).await,
        Err(KeyringError::NotAuthentic)
    ));
    assert!(matches!(
        keyring.seal(&subject("c-2"), &place, b"x").await,
        Err(KeyringError::NotAuthentic)
    ));
    assert_eq!(keyring.open(&first, &place).await.unwrap(), b"x");
}

#[test]
fn swapped_root_keys_refuse_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    swap(&keyring, "root", "name", INSTANCE, LINK);
    drop(keyring);
    let path = folder.path().join("keyring.db");
    let opened = SqliteKeyring::open(&path, Kek::new([7; 32]), Arc::new(OsEntropy));
    assert!(matches!(
        opened.err(),
        Some(KeyringOpenError::OtherKek { .. })
    ));
}

#[tokio::test]
async fn neither_plaintext_nor_keys_stand_in_the_files_and_only_their_owner_reads_them() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(folder.path());
    let purpose = SecretPurpose::Subscriber("crm".into());
    let canary = b"whsec_canary_0123456789";
    keyring
        .set(&merchant(), &purpose, secret("a", canary, 0, None))
        .await
        .unwrap();
    let root = keyring.root(INSTANCE).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for hidden in [&canary[..], &root[..], &[7; 32]] {
            assert!(
                !bytes.windows(hidden.len()).any(|window| window == hidden),
                "{}",
                path.display()
            );
        }
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o077,
            0,
            "{}",
            path.display()
        );
    }
}
