//! Processes that serve until they are told to stop.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::support::Place;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A supervisor that is in office, or waits for it.
pub(crate) struct Supervisor {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// Where clients, workers and health are served.
    pub(crate) addresses: [String; 3],
}

impl Supervisor {
    /// Starts one on free ports, and waits until it is ready.
    pub(crate) fn start(place: &Place, options: &str) -> Self {
        Self::start_at(place, options, &free_ports())
    }

    /// Starts one on these ports: those of one that has died, say.
    pub(crate) fn start_at(place: &Place, options: &str, addresses: &[String; 3]) -> Self {
        let mut started = Self::spawn(place, options, addresses);
        started.takes_office();
        started
    }

    /// Starts one on these ports, and waits until it waits for another one, which is in office.
    #[allow(dead_code, reason = "the tests without servers have one at a time")]
    pub(crate) fn start_waiting(place: &Place, options: &str, addresses: &[String; 3]) -> Self {
        let started = Self::spawn(place, options, addresses);
        assert!(wait_for(&started.lines, "waiting for office", READY_WITHIN).is_some(), "it waits");
        started
    }

    fn spawn(place: &Place, options: &str, addresses: &[String; 3]) -> Self {
        let [public, workers, http] = addresses;
        let ports = format!("--listen {public} --worker-listen {workers} --http-listen {http}");
        let (child, lines) = spawn(place.command(&format!("supervisor {options} {ports}")));
        Self { child, lines, addresses: addresses.clone() }
    }

    /// Waits until it is in office.
    pub(crate) fn takes_office(&mut self) {
        let ready = wait_for(&self.lines, "ready ", READY_WITHIN).expect("the supervisor is ready");
        let words: Vec<&str> = ready.split(' ').collect();
        self.addresses = [words[2], words[4], words[6]].map(str::to_owned);
    }

    pub(crate) fn option(&self) -> String {
        format!("--server http://{}", self.addresses[0])
    }

    /// What it says over HTTP.
    pub(crate) fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.addresses[2]).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(crate) fn kill(mut self) -> [String; 3] {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.addresses.clone()
    }

    /// SIGTERM; its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whichever are free.
pub(crate) fn free_ports() -> [String; 3] {
    ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"].map(str::to_owned)
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Starts a command; the lines that it says on stderr.
pub(crate) fn spawn(mut command: Command) -> (Child, mpsc::Receiver<String>) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = mpsc::sync_channel(4096);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            eprintln!("{line}");
            // Whoever has heard enough does not hold the process up.
            let _ = sender.try_send(line);
        }
    });
    (child, lines)
}

pub(crate) fn wait_for(lines: &mpsc::Receiver<String>, what: &str, within: Duration) -> Option<String> {
    let deadline = Instant::now() + within;
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if line.contains(what) {
            return Some(line);
        }
    }
    None
}
