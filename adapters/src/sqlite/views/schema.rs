//! Which fixed tables `views.db` has.

use crate::sqlite::open::{Migration, Schema};

/// `CFvw`: the file holds views.
pub(super) const SCHEMA: Schema = Schema {
    name: "views",
    application_id: 0x4346_7677,
    migrations: &[Migration {
        number: 1,
        sql: include_str!("migrations/0001_views.sql"),
    }],
};
