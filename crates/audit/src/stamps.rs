//! The stamps of what only a supervisor writes (I7): nothing is of a later term of office than the one in office.

use ensemble_store::{DocumentKind, Epoch};

use crate::{AuditError, audit::Audit, jobs::Jobs, pages, report::Invariant};

pub(crate) async fn check(audit: &mut Audit<'_>, jobs: &Jobs) -> Result<(), AuditError> {
    let mut in_office = Epoch(0);
    let mut pages = pages::documents(&audit.store, DocumentKind::Leadership);
    while let Some(page) = pages.next().await? {
        in_office = page.iter().map(|d| d.stamp.epoch).fold(in_office, Epoch::max);
    }
    let mut stamps = 0u64;
    for (kind, what) in
        [(DocumentKind::Job, "job"), (DocumentKind::Counter, "counter"), (DocumentKind::Checkpoint, "checkpoint")]
    {
        let mut pages = pages::documents(&audit.store, kind);
        while let Some(page) = pages.next().await? {
            for document in page {
                stamps += 1;
                check_one(audit, in_office, document.stamp.epoch, || format!("the {what} {}", document.id));
            }
        }
    }
    for views in jobs.collections.iter().filter_map(|c| c.views.as_ref().ok()) {
        for view in views.names() {
            let mut pages = pages::cells(&audit.store, view);
            while let Some(page) = pages.next().await? {
                stamps += page.len() as u64;
                for cell in page {
                    let name = || format!("the cell {} of {view}", cell.key.escape_ascii());
                    check_one(audit, in_office, cell.stamp.epoch, name);
                }
            }
        }
    }
    audit.findings.note(Invariant::Ledger, format!("{stamps} stamps under epoch {}", in_office.0));
    Ok(())
}

fn check_one(audit: &mut Audit<'_>, in_office: Epoch, epoch: Epoch, what: impl FnOnce() -> String) {
    if epoch > in_office {
        audit.findings.broken(Invariant::Ledger, || {
            format!("{} was written under epoch {}, and epoch {} is in office", what(), epoch.0, in_office.0)
        });
    }
}
