//! `faas-flow serve`

use super::common::HostOptions;
use super::progress;
use crate::{Error, router};
use clap::Args;
use faas_flow_core::Code;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;

#[derive(Args)]
pub(super) struct Serve {
    /// The flows' modules; a flow is called as its file, or as NAME in NAME=FILE
    #[arg(required = true, value_name = "FLOW")]
    flows: Vec<PathBuf>,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", env = "FAAS_FLOW_LISTEN")]
    listen: String,
    /// Show each run as it goes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    host: HostOptions,
}

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        // The address first: who cannot have it need not compile.
        let listener = TcpListener::bind(&self.listen).await.map_err(|error| self.cannot_listen(&error))?;
        let address = listener.local_addr().map_err(|error| self.cannot_listen(&error))?;
        if self.host.state_url().is_none() {
            let made = std::fs::create_dir_all(".faas-flow");
            made.map_err(|error| Error::new(Code::STORE_READ_ONLY, format!("cannot create .faas-flow: {error}")))?;
        }
        let (host, flows) = self.host.host(&self.flows, "sqlite:.faas-flow/state.db", "files:.faas-flow/data").await?;
        let shown = self.watch.then(|| progress::show(host.watch()));
        tokio::spawn(host.clone().sweep());
        for flow in &flows {
            eprintln!("serves http://{address}/function/{}", flow.name);
        }
        for name in host.functions().names() {
            eprintln!("serves http://{address}/function/{name} (a step function)");
        }
        eprintln!("ready");
        let served = axum::serve(listener, router(host)).with_graceful_shutdown(interrupted()).await;
        if let Some(shown) = shown {
            shown.finish().await;
        }
        served.map_err(|error| Error::new(Code::INTERNAL, format!("the server ended: {error}")))?;
        Ok(ExitCode::SUCCESS)
    }

    fn cannot_listen(&self, error: &std::io::Error) -> Error {
        let listen = &self.listen;
        match error.kind() {
            ErrorKind::AddrInUse => {
                let message = format!(
                    "{listen} is taken by another process: choose another with --listen, or port 0 for a free one"
                );
                Error::new(Code::ADDRESS_IN_USE, message)
            }
            _ => Error::new(Code::BAD_ADDRESS, format!("cannot listen on {listen}: {error}")),
        }
    }
}

/// SIGINT or SIGTERM. What runs at that moment is taken up at the next start.
async fn interrupted() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}
