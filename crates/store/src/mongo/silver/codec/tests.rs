use mongodb::bson::{Document, doc};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::conformance::sample;

/// A value of a row that a test owns.
#[derive(Debug, Clone)]
enum Owned {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(Float::from_f64(*value)),
            Self::Str(text) => Value::Str(text),
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    let edges = [0.0, -0.0, 0.1, 1e22, 1e23, f64::MAX, f64::MIN_POSITIVE, 5e-324, -120.0, 123_456_789_012_345.6];
    let float = any::<f64>().prop_filter("finite", |v| v.is_finite());
    prop_oneof![
        Just(Owned::Null),
        any::<bool>().prop_map(Owned::Bool),
        // The bytes of small numbers end as an extra part without pairs does.
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -9..9_i64].prop_map(Owned::Int),
        prop_oneof![float, proptest::sample::select(edges.to_vec())].prop_map(Owned::Float),
        prop_oneof![any::<String>(), Just(String::new()), Just("\0\u{6}\0".to_owned())].prop_map(Owned::Str),
    ]
}

fn extra() -> impl Strategy<Value = Option<Vec<(String, String)>>> {
    let names = ["", "$x", "a.b", "a\0b", "claim", "_id", "a", "a", "ü"].map(str::to_owned).to_vec();
    let name = prop_oneof![any::<String>(), proptest::sample::select(names)];
    proptest::option::of(vec((name, any::<String>()), 0..4))
}

fn encode(values: &[Owned], extra: Option<&[(String, String)]>) -> Bytes {
    let mut row = Vec::new();
    let mut out = RowWriter::new(&mut row);
    values.iter().for_each(|value| out.push(value.value()));
    if let Some(pairs) = extra {
        out.push_extra(pairs.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    }
    row.into()
}

fn columns(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("column_{n}")).collect()
}

fn written(columns: &[String], live: &Claim, displaced: &[Claim]) -> mongodb::bson::RawDocumentBuf {
    let mut w = Writer::new();
    put_doc(&mut w, columns, "key", live, displaced).unwrap();
    w.finish().unwrap()
}

fn claim_of(rank: [i64; 3], fields: Bytes) -> Claim {
    Claim { rank: Rank(rank), shard: sample::shard(rank[0].unsigned_abs(), 7), fields }
}

proptest! {
    #[test]
    fn reading_gives_back_the_very_bytes(
        rows in (0..9_usize).prop_flat_map(|count| vec((vec(owned(), count), extra(), any::<[i64; 3]>()), 1..4)),
    ) {
        let columns = columns(rows[0].0.len());
        let mut chain: Vec<Claim> =
            rows.iter().map(|(values, extra, rank)| claim_of(*rank, encode(values, extra.as_deref()))).collect();
        let live = chain.pop().unwrap();
        let document = written(&columns, &live, &chain);
        prop_assert_eq!(read_doc(&columns, &document).unwrap(), (live.clone(), chain.clone()));
        // As a client does that takes it apart and puts it together again.
        let document = Document::try_from(&*document).unwrap();
        let document = mongodb::bson::RawDocumentBuf::try_from(&document).unwrap();
        prop_assert_eq!(read_doc(&columns, &document).unwrap(), (live, chain));
    }

    #[test]
    fn noise_is_no_row_and_does_no_harm(noise: Vec<u8>, count in 0..4_usize) {
        let claim = claim_of([1, 2, 3], noise.into());
        let mut w = Writer::new();
        let _ = put_doc(&mut w, &columns(count), "key", &claim, &[]);
    }
}

#[test]
fn a_document_reads_well() {
    let names = ["track_id", "year", "tempo", "explicit", "album"].map(str::to_owned);
    let values = [Owned::Str("t1".to_owned()), Owned::Int(1999), Owned::Float(120.5), Owned::Bool(false), Owned::Null];
    let extra = [("label".to_owned(), "Ünion".to_owned())];
    let live = claim_of([3, -1, 0], encode(&values, Some(&extra)));
    let before = claim_of([9, 0, 0], encode(&values, Some(&[(String::new(), "x".to_owned())])));
    let found = Document::try_from(&*written(&names, &live, &[before])).unwrap();
    let shard = |job: i64| doc! { "job": job, "number": 7_i64 };
    let row = doc! { "track_id": "t1", "year": 1999_i64, "tempo": 120.5, "explicit": false, "album": null };
    let mut displaced = row.clone();
    displaced.insert("extra", [["", "x"]]);
    let mut expected = doc! { "_id": "key" };
    expected.extend(row);
    expected.extend(doc! {
        "extra": { "label": "Ünion" },
        "claim": { "rank": [3_i64, -1_i64, 0_i64], "shard": shard(3) },
        "displaced": [{ "rank": [9_i64, 0_i64, 0_i64], "shard": shard(9), "fields": displaced }],
    });
    assert_eq!(found, expected);
}

#[test]
fn rows_that_do_not_fit_their_columns_are_refused() {
    let put = |count, row: Bytes| put_doc(&mut Writer::new(), &columns(count), "k", &claim_of([1, 0, 0], row), &[]);
    let two = encode(&[Owned::Null, Owned::Int(3)], None);
    assert_eq!(put(2, two.clone()), Ok(()));
    assert_eq!(put(1, two.clone()), Err(Misfit::Columns(1)));
    assert_eq!(put(3, two), Err(Misfit::Columns(3)));
    assert!(matches!(put(1, Bytes::from_static(b"\xff")), Err(Misfit::Row(_))));
}

#[test]
fn documents_that_others_have_spoilt_are_told() {
    let columns = columns(1);
    let claim = doc! { "rank": [1_i64, 2_i64, 3_i64], "shard": { "job": 1_i64, "number": 0_i64 } };
    let good = doc! { "_id": "k", "another": 1, "column_0": "x", "claim": claim };
    let read = |document: &Document| read_doc(&columns, &mongodb::bson::RawDocumentBuf::try_from(document).unwrap());
    read(&good).unwrap();
    for (name, value) in
        [("column_0", doc! {}.into()), ("extra", 5.into()), ("claim", "x".into()), ("displaced", 1.into())]
    {
        let mut bad = good.clone();
        bad.insert(name, mongodb::bson::Bson::clone(&value));
        assert!(matches!(read(&bad), Err(Misfit::Field(_))), "{name}");
    }
    let mut short = good.clone();
    short.remove("column_0");
    assert_eq!(read(&short), Err(Misfit::Field("column_0".to_owned())));
}
