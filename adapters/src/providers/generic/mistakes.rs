//! What may be wrong in a profile. Every mistake is told at once, so that a start fails once.

use domain::ports::InboundMethod;

use super::profile::{Encoding, Profile};

impl Profile {
    /// Every mistake, for the configuration check. A profile with one is never used.
    pub fn mistakes(&self) -> Vec<String> {
        let mut found = vec![];
        self.of_the_methods(&mut found);
        self.of_the_signature(&mut found);
        self.of_the_headers(&mut found);
        self.of_the_fields(&mut found);
        self.of_the_words(&mut found);
        if !(200..=299).contains(&self.accepted_status) {
            found.push("accepted_status must be from 200 to 299".to_owned());
        }
        if self.tolerance_s == 0 || self.tolerance_s > 3600 {
            found.push("tolerance_s must be from 1 to 3600".to_owned());
        }
        if let Some(look_up) = &self.look_up {
            let names_it = look_up.url.contains("{our_reference}")
                || look_up.url.contains("{provider_order_ref}");
            if !names_it {
                found.push(
                    "look_up.url must hold {our_reference} or {provider_order_ref}".to_owned(),
                );
            }
            // What a reference says must never choose the host.
            let host = look_up.url.split('/').nth(2).unwrap_or_default();
            if !look_up.url.contains("://") || host.is_empty() || host.contains('{') {
                found.push("look_up.url must be absolute, with its host written out".to_owned());
            }
        }
        found
    }

    fn of_the_methods(&self, found: &mut Vec<String>) {
        if self.methods.is_empty() {
            found.push("methods names none, so that nothing could ever arrive".to_owned());
        }
        if self.methods.contains(&InboundMethod::Get) && self.signed_parameters.is_none() {
            found.push(
                "methods names GET, which needs signed_parameters: a query string is a form"
                    .to_owned(),
            );
        }
    }

    fn of_the_signature(&self, found: &mut Vec<String>) {
        let ways = [
            self.signed_content.is_some(),
            self.signed_fields.is_some(),
            self.signed_parameters.is_some(),
        ];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            found.push(
                "exactly one of signed_content, signed_fields and signed_parameters must be set"
                    .to_owned(),
            );
        }
        match (&self.signature_header, &self.signature_parameter) {
            (Some(_), None) => {}
            (None, Some(_)) if self.signed_parameters.is_some() => {}
            (None, Some(_)) => found.push("signature_parameter needs signed_parameters".to_owned()),
            (Some(_), Some(_)) | (None, None) => {
                found.push(
                    "exactly one of signature_header and signature_parameter must be set"
                        .to_owned(),
                );
            }
        }
        if self.signature_encoding == Encoding::Utf8 {
            found.push("signature_encoding must be hex or base64: a tag is bytes".to_owned());
        }
        if let Some(content) = &self.signed_content
            && !content.contains("{body}")
        {
            found.push(
                "signed_content must hold {body}: an unsigned body proves nothing".to_owned(),
            );
        }
        if let Some(fields) = &self.signed_fields
            && fields.separator.is_empty()
        {
            found.push(
                "signed_fields.separator is empty, so that nobody can tell where a value ends"
                    .to_owned(),
            );
        }
    }

    fn of_the_headers(&self, found: &mut Vec<String>) {
        let holds = |part: &str| {
            self.signed_content
                .as_ref()
                .is_some_and(|content| content.contains(part))
        };
        if holds("{ts}") != self.timestamp_header.is_some() {
            found.push("timestamp_header and {ts} in signed_content belong together".to_owned());
        }
        if holds("{id}") != self.id_header.is_some() {
            found.push("id_header and {id} in signed_content belong together".to_owned());
        }
        let headers = [
            &self.signature_header,
            &self.timestamp_header,
            &self.id_header,
        ];
        if headers
            .into_iter()
            .flatten()
            .any(|name| name.is_empty() || *name != name.to_ascii_lowercase())
        {
            found.push("header names are written in lower case".to_owned());
        }
    }

    fn of_the_fields(&self, found: &mut Vec<String>) {
        if self.fields.all().any(|pointer| !pointer.starts_with('/')) {
            found.push("fields are JSON pointers and start with /".to_owned());
        }
        if let Some(signed) = &self.signed_fields {
            for pointer in self
                .fields
                .all()
                .filter(|pointer| !signed.pointers.contains(pointer))
            {
                found.push(format!("field {pointer} is not one of signed_fields.pointers, so anybody could change it"));
            }
        }
        if let Some(signed) = &self.signed_parameters {
            let unsigned = |pointer: &&String| {
                let name = pointer.trim_start_matches('/');
                signed
                    .except
                    .iter()
                    .chain(&self.signature_parameter)
                    .any(|unsigned| unsigned == name)
            };
            for pointer in self.fields.all().filter(unsigned) {
                found.push(format!(
                    "field {pointer} is a parameter that is not signed, so anybody could change it"
                ));
            }
        }
    }

    fn of_the_words(&self, found: &mut Vec<String>) {
        if self.statuses.captured.is_empty() {
            found
                .push("statuses.captured names no word, so that nothing could ever pay".to_owned());
        }
        let lists = self.statuses.lists();
        for (index, (name, words, _)) in lists.iter().enumerate() {
            for word in *words {
                let other = lists[index + 1..]
                    .iter()
                    .find(|(_, others, _)| others.contains(word));
                if let Some((other, _, _)) = other {
                    found.push(format!(
                        "{word:?} stands in statuses.{name} and in statuses.{other}"
                    ));
                }
            }
        }
    }
}
