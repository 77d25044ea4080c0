//! Data in a bucket of any service with the S3 protocol: `<prefix>/<partition>/<name>`.

mod connect;
mod credentials;
mod errors;
mod keys;
#[cfg(test)]
mod tests;

use crate::address::Address;
use crate::{DataKey, DataStore, StoreError};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use errors::Place;
use faas_flow_core::{Partition, RetryPolicy};
use std::sync::Arc;

/// Opens the store in a bucket; see [`crate::open_data`].
pub(crate) async fn open_data(address: &Address<'_>) -> Result<Arc<dyn DataStore>, StoreError> {
    Ok(Arc::new(connect::open(address).await?))
}

/// Data in a bucket.
struct S3 {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
    /// When to read a value again whose download was interrupted. The client itself repeats everything else.
    retries: RetryPolicy,
    place: Place,
}

#[async_trait]
impl DataStore for S3 {
    async fn put(&self, key: &DataKey, bytes: Bytes) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(key)).body(bytes.into());
        put.send().await.map(|_| ()).map_err(|error| self.place.error(&error))
    }

    async fn get(&self, key: &DataKey) -> Result<Option<Bytes>, StoreError> {
        let mut delays = self.retries.delays(fastrand::f64);
        loop {
            let get = self.client.get_object().bucket(&self.bucket).key(self.key(key));
            let found = match get.send().await {
                Ok(found) => found,
                Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                    return Ok(None);
                }
                Err(error) => return Err(self.place.error(&error)),
            };
            match found.body.collect().await {
                Ok(body) => return Ok(Some(body.into_bytes())),
                Err(error) => match delays.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(self.place.unavailable(&error)),
                },
            }
        }
    }

    async fn delete(&self, partition: &Partition) -> Result<(), StoreError> {
        let mut next = None;
        loop {
            // The delimiter excludes another store whose prefix begins with the name of this partition.
            let list =
                self.client.list_objects_v2().bucket(&self.bucket).prefix(self.directory(partition)).delimiter("/");
            let page = list.set_continuation_token(next).send().await.map_err(|error| self.place.error(&error))?;
            self.delete_objects(page.contents().iter().filter_map(|object| object.key())).await?;
            match page.next_continuation_token {
                Some(token) if page.is_truncated == Some(true) => next = Some(token),
                _ => return Ok(()),
            }
        }
    }
}

impl S3 {
    /// Deletes the objects of one page of a listing: at most 1,000, the limit of one call.
    async fn delete_objects(&self, keys: impl Iterator<Item = &str>) -> Result<(), StoreError> {
        let ids = keys.map(|key| ObjectIdentifier::builder().key(key).build());
        let ids = ids.collect::<Result<Vec<_>, _>>().map_err(|error| self.place.unavailable(&error))?;
        if ids.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder().set_objects(Some(ids)).quiet(true).build();
        let delete = delete.map_err(|error| self.place.unavailable(&error))?;
        let deleted = self.client.delete_objects().bucket(&self.bucket).delete(delete).send().await;
        match deleted.map_err(|error| self.place.error(&error))?.errors().first() {
            None => Ok(()),
            Some(error) => Err(self.place.refusal(error.code().unwrap_or_default(), error.message())),
        }
    }

    fn key(&self, key: &DataKey) -> String {
        self.directory(key.partition()) + &keys::encode(key.name())
    }

    fn directory(&self, partition: &Partition) -> String {
        format!("{}{}/", self.prefix, keys::encode(partition.as_str()))
    }
}
