//! A broker of a test's own, run by the scripts.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A broker on this machine. It is stopped and its files are removed when it is dropped.
pub(crate) struct Broker {
    port: u16,
}

/// Who may do what, on a port of its own for users with passwords: `admin` everything, `guest` nothing.
const SECURE: &str = r#"
listeners=PLAINTEXT://127.0.0.1:PORT0,CONTROLLER://127.0.0.1:PORT10,SASL://127.0.0.1:PORT5
advertised.listeners=PLAINTEXT://127.0.0.1:PORT0,SASL://127.0.0.1:PORT5
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_guest="guest-secret";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
"#;

impl Broker {
    /// Starts a broker with nothing on it. It takes this port and the 14 behind it.
    pub(crate) fn start(port: u16) -> Self {
        script("kafka-down.sh", &[&port.to_string(), "--kill", "--wipe"], None);
        let broker = Self { port };
        broker.start_again();
        broker
    }

    /// The same, with users.
    pub(crate) fn start_secure(port: u16) -> Self {
        let settings = [0, 5, 10].iter().fold(SECURE.to_owned(), |text, n| {
            text.replace(&format!("PORT{n}\n"), &format!("{}\n", port + n))
                .replace(&format!("PORT{n},"), &format!("{},", port + n))
        });
        Self::start_with(port, &settings)
    }

    /// The same, with further settings.
    pub(crate) fn start_with(port: u16, settings: &str) -> Self {
        script("kafka-down.sh", &[&port.to_string(), "--kill", "--wipe"], None);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), settings).unwrap();
        let broker = Self { port };
        script("kafka-up.sh", &[&port.to_string()], Some(file.path()));
        broker
    }

    /// Starts it on what it has.
    pub(crate) fn start_again(&self) {
        script("kafka-up.sh", &[&self.port.to_string()], None);
        assert!(self.answers());
    }

    /// Kills it with `kill -9` and waits until it is gone.
    pub(crate) fn kill(&self) {
        script("kafka-down.sh", &[&self.port.to_string(), "--kill"], None);
    }

    /// Stops it in its tracks: connections stay open and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let target = [env!("CARGO_MANIFEST_DIR"), "..", "..", "target", "servers"].iter().collect();
        let servers = std::env::var_os("ENSEMBLE_SERVERS_DIR").map_or(target, PathBuf::from);
        let pid = fs::read_to_string(servers.join(format!("kafka/{}/node1/pid", self.port))).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }

    /// Whether somebody listens.
    pub(crate) fn answers(&self) -> bool {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.port + 5)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let output = command("kafka-down.sh", &[&self.port.to_string(), "--kill", "--wipe"]).output();
        // A panic in a drop would hide the test's own.
        if !output.is_ok_and(|output| output.status.success()) {
            eprintln!("the broker at {} was not stopped", self.port);
        }
    }
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let scripts: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "scripts", "servers"].iter().collect();
    let mut command = Command::new(scripts.join(name));
    command.args(arguments).env("KAFKA_HEAP", "256m");
    command
}

/// Runs a script to its end.
fn script(name: &str, arguments: &[&str], extra: Option<&Path>) {
    let mut command = command(name, arguments);
    if let Some(extra) = extra {
        command.env("KAFKA_EXTRA", extra);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {said}; run scripts/servers/kafka-install.sh first");
}
