//! The parser of scripts. An error names the word that is wrong and the nearest one that is right.

use std::time::Duration;

use domain::ids::ProviderRef;
use domain::money::Currency;
use domain::payment::evidence::Mode;

use super::refunds::Fate;
use super::script::{Act, Answering, Changes, Choice, Message, Plan, Script, When};

/// The words a step begins with.
const STEPS: &[&str] = &[
    "pay", "decline", "leave", "notify", "lose", "reorder", "late", "slow", "register", "lookup",
    "refund",
];
/// The fields that can be changed.
const FIELDS: &[&str] = &[
    "amount",
    "currency",
    "account",
    "status",
    "reference",
    "order",
    "transaction",
    "mode",
];
/// No step waits longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// No message is repeated more often, and no script has more steps.
const MOST: u32 = 1000;

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {why}")]
pub struct ScriptError {
    /// The step, counted from 1.
    pub step: usize,
    /// What is wrong, with the word and what may stand there.
    pub why: String,
}

impl std::str::FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        let steps = text
            .split(';')
            .map(str::trim)
            .enumerate()
            .filter(|(_, step)| !step.is_empty());
        for (index, step) in steps {
            let wrong = |why| ScriptError {
                step: index + 1,
                why,
            };
            if index >= MOST as usize {
                return Err(wrong(format!("a script has at most {MOST} steps")));
            }
            let mut words = Words {
                rest: step.split_whitespace().peekable(),
            };
            one_step(&mut script, &mut words).map_err(wrong)?;
            if let Some(word) = words.next() {
                return Err(wrong(format!("{word:?} is one word too many")));
            }
        }
        Ok(script)
    }
}

struct Words<'a> {
    rest: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.rest.next()
    }

    /// Takes the next word when it is this one.
    fn take(&mut self, word: &str) -> bool {
        self.rest.next_if(|next| *next == word).is_some()
    }

    fn duration(&mut self) -> Result<Duration, String> {
        let word = self
            .next()
            .ok_or("a length like 500ms, 2s, 5m or 1h is missing")?;
        duration(word).ok_or_else(|| {
            format!("{word:?} is not a length like 500ms, 2s, 5m or 1h, at most 24h")
        })
    }

    fn when(&mut self) -> Result<Option<When>, String> {
        if self.take("late") {
            return Ok(Some(When::Late));
        }
        if self.take("after") {
            self.duration().map(|length| Some(When::After(length)))
        } else {
            Ok(None)
        }
    }
}

fn one_step(script: &mut Script, words: &mut Words<'_>) -> Result<(), String> {
    match words.next().unwrap_or_default() {
        "pay" => act(script, words, Choice::Pay),
        "decline" => act(script, words, Choice::Decline),
        "leave" => act(script, words, Choice::Leave),
        "notify" => {
            let message = message(words)?;
            match plan(script) {
                Plan::Lost => Err(
                    "the message is lost already: \"lose\" and \"notify\" exclude each other"
                        .to_owned(),
                ),
                Plan::Told(messages) => {
                    messages.push(message);
                    Ok(())
                }
                honest @ Plan::Honest => {
                    *honest = Plan::Told(vec![message]);
                    Ok(())
                }
            }
        }
        "lose" => match plan(script) {
            Plan::Told(_) => Err(
                "a message is told already: \"lose\" and \"notify\" exclude each other".to_owned(),
            ),
            plan @ (Plan::Honest | Plan::Lost) => {
                *plan = Plan::Lost;
                Ok(())
            }
        },
        "reorder" => {
            script.reorder = true;
            Ok(())
        }
        "late" => {
            script.late = true;
            if words.take("after") && !words.take("expiry") {
                return Err("after \"late after\" stands \"expiry\"".to_owned());
            }
            Ok(())
        }
        "slow" => {
            script.slow = words.duration()?;
            Ok(())
        }
        "register" => {
            script.register = answering(words, &[])?;
            Ok(())
        }
        "refund" => refund(script, words),
        "lookup" => {
            let changed = words.rest.peek().is_some_and(|word| word.contains('='));
            if !changed {
                script.look_up = answering(words, &[])?;
                return Ok(());
            }
            let changes = &mut script.look_up_changes;
            words
                .rest
                .by_ref()
                .try_for_each(|word| change(changes, word))
        }
        word => Err(unknown(word, STEPS)),
    }
}

/// The plan that a step `notify` or `lose` belongs to: of the last act, or of the page.
fn plan(script: &mut Script) -> &mut Plan {
    match script.acts.last_mut() {
        Some(act) => &mut act.plan,
        None => &mut script.page,
    }
}

fn act(script: &mut Script, words: &mut Words<'_>, choice: Choice) -> Result<(), String> {
    let when = words.when()?.unwrap_or_default();
    let mut changes = Changes::default();
    words
        .rest
        .by_ref()
        .try_for_each(|word| change(&mut changes, word))?;
    if choice != Choice::Pay && changes != Changes::default() {
        return Err(format!(
            "only \"pay\" can be about other money, not {:?}",
            choice.as_str()
        ));
    }
    script.acts.push(Act {
        choice,
        when,
        changes,
        plan: Plan::Honest,
    });
    Ok(())
}

fn message(words: &mut Words<'_>) -> Result<Message, String> {
    let (mut when, mut again, mut forged, mut old) = (None, None, false, false);
    let mut changes = Changes::default();
    loop {
        if let Some(told) = words.when()? {
            when = Some(told);
        } else if words.take("again") {
            again = Some(times(words)?);
        } else if words.take("forged") {
            forged = true;
        } else if words.take("old") {
            old = true;
        } else if let Some(word) = words.next() {
            if !word.contains('=') {
                return Err(unknown(
                    word,
                    &[
                        "after", "late", "again", "forged", "old", "amount=", "status=",
                    ],
                ));
            }
            change(&mut changes, word)?;
        } else {
            break;
        }
    }
    let when = when.unwrap_or_default();
    match again {
        None => Ok(Message::New {
            when,
            changes,
            forged,
            old,
        }),
        Some(times) if changes == Changes::default() && !forged && !old => {
            Ok(Message::Again { when, times })
        }
        Some(_) => {
            Err("\"again\" repeats the message before byte for byte and changes nothing".to_owned())
        }
    }
}

/// `x3`; once when it is not said.
fn times(words: &mut Words<'_>) -> Result<u32, String> {
    let Some(word) = words.rest.next_if(|word| word.starts_with('x')) else {
        return Ok(1);
    };
    let times = number(&word[1..]).filter(|times| (1..=MOST).contains(times));
    times.ok_or_else(|| format!("{word:?} is not a number of times like x3, at most x{MOST}"))
}

/// What becomes of it, or how its call is answered.
fn refund(script: &mut Script, words: &mut Words<'_>) -> Result<(), String> {
    if words.take("declined") {
        script.refund_fate = Fate::Declined;
    } else if words.take("after") {
        script.refund_fate = Fate::DoneAfter(words.duration()?);
    } else if words.take("fails") {
        if !words.take("after") {
            return Err("after \"refund fails\" stands \"after\" and a length".to_owned());
        }
        script.refund_fate = Fate::FailsAfter(words.duration()?);
    } else {
        script.refund = answering(words, &["declined", "after", "fails"])?;
    }
    Ok(())
}

/// `others` may stand here as well.
fn answering(words: &mut Words<'_>, others: &[&str]) -> Result<Answering, String> {
    match words.next() {
        Some("down") => Ok(Answering::Down),
        Some("lost") => Ok(Answering::Lost),
        Some("slow") => words.duration().map(Answering::Slow),
        Some(word) => Err(unknown(word, &[&["down", "lost", "slow"], others].concat())),
        None => Err("\"down\", \"lost\" or \"slow\" is missing".to_owned()),
    }
}

fn change(changes: &mut Changes, word: &str) -> Result<(), String> {
    let Some((field, value)) = word.split_once('=') else {
        return Err(format!("{word:?} is not a change like amount=100.00"));
    };
    let wrong = |what: &str| format!("{value:?} is not {what}");
    let reference = || ProviderRef::parse(value).map_err(|_| wrong("a reference"));
    match field {
        "amount" => {
            changes.amount = Some(amount(value).ok_or_else(|| wrong("an amount like 100.00"))?)
        }
        "currency" => {
            changes.currency =
                Some(Currency::from_code(value).ok_or_else(|| wrong("a currency like AMD"))?);
        }
        "account" => changes.account = Some(plain(value).ok_or_else(|| wrong("an account"))?),
        "status" => changes.status = Some(plain(value).ok_or_else(|| wrong("a status"))?),
        "reference" => changes.reference = Some(reference()?),
        "order" => changes.order = Some(reference()?),
        "transaction" => changes.transaction = Some(reference()?),
        "mode" => {
            changes.mode = Some(match value {
                "live" => Mode::Live,
                "test" => Mode::Test,
                _ => return Err(wrong("\"live\" or \"test\"")),
            });
        }
        _ => return Err(unknown(field, FIELDS)),
    }
    Ok(())
}

/// Digits with at most one point and not all zero, as `Money::from_major` reads them.
fn amount(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| {
        (1..=15).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let above_zero = text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    (digits(whole) && digits(fraction) && above_zero).then(|| text.to_owned())
}

fn plain(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    ((1..=100).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_owned())
}

/// Digits only: no sign, which `parse` would take.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = u64::from(number(&text[..text.len() - unit.len()])?);
    let millis = match unit {
        "ms" => count,
        "s" => count.checked_mul(1000)?,
        "m" => count.checked_mul(60_000)?,
        "h" => count.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(millis)).filter(|length| *length <= LONGEST && !length.is_zero())
}

/// Names the word and the nearest known one.
fn unknown(word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 2 => {
            format!("{word:?} is not known; is {candidate:?} meant?")
        }
        _ => format!(
            "{word:?} is not known; here may stand: {}",
            known.join(", ")
        ),
    }
}

/// Levenshtein's: how many letters to add, drop or change.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
