//! A daemon that a test plays: it greets by itself and answers every other request as the test
//! says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// Listens until it is dropped; then it has seen its clients through.
pub struct Daemon {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A connection with its first request.
pub struct Talk {
    reader: BufReader<UnixStream>,
    request: Value,
}

impl Talk {
    fn open(stream: UnixStream) -> Option<Talk> {
        let mut talk = Talk {
            reader: BufReader::new(stream),
            request: Value::Null,
        };
        let mut line = String::new();
        // A client that only looks whether somebody listens says nothing.
        if talk.reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        talk.request = serde_json::from_str(&line).expect("JSON from the client");
        assert_eq!(talk.request["loupe"], 1);
        Some(talk)
    }

    pub fn request(&self) -> &Value {
        &self.request
    }

    pub fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("readable");
        serde_json::from_str(&line).expect("JSON from the client")
    }

    pub fn say(&mut self, reply: &Value) {
        self.raw(&format!("{reply}\n"));
    }

    pub fn raw(&mut self, bytes: &str) {
        // The client may have had enough.
        drop(self.reader.get_mut().write_all(bytes.as_bytes()));
    }
}

impl Daemon {
    /// Listens at `louped.sock` in this directory; `answer` sees every request but `hello`.
    pub fn start(directory: &Path, answer: impl Fn(Talk) + Send + 'static) -> Daemon {
        Daemon::rude(directory, move |mut talk| {
            if talk.request()["request"] != "hello" {
                return answer(talk);
            }
            talk.say(&json!({
                "loupe": 1, "reply": "hello", "version": env!("CARGO_PKG_VERSION"),
                "supported": [1], "pid": 1,
            }));
        })
    }

    /// Like [`Daemon::start`], but `answer` sees `hello` too.
    pub fn rude(directory: &Path, answer: impl Fn(Talk) + Send + 'static) -> Daemon {
        let path = directory.join("louped.sock");
        let listener = UnixListener::bind(&path).expect("one daemon at a time");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(talk) = Talk::open(stream.expect("accepted")) {
                    answer(talk);
                }
            }
        });
        Daemon {
            path,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread.
        drop(UnixStream::connect(&self.path));
        let ended = self.thread.take().map(JoinHandle::join);
        drop(std::fs::remove_file(&self.path));
        if !std::thread::panicking() {
            ended
                .expect("started")
                .expect("what the daemon expected came");
        }
    }
}
