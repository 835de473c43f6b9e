//! Stores that are absent, in use, or of another contract.

use crate::support::{Place, THINGS};

const NOBODY: &str = "01234567-89ab-7def-8123-456789abcdef";

#[test]
fn a_store_that_is_absent_is_not_made_by_reading_it() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    for store in ["s", "empty"] {
        for command in [
            "jobs".to_owned(),
            "gold".to_owned(),
            "rejects".to_owned(),
            "export silver --to x.csv".to_owned(),
            "verify".to_owned(),
            format!("jobs get {NOBODY}"),
            format!("jobs cancel {NOBODY}"),
        ] {
            let run = place.run(&format!("{command} --store {store}"));
            run.says(
                2,
                &format!("there is no store at {store}; name the store with --store, or fill one with: ensemble run"),
            );
        }
    }
    assert!(!place.exists("s") && !place.exists("x.csv"));
    assert_eq!(std::fs::read_dir(place.path("empty")).unwrap().count(), 0);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let place = Place::with_things();
    std::fs::create_dir(place.path("s")).unwrap();
    place.write("s/novel.txt", "Call me Ishmael");
    place.write("in.csv", "id\n1\n");
    let message = "s is not a store of this program: it holds novel.txt";
    place.run("jobs --store s").says(2, message);
    place.run("run in.csv --contract things.toml --store s").says(2, message);
    assert_eq!(std::fs::read_dir(place.path("s")).unwrap().count(), 1);
}

#[test]
fn a_store_in_use_is_named_and_its_jobs_cannot_be_steered() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n1,a,1\n");
    let rows: String = (0..10_000).map(|i| format!("{i},a,1\n")).collect();
    let command = place.command("run - --contract things.toml --store s --output json --shard-bytes 4096");
    let mut holder = place.start_job(command, "s", &format!("id,name,score\n{rows}"));
    let message = "the store s is in use by another process; wait for it to end, or name another store with --store";
    for command in
        ["jobs", "gold", "rejects", "verify", "export silver --to x.csv", "run in.csv --contract things.toml"]
    {
        place.run(&format!("{command} --store s")).says(2, message);
    }
    for action in ["pause", "resume", "cancel"] {
        let run = place.run(&format!("jobs {action} {NOBODY} --store s"));
        run.says(2, "can be steered only through a server");
    }
    assert!(holder.is_running());
    holder.feed("one more,b,2\n");
    let run = holder.wait();
    assert_eq!((run.code, run.json()["accepted"].as_u64()), (Some(0), Some(10_001)), "{}", run.err);
    place.assert_verified("s");
}

#[test]
fn a_store_of_another_contract_refuses_a_changed_one() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n1,a,1\n");
    place.json("run in.csv --contract things.toml --store s");
    for (from, to, what) in [
        ("type = \"int\"", "type = \"float\"", "its columns"),
        ("keep = \"first\"", "keep = \"last\"", "its keep"),
        ("score/10", "score/20", "its views"),
    ] {
        place.write("other.toml", THINGS.replace(from, to));
        let message =
            format!("the silver collection things of this store was built under another contract ({what} differ)");
        place.run("run in.csv --contract other.toml --store s").says(2, &message);
    }
    // Another rule is no other layout, and the key is there already.
    place.write("other.toml", THINGS.replace("0..=100", "0..=50"));
    assert_eq!(place.json("run in.csv --contract other.toml --store s")["duplicates"], 1);
}

#[test]
fn two_contracts_of_a_store_share_no_view() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n1,a,1\n2,b,11\n");
    place.json("run in.csv --contract things.toml --store s");
    let others = THINGS.replace("\"things\"", "\"others\"");
    place.write("others.toml", &others);
    place.run("run in.csv --contract others.toml --store s").says(
        2,
        "by_score is to be a view of others, and in this store it is a view of things; rename it in the contract, or \
         name another store with --store",
    );
    // What was refused has left nothing behind.
    place.write("others.toml", others.replace("by_score", "others_by_score"));
    assert_eq!(place.json("run in.csv --contract others.toml --store s")["accepted"], 2);
    place.assert_verified("s");
    let silver_as_view = others.replace("by_score", "things").replace("silver = \"others\"", "silver = \"third\"");
    place.write("others.toml", silver_as_view);
    place
        .run("run in.csv --contract others.toml --store s")
        .says(2, "things is to be a view of third, and in this store it is a silver collection");
}

#[test]
fn names_that_a_store_does_not_have_are_told_with_those_that_it_has() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n1,a,1\n");
    place.json("run in.csv --contract things.toml --store s");
    place
        .run("gold by_scor --store s")
        .says(2, "there is no view \"by_scor\"; did you mean \"by_score\"? The store has: by_score");
    place.run("export gold:x --store s --to x.csv").says(2, "there is no view \"x\". The store has: by_score");
    place.run("export silver:thing --store s --to x.csv").says(2, "did you mean \"things\"?");
    place.run("export bronze --store s --to x.csv").says(2, "cannot export \"bronze\"; name silver, silver:COLLECTION");
    for command in ["jobs get", "jobs pause", "jobs resume", "jobs cancel", "rejects", "verify"] {
        place.run(&format!("{command} {NOBODY} --store s")).says(2, &format!("the store has no job {NOBODY}"));
    }
    place.run("export silver --store s --to .").says(2, ". is a directory; name a file that ends in .parquet or .csv");
    place
        .run("export silver --store s --to x.xlsx")
        .says(2, "x.xlsx does not tell its format; name a file that ends in");
    place.run("export silver --store s --to no/x.csv").says(2, "cannot write no/x.csv: ");
    std::fs::create_dir(place.path("d.csv")).unwrap();
    place.run("export silver --store s --to d.csv").says(2, "cannot write d.csv: it is a directory; name a file");
}
