//! What other collections look like to any client, and what spoils them.

use bytes::Bytes;
use ensemble_store::{
    Decision, DocumentKind, ErrorClass, GoldCell, GoldRows, JobNumber, MongoStore, Store, StoreError,
    conformance::sample,
};
use mongodb::bson::{Bson, Document, doc};
use serde_json::json;

use crate::support::MongoFixture;

#[tokio::test(flavor = "multi_thread")]
async fn bronze_is_where_a_job_has_it_and_no_collection_is_both_bronze_and_silver() {
    let fixture = MongoFixture::new();
    let (store, other) = (fixture.store().await, fixture.store().await);
    let columns = ["id".to_owned()];
    store.declare_silver("songs", &columns).await.unwrap();
    store.declare_bronze(JobNumber(1), "songs_raw").await.unwrap();
    other.declare_bronze(JobNumber(2), "spotify_raw").await.unwrap();
    for (job, collection) in [(1, "songs_raw"), (2, "spotify_raw")] {
        let record = sample::process(sample::shard(job, 0), &Bytes::from_static(b"a,b\n"));
        other.insert_decision(&record).await.unwrap();
        assert_eq!(store.decision(record.plan.shard).await.unwrap(), Some(record));
        let count = fixture.plain().await.collection::<Document>(collection).count_documents(doc! {}).await;
        assert_eq!(count.unwrap(), 1, "{collection}");
    }
    for (job, bronze, why) in [
        (3, "songs", "holds the silver"),
        (3, "ensemble_ledger", "needs itself"),
        (3, "songs$raw", "does not take"),
        (1, "other_raw", "that is songs_raw"),
        (1, "spotify_raw", "that is songs_raw"),
    ] {
        let error = other.declare_bronze(JobNumber(job), bronze).await.unwrap_err();
        assert!(matches!(&error, StoreError::Bronze { bronze: named, .. } if named == bronze), "{error}");
        assert!(error.to_string().contains(why) && error.class() == ErrorClass::Invalid, "{error}");
    }
    let error = store.declare_silver("songs_raw", &columns).await.unwrap_err();
    assert!(error.to_string().contains("holds the bronze"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_read_well() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    let shard = sample::shard(3, 7);
    store.insert_decision(&sample::process(shard, &Bytes::from_static(b"a,b\n"))).await.unwrap();
    store.insert_ledger(&sample::entry(shard, 5)).await.unwrap();
    store.put_dead_letters(vec![sample::dead_letter(shard, (2 << 48) + 9, "a;b")]).await.unwrap();
    store.write_document(DocumentKind::Job, None, &sample::document("j", sample::stamp(1, 2), "{}")).await.unwrap();
    let db = fixture.plain().await;
    let found = |collection: &'static str, filter| {
        let collection = db.collection::<Document>(collection);
        async move { collection.find_one(filter).await.unwrap().unwrap() }
    };
    let id = "00000000000000000003/0000000007";
    let bronze = found("spotify_raw", doc! { "decision": "process", "plan.shard.job": 3 }).await;
    assert_eq!(bronze.get_str("_id").unwrap(), id);
    assert_eq!(bronze.get_document("plan").unwrap().get_i64("first_line").unwrap(), 7);
    let content = bronze.get_document("content").unwrap();
    assert_eq!((content.get_str("encoding").unwrap(), content.get_i64("length").unwrap()), ("plain", 4));
    assert_eq!(content.get_binary_generic("bytes").unwrap(), b"a,b\n");
    let entry = found("ensemble_ledger", doc! { "rejected_by_rule.rule": "tempo.range" }).await;
    assert_eq!((entry.get_str("_id").unwrap(), entry.get_i64("rows").unwrap()), (id, 5));
    assert_eq!(entry.get_i64("updated").unwrap(), 2);
    let letter = found("rejected_rows", doc! { "job": 3, "rule": "tempo.range" }).await;
    assert_eq!(letter.get_str("_id").unwrap(), format!("{id}/{:020}", (2_u64 << 48) + 9));
    assert_eq!((letter.get_i64("file").unwrap(), letter.get_i64("offset").unwrap()), (2, 9));
    assert_eq!(letter.get_str("raw").unwrap(), "a;b");
    let job = found("ensemble_jobs", doc! { "_id": "j" }).await;
    assert_eq!(job, doc! { "_id": "j", "stamp": { "epoch": 1_i64, "version": 2_i64 }, "body": "{}" });
}

#[tokio::test(flavor = "multi_thread")]
async fn gold_reads_well() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    assert!(store.keeps_gold_rows());
    let fields = |json: serde_json::Value| json.as_object().unwrap().clone();
    let row = json!({"genre": "pop", "count": 2, "mean_x": 0.5, "stddev_x": null, "sum_x": "1", "live": true});
    let pairs =
        [json!({"field_a": "x", "field_b": "y", "n": 2, "r": -1.0}), json!({"field_a": "x", "n": 0, "r": null})];
    let cell = |key: &'static str, version: u64, rows: Option<GoldRows>| GoldCell {
        view: "view".to_owned(),
        key: Bytes::from_static(key.as_bytes()),
        stamp: sample::stamp(1, version),
        cell: Bytes::from_static(b"cell"),
        rows,
    };
    let one = cell("a", 1, Some(GoldRows::One(fields(row))));
    let several = cell("b", 1, Some(GoldRows::Pairs(pairs.map(fields).to_vec())));
    let hidden = cell("c", 1, None);
    store.write_cells(vec![one.clone(), several.clone(), hidden.clone()]).await.unwrap();
    let view = fixture.plain().await.collection::<Document>("view");
    let found = |id: &'static str| {
        let view = view.clone();
        async move { view.find_one(doc! { "_id": id }).await.unwrap().unwrap() }
    };
    let expected = doc! {
        "genre": "pop", "count": 2_i64, "mean_x": 0.5, "stddev_x": Bson::Null, "sum_x": "1", "live": true
    };
    let mean = doc! { "row.mean_x": { "$gt": 0.4 } };
    assert_eq!(view.find_one(mean).await.unwrap().unwrap().get_document("row").unwrap(), &expected);
    let several_found = found("62").await;
    let expected: Vec<Bson> = vec![
        doc! { "field_a": "x", "field_b": "y", "n": 2_i64, "r": -1.0 }.into(),
        doc! { "field_a": "x", "n": 0_i64, "r": Bson::Null }.into(),
    ];
    assert_eq!(several_found.get_array("rows").unwrap(), &expected);
    assert!(!several_found.contains_key("row"));
    let hidden_found = found("63").await;
    assert!(!hidden_found.contains_key("row") && !hidden_found.contains_key("rows"), "{hidden_found}");
    // What counts is the cell: rows are not read back.
    let cells = [&one, &several, &hidden].map(|cell| GoldCell { rows: None, ..cell.clone() });
    assert_eq!(store.scan_cells("view", None, 10).await.unwrap(), cells);
    // A cell that is hidden from now on keeps no row that is out of date, and a lower stamp brings none back.
    store.write_cells(vec![cell("a", 2, None)]).await.unwrap();
    store.write_cells(vec![one]).await.unwrap();
    assert!(!found("61").await.contains_key("row"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_missing_or_changed_is_told() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    let shard = sample::shard(1, 0);
    let record = sample::process(shard, &sample::noise(1, 13 << 20));
    store.insert_decision(&record).await.unwrap();
    let parts = fixture.plain().await.collection::<Document>("spotify_raw.parts");
    let ids: Vec<Document> = {
        let mut cursor = parts.find(doc! {}).projection(doc! { "_id": 1 }).await.unwrap();
        let mut ids = Vec::new();
        while cursor.advance().await.unwrap() {
            ids.push(cursor.deserialize_current().unwrap());
        }
        ids
    };
    assert_eq!(ids.len(), 2);
    let last = ids.last().unwrap().clone();
    let bytes = mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: vec![1; 100] };
    parts.update_one(last.clone(), doc! { "$set": { "bytes": bytes } }).await.unwrap();
    let error = store.decision(shard).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    parts.delete_one(last).await.unwrap();
    let error = store.decision(shard).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { reason, .. } if reason.contains("missing")), "{error}");
    // A repeat of the insert mends it: the parts are the same for every attempt.
    store.insert_decision(&record).await.unwrap();
    assert!(matches!(store.decision(shard).await.unwrap().unwrap().decision, Decision::Process { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_leave_the_store_s_own_collections_alone() {
    let fixture = MongoFixture::new();
    let store = fixture.store().await;
    for view in ["rejected_rows", "ensemble_ledger", "spotify_raw.parts", "a$b", ""] {
        let cell = GoldCell {
            view: view.to_owned(),
            key: Bytes::new(),
            stamp: sample::stamp(1, 1),
            cell: Bytes::from_static(b"cell"),
            rows: None,
        };
        for error in
            [store.write_cells(vec![cell]).await.unwrap_err(), store.scan_cells(view, None, 1).await.unwrap_err()]
        {
            assert_eq!(error.class(), ErrorClass::Invalid, "{view}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_open_a_new_database_at_once() {
    let fixture = MongoFixture::new();
    let opened = futures::future::join_all((0..10).map(|_| MongoStore::connect(fixture.options()))).await;
    for store in &opened {
        store.as_ref().unwrap().migrate().await.unwrap();
    }
    let mut names = fixture.plain().await.list_collection_names().await.unwrap();
    names.sort();
    for name in ["ensemble_ledger", "ensemble_ledger.parts", "rejected_rows", "spotify_raw", "spotify_raw.parts"] {
        assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_format_is_left_alone() {
    let fixture = MongoFixture::new();
    let formats = fixture.plain().await.collection::<Document>("ensemble_store");
    formats.insert_one(doc! { "_id": "store", "format": 99_i64 }).await.unwrap();
    let error = MongoStore::connect(fixture.options()).await.unwrap_err();
    assert!(matches!(&error, StoreError::UnknownVersion { found, .. } if found == "99"), "{error}");
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert_eq!(fixture.plain().await.list_collection_names().await.unwrap(), ["ensemble_store"]);
}
