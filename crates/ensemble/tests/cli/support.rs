//! Running the binary in a directory of its own.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

/// No command of these tests takes longer, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(240);
const TICK: Duration = Duration::from_millis(5);

/// A small contract: `id`, `name`, `score` from 0 to 100, one view by tens of scores.
pub(crate) const THINGS: &str = r#"
name = "things"
key = "id"
keep = "first"
silver = "things"
bronze = "things_raw"

[columns]
id = { type = "string", required = true }
name = { type = "string" }
score = { type = "int", range = "0..=100" }

[gold]
by_score = { by = ["score/10"], measures = ["score"] }
"#;

/// A directory with files and stores, gone at the end.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    /// What every command finds in its environment.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    out: Option<JoinHandle<Vec<u8>>>,
    err: Option<JoinHandle<Vec<u8>>>,
    stdin: Option<ChildStdin>,
    started: Instant,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    #[allow(dead_code, reason = "not all suites need one")]
    pub(crate) fn with_environment(environment: impl Into<Vec<(&'static str, String)>>) -> Self {
        Self { environment: environment.into(), ..Self::new() }
    }

    /// A place that has the contract [`THINGS`] as `things.toml`.
    pub(crate) fn with_things() -> Self {
        let place = Self::new();
        place.write("things.toml", THINGS);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn append(&self, name: &str, content: &str) {
        let mut file = fs::File::options().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// A catalogue of tracks under this name; `options` as those of `ensemble generate`.
    pub(crate) fn generate(&self, name: &str, options: &str) {
        let run = self.run(&format!("generate {options}"));
        assert_eq!(run.code, Some(0), "{}", run.err);
        self.write(name, run.out);
    }

    /// Runs the command to its end. Options are split at spaces; paths are names in this place.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        self.start(arguments).wait()
    }

    /// Runs the command, which has to succeed, and reads its JSON.
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let run = self.run(&format!("{arguments} --output json"));
        assert_eq!(run.code, Some(0), "{arguments}: {}{}", run.out, run.err);
        serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{arguments}: {e}: {}", run.out))
    }

    /// What a store has in silver, as CSV.
    #[allow(dead_code, reason = "not all suites read it")]
    pub(crate) fn silver(&self, store: &str) -> Vec<u8> {
        let to = format!("{store}-silver.csv");
        let run = self.run(&format!("export silver --store {store} --to {to}"));
        assert_eq!(run.code, Some(0), "{}", run.err);
        fs::read(self.path(&to)).unwrap()
    }

    /// Runs `ensemble rejects` and reads its lines.
    pub(crate) fn rejects(&self, store: &str) -> Vec<Value> {
        let run = self.run(&format!("rejects --store {store} --output json"));
        assert_eq!(run.code, Some(0), "{}", run.err);
        run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts a job on a store, with standard input open, and waits until it is in the middle: it writes bronze.
    pub(crate) fn start_job(&self, command: Command, store: &str, input: &str) -> Running {
        let store = self.path(store);
        let before = bronze_bytes(&store);
        let mut running = Running::spawn(command);
        if !input.is_empty() {
            running.feed(input);
        }
        poll("the job writes bronze", || bronze_bytes(&store) > before || !running.is_running());
        if !running.is_running() {
            panic!("the job is over before it can be disturbed: {:?}", running.wait());
        }
        running
    }

    /// Asserts that verification finds nothing.
    pub(crate) fn assert_verified(&self, store: &str) {
        let run = self.run(&format!("verify --store {store}"));
        assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    }

    /// The command, to be run in this place.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ensemble"));
        command.current_dir(self.dir.path()).env_remove("ENSEMBLE_CONFIG").env("ENSEMBLE__WORKERS__COUNT", "2");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments.split_whitespace());
        command
    }

    /// Starts the command, with standard input open.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        Running::spawn(self.command(arguments))
    }
}

impl Running {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self { child, out: Some(out), err: Some(err), stdin, started: Instant::now() }
    }

    /// Writes to standard input.
    pub(crate) fn feed(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Closes standard input and waits for the end.
    pub(crate) fn wait(mut self) -> Run {
        drop(self.stdin.take());
        self.wait_for_end()
    }

    /// Waits for the end, while standard input stays open.
    pub(crate) fn wait_for_end(&mut self) -> Run {
        let status = self.status();
        let text = |handle: Option<JoinHandle<Vec<u8>>>| {
            String::from_utf8_lossy(&handle.unwrap().join().unwrap()).into_owned()
        };
        Run { code: status.code(), out: text(self.out.take()), err: text(self.err.take()) }
    }

    fn status(&mut self) -> ExitStatus {
        let mut status = None;
        poll("the command ends", || {
            status = self.child.try_wait().unwrap();
            assert!(self.started.elapsed() < DEADLINE, "the command hangs");
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The most memory that it has taken so far, in bytes; `None` where it has ended, or on systems without `/proc`.
    #[allow(dead_code, reason = "not all suites measure")]
    pub(crate) fn most_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(most.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Waits until `condition` holds.
pub(crate) fn poll(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::park_timeout(TICK);
    }
}

/// Lets time pass while `going_on` holds.
pub(crate) fn pass(time: Duration, mut going_on: impl FnMut() -> bool) {
    let until = Instant::now() + time;
    while Instant::now() < until && going_on() {
        thread::park_timeout(TICK.min(until.saturating_duration_since(Instant::now())));
    }
}

/// How many bytes of bronze a store has.
pub(crate) fn bronze_bytes(store: &Path) -> u64 {
    let files = fs::read_dir(store.join("bronze")).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}

impl Run {
    /// Asserts the exit code, and that stderr or stdout says this.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, message: &str) {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(
            self.err.contains(message) || self.out.contains(message),
            "{message:?} is not said\nstdout: {}\nstderr: {}",
            self.out,
            self.err
        );
    }

    /// The JSON on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}
