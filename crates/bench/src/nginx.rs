//! nginx as a measure: a server of fixed answers, and a proxy before it that adds one header.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// For it to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Debian's place, which a path of others than root does not name.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A running nginx; told to end when dropped.
pub(crate) struct Nginx {
    process: Child,
    /// Host and port.
    pub(crate) address: String,
}

impl Nginx {
    /// Answers the files of `folder`, which holds its own files too.
    pub(crate) async fn files(folder: &Path) -> anyhow::Result<Self> {
        let root = folder.display();
        Self::start(folder, "files", "access_log off;", &format!("root {root};")).await
    }

    /// Hands requests on to `origin` with one more header. Its log is made and thrown away, as the gateway's is.
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
        // Its workers are to read the folder, which is this user's alone.
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
            .context("starting nginx")?;
        let mut nginx = Self { process, address };
        let start = Instant::now();
        while TcpStream::connect(&nginx.address).await.is_err() {
            ensure!(
                nginx.process.try_wait()?.is_none(),
                "nginx ended; its words stand above"
            );
            ensure!(
                start.elapsed() < PATIENCE,
                "nginx does not answer on {}",
                nginx.address
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    /// Its process id; its workers are its children.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("nginx has ended")
    }
}

/// Its workers end only if it ends by itself, so it is not killed.
impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended already, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Which nginx it is.
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
    anyhow::bail!("nginx is not installed: apt-get install nginx-light")
}

fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.to_string())
}
