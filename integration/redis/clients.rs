//! The clients that people have, unchanged: each prints the same through Palisade as on the
//! server itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::redis::{Choice, Front};
use crate::rig::{python, run};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/clients").join(name)
}

/// Runs a command and returns what it printed.
fn told(front: &Front, command: Command) -> String {
    let shown = format!("{command:?}");
    let (status, said) = run(command, front.dir());
    assert!(status.success(), "{shown}: {status}: {said}");
    said.replace(&front.address.port().to_string(), "PORT")
        .replace(&front.server.port.to_string(), "PORT")
}

/// The same both ways.
async fn same(make: impl Fn() -> Command) {
    let mut front = Front::prepare(&Choice::default()).await;
    let mut direct = make();
    front.direct(direct.env("DIR", front.dir()));
    let expected = told(&front, direct);
    assert!(expected.contains("\ndone"), "{expected}");
    assert_eq!(front.server.ask("FLUSHALL").await, "OK");
    assert_eq!(front.server.ask("FUNCTION FLUSH").await, "OK");
    front.run().await;
    let mut through = make();
    front.through(through.env("DIR", front.dir()), "leader-a", 33);
    let got = told(&front, through);
    assert!(expected == got, "on the server itself:\n{expected}\nthrough Palisade:\n{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli() {
    same(|| {
        let mut command = Command::new("bash");
        command.arg(script("check_redis_cli.sh"));
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py() {
    same(|| {
        let mut command = python("python3");
        command.arg(script("check_redis_py.py"));
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_redis() {
    let node = std::env::var_os("PALISADE_NODE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node"), PathBuf::from);
    if !node.join("node_modules/redis").exists() {
        eprintln!("SKIPPED: no node-redis in {}", node.display());
        return;
    }
    same(|| {
        let mut command = Command::new("node");
        command.arg(script("check_node_redis.js")).env("NODE_PATH", node.join("node_modules"));
        command
    })
    .await;
}

fn cli(front: &Front, program: &str, who: &str) -> Command {
    let mut command = Command::new(program);
    let door = front.door(who);
    command.args(["-p", &front.address.port().to_string(), "--tls"]);
    command.arg("--cacert").arg(door.ca).arg("--cert").arg(door.chain).arg("--key").arg(door.key);
    command.env_remove("REDISCLI_AUTH");
    command
}

/// A URL is enough; and what is refused is told in words.
#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_is_wrong() {
    let front = Front::start().await;
    let by_url = |who: &str, token: u64, line: &[&str]| {
        let mut command = cli(&front, "redis-cli", who);
        command.args(["--no-auth-warning", "-u"]);
        command.arg(format!("rediss://token={token}@localhost:{}", front.address.port()));
        run(
            {
                command.args(line);
                command
            },
            front.dir(),
        )
        .1
    };
    assert_eq!(by_url("leader-a", 33, &["SET", "a", "1"]).trim(), "OK");
    assert_eq!(by_url("leader-b", 34, &["INCR", "a"]).trim(), "2");
    let said = by_url("leader-a", 33, &["INCR", "a"]);
    for part in ["FENCED", "redis", "33", "34", "leader-b"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(front.server.ask("GET a").await, "2");
    // A replica of the server's is nobody's way to the data.
    for line in [&["--rdb", "dump.rdb"][..], &["--replica"]] {
        let mut command = cli(&front, "redis-cli", "leader-b");
        command.args(line).current_dir(front.dir());
        let (_, said) = run(command, front.dir());
        assert!(said.contains("NOPERM") || said.contains("palisade"), "{line:?}: {said}");
    }
    // redis-py has the word as the beginning of the error, and tries nothing again.
    let program = "import os, redis\n\
        tls = dict(ssl_ca_certs=os.environ['CA'], ssl_certfile=os.environ['CERT'], ssl_keyfile=os.environ['KEY'])\n\
        try:\n redis.from_url(os.environ['REDIS_URL'], **tls).set('a', 1)\n\
        except redis.RedisError as error:\n print('told', type(error).__name__, error)";
    let mut command = python("python3");
    front.through(&mut command, "leader-a", 33);
    let (_, said) = run(
        {
            command.args(["-c", program]);
            command
        },
        front.dir(),
    );
    for part in ["told", "FENCED", "leader-b"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_benchmark() {
    let front = Front::start().await;
    let mut command = cli(&front, "redis-benchmark", "leader-a");
    command.args(["-h", "localhost", "--user", "token=33", "-a", "x", "-n", "2000", "-c", "10"]);
    command.args(["-P", "16", "-q", "-r", "1000", "-d", "100"]);
    command.args(["-t", "ping,set,get,incr,lpush,rpop,sadd,hset,zadd,mset"]);
    let (status, said) = run(command, front.dir());
    assert!(status.success(), "{status}: {said}");
    assert!(said.contains("MSET (10 keys)"), "{said}");
    assert!(front.server.ask("DBSIZE").await.len() > 2);
}
