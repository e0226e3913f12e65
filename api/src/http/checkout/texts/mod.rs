//! What payers read, one file per language. A text that is missing in one of them does not compile;
//! the tests here see that none is empty, and that all take the same values.

mod en;
mod hy;
mod ru;

use crate::config::settings::Language;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        /// Every text of one language. `{...}` stands for a value.
        #[derive(Debug)]
        pub struct Texts {
            $($(#[$doc])* pub $name: &'static str,)+
            /// Months as they stand in a date.
            pub months: [&'static str; 12],
        }

        #[cfg(test)]
        impl Texts {
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                let mut all = vec![$((stringify!($name), self.$name)),+];
                all.extend(self.months.iter().map(|month| ("months", *month)));
                all
            }
        }
    };
}

texts! {
    /// Language tag (BCP 47).
    code;
    /// The language's name for itself.
    language;
    /// Label of the choice of languages.
    choose_language;
    /// Between thousands.
    thousands;
    /// Before the minor units.
    decimal;
    /// `{number}` and `{currency}` as they stand together.
    money;
    /// `{day}`, `{month}`, `{year}`, `{time}` and `{zone}` as they stand together.
    moment;

    /// Heading where no merchant can be named.
    payment;
    /// Label of the merchant.
    pay_to;
    /// Label of the amount.
    amount;
    /// Label of what an accumulating request has already.
    received;
    /// Label of what it still lacks.
    still_due;
    /// Label of what was given back.
    given_back;
    /// Label of the order.
    order;
    /// Label of what is sold.
    items;
    /// Label of the end.
    pay_before;
    /// Label of how it stands.
    status;

    /// It can be paid.
    payable_title;
    /// What happens next.
    payable_text;
    /// It can be paid, but through none of our providers.
    no_way_text;
    /// An attempt is being registered.
    opening_title;
    /// What happens next.
    opening_text;
    /// The payer came back, and nobody knows yet.
    confirming_title;
    /// What happens next.
    confirming_text;
    /// What a payer does who came back without paying.
    resume_text;
    /// The provider is at it.
    processing_title;
    /// What happens next.
    processing_text;
    /// A person looks at it.
    review_title;
    /// What happens next.
    review_text;
    /// Paid.
    paid_title;
    /// Thanks.
    paid_text;
    /// Paid, and a part went back.
    partly_refunded_title;
    /// About that part.
    partly_refunded_text;
    /// All went back.
    refunded_title;
    /// About when it arrives.
    refunded_text;
    /// Too late.
    expired_title;
    /// What to do.
    expired_text;
    /// Called off.
    cancelled_title;
    /// What to do.
    cancelled_text;

    /// The attempt before was declined.
    note_declined;
    /// The attempt before ran out of time.
    note_timed_out;
    /// The provider did not take the attempt.
    note_unreachable;
    /// The form was too old or came from elsewhere.
    note_stale;
    /// No further attempt is possible.
    note_too_many;

    /// Button; `{amount}`.
    pay;
    /// Button that leads back to the provider.
    resume;
    /// Legend of the choice of providers.
    choose_provider;
    /// Link that loads the page again.
    reload;
    /// Said while the page follows by itself.
    follows;
    /// Said in test mode.
    test_mode;
    /// About the link.
    keep_private;

    /// Telegram's invoice can no longer be paid.
    invoice_over;
    /// It asks for something else than the order does.
    invoice_changed;
    /// Somebody may be paying the order already.
    invoice_under_way;

    /// No page behind the link.
    not_found_title;
    /// What to do.
    not_found_text;
    /// Too many requests.
    busy_title;
    /// What to do.
    busy_text;
    /// Our outage.
    failed_title;
    /// What to do, and what not.
    failed_text;
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::Hy, Self::Ru, Self::En];

    /// Its texts.
    pub fn texts(self) -> &'static Texts {
        match self {
            Self::En => &en::TEXTS,
            Self::Hy => &hy::TEXTS,
            Self::Ru => &ru::TEXTS,
        }
    }

    /// The language of a tag, whatever region it names (`ru-AM`).
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.texts().code))
    }

    /// The first that the payer's browser likes best (RFC 9110, 12.5.4).
    pub fn accepted(header: &str) -> Option<Self> {
        let weighed = header.split(',').take(32).filter_map(|part| {
            let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            let language = Self::of_tag(tag.trim())?;
            (weight > 0.0).then_some((language, weight))
        });
        let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn values(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        parts.filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn no_text_is_missing_in_any_language_and_all_take_the_same_values() {
        let english = Language::En.texts().all();
        assert!(english.len() > 60);
        for language in Language::ALL {
            for ((name, text), (_, in_english)) in language.texts().all().iter().zip(&english) {
                assert!(!text.is_empty(), "{language:?} {name}");
                assert_eq!(values(text), values(in_english), "{language:?} {name}");
            }
        }
    }

    #[test]
    fn every_language_is_written_in_its_own_letters() {
        let of = |text: &str, from: char, to: char| text.chars().any(|c| (from..=to).contains(&c));
        const SIGNS: [&str; 5] = ["code", "thousands", "decimal", "money", "moment"];
        for (name, text) in Language::Hy.texts().all() {
            assert!(
                SIGNS.contains(&name) || of(text, '\u{531}', '\u{58a}'),
                "hy {name}: {text}"
            );
            assert!(!of(text, '\u{400}', '\u{4ff}'), "hy {name}: {text}");
        }
        for (name, text) in Language::Ru.texts().all() {
            assert!(
                SIGNS.contains(&name) || of(text, '\u{400}', '\u{4ff}'),
                "ru {name}: {text}"
            );
            assert!(!of(text, '\u{531}', '\u{58a}'), "ru {name}: {text}");
        }
    }

    #[test]
    fn a_browser_gets_the_language_that_it_likes_best() {
        for (header, wanted) in [
            ("hy-AM,hy;q=0.9,ru;q=0.8,en;q=0.7", Some(Language::Hy)),
            ("de, ru;q=0.4, en-GB;q=0.6", Some(Language::En)),
            ("ru_RU", Some(Language::Ru)),
            ("en;q=0, fr", None),
            ("en;q=x, ru;q=0.1", Some(Language::Ru)),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Language::accepted(header), wanted, "{header}");
        }
        assert_eq!(Language::of_tag("HY"), Some(Language::Hy));
        assert_eq!(Language::of_tag("hyx"), None);
    }
}
