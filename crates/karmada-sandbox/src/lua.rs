//! Runs the scripts of a `ResourceInterpreterCustomization` as Karmada does: Lua 5.1 without the
//! functions that Karmada takes away, and an end to scripts that find none. Values cross as JSON, with
//! the losses of Karmada's own conversion: an empty table is a list, unless an argument has an empty
//! object in its place, and is dropped if no argument has anything empty there.
//!
//! Karmada's `kube` and `os` libraries are not imitated: a script that needs them fails.

use std::{cell::Cell, collections::HashSet};

use mlua::{
    HookTriggers, IntoLuaMulti, Lua, LuaOptions, StdLib, Table, Value as LuaValue, VmState,
};
use serde_json::{Map, Number, Value};

/// Karmada gives a script a second. Instructions are counted here, so that the same script fails on
/// every machine.
const INSTRUCTIONS: u32 = 20_000_000;
const LOOK_EVERY: u32 = 10_000;
const MEMORY: usize = 64 << 20;
const DEPTH: usize = 128;

/// What Karmada replaces by a function that fails.
const FORBIDDEN: [&str; 14] = [
    "collectgarbage",
    "dofile",
    "getfenv",
    "getmetatable",
    "load",
    "loadfile",
    "loadstring",
    "rawequal",
    "rawget",
    "rawset",
    "setfenv",
    "setmetatable",
    "module",
    "newproxy",
];

/// Whether the script is Lua; why not, otherwise. Runs nothing.
pub(crate) fn compile(script: &str) -> Result<(), String> {
    Lua::new_with(StdLib::NONE, LuaOptions::default())
        .and_then(|lua| lua.load(script).set_name("=<string>").into_function().map(drop))
        .map_err(|error| error.to_string())
}

/// Runs a script and calls one of its functions. The answer is JSON, as Karmada reads it.
///
/// # Errors
/// The words of Lua if the script fails, and Karmada's if it has no such function or its answer
/// cannot be read.
pub fn call(script: &str, function: &str, arguments: &[&Value]) -> Result<Value, String> {
    let answer = run(script, function, arguments)?;
    Ok(tidy(answer, arguments))
}

fn run(script: &str, function: &str, arguments: &[&Value]) -> Result<Value, String> {
    let said = |error: mlua::Error| error.to_string();
    let lua = machine().map_err(said)?;
    lua.load(script).set_name("=<string>").exec().map_err(said)?;
    let values: Result<Vec<LuaValue>, _> =
        arguments.iter().map(|argument| to_lua(&lua, argument)).collect();
    let values = mlua::MultiValue::from_iter(values.map_err(said)?);
    let found: LuaValue = lua.globals().get(function).map_err(said)?;
    let call = match found {
        LuaValue::Nil => return Err(format!("not found function {function}")),
        LuaValue::Function(call) => call,
        other => return Err(format!("{function} is not a function: {}", other.type_name())),
    };
    let values = values.into_lua_multi(&lua).map_err(said)?;
    let answer: LuaValue = call.call(values).map_err(said)?;
    to_json(&answer, 0)
}

fn machine() -> mlua::Result<Lua> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    for name in FORBIDDEN {
        let fail = lua.create_function(move |_, _: mlua::MultiValue| -> mlua::Result<()> {
            Err(mlua::Error::runtime(format!(
                "call function {name} is not supported in karmada customized resourceinterpreter."
            )))
        })?;
        lua.globals().set(name, fail)?;
    }
    lua.set_memory_limit(MEMORY)?;
    let left = Cell::new(INSTRUCTIONS);
    lua.set_hook(HookTriggers::new().every_nth_instruction(LOOK_EVERY), move |lua, _| {
        left.set(left.get().saturating_sub(LOOK_EVERY));
        if left.get() > 0 {
            return Ok(VmState::Continue);
        }
        // From here on every instruction fails, so that a script cannot catch it and go on.
        lua.set_hook(HookTriggers::new().every_nth_instruction(1), |_, _| Err(too_long()))?;
        Err(too_long())
    })?;
    Ok(lua)
}

fn too_long() -> mlua::Error {
    mlua::Error::runtime("context deadline exceeded")
}

fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(flag) => LuaValue::Boolean(*flag),
        // Every number of Lua 5.1 is a double; so it is in Karmada.
        Value::Number(number) => LuaValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => LuaValue::String(lua.create_string(text)?),
        Value::Array(items) => {
            let table = lua.create_table()?;
            for item in items {
                table.push(to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(members) => {
            let table = lua.create_table()?;
            for (name, member) in members {
                table.set(name.as_str(), to_lua(lua, member)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

fn to_json(value: &LuaValue, depth: usize) -> Result<Value, String> {
    if depth > DEPTH {
        return Err("cannot encode recursively nested tables to JSON".to_owned());
    }
    Ok(match value {
        LuaValue::Nil => Value::Null,
        LuaValue::Boolean(flag) => Value::Bool(*flag),
        LuaValue::Integer(number) => Value::from(*number),
        LuaValue::Number(number) => number_of(*number)?,
        LuaValue::String(text) => Value::String(text.to_string_lossy()),
        LuaValue::Table(table) => table_of(table, depth)?,
        other => return Err(format!("cannot encode {} to JSON", other.type_name())),
    })
}

/// A whole number stays one.
#[expect(clippy::cast_possible_truncation, reason = "below 2^53 nothing is lost")]
fn number_of(number: f64) -> Result<Value, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Ok(Value::from(number as i64));
    }
    let number = Number::from_f64(number).ok_or("json: unsupported value")?;
    Ok(Value::Number(number))
}

fn table_of(table: &Table, depth: usize) -> Result<Value, String> {
    let mut list: Vec<(i64, Value)> = Vec::new();
    let mut object = Map::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, member) = pair.map_err(|error| error.to_string())?;
        let member = to_json(&member, depth + 1)?;
        match key {
            LuaValue::String(name) => drop(object.insert(name.to_string_lossy(), member)),
            LuaValue::Integer(index) => list.push((index, member)),
            LuaValue::Number(index) => {
                let index = number_of(index)?.as_i64();
                list.push((index.ok_or("cannot encode sparse array")?, member));
            }
            _ => return Err("cannot encode mixed or invalid key types".to_owned()),
        }
    }
    match (list.is_empty(), object.is_empty()) {
        (false, false) => Err("cannot encode mixed or invalid key types".to_owned()),
        // Lua gives no order, and a reader of a diff deserves one.
        (true, false) => {
            object.sort_keys();
            Ok(Value::Object(object))
        }
        _ => {
            list.sort_by_key(|(index, _)| *index);
            if list.iter().zip(1..).any(|((index, _), expected)| *index != expected) {
                return Err("cannot encode sparse array".to_owned());
            }
            Ok(Value::Array(list.into_iter().map(|(_, item)| item).collect()))
        }
    }
}

/// Lua has one empty table for two things. Karmada finds out which by a look at the arguments, along
/// the names of the members, without the places in lists.
fn tidy(mut answer: Value, arguments: &[&Value]) -> Value {
    let mut empty = Empty::default();
    for argument in arguments {
        empty.find(argument, "");
    }
    if matches!(&answer, Value::Array(items) if items.is_empty()) {
        return answer;
    }
    empty.settle(&mut answer, "");
    answer
}

#[derive(Default)]
struct Empty {
    lists: HashSet<String>,
    objects: HashSet<String>,
}

impl Empty {
    fn find(&mut self, value: &Value, path: &str) {
        match value {
            Value::Array(items) if items.is_empty() => drop(self.lists.insert(path.to_owned())),
            Value::Object(members) if members.is_empty() => {
                self.objects.insert(path.to_owned());
            }
            Value::Array(items) => items.iter().for_each(|item| self.find(item, path)),
            Value::Object(members) => {
                for (name, member) in members {
                    self.find(member, &format!("{path}/{name}"));
                }
            }
            _ => {}
        }
    }

    fn settle(&self, value: &mut Value, path: &str) {
        match value {
            Value::Array(items) => {
                items.retain(|item| !is_empty(item) || self.is_known(path));
                for item in items {
                    self.settle_one(item, path);
                }
            }
            Value::Object(members) => {
                members.retain(|name, member| {
                    !is_empty(member) || self.is_known(&format!("{path}/{name}"))
                });
                for (name, member) in members {
                    self.settle_one(member, &format!("{path}/{name}"));
                }
            }
            _ => {}
        }
    }

    fn settle_one(&self, value: &mut Value, path: &str) {
        if !is_empty(value) {
            self.settle(value, path);
        } else if !self.lists.contains(path) {
            *value = Value::Object(Map::new());
        }
    }

    fn is_known(&self, path: &str) -> bool {
        self.lists.contains(path) || self.objects.contains(path)
    }
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Array(items) if items.is_empty())
}

#[cfg(test)]
mod tests;
