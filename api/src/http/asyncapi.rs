//! The AsyncAPI 3.0 document of what subscribers are sent, made from the one list of events.

use domain::outbound::{EventName, schema};
use serde_json::{Map, Value, json};

/// The document. Its schemas are complete, so that no reader has to fetch them.
pub fn document() -> Value {
    let (mut messages, mut schemas, mut carried) = (Map::new(), Map::new(), Map::new());
    for name in EventName::ALL.iter().copied() {
        let who = match (name, name.ordinary()) {
            (EventName::DeliveryTest, _) => "Only the subscriber that is tested gets it.",
            (_, true) => "Every subscriber gets it, unless it names others.",
            (_, false) => "Only subscribers that name it get it.",
        };
        let message = json!({
            "name": name.as_str(),
            "title": name.ce_type(),
            "description": who,
            "contentType": "application/cloudevents+json",
            "headers": { "$ref": "#/components/schemas/headers" },
            "payload": { "$ref": format!("#/components/schemas/{}", name.as_str()) }
        });
        messages.insert(name.as_str().to_owned(), message);
        schemas.insert(name.as_str().to_owned(), schema::schema(name));
        let reference = format!("#/components/messages/{}", name.as_str());
        carried.insert(name.as_str().to_owned(), json!({ "$ref": reference }));
    }
    schemas.insert("headers".to_owned(), headers());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Counterfoil deliveries",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "CloudEvents 1.0 in structured JSON mode, signed by Standard Webhooks, at least once, in order per subject.",
            "license": { "name": "Apache-2.0" }
        },
        "channels": { "deliveries": {
            "address": null,
            "description": "The URL that the subscriber was added with. Any 2xx is an arrival.",
            "messages": carried
        } },
        "operations": { "deliver": { "action": "send", "channel": { "$ref": "#/channels/deliveries" } } },
        "components": { "messages": messages, "schemas": schemas }
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
        "properties": {
            "webhook-id": text("The delivery: equal for every try. Drop what you have seen."),
            "webhook-timestamp": text("Seconds since 1970 of this try. Refuse what is more than five minutes off."),
            "webhook-signature": text("Signatures, separated by spaces: v1,<base64> and v1a,<base64>. One that holds is enough."),
            "counterfoil-attempt": text("Which try of this generation."),
            "counterfoil-generation": text("1, and one more after each redrive."),
            "traceparent": text("W3C trace context.")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let references: Vec<&str> = text
            .split("\"$ref\":\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(references.len() > EventName::ALL.len());
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
