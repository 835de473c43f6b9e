//! Disks that are full, and disks that cannot be written to: on a file system in memory, in a mount namespace of its
//! own that goes with its processes.

use std::process::{Command, Stdio};

use crate::support::{Place, Running, THINGS};

/// Whether this machine lets a process mount a file system of its own.
fn can_mount(place: &Place) -> bool {
    let script = format!("mount -t tmpfs -o size=1m tmpfs {}", place.path("mnt").display());
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a script in which `$MNT` is a file system of `megabytes` MiB and `$ENSEMBLE` the binary.
fn on_a_disk_of(place: &Place, megabytes: u32, script: &str) -> crate::support::Run {
    let mount = format!("set -e; mount -t tmpfs -o size={megabytes}m tmpfs $MNT; set +e");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &format!("{mount}; {script}")]);
    command.current_dir(place.path("")).env("MNT", place.path("mnt")).env("ENSEMBLE", env!("CARGO_BIN_EXE_ensemble"));
    Running::spawn(command).wait()
}

fn place() -> Place {
    let place = Place::with_things();
    std::fs::create_dir(place.path("mnt")).unwrap();
    place
}

/// The exit codes that a script has told.
fn codes(run: &crate::support::Run) -> Vec<&str> {
    run.err.lines().filter(|line| line.starts_with("code ")).collect()
}

fn json_lines(out: &str) -> Vec<serde_json::Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_full_disk_stops_the_job_and_the_same_command_goes_on_once_there_is_room() {
    let place = place();
    if !can_mount(&place) {
        eprintln!(
            "WARNING: this machine does not let tests mount a file system; a full disk is tested on /dev/full only"
        );
        full_device(&place);
        return;
    }
    place.generate("in.csv", "--rows 30000");
    let script = "
        for size in 6 6 200; do
            mount -o remount,size=${size}m $MNT
            $ENSEMBLE run in.csv --store $MNT/s --output json; echo code $? >&2
        done
        $ENSEMBLE verify --store $MNT/s >&2; echo code $? >&2";
    let run = on_a_disk_of(&place, 6, script);
    assert_eq!(codes(&run), ["code 1", "code 1", "code 0", "code 0"], "{}{}", run.out, run.err);
    let reports = json_lines(&run.out);
    for failed in &reports[..2] {
        let reason = failed["reason"].as_str().unwrap();
        assert!(reason.contains("no space left on the device"), "{reason}");
        assert!(reason.contains("free some space and run the same command again"), "{reason}");
        assert_eq!((&failed["state"], &failed["job"]), (&"failed".into(), &reports[2]["job"]));
    }
    let undisturbed = place.json("run in.csv --store s");
    for field in ["rows", "accepted", "duplicates", "rejected", "rejected_by_rule", "bytes"] {
        assert_eq!(reports[2][field], undisturbed[field], "{field}");
    }
}

/// A supervisor whose disk is full refuses what it cannot keep and says why. With room again, the same commands go on.
#[test]
fn a_full_disk_below_a_supervisor_loses_nothing() {
    let place = place();
    if !can_mount(&place) {
        eprintln!(
            "WARNING: this machine does not let tests mount a file system; a supervisor's full disk is not tested"
        );
        return;
    }
    place.generate("in.csv", "--rows 30000");
    let script = "
        for size in 6 6 200; do
            mount -o remount,size=${size}m $MNT
            : > said
            $ENSEMBLE supervisor --store $MNT/s --listen 127.0.0.1:0 --worker-listen 127.0.0.1:0 \\
                --http-listen 127.0.0.1:0 2> said &
            supervisor=$!
            for i in $(seq 600); do
                grep -q '^ready' said && break
                sleep 0.1
            done
            server=http://$(sed -n 's/^ready [^ ]* \\([^ ]*\\).*/\\1/p' said)
            timeout 30 $ENSEMBLE submit csv in.csv --request-id it --wait --output json --server $server; echo code $? >&2
            kill $supervisor; wait $supervisor
            cat said >&2
        done
        $ENSEMBLE verify --store $MNT/s >&2; echo code $? >&2";
    let run = on_a_disk_of(&place, 6, script);
    assert_eq!(codes(&run), ["code 2", "code 2", "code 0", "code 0"], "{}{}", run.out, run.err);
    let told = "cannot upload in.csv: no space left on the device";
    assert_eq!(run.err.matches(told).count(), 2, "{}", run.err);
    let (report, undisturbed) = (&json_lines(&run.out)[0], place.json("run in.csv --store s"));
    for field in ["state", "rows", "accepted", "duplicates", "rejected", "rejected_by_rule", "bytes"] {
        assert_eq!(report[field], undisturbed[field], "{field}");
    }
}

/// What is left of a full disk where nothing can be mounted: a device that never takes a byte.
fn full_device(place: &Place) {
    let run = Running::spawn({
        let mut command = Command::new("sh");
        let script = format!("{} generate --rows 1000 > /dev/full", env!("CARGO_BIN_EXE_ensemble"));
        command.args(["-c", &script]).current_dir(place.path(""));
        command
    })
    .wait();
    run.says(1, "cannot write to standard output: No space left on device");
}

#[test]
fn standard_output_on_a_full_device_is_an_error() {
    full_device(&place());
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let place = place();
    if !can_mount(&place) {
        eprintln!(
            "WARNING: this machine does not let tests mount a file system; a store without leave to write is NOT tested"
        );
        return;
    }
    place.write("in.csv", "id,name,score\n1,a,1\n");
    place.write("things.toml", THINGS);
    let script = "
        $ENSEMBLE run in.csv --contract things.toml --store $MNT/s >/dev/null; echo code $? >&2
        mount -o remount,ro $MNT
        for store in s new; do
            $ENSEMBLE run in.csv --contract things.toml --store $MNT/$store; echo code $? >&2
        done
        $ENSEMBLE gold --store $MNT/s; echo code $? >&2";
    let run = on_a_disk_of(&place, 100, script);
    assert_eq!(codes(&run), ["code 0", "code 2", "code 2", "code 2"], "{}", run.err);
    let errors: Vec<&str> = run.err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|e| e.ends_with("Read-only file system (os error 30)")), "{errors:?}");
    assert!(errors[1].contains("mnt/new"), "{}", errors[1]);
}
