//! A JSON Schema (draft 7) of scenario files, for editors: completion, help, and mistakes while one types.
//!
//! It is made of the tables by which files are read (`read::keys`) and of the words of the types, so that it knows what
//! the reader knows. It takes everything that the reader takes; that a key is missing, or what only the whole file shows,
//! the reader alone tells.

use serde_json::{Map, Value, json};

use super::read::keys::{self, Row, Shape};
use crate::{
    fault::{Effect, QueryEffect},
    scenario::expectation::TOTAL_KEYS,
};

/// A span of time: `1h30m`. Its units come in any order.
const TIME: &str = "^([0-9]+(ms|w|d|h|m|s))+$";

/// The JSON Schema of scenario files, with its lines indented.
///
/// # Panics
/// Never: a schema is made of strings.
pub fn schema() -> String {
    let mut root = table(&keys::SCENARIO);
    let head = [
        ("$schema", "http://json-schema.org/draft-07/schema#"),
        ("title", "A scenario of mxdrill"),
    ];
    for (key, text) in head {
        root[key] = json!(text);
    }
    let text = serde_json::to_string_pretty(&root).expect("a schema is made of strings");
    text + "\n"
}

/// A table with its keys and no others.
fn table(row: &Row) -> Value {
    let properties: Map<String, Value> = row
        .keys
        .iter()
        .map(|key| {
            let mut value = shape(&key.shape);
            value["description"] = json!(key.about);
            (key.name.to_owned(), value)
        })
        .collect();
    // `additionalProperties: false` would forbid as much, but taplo marks the whole table for that, and for a `required`
    // that is missing; for this it marks the value of the key that is too many, and no more.
    let unknown = format!("a key that {} does not have", row.what);
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": { "not": { "description": unknown } },
    })
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text => json!({ "type": "string" }),
        Shape::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Shape::Time => json!({ "type": "string", "pattern": TIME }),
        Shape::Words(words) => json!({ "type": "string", "enum": words() }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Number(least) => json!({ "type": "integer", "minimum": least }),
        Shape::Between([least, most]) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Fraction => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        Shape::Many(one) => json!({ "type": "array", "items": shape(one) }),
        Shape::OneOrMany(one) => {
            json!({ "anyOf": [shape(one), { "type": "array", "items": shape(one) }] })
        }
        Shape::Any(some) => json!({ "anyOf": some.iter().map(shape).collect::<Vec<_>>() }),
        Shape::Table(row) => table(row),
        Shape::Map(values) => json!({ "type": "object", "additionalProperties": shape(values) }),
        Shape::Expect => expect(),
        Shape::Effect => effect(),
    }
}

/// Totals by their names; any other key is the id of a message.
fn expect() -> Value {
    let shares = Shape::Many(&Shape::Table(&keys::SHARE));
    let totals = TOTAL_KEYS.map(|total| {
        let value = match total {
            "first_attempts" => shape(&shares),
            _ => shape(&keys::BOUNDS),
        };
        (total.to_owned(), value)
    });
    json!({
        "type": "object",
        "properties": Map::from_iter(totals),
        "additionalProperties": table(&keys::EXPECTED),
    })
}

/// A word, or what carries a time, a text or a reply; several lines of a reply are an array.
fn effect() -> Value {
    let mut words = [
        keys::names(&Effect::WORDS),
        keys::names(&QueryEffect::WORDS),
    ]
    .concat();
    words.sort_unstable();
    words.dedup();
    json!({ "anyOf": [
        { "type": "string", "enum": words },
        { "type": "string", "pattern": "^(delay |inject |[2-5][0-9]{2})" },
        { "type": "array", "items": { "type": "string" } },
    ] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Stage;

    #[test]
    fn there_is_a_time_out_for_each_stage() {
        assert_eq!(keys::TIMEOUTS.names(), Stage::ALL.map(Stage::word));
    }
}
