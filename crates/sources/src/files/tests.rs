use std::{fs, path::PathBuf};

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(names: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in names {
            fs::write(folder.path(name), "a\n1\n").unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn resolve(&self, args: &[&str]) -> Result<Vec<String>, String> {
        let in_folder = |arg: &&str| if *arg == "-" { "-".to_owned() } else { self.path(arg).display().to_string() };
        let args: Vec<String> = args.iter().map(in_folder).collect();
        let prefix = format!("{}/", self.0.path().display());
        match resolve(&args) {
            Ok(inputs) => Ok(inputs.iter().map(|input| input.name().replace(&prefix, "")).collect()),
            Err(e) => Err(e.to_string().replace(&prefix, "")),
        }
    }
}

#[test]
fn patterns_stand_for_their_matches_in_byte_order() {
    let folder = Folder::new(&["b.csv", "B.csv", "a.csv", "é.csv", "z.txt", ".hidden.csv", "a[1].csv"]);
    assert_eq!(folder.resolve(&["*.csv"]).unwrap(), ["B.csv", "a.csv", "a[1].csv", "b.csv", "é.csv"]);
    assert_eq!(folder.resolve(&["z.txt", "?.csv"]).unwrap(), ["z.txt", "B.csv", "a.csv", "b.csv", "é.csv"]);
    assert_eq!(folder.resolve(&["[ab].csv"]).unwrap(), ["a.csv", "b.csv"]);
    assert_eq!(folder.resolve(&["a[1].csv"]).unwrap(), ["a[1].csv"]);
    assert_eq!(folder.resolve(&["b.csv", "a.csv"]).unwrap(), ["b.csv", "a.csv"]);
}

#[test]
fn inputs_that_cannot_be_read_are_refused_by_name() {
    let folder = Folder::new(&["a.csv", "b.csv"]);
    fs::create_dir(folder.path("sub")).unwrap();
    std::os::unix::fs::symlink(folder.path("a.csv"), folder.path("link.csv")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    let cases: [(&[&str], &str); 10] = [
        (&[], "no input is named"),
        (&["c.csv"], "c.csv does not exist"),
        (&["c*.csv"], "no file matches c*.csv"),
        (&["[.csv"], "[.csv is not a pattern"),
        (&["sub"], "sub is a directory; name its files, for example sub/*.csv"),
        (&["socket"], "socket is not a regular file"),
        (&["a.csv", "b.csv", "a.csv"], "a.csv is the same file as a.csv"),
        (&["link.csv", "?.csv"], "a.csv is the same file as link.csv"),
        (&["-", "a.csv"], "has to be the only input"),
        (&["-", "-"], "has to be the only input"),
    ];
    for (args, expected) in cases {
        let message = folder.resolve(args).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(folder.resolve(&["-"]).unwrap(), ["standard input"]);
}

#[test]
fn more_files_than_a_job_can_number_are_refused() {
    let folder = Folder::new(&["a.csv"]);
    let args = vec![folder.path("a.csv").display().to_string(); (1 << 15) + 1];
    assert!(matches!(resolve(&args), Err(SourceError::TooManyFiles { .. })));
}

#[test]
fn a_change_of_size_or_time_is_noticed() {
    let folder = Folder::new(&["a.csv"]);
    let path = folder.path("a.csv");
    let file = SourceFile::inspect(path.to_str().unwrap()).unwrap();
    assert_eq!(file.size, 4);
    assert_eq!(file.changed().unwrap(), None);

    let later = fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
    File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let now_us = file.modified_us + 1_000_000;
    assert_eq!(file.changed().unwrap(), Some(Change::Modified { was_us: file.modified_us, now_us }));

    fs::write(&path, "a\n1\n2\n").unwrap();
    assert_eq!(file.changed().unwrap(), Some(Change::Size { was: 4, now: 6 }));

    fs::remove_file(&path).unwrap();
    assert_eq!(file.changed().unwrap(), Some(Change::Gone));
    assert!(matches!(file.open_at(0), Err(SourceError::Changed { change: Change::Gone, .. })));
}

#[test]
fn a_file_is_read_from_any_offset() {
    let folder = Folder::new(&["a.csv"]);
    let file = SourceFile::inspect(folder.path("a.csv").to_str().unwrap()).unwrap();
    assert_eq!(io::read_to_string(file.open_at(2).unwrap()).unwrap(), "1\n");
    assert_eq!(io::read_to_string(file.open_at(9).unwrap()).unwrap(), "");
}
