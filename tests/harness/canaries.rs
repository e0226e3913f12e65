//! Values that must not come to light, and a search for them in whatever a ledger writes: as they
//! are, and in the encodings that a program gives a text on its way.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// One value, by name.
#[derive(Debug, Clone)]
pub struct Canary {
    /// What it is.
    pub name: &'static str,
    needles: Vec<(&'static str, String)>,
}

impl Canary {
    /// A value and everything that it may look like.
    pub fn new(name: &'static str, value: &str) -> Self {
        let bytes = value.as_bytes();
        assert!(
            bytes.len() >= 12,
            "{name} is too short to be told from chance"
        );
        let mut needles = vec![
            ("plain", bytes.to_vec()),
            ("hex", hex(bytes)),
            ("HEX", hex(bytes).to_ascii_uppercase()),
            (
                "UTF-16",
                value.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            ),
            ("JSON", json_escaped(value)),
            ("percent", percent(bytes)),
        ];
        for lead in 0..3 {
            let mut led = vec![0; lead];
            led.extend_from_slice(bytes);
            // Characters that hold nothing but bits of the value.
            let within = [0, 2, 3][lead]..led.len() / 3 * 4;
            let of = |text: String| text.as_bytes()[within.clone()].to_vec();
            needles.push(("base64", of(STANDARD_NO_PAD.encode(&led))));
            needles.push(("base64url", of(URL_SAFE_NO_PAD.encode(&led))));
        }
        let needles = needles
            .into_iter()
            .map(|(encoding, needle)| (encoding, of_bytes(&needle)));
        Self {
            name,
            needles: needles.collect(),
        }
    }

    /// Encodings of it that stand in a text of [`of_bytes`].
    fn found_in(&self, text: &str) -> BTreeSet<&'static str> {
        let found = self
            .needles
            .iter()
            .filter(|(_, needle)| text.contains(needle.as_str()));
        found.map(|(encoding, _)| *encoding).collect()
    }
}

/// One character for each byte, so that bytes are searched as fast as texts are.
fn of_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Every file below a folder, with what stands in it.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// `what: canary (encodings)` for each that stands in one of the things.
pub fn leaks<'a>(
    things: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    canaries: &[Canary],
) -> Vec<String> {
    let mut leaks = vec![];
    for (what, bytes) in things {
        let text = of_bytes(bytes);
        for canary in canaries {
            let found = canary.found_in(&text);
            if !found.is_empty() {
                leaks.push(format!("{what}: {} {found:?}", canary.name));
            }
        }
    }
    leaks
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
        .into_bytes()
}

fn json_escaped(value: &str) -> Vec<u8> {
    let mut text = String::new();
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => text.push(char::from(byte)),
            Ok(_) | Err(_) => {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text.into_bytes()
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text.into_bytes()
}
