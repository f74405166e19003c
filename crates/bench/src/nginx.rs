//! nginx as a reference: a server of static files, and a proxy that adds one header.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// The timeout for the first response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Debian's location is not in the `PATH` of users other than root.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A running nginx, stopped on drop.
pub(crate) struct Nginx {
    process: Child,
    /// Host and port.
    pub(crate) address: String,
}

impl Nginx {
    /// Starts a server of the files in `folder`, which also holds nginx's own files.
    pub(crate) async fn files(folder: &Path) -> anyhow::Result<Self> {
        let root = folder.display();
        Self::start(folder, "files", "access_log off;", &format!("root {root};")).await
    }

    /// Starts a proxy to `origin` that adds one header. Its log is written and discarded, like the gateway's.
    pub(crate) async fn proxy(folder: &Path, origin: &str) -> anyhow::Result<Self> {
        let before = format!(
            "access_log /dev/null; upstream origin {{ server {origin}; keepalive 512; keepalive_requests 1000000000; }}"
        );
        let server = "location / { proxy_pass http://origin; proxy_http_version 1.1; \
                      proxy_set_header Connection \"\"; proxy_set_header Authorization \"Bearer benchmark\"; }";
        Self::start(folder, "proxy", &before, server).await
    }

    async fn start(folder: &Path, name: &str, before: &str, server: &str) -> anyhow::Result<Self> {
        let folder = folder.join(format!("nginx-{name}"));
        std::fs::create_dir(&folder)?;
        let address = free_address()?;
        let place = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {place}/{what};\n"))
            .concat();
        // The workers must read the folder, which only this user can read.
        let settings = format!(
            "daemon off;\nuser root;\nworker_processes auto;\npid {place}/pid;\nerror_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n{temporary}sendfile on;\ntcp_nopush on;\nkeepalive_requests 1000000000;\n{before}\n\
             server {{ listen {address}; {server} }}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, settings)?;
        let process = program()
            .await?
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        let mut nginx = Self { process, address };
        let start = Instant::now();
        while TcpStream::connect(&nginx.address).await.is_err() {
            ensure!(
                nginx.process.try_wait()?.is_none(),
                "nginx ended; its words stand above"
            );
            ensure!(
                start.elapsed() < PATIENCE,
                "nginx does not respond on {}",
                nginx.address
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    /// Returns the process id. The workers are its children.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("nginx has exited")
    }
}

/// Sends a signal instead of killing nginx, because its workers exit only after a regular exit.
impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // An error means that nginx has already exited.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Returns the version of nginx.
pub(crate) async fn version() -> anyhow::Result<String> {
    let told = program().await?.arg("-v").output().await?;
    let text = String::from_utf8_lossy(&told.stderr);
    Ok(text.trim().rsplit(' ').next().unwrap_or_default().to_owned())
}

async fn program() -> anyhow::Result<Command> {
    for name in PROGRAMS {
        let tried = Command::new(name).arg("-v").stderr(Stdio::null()).status();
        if tried.await.is_ok_and(|status| status.success()) {
            return Ok(Command::new(name));
        }
    }
    anyhow::bail!("nginx is not installed: run `apt-get install nginx-light`")
}

fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.to_string())
}
