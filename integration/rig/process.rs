//! Child processes: started with their output in files, signalled by pid, never left behind.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long a process may take to say its first line or to end.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log that are shown when a test fails.
const TAIL_LINES: usize = 60;

/// A running process. It is killed when this is dropped, and its output shown if the test failed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    output: PathBuf,
}

/// The binary under test.
pub fn palisade() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
    command
}

/// A program of the Python environment that `integration/run` makes.
pub fn python(program: &str) -> Command {
    let venv = std::env::var_os("PALISADE_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"), PathBuf::from);
    let path = venv.join("bin").join(program);
    assert!(path.exists(), "{} is not there: `integration/run` makes it", path.display());
    Command::new(path)
}

/// Runs a command to its end within a minute and a half, and returns its output.
pub fn run(mut command: Command, dir: &Path) -> (ExitStatus, String) {
    let name = Path::new(command.get_program()).file_name().and_then(OsStr::to_str);
    let name = name.unwrap_or("command").to_owned();
    let mut process = Process::start(&mut command, &name, dir);
    let status = process.wait(Duration::from_secs(90));
    (status, process.everything())
}

impl Process {
    /// Starts a process whose standard output and error go to files in that folder.
    pub fn start(command: &mut Command, name: &str, dir: &Path) -> Self {
        let unique = super::unique();
        let output = dir.join(format!("{name}.{unique}.out"));
        let log = dir.join(format!("{name}.{unique}.err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&output).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        Self { name: name.to_owned(), child, log, output }
    }

    /// The first line it prints.
    pub fn first_line(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = std::fs::read_to_string(&self.output).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                return line.to_owned();
            }
            assert!(self.is_running(), "{} has ended: {}", self.name, self.everything());
            assert!(Instant::now() < deadline, "{} says nothing", self.name);
            std::thread::sleep(POLL);
        }
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end within {limit:?}", self.name);
            std::thread::sleep(POLL);
        }
    }

    /// What it has printed so far on standard output.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// What it has printed so far, on standard output and then on standard error.
    pub fn everything(&self) -> String {
        let read =
            |path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        read(&self.output) + &read(&self.log)
    }

    /// Bytes of its memory that are in use.
    pub fn rss_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait(DEADLINE);
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(DEADLINE)
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGINT.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// SIGQUIT.
    pub fn quit(&self) {
        self.signal(Signal::QUIT);
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGSTOP: from now on it does nothing, and does not know. On a busy machine its threads go on
    /// for a moment: this returns when the last one has stopped.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        let is_stopped = |stat: &str| {
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        };
        for _ in 0..1_000 {
            let threads = std::fs::read_dir(&tasks).unwrap();
            let mut stats =
                threads.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("stat")).ok());
            if stats.all(|stat| is_stopped(&stat)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("it does not stop");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGHUP.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // The child has not been waited for, so the pid is still its own.
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let everything = self.everything();
            let lines: Vec<_> = everything.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- {} ---\n{}\n---", self.name, tail.join("\n"));
        }
    }
}
