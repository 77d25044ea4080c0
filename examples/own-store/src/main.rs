//! A host with a state store of its own.

mod store;

use faas_flow_guest::{Guests, Limits};
use faas_flow_host::serve;
use faas_flow_http::Guards;
use faas_flow_replica::{Functions, Host, Http, Parts, Settings};
use faas_flow_store::open_data;
use faas_flow_versions::load_flow;
use std::sync::Arc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let module = std::env::args().nth(1).unwrap_or_else(|| "greet.wasm".into());
    let address = std::env::args().nth(2).unwrap_or_else(|| "127.0.0.1:8080".into());
    let settings = Settings::default();
    let functions = Functions::new([], None, &settings, Arc::new(Http::new(&settings)?));
    let (state, data) = (Arc::new(store::OwnStore::default()), open_data("memory").await?);
    let host = Host::new(Parts::new(settings, state, data, functions));
    host.versions().deploy(load_flow(Arc::new(Guests::new(Limits::default(), None)?), module.as_ref(), None).await?);
    Ok(serve(host, Guards::default(), &address).await?)
}
