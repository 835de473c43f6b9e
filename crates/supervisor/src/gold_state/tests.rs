//! What is written of a cell, with and without its rows.

use ensemble_contract::{Contract, RowWriter, Value};
use ensemble_gold::{Cells, Folder, Views};
use ensemble_store::{Epoch, GoldCell, GoldRows, Stamp};
use serde_json::{Value as Json, json};

use super::{Covered, GoldState};

pub(crate) const CONTRACT: &str = r#"
name = "songs"
key = "id"

[columns]
id = { type = "string", required = true }
genre = { type = "string" }
plays = { type = "int", range = "0..=100" }
stars = { type = "int", range = "0..=5" }

[gold]
by_genre = { by = ["genre"], measures = ["plays"] }
pairs = { by = [], correlate = ["plays", "stars"] }
"#;

/// Its id, genre, plays and stars.
pub(crate) type Song = (&'static str, &'static str, i64, i64);

const ROWS: [Song; 3] = [("a", "pop", 10, 1), ("b", "pop", 13, 2), ("c", "zouk", 4, 5)];

pub(crate) fn views() -> Views {
    Views::new(&Contract::parse(CONTRACT, "songs").unwrap())
}

pub(crate) fn folded(rows: &[Song]) -> Cells {
    let (views, mut bytes) = (views(), Vec::new());
    let mut folder = Folder::new(&views);
    for (id, genre, plays, stars) in rows {
        bytes.clear();
        let mut row = RowWriter::new(&mut bytes);
        for value in [Value::Str(id), Value::Str(genre), Value::Int(*plays), Value::Int(*stars)] {
            row.push(value);
        }
        folder.add(&bytes).unwrap();
    }
    folder.finish()
}

fn changed(cells: Cells, with_rows: bool) -> Vec<GoldCell> {
    let mut state = GoldState::new(views(), cells, Covered::default());
    state.touch_all();
    state.changed(Stamp { epoch: Epoch(1), version: 1 }, with_rows)
}

fn rows(cells: &[GoldCell], view: &str) -> Vec<Json> {
    let shown = |cell: &GoldCell| match cell.rows.clone() {
        None => json!("hidden"),
        Some(GoldRows::One(row)) => Json::Object(row),
        Some(GoldRows::Pairs(rows)) => rows.into_iter().map(Json::Object).collect(),
    };
    cells.iter().filter(|cell| cell.view == view).map(shown).collect()
}

#[test]
fn cells_come_with_the_rows_that_readers_see() {
    let cells = changed(folded(&ROWS), true);
    let expected = [
        json!({"genre": "pop", "count": 2, "mean_plays": 11.5, "stddev_plays": 1.5, "sum_plays": "23"}),
        json!({"genre": "zouk", "count": 1, "mean_plays": 4.0, "stddev_plays": 0.0, "sum_plays": "4"}),
    ];
    assert_eq!(rows(&cells, "by_genre"), expected);
    // A list also where there is one pair only.
    let views = views();
    let pair: Vec<Json> =
        views.rows("pairs", &folded(&ROWS)).unwrap().iter().map(|row| Json::Object(row.to_json())).collect();
    assert_eq!(pair.len(), 1);
    assert_eq!(rows(&cells, "pairs"), [Json::Array(pair)]);
}

#[test]
fn cells_come_without_rows_where_nobody_asks_for_them() {
    let (with, without) = (changed(folded(&ROWS), true), changed(folded(&ROWS), false));
    assert!(without.iter().all(|cell| cell.rows.is_none()));
    let stripped: Vec<GoldCell> = with.into_iter().map(|cell| GoldCell { rows: None, ..cell }).collect();
    assert_eq!(stripped, without);
}

#[test]
fn what_could_not_be_written_has_changed_still() {
    let mut state = GoldState::new(views(), folded(&ROWS), Covered::default());
    state.touch_all();
    let (stamp, all) = (Stamp { epoch: Epoch(1), version: 1 }, changed(folded(&ROWS), false));
    let taken = state.take_changed();
    assert_eq!((taken.len(), state.changed(stamp, false).len()), (all.len(), 0));
    state.put_back(taken);
    assert_eq!(state.changed(stamp, false), all);
}

#[test]
fn a_hidden_cell_has_no_row() {
    let mut cells = folded(&ROWS[..2]);
    cells.subtract(&folded(&ROWS)).unwrap();
    let hidden = changed(cells, true);
    assert_eq!(rows(&hidden, "by_genre"), [json!("hidden")]);
    assert_eq!(rows(&hidden, "pairs"), [json!("hidden")]);
    assert!(hidden.iter().all(|cell| !cell.cell.is_empty()));
}
