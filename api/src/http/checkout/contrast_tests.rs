//! Contrast of the style sheet, computed as WCAG 2.2 defines it (1.4.3, 1.4.11).

use std::collections::BTreeMap;

use super::STYLE;

/// What is read on what: text needs 4.5 to 1.
const TEXT: [(&str, &str); 14] = [
    ("text", "page"),
    ("text", "card"),
    ("quiet", "page"),
    ("quiet", "card"),
    ("accent", "card"),
    ("accent", "page"),
    ("on-accent", "accent"),
    ("on-accent", "accent-down"),
    ("wait-text", "wait-back"),
    ("good-text", "good-back"),
    ("warn-text", "warn-back"),
    ("stop-text", "stop-back"),
    ("text", "warn-back"),
    ("text", "stop-back"),
];
/// What is only seen: borders of controls and the ring of the focus need 3 to 1.
const SEEN: [(&str, &str); 3] = [("focus", "card"), ("focus", "page"), ("accent", "card")];

/// Colours by name, from the `:root` after `start`.
fn colours(start: &str) -> BTreeMap<&'static str, [f64; 3]> {
    let from = STYLE.find(start).unwrap();
    let block = STYLE[from..].split(":root {").nth(1).unwrap();
    let block = block.split('}').next().unwrap();
    let declared = block.split(';').filter_map(|line| line.split_once(": #"));
    let channel =
        |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    declared
        .map(|(name, hex)| {
            let name = name.trim().trim_start_matches("--");
            (name, [channel(hex, 0), channel(hex, 2), channel(hex, 4)])
        })
        .collect()
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|channel| {
        let channel = channel / 255.0;
        if channel <= 0.04045 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn contrast_is_computed_as_defined() {
    let (black, white) = ([0.0; 3], [255.0; 3]);
    assert!((contrast(black, white) - 21.0).abs() < 0.001);
    let grey = [118.0; 3];
    assert!((contrast(grey, white) - 4.54).abs() < 0.01);
}

#[test]
fn everything_can_be_read_in_light_and_in_dark() {
    for scheme in [":root {", "@media (prefers-color-scheme: dark)"] {
        let colours = colours(scheme);
        assert_eq!(colours.len(), 17, "{scheme}");
        for (least, pairs) in [(4.5, &TEXT[..]), (3.0, &SEEN[..])] {
            for (front, back) in pairs {
                let found = contrast(colours[front], colours[back]);
                assert!(found >= least, "{scheme} {front} on {back}: {found:.2}");
            }
        }
    }
}
