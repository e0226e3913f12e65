//! What a profile's signature covers, byte for byte, and how a message is read.

use std::collections::BTreeMap;

use domain::ports::{InboundRequest, NotUnderstood, Rejected};
use serde_json::Value;

use super::super::pointer::text;
use super::profile::{Profile, SignedFields, SignedParameters};

/// The text of the signature.
pub(super) fn signature(profile: &Profile, request: &InboundRequest) -> Result<String, Rejected> {
    if let Some(name) = &profile.signature_header {
        return request
            .header(name)
            .map(str::to_owned)
            .ok_or(Rejected::MissingSignature);
    }
    match (&profile.signature_parameter, &profile.signed_parameters) {
        (Some(name), Some(_)) => parameters(request)?
            .remove(name)
            .ok_or(Rejected::MissingSignature),
        // `Profile::mistakes` names it; nothing is authentic under such a profile.
        (Some(_), None) | (None, _) => Err(Rejected::Malformed),
    }
}

/// The bytes that the signature covers.
pub(super) fn signed(profile: &Profile, request: &InboundRequest) -> Result<Vec<u8>, Rejected> {
    match (
        &profile.signed_content,
        &profile.signed_fields,
        &profile.signed_parameters,
    ) {
        (Some(template), None, None) => from_template(profile, template, request),
        (None, Some(fields), None) => from_fields(fields, request),
        (None, None, Some(signed)) => from_parameters(profile, signed, request),
        // `Profile::mistakes` names it; nothing is authentic under such a profile.
        (None, None, None)
        | (Some(_), Some(_), _)
        | (Some(_), _, Some(_))
        | (_, Some(_), Some(_)) => Err(Rejected::Malformed),
    }
}

/// What equal notifications share. A signed time differs with every try of the same notification,
/// so it is left out; everything that is read is in.
pub(super) fn identity(profile: &Profile, request: &InboundRequest, content: Vec<u8>) -> Vec<u8> {
    if profile.signed_content.is_none() {
        return content;
    }
    let id = profile
        .id_header
        .as_ref()
        .and_then(|name| request.header(name))
        .unwrap_or_default();
    [id.as_bytes(), b".", request.message()].concat()
}

/// The message as JSON; parameters become an object of texts.
pub(super) fn read(profile: &Profile, request: &InboundRequest) -> Result<Value, NotUnderstood> {
    if profile.signed_parameters.is_none() {
        return serde_json::from_slice(request.message()).map_err(|_| NotUnderstood {
            why: "the body is no JSON",
        });
    }
    let parameters = parameters(request).map_err(|_| NotUnderstood {
        why: "a parameter stands twice",
    })?;
    Ok(parameters
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect())
}

/// The template with its parts put in. Braces of the parts themselves are left alone.
fn from_template(
    profile: &Profile,
    template: &str,
    request: &InboundRequest,
) -> Result<Vec<u8>, Rejected> {
    let part = |header: &Option<String>| match header {
        None => Ok(String::new()),
        Some(name) => request
            .header(name)
            .map(str::to_owned)
            .ok_or(Rejected::MissingSignature),
    };
    let (time, id) = (part(&profile.timestamp_header)?, part(&profile.id_header)?);
    let parts: [(&str, &[u8]); 3] = [
        ("{body}", request.message()),
        ("{ts}", time.as_bytes()),
        ("{id}", id.as_bytes()),
    ];
    let mut content = Vec::with_capacity(request.message().len() + 64);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        content.extend_from_slice(&rest.as_bytes()[..open]);
        rest = &rest[open..];
        let found = parts.iter().find(|(name, _)| rest.starts_with(name));
        let (width, value) =
            found.map_or((1, b"{".as_slice()), |(name, value)| (name.len(), value));
        content.extend_from_slice(value);
        rest = &rest[width..];
    }
    content.extend_from_slice(rest.as_bytes());
    Ok(content)
}

fn from_fields(signed: &SignedFields, request: &InboundRequest) -> Result<Vec<u8>, Rejected> {
    let body: Value = serde_json::from_slice(request.message()).map_err(|_| Rejected::Malformed)?;
    let mut values = vec![];
    for pointer in &signed.pointers {
        let value = match body.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                text(&body, pointer).ok_or(Rejected::Malformed)?
            }
        };
        if value.contains(&signed.separator) {
            return Err(Rejected::Malformed);
        }
        values.push(value);
    }
    Ok(values.join(&signed.separator).into_bytes())
}

fn from_parameters(
    profile: &Profile,
    signed: &SignedParameters,
    request: &InboundRequest,
) -> Result<Vec<u8>, Rejected> {
    let mut content = String::new();
    for (name, value) in parameters(request)? {
        let unsigned =
            signed.except.contains(&name) || profile.signature_parameter.as_ref() == Some(&name);
        if unsigned {
            continue;
        }
        // Without this, `a=1;b;2` and `a=1`, `b=2` would be one text.
        if name.contains(';') || value.contains(';') {
            return Err(Rejected::Malformed);
        }
        content.extend([name.as_str(), ";", value.as_str(), ";"]);
    }
    Ok(content.into_bytes())
}

/// The parameters of the message by name, in the encoding of forms. One that stands twice is refused: two readers could take two of them.
fn parameters(request: &InboundRequest) -> Result<BTreeMap<String, String>, Rejected> {
    let mut found = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(request.message()) {
        if found
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return Err(Rejected::Malformed);
        }
    }
    Ok(found)
}
