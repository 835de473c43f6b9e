//! `ExplainRow` and `ExplainKey`: explanations as messages.

use ensemble_protocol::{
    Refusal,
    v1::{self, explain_row_request as asked, value::Value as Kind},
};
use ensemble_validation::Place;
use serde_json::Value;
use tonic::Status;

use super::{Desk, contracts::keep, job};
use crate::{
    ClaimedRow, ExplainError, ExplainedColumn, KeyExplanation, RowExplanation, RowOutcome, RowQuery, SourceRow,
    explain_key, explain_row,
};

impl Desk {
    pub(super) async fn explained_row(&self, request: v1::ExplainRowRequest) -> Result<v1::ExplainRowResponse, Status> {
        let at = match request.place {
            Some(asked::Place::Line(line)) => Place::Line(line),
            Some(asked::Place::Offset(offset)) => Place::Offset(offset),
            None => return Err(Refusal::InvalidField("line").status("name a line or an offset of the row")),
        };
        let query = RowQuery { job: job::id(&request.job_id)?, file: named(request.file), at };
        explain_row(&*self.store, &query).await.map(row_message).map_err(not_explained)
    }

    pub(super) async fn explained_key(&self, request: v1::ExplainKeyRequest) -> Result<v1::ExplainKeyResponse, Status> {
        let silver = named(request.silver);
        let explained = explain_key(&*self.store, &request.key, silver.as_deref()).await;
        explained.map(key_message).map_err(not_explained)
    }
}

fn named(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn not_explained(error: ExplainError) -> Status {
    let refusal = match &error {
        ExplainError::UnknownJob(_) | ExplainError::UnknownKey { .. } => Refusal::NotFound,
        ExplainError::File { .. } => Refusal::InvalidField("file"),
        ExplainError::NoRow { at: Place::Line(_), .. } => Refusal::InvalidField("line"),
        ExplainError::NoRow { at: Place::Offset(_), .. } => Refusal::InvalidField("offset"),
        ExplainError::Silver(_) => Refusal::InvalidField("silver"),
        _ => Refusal::from_class(error.class()),
    };
    refusal.status(error)
}

fn row_message(explained: RowExplanation) -> v1::ExplainRowResponse {
    let own = source_row(explained.row);
    let mut message = v1::ExplainRowResponse {
        silver: explained.silver,
        keep: keep(explained.keep).into(),
        columns: explained.columns.into_iter().map(column).collect(),
        key: explained.key,
        ..v1::ExplainRowResponse::default()
    };
    let outcome = match explained.outcome {
        RowOutcome::Rejected { rules } => {
            message.rules = rules;
            v1::RowOutcome::Rejected
        }
        RowOutcome::Live => {
            message.live = Some(own.clone());
            v1::RowOutcome::Live
        }
        RowOutcome::Displaced { by, live } => {
            (message.other, message.live) = (by.map(source_row), Some(source_row(live)));
            v1::RowOutcome::Displaced
        }
        RowOutcome::Duplicate { of, live } => {
            (message.other, message.live) = (Some(source_row(of)), Some(source_row(live)));
            v1::RowOutcome::Duplicate
        }
        RowOutcome::Superseded { live } => {
            message.live = Some(source_row(live));
            v1::RowOutcome::Superseded
        }
        RowOutcome::Aside { reason } => {
            message.reason = Some(reason);
            v1::RowOutcome::Aside
        }
    };
    v1::ExplainRowResponse { row: Some(own), outcome: outcome.into(), ..message }
}

fn key_message(explained: KeyExplanation) -> v1::ExplainKeyResponse {
    v1::ExplainKeyResponse {
        silver: explained.silver,
        key: explained.key,
        keep: keep(explained.keep).into(),
        live: Some(claimed_row(explained.live)),
        displaced: explained.displaced.into_iter().map(claimed_row).collect(),
    }
}

fn source_row(row: SourceRow) -> v1::SourceRow {
    let SourceRow { job, file, shard, line, offset, raw, length } = row;
    v1::SourceRow { job_id: job.to_string(), file, shard, line, offset, raw, length }
}

fn claimed_row(claimed: ClaimedRow) -> v1::ClaimedRow {
    let value = |(column, value)| v1::NamedValue { column, value: Some(message(value)) };
    v1::ClaimedRow {
        row: Some(source_row(claimed.row)),
        values: claimed.values.into_iter().map(value).collect(),
        extra: claimed.extra.into_iter().collect(),
    }
}

fn column(column: ExplainedColumn) -> v1::ExplainedColumn {
    let has_value = column.judged && column.rule.is_none();
    v1::ExplainedColumn {
        column: column.column,
        header: column.header,
        raw: column.raw,
        value: has_value.then(|| message(column.value)),
        rule: column.rule,
        judged: column.judged,
    }
}

/// A plain value; null has nothing in it.
fn message(value: Value) -> v1::Value {
    let kind = match value {
        Value::Bool(v) => Some(Kind::Bool(v)),
        Value::String(v) => Some(Kind::Text(v)),
        Value::Number(v) => v.as_i64().map(Kind::Int).or_else(|| v.as_f64().map(Kind::Float)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    v1::Value { value: kind }
}
