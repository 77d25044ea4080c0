//! Requests as they come from a connection: the bytes go to the server's HTTP parser, routes and extractors. The first byte
//! chooses between the routes of a local server and those of a deployed function.

use axum::Router;
use axum::body::Body;
use faas_flow_core::{Code, Failure, FlowName};
use faas_flow_guest::{HttpRequest, HttpResponse};
use faas_flow_http::{Guards, function_router, router};
use faas_flow_replica::{ChosenBy, Function, Functions, Host, Network, Parts, Settings};
use faas_flow_store::{open_data, open_state};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// Sends nothing.
struct Nowhere;

#[async_trait::async_trait]
impl Network for Nowhere {
    async fn send(&self, request: HttpRequest, _: ChosenBy) -> Result<HttpResponse, Failure> {
        Err(Failure::reject(Code::CALL_UNREACHABLE, format!("there is no network to reach {}", request.url)))
    }
}

struct Server {
    runtime: Runtime,
    routers: [Router; 2],
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let routers = runtime.block_on(async {
        let host = || async {
            let settings = Settings::default();
            let echo = [("echo".to_owned(), Function::Echo)];
            let functions = Functions::new(echo, None, &settings, Arc::new(Nowhere));
            let (state, data) =
                (open_state("memory").await.expect("a store"), open_data("memory").await.expect("a store"));
            Host::new(Parts::new(settings, state, data, functions))
        };
        let flow = FlowName::new("greet").expect("a name");
        [router(host().await, Guards::default()), function_router(host().await, flow, Guards::default())]
    });
    Server { runtime, routers }
});

/// Tries an input.
pub fn http(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let Server { runtime, routers } = &*SERVER;
    let routes = routers[usize::from(choice % 2)].clone();
    runtime.block_on(async {
        let (mut caller, server) = tokio::io::duplex(1 << 16);
        let answer = service_fn(move |request: hyper::Request<_>| routes.clone().oneshot(request.map(Body::new)));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(server), answer);
        let call = async {
            let mut answers = Vec::new();
            // A server that has heard enough closes the connection.
            let _ = caller.write_all(bytes).await;
            let _ = caller.shutdown().await;
            let _ = caller.read_to_end(&mut answers).await;
            assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "an answer is HTTP");
            let head = answers.split(|byte| *byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
            let code = head.filter_map(|line| line.strip_prefix(b"x-faas-flow-error: ")).next();
            assert_ne!(code.map(<[u8]>::trim_ascii), Some(&b"FF0499"[..]), "no request leads to an internal error");
        };
        let _ = tokio::join!(connection, call);
    });
}
