//! The reply of COMMAND, in both protocols and out of shape.

use redis::Value;

use crate::protocol::redis::commands::ServerCommand;

fn words(words: &[&str]) -> Vec<Value> {
    words.iter().map(|word| Value::SimpleString((*word).into())).collect()
}

fn entry(name: &str, flags: Value, subcommands: Vec<Value>) -> Value {
    let mut fields = vec![Value::BulkString(name.into()), Value::Int(-2), flags];
    fields.extend([1, 1, 1].map(Value::Int));
    fields.extend([Value::Set(words(&["@read"])), Value::Array(Vec::new())]);
    fields.extend([Value::Array(vec![Value::Map(Vec::new())]), Value::Array(subcommands)]);
    Value::Array(fields)
}

#[test]
fn both_protocols_say_the_same() {
    let sub = |flags| vec![entry("x|y", flags, Vec::new())];
    let flags = words(&["write", "movablekeys"]);
    let resp2 = Value::Array(vec![
        entry("x", Value::Array(flags.clone()), sub(Value::Array(words(&["fast"])))),
        Value::Nil,
    ]);
    let resp3 = Value::Set(vec![entry("X", Value::Set(flags), sub(Value::Set(words(&["fast"]))))]);
    let read = ServerCommand::parse(&resp2).expect("it is well formed");
    assert_eq!(Ok(&read), ServerCommand::parse(&resp3).as_ref());
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].name.as_str(), read[0].is_movable, read[0].arity), ("x", true, -2));
    assert_eq!(read[0].subcommands[0].name, "x|y");
    assert!(!read[0].subcommands[0].is_movable);
}

/// Redis before version 7 says no more.
#[test]
fn a_short_entry_is_enough() {
    let mut fields = vec![Value::SimpleString("get".into()), Value::Int(2)];
    fields.push(Value::Array(words(&["readonly"])));
    fields.extend([1, 1, 1].map(Value::Int));
    let read = ServerCommand::parse(&Value::Array(vec![Value::Array(fields)])).expect("it is read");
    assert_eq!((read[0].first, read[0].subcommands.len()), (1, 0));
}

#[test]
fn what_is_out_of_shape_is_an_error() {
    let named = |rest: Vec<Value>| {
        let fields = std::iter::once(Value::BulkString(b"get".to_vec())).chain(rest).collect();
        Value::Array(vec![Value::Array(fields)])
    };
    let odd_flags = Value::Array(vec![Value::Int(1)]);
    let cases = [
        (Value::Okay, "not a list"),
        (Value::Array(vec![Value::Int(1)]), "not a list"),
        (Value::Array(vec![Value::Array(vec![])]), "no name"),
        (named(vec![]), "the number of arguments of get"),
        (named(vec![Value::Int(2), odd_flags]), "the flags of get"),
        (named(vec![Value::Int(2), Value::Array(vec![]), Value::Int(1)]), "the last key of get"),
        (Value::Array(vec![Value::Nil; 10_001]), "more than 10000"),
    ];
    for (reply, says) in cases {
        let error = ServerCommand::parse(&reply).expect_err(says);
        assert!(error.contains(says), "{error}");
    }
}
