//! `faas-flow dashboard`

use super::browser::guarded;
use super::existing::outlives_its_process;
use super::host::{guests, trusted, warn};
use super::listen::{self, listen, patience};
use super::stop::Server;
use super::{guards, waiting};
use crate::Error;
use crate::config::settings_of;
use crate::config::{Defaults, Group, Options, Stores, Takes, Unspecified, Values, resolve_stores};
use clap::Args;
use faas_flow_http::Starting;
use faas_flow_http::dashboard::OidcSettings;
use faas_flow_http::dashboard::{Access, Control, Dashboard};
use faas_flow_http::{Admin, Tokens};
use faas_flow_replica::{Functions, Host, Http, Network, Parts};
use faas_flow_versions::Loader;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub(super) struct Shown {
    #[command(flatten)]
    keys: Options<DashboardKeys>,
}

/// The keys of a dashboard: the stores, the gateway and the secrets of the functions that it shows.
struct DashboardKeys;

impl Takes for DashboardKeys {
    const GROUPS: &'static [Group] =
        &[Group::Address, Group::Connections, Group::Calls, Group::Stores, Group::Access, Group::Guest, Group::Modules];
    const DEFAULTS: Defaults = Defaults::Deployed;
}

impl Shown {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        let stores = resolve_stores(&mut values, Unspecified::Durable)?;
        warn(&values);
        let at = listen::address(&values, "0.0.0.0");
        let (listener, address) = listen(&at).await?;
        let sign_in = guards::sign_in(&values)?;
        let admin = admin(&values, address.ip(), sign_in.as_ref())?;
        outlives_its_process(&stores.state)?;
        let network: Arc<dyn Network> = Arc::new(Http::new(&settings_of(&values))?);
        let starting = Starting::default();
        let mut server = Server::start(listener, guarded(&values, address, starting.router()), patience(&values))?;
        eprintln!("serving the dashboard at http://{address}/");
        let host = host(&values, &stores, network.clone(), &starting);
        let Some(host) = server.unless_stopped(host).await? else { return Ok(ExitCode::SUCCESS) };
        let control = control(&values, network.clone(), &admin);
        let access = Access::new(admin, guards::result_access(&values), guards::payloads(&values))?;
        let access = access.behind(guards::proxies(&values));
        let access = match sign_in {
            Some(settings) => access.with_sign_in(settings, network),
            None => access,
        };
        let dashboard = Dashboard::new(host.clone(), access, control, "");
        starting.serves(dashboard.router());
        eprintln!("ready");
        server.until_stopped(host, Duration::ZERO, None).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Who may see it: those who have a token, besides those who sign in, or everybody if only this machine can reach it and there is
/// no provider.
fn admin(values: &Values, address: IpAddr, sign_in: Option<&OidcSettings>) -> Result<Admin, Error> {
    let folder = &values.secret_mount_path.value;
    match guards::tokens(folder)? {
        Some(tokens) => Ok(Admin::Tokens(tokens.into())),
        None if sign_in.is_some() => Ok(Admin::Tokens(Tokens::default().into())),
        None if address.to_canonical().is_loopback() => Ok(Admin::Anybody),
        None => Err(Error::NoAdminToken { address, folder: folder.clone() }),
    }
}

/// A host that reads, and neither serves flows nor recovers runs.
async fn host(
    values: &Values,
    stores: &Stores,
    network: Arc<dyn Network>,
    starting: &Starting,
) -> Result<Arc<Host>, Error> {
    let settings = settings_of(values);
    let loader = Loader::new(guests(values)?, trusted(values)?);
    let (state, data) = waiting::open_stores(starting, stores).await?;
    let functions = Functions::new(Vec::new(), None, &settings, network);
    Ok(Host::new(Parts { modules: Some(loader), ..Parts::new(settings, state, data, functions) }))
}

fn control(values: &Values, network: Arc<dyn Network>, admin: &Admin) -> Control {
    let Some(gateway) = values.gateway.value.clone() else { return Control::Nobody };
    let token = admin.token().map(str::to_owned);
    Control::Gateway { network, gateway, token }
}
