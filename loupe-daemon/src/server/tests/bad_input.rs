//! Clients that send garbage, half a line, too much, or nothing.

use super::*;

/// Sends raw bytes, closes its sending side, and reads everything that comes back.
async fn exchange(daemon: &Daemon, bytes: Vec<u8>) -> Vec<Value> {
    let path = daemon.path.clone();
    let talk = move || {
        let mut stream = Blocking::connect(path).expect("it listens");
        // The daemon may close before it has read everything.
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut all = Vec::new();
        // A reset after the last reply is what closing on unread bytes looks like.
        drop(stream.read_to_end(&mut all));
        all
    };
    let all = tokio::task::spawn_blocking(talk).await.expect("no panic");
    String::from_utf8(all)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The daemon still answers.
async fn assert_alive(daemon: &Daemon) {
    let mut talk = daemon.ask(json!({"loupe": 1, "request": "hello"})).await;
    talk.hear_a("hello").await;
    assert!(!daemon.serving.is_finished());
}

#[tokio::test]
async fn every_kind_of_garbage_gets_one_error_and_the_end() {
    let daemon = Daemon::start();
    let deep = format!("{{\"loupe\":1,\"x\":{}", "[".repeat(500_000));
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], code::BAD_REQUEST),
        (b"\n", code::BAD_REQUEST),
        (b"\0\0\0\0\n", code::BAD_REQUEST),
        (b"\xff\xfe\xfd\n", code::BAD_REQUEST),
        (b"[]\n", code::BAD_REQUEST),
        (b"{}\n", code::BAD_REQUEST),
        (b"{\"loupe\":1}\n", code::BAD_REQUEST),
        (
            b"{\"loupe\":2,\"request\":\"hello\"}\n",
            code::UNSUPPORTED_VERSION,
        ),
        (
            b"{\"loupe\":1,\"request\":\"fly\"}\n",
            code::UNKNOWN_REQUEST,
        ),
        (
            b"{\"loupe\":1,\"request\":\"analyze\"}\n",
            code::BAD_REQUEST,
        ),
        (b"{\"loupe\":1,\"request\":\"cancel\"}\n", code::BAD_REQUEST),
        (
            b"{\"loupe\":1,\"request\":\"signal\",\"signal\":9}\n",
            code::BAD_REQUEST,
        ),
        (format!("{deep}\n").as_bytes(), code::BAD_REQUEST),
        (b"{\"loupe\":1,\"requ", code::BAD_REQUEST),
    ] {
        let replies = exchange(&daemon, bytes.to_vec()).await;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert_eq!(replies.len(), 1, "{text}");
        assert_eq!(replies[0]["reply"], "error", "{text}");
        assert_eq!(replies[0]["code"], expected, "{text}");
        assert_eq!(replies[0]["loupe"], 1, "{text}");
    }
    assert_alive(&daemon).await;
}

#[tokio::test]
async fn another_version_is_told_the_supported_ones() {
    let daemon = Daemon::start();
    let line = json!({"loupe": 99, "request": "hello"});
    let error = daemon.ask(line).await.hear_error().await;
    assert_eq!(error["supported"], json!(SUPPORTED));
}

#[tokio::test]
async fn an_over_long_line_is_refused_while_it_still_comes() {
    let daemon = Daemon::start();
    for length in [MAX_LINE + 1, 4 * MAX_LINE] {
        let mut bytes = vec![b' '; length - 1];
        bytes.push(b'\n');
        let replies = exchange(&daemon, bytes).await;
        assert_eq!(replies[0]["code"], code::LINE_TOO_LONG, "{length}");
    }
    // The longest line that is allowed.
    let mut line = json!({"loupe": 1, "request": "hello", "padding": ""}).to_string();
    let padding = "x".repeat(MAX_LINE - 1 - line.len());
    line = line.replace("\"padding\":\"\"", &format!("\"padding\":\"{padding}\""));
    let replies = exchange(&daemon, format!("{line}\n").into_bytes()).await;
    assert_eq!(replies[0]["reply"], "hello");
}

#[tokio::test]
async fn a_client_that_leaves_without_a_word_gets_none() {
    let daemon = Daemon::start();
    assert_eq!(exchange(&daemon, Vec::new()).await, Vec::<Value>::new());
    drop(daemon.connect().await);
    assert_alive(&daemon).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away_at_the_limit() {
    let limits = Limits {
        first_line: Duration::from_millis(20),
        ..Limits::default()
    };
    let daemon = Daemon::with(limits, |_| {});
    let silent = daemon.connect().await;
    assert_eq!(silent.hear_error().await["code"], code::TOO_SLOW);
    let slow = daemon.connect().await;
    slow.writer.send(b"{\"loupe\":1,").await.expect("sent");
    assert_eq!(slow.hear_error().await["code"], code::TOO_SLOW);
}

#[tokio::test]
async fn too_many_connections_are_refused_with_the_reason_and_others_are_served_later() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let daemon = Daemon::with(limits, |_| {});
    let mut first = daemon.ask(analyze("nginx")).await;
    first.hear_a("queued").await;
    let mut second = daemon.ask(analyze("redis")).await;
    second.hear_a("queued").await;
    let third = daemon.connect().await;
    assert_eq!(third.hear_error().await["code"], code::BUSY);
    second.say(json!({"loupe": 1, "request": "cancel"})).await;
    assert_eq!(second.hear_error().await["code"], code::CANCELLED);
    // The slot is free once the connection's task has ended, which the end of it announces.
    loop {
        let mut talk = daemon.ask(json!({"loupe": 1, "request": "hello"})).await;
        if talk.hear().await["reply"] == "hello" {
            break;
        }
    }
}

#[tokio::test]
async fn lines_that_make_no_sense_during_an_analysis_are_ignored() {
    let daemon = Daemon::start();
    let mut talk = daemon.ask(analyze("nginx")).await;
    talk.hear_a("queued").await;
    daemon.steps.started().await;
    talk.writer
        .send(b"garbage\n\xff\n{}\n")
        .await
        .expect("sent");
    talk.say(analyze("redis")).await;
    daemon.steps.send(Step::Finish).await;
    talk.hear_a("analysis").await;
    talk.hear_the_end().await;
}

#[tokio::test]
async fn half_a_line_after_the_request_and_then_nothing_cancels_the_job() {
    let daemon = Daemon::start();
    let mut talk = daemon.ask(analyze("nginx")).await;
    talk.hear_a("queued").await;
    daemon.steps.started().await;
    talk.writer.send(b"{\"loupe\":1,\"req").await.expect("sent");
    drop(talk);
    daemon.steps.cancelled().await;
}

#[tokio::test]
async fn a_workload_that_is_none_is_refused_with_the_reason() {
    let daemon = Daemon::start();
    for (change, expected) in [
        (json!({"workload": {"moode": 1}}), "unknown field `moode`"),
        (json!({"workload": 7}), "invalid type"),
        (json!({"base": "relative"}), "absolute path"),
        (json!({"base": "/a\u{202e}b"}), "`base` must not hold"),
        (json!({"options": {"jobs": "many"}}), "options"),
        (json!({"options": {"jobs": 0}}), "`jobs` must be at least 1"),
        (
            json!({"options": {"replicas": 4_294_967_295_u32}}),
            "`replicas` must be at least 1 and at most 1000",
        ),
        (json!({"options": {"replicas": 0}}), "`replicas` must be"),
        (
            json!({"options": {"impact": 4_294_967_295_u32}}),
            "`impact` must be at least 2",
        ),
        (json!({"options": {"confidence": 1.0}}), "`confidence`"),
        (json!({"options": {"confidence": -1.0}}), "`confidence`"),
    ] {
        let mut request = analyze("nginx");
        for (key, value) in change.as_object().expect("an object") {
            request[key] = value.clone();
        }
        let error = daemon.ask(request).await.hear_error().await;
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(expected), "{message}");
        assert_eq!(error["exit_code"], 2);
    }
    for (key, value, expected) in [
        ("command", json!([]), "`command` is empty"),
        ("command", json!(["a", "b\0"]), "`command` holds a NUL"),
        ("application", json!("a\u{202e}b"), "`application` must be"),
        ("workload", json!("\u{1b}]0;x\u{7}"), "`workload` must be"),
        ("workload", json!("w".repeat(100_000)), "at most 255 bytes"),
        ("target", json!("/a\u{9b}b"), "`target` must not hold"),
        ("limits", json!({"cpu": -1.0}), "`limits.cpu` must be"),
        ("limits", json!({"cpu": 1e300}), "`limits.cpu` must be"),
        ("replicas", json!(4_294_967_295_u32), "`replicas` must be"),
        ("env", json!({"A=B": "x"}), "name of a variable"),
    ] {
        let mut request = analyze("nginx");
        request["workload"][key] = value;
        let error = daemon.ask(request).await.hear_error().await;
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn what_steers_a_terminal_goes_over_the_socket_as_an_escape() {
    let daemon = Daemon::start();
    let line = "{\"loupe\":1,\"request\":\"a\u{9b}31m\u{202e}\"}\n";
    let path = daemon.path.clone();
    let talk = move || {
        let mut stream = Blocking::connect(path).expect("it listens");
        stream.write_all(line.as_bytes()).expect("sent");
        let mut all = String::new();
        stream.read_to_string(&mut all).expect("readable");
        all
    };
    let all = tokio::task::spawn_blocking(talk).await.expect("no panic");
    assert!(all.contains("unknown-request") && all.is_ascii(), "{all}");
}
