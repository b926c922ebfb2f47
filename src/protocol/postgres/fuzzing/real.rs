//! The model of the server against a server.
//!
//! `PALISADE_POSTGRES=127.0.0.1:5432 cargo test --lib -- --ignored postgres::fuzzing::real`, for a
//! superuser `postgres` who is trusted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::codec::frame::{HEADER_BYTES, Side, header};
use super::super::codec::message::write;
use super::super::track::tests::flows;
use super::backend::{Backend, Fault, Message, Statement};

const CASES: u32 = 1500;

const SETUP: &str = "
    DROP SCHEMA IF EXISTS model CASCADE;
    CREATE SCHEMA model;
    CREATE TABLE model.fine (x text);
    CREATE TABLE model.at_once (x text);
    CREATE TABLE model.at_data (x text CHECK (false));
    CREATE TABLE model.at_end (x text);
    CREATE FUNCTION model.fails() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'so it is'; END $$;
    CREATE TRIGGER t BEFORE INSERT ON model.at_once EXECUTE FUNCTION model.fails();
    CREATE TRIGGER t AFTER INSERT ON model.at_end EXECUTE FUNCTION model.fails();
";

fn sql(statement: Statement) -> &'static str {
    match statement {
        Statement::Read => "SELECT 1 UNION ALL SELECT 2",
        Statement::Write => "INSERT INTO model.fine VALUES (1)",
        Statement::Fail => "SELECT 1/(random()*0)::int",
        Statement::Begin => "BEGIN",
        Statement::Commit => "COMMIT",
        Statement::Rollback => "ROLLBACK",
        Statement::Empty => "",
        Statement::CopyOut => "COPY (VALUES (1), (2)) TO STDOUT",
        Statement::CopyIn(Fault::Never) => "COPY model.fine FROM STDIN",
        Statement::CopyIn(Fault::AtOnce) => "COPY model.at_once FROM STDIN",
        Statement::CopyIn(Fault::AtData) => "COPY model.at_data FROM STDIN",
        Statement::CopyIn(Fault::AtEnd) => "COPY model.at_end FROM STDIN",
        Statement::CopyBoth => unreachable!("only a walsender does"),
    }
}

/// `next`: what an Execute behind it is of.
fn put(out: &mut Vec<u8>, message: Message, next: Statement) {
    write::message(out, message.tag(), |out| match message {
        Message::Query(statements) => {
            let texts: Vec<_> = statements.iter().copied().map(sql).collect();
            write::put_text(out, &texts.join(";"));
        }
        Message::Function { fails } => {
            // pg_backend_pid, or nothing.
            write::put_u32(out, if fails { 0 } else { 2026 });
            out.extend_from_slice(&[0; 6]);
        }
        Message::Parse { fails } => {
            write::put_text(out, "");
            write::put_text(out, if fails { "SELEKT" } else { "SELECT 1" });
            out.extend_from_slice(&[0; 2]);
        }
        Message::Bind => {
            write::put_text(out, "");
            write::put_text(out, &format!("{next:?}"));
            out.extend_from_slice(&[0; 6]);
        }
        Message::Describe | Message::Close => {
            let is_close = message == Message::Close;
            out.push(b'S');
            write::put_text(out, if is_close { "none" } else { "Write" });
        }
        Message::Execute(_) => {
            write::put_text(out, "");
            write::put_u32(out, 0);
        }
        Message::CopyData => out.extend_from_slice(b"1\n"),
        Message::CopyFail | Message::Password => write::put_text(out, "why"),
        Message::Flush | Message::Sync | Message::CopyDone | Message::Terminate => {}
    });
}

/// The next reply's tag, with the status of a ReadyForQuery. `None` at the end.
fn reply(stream: &mut TcpStream) -> Option<(u8, u8)> {
    loop {
        let mut head = [0; HEADER_BYTES];
        stream.read_exact(&mut head).ok()?;
        let found = header(Side::Server, &head).unwrap().unwrap();
        let mut body = vec![0; found.len];
        stream.read_exact(&mut body).ok()?;
        match found.tag {
            // Unasked, or said or not for reasons of no interest.
            b'N' | b'S' | b'A' | b'T' | b't' => {}
            b'Z' => return Some((b'Z', body[0])),
            tag => return Some((tag, 0)),
        }
    }
}

fn connect(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut out = Vec::new();
    write::startup(&mut out, &[("user".into(), "postgres".into())]);
    stream.write_all(&out).unwrap();
    until_ready(&mut stream);
    stream
}

fn until_ready(stream: &mut TcpStream) {
    while !matches!(reply(stream).unwrap(), (b'Z', b'I')) {}
}

fn check(address: &str, messages: &[Message], prepared: &[Statement]) {
    let mut stream = connect(address);
    let mut out = Vec::new();
    for statement in prepared {
        write::message(&mut out, b'P', |out| {
            write::put_text(out, &format!("{statement:?}"));
            write::put_text(out, sql(*statement));
            out.extend_from_slice(&[0; 2]);
        });
    }
    write::sync(&mut out);
    stream.write_all(&out).unwrap();
    until_ready(&mut stream);
    let mut model = Backend::new(true);
    model.input.extend(messages);
    while model.step() {}
    let is_seen = |tag: u8| !matches!(tag, b'T');
    let expected: Vec<_> = model.output.iter().filter(|it| is_seen(it.tag)).collect();
    let mut out = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let next = messages[at + 1..].first().and_then(|next| match next {
            Message::Execute(statement) => Some(*statement),
            _ => None,
        });
        put(&mut out, *message, next.unwrap_or(Statement::Write));
    }
    // What is said only at a flush is said at the end too.
    write::message(&mut out, b'H', |_| ());
    let _ = stream.write_all(&out);
    let mut found = String::new();
    for expected in &expected {
        let status = if expected.tag == b'Z' { expected.status.byte() } else { 0 };
        let got = reply(&mut stream);
        found.extend(got.map(|(tag, _)| char::from(tag)));
        let said: String = expected_tags(&model);
        assert_eq!(got, Some((expected.tag, status)), "{found} of {said}: {messages:?}");
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // The end of the client's bytes is an error in the midst of COPY data only.
    let rest = reply(&mut stream);
    assert!(rest.is_none() || model.is_copying(), "{rest:?} after {found}: {messages:?}");
}

fn expected_tags(model: &Backend) -> String {
    model.output.iter().map(|it| char::from(it.tag)).collect()
}

#[test]
#[ignore = "needs a server: PALISADE_POSTGRES=127.0.0.1:5432"]
fn a_server_does_as_the_model() {
    let address = std::env::var("PALISADE_POSTGRES").expect("the address of a server");
    let mut stream = connect(&address);
    let mut out = Vec::new();
    write::query(&mut out, SETUP);
    stream.write_all(&out).unwrap();
    until_ready(&mut stream);
    let faults = [Fault::Never, Fault::AtOnce, Fault::AtData, Fault::AtEnd];
    let mut prepared = faults.map(Statement::CopyIn).to_vec();
    prepared.extend([Statement::Read, Statement::Write, Statement::Fail, Statement::Begin]);
    prepared.push(Statement::CopyOut);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let sequences = proptest::collection::vec(flows(), 1..8).prop_map(|flows| {
        let mut messages = Vec::new();
        for message in flows.into_iter().flatten() {
            match message {
                // Whether it can be bound depends on the transaction.
                Message::Query([Statement::CopyBoth]) | Message::Execute(Statement::Commit) => {}
                Message::Bind => {}
                // What was not flushed before it is not sent.
                Message::Terminate => {}
                Message::Execute(_) => messages.extend([Message::Bind, message]),
                _ => messages.push(message),
            }
        }
        messages
    });
    let done = runner.run(&sequences, |messages| {
        check(&address, &messages, &prepared);
        Ok(())
    });
    done.unwrap();
}
