//! What every request is answered with, and how its body is read.

use super::error::Error;
use super::guards::Guards;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use faas_flow_core::FlowName;
use faas_flow_guest::{GuestError, Memory, Purpose};
use faas_flow_replica::Host;
use faas_flow_replica::error::Error as HostError;
use faas_flow_versions::Flow;
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// What every request is answered with.
pub(super) struct Surface {
    pub host: Arc<Host>,
    pub guards: Guards,
    /// The flow at `/`, if the host is a deployed function.
    pub flow: Option<FlowName>,
}

impl Surface {
    /// The body of any request but a push or a call of a flow.
    pub async fn read_body(&self, body: Body) -> Result<Bytes, Error> {
        read_body(&self.host, None, body).await
    }

    /// The body of a call of a flow.
    pub async fn read_call(&self, flow: &Flow, body: Body) -> Result<Bytes, Error> {
        read_body(&self.host, Some(flow), body).await
    }

    /// The body of an answer to a node that waits; `None` if it is too large.
    pub async fn read_answer(&self, body: Body) -> Result<Option<Bytes>, Error> {
        read_up_to(&self.host, body, self.host.settings().response_limit).await
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

/// The body of a request to a flow of this host, or to anything else.
pub(super) async fn read_body(host: &Host, flow: Option<&Flow>, body: Body) -> Result<Bytes, Error> {
    let limit = host.body_limit(flow);
    let read = read_up_to(host, body, limit.bytes).await?;
    read.ok_or_else(|| Error::Host(HostError::BodyTooLarge { limit }))
}

/// The body, unless it is larger than `limit` bytes. What has not arrived when the host leaves is not waited for.
pub(super) async fn read_up_to(host: &Host, body: Body, limit: usize) -> Result<Option<Bytes>, Error> {
    let read = async {
        tokio::select! {
            biased;
            read = read_counted(body, limit) => read,
            () = host.left() => Err(Error::Host(HostError::Stopping)),
        }
    };
    match host.settings().read_timeout {
        None => read.await,
        Some(limit) => tokio::time::timeout(limit, read).await.map_err(|_| Error::BodyTooSlow { limit })?,
    }
}

/// The body, unless it is larger than `limit` bytes. What has arrived is counted as memory of this process for as long as it
/// is held. If there is no room for it, the rest is read and dropped, since a caller who is still sending would not read the
/// answer.
async fn read_counted(mut body: Body, limit: usize) -> Result<Option<Bytes>, Error> {
    let mut arrived = Arrived::default();
    let mut size = 0_usize;
    let mut room = Ok(Memory::of_process().reservation(Purpose::Request));
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(Error::BodyCutShort)?.into_data() else { continue };
        size += part.len();
        if size > limit {
            return Ok(None);
        }
        if let Ok(reserved) = &mut room {
            match reserved.grow(part.len()) {
                Ok(()) => arrived.add(part),
                Err(short) => {
                    arrived = Arrived::default();
                    room = Err(short);
                }
            }
        }
    }
    room.map(|room| Some(room.hold(arrived.whole()))).map_err(Error::OutOfMemory)
}

/// The parts of a body. Most bodies are in one part, which is not copied.
#[derive(Default)]
struct Arrived {
    first: Bytes,
    all: BytesMut,
}

impl Arrived {
    fn add(&mut self, part: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = part;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&part);
    }

    fn whole(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
