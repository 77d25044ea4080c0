//! A server in one call, for programs that embed the host.

use crate::Error;
use crate::cli::{listen, serve_until_stopped};
use faas_flow_http::{BrowserRules, Guards, Patience, router};
use faas_flow_replica::Host;
use std::sync::Arc;
use std::time::Duration;

/// How slow callers may be, as by the default configuration.
const PATIENCE: Patience =
    Patience { read: Some(Duration::from_secs(30)), write: Some(Duration::from_secs(30)), connections: Some(512) };

/// Serves a host's flows at `HOST:PORT` (port 0 takes a free port, which stderr names), fires their schedules and recovers its stored runs, until
/// SIGINT or SIGTERM. It admits callers as `guards` says: the default guards let everybody who can reach the address change
/// runs. At a loopback address it answers requests for that address and `localhost` only, and no pages of other sites.
pub async fn serve(host: Arc<Host>, guards: Guards, address: &str) -> Result<(), Error> {
    let (listener, address) = listen(address).await?;
    tokio::spawn(host.clone().sweep());
    tokio::spawn(host.clone().fire_schedules());
    for flow in host.versions().all_active() {
        eprintln!("serving http://{address}/function/{}", flow.name);
    }
    let mut routes = router(host.clone(), guards);
    if address.ip().to_canonical().is_loopback() {
        routes = BrowserRules::new(address, Vec::new(), Vec::new()).over(routes);
    }
    serve_until_stopped(listener, routes, host, PATIENCE).await
}
