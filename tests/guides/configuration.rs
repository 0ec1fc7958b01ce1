//! docs/administrator.md: the table of the configuration.

use orthanc_ai::config::Config;
use serde_json::{Map, Value, json};

use super::{cells, code, document};

/// `value` at `path` ("Rules[].Name") within the section.
fn section(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, key| match key.strip_suffix("[]") {
        Some(key) => json!({ key: [inner] }),
        None => json!({ key: inner }),
    })
}

fn read(section: &Value) -> Result<Config, String> {
    Config::from_orthanc(&json!({ "Ai": section })).map_err(|e| e.to_string())
}

/// Every key of the section, as the parser lists them where it finds an unknown one: "Runs.Node", "Rules[].Name".
fn known_keys() -> Vec<String> {
    let mut keys = Vec::new();
    let mut sections = vec![String::new()];
    while let Some(at) = sections.pop() {
        let path = if at.is_empty() { "?".to_owned() } else { format!("{at}.?") };
        let error = read(&section(&path, json!(0))).unwrap_err();
        let Some((_, expected)) = error.split_once("unknown field `?`, expected ") else {
            assert!(!at.is_empty(), "{error}");
            // A single value, or a list of single values.
            keys.push(at.trim_end_matches("[]").to_owned());
            continue;
        };
        if !at.is_empty() {
            keys.extend(at.strip_suffix("[]").map(str::to_owned));
        }
        for key in code(expected) {
            let key = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
            let is_list = ["Rules"].contains(&key.as_str());
            sections.push(if is_list { format!("{key}[]") } else { key });
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

struct Row {
    key: String,
    default: String,
}

fn rows() -> Vec<Row> {
    let guide = document("docs/administrator.md");
    let (_, rest) = guide.split_once("\n## Configuration\n").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let rows = table.lines().map(cells).filter(|c| c.len() == 4 && c[0].starts_with('`'));
    rows.map(|c| Row { key: code(c[0])[0].to_owned(), default: c[2].to_owned() }).collect()
}

#[test]
fn every_key_of_the_configuration_is_in_the_guide() {
    let (known, rows) = (known_keys(), rows());
    for key in ["Enable", "Limits.MemoryMegabytes", "Rules", "Rules[].QuietHours.From", "Runs.Node", "Marks.Metadata"] {
        assert!(known.iter().any(|k| k == key), "the parser does not list {key}: {known:?}");
    }
    for key in &known {
        assert!(rows.iter().any(|r| r.key == *key), "docs/administrator.md has no row for {key}");
    }
    for row in &rows {
        let is_section = known.iter().any(|k| k.starts_with(&format!("{}.", row.key)));
        assert!(known.contains(&row.key) || is_section, "docs/administrator.md: there is no key {}", row.key);
    }
}

/// A section with this default written out is the section without it.
#[test]
fn defaults_are_those_of_the_guide() {
    let mut checked = 0;
    for Row { key, default } in rows() {
        let Some(default) = code(&default).first().and_then(|d| serde_json::from_str::<Value>(d).ok()) else {
            assert!(!default.contains('`'), "{key}: {default} is no JSON");
            continue;
        };
        // What a rule has to have, and nothing else.
        let rule = json!({"Name": "a", "Model": "m", "Where": [{"keyword": "Modality", "exists": true}]});
        let with = match key.strip_prefix("Rules[].") {
            Some("Where") => json!({"Rules": [{"Name": "a", "Model": "m", "Where": default}]}),
            Some(key) => {
                let mut rule = rule.as_object().unwrap().clone();
                rule.insert(key.into(), default);
                json!({ "Rules": [rule] })
            }
            None => section(&key, default),
        };
        let without = match key.strip_prefix("Rules[].") {
            Some("Where") => json!({"Rules": [{"Name": "a", "Model": "m"}]}),
            Some(_) => json!({ "Rules": [rule] }),
            None => Value::Object(Map::new()),
        };
        let [with, without] = [with, without].map(|section| format!("{:?}", read(&section).unwrap()));
        assert_eq!(with, without, "{key}");
        checked += 1;
    }
    assert!(checked > 20, "{checked} defaults were compared");
}
