//! Values for people's eyes.

use serde_json::Value;

/// JSON that fits into a line of this length is not broken up.
const LINE_LENGTH: usize = 100;

/// Text that cannot move the cursor of a terminal or break a table: control characters are escaped.
pub(super) fn text(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        if letter.is_control() {
            shown.extend(letter.escape_default())
        } else {
            shown.push(letter)
        }
        shown
    })
}

/// A time to two digits or so: `350 ms`, `1.2 s`, `34 s`, `3 min`, `5 h`, `12 d`.
pub(super) fn duration(ms: u64) -> String {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..10_000 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        10_000..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => format!("{} min", ms / MINUTE),
        HOUR..DAY => format!("{} h", ms / HOUR),
        DAY.. => format!("{} d", ms / DAY),
    }
}

/// So many things: `1 holder`, `2 holders`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// JSON in as few lines as can be read.
pub(super) fn json(value: &Value) -> String {
    indented(value, 0)
}

fn indented(value: &Value, indent: usize) -> String {
    // What JSON leaves as it is can still steer a terminal.
    let flat = text(&value.to_string());
    if indent + flat.chars().count() <= LINE_LENGTH {
        return flat;
    }
    let (items, open, close): (Vec<String>, _, _) = match value {
        Value::Array(items) => (items.iter().map(|item| indented(item, indent + 2)).collect(), '[', ']'),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", text(&Value::String(name.clone()).to_string()), indented(value, indent + 2))
            };
            (fields.iter().map(field).collect(), '{', '}')
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return flat,
    };
    let margin = " ".repeat(indent);
    format!("{open}\n{margin}  {}\n{margin}{close}", items.join(&format!(",\n{margin}  ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_have_two_digits_or_so() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (1_299, "1.2 s"),
            (34_567, "34 s"),
            (60_000, "1 min"),
            (3_599_999, "59 min"),
            (7_200_000, "2 h"),
            (1_036_800_000, "12 d"),
        ];
        for (ms, shown) in cases {
            assert_eq!(duration(ms), shown);
        }
    }

    #[test]
    fn json_is_broken_up_only_where_it_must_be() {
        assert_eq!(json(&json!({ "a": [1, 2], "b": {} })), r#"{"a":[1,2],"b":{}}"#);
        let long = "x".repeat(90);
        let shown = json(&json!({ "a": [1, 2], "b": [long, { "c": 3 }] }));
        let lines: Vec<&str> = shown.lines().collect();
        let text = format!("    \"{long}\",");
        assert_eq!(lines, ["{", "  \"a\": [1,2],", "  \"b\": [", &text, "    {\"c\":3}", "  ]", "}"]);
        assert_eq!(serde_json::from_str::<Value>(&shown).expect("is JSON")["b"][1]["c"], 3);
    }

    #[test]
    fn text_cannot_steer_a_terminal() {
        assert_eq!(json(&json!("a\u{9b}2J")), "\"a\\u{9b}2J\"");
        assert_eq!(text("plain ü"), "plain ü");
        assert_eq!(text("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
    }
}
