//! A server in one call, for hosts of one's own.

use crate::cli::{listen, serve_until_stopped};
use crate::{Guards, router};
use faas_flow_replica::{Error, Host};
use std::sync::Arc;
use std::time::Duration;

/// Serves a host's flows at `HOST:PORT` (port 0 takes a free one, stderr says which) and looks after its stored runs, until
/// SIGINT or SIGTERM. The guards are the caller's: the default ones let everybody who reaches the address change runs.
pub async fn serve(host: Arc<Host>, guards: Guards, address: &str) -> Result<(), Error> {
    let (listener, address) = listen(address).await?;
    tokio::spawn(host.clone().sweep());
    for flow in host.versions().all_active() {
        eprintln!("serving http://{address}/function/{}", flow.name);
    }
    serve_until_stopped(listener, router(host.clone(), guards), host, Duration::ZERO, None).await
}
