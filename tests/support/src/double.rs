//! Servers inside of the test's own process, for whatever the code under test calls.

use axum::Router;
use tokio::net::TcpListener;

/// Serves a router on a free port until the test's runtime ends. Returns its URL, without a slash at the end.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    serve_on(listener, router);
    url
}

/// Serves a router on a port that the caller has bound.
pub fn serve_on(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}
