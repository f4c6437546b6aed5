//! A real browser, driven through a pipe (Chromium's DevTools protocol): loads a page, uses it, and
//! keeps whatever the page complains of.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program that has to be there.
pub const PROGRAM: &str = "chromium";
/// Only a browser that hangs takes as long.
const LIMIT: Duration = Duration::from_secs(120);

/// The browser reads its commands from descriptor 3 and answers on 4.
const START: &str = "exec chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars \
                     --remote-debugging-pipe --user-data-dir=\"$0\" about:blank \
                     3<&0 4>&1 </dev/null >/dev/null 2>&1";

pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What went to the console, and exceptions that nobody caught.
    complaints: Vec<String>,
    _home: TempDir,
}

impl Browser {
    /// # Panics
    /// If there is no browser: ask [`PROGRAM`] first.
    pub fn start() -> Browser {
        let home = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("/bin/sh")
            .args(["-c", START])
            .arg(home.path())
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let answers = child.stdout.take().expect("it is piped");
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            commands: child.stdin.take().expect("it is piped"),
            child,
            messages,
            session: None,
            last: 0,
            complaints: Vec::new(),
            _home: home,
        };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, &json!({}));
        }
        browser
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let sent = write!(self.commands, "{command}\0").and_then(|()| self.commands.flush());
        sent.unwrap_or_else(|error| panic!("{method}: {error}"));
        loop {
            let message = self.messages.recv_timeout(LIMIT);
            let message = message.unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message:#}");
                return message["result"].clone();
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, message: &Value) {
        let what = message["method"].as_str().unwrap_or_default();
        if [
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
        ]
        .contains(&what)
        {
            self.complaints.push(message["params"].to_string());
        }
    }

    /// Sizes the window, in CSS pixels.
    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Loads a page of a file, with this fragment, and waits until its script is done.
    pub fn load(&mut self, page: &Path, fragment: &str) {
        // Only the fragment would change: no load.
        self.ask("Page.navigate", &json!({ "url": "about:blank" }));
        let url = format!("file://{}#{fragment}", page.display());
        self.ask("Page.navigate", &json!({ "url": url }));
        self.run(
            "const ready = () => document.readyState === 'complete' \
             && document.documentElement.dataset.ready; \
             while (!ready()) await new Promise((later) => setTimeout(later, 10));",
        );
        self.settle();
    }

    /// Runs statements, and gives back what they `return`.
    pub fn run(&mut self, script: &str) -> Value {
        let expression = format!("(async () => {{ {script} }})()");
        let evaluate = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true
        });
        let done = self.ask("Runtime.evaluate", &evaluate);
        assert!(done["exceptionDetails"].is_null(), "{script}\n{done:#}");
        done["result"]["value"].clone()
    }

    /// Runs statements that change the address, and waits until the page has followed.
    pub fn turn(&mut self, script: &str) {
        self.run(&format!(
            "const turned = new Promise((done) => \
                 addEventListener('hashchange', done, {{ once: true }})); \
             {script}; await turned;"
        ));
        self.settle();
    }

    /// Whatever was put off has been done.
    fn settle(&mut self) {
        self.run(
            "await new Promise((drawn) => requestAnimationFrame(() => \
                 requestAnimationFrame(() => setTimeout(drawn))));",
        );
    }

    /// # Panics
    /// If the page has complained of anything.
    #[track_caller]
    pub fn assert_no_complaints(&self) {
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children end with it. A failing test has more to say than that this failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
