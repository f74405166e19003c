//! PgBouncer in transaction mode, as Debian ships it, in front of the server that tests share.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{TestServer, as_its_user, skip};

/// Fewer than the connections of a store, so that they share sessions.
const SESSIONS: u32 = 2;

/// A running PgBouncer; dropping it stops the process.
#[derive(Debug)]
pub(super) struct Pooler {
    child: Child,
    pub(super) port: u16,
}

impl Pooler {
    /// Starts PgBouncer; `None` if it is missing.
    pub(super) fn start(server: &TestServer) -> Option<Self> {
        let found = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "pgbouncer"]
            .into_iter()
            .find(|program| Command::new(program).arg("--version").output().is_ok());
        let Some(program) = found else {
            skip("no pgbouncer: install PgBouncer");
            return None;
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("the bound address").port();
        drop(listener);
        let folder = server.socket().parent().expect("a folder").to_owned();
        let file = folder.join(format!("pgbouncer-{port}.ini"));
        let settings = format!(
            "[databases]\n* = host={} user=trunkline\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 200\n",
            folder.display()
        );
        std::fs::write(&file, settings).expect("the file can be written");
        let child = as_its_user(program)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer starts");
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "PgBouncer does not listen"
            );
            std::thread::yield_now();
        }
        Some(Self { child, port })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // `runuser` forwards only this signal.
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}
