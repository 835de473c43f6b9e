//! What cannot be started says why, soon, and with exit code 2.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use crate::{places::Servers, support::Place};

/// No start that is bound to fail takes longer.
const SOON: Duration = Duration::from_secs(15);

#[track_caller]
fn refused(options: &str, variables: &[(&str, &str)], message: &str) {
    let place = Place::with_things();
    place.write("things.csv", "id,name,score\n1,a,1\n");
    let mut command = place.command(&format!("run --contract things.toml {options} things.csv"));
    command.envs(variables.iter().copied());
    let begun = Instant::now();
    let run = crate::support::Running::spawn(command).wait();
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    run.says(2, message);
}

#[test]
fn a_database_that_nobody_serves_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    refused(&format!("--store mongodb://127.0.0.1:{port}/x --events none"), &[], &format!("127.0.0.1:{port}"));
}

#[test]
fn a_host_that_is_unknown_is_named() {
    refused("--store mongodb://no-such-host.invalid/x --events none", &[], "no-such-host.invalid");
}

#[test]
fn a_database_that_never_answers_is_given_up() {
    // It accepts connections, and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    refused(&format!("--store mongodb://{address}/x --events none"), &[], &address.to_string());
}

#[test]
fn tls_to_a_plain_port_is_told() {
    let servers = Servers::named();
    let uri = servers.server_uri();
    let joint = if uri.contains('?') { "&" } else { "?" };
    refused(&format!("--store {uri}{joint}tls=true --events none"), &[], "TLS");
}

#[test]
fn a_password_is_never_repeated() {
    let servers = Servers::named();
    let (scheme, rest) = servers.server_uri().split_once("://").unwrap();
    let uri = format!("{scheme}://me:hush-hush@{rest}");
    let place = Place::with_things();
    place.write("things.csv", "id,name,score\n1,a,1\n");
    let run = place.run(&format!("run --contract things.toml --store {uri} --events none things.csv"));
    assert_eq!(run.code, Some(2), "{}{}", run.out, run.err);
    assert!(!run.err.contains("hush-hush"), "{}", run.err);
}

#[test]
fn events_need_a_place_beside_mongodb() {
    let servers = Servers::named();
    refused(&format!("--store {}", servers.server_uri()), &[], "--events");
}

#[test]
fn brokers_that_nobody_serves_are_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let variables = [("ENSEMBLE__KAFKA__CONNECT_TIMEOUT_MS", "5000")];
    refused(&format!("--store store --events kafka://127.0.0.1:{port}"), &variables, &format!("127.0.0.1:{port}"));
}

#[test]
fn a_topic_that_must_not_be_made_is_named() {
    let servers = Servers::named();
    let topic = format!("{}.spotify.tracks", servers.name);
    refused(&servers.options(), &[("ENSEMBLE__KAFKA__CREATE_TOPICS", "false")], &topic);
}

#[test]
fn migrate_makes_a_database_ready_and_again() {
    let (servers, place) = (Servers::named(), Place::new());
    for _ in 0..2 {
        let run = place.run(&format!("migrate {}", servers.options()));
        run.says(0, "is ready");
    }
}
