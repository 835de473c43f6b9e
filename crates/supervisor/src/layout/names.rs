//! What the names of a store stand for. A name stands for one thing: gold has a collection a view, in which the cells of two
//! silver collections would take each other's places.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use ensemble_contract::Contract;
use ensemble_store::{Document, DocumentKind, Epoch, Retry, Stamp, Store};
use serde::{Deserialize, Serialize};

use super::LayoutError;
use crate::{SupervisorError, office};

const DOCUMENT: &str = "names";

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameUse {
    /// A silver collection.
    Silver,
    /// The bronze of contracts that may be many.
    Bronze,
    /// A view of the gold of this silver collection.
    ViewOf(String),
}

impl fmt::Display for NameUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silver => f.write_str("a silver collection"),
            Self::Bronze => f.write_str("a bronze collection"),
            Self::ViewOf(silver) => write!(f, "a view of {silver}"),
        }
    }
}

/// The names of a store.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Names(BTreeMap<String, NameUse>);

impl Names {
    /// The names as they are stored, and the stamp of their document.
    pub(super) async fn read(store: &dyn Store) -> Result<(Option<Stamp>, Self), SupervisorError> {
        let stored = office::read(store, DocumentKind::Counter, DOCUMENT).await?;
        Ok(stored.map_or_else(Default::default, |(stamp, names)| (Some(stamp), names)))
    }

    /// Adds a contract's names; whether any is new.
    ///
    /// # Errors
    /// [`LayoutError::Taken`] where one stands for something else.
    pub(super) fn add(&mut self, contract: &Contract) -> Result<bool, LayoutError> {
        let views = contract.views.iter().map(|view| (&view.name, NameUse::ViewOf(contract.silver.clone())));
        let collections = [(&contract.silver, NameUse::Silver), (&contract.bronze, NameUse::Bronze)];
        let mut is_new = false;
        for (name, wanted) in collections.into_iter().chain(views) {
            match self.0.entry(name.clone()) {
                Entry::Occupied(taken) if *taken.get() == wanted => {}
                Entry::Occupied(taken) => {
                    return Err(LayoutError::Taken { name: name.clone(), wanted, stands_for: taken.get().clone() });
                }
                Entry::Vacant(free) => {
                    free.insert(wanted);
                    is_new = true;
                }
            }
        }
        Ok(is_new)
    }

    /// Keeps a contract's names.
    pub(super) async fn keep(store: &dyn Store, contract: &Contract, retry: &mut Retry<'_>) -> Result<(), LayoutError> {
        loop {
            let (stamp, mut names) = Self::read(store).await?;
            if !names.add(contract)? {
                return Ok(());
            }
            // Of epoch 0, as the layout: contracts come from no supervisor in particular.
            let version = stamp.map_or(1, |stamp| stamp.version + 1);
            let document = Document {
                id: DOCUMENT.to_owned(),
                stamp: Stamp { epoch: Epoch(0), version },
                body: office::encode(DOCUMENT, &names)?,
            };
            if store.write_document(DocumentKind::Counter, stamp, &document).await? {
                return Ok(());
            }
            retry.pause("another process is adding the names of a contract").await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(silver: &str, bronze: &str, view: &str) -> Contract {
        let text = format!(
            "name = \"c\"\nkey = \"id\"\nsilver = \"{silver}\"\nbronze = \"{bronze}\"\n[columns]\n\
             id = {{ type = \"string\", required = true }}\n[gold]\n{view} = {{ by = [\"id\"], measures = [] }}\n"
        );
        Contract::parse(&text, "c.toml").unwrap()
    }

    #[test]
    fn a_name_stands_for_one_thing() {
        let mut names = Names::default();
        assert!(names.add(&contract("s", "b", "v")).unwrap());
        assert!(!names.add(&contract("s", "b", "v")).unwrap(), "nothing new");
        assert!(names.add(&contract("s2", "b", "v2")).unwrap(), "bronze may be shared");
        for (taken, name) in [
            (contract("s3", "b", "v"), "v"),
            (contract("s3", "b", "s"), "s"),
            (contract("s3", "b3", "b"), "b"),
            (contract("v", "b", "v3"), "v"),
            (contract("b", "b3", "v3"), "b"),
            (contract("s3", "v", "v3"), "v"),
            (contract("s3", "s", "v3"), "s"),
        ] {
            // What it would have added is not kept: the caller gives all of it up.
            let mut names: Names = serde_json::from_value(serde_json::to_value(&names).unwrap()).unwrap();
            match names.add(&taken) {
                Err(LayoutError::Taken { name: told, .. }) => assert_eq!(told, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
