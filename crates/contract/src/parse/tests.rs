use super::*;
use crate::model::{Bound, ColumnType, GroupBy, Normalise, Range};

#[test]
fn the_built_in_contract_is_read() {
    let contract = Contract::parse(crate::builtin("tracks").unwrap(), "tracks.toml").unwrap();
    let names: Vec<&str> = contract.columns.iter().map(|c| c.name.as_str()).collect();
    let views: Vec<&str> = contract.views.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(contract.name, "tracks");
    assert_eq!(contract.key, 0);
    assert_eq!(contract.keep, Keep::First);
    assert_eq!((contract.silver.as_str(), contract.bronze.as_str()), ("spotify_clean", "spotify_raw"));
    assert_eq!(contract.unknown_columns, UnknownColumns::Ignore);
    assert_eq!(contract.limits, Limits { max_reject_ratio: 0.05, after_rows: 10_000 });
    assert_eq!(names.len(), 21);
    assert_eq!(names[..4], ["track_id", "track_name", "artist_name", "album_name"]);
    assert_eq!(names[18..], ["tempo", "duration_ms", "time_signature"]);
    assert_eq!(
        views,
        [
            "analytics_genre_stats",
            "analytics_yearly_trends",
            "mood_map",
            "popularity_distribution",
            "duration_distribution",
            "correlations"
        ]
    );
    let tempo = &contract.columns[18];
    assert_eq!(
        tempo.range,
        Some(Range {
            low: Some(Bound { float: 0.0, nano: 0 }),
            low_open: true,
            high: Some(Bound { float: 1000.0, nano: 1_000_000_000_000 }),
            high_open: false,
        })
    );
    assert_eq!(contract.columns[0].normalise, [Normalise::SpotifyId]);
    assert_eq!(contract.columns[7].from, ["explicit"]);
    assert_eq!(contract.columns[7].null_tokens, [""]);
    let valence = contract.column_index("valence").unwrap();
    assert_eq!(contract.views[2].by[0], GroupBy { column: valence, bin_nano: Some(50_000_000) });
    assert_eq!(contract.views[5].correlate.len(), 11);
}

#[test]
fn a_text_is_known_by_its_sha_256() {
    let text = "name = \"t\"\nkey = \"id\"\n[columns]\nid = { type = \"string\", required = true }\n";
    let contract = Contract::parse(text, "t.toml").unwrap();
    assert_eq!(contract.hash, "3e22253a25f1015a94eb6983673006638156e38bc81d361c75327578daba0ab2");
    assert_eq!(contract.text, text);
    assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = r#"
        columns.id = { type = "int", required = true }
        columns.a.type = "date"
        key = "id"
        name = "my-rows"
    "#;
    let contract = Contract::parse(text, "t.toml").unwrap();
    assert_eq!((contract.silver.as_str(), contract.bronze.as_str()), ("my-rows", "my-rows_raw"));
    assert_eq!(contract.keep, Keep::First);
    assert_eq!(contract.unknown_columns, UnknownColumns::Ignore);
    assert_eq!(contract.limits, Limits { max_reject_ratio: 0.05, after_rows: 10_000 });
    assert!(contract.views.is_empty());
    let a = &contract.columns[1];
    assert_eq!((a.name.as_str(), a.ty, a.required), ("a", ColumnType::Date, false));
    assert_eq!((a.from.as_slice(), a.null_tokens.as_slice()), (&["a".to_owned()][..], &[String::new()][..]));
}

#[test]
fn null_tokens_of_a_column_replace_those_of_the_contract() {
    let text = r#"
        name = "t"
        key = "id"
        null_tokens = ["", "-"]
        [columns.id]
        type = "string"
        required = true
        [columns.b]
        type = "string"
        null_tokens = ["NA"]
    "#;
    let contract = Contract::parse(text, "t.toml").unwrap();
    assert_eq!(contract.columns[0].null_tokens, ["", "-"]);
    assert_eq!(contract.columns[1].null_tokens, ["NA"]);
}

#[test]
fn ranges_are_read_by_their_grammar() {
    let shape = |text: &str| {
        range::parse(text).map(|r| (r.low.map(|b| b.nano), r.low_open, r.high.map(|b| b.nano), r.high_open))
    };
    let n = 1_000_000_000;
    for (text, expected) in [
        ("0..=1", (Some(0), false, Some(n), false)),
        ("0<..=1", (Some(0), true, Some(n), false)),
        ("0..<1", (Some(0), false, Some(n), true)),
        ("0<..<1", (Some(0), true, Some(n), true)),
        ("0..", (Some(0), false, None, false)),
        ("0<..", (Some(0), true, None, false)),
        ("..=1", (None, false, Some(n), false)),
        ("..<1", (None, false, Some(n), true)),
        ("..", (None, false, None, false)),
        ("-60..=-0.5", (Some(-60 * n), false, Some(-n / 2), false)),
        (" 1e3 ..= 2E3 ", (Some(1000 * n), false, Some(2000 * n), false)),
        ("5..=5", (Some(5 * n), false, Some(5 * n), false)),
    ] {
        assert_eq!(shape(text), Ok(expected), "{text}");
    }
    use crate::error::RangeProblem::{BadBound, NoDots, NoHigh, NoLow, Nothing, UndecidedHigh};
    for (text, problem) in [
        ("", NoDots),
        ("0-1", NoDots),
        ("0.=1", NoDots),
        ("0..1", UndecidedHigh),
        ("0<..1", UndecidedHigh),
        ("0..>1", UndecidedHigh),
        ("0..=", NoHigh),
        ("0..<", NoHigh),
        ("<..=1", NoLow),
        ("a..=1", BadBound),
        ("0..=one", BadBound),
        ("0..==1", BadBound),
        ("0...=1", UndecidedHigh),
        ("0..=1e-10", BadBound),
        ("0..=1e40", BadBound),
        ("inf..", BadBound),
        ("2..=1", Nothing),
        ("1..<1", Nothing),
        ("1<..=1", Nothing),
    ] {
        assert_eq!(shape(text), Err(problem), "{text}");
    }
}

/// The message for a contract of a key column and one more, `x`.
fn complaint(x: &str) -> String {
    let head = "name = \"t\"\nkey = \"id\"\n[columns]\nid = { type = \"string\", required = true }\n";
    Contract::parse(&format!("{head}x = {{ {x} }}"), "t.toml").map(drop).unwrap_err().to_string()
}

#[test]
fn a_column_error_names_its_place_and_what_was_meant() {
    for (x, message) in [
        (r#"type = "flaot""#, r#"t.toml:5:14: unknown type "flaot" of column x; did you mean "float"?"#),
        (
            r#"type = "blob""#,
            r#"t.toml:5:14: unknown type "blob" of column x; it is one of string, int, float, bool, year, date, timestamp"#,
        ),
        (r#"typ = "float""#, r#"t.toml:5:7: unknown key "typ" in column x; did you mean "type"?"#),
        (r#"required = true"#, r#"t.toml:5:1: column x lacks "type""#),
        (r#"type = 3"#, r#"t.toml:5:14: "type" of column x is an integer; it has to be a string"#),
        (
            r#"type = "int", required = "yes""#,
            r#"t.toml:5:32: "required" of column x is a string; it has to be true or false"#,
        ),
        (
            r#"type = "string", normalise = ["titlecase"]"#,
            r#"t.toml:5:37: unknown normaliser "titlecase" of column x; did you mean "title_case"?"#,
        ),
        (
            r#"type = "string", range = "0..=1""#,
            r#"t.toml:5:24: "range" makes no sense for column x of type string; it is for int, float and year"#,
        ),
        (
            r#"type = "int", pattern = "a""#,
            r#"t.toml:5:21: "pattern" makes no sense for column x of type int; it is for string, date and timestamp"#,
        ),
        (
            r#"type = "year", max_length = 4"#,
            r#"t.toml:5:22: "max_length" makes no sense for column x of type year; it is for string"#,
        ),
        (
            r#"type = "bool", one_of = ["true"]"#,
            r#"t.toml:5:22: "one_of" makes no sense for column x of type bool; it is for string, int, year, date and timestamp"#,
        ),
        (r#"type = "int", one_of = [1, "a"]"#, r#"t.toml:5:34: "a" in "one_of" of column x is no int"#),
        (
            r#"type = "int", one_of = []"#,
            r#"t.toml:5:30: "one_of" of column x is empty; leave it out or name at least one"#,
        ),
        (
            r#"type = "string", max_length = 0"#,
            r#"t.toml:5:37: "max_length" of column x is out of bounds; it has to be 1 or more"#,
        ),
        (
            r#"type = "int", range = "0..1""#,
            r#"t.toml:5:29: bad range "0..1" of column x: say whether the upper bound belongs to it: ..= or ..<"#,
        ),
        (
            r#"type = "int", range = "9..=1""#,
            r#"t.toml:5:29: bad range "9..=1" of column x: nothing is inside; the lower bound has to be below the upper one"#,
        ),
        (r#"type = "string", pattern = "a(""#, r#"t.toml:5:34: bad pattern of column x: unclosed group"#),
        (r#"type = "string", pattern = "a)|(b""#, r#"t.toml:5:34: bad pattern of column x: unopened group"#),
        (
            r#"type = "string", from = ["x", "id"]"#,
            r#"t.toml:5:1: columns id and x both take the header name "id"; a header name feeds one column"#,
        ),
        (r#"type = "string", from = ["y", "y"]"#, r#"t.toml:5:37: "y" stands twice in "from" of column x"#),
        (
            r#"type = "string", from = [" y"]"#,
            r#"t.toml:5:32: header name " y" of column x is empty or has white space at its ends, so that no header matches it"#,
        ),
        (
            r#"type = "string", from = []"#,
            r#"t.toml:5:31: "from" of column x is empty; leave it out or name at least one"#,
        ),
        (
            r#"type = "string", null_tokens = "NA""#,
            r#"t.toml:5:38: "null_tokens" of column x is a string; it has to be a list of strings"#,
        ),
    ] {
        assert_eq!(complaint(x), message, "{x}");
    }
}

#[test]
fn a_contract_error_names_its_place_and_what_was_meant() {
    let columns = "[columns]\nid = { type = \"string\", required = true }\nf = { type = \"float\" }\n";
    let head = "name = \"t\"\nkey = \"id\"\n";
    for (text, message) in [
        ("name = ".to_owned(), "t.toml:1:8: not TOML: string values must be quoted, expected literal string"),
        (
            format!("{head}colums = 1\n"),
            "t.toml:3:1: unknown key \"colums\" in the contract; did you mean \"columns\"?",
        ),
        (format!("key = \"id\"\n{columns}"), "t.toml:1:1: the contract lacks \"name\""),
        (format!("name = \"t\"\n{columns}"), "t.toml:1:1: the contract lacks \"key\""),
        (head.to_owned(), "t.toml:1:1: the contract lacks \"columns\""),
        (
            format!("{head}columns = 3\n"),
            "t.toml:3:11: \"columns\" of the contract is an integer; it has to be a table",
        ),
        (format!("{head}[columns]\n"), "t.toml:3:2: a contract needs at least one column"),
        (
            format!("name = \"My rows\"\nkey = \"id\"\n{columns}"),
            "t.toml:1:8: \"My rows\" cannot be the name of a contract: only a-z, 0-9, _ and - are allowed, and at least one",
        ),
        (
            format!("name = \"t\"\nkey = \"idd\"\n{columns}"),
            "t.toml:2:7: unknown column \"idd\" in \"key\" of the contract; did you mean \"id\"?",
        ),
        (
            format!("name = \"t\"\nkey = \"f\"\n{columns}"),
            "t.toml:2:7: the key column f is not required; add \"required = true\", as a row without a key has no place",
        ),
        (
            format!("{head}keep = \"lats\"\n{columns}"),
            "t.toml:3:8: unknown keep \"lats\" of the contract; did you mean \"last\"?",
        ),
        (
            format!("{head}unknown_columns = \"kep\"\n{columns}"),
            "t.toml:3:19: unknown treatment \"kep\" of the contract; did you mean \"keep\"?",
        ),
        (
            format!("{head}silver = \"a.b\"\n{columns}"),
            "t.toml:3:10: \"a.b\" cannot be the name of a collection: only letters, digits, _ and - are allowed, 1 to 100 of them",
        ),
        (
            format!("{head}silver = \"ensemble_jobs\"\n{columns}"),
            "t.toml:3:10: \"ensemble_jobs\" cannot be the name of a collection: names that begin with ensemble_ are kept for the program itself",
        ),
        (
            format!("{head}bronze = \"rejected_rows\"\n{columns}"),
            "t.toml:3:10: \"rejected_rows\" cannot be the name of a collection: the dead letters of all contracts are there",
        ),
        (
            format!("{head}silver = \"s\"\nbronze = \"s\"\n{columns}"),
            "t.toml:4:10: \"s\" is taken already, by silver; every collection needs a name of its own",
        ),
        (
            format!("{head}{columns}_id = {{ type = \"int\" }}"),
            "t.toml:6:1: \"_id\" cannot be the name of a column: silver's documents or the row rules use it themselves",
        ),
        (
            format!("{head}{columns}\"a b\" = {{ type = \"int\" }}"),
            "t.toml:6:1: \"a b\" cannot be the name of a column: only letters, digits and _ are allowed, and no digit first",
        ),
        (
            format!("{head}{columns}[limits]\nmax_reject_ratio = 5\n"),
            "t.toml:7:20: \"max_reject_ratio\" of [limits] is out of bounds; it has to be from 0 to 1",
        ),
        (
            format!("{head}{columns}[limits]\nafter_rows = -1\n"),
            "t.toml:7:14: \"after_rows\" of [limits] is out of bounds; it has to be 0 or more",
        ),
        (
            format!("{head}{columns}[limits]\nmax_rejects = 1\n"),
            "t.toml:7:1: unknown key \"max_rejects\" in [limits]; it is one of max_reject_ratio, after_rows",
        ),
        (format!("{head}{columns}f = 1\n"), "t.toml:6:1: not TOML: duplicate key"),
    ] {
        let error = Contract::parse(&text, "t.toml").map(drop).unwrap_err();
        assert_eq!(error.to_string(), message, "{text}");
    }
}

/// The message for a view `v` over columns of every kind.
fn view_complaint(view: &str) -> String {
    let text = format!(
        r#"name = "t"
key = "id"
silver = "clean"
[columns]
id = {{ type = "string", required = true }}
pop = {{ type = "int", range = "0..=100" }}
loose = {{ type = "float" }}
half = {{ type = "int", range = "0.." }}
tempo = {{ type = "float", range = "0<..=1000" }}
wide = {{ type = "float", range = "0..=14000" }}
[gold]
{view}"#
    );
    Contract::parse(&text, "t.toml").map(drop).unwrap_err().to_string()
}

#[test]
fn a_view_error_names_its_place_and_what_was_meant() {
    for (view, message) in [
        (r#"v = { by = ["popp"] }"#, r#"t.toml:12:13: unknown column "popp" in "by" of view v; did you mean "pop"?"#),
        (
            r#"v = { by = ["id"], measures = ["temp"] }"#,
            r#"t.toml:12:32: unknown column "temp" in "measures" of view v; did you mean "tempo"?"#,
        ),
        (
            r#"v = { measures = ["id"] }"#,
            r#"t.toml:12:19: view v cannot sum column id of type string; "measures" takes int, float and year"#,
        ),
        (
            r#"v = { measures = ["pop", "loose"] }"#,
            r#"t.toml:12:26: view v needs bounds on column loose; give the column a range with both ends, such as "0..=100""#,
        ),
        (
            r#"v = { correlate = ["pop", "half"] }"#,
            r#"t.toml:12:27: view v needs bounds on column half; give the column a range with both ends, such as "0..=100""#,
        ),
        (
            r#"v = { measures = ["wide"] }"#,
            r#"t.toml:12:19: view v cannot sum column wide: with its range, squares of 10^12 rows do not fit 128 bits; narrow it"#,
        ),
        (r#"v = { measures = ["pop", "pop"] }"#, r#"t.toml:12:26: "pop" stands twice in "measures" of view v"#),
        (r#"v = { by = ["id", "id"] }"#, r#"t.toml:12:19: "id" stands twice in "by" of view v"#),
        (
            r#"v = { measures = ["pop"], correlate = ["pop", "tempo"] }"#,
            r#"t.toml:12:27: "measures" and "correlate" stand together in view v; make two views of it"#,
        ),
        (r#"v = { correlate = ["pop"] }"#, r#"t.toml:12:19: "correlate" of view v needs at least two columns"#),
        (
            r#"v = { by = ["tempo"] }"#,
            r#"t.toml:12:13: view v groups by the float column tempo itself; group by bins, such as "tempo/0.05""#,
        ),
        (
            r#"v = { by = ["tempo/0"] }"#,
            r#"t.toml:12:13: bad bin "tempo/0" of view v: the width has to be a positive decimal with at most nine places"#,
        ),
        (
            r#"v = { by = ["pop/1e-10"] }"#,
            r#"t.toml:12:13: bad bin "pop/1e-10" of view v: the width has to be a positive decimal with at most nine places"#,
        ),
        (
            r#"v = { by = ["id/5"] }"#,
            r#"t.toml:12:13: view v cannot bin column id of type string; bins are for int, float and year"#,
        ),
        (
            r#"v = { by = ["loose/5"] }"#,
            r#"t.toml:12:13: view v needs bounds on column loose; give the column a range with both ends, such as "0..=100""#,
        ),
        (
            r#"v = { by = ["half/0.5"] }"#,
            r#"t.toml:12:13: bad bin "half/0.5" of view v: column half has more bins than 64 bits can number; give it wider bins or a range with both ends"#,
        ),
        (r#"v = { buy = ["id"] }"#, r#"t.toml:12:7: unknown key "buy" in view v; did you mean "by"?"#),
        (r#"v = 1"#, r#"t.toml:12:5: "v" of [gold] is an integer; it has to be a table"#),
        (
            r#"clean = { by = ["id"] }"#,
            r#"t.toml:12:1: "clean" is taken already, by silver or bronze; every collection needs a name of its own"#,
        ),
        (
            r#"spotify_raw = { by = ["id"] }"#,
            r#"t.toml:12:1: "spotify_raw" is taken already, by silver or bronze; every collection needs a name of its own"#,
        ),
        (
            r#"rejected_rows = { by = ["id"] }"#,
            r#"t.toml:12:1: "rejected_rows" cannot be the name of a view: the dead letters of all contracts are there"#,
        ),
    ] {
        assert_eq!(view_complaint(view), message, "{view}");
    }
}

#[test]
fn a_column_at_the_edge_of_what_sums_hold_is_allowed() {
    let sums = |high: &str| {
        let text = format!(
            "name = \"t\"\nkey = \"id\"\n[columns]\nid = {{ type = \"int\", required = true, range = \"{high}\" }}\n[gold]\nv = {{ measures = [\"id\"] }}"
        );
        Contract::parse(&text, "t.toml").is_ok()
    };
    // (13,043,817,825,332)² × 10^12 is the last to fit 2^127 − 1.
    assert!(sums("0..=13043817825332"));
    assert!(!sums("0..=13043817825333"));
    assert!(sums("-13043817825331.5..=0"));
    assert!(!sums("-13043817825332.5..=0"));
}

#[test]
fn texts_that_become_keys_are_bounded() {
    let text = r#"
name = "t"
key = "id"
[columns]
id = { type = "string", required = true }
genre = { type = "string", max_length = 5 }
title = { type = "string" }
[gold]
genres = { by = ["genre"] }
"#;
    let contract = Contract::parse(text, "t.toml").unwrap();
    let lengths: Vec<_> = contract.columns.iter().map(|c| c.max_length).collect();
    assert_eq!(lengths, [Some(4096), Some(5), None]);
}
