//! The OpenAPI 3.1 document and the reference page, both made from the table of routes.

use serde_json::{Map, Value, json};

use super::ops::{Access, Op, Spec};
use super::problem::CODES;
use super::schemas::schemas;

/// The document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for op in Op::ALL {
        let spec = op.spec();
        let path = paths
            .entry(spec.path.to_owned())
            .or_insert_with(|| json!({}));
        path[spec.method.to_ascii_lowercase()] = operation(&spec);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Counterfoil",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The one place that decides whether an order is paid.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "cf_<env>_<key id>_<secret>_<crc32>, cfs_... of a session" }
            },
            "schemas": schemas()
        }
    })
}

fn operation(spec: &Spec) -> Value {
    let mut parameters: Vec<Value> = path_parameters(spec.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if spec.keyed {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "New for each command, equal for each repeat of it.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 }
        }));
    }
    let content = |schema: &str| json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    let mut success = json!({ "description": spec.summary });
    if spec.access == Access::Link && spec.success == 200 {
        success["content"] = json!({ "text/html": { "schema": { "type": "string" } } });
    }
    if !spec.answer.is_empty() {
        success["content"] = content(spec.answer);
    }
    if spec.id == "pullEvents" {
        let event = json!({ "type": "object", "description": "A CloudEvent; its schema is named by its dataschema." });
        success["content"]["application/cloudevents-batch+json"] =
            json!({ "schema": { "type": "array", "items": event } });
    }
    let mut operation = json!({
        "operationId": spec.id,
        "tags": [spec.group],
        "summary": spec.summary,
        "parameters": parameters,
        "responses": {
            spec.success.to_string(): success,
            "default": {
                "description": "A problem (RFC 9457).",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            }
        }
    });
    if !spec.body.is_empty() {
        operation["requestBody"] = json!({ "required": spec.body != "Cancel" && spec.body != "NewAttempt", "content": content(spec.body) });
    }
    operation["security"] = match spec.access {
        Access::Scope(scope) | Access::Person(scope) => json!([{ "bearer": [scope.as_str()] }]),
        Access::Session => json!([{ "bearer": [] }]),
        Access::Public | Access::Provider | Access::Link | Access::Credentials => json!([]),
    };
    operation
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// `docs/reference/api.md`, as it must be.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# API reference\n\nReference, generated from the table of routes; a test holds the two equal.\n\
         Bodies and answers are JSON with the schemas of `/openapi.json`.\n\
         Every error is a problem with a code of the [error reference](errors.md).\n",
    );
    for group in Op::groups() {
        page.push_str(&format!(
            "\n## {group}\n\n| route | needs | body | answer | does |\n|---|---|---|---|---|\n"
        ));
        let specs = Op::ALL.iter().map(|op| op.spec());
        for spec in specs.filter(|spec| spec.group == group) {
            page.push_str(&reference_row(&spec));
        }
    }
    page
}

fn reference_row(spec: &Spec) -> String {
    let needs = match spec.access {
        Access::Public => "nothing".to_owned(),
        Access::Provider => "the provider's signature".to_owned(),
        Access::Link => "the link".to_owned(),
        Access::Credentials => "the person's password".to_owned(),
        Access::Session => "a session".to_owned(),
        Access::Scope(scope) => format!("scope `{}`", scope.as_str()),
        Access::Person(scope) => format!("a person with scope `{}`", scope.as_str()),
    };
    let key = if spec.keyed {
        ", `Idempotency-Key`"
    } else {
        ""
    };
    let name = |name: &str| {
        if name.is_empty() {
            "-".to_owned()
        } else {
            format!("`{name}`")
        }
    };
    format!(
        "| `{} {}` | {needs}{key} | {} | {} {} | {} |\n",
        spec.method,
        spec.path,
        name(spec.body),
        spec.success,
        name(spec.answer),
        spec.summary
    )
}

/// `docs/reference/errors.md`, as it must be.
pub fn errors_page() -> String {
    let mut page = String::from(
        "# Errors\n\nReference, generated from the table of problems; a test holds the two equal.\n\
         Every error answer is `application/problem+json` (RFC 9457) with the member `code`.\n\
         Nothing was changed, unless the text says that the outcome is unknown; then repeating with the same \
         `Idempotency-Key` is safe.\n\n| code | status | title | what to do |\n|---|---|---|---|\n",
    );
    for code in CODES {
        let row = format!(
            "| `{}` | {} | {} | {} |\n",
            code.code, code.status, code.title, code.advice
        );
        page.push_str(&row);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_named_exists() {
        let document = document();
        let known = &document["components"]["schemas"];
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(known.get(name).is_some(), "{name}");
        }
        for op in Op::ALL {
            let spec = op.spec();
            let method = spec.method.to_ascii_lowercase();
            assert_eq!(document["paths"][spec.path][method]["operationId"], spec.id);
        }
    }

    #[test]
    fn path_parameters_are_found_in_order() {
        let names: Vec<_> = path_parameters("/v1/{a}/x/{b}").collect();
        assert_eq!(names, ["a", "b"]);
    }
}
