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

/// What is too small to read, and what sticks out of the window without a place to scroll in.
const MISFITS: &str = r##"
const small = new Set(), wide = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (texts.nextNode()) {
  const text = texts.currentNode, place = text.parentElement;
  const unseen = place.closest("script, style, noscript, title, desc, .skip, [hidden]");
  if (!text.textContent.trim() || unseen || !place.checkVisibility()) continue;
  seen += 1;
  const drawing = place.closest("svg");
  const scale = drawing ? Math.min(1, drawing.getScreenCTM().a) : 1;
  const size = parseFloat(getComputedStyle(place).fontSize) * scale;
  if (size < 11) small.add(`${size} px: ${text.textContent}`);
  const range = document.createRange();
  range.selectNodeContents(text);
  const { left, right } = range.getBoundingClientRect();
  const scrolls = place.closest(".scroll, .drawing");
  if ((right > innerWidth + 1 || left < -1) && !scrolls) wide.add(text.textContent);
}
const cut = [...document.querySelectorAll("tbody th")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth).map((one) => one.textContent);
return { seen, cut, small: [...small], wide: [...wide], over: document.documentElement.scrollWidth - innerWidth };
"##;

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
    /// If what is shown is too small to read, or sticks out of the window, or is nearly nothing.
    #[track_caller]
    pub fn assert_readable(&mut self, what: &str) {
        let misfits = self.run(MISFITS);
        assert!(misfits["seen"].as_u64() > Some(20), "{what}: {misfits:#}");
        for fault in ["small", "wide", "cut"] {
            assert_eq!(misfits[fault], json!([]), "{what}: {fault}");
        }
        assert_eq!(misfits["over"], 0, "{what}");
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
