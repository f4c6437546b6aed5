//! Whether what Loupe prints as JSON fits its schema in `docs/schemas`. Knows the keywords that are used
//! there and no other: an unknown one is a failure, so that nothing is waved through.
//!
//! It is stricter than JSON Schema in one thing: where a schema lists properties, others are refused, for
//! what is printed must not have more than what is told.

use std::path::PathBuf;

use serde_json::{Map, Value};

/// Says nothing of what a value may be.
const ABOUT: [&str; 8] = [
    "$schema",
    "$defs",
    "$id",
    "title",
    "description",
    "default",
    "format",
    "writeOnly",
];

/// Where the schema of a document is, by what the document says of itself (`loupe.gap/1`).
fn file(name: &str) -> PathBuf {
    let name = name.replace('/', "-");
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas"))
        .join(format!("{name}.json"))
}

/// # Panics
/// If it says what it is and is not that.
#[track_caller]
pub fn assert_fits(document: &Value) {
    let Some(name) = document["schema"].as_str() else {
        return;
    };
    // The page's own data is no output.
    if !name.starts_with("loupe.") || name == "loupe.page/1" {
        return;
    }
    let path = file(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{name} has no schema ({}: {error})", path.display()));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    if let Err(what) = is_just(document, &schema, &schema, "") {
        panic!("it is no {name}: {what}\n{document:#}");
    }
}

/// Whether it fits and has nothing more than is told. What does not fit, and where.
fn is_just(value: &Value, schema: &Value, whole: &Value, at: &str) -> Result<(), String> {
    fits(value, schema, whole, at)?;
    let more = value
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .find(|name| !is_told(name, value, schema, whole));
    match more {
        Some(name) => Err(format!("{at}/{name} is not in the schema")),
        None => Ok(()),
    }
}

/// Whether a schema, or one of those that it is made of and that the value fits, speaks of a member.
fn is_told(name: &str, value: &Value, schema: &Value, whole: &Value) -> bool {
    let Value::Object(rules) = schema else {
        // `true`: anything goes.
        return true;
    };
    let here = rules.contains_key("additionalProperties")
        || rules
            .get("properties")
            .is_some_and(|known| known.get(name).is_some());
    let referred = rules
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|rule| whole.pointer(rule.strip_prefix('#')?));
    let parts = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|key| rules.get(*key))
        .flat_map(list);
    here || parts
        .chain(referred)
        .any(|part| fits(value, part, whole, "").is_ok() && is_told(name, value, part, whole))
}

/// Whether it breaks no rule; it may have members that no rule is about.
fn fits(value: &Value, schema: &Value, whole: &Value, at: &str) -> Result<(), String> {
    let rules = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Object(rules) => rules,
        other => return Err(format!("{at}: {other} is no schema")),
    };
    for (key, rule) in rules {
        let good = match key.as_str() {
            about if ABOUT.contains(&about) => true,
            "$ref" => {
                let pointer = rule.as_str().and_then(|rule| rule.strip_prefix('#'));
                let target = pointer.and_then(|pointer| whole.pointer(pointer));
                let target = target.ok_or_else(|| format!("{at}: {rule} leads nowhere"))?;
                fits(value, target, whole, at)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_a(value, one)),
                one => is_a(value, one),
            },
            "const" => value == rule,
            "enum" => list(rule).contains(value),
            "minimum" => value.as_f64() >= rule.as_f64() || !value.is_number(),
            "maximum" => value.as_f64() <= rule.as_f64() || !value.is_number(),
            "anyOf" | "oneOf" => {
                let tried = list(rule).iter().map(|one| fits(value, one, whole, at));
                let tried: Vec<String> = tried.filter_map(Result::err).collect();
                if tried.len() == list(rule).len() {
                    return Err(format!("{at}: none of: {}", tried.join(" | ")));
                }
                true
            }
            "allOf" => {
                for one in list(rule) {
                    fits(value, one, whole, at)?;
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    if index
                        >= rules
                            .get("prefixItems")
                            .map_or(0, |fixed| list(fixed).len())
                    {
                        is_just(item, rule, whole, &format!("{at}/{index}"))?;
                    }
                }
                true
            }
            "prefixItems" => {
                let items = value.as_array().into_iter().flatten();
                for (index, (item, rule)) in items.zip(list(rule)).enumerate() {
                    is_just(item, rule, whole, &format!("{at}/{index}"))?;
                }
                true
            }
            "uniqueItems" => {
                let items: Vec<&Value> = value.as_array().into_iter().flatten().collect();
                let mut pairs = items.iter().enumerate();
                pairs.all(|(index, item)| !items[..index].contains(item))
            }
            "minItems" => {
                value.as_array().map(|items| items.len() as u64) >= rule.as_u64()
                    || !value.is_array()
            }
            "maxItems" => {
                value.as_array().map(|items| items.len() as u64) <= rule.as_u64()
                    || !value.is_array()
            }
            "required" => {
                let missing = list(rule)
                    .iter()
                    .filter_map(Value::as_str)
                    .find(|name| value.get(name).is_none());
                if let (Some(missing), true) = (missing, value.is_object()) {
                    return Err(format!("{at}: `{missing}` is missing"));
                }
                true
            }
            "properties" | "additionalProperties" => {
                if let Some(object) = value.as_object() {
                    members(object, rules, whole, at)?;
                }
                true
            }
            unknown => return Err(format!("{at}: the keyword `{unknown}` is not known here")),
        };
        if !good {
            return Err(format!("{at}: {value} breaks {key}: {rule}"));
        }
    }
    Ok(())
}

/// Each member by its rule, and others by the one for others.
fn members(
    object: &Map<String, Value>,
    rules: &Map<String, Value>,
    whole: &Value,
    at: &str,
) -> Result<(), String> {
    for (name, member) in object {
        let here = format!("{at}/{name}");
        let known = rules.get("properties").and_then(|known| known.get(name));
        match (known, rules.get("additionalProperties")) {
            (None, Some(Value::Bool(false))) => return Err(format!("{here} is not in the schema")),
            (Some(rule), _) | (None, Some(rule)) => is_just(member, rule, whole, &here)?,
            (None, None) => {}
        }
    }
    Ok(())
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().map_or(&[], Vec::as_slice)
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_fits_and_each_kind_of_misfit_is_told() {
        let schema = json!({
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": { "$ref": "#/$defs/number" },
                "b": { "type": ["string", "null"] },
                "c": { "type": "array", "items": { "enum": ["x", "y"] } },
                "d": { "type": "object", "additionalProperties": { "type": "boolean" } },
                "e": { "anyOf": [{ "const": 1 }, { "type": "string" }] },
            },
            "$defs": { "number": { "type": "integer", "minimum": 0 } },
        });
        let says = |value: Value| is_just(&value, &schema, &schema, "").err();
        assert_eq!(
            says(json!({ "a": 3, "b": null, "c": ["x"], "d": { "z": true }, "e": "t" })),
            None
        );
        for (value, wrong) in [
            (json!({}), "`a` is missing"),
            (json!({ "a": -1 }), "/a: -1 breaks minimum"),
            (json!({ "a": "1" }), "breaks type"),
            (json!({ "a": 1, "b": 2 }), "/b: 2 breaks type"),
            (json!({ "a": 1, "c": ["z"] }), "/c/0: \"z\" breaks enum"),
            (json!({ "a": 1, "d": { "z": 1 } }), "/d/z: 1 breaks type"),
            (json!({ "a": 1, "e": 2 }), "/e: none of"),
            (json!({ "a": 1, "more": 2 }), "/more is not in the schema"),
        ] {
            let told = says(value.clone()).unwrap_or_default();
            assert!(told.contains(wrong), "{value}: {told}");
        }
        // Of several shapes that are put together, and one of some.
        let joined = json!({
            "properties": { "a": true },
            "oneOf": [
                { "properties": { "is": { "const": "b" } }, "$ref": "#/$defs/b", "required": ["is"] },
                { "properties": { "is": { "const": "c" } }, "required": ["is"] },
            ],
            "$defs": { "b": { "properties": { "b": { "type": "integer" } } } },
        });
        let says = |value: Value| is_just(&value, &joined, &joined, "").err();
        assert_eq!(says(json!({ "a": 1, "is": "b", "b": 2 })), None);
        assert_eq!(says(json!({ "a": 1, "is": "c" })), None);
        for wrong in [
            json!({ "is": "c", "b": 2 }),
            json!({ "is": "b", "b": "2" }),
            json!({ "is": "b", "c": 2 }),
            json!({ "a": 1 }),
        ] {
            assert!(says(wrong.clone()).is_some(), "{wrong}");
        }
        let odd = json!({ "pattern": "x" });
        assert!(
            fits(&json!(1), &odd, &odd, "").is_err(),
            "an unknown keyword"
        );
    }
}
