//! As much of HTTP as Prometheus needs: `GET /metrics`, one request a connection, to this host.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Source;
use crate::report::MetricsForm;
use crate::server::log;

/// Requests that are answered at a time.
const AT_ONCE: usize = 8;
/// For a request to come, and for an answer to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a request.
const MOST_BYTES: usize = 8 << 10;
/// What a client that knows it asks for.
const OPEN_METRICS: &str = "application/openmetrics-text";
/// Until it is tried again to listen where somebody else does.
const AGAIN: Duration = Duration::from_secs(10);

/// Serves until it is dropped.
pub async fn serve(source: &Source, address: SocketAddr) {
    let listener = listener(address).await;
    tracing::info!("metrics are at http://{address}/metrics");
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = tokio::task::JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        // Others wait in the kernel's queue.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let source = source.clone();
                clients.spawn(async move {
                    answer(&source, stream).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection for metrics: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Waits until the address is free.
async fn listener(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !told => {
                tracing::error!("cannot serve metrics at {address}: {error}; trying again");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn answer(source: &Source, mut stream: TcpStream) {
    let Ok(Some(request)) = tokio::time::timeout(PATIENCE, read(&mut stream)).await else {
        return;
    };
    let response = match judge(&request) {
        Ok(form) => match source.text(form).await {
            Ok(text) => response("200 OK", form.content_type(), &text),
            Err(failure) => plain("500 Internal Server Error", &log::line(&failure)),
        },
        Err((status, why)) => plain(status, why),
    };
    let write = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(()))) {
        tracing::debug!("metrics were not read to their end");
    }
}

/// The head of a request, if one comes.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut piece).await.ok()?;
        if count == 0 || bytes.len() + count > MOST_BYTES {
            return None;
        }
        bytes.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(bytes).ok()
}

/// In which form a request is answered, or else why not.
fn judge(request: &str) -> Result<MetricsForm, (&'static str, &'static str)> {
    let mut lines = request.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let fields: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    let values = |wanted: &'static str| {
        let named = move |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(wanted);
        fields.iter().filter(named).map(|(_, value)| *value)
    };
    // A page in a browser here may give its own name our address, and would read the answer.
    if !values("host").next().is_some_and(is_here) {
        return Err(("403 Forbidden", "only this host's own names are served"));
    }
    if method != Some("GET") {
        return Err(("405 Method Not Allowed", "only GET"));
    }
    match target.split('?').next() {
        // People's tools read the older form.
        Some("/metrics") if values("accept").any(|it| it.contains(OPEN_METRICS)) => {
            Ok(MetricsForm::OpenMetrics)
        }
        Some("/metrics") => Ok(MetricsForm::Prometheus),
        _ => Err(("404 Not Found", "metrics are at /metrics")),
    }
}

/// Whether the name in a request, with or without a port, is one of the loopback's.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn plain(status: &str, why: &str) -> String {
    response(status, "text/plain; charset=utf-8", &format!("{why}\n"))
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> &'static str {
        match judge(request) {
            Ok(MetricsForm::OpenMetrics) => "200, OpenMetrics",
            Ok(MetricsForm::Prometheus) => "200",
            Err((status, _)) => status,
        }
    }

    #[test]
    fn only_metrics_are_served_and_only_to_this_host() {
        for (request, expected) in [
            (
                "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9777\r\n\r\n",
                "200",
            ),
            (
                "GET /metrics?x=1 HTTP/1.1\r\nAccept: */*\r\nhost:localhost\r\n\r\n",
                "200",
            ),
            ("GET /metrics HTTP/1.1\r\nHost: [::1]:9777\r\n\r\n", "200"),
            (
                "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\
                 Accept: application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1\r\n\r\n",
                "200, OpenMetrics",
            ),
            ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 Not Found"),
            (
                "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "405 Method Not Allowed",
            ),
            (
                "GET /metrics HTTP/1.1\r\nHost: evil.example:9777\r\n\r\n",
                "403 Forbidden",
            ),
            (
                "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n",
                "403 Forbidden",
            ),
            ("GET /metrics HTTP/1.0\r\n\r\n", "403 Forbidden"),
            ("\r\n\r\n", "403 Forbidden"),
        ] {
            assert_eq!(status(request), expected, "{request}");
        }
    }

    #[tokio::test]
    async fn a_request_without_an_end_is_none() {
        let long = "a".repeat(2 * MOST_BYTES);
        assert_eq!(read(&mut long.as_bytes()).await, None);
        assert_eq!(read(&mut &b"GET /metrics HTTP/1.1\r\n"[..]).await, None);
        assert_eq!(read(&mut &b"\xff\r\n\r\n"[..]).await, None);
        let whole = "GET / HTTP/1.1\r\n\r\n";
        assert_eq!(read(&mut whole.as_bytes()).await.as_deref(), Some(whole));
    }
}
