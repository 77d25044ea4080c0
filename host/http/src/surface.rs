//! What every request is answered with, and how its body is read.

use super::error::Error;
use super::guards::Guards;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use faas_flow_core::FlowName;
use faas_flow_guest::GuestError;
use faas_flow_replica::Host;
use faas_flow_replica::error::Error as HostError;
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
        read_body(&self.host, body).await
    }

    /// The body of a push. One that announces that it is too large is not read.
    pub async fn read_module(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
        let Some(limit) = self.host.versions().module_limit() else { return self.read_body(body).await };
        let length = headers.get(header::CONTENT_LENGTH);
        let announced = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let too_large = |size: usize| Error::Host(GuestError::ModuleTooLarge { size, limit }.into());
        match announced {
            Some(size) if size > limit => Err(too_large(size)),
            _ => read_up_to(&self.host, body, limit).await?.ok_or_else(|| too_large(announced.unwrap_or(limit + 1))),
        }
    }
}

/// The body of a request to a flow or function of this host.
pub(super) async fn read_body(host: &Host, body: Body) -> Result<Bytes, Error> {
    let limit = host.settings().body_limit;
    read_up_to(host, body, limit).await?.ok_or(Error::BodyTooLarge { limit })
}

/// The body, unless it is larger than `limit` bytes. What has not arrived when the host leaves is not waited for.
async fn read_up_to(host: &Host, body: Body, limit: usize) -> Result<Option<Bytes>, Error> {
    let read = async {
        tokio::select! {
            biased;
            read = to_bytes(body, limit) => Ok(read),
            () = host.left() => Err(Error::Host(HostError::Stopping)),
        }
    };
    let read = match host.settings().read_timeout {
        None => read.await?,
        Some(limit) => tokio::time::timeout(limit, read).await.map_err(|_| Error::BodyTooSlow { limit })??,
    };
    match read {
        Ok(body) => Ok(Some(body)),
        Err(error) if is_over_limit(&error) => Ok(None),
        Err(error) => Err(Error::BodyCutShort(error)),
    }
}

/// Whether reading a body ended at its limit.
fn is_over_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<LengthLimitError>())
}
