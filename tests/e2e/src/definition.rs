//! Definitions as SDKs record them, and as the program shows them.

use serde_json::Value;

/// Hides what the program hides: the values of headers and of query parameters.
pub fn hide_values(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_values),
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("headers" | "query", Value::Array(pairs)) => {
                        for pair in pairs.iter_mut() {
                            pair[1] = "***".into();
                        }
                    }
                    (_, field) => hide_values(field),
                }
            }
        }
        _ => {}
    }
}
