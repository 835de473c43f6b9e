//! Which contract a silver collection was built under, and what the names of a store stand for.

mod names;

use std::time::Duration;

use ensemble_contract::Contract;
use ensemble_store::{Document, DocumentKind, Epoch, Retry, Stamp, Store, StoreError, SystemClock};

use crate::SupervisorError;

pub use self::names::NameUse;
use self::names::Names;

/// How long a layout that another process is writing may take to be readable.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a contract cannot fill a silver collection.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The names of the store cannot be read.
    #[error(transparent)]
    Names(#[from] SupervisorError),
    /// The collection was built under other columns, another key, keep or views.
    #[error(
        "the silver collection {silver} of this store was built under another contract ({what} differ); \
         name another store with --store, or another collection with `silver` in the contract"
    )]
    Differs {
        /// The collection.
        silver: String,
        /// What differs.
        what: &'static str,
    },
    /// A name of the contract stands for something else in this store.
    #[error(
        "{name} is to be {wanted}, and in this store it is {stands_for}; rename it in the contract, or name another \
         store with --store"
    )]
    Taken {
        /// The name.
        name: String,
        /// What the contract calls so.
        wanted: NameUse,
        /// What is called so in the store.
        stands_for: NameUse,
    },
}

/// Checks that the contract has the columns, key, keep and views that its silver collection was built under, and that its
/// names stand for nothing else; notes both down where they are new. Then the collection is ready for claims. Rules may
/// differ: they decide about new rows only. A contract that is refused leaves nothing behind, unless another one of the
/// same moment has taken its names.
///
/// # Errors
/// Where they differ or a name is taken, or those of the store.
pub async fn check_layout(store: &dyn Store, contract: &Contract) -> Result<(), LayoutError> {
    let id = format!("layout/{}", contract.silver);
    let mine = describe(contract);
    let mut retry = Retry::within(&SystemClock, PATIENCE);
    // Looked at before anything is written: a refused contract must leave no layout, from which its corrected self would
    // differ.
    let has_new_names = Names::read(store).await?.1.add(contract)?;
    loop {
        if let Some(stored) = store.document(DocumentKind::Counter, &id).await? {
            compare(contract, &mine, &String::from_utf8_lossy(&stored.body))?;
            break;
        }
        // Of epoch 0, so that no supervisor's epoch matters: it is written once and never changed.
        let stamp = Stamp { epoch: Epoch(0), version: 1 };
        let document = Document { id: id.clone(), stamp, body: mine.join("\n").into() };
        if store.write_document(DocumentKind::Counter, None, &document).await? {
            break;
        }
        retry.pause("the layout that another process has written is not durable yet").await?;
    }
    if has_new_names {
        Names::keep(store, contract, &mut retry).await?;
    }
    let columns: Vec<String> = contract.columns.iter().map(|c| c.name.clone()).collect();
    Ok(store.declare_silver(&contract.silver, &columns).await?)
}

const PARTS: [&str; 4] = ["its columns", "its key", "its keep", "its views"];

fn describe(contract: &Contract) -> [String; 4] {
    let columns: Vec<String> = contract.columns.iter().map(|c| format!("{}:{:?}", c.name, c.ty)).collect();
    [columns.join(","), contract.key_name().to_owned(), format!("{:?}", contract.keep), format!("{:?}", contract.views)]
}

fn compare(contract: &Contract, mine: &[String; 4], stored: &str) -> Result<(), LayoutError> {
    let mut lines = stored.split('\n');
    for (mine, what) in mine.iter().zip(PARTS) {
        if lines.next() != Some(mine) {
            return Err(LayoutError::Differs { silver: contract.silver.clone(), what });
        }
    }
    Ok(())
}
