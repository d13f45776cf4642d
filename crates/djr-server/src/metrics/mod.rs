//! Metrics and health over HTTP, for Prometheus and for whoever decides whether the server lives: `/metrics`, `/healthz`, `/readyz`.
//!
//! Off unless `metrics-port` is set. Runs on the control plane: a thread with a runtime of its own that reads what the workers have counted
//! anyway, and costs them nothing. What each metric means is in `docs/metrics.md`.

mod collect;
mod exposition;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, Semaphore};

use crate::config::Config;
use crate::shared::{Gate, Shared};

/// A connection that takes longer is given up.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// So many connections are served at once; others wait.
const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;

/// The listener, while it runs. Dropping it ends it.
pub(crate) struct MetricsServer {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// Binds the addresses that are configured: none if there is no port. An error says which address it is about.
pub(crate) fn bind(config: &Config) -> Result<Vec<TcpListener>, (String, io::Error)> {
    let Some(port) = config.metrics_port() else {
        return Ok(Vec::new());
    };
    let mut listeners = Vec::new();
    for host in config.metrics_bind() {
        let (host, may_be_absent) = match host.strip_prefix('-') {
            Some(host) => (host, true),
            None => (host.as_str(), false),
        };
        let host = match host {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        };
        let failed = |error| (format!("{host}:{port}"), error);
        for address in (host, port).to_socket_addrs().map_err(failed)? {
            match TcpListener::bind(address) {
                Ok(listener) => {
                    listener.set_nonblocking(true).map_err(failed)?;
                    listeners.push(listener);
                }
                Err(error) if may_be_absent => {
                    tracing::debug!("metrics: {address}: {error}");
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(listeners)
}

impl MetricsServer {
    /// Serves on these listeners.
    pub(crate) fn start(shared: Arc<Shared>, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("djr-metrics".into());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
                for listener in listeners {
                    tokio::spawn(listen(shared.clone(), listener, places.clone()));
                }
                stopped.notified().await;
            });
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("metrics: the thread has ended by a panic");
        }
    }
}

async fn listen(shared: Arc<Shared>, listener: TcpListener, places: Arc<Semaphore>) {
    let shown = address(&listener);
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("metrics: {shown}: {error}"),
    };
    tracing::info!("Metrics on http://{shown}/metrics");
    loop {
        // It is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("metrics: accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&shared, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(HEAD_MAX)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(EXCHANGE_MAX, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("metrics: {error}"),
                Err(_) => tracing::debug!("metrics: a connection took too long"),
            }
            drop(place);
        });
    }
}

/// Where a listener listens, for people.
fn address(listener: &TcpListener) -> String {
    listener
        .local_addr()
        .map_or_else(|_| "?".into(), |address: SocketAddr| address.to_string())
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = text(StatusCode::OK, collect::all(shared));
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static(exposition::CONTENT_TYPE),
            );
            response
        }
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => match not_ready(shared) {
            None => text(StatusCode::OK, "ok\n"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        "/" => text(StatusCode::OK, "/metrics\n/healthz\n/readyz\n"),
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    }
}

/// Why clients should not be sent here now.
fn not_ready(shared: &Shared) -> Option<&'static str> {
    if shared.shutdown.is_requested() {
        return Some("shutting down\n");
    }
    (shared.gate.bits() & Gate::LOADING != 0).then_some("loading\n")
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
