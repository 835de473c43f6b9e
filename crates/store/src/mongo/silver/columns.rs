//! Which columns the silver collections have: one small document each, read once by every process.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use mongodb::bson::RawDocument;

use super::codec::OWN_FIELDS;
use crate::{
    StoreError,
    mongo::{
        bronze_names,
        errors::corrupt,
        options::{MongoCollections, is_collection_name},
        server::{Query, Server},
        writer::Index,
    },
};

/// The field of a collection that is none of silver.
const BRONZE: &str = "bronze";

type Result<T> = std::result::Result<T, StoreError>;

/// The columns of the silver collections that have been asked for.
#[derive(Debug)]
pub(in crate::mongo) struct Declared {
    names: MongoCollections,
    known: RwLock<HashMap<String, Arc<[String]>>>,
}

impl Declared {
    pub(in crate::mongo) fn new(names: MongoCollections) -> Self {
        Self { names, known: RwLock::default() }
    }

    /// The columns of a collection; `None` where nobody has declared it.
    ///
    /// # Errors
    /// Those of [`Server::find`].
    pub(in crate::mongo) async fn columns(&self, server: &Server, silver: &str) -> Result<Option<Arc<[String]>>> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(silver) {
            return Ok(Some(Arc::clone(known)));
        }
        let query = Query::id(silver);
        let read = server.find("read the columns of silver", &self.names.silver, query, |found| {
            if is_bronze(found) {
                let problem = "holds the bronze of a contract; name another one with `silver` in the contract";
                return Err(wrong(silver, problem.to_owned()));
            }
            read_columns(found).ok_or_else(|| corrupt("the columns of", silver, "they are no list of names"))
        });
        let Some(columns) = read.await?.pop() else { return Ok(None) };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::clone(known.entry(silver.to_owned()).or_insert_with(|| columns.into()))))
    }

    /// The columns of a collection that is about to be written to.
    ///
    /// # Errors
    /// [`StoreError::Silver`] where nobody has declared it; those of [`Server::find`].
    pub(in crate::mongo) async fn needed(&self, server: &Server, silver: &str) -> Result<Arc<[String]>> {
        let columns = self.columns(server, silver).await?;
        columns.ok_or_else(|| wrong(silver, "has not been declared; declare its columns first".to_owned()))
    }

    /// Declares a collection, unless it is.
    ///
    /// # Errors
    /// [`StoreError::Silver`] where a name cannot be, or the collection has other columns; those of [`Server::keep`].
    pub(in crate::mongo) async fn declare(&self, server: &Server, silver: &str, columns: &[String]) -> Result<()> {
        self.check(silver, columns)?;
        let ids = [silver.to_owned()];
        server
            .keep("declare a silver collection", &self.names.silver, &ids, &|_, w| {
                w.text("_id", silver);
                let (list, mut index) = (w.open_array("columns"), Index::new());
                columns.iter().enumerate().for_each(|(at, name)| w.text(index.name(at), name));
                w.close(list);
                Ok(())
            })
            .await?;
        let stored = self.needed(server, silver).await?;
        if *stored == *columns {
            return Ok(());
        }
        let (stored, columns) = (stored.join(", "), columns.join(", "));
        Err(wrong(
            silver,
            format!("has the columns {stored}, and not {columns}; name another collection or another database"),
        ))
    }

    /// Sees to it that a collection is none of silver: it is to hold bronze.
    ///
    /// # Errors
    /// [`StoreError::Bronze`] where it is one of silver; those of [`Server::keep`].
    pub(in crate::mongo) async fn reserve(&self, server: &Server, bronze: &str) -> Result<()> {
        let ids = [bronze.to_owned()];
        server
            .keep("declare a bronze collection", &self.names.silver, &ids, &|_, w| {
                w.text("_id", bronze);
                w.boolean(BRONZE, true);
                Ok(())
            })
            .await?;
        let kinds = server
            .find("read the kind of a collection", &self.names.silver, Query::id(bronze), |found| Ok(is_bronze(found)));
        if kinds.await? == [true] {
            return Ok(());
        }
        let problem = "holds the silver of a contract; name another one with `bronze` in the contract";
        Err(bronze_names::wrong(bronze, problem))
    }

    fn check(&self, silver: &str, columns: &[String]) -> Result<()> {
        if self.names.is_taken(silver) || !is_collection_name(silver) {
            return Err(wrong(
                silver,
                "has a name that this store needs itself or that MongoDB does not take".to_owned(),
            ));
        }
        let mut seen = BTreeSet::new();
        for name in columns {
            // `$` and dots have a meaning in queries, so such a field could not be asked for.
            let is_odd = name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']);
            if is_odd || OWN_FIELDS.contains(&name.as_str()) {
                return Err(wrong(silver, format!("cannot have a column {name:?}; rename it in the contract")));
            }
            if !seen.insert(name) {
                return Err(wrong(silver, format!("would have the column {name} twice")));
            }
        }
        Ok(())
    }
}

fn wrong(silver: &str, problem: String) -> StoreError {
    StoreError::Silver { silver: silver.to_owned(), problem }
}

fn is_bronze(found: &RawDocument) -> bool {
    found.get_bool(BRONZE).unwrap_or(false)
}

fn read_columns(found: &RawDocument) -> Option<Vec<String>> {
    let columns = found.get_array("columns").ok()?;
    columns.into_iter().map(|name| Some(name.ok()?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_are_refused() {
        let declared = Declared::new(MongoCollections::default());
        let check = |silver: &str, columns: &[&str]| {
            declared.check(silver, &columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())
        };
        check("spotify_clean", &["track_id", "ünicode", "a b"]).unwrap();
        for silver in ["", "a$b", "system.x", "rejected_rows", "spotify_raw.parts", "ensemble_silver"] {
            assert!(matches!(check(silver, &["a"]), Err(StoreError::Silver { .. })), "{silver}");
        }
        for column in ["_id", "claim", "displaced", "extra", "$x", "a.b", "a\0", ""] {
            let error = check("tracks", &["a", column]).unwrap_err();
            assert!(error.to_string().contains(&format!("{column:?}")), "{error}");
        }
        assert!(check("tracks", &["a", "b", "a"]).unwrap_err().to_string().contains("the column a twice"));
    }
}
