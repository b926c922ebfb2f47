//! What the story makes in the database: one schema, with a table for each way; and its end.

use anyhow::{Context, bail};

use super::client::{Client, Refused};
use super::dsn::Dsn;

/// The schema that holds everything that the demo makes.
pub(super) const SCHEMA: &str = "palisade_demo";
/// The tables, in the order of the ways.
pub(super) const TABLES: [&str; 3] =
    ["palisade_demo.unfenced", "palisade_demo.compared", "palisade_demo.fenced"];

/// `CREATE SCHEMA` where there is one of that name.
const DUPLICATE_SCHEMA: &str = "42P06";
const INSUFFICIENT_PRIVILEGE: &str = "42501";
const READ_ONLY_TRANSACTION: &str = "25006";

/// The schema, there from [`Database::make`] to [`Database::remove`].
pub(super) struct Database {
    client: Client,
}

impl Database {
    /// Makes the schema with its tables, all or nothing.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let the role; what to do about it.
    pub(super) async fn make(dsn: &Dsn) -> anyhow::Result<Self> {
        let client = Client::new(dsn, dsn.place.endpoint(), None, None)?;
        let mut session = client.open().await.with_context(|| {
            format!("no session at {} as role \"{}\"", dsn.place.text(), dsn.role)
        })?;
        // One message is one transaction.
        let mut making = format!("CREATE SCHEMA {SCHEMA};");
        for table in TABLES {
            making += &format!(
                "CREATE TABLE {table} (accepted text[] NOT NULL, document text NOT NULL);\
                 INSERT INTO {table} VALUES ('{{}}', '');"
            );
        }
        let made = session.query(&making).await;
        session.close().await;
        let Err(error) = made else { return Ok(Self { client }) };
        let Dsn { role, database, .. } = dsn;
        match error.downcast_ref::<Refused>().map(|refused| refused.code.as_str()) {
            Some(DUPLICATE_SCHEMA) => bail!(
                "database \"{database}\" has a schema {SCHEMA} already, which the demo does not touch; \
                 another demo is running there, or one was killed: in that case \
                 DROP SCHEMA {SCHEMA} CASCADE"
            ),
            Some(INSUFFICIENT_PRIVILEGE) => bail!(
                "{error}; the demo makes a schema of its own: \
                 GRANT CREATE ON DATABASE \"{database}\" TO \"{role}\", or name another database"
            ),
            Some(READ_ONLY_TRANSACTION) => {
                bail!("{error}; the demo writes: name a server that is no standby")
            }
            _ => Err(error.context(format!("making the schema {SCHEMA}"))),
        }
    }

    /// Removes what was made, and nothing that somebody else has put beside it.
    ///
    /// # Errors
    /// What is left, and how to remove it.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        let removing = async {
            let mut session = self.client.open().await?;
            // Somebody may still be reading in a transaction of their own.
            let text = format!(
                "SET lock_timeout = '5s'; DROP TABLE {}; DROP SCHEMA {SCHEMA};",
                TABLES.join(", ")
            );
            let removed = session.query(&text).await;
            session.close().await;
            removed
        };
        removing.await.map(drop).with_context(|| {
            format!(
                "the schema {SCHEMA} could not be removed; DROP SCHEMA {SCHEMA} CASCADE does it"
            )
        })
    }
}
