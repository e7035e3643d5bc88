//! Values for a schema that are worth trying: the edges of ranges, every choice, the defaults,
//! texts that break careless programs. Everything is filtered by the schema itself, so what is
//! left is what a user may send.

use fastrand::Rng;
use serde_json::{Map, Number, Value, json};

use super::lint::within;

/// Schemas inside one another that are followed.
const DEEPEST: usize = 6;
/// Longest text that is tried: as long as a form's texts may be.
const LONGEST_TEXT: u64 = 4096;
/// Most items that are tried.
const MOST_ITEMS: u64 = 32;

/// Texts that break programs which paste, split or measure them.
const ODD_TEXTS: &[&str] = &[
    "",
    "a",
    " ",
    "0",
    "null",
    "on",
    "x=y",
    "a b",
    "ü",
    "\u{1F680}",
    "a\"b'c",
    "$(reboot)",
    "{{x}}",
    "# no comment",
    "- a\n- b",
    "%s\\n",
];

/// Every value worth trying, without those that the schema refuses.
pub(crate) fn interesting(schema: &Value, root: &Value) -> Vec<Value> {
    let mut values = collect(schema, root, 0);
    if let Ok(validator) = within(root, schema) {
        values.retain(|value| validator.is_valid(value));
    }
    let mut kept: Vec<Value> = Vec::with_capacity(values.len());
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

/// A value for a random job: mostly an interesting one, sometimes any number in range.
pub(crate) fn random(schema: &Value, root: &Value, known: &[Value], rng: &mut Rng) -> Value {
    if rng.u8(0..4) == 0
        && let Some(number) = random_number(schema, rng)
        && within(root, schema).is_ok_and(|validator| validator.is_valid(&number))
    {
        return number;
    }
    rng.choice(known).cloned().unwrap_or(Value::Null)
}

fn random_number(schema: &Value, rng: &mut Rng) -> Option<Value> {
    let kind = schema.get("type").and_then(Value::as_str)?;
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum")).unwrap_or(0.0);
    let most = bound("maximum").or(bound("exclusiveMaximum")).unwrap_or(least + 1000.0);
    let value = least + rng.f64() * (most - least);
    match kind {
        "number" => Number::from_f64(value).map(Value::Number),
        "integer" => Number::from_f64(value.round()).map(|number| as_integer(&number)),
        _ => None,
    }
}

/// `3.0` as `3`: what a user would write.
fn as_integer(number: &Number) -> Value {
    let text = format!("{:.0}", number.as_f64().unwrap_or_default());
    text.parse::<i64>().map_or_else(|_| Value::Number(number.clone()), Value::from)
}

fn collect(schema: &Value, root: &Value, depth: usize) -> Vec<Value> {
    let Value::Object(members) = schema else { return vec![Value::Null] };
    if depth > DEEPEST {
        return Vec::new();
    }
    let mut values = Vec::new();
    values.extend(members.get("default").cloned());
    values.extend(members.get("const").cloned());
    for word in ["enum", "examples"] {
        values.extend(members.get(word).and_then(Value::as_array).into_iter().flatten().cloned());
    }
    if let Some(target) = members
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer))
    {
        values.extend(collect(target, root, depth + 1));
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for inner in members.get(word).and_then(Value::as_array).into_iter().flatten() {
            values.extend(collect(inner, root, depth + 1));
        }
    }
    let kinds: Vec<&str> = match members.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        // No type and nothing else: anything goes.
        _ if values.is_empty() => vec!["null", "boolean", "integer", "string", "array", "object"],
        _ => Vec::new(),
    };
    for kind in kinds {
        match kind {
            "null" => values.push(Value::Null),
            "boolean" => values.extend([json!(true), json!(false)]),
            "integer" => values.extend(integers(members)),
            "number" => values.extend(numbers(members)),
            "string" => values.extend(texts(members)),
            "array" => values.extend(arrays(members, root, depth)),
            "object" => values.extend(objects(members, root, depth)),
            _ => {}
        }
    }
    values
}

fn integers(schema: &Map<String, Value>) -> Vec<Value> {
    let edge = |word: &str| schema.get(word).and_then(Value::as_i64);
    let mut values = vec![0, 1, -1, 2];
    for word in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"] {
        if let Some(edge) = edge(word) {
            values.extend([edge, edge.saturating_add(1), edge.saturating_sub(1)]);
        }
    }
    // Without a bound any number a JSON reader takes is fair.
    values.extend([i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]);
    if let Some(step) = edge("multipleOf") {
        values.extend([step, step.saturating_mul(2)]);
    }
    values.into_iter().map(Value::from).collect()
}

fn numbers(schema: &Map<String, Value>) -> Vec<Value> {
    let edge = |word: &str| schema.get(word).and_then(Value::as_f64);
    let mut values = vec![0.0, 1.0, -1.0, 0.5, 0.1, 1e-7, 1e300, -1e300];
    for word in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"] {
        if let Some(edge) = edge(word) {
            let near = edge.abs().max(1.0) * 1e-9;
            values.extend([edge, edge + near, edge - near]);
        }
    }
    if let Some(step) = edge("multipleOf") {
        values.extend([step, step * 2.0]);
    }
    values.into_iter().filter_map(Number::from_f64).map(Value::Number).collect()
}

fn texts(schema: &Map<String, Value>) -> Vec<Value> {
    let length = |word: &str| schema.get(word).and_then(Value::as_u64);
    let mut values: Vec<Value> = ODD_TEXTS.iter().map(|text| json!(text)).collect();
    let longest = length("maxLength").unwrap_or(LONGEST_TEXT).min(LONGEST_TEXT);
    for wanted in [length("minLength").unwrap_or(0), longest] {
        values.push(json!("a".repeat(usize::try_from(wanted).unwrap_or(0))));
    }
    values
}

fn arrays(schema: &Map<String, Value>, root: &Value, depth: usize) -> Vec<Value> {
    let any = json!({"type": "string"});
    let items = collect(schema.get("items").unwrap_or(&any), root, depth + 1);
    let length = |word: &str| schema.get(word).and_then(Value::as_u64);
    let most = length("maxItems").unwrap_or(MOST_ITEMS).min(MOST_ITEMS);
    let mut values = vec![json!([])];
    values.extend(items.iter().map(|item| json!([item])));
    for wanted in [length("minItems").unwrap_or(0), most] {
        let wanted = usize::try_from(wanted).unwrap_or(0);
        values.push(items.iter().take(wanted).cloned().collect());
        values.push(items.iter().cycle().take(wanted).cloned().collect());
    }
    values
}

fn objects(schema: &Map<String, Value>, root: &Value, depth: usize) -> Vec<Value> {
    let mut values = vec![json!({})];
    let mut full = Map::new();
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let each = interesting_inside(inner, root, depth);
        if let Some(first) = each.first() {
            full.insert(name.clone(), first.clone());
        }
    }
    if full.is_empty() && schema.get("additionalProperties") != Some(&json!(false)) {
        full.insert("key".to_owned(), json!("value"));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, inner) in properties.into_iter().flatten() {
        for value in interesting_inside(inner, root, depth) {
            let mut object = full.clone();
            object.insert(name.clone(), value);
            values.push(Value::Object(object));
        }
    }
    values.push(Value::Object(full));
    values
}

fn interesting_inside(schema: &Value, root: &Value, depth: usize) -> Vec<Value> {
    let mut values = collect(schema, root, depth + 1);
    if let Ok(validator) = within(root, schema) {
        values.retain(|value| validator.is_valid(value));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: Value) -> Vec<Value> {
        interesting(&schema, &schema)
    }

    #[test]
    fn edges_and_choices_are_tried_and_nothing_that_is_refused() {
        let ranged = of(json!({"type": "integer", "minimum": 3, "maximum": 9}));
        for edge in [3, 4, 8, 9] {
            assert!(ranged.contains(&json!(edge)), "{ranged:?}");
        }
        assert!(!ranged.contains(&json!(2)) && !ranged.contains(&json!(10)), "{ranged:?}");
        assert_eq!(of(json!({"enum": ["x", "y", null]})), [json!("x"), json!("y"), json!(null)]);
        let open = of(json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}));
        assert!(!open.contains(&json!(0.0)) && open.contains(&json!(1.0)), "{open:?}");
    }

    #[test]
    fn lists_objects_and_references_are_filled() {
        let schema = json!({
            "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/X"},
            "$defs": {"X": {"type": "object", "required": ["a"], "properties": {"a": {"enum": [1, 2]}}}},
        });
        let values = of(schema);
        assert!(values.contains(&json!([{"a": 1}])) && values.contains(&json!([{"a": 2}])));
        assert!(!values.contains(&json!([])));
    }

    #[test]
    fn random_values_pass_their_schema_and_repeat_with_their_seed() {
        let schema = json!({"type": "integer", "minimum": 10, "maximum": 20});
        let known = of(schema.clone());
        let draw = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..50).map(|_| random(&schema, &schema, &known, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|value| (10..=20).contains(&value.as_i64().unwrap())));
    }
}
