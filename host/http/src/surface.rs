//! What every request is answered with, and how its body is read.

use super::error::Error;
use super::guards::Guards;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use faas_flow_core::FlowName;
use faas_flow_guest::GuestError;
use faas_flow_replica::Host;
use http_body_util::LengthLimitError;
use std::sync::Arc;

/// What every request is answered with.
pub(super) struct Surface {
    pub host: Arc<Host>,
    pub guards: Guards,
    /// The flow at `/`, if the host is a deployed function.
    pub flow: Option<FlowName>,
}

impl Surface {
    /// The body of any request but a push.
    pub async fn read_body(&self, body: Body) -> Result<Bytes, Error> {
        let limit = self.host.settings().body_limit;
        self.read_up_to(body, limit).await?.ok_or(Error::BodyTooLarge { limit })
    }

    /// The body of a push. One that announces that it is too large is not read.
    pub async fn read_module(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
        let Some(limit) = self.host.versions().module_limit() else { return self.read_body(body).await };
        let length = headers.get(header::CONTENT_LENGTH);
        let announced = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let too_large = |size: usize| Error::Host(GuestError::ModuleTooLarge { size, limit }.into());
        match announced {
            Some(size) if size > limit => Err(too_large(size)),
            _ => self.read_up_to(body, limit).await?.ok_or_else(|| too_large(announced.unwrap_or(limit + 1))),
        }
    }

    /// The body, unless it is larger than `limit` bytes.
    async fn read_up_to(&self, body: Body, limit: usize) -> Result<Option<Bytes>, Error> {
        let read = to_bytes(body, limit);
        let read = match self.host.settings().read_timeout {
            None => read.await,
            Some(limit) => tokio::time::timeout(limit, read).await.map_err(|_| Error::BodyTooSlow { limit })?,
        };
        match read {
            Ok(body) => Ok(Some(body)),
            Err(error) if is_over_limit(&error) => Ok(None),
            Err(error) => Err(Error::BodyCutShort(error)),
        }
    }
}

/// Whether reading a body ended at its limit.
fn is_over_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<LengthLimitError>())
}
