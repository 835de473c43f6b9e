//! The form of a bronze record: where its bytes lie, its plan as JSON, and what was decided.

use bytes::Bytes;

use crate::{
    Decision, DecisionRecord, ShardPlan, StoreError,
    embedded::{
        codec::{Cursor, Damaged, put_bytes, put_varint},
        segments::Location,
    },
};

const PROCESS: u8 = 0;
const ASIDE: u8 = 1;
const SPOOLED: u8 = 2;

/// Where a record's bytes lie; `None` where it has none.
pub(in crate::embedded) fn location(value: &[u8]) -> Result<Option<Location>, Damaged> {
    head(&mut Cursor::new(value)).map(|(_, location)| location)
}

fn head(cursor: &mut Cursor<'_>) -> Result<(u8, Option<Location>), Damaged> {
    let kind = cursor.byte()?;
    let location = match cursor.byte()? {
        0 => None,
        _ => Some(Location::decode(cursor)?),
    };
    Ok((kind, location))
}

fn put_head(out: &mut Vec<u8>, kind: u8, location: Option<Location>) {
    out.extend([kind, u8::from(location.is_some())]);
    if let Some(location) = location {
        location.encode(out);
    }
}

fn put_plan(out: &mut Vec<u8>, plan: &ShardPlan) -> Result<(), StoreError> {
    let json = serde_json::to_vec(plan).map_err(|e| StoreError::Database(format!("cannot encode a plan: {e}")))?;
    put_bytes(out, &json);
    Ok(())
}

fn plan(cursor: &mut Cursor<'_>) -> Result<ShardPlan, Damaged> {
    serde_json::from_slice(cursor.bytes()?).map_err(|_| Damaged("its plan cannot be read"))
}

/// A decision record without its bytes.
pub(super) fn encode(record: &DecisionRecord, location: Option<Location>) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::with_capacity(512);
    match &record.decision {
        Decision::Process { panicked, .. } => {
            put_head(&mut out, PROCESS, location);
            put_plan(&mut out, &record.plan)?;
            panicked.iter().for_each(|offset| put_varint(&mut out, *offset));
        }
        Decision::Aside { reason, .. } => {
            put_head(&mut out, ASIDE, location);
            put_plan(&mut out, &record.plan)?;
            out.extend_from_slice(reason.as_bytes());
        }
    }
    Ok(out)
}

/// A decision record without its bytes, and where they are.
pub(super) fn decode(value: &[u8]) -> Result<(DecisionRecord, Option<Location>), Damaged> {
    let mut cursor = Cursor::new(value);
    let (kind, location) = head(&mut cursor)?;
    let plan = plan(&mut cursor)?;
    let decision = match kind {
        PROCESS => {
            let mut panicked = Vec::new();
            while !cursor.rest().is_empty() {
                panicked.push(cursor.varint()?);
            }
            Decision::Process { bytes: Bytes::new(), panicked }
        }
        ASIDE => Decision::Aside { reason: String::from_utf8_lossy(cursor.rest()).into_owned(), bytes: None },
        _ => return Err(Damaged("it is of an unknown kind")),
    };
    Ok((DecisionRecord { plan, decision }, location))
}

pub(super) fn encode_spooled(plan: &ShardPlan, location: Location) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::with_capacity(512);
    put_head(&mut out, SPOOLED, Some(location));
    put_plan(&mut out, plan)?;
    Ok(out)
}

pub(super) fn decode_spooled(value: &[u8]) -> Result<(ShardPlan, Location), Damaged> {
    let mut cursor = Cursor::new(value);
    match head(&mut cursor)? {
        (SPOOLED, Some(location)) => Ok((plan(&mut cursor)?, location)),
        _ => Err(Damaged("it is of an unknown kind")),
    }
}
