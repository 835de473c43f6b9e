//! A supervisor and workers as processes of their own, on real servers: whatever dies, the answer is the same.

mod away;
mod gold;
mod repeats;

use std::{
    process::Child,
    sync::mpsc,
    time::{Duration, Instant},
};

use ensemble_testkit::{
    object_server::ObjectServer,
    tcp_proxy::{Gate, TcpProxy},
};

use crate::{
    places::{Servers, assert_same_answer, with_database},
    processes::{Supervisor, signal, spawn, wait_for},
    support::{Place, Run, Running, poll},
};

const ROWS: &str = "--rows 12000 --duplicates 0.1 --bad 0.02 --seed 11";
/// Small shards, so that there is always something settled and something open.
const SHARDS: &str = "--shard-bytes 4096";
/// It does nothing else.
const SUPERVISES: &str = "--workers 0";
/// Short leases, so that what takes over does so soon.
const SETTINGS: &str = "[leases]\nlapse_ms = 6000\n[supervisor]\noffice_lease_ms = 2000\n\
    [mongodb]\noperation_timeout_ms = 5000\nconnect_timeout_ms = 4000\nserver_selection_timeout_ms = 4000\n\
    [kafka]\ndelivery_timeout_ms = 5000\n[workers]\ncredit_bytes = 262144\n";

/// A worker's process.
struct Worker {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Worker {
    /// Starts it, and does not wait for it.
    fn spawn(cluster: &Cluster, name: &str, supervisors: &str) -> Self {
        let options = &cluster.options;
        let command = format!("worker {options} --supervisor {supervisors} --id {name} --validators 1");
        let (child, lines) = spawn(cluster.place.command(&command));
        Self { child, lines }
    }

    fn start(cluster: &Cluster, name: &str, supervisors: &str) -> Self {
        let worker = Self::spawn(cluster, name, supervisors);
        assert!(wait_for(&worker.lines, "ready ", Duration::from_secs(60)).is_some(), "a supervisor takes {name}");
        worker
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A place, its servers and the options that every process of the cluster takes.
struct Cluster {
    place: Place,
    servers: Servers,
    options: String,
}

impl Cluster {
    fn new() -> Self {
        let (servers, place) = (Servers::named(), Place::new());
        place.generate("tracks.csv", ROWS);
        let settings = place.write("settings.toml", SETTINGS);
        let options = format!("{} --config {}", servers.options(), settings.display());
        Self { place, servers, options }
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::start(&self.place, &format!("{} {SUPERVISES}", self.options))
    }

    /// A client that follows the job to its end.
    fn submit(&self, servers: &str) -> Running {
        let command = format!("submit csv tracks.csv {SHARDS} --request-id it --wait --output json --server {servers}");
        Running::spawn(self.place.command(&command))
    }

    /// Waits until some shards are settled, and others are not.
    fn wait_for_the_middle(&self, client: &mut Running, more_than: u64) -> u64 {
        let mut rows = 0;
        // Past all proxies, and not through the event log: it may be away.
        let store = with_database(self.servers.server_uri(), &self.servers.name);
        poll("the job is in the middle", || {
            let jobs = self.place.run(&format!("jobs --output json --store {store}"));
            let jobs: serde_json::Value = serde_json::from_str(&jobs.out).unwrap_or_default();
            rows = jobs[0]["rows"].as_u64().unwrap_or(0);
            rows > more_than || !client.is_running()
        });
        assert!(client.is_running(), "the job was over before it could be disturbed");
        rows
    }

    /// Asserts that the job ends as it should; what the client has said.
    fn assert_ended_well(&self, client: &mut Running) -> Run {
        let ended = client.wait_for_end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
        assert_same_answer(&self.place, &self.servers.options(), "tracks.csv");
        ended
    }
}

fn http(address: &str) -> String {
    format!("http://{address}")
}

#[test]
fn workers_that_are_killed_are_replaced_by_others() {
    let cluster = Cluster::new();
    let supervisor = cluster.supervisor();
    let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
    let mut all: Vec<Worker> = ["a", "b", "c"].map(|name| Worker::start(&cluster, name, &workers)).into();
    let mut client = cluster.submit(&public);
    let before = cluster.wait_for_the_middle(&mut client, 0);
    all[0].kill();
    let before = cluster.wait_for_the_middle(&mut client, before);
    // Nobody is left for a while.
    all.iter_mut().for_each(Worker::kill);
    let _others: Vec<Worker> = ["d", "e"].map(|name| Worker::start(&cluster, name, &workers)).into();
    let _ = before;
    cluster.assert_ended_well(&mut client);
}

/// How many leases there were, and how many of them brought no bytes.
fn leases(supervisor: &Supervisor) -> [u64; 2] {
    let measures = supervisor.http("/metrics");
    ["ensemble_leases_total ", "ensemble_leases_without_bytes_total "].map(|name| {
        let line = measures.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {measures}"));
        line[name.len()..].trim().parse().unwrap()
    })
}

#[test]
fn workers_read_the_files_that_they_share_with_the_supervisor_themselves() {
    let cluster = Cluster::new();
    let shared = SETTINGS.replace("[supervisor]\n", "[supervisor]\nroots = \".\"\n") + "[worker]\nroots = \".\"\n";
    cluster.place.write("settings.toml", shared);
    let supervisor = cluster.supervisor();
    let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
    let _both = ["a", "b"].map(|name| Worker::start(&cluster, name, &workers));
    let job = cluster.place.json(&format!("submit csv tracks.csv {SHARDS} --by-path --wait --server {public}"));
    assert_eq!(job["state"], "succeeded", "{job}");
    let [leases, without_bytes] = leases(&supervisor);
    assert!(leases >= job["shards"].as_u64().unwrap());
    assert_eq!(without_bytes, leases);
    let verified = cluster.place.json(&format!("verify --server {public}"));
    let checks = verified["checks"].as_array().unwrap();
    assert!(checks.len() == 7 && checks.iter().all(|check| check["outcome"] == "holds"), "{verified}");
    assert_same_answer(&cluster.place, &cluster.servers.options(), "tracks.csv");
}

#[test]
fn workers_read_objects_themselves_and_are_sent_what_they_may_not_read() {
    let mut cluster = Cluster::new();
    let objects = ObjectServer::start().unwrap();
    objects.put("catalogue", "tracks.csv", std::fs::read(cluster.place.path("tracks.csv")).unwrap());
    cluster.place.environment = objects.environment().into();
    let roots = "roots = \"s3://catalogue\"\n";
    let shared = SETTINGS.replace("[supervisor]\n", &format!("[supervisor]\n{roots}")) + "[worker]\n" + roots;
    cluster.place.write("settings.toml", shared);
    let supervisor = cluster.supervisor();
    let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
    let _reader = Worker::start(&cluster, "reader", &workers);
    cluster.place.environment.push(("AWS_ACCESS_KEY_ID", "somebody".to_owned()));
    let _other = Worker::start(&cluster, "other", &workers);
    cluster.place.environment.pop();
    let submit = format!("submit csv s3://catalogue/tracks.csv {SHARDS} --by-path --wait --server {public}");
    let job = cluster.place.json(&submit);
    assert_eq!(job["state"], "succeeded", "{job}");
    let [leases, without_bytes] = leases(&supervisor);
    assert!(0 < without_bytes && without_bytes < leases, "{without_bytes} of {leases} leases brought no bytes");
    let verified = cluster.place.json(&format!("verify --server {public}"));
    let checks = verified["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["outcome"] == "holds"), "{verified}");
    assert_same_answer(&cluster.place, &cluster.servers.options(), "tracks.csv");
}

/// It comes back when others have long done its shards, and does them once more.
#[test]
fn a_worker_that_slept_past_its_lease_does_no_harm() {
    let cluster = Cluster::new();
    let supervisor = cluster.supervisor();
    let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
    let mut zombie = Worker::start(&cluster, "zombie", &workers);
    let mut client = cluster.submit(&public);
    cluster.wait_for_the_middle(&mut client, 0);
    signal(&zombie.child, "STOP");
    let mut other = Worker::start(&cluster, "other", &workers);
    // Longer than its lease, and than the link is kept without an answer.
    let slept = Instant::now();
    poll("the lease has lapsed", || slept.elapsed() > Duration::from_secs(8));
    signal(&zombie.child, "CONT");
    cluster.assert_ended_well(&mut client);
    assert!(zombie.is_running() && other.is_running());
}

#[test]
fn another_supervisor_takes_over_and_workers_and_clients_find_it() {
    let cluster = Cluster::new();
    let first = cluster.supervisor();
    // The second says whom it waits for, and serves nobody meanwhile.
    let ports = "--listen 127.0.0.1:0 --worker-listen 127.0.0.1:0 --http-listen 127.0.0.1:0";
    let (mut second, lines) =
        spawn(cluster.place.command(&format!("supervisor {} {SUPERVISES} {ports}", cluster.options)));
    let waits = wait_for(&lines, "waiting for office", Duration::from_secs(60)).expect("it waits");
    assert!(waits.contains(&first.addresses[0]), "{waits}");
    let [public, workers, _] = first.addresses.clone().map(|a| http(&a));
    let _worker = Worker::start(&cluster, "a", &workers);
    let mut client = cluster.submit(&public);
    cluster.wait_for_the_middle(&mut client, 0);
    let addresses = first.kill();
    let ready = wait_for(&lines, "ready ", Duration::from_secs(60)).expect("it takes over");
    // The job goes on there, once workers dial it; the same request is the same job.
    let words: Vec<String> = ready.split(' ').map(str::to_owned).collect();
    let _other = Worker::start(&cluster, "b", &http(&words[4]));
    let mut follower = cluster.submit(&format!("{public},{}", http(&words[2])));
    cluster.assert_ended_well(&mut follower);
    let jobs = cluster.place.json(&format!("jobs --server {}", http(&words[2])));
    assert_eq!(jobs.as_array().unwrap().len(), 1, "{jobs}");
    // One that comes back waits in its turn.
    let [listen, worker_listen, http_listen] = addresses;
    let ports = format!("--listen {listen} --worker-listen {worker_listen} --http-listen {http_listen}");
    let (mut back, lines) =
        spawn(cluster.place.command(&format!("supervisor {} {SUPERVISES} {ports}", cluster.options)));
    assert!(wait_for(&lines, "waiting for office", Duration::from_secs(60)).is_some());
    for child in [&mut second, &mut back] {
        signal(child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    client.kill();
}

/// It believes itself in office until its next write, or its next look at the lease.
#[test]
fn a_supervisor_that_slept_past_its_term_changes_nothing_and_waits_in_its_turn() {
    let cluster = Cluster::new();
    let ports = "--listen 127.0.0.1:0 --worker-listen 127.0.0.1:0 --http-listen 127.0.0.1:0";
    let start = || spawn(cluster.place.command(&format!("supervisor {} {SUPERVISES} {ports}", cluster.options)));
    let addresses = |ready: String| {
        let words: Vec<&str> = ready.split(' ').collect();
        (http(words[2]), http(words[4]))
    };
    let (mut first, first_says) = start();
    let within = Duration::from_secs(60);
    let (public_1, workers_1) = addresses(wait_for(&first_says, "ready ", within).expect("the first is in office"));
    let (mut second, second_says) = start();
    assert!(wait_for(&second_says, "waiting for office", within).is_some());
    let _worker = Worker::start(&cluster, "a", &workers_1);
    let mut client = cluster.submit(&public_1);
    cluster.wait_for_the_middle(&mut client, 0);
    signal(&first, "STOP");
    let (public_2, workers_2) = addresses(wait_for(&second_says, "ready ", within).expect("the second takes over"));
    signal(&first, "CONT");
    assert!(wait_for(&first_says, "another supervisor is in office", within).is_some(), "the first hears of it");
    let _other = Worker::start(&cluster, "b", &workers_2);
    let mut follower = cluster.submit(&format!("{public_1},{public_2}"));
    cluster.assert_ended_well(&mut follower);
    for child in [&mut first, &mut second] {
        signal(child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    client.kill();
}

/// A contract may name rows that panic and rows that end the process.
#[cfg(feature = "test-hooks")]
#[test]
fn a_shard_that_kills_its_workers_is_set_aside_and_all_else_is_done() {
    use crate::support::THINGS;

    const DEADLY: usize = 1500;
    let cluster = Cluster::new();
    let place = &cluster.place;
    let hooks = "[limits]\nmax_reject_ratio = 1\n[test_hooks]\npanic_on = \"it panics\"\nabort_on = \"it kills\"\n";
    place.write("things.toml", format!("{THINGS}{hooks}"));
    let name = |n: usize| match n {
        700 => "it panics",
        DEADLY => "it kills",
        _ => "as it should be",
    };
    let rows = (0..3000).map(|n| format!("{n:06},{},{}\n", name(n), n % 100));
    place.write("things.csv", "id,name,score\n".to_owned() + &rows.collect::<String>());

    let supervisor = cluster.supervisor();
    let [public, link, _] = supervisor.addresses.clone().map(|a| http(&a));
    let submit = "submit csv things.csv --contract things.toml --shard-bytes 2048 --wait --output json";
    let mut client = Running::spawn(place.command(&format!("{submit} --server {public}")));
    // Workers are busy with it, too, and what they hold of it goes down with them.
    let mut beside = cluster.submit(&public);
    let mut workers: Vec<Worker> = ["a", "b"].map(|name| Worker::spawn(&cluster, name, &link)).into();
    let mut deaths = 0;
    poll("the job is over", || {
        for worker in &mut workers {
            if !worker.is_running() {
                deaths += 1;
                *worker = Worker::spawn(&cluster, &format!("next{deaths}"), &link);
            }
        }
        !client.is_running() && !beside.is_running()
    });
    println!("{deaths} workers were killed");
    let run = beside.wait_for_end();
    assert_eq!((run.code, &run.json()["rows"]), (Some(0), &12_000.into()), "{}{}", run.out, run.err);
    let run = client.wait_for_end();
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    assert!(deaths >= 3, "{deaths} workers were killed");
    let report = run.json();
    assert_eq!(report["rejected_by_rule"]["row.panic"], 1, "{report}");
    let options = cluster.servers.options();
    let silver = place.run(&format!("export silver:things {options} --to silver.csv"));
    assert_eq!(silver.code, Some(0), "{}", silver.err);
    let silver = std::fs::read_to_string(place.path("silver.csv")).unwrap();
    let ids: Vec<usize> = silver.lines().skip(1).map(|row| row[..6].parse().unwrap()).collect();
    let lost: Vec<usize> = (0..3000).filter(|n| ids.binary_search(n).is_err()).collect();
    // The row that panicked, and the shard of the row that kills: some hundred rows in a row.
    let (panicked, aside) = lost.split_first().unwrap();
    assert_eq!(*panicked, 700);
    assert!(aside.contains(&DEADLY) && aside.len() <= 2048 / 20, "{aside:?}");
    assert!(aside.windows(2).all(|pair| pair[1] == pair[0] + 1), "{aside:?}");
    let verified = place.run(&format!("verify {options}"));
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_cut_slow_or_dumb_cost_time_only() {
    let cluster = Cluster::new();
    let supervisor = tokio::task::block_in_place(|| cluster.supervisor());
    let [public, workers, _] = supervisor.addresses.clone();
    let proxy = TcpProxy::start(workers.parse().unwrap()).await.unwrap();
    let through = http(&proxy.addr().to_string());
    tokio::task::block_in_place(|| {
        let _near = Worker::start(&cluster, "far", &through);
        let mut client = cluster.submit(&http(&public));
        let rows = cluster.wait_for_the_middle(&mut client, 0);
        proxy.cut();
        let rows = cluster.wait_for_the_middle(&mut client, rows);
        proxy.set_delay(Duration::from_millis(40));
        // A heartbeat, where there is nothing else to say.
        poll("something is delayed", || proxy.counts().delayed > 0);
        let rows = cluster.wait_for_the_middle(&mut client, rows);
        proxy.set_delay(Duration::ZERO);
        // What one side says still arrives, and what the other says does not.
        proxy.set_gate(Gate::OneWay);
        let dumb = Instant::now();
        poll("the link is dumb for a while", || {
            dumb.elapsed() > Duration::from_secs(6) && proxy.counts().held_back > 0
        });
        proxy.set_gate(Gate::Open);
        cluster.wait_for_the_middle(&mut client, rows);
        cluster.assert_ended_well(&mut client);
    });
    let counts = proxy.counts();
    assert!(counts.cut > 0 && counts.delayed > 0 && counts.held_back > 0 && counts.connected > 1, "{counts:?}");
}

#[test]
fn a_worker_that_is_told_to_stop_finishes_and_others_go_on() {
    let cluster = Cluster::new();
    let supervisor = cluster.supervisor();
    let [public, workers, _] = supervisor.addresses.clone().map(|a| http(&a));
    let mut leaving = Worker::start(&cluster, "leaving", &workers);
    let _staying = Worker::start(&cluster, "staying", &workers);
    let mut client = cluster.submit(&public);
    cluster.wait_for_the_middle(&mut client, 0);
    signal(&leaving.child, "TERM");
    let told = Instant::now();
    assert_eq!(leaving.child.wait().unwrap().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(20), "within its grace period");
    cluster.assert_ended_well(&mut client);
}
