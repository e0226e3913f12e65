//! Typed reading of the live rows of one view.
//!
//! Called by use cases, loops and tools. It never writes, and every call sees the generation that
//! is live at that moment.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::ports::{At, Cursor, Standing, ViewQuery, ViewSpec, ViewStore, ViewStoreError};
use crate::view::{ApplyError, TypedRow, decode};

/// Rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ViewReadError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] ViewStoreError),
    /// A row's body is not what its type says.
    #[error(transparent)]
    Body(#[from] ApplyError),
}

/// One page of typed rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedPage<T> {
    /// In the order that was asked for.
    pub rows: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Reads rows of one table of one view.
pub struct Reader<T> {
    store: Arc<dyn ViewStore>,
    spec: ViewSpec,
    row: PhantomData<fn() -> T>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            spec: self.spec,
            row: PhantomData,
        }
    }
}

impl<T: TypedRow> Reader<T> {
    /// Of the view that `spec` describes.
    pub fn new(store: Arc<dyn ViewStore>, spec: ViewSpec) -> Self {
        Self {
            store,
            spec,
            row: PhantomData,
        }
    }

    /// One row.
    ///
    /// # Errors
    /// [`ViewReadError`].
    pub async fn get(&self, key: &str) -> Result<Option<T>, ViewReadError> {
        let row = self
            .store
            .get(&self.spec, At::Live, T::TABLE.name, key)
            .await?;
        Ok(row.map(decode).transpose()?)
    }

    /// One page.
    ///
    /// # Errors
    /// [`ViewReadError`].
    pub async fn query(&self, query: &ViewQuery) -> Result<TypedPage<T>, ViewReadError> {
        let page = self
            .store
            .query(&self.spec, At::Live, T::TABLE.name, query)
            .await?;
        let rows = page
            .rows
            .into_iter()
            .map(decode)
            .collect::<Result<_, _>>()?;
        Ok(TypedPage {
            rows,
            next: page.next,
        })
    }

    /// Where the live generation stands.
    ///
    /// # Errors
    /// [`ViewReadError`].
    pub async fn standing(&self) -> Result<Standing, ViewReadError> {
        Ok(self.store.standing(&self.spec, At::Live).await?)
    }
}
