//! `faas-flow dashboard`

use super::common::{self, listen};
use super::guards;
use super::stop::Server;
use super::waiting;
use crate::config::{self, Defaults, Group, Options, Takes, Values};
use crate::dashboard::{Access, Control, Dashboard};
use crate::http::{Patience, Starting};
use crate::versions::Loader;
use crate::{Admin, Error, Functions, Host, Http, Network, Parts, Settings};
use clap::Args;
use faas_flow_core::Code;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How slow browsers may be.
const PATIENCE: Patience = Patience { read: Some(Duration::from_secs(30)), write: Some(Duration::from_secs(30)) };

#[derive(Args)]
pub(super) struct Shown {
    #[command(flatten)]
    keys: Options<DashboardKeys>,
}

/// What a dashboard needs: the functions' own stores, gateway and secrets.
struct DashboardKeys;

impl Takes for DashboardKeys {
    const GROUPS: &'static [Group] =
        &[Group::Address, Group::Calls, Group::Stores, Group::Access, Group::Guest, Group::Modules];
    const DEFAULTS: Defaults = Defaults::Deployed;
}

impl Shown {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let mut values = self.keys.read()?;
        config::resolve_stores(&mut values, false)?;
        common::warn(&values);
        let at = values.some(&config::LISTEN).unwrap_or_else(|| format!("0.0.0.0:{}", values.port(&config::PORT)));
        let (listener, address) = listen(&at).await?;
        let admin = admin(&values, address.ip())?;
        let network: Arc<dyn Network> = Arc::new(Http::new(&Settings::of(&values))?);
        let starting = Starting::default();
        let mut server = Server::start(listener, starting.router(), PATIENCE)?;
        eprintln!("serves the dashboard at http://{address}/");
        let Some(host) = server.unless_stopped(host(&values, network.clone(), &starting)).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        let control = control(&values, network, &admin);
        let dashboard = Dashboard::new(host.clone(), Access::new(admin)?, control, "");
        starting.serves(dashboard.router());
        eprintln!("ready");
        server.until_stopped(host, Duration::ZERO, None).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Who sees it: whoever has the token, or everybody where only this machine reaches it.
fn admin(values: &Values, address: IpAddr) -> Result<Admin, Error> {
    let folder = values.text(&config::SECRET_MOUNT_PATH);
    match guards::admin_token(folder.as_ref())? {
        Some(token) => Ok(Admin::Token(token)),
        None if address.to_canonical().is_loopback() => Ok(Admin::Anybody),
        None => {
            let message = format!(
                "others can reach {address}, but there is no token: put faasflow-admin-token into {folder}, or name its \
                 folder with secret_mount_path"
            );
            Err(Error::new(Code::BAD_SECRET, message))
        }
    }
}

/// A host that serves no flows and looks after no runs: it reads.
async fn host(values: &Values, network: Arc<dyn Network>, starting: &Starting) -> Result<Arc<Host>, Error> {
    let settings = Settings::of(values);
    let loader = Loader::new(common::guests(values)?, common::trusted(values)?);
    let (state, data) = (values.text(&config::STATE_STORE), values.text(&config::DATA_STORE));
    let (state, data) = waiting::stores(starting, &state, &data).await?;
    let functions = Functions::new(Vec::new(), None, &settings, network);
    Ok(Host::new(Parts { modules: Some(loader), ..Parts::new(settings, state, data, functions) }))
}

fn control(values: &Values, network: Arc<dyn Network>, admin: &Admin) -> Control {
    let Some(gateway) = values.url(&config::GATEWAY) else { return Control::Nobody };
    let token = match admin {
        Admin::Token(token) => Some(token.clone()),
        Admin::Anybody | Admin::Nobody => None,
    };
    Control::Gateway { network, gateway, token }
}
