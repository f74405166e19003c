//! The program on a terminal: a pseudoterminal of a given width.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::Sandbox;
use crate::serving::Served;

/// A command that runs on a terminal of its own.
struct OnTerminal {
    child: Child,
    keyboard: File,
    screen: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl OnTerminal {
    fn start(sandbox: &Sandbox, columns: u16, arguments: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let name = name.to_str().unwrap();
        let end = File::options().read(true).write(true).open(name).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&end, size).unwrap();
        let child = sandbox
            .command(arguments)
            .stdin(Stdio::from(end.try_clone().unwrap()))
            .stdout(Stdio::from(end.try_clone().unwrap()))
            .stderr(Stdio::from(end))
            .spawn()
            .unwrap();
        let keyboard = File::from(terminal);
        let mut output = keyboard.try_clone().unwrap();
        let (send, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // Linux reports the closed other end as an error.
            while let Ok(read @ 1..) = output.read(&mut part) {
                if send.send(part[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: String::new(),
        }
    }

    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            match self.screen.recv_timeout(Duration::from_mins(1)) {
                Ok(part) => self.seen.push_str(&String::from_utf8_lossy(&part)),
                Err(error) => panic!("{error}: no {text:?} in {:?}", self.seen),
            }
        }
    }

    fn type_line(&mut self, text: &str) {
        self.keyboard.write_all(format!("{text}\r").as_bytes()).unwrap();
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", "INT", &id])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Returns the exit status and everything that was shown.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        for part in &self.screen {
            self.seen.push_str(&String::from_utf8_lossy(&part));
        }
        (status.code(), self.seen.replace('\r', ""))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}

/// Returns what a command shows on a terminal; fails unless it succeeds.
pub(crate) fn shown(sandbox: &Sandbox, columns: u16, arguments: &[&str]) -> String {
    let (status, text) = OnTerminal::start(sandbox, columns, arguments).end();
    assert_eq!(status, Some(0), "{arguments:?}: {text}");
    text
}

#[test]
fn tables_fit_80_columns_and_ids_can_be_copied() {
    let mut served = Served::new(40);
    let running = served.start();
    served.sandbox.set("TRUNKLINE_API_URL", &running.url());
    served
        .sandbox
        .succeed(&["connect", "twilio", "--connection-id", "my-twilio"]);
    served
        .sandbox
        .succeed(&["sync", "trigger", "twilio", "--wait", "--reset"]);

    let commands: [&[&str]; 8] = [
        &["sync", "runs"],
        &["sync", "status", "twilio"],
        &["connections"],
        &["connections", "show", "twilio", "my-twilio"],
        &["records", "twilio", "messages", "--connection-id", "my-twilio"],
        &["action", "twilio"],
        &["config"],
        &["providers", "list"],
    ];
    for command in commands {
        let text = shown(&served.sandbox, 80, command);
        let plain = text.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert!(!plain.contains('\u{1b}'), "{command:?}: {text:?}");
        for line in plain.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line:?}");
        }
    }
    let status = shown(&served.sandbox, 80, &["sync", "status", "twilio"]);
    assert!(status.contains("every 5 min\n"), "{status}");
    let config = shown(&served.sandbox, 80, &["config"]);
    for reported in ["  Address of the API: HOST:PORT", "its variable", "the default"] {
        assert!(config.contains(reported), "{reported:?}: {config}");
    }
    let keys = shown(&served.sandbox, 80, &["api-keys", "list", "dev"]);
    assert!(
        keys.contains("KEY") && keys.contains("\n  environment:* account:*"),
        "{keys}"
    );

    let runs = shown(&served.sandbox, 80, &["sync", "runs"]);
    assert!(
        runs.contains("Not shown for lack of room: ") && runs.contains("TRIGGER"),
        "{runs}"
    );
    assert!(runs.contains(" ago") || runs.contains(" now "), "{runs}");
    let id = runs.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert!(id.starts_with("run_") && runs.contains("my-twilio"), "{runs}");
    assert!(shown(&served.sandbox, 80, &["sync", "run", id]).contains(id));
}

#[test]
fn a_long_error_is_wrapped_between_words() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_INTEGRATIONS_DIR", "a-folder-that-is-not-there");
    let (status, text) = OnTerminal::start(&sandbox, 80, &["serve", "--port", "0"]).end();
    assert_eq!(status, Some(2), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() > 1 && lines.iter().all(|line| line.len() <= 80),
        "{text}"
    );
    let joined = lines.join(" ");
    assert!(
        joined.contains("`integrations_dir` (TRUNKLINE_INTEGRATIONS_DIR)")
            && joined.contains("there is no folder"),
        "{text}"
    );
}

#[test]
fn no_color_and_dumb_terminals_get_plain_text() {
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut served = Served::new(30);
        served.sandbox.set(name, value);
        let running = served.start();
        served.sandbox.set("TRUNKLINE_API_URL", &running.url());
        served
            .sandbox
            .succeed(&["connect", "twilio", "--connection-id", "acme"]);
        for command in [
            &["connections"][..],
            &["sync", "runs"],
            &["help"],
            &["help", "records"],
        ] {
            let text = shown(&served.sandbox, 80, command);
            assert!(!text.contains('\u{1b}'), "{name} {command:?}: {text:?}");
        }
        let text = shown(
            &served.sandbox,
            80,
            &["sync", "trigger", "twilio", "--wait", "--reset"],
        );
        assert!(
            !text.contains("[3") && text.replace('\n', " ").contains("rows checked"),
            "{name}: {text:?}"
        );
        if name == "TERM" {
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }
}

#[test]
fn the_terminal_asks_for_missing_values_and_again_for_invalid_ones() {
    let served = Served::new(5);
    let running = served.start();
    let known = served.simulator.credentials();
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_SECRET_KEY", "11111111-1111-4111-8111-111111111111");
    sandbox.set("TRUNKLINE_API_URL", &running.url());
    sandbox.set("TERM", "xterm");
    std::fs::write(sandbox.path().join("token"), &known.auth_token).unwrap();
    let mut terminal = OnTerminal::start(
        &sandbox,
        80,
        &["connect", "twilio", "--field-file", "authToken=token"],
    );
    terminal.wait_for("Account SID");
    terminal.type_line("AC1");
    terminal.wait_for("must");
    terminal.type_line(&known.account_sid);
    let (status, text) = terminal.end();
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("connection created") && !text.contains(&known.auth_token),
        "{text}"
    );
}

#[test]
fn ctrl_c_at_a_prompt_exits_with_130_and_a_visible_cursor() {
    let served = Served::new(5);
    let running = served.start();
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_SECRET_KEY", "11111111-1111-4111-8111-111111111111");
    sandbox.set("TRUNKLINE_API_URL", &running.url());
    sandbox.set("TERM", "xterm");
    let mut terminal = OnTerminal::start(&sandbox, 80, &["connect", "twilio"]);
    terminal.wait_for("Connect Twilio with");
    terminal.interrupt();
    let (status, text) = terminal.end();
    assert_eq!(status, Some(130), "{text}");
    let shown = text.rfind("\u{1b}[?25h");
    assert!(shown.is_some() && shown >= text.rfind("\u{1b}[?25l"), "{text:?}");
}
