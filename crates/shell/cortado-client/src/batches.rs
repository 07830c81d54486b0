//! Many documents in one request: transactions of one resource, and reads.
//!
//! Start reading at [`Database::transact`].

use crate::client::{Call, Database};
use crate::documents::{ReadOptions, WriteOptions, note_session};
use crate::failure::ClientError;
use crate::retry::Repeat;
use bytes::Bytes;
use cortado_wire::{
    BatchAnswer, BatchBody, BatchKey, OperationBody, TransactionAnswer, TransactionBody, media,
};
use http::Method;
use serde::de::DeserializeOwned;

impl Database {
    /// Does all of `operations` or none of them.
    ///
    /// * `operations`: 1 to 1,000, all of one resource, no document twice.
    /// * `write`: its condition is for single documents and must be absent.
    ///
    /// # Errors
    /// As [`Table::put`](crate::Table::put); where one operation is to blame, the problem names it.
    pub async fn transact(
        &self,
        operations: Vec<OperationBody<'_>>,
        write: &WriteOptions<'_>,
    ) -> Result<TransactionAnswer, ClientError> {
        let body = json_of(&TransactionBody { operations })?;
        self.transact_raw(body, write).await
    }

    /// The same from a body as the API spells it: `{"operations":[…]}`.
    ///
    /// # Errors
    /// As [`transact`](Self::transact).
    pub async fn transact_raw(
        &self,
        body: Bytes,
        write: &WriteOptions<'_>,
    ) -> Result<TransactionAnswer, ClientError> {
        if write.condition.is_some() {
            let why = "a transaction takes its conditions in its operations".to_owned();
            return Err(ClientError::Misuse { why });
        }
        let call = Call::new(Method::POST, self.path(":transact"), write.repeat());
        let call = write.apply(call)?.body(media::JSON, body);
        let answer = self.client.send(&call).await?;
        note_session(&answer, write.session);
        parsed(&answer.body)
    }

    /// Reads many documents, in the order of `keys`; what is missing has the status 404.
    ///
    /// * `keys`: 1 to 1,000.
    ///
    /// # Errors
    /// Nothing could be read. What concerns one key stands in its result.
    pub async fn batch_get(
        &self,
        keys: Vec<BatchKey<'_>>,
        read: &ReadOptions<'_>,
    ) -> Result<BatchAnswer, ClientError> {
        self.batch_get_raw(json_of(&BatchBody { keys })?, read).await
    }

    /// The same from a body as the API spells it: `{"keys":[…]}`.
    ///
    /// # Errors
    /// As [`batch_get`](Self::batch_get).
    pub async fn batch_get_raw(
        &self,
        body: Bytes,
        read: &ReadOptions<'_>,
    ) -> Result<BatchAnswer, ClientError> {
        let call = Call::new(Method::POST, self.path(":batchGet"), Repeat::Nothing);
        let call = read.apply(call)?.body(media::JSON, body);
        let answer = self.client.send(&call).await?;
        note_session(&answer, read.session);
        parsed(&answer.body)
    }
}

/// A request's body.
///
/// # Errors
/// Never for the types of the API; a misuse otherwise.
pub(crate) fn json_of(body: &impl serde::Serialize) -> Result<Bytes, ClientError> {
    let bytes = serde_json::to_vec(body);
    let bytes = bytes.map_err(|error| ClientError::Misuse { why: error.to_string() })?;
    Ok(bytes.into())
}

/// An answer's body.
///
/// # Errors
/// It has another shape than the API promises.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::BadAnswer { what: error.to_string() })
}
