use proptest::prelude::*;

use super::*;
use crate::row::Float;

const HEAD: &str = "name = \"t\"\nkey = \"id\"\nunknown_columns = \"keep\"\n[columns]\n";

/// A judge of records whose header is exactly the contract's columns.
fn judge_of(columns: &str) -> Judge {
    let contract = Arc::new(Contract::parse(&format!("{HEAD}{columns}"), "t.toml").unwrap());
    let header: Vec<String> = contract.columns.iter().map(|c| c.name.clone()).collect();
    let binding = Binding::new(&contract, &header).unwrap();
    Judge::new(contract, binding)
}

fn spans(fields: &[&[u8]]) -> (Vec<u8>, Vec<Span>) {
    let mut bytes = Vec::new();
    let spans = fields
        .iter()
        .map(|field| {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(field);
            Span { start, end: bytes.len() as u32 }
        })
        .collect();
    (bytes, spans)
}

fn verdict(judge: &Judge, fields: &[&[u8]], out: &mut Vec<u8>) -> Verdict {
    let (bytes, fields) = spans(fields);
    judge.judge(&Record { bytes: &bytes, fields: &fields, utf8: false }, out)
}

/// A value as the tables below write it.
fn shown(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Float(v) => format!("{:?}", v.to_f64()),
        Value::Str(v) => format!("“{v}”"),
    }
}

/// What becomes of `text` in a column `x` that is declared so: the value, or the rule's name.
fn outcome(declaration: &str, text: &str) -> String {
    let judge = judge_of(&format!("id = {{ type = \"string\", required = true }}\nx = {{ {declaration} }}"));
    let mut out = Vec::new();
    match verdict(&judge, &[b"k", text.as_bytes()], &mut out) {
        Verdict::Accepted(accepted) => {
            let mut row = RowRef::new(&out[accepted.row]);
            assert_eq!(row.next_value().unwrap(), Some(Value::Str("k")));
            let value = shown(row.next_value().unwrap().unwrap());
            assert_eq!(row.next_value().unwrap(), None);
            value
        }
        Verdict::Rejected(rejection) => {
            assert!(out.is_empty());
            assert_eq!(rejection.value.as_deref(), Some(text.as_bytes()));
            assert_eq!(rejection.rules.len(), 1);
            assert_eq!(rejection.rules[0].column(), Some("x"));
            rejection.rules[0].name().to_owned()
        }
    }
}

#[test]
fn every_type_standardises_or_names_the_rule() {
    for (declaration, text, expected) in [
        (r#"type = "string""#, " \u{3000}Ab c\u{85}\t", "“Ab c”"),
        (r#"type = "string""#, "NA", "“NA”"),
        (r#"type = "string""#, " \u{a0}", "null"),
        (r#"type = "string", required = true"#, " ", "x.required"),
        (r#"type = "string", normalise = ["title_case"]"#, "o'NEIL the 2ND", "“O'neil The 2nd”"),
        (r#"type = "string", normalise = ["title_case"]"#, "señor ΣΑΣ", "“Señor Σας”"),
        (r#"type = "string", normalise = ["title_case"]"#, "", "null"),
        (r#"type = "string", normalise = ["lower", "collapse_spaces"]"#, "A  \t B", "“a b”"),
        (r#"type = "string", normalise = ["spotify_id"], required = true"#, "spotify:track:", "x.required"),
        (r#"type = "string", normalise = ["spotify_id"]"#, " spotify:track:abc ", "“abc”"),
        (r#"type = "string", null_tokens = ["", "NA"]"#, "NA", "null"),
        (r#"type = "string", null_tokens = ["NA"]"#, "", "“”"),
        (r#"type = "string", normalise = ["upper"], null_tokens = ["", "NA"]"#, "na", "null"),
        (r#"type = "string", normalise = ["upper"], null_tokens = ["", "NA"]"#, "b", "“B”"),
        (r#"type = "string", null_tokens = []"#, "", "“”"),
        (r#"type = "string", one_of = ["a", "b"]"#, "b", "“b”"),
        (r#"type = "string", one_of = ["a", "b"]"#, "c", "x.one_of"),
        (r#"type = "string", one_of = ["a"], normalise = ["lower"]"#, "A", "“a”"),
        (r#"type = "string", pattern = "a|ab""#, "ab", "“ab”"),
        (r#"type = "string", pattern = "a|ab""#, "abc", "x.pattern"),
        (r#"type = "string", pattern = "(?m)^a$""#, "a\nb", "x.pattern"),
        (r#"type = "string", max_length = 3"#, "äöü", "“äöü”"),
        (r#"type = "string", max_length = 3"#, "äöüß", "x.max_length"),
        (r#"type = "string", one_of = ["abc"], pattern = "z", max_length = 1"#, "q", "x.one_of"),
        (r#"type = "string", one_of = ["abc"], pattern = "z", max_length = 1"#, "abc", "x.pattern"),
        (r#"type = "int""#, "+0120.00", "120"),
        (r#"type = "int""#, "\u{a0}4.9E7 ", "49000000"),
        (r#"type = "int""#, "1.5", "x.type"),
        (r#"type = "int""#, "1e999999999", "x.type"),
        (r#"type = "int""#, "", "null"),
        (r#"type = "int", required = true"#, "", "x.required"),
        (r#"type = "int", null_tokens = ["", "-"]"#, "-", "null"),
        (r#"type = "int", null_tokens = ["-"]"#, "", "x.type"),
        (r#"type = "int", range = "-1..=11""#, "-1", "-1"),
        (r#"type = "int", range = "-1..=11""#, "12", "x.range"),
        (r#"type = "int", range = "0<..""#, "0", "x.range"),
        (r#"type = "int", range = "0.5..<2.5""#, "0", "x.range"),
        (r#"type = "int", range = "0.5..<2.5""#, "2", "2"),
        (r#"type = "int", one_of = [3, "4.0"]"#, "4", "4"),
        (r#"type = "int", one_of = [3, "4.0"]"#, "5", "x.one_of"),
        (r#"type = "int", normalise = ["collapse_spaces"]"#, " 5 ", "5"),
        (r#"type = "float""#, "0.053900000000000003", "0.0539"),
        (r#"type = "float""#, "1.01e-06", "1.01e-6"),
        (r#"type = "float""#, "-0.0", "-0.0"),
        (r#"type = "float""#, "1e400", "x.type"),
        (r#"type = "float""#, "nan", "x.type"),
        (r#"type = "float""#, "١", "x.type"),
        (r#"type = "float", range = "0..=1""#, "1.0", "1.0"),
        (r#"type = "float", range = "0..=1""#, "-0.0", "-0.0"),
        (r#"type = "float", range = "0..=1""#, "1.0000000000000001", "1.0"),
        (r#"type = "float", range = "0..=1""#, "1.0000000000000003", "x.range"),
        (r#"type = "float", range = "0<..<1""#, "0", "x.range"),
        (r#"type = "float", range = "0<..<1""#, "1", "x.range"),
        (r#"type = "bool""#, "TRUE", "true"),
        (r#"type = "bool""#, "False", "false"),
        (r#"type = "bool""#, "1", "true"),
        (r#"type = "bool""#, "0", "false"),
        (r#"type = "bool""#, "yes", "x.type"),
        (r#"type = "bool""#, "1.0", "x.type"),
        (r#"type = "year""#, "2011-05", "2011"),
        (r#"type = "year""#, "11", "x.type"),
        (r#"type = "year", range = "1900..=2100""#, "0000", "x.range"),
        (r#"type = "year", one_of = [2011]"#, "2012-01-01", "x.one_of"),
        (r#"type = "date""#, "2024-02-29", "“2024-02-29”"),
        (r#"type = "date""#, "2023-02-29", "x.type"),
        (r#"type = "date", pattern = "2024.*""#, "2023-02-28", "x.pattern"),
        (r#"type = "timestamp""#, "2024-03-01 00:30:00.50+01:00", "“2024-02-29T23:30:00.5Z”"),
        (r#"type = "timestamp""#, "2024-03-01", "x.type"),
        (r#"type = "timestamp", pattern = ".*Z""#, "2024-03-01T00:00:00+00:00", "“2024-03-01T00:00:00Z”"),
    ] {
        assert_eq!(outcome(declaration, text), expected, "{declaration} ← {text:?}");
    }
}

#[test]
fn a_rejection_lists_one_rule_a_column_in_column_order() {
    let judge = judge_of(
        r#"
        a = { type = "int", range = "0..=9" }
        id = { type = "string", required = true }
        b = { type = "float", required = true }
        c = { type = "string" }
        "#,
    );
    let mut out = vec![7];
    let rejected = verdict(&judge, &[b" 10 ", b" ", b"x", b"fine"], &mut out);
    let Verdict::Rejected(rejection) = rejected else { panic!("accepted") };
    let names: Vec<&str> = rejection.rules.iter().map(Rule::name).collect();
    assert_eq!(names, ["a.range", "id.required", "b.type"]);
    assert_eq!(rejection.value.as_deref(), Some(&b" 10 "[..]));
    assert_eq!(out, [7]);
}

#[test]
fn row_rules_stand_alone() {
    let judge = judge_of("id = { type = \"string\", required = true }\nb = { type = \"int\" }");
    let mut out = Vec::new();
    for (fields, rule) in [
        (&[&b""[..]][..], Rule::COLUMNS),
        (&[b"", b"x", b"\xff"], Rule::COLUMNS),
        (&[b"", b"\xff"], Rule::ENCODING),
        (&[b"\xc3", b"\xa4"], Rule::ENCODING),
    ] {
        let Verdict::Rejected(rejection) = verdict(&judge, fields, &mut out) else { panic!("accepted") };
        assert_eq!(rejection, Rejection::row(rule.clone()));
        assert_eq!(rule.column(), None);
    }
    assert_eq!(Rule::UNTERMINATED_QUOTE.to_string(), "row.unterminated_quote");
}

#[test]
fn fields_that_are_said_to_be_text_but_are_not_do_no_harm() {
    let judge = judge_of("id = { type = \"string\", required = true, normalise = [\"title_case\"] }");
    let (bytes, fields) = spans(&[b"a\xff"]);
    let verdict = judge.judge(&Record { bytes: &bytes, fields: &fields, utf8: true }, &mut Vec::new());
    assert_eq!(verdict, Verdict::Rejected(Rejection::row(Rule::ENCODING)));
}

#[test]
fn the_key_of_a_text_lies_within_the_row_and_any_other_before_it() {
    for (declaration, text, key, inside) in [
        (r#"type = "string", normalise = ["spotify_id", "upper"]"#, "spotify:track:ab", "AB", true),
        (r#"type = "timestamp""#, "2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00Z", true),
        (r#"type = "int""#, "1.2e3", "1200", false),
        (r#"type = "float""#, "0.50", "0.5", false),
        (r#"type = "bool""#, "1", "true", false),
    ] {
        let judge = judge_of(&format!("a = {{ type = \"string\" }}\nid = {{ {declaration}, required = true }}"));
        let mut out = b"before".to_vec();
        let Verdict::Accepted(span) = verdict(&judge, &[b"first", text.as_bytes()], &mut out) else {
            panic!("rejected")
        };
        assert_eq!(&out[span.key.clone()], key.as_bytes(), "{declaration}");
        assert_eq!(span.row.start <= span.key.start && span.key.end <= span.row.end, inside, "{declaration}");
        assert_eq!(span.row.end, out.len());
        assert!(out.starts_with(b"before"));
        let mut row = RowRef::new(&out[span.row]);
        assert_eq!(row.next_value().unwrap(), Some(Value::Str("first")));
        assert!(row.next_value().unwrap().is_some());
        assert_eq!(row.next_value().unwrap(), None);
    }
}

#[test]
fn unknown_columns_are_kept_as_trimmed_text_in_header_order() {
    let contract = format!("{HEAD}id = {{ type = \"string\", required = true }}\nlater = {{ type = \"int\" }}");
    let contract = Arc::new(Contract::parse(&contract, "t.toml").unwrap());
    let header = ["z".to_owned(), " id".to_owned(), "a".to_owned()];
    let judge = Judge::new(contract.clone(), Binding::new(&contract, &header).unwrap());
    let mut out = Vec::new();
    let Verdict::Accepted(span) = verdict(&judge, &[" ä ".as_bytes(), b"k", b""], &mut out) else {
        panic!("rejected")
    };
    let mut row = RowRef::new(&out[span.row]);
    assert_eq!(row.next_value().unwrap(), Some(Value::Str("k")));
    assert_eq!(row.next_value().unwrap(), Some(Value::Null));
    assert_eq!(row.next_value().unwrap(), None);
    assert_eq!(row.extra().unwrap(), [("z", "ä"), ("a", "")]);
}

#[test]
fn equal_values_have_equal_rows() {
    let judge = judge_of("id = { type = \"string\", required = true }\nx = { type = \"float\" }");
    let row = |text: &str| {
        let mut out = Vec::new();
        assert!(matches!(verdict(&judge, &[b"k", text.as_bytes()], &mut out), Verdict::Accepted(_)));
        out
    };
    for same in ["0.0539", ".05390", "5.39e-2", "0.053900000000000003", "539E-4"] {
        assert_eq!(row(same), row("0.0539"), "{same}");
    }
    assert_eq!(row("0"), row("0e0"));
    assert_ne!(row("0"), row("-0"));
    assert_eq!(Float::from_f64(0.0539).to_f64(), 0.0539);
}

fn tracks() -> Judge {
    let contract = Arc::new(Contract::parse(crate::builtin("tracks").unwrap(), "tracks.toml").unwrap());
    let header: Vec<String> = contract.columns.iter().map(|c| c.name.clone()).chain(["x".to_owned()]).collect();
    let binding = Binding::new(&contract, &header).unwrap();
    Judge::new(contract, binding)
}

fn any_field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "0\\.[0-9]{1,4}".prop_map(String::into_bytes),
        4 => "[01]".prop_map(String::into_bytes),
        1 => "(19|20)[0-9]{2}".prop_map(String::into_bytes),
        1 => "[ \u{a0}]?[-+0-9.eE]{0,6} ?".prop_map(String::into_bytes),
        1 => any::<String>().prop_map(String::into_bytes),
        1 => any::<Vec<u8>>(),
    ]
}

proptest! {
    #[test]
    fn any_record_gets_a_verdict_and_rows_have_all_values(
        fields in prop::collection::vec(any_field(), 22),
        utf8: bool,
    ) {
        let judge = tracks();
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let (bytes, spans) = spans(&fields);
        let mut out = b"x".to_vec();
        match judge.judge(&Record { bytes: &bytes, fields: &spans, utf8 }, &mut out) {
            Verdict::Accepted(span) => {
                let mut row = RowRef::new(&out[span.row]);
                let values: Vec<_> = std::iter::from_fn(|| row.next_value().transpose()).collect();
                let readable = values.iter().all(Result::is_ok);
                prop_assert!(readable || utf8);
                prop_assert!(!readable || values.len() == 21);
                prop_assert!(utf8 || std::str::from_utf8(&out[span.key]).is_ok());
            }
            Verdict::Rejected(rejection) => {
                prop_assert!(!rejection.rules.is_empty());
                prop_assert_eq!(out, b"x");
            }
        }
    }

    #[test]
    fn columns_say_what_the_verdict_says(fields in prop::collection::vec(any_field(), 21..24)) {
        let judge = tracks();
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let (bytes, spans) = spans(&fields);
        let record = Record { bytes: &bytes, fields: &spans, utf8: false };
        let (mut row, mut broken) = (Vec::new(), Vec::new());
        for column in judge.columns(&record) {
            match column.verdict {
                FieldVerdict::Value(value) => row.extend(value),
                FieldVerdict::Broken(rule) => broken.push((rule, column.raw.map(<[u8]>::to_vec))),
                FieldVerdict::NotJudged => {}
            }
        }
        let mut out = Vec::new();
        match judge.judge(&record, &mut out) {
            Verdict::Accepted(span) => prop_assert_eq!((&row[..], broken.len()), (&out[span.row], 0)),
            Verdict::Rejected(rejection) if broken.is_empty() => {
                prop_assert!(row.is_empty() && rejection.rules[0].column().is_none());
            }
            Verdict::Rejected(rejection) => {
                prop_assert_eq!(&rejection.value, &broken[0].1);
                let rules: Vec<_> = broken.into_iter().map(|(rule, _)| rule).collect();
                prop_assert_eq!(rejection.rules, rules);
            }
        }
    }

    #[test]
    fn spans_that_point_anywhere_do_no_harm(
        bytes: Vec<u8>,
        spans in prop::collection::vec((0u32..300, 0u32..300).prop_map(|(start, end)| Span { start, end }), 20..24),
        utf8: bool,
    ) {
        let mut out = Vec::new();
        let _ = tracks().judge(&Record { bytes: &bytes, fields: &spans, utf8 }, &mut out);
    }
}
