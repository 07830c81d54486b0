//! The measured processes: Cortado, and a bare hyper server that does nothing.

use crate::options::Options;
use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// A server in a process of its own; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Server {
    /// `cortado dev` on a data directory of its own.
    pub(crate) async fn cortado(options: &Options, data: &std::path::Path) -> anyhow::Result<Self> {
        let mut command = Command::new(&options.cortado);
        command.arg("dev").args(["--listen", "127.0.0.1:0"]);
        command.arg("--nodes").arg(options.nodes.to_string()).arg("--data").arg(data);
        let server = Server::start(command).await;
        server.with_context(|| format!("cannot run {}", options.cortado.display()))
    }

    /// This program as a bare server.
    pub(crate) async fn bare() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare");
        Server::start(command).await
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// SIGKILL: no goodbye.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// SIGTERM; returns when it has ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").args(["-15", &self.pid().to_string()]).status().await?;
        ensure!(told.success(), "it has ended already");
        self.process.wait().await?;
        Ok(())
    }

    /// Waits for the line with the address that every server prints.
    pub(crate) async fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            let Some((_, rest)) = line.split_once("listening on http://") else { continue };
            let address = rest.split_whitespace().next().unwrap_or(rest).parse()?;
            // What it goes on to print must be read.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Server { address, process });
        }
        anyhow::bail!("it ended before it listened")
    }
}

/// Serves on a free port until killed: 1 KB for a GET, a small answer for a body that was read.
pub(crate) fn serve_bare() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let service = service_fn(answer);
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // A client that goes away is the normal end.
                let _ = connection.await;
            });
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    static DOCUMENT: [u8; 1024] = [b'x'; 1024];
    static WRITTEN: &[u8] = br#"{"key":["d0000001"],"etag":"0123456789abcdef","scn":"0/1:2"}"#;
    let body = match *request.method() {
        Method::GET => Bytes::from_static(&DOCUMENT),
        _ => {
            // Reading to the end is what is measured; how it ended is the client's business.
            let _ = request.into_body().collect().await;
            Bytes::from_static(WRITTEN)
        }
    };
    Ok(Response::new(Full::new(body)))
}
