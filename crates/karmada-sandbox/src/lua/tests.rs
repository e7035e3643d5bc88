//! Scripts of interpreters: what they can use, what they give back, and how they are stopped.

use serde_json::{Value, json};

use super::{call, compile};

fn one(script: &str, argument: &Value) -> Result<Value, String> {
    call(script, "F", &[argument])
}

#[test]
fn values_come_back_as_they_went() {
    let object = json!({
        "number": 3, "fraction": 0.5, "large": 1_700_000_000_000_i64, "text": "ä\n\"",
        "yes": true, "list": [1, {"a": "b"}], "nested": {"a": {"b": [[2]]}},
    });
    assert_eq!(one("function F(o) return o end", &object).unwrap(), object);
}

#[test]
fn empty_tables_are_what_an_argument_has_in_their_place() {
    let object = json!({
        "labels": {}, "items": [], "deep": [{"emptyDir": {}, "args": []}, {"emptyDir": {}}],
    });
    assert_eq!(one("function F(o) return o end", &object).unwrap(), object);
    // What no argument has there is dropped, as a script that was careless would find out.
    let made = one("function F(o) return {kept = 1, made = {}} end", &object).unwrap();
    assert_eq!(made, json!({"kept": 1}));
    // A list that a script empties is known to none of them either.
    let full = json!({"items": [1], "kept": 1});
    let made = one("function F(o) o.items = {} return o end", &full).unwrap();
    assert_eq!(made, json!({"kept": 1}));
}

#[test]
fn scripts_that_fail_say_why() {
    let null = Value::Null;
    let why = one("function F(o) return o.spec.suspend end", &json!({})).unwrap_err();
    assert!(why.contains("attempt to index") && why.contains(":1:"), "{why}");
    assert_eq!(one("function G() end", &null).unwrap_err(), "not found function F");
    assert_eq!(one("F = 'x'", &null).unwrap_err(), "F is not a function: string");
    assert!(one("function F(", &null).unwrap_err().contains("expected"));
    let mixed = one("function F() return {1, a = 2} end", &null).unwrap_err();
    assert_eq!(mixed, "cannot encode mixed or invalid key types");
    let sparse = one("function F() return {[1] = 1, [3] = 3} end", &null).unwrap_err();
    assert_eq!(sparse, "cannot encode sparse array");
    let ring = one("function F() local t = {} t.t = t return t end", &null).unwrap_err();
    assert!(ring.contains("nested"), "{ring}");
}

#[test]
fn scripts_have_the_libraries_that_karmada_gives_them_and_no_others() {
    let script = "function F() return table.concat({'a', string.upper('b'), math.max(1, 2)}) end";
    assert_eq!(one(script, &Value::Null).unwrap(), "aB2");
    for gone in ["io.open('/etc/passwd')", "os.exit()", "require('io')", "debug.getinfo(1)"] {
        let why = one(&format!("function F() return {gone} end"), &Value::Null).unwrap_err();
        assert!(why.contains("nil value"), "{gone}: {why}");
    }
    for gone in ["loadstring('return 1')", "setmetatable({}, {})", "rawget({}, 1)"] {
        let why = one(&format!("function F() return {gone} end"), &Value::Null).unwrap_err();
        assert!(why.contains("is not supported in karmada"), "{gone}: {why}");
    }
}

#[test]
fn scripts_without_an_end_are_ended() {
    for endless in [
        "function F() while true do end end",
        "function F() while true do pcall(function() while true do end end) end end",
        "while true do end",
    ] {
        let why = one(endless, &Value::Null).unwrap_err();
        assert!(why.contains("context deadline exceeded"), "{endless}: {why}");
    }
    let hungry = "function F() local t = 'x' while true do t = t .. t end end";
    assert!(one(hungry, &Value::Null).unwrap_err().contains("memory"));
}

#[test]
fn compiling_runs_nothing() {
    assert_eq!(compile("while true do end"), Ok(()));
    assert!(compile("function Retain(a, b) return a").unwrap_err().contains("'end'"));
}
