//! Runs the program in a folder of its own, with only the environment variables that a test sets.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// The result of a command.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder and environment variables to run the program with.
pub(crate) struct Sandbox {
    pub(crate) folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(self.variables.iter().cloned());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        Ended {
            status: output.status,
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command and returns its output; fails unless it succeeds.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert!(
            ended.status.success(),
            "{arguments:?}: {}\n{}\n{}",
            ended.status,
            ended.out,
            ended.err
        );
        ended.out
    }

    /// Starts a command that keeps running, and waits until its log says `ready`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_until(arguments, "\"message\":\"ready\"")
    }

    /// Starts a command that keeps running, and waits until it writes a line with `text` to standard error.
    pub(crate) fn start_until(&self, arguments: &[&str], text: &str) -> Running {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut running = Running {
            lines: lines(child.stderr.take().unwrap()),
            output: lines(child.stdout.take().unwrap()),
            child,
            seen: Vec::new(),
            written: Vec::new(),
        };
        running.wait_for(text);
        running
    }
}

/// Reads lines in the background.
fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    let from = BufReader::new(from);
    std::thread::spawn(move || {
        from.lines()
            .map_while(Result::ok)
            .try_for_each(|line| send.send(line))
    });
    lines
}

/// A command that is running; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    output: mpsc::Receiver<String>,
    /// The lines that it wrote to standard error so far.
    pub(crate) seen: Vec<String>,
    /// The lines that it wrote to standard output, as far as they were waited for.
    written: Vec<String>,
}

impl Running {
    /// Waits for a line on standard error that contains `text`.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        wait_for(&self.lines, &mut self.seen, text)
    }

    /// Waits for a line on standard output that contains `text`.
    pub(crate) fn wait_for_output(&mut self, text: &str) -> String {
        wait_for(&self.output, &mut self.written, text)
    }

    /// The URL that it logged.
    pub(crate) fn url(&self) -> String {
        let ready = self.seen.last().unwrap();
        let line: serde_json::Value = serde_json::from_str(ready).unwrap();
        line["url"].as_str().unwrap().to_owned()
    }

    /// Sends a signal by its name.
    pub(crate) fn send(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Sends a signal by its name, waits for the process to end, and returns everything that it wrote.
    pub(crate) fn end(mut self, name: &str) -> Ended {
        self.send(name);
        let status = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        self.written.extend(self.output.iter());
        Ended {
            status,
            out: self.written.join("\n"),
            err: self.seen.join("\n"),
        }
    }

    /// Sends a signal by its name and waits for the process to end.
    pub(crate) fn signal(mut self, name: &str) -> (ExitStatus, Vec<String>) {
        self.send(name);
        let status = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        (status, std::mem::take(&mut self.seen))
    }
}

fn wait_for(lines: &mpsc::Receiver<String>, seen: &mut Vec<String>, text: &str) -> String {
    loop {
        match lines.recv_timeout(Duration::from_mins(1)) {
            Ok(line) => {
                seen.push(line.clone());
                if line.contains(text) {
                    return line;
                }
            }
            Err(error) => panic!("{error}: no line with {text:?} in {seen:#?}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
