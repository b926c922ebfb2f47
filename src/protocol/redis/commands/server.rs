//! What the server says of its commands: the reply of COMMAND.

use redis::Value;

/// Entries of a reply that are looked at. Redis 8 with all its modules has about 600.
const COMMANDS_MAX: usize = 10_000;

/// One command as the server lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerCommand {
    /// As the server has it: in lower case, `config|set` for a subcommand.
    pub name: String,
    /// With the name; negative: at least so many.
    pub arity: i64,
    /// `write`, `readonly`, `blocking`, ...
    pub flags: Vec<String>,
    /// The first key's argument; 0: no key.
    pub first: i64,
    /// The last key's argument; negative: from the end.
    pub last: i64,
    /// From one key to the next.
    pub step: i64,
    /// `first`, `last` and `step` do not tell all keys.
    pub is_movable: bool,
    /// Of a container; none before Redis 7.
    pub subcommands: Vec<ServerCommand>,
}

impl ServerCommand {
    /// Reads the reply of COMMAND, in RESP2 or RESP3.
    ///
    /// # Errors
    ///
    /// A sentence that says what is not as it should be.
    pub fn parse(reply: &Value) -> Result<Vec<Self>, String> {
        commands(reply, true)
    }

    /// The server lists it with this flag.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }
}

fn commands(reply: &Value, with_subcommands: bool) -> Result<Vec<ServerCommand>, String> {
    let entries = list(reply).ok_or("the reply of COMMAND is not a list")?;
    if entries.len() > COMMANDS_MAX {
        return Err(format!("the server lists more than {COMMANDS_MAX} commands"));
    }
    let entries = entries.iter().filter(|entry| **entry != Value::Nil);
    entries.map(|entry| command(entry, with_subcommands)).collect()
}

fn command(entry: &Value, with_subcommands: bool) -> Result<ServerCommand, String> {
    let fields = list(entry).ok_or("an entry of COMMAND's reply is not a list")?;
    let name = fields.first().and_then(text).ok_or("an entry of COMMAND's reply has no name")?;
    let number = |index: usize, what: &str| match fields.get(index) {
        Some(Value::Int(number)) => Ok(*number),
        _ => Err(format!("COMMAND does not say {what} of {name}")),
    };
    let flags = fields.get(2).and_then(list).unwrap_or_default();
    let flags: Option<Vec<String>> = flags.iter().map(text).collect();
    let flags = flags.ok_or_else(|| format!("COMMAND does not say the flags of {name}"))?;
    let subcommands = match fields.get(9) {
        Some(subcommands) if with_subcommands => commands(subcommands, false)?,
        _ => Vec::new(),
    };
    Ok(ServerCommand {
        arity: number(1, "the number of arguments")?,
        first: number(3, "the first key")?,
        last: number(4, "the last key")?,
        step: number(5, "the step between keys")?,
        is_movable: flags.iter().any(|flag| flag == "movablekeys"),
        name: name.to_ascii_lowercase(),
        flags,
        subcommands,
    })
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) | Value::Set(values) => Some(values),
        Value::Attribute { data, .. } => list(data),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        // The crate's word for the simple string "OK".
        Value::Okay => Some("OK".into()),
        _ => None,
    }
}
