//! What requests may do that pages of others sent and that are answered nevertheless.

use super::{Fault, Visit};
use crate::error::Error;
use crate::guards::{ControlMethods, Guards};
use crate::surface::Surface;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, Method};
use std::sync::Arc;

/// Lets only the server's own pages, and programs, in.
pub(crate) struct OwnPages;

impl<S: Send + Sync> FromRequestParts<S> for OwnPages {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::admit(&parts.extensions).map(|()| Self)
    }
}

impl OwnPages {
    /// Admits a request with these extensions.
    pub fn admit(extensions: &Extensions) -> Result<(), Error> {
        match extensions.get() {
            Some(Visit::Link) => Err(Fault::Link.into()),
            Some(Visit::Listed) => Err(Fault::Listed.into()),
            None => Ok(()),
        }
    }
}

/// Admits the method of a request that pauses, resumes or stops a run. The original takes GET for that, which any page can send
/// by an image; so GET is taken only if a token protects it, which no page has.
pub(crate) struct Controls;

impl Controls {
    /// Admits the request with this head.
    pub fn admit(guards: &Guards, parts: &Parts) -> Result<(), Error> {
        if guards.control_methods() == ControlMethods::Post && parts.method != Method::POST {
            return Err(Error::ControlByGet { method: parts.method.clone() });
        }
        OwnPages::admit(&parts.extensions)
    }
}

impl FromRequestParts<Arc<Surface>> for Controls {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Arc<Surface>) -> Result<Self, Error> {
        Self::admit(&surface.guards, parts).map(|()| Self)
    }
}
