//! What each write does to the primary's documents, one document at a time.

use ensemble_store::{
    ClaimInsert, DeadLetter, Decision, DecisionRecord, Document, DocumentKind, GoldCell, Insert, LedgerEntry, NewClaim,
    Replacement, SilverDoc, Stamp,
};

use super::replica::{Key, Replica};

pub(super) fn decision(replica: &mut Replica, record: &DecisionRecord) -> Insert {
    let key = Key::Decision(record.plan.shard);
    let is_aside = |d: &DecisionRecord| matches!(d.decision, Decision::Aside { .. });
    if replica.local.get(&key).is_some_and(|first| is_aside(first) != is_aside(record)) {
        replica.counts.contested_decisions += 1;
    }
    replica.insert_if_absent(key, record.clone())
}

pub(super) fn claim(replica: &mut Replica, silver: &str, new: NewClaim) -> ClaimInsert {
    let key = Key::Silver(silver.to_owned(), new.key);
    let doc = SilverDoc { live: new.claim, displaced: Vec::new() };
    match replica.insert_if_absent(key.clone(), doc) {
        Insert::Inserted => ClaimInsert::Inserted,
        // Some stores come across the document and some do not.
        Insert::Present if replica.random.chance(0.5) => {
            ClaimInsert::Present(replica.readable().get::<SilverDoc>(&key).cloned().map(Box::new))
        }
        Insert::Present => ClaimInsert::Present(None),
    }
}

pub(super) fn replacement(replica: &mut Replica, silver: &str, new: Replacement) -> bool {
    let key = Key::Silver(silver.to_owned(), new.key);
    let stored = replica.local.get::<SilverDoc>(&key).filter(|d| (d.live.rank, d.live.shard) == new.expected);
    let Some(before) = stored.map(|d| d.displaced.len() + 1) else {
        replica.counts.lost_races += 1;
        return false;
    };
    replica.counts.displaced_claims += 1;
    replica.counts.pruned_claims += before.saturating_sub(new.doc.displaced.len()) as u64;
    replica.put(key, Some(new.doc.into()));
    true
}

pub(super) fn letter(replica: &mut Replica, letter: DeadLetter) {
    replica.insert_if_absent(Key::Letter(letter.shard, letter.position), letter);
}

pub(super) fn ledger(replica: &mut Replica, entry: &LedgerEntry) -> Insert {
    let shard = entry.plan.shard;
    let mut number = 0;
    while replica.broken.ledger && replica.local.get::<LedgerEntry>(&Key::Ledger(shard, number)).is_some() {
        number += 1;
    }
    let key = Key::Ledger(shard, number);
    let insert = replica.insert_if_absent(key.clone(), entry.clone());
    if insert == Insert::Present {
        replica.counts.refused_entries += 1;
        replica.counts.refused_by_undurable += u64::from(replica.majority.get::<LedgerEntry>(&key).is_none());
    }
    insert
}

pub(super) fn document(
    replica: &mut Replica,
    kind: DocumentKind,
    expected: Option<Stamp>,
    document: &Document,
) -> bool {
    let key = Key::Document(kind, document.id.clone());
    let stored = replica.local.get::<Document>(&key).map(|d| d.stamp);
    if stored != expected || expected.is_some_and(|e| e >= document.stamp) {
        replica.counts.fenced_documents += u64::from(stored.is_some_and(|s| s.epoch > document.stamp.epoch));
        return false;
    }
    replica.put(key, Some(document.clone().into()));
    true
}

pub(super) fn no_document(replica: &mut Replica, kind: DocumentKind, id: &str, expected: Stamp) -> bool {
    let key = Key::Document(kind, id.to_owned());
    if replica.local.get::<Document>(&key).map(|d| d.stamp) != Some(expected) {
        return false;
    }
    replica.put(key, None);
    true
}

pub(super) fn cell(replica: &mut Replica, cell: GoldCell) {
    let key = Key::Cell(cell.view.clone(), cell.key.clone());
    match replica.local.get::<GoldCell>(&key).map(|c| c.stamp) {
        Some(stored) if stored >= cell.stamp => {
            replica.counts.fenced_cells += u64::from(stored.epoch > cell.stamp.epoch);
        }
        _ => {
            replica.counts.vanished_cells += u64::from(cell.cell.is_empty());
            replica.put(key, Some(cell.into()));
        }
    }
}
