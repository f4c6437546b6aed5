use serde_json::json;

use super::*;
use crate::analysis;

fn refused(line: &str) -> Failure {
    decode_request(line.as_bytes()).expect_err("must be refused")
}

fn analysis_with_warning(warning: String) -> Reply {
    let json = json!({
        "schema": analysis::SCHEMA, "application": "nginx", "workload": "wrk", "replays": 1,
        "wall_seconds": 1.5, "baseline_ms": 2.25, "baseline_runs": 3, "features": [],
        "warnings": [warning], "lost_events": 0,
    });
    Reply::Analysis {
        job: JobId(3),
        id: Some(7),
        kept: false,
        analysis: Box::new(serde_json::from_value(json).expect("an analysis")),
    }
}

/// Every line of `bytes` through an assembler: the replies that come out.
fn assemble(bytes: &[u8]) -> Vec<Reply> {
    let mut assembler = Assembler::default();
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .inspect(|line| assert!(line.len() <= MAX_LINE, "a line of {} bytes", line.len()))
        .filter_map(|line| assembler.push(line).expect("a good line"))
        .collect()
}

#[test]
fn requests_are_flat_objects_and_come_back() {
    let request = Request::Show {
        application: "nginx".to_owned(),
        workload: None,
    };
    let line = encode_request(&request).expect("short");
    let text = String::from_utf8(line).expect("UTF-8");
    assert_eq!(
        text,
        "{\"loupe\":1,\"request\":\"show\",\"application\":\"nginx\"}\n"
    );
    assert_eq!(decode_request(text.as_bytes()), Ok(request));
}

#[test]
fn unknown_fields_are_ignored() {
    let line = json!({"loupe": 1, "request": "watch", "job": 7, "colour": {"deep": [1]}});
    assert_eq!(
        decode_request(line.to_string().as_bytes()),
        Ok(Request::Watch { job: JobId(7) })
    );
}

#[test]
fn an_unknown_request_is_named_with_the_known_ones() {
    let failure = refused(r#"{"loupe":1,"request":"make_coffee"}"#);
    assert_eq!(failure.code, code::UNKNOWN_REQUEST);
    assert!(failure.message.contains("make_coffee") && failure.message.contains("analyze"));
}

#[test]
fn another_version_is_told_the_supported_ones_even_if_the_rest_is_strange() {
    for version in ["2", "0", "\"1\"", "1.5", "null", "[1]"] {
        let failure = refused(&format!(r#"{{"loupe":{version},"question":"?"}}"#));
        assert_eq!(failure.code, code::UNSUPPORTED_VERSION, "{version}");
        assert_eq!(*failure.supported, [1]);
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for line in [
        "",
        "GET / HTTP/1.1",
        "[]",
        "null",
        "{}",
        r#"{"loupe":1}"#,
        r#"{"loupe":1,"request":7}"#,
        r#"{"loupe":1,"request":"watch"}"#,
        r#"{"loupe":1,"request":"watch","job":"seven"}"#,
        r#"{"loupe":1,"request":"watch","job":-1}"#,
        r#"{"loupe":1,"request":"explain","application":"a","feature":"futexx"}"#,
        r#"{"loupe":1,"request":"hello"} {"loupe":1}"#,
    ] {
        assert_eq!(refused(line).code, code::BAD_REQUEST, "{line}");
    }
    assert_eq!(
        decode_request(b"\xff\xfe{}").expect_err("not UTF-8").code,
        code::BAD_REQUEST
    );
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = format!(
        r#"{{"loupe":1,"request":"hello","x":{}{}}}"#,
        "[".repeat(400_000),
        "]".repeat(400_000)
    );
    let failure = refused(&deep);
    assert!(failure.message.contains("recursion limit"), "{failure}");
}

#[test]
fn a_request_longer_than_a_line_is_refused_before_it_is_sent() {
    let request = Request::Show {
        application: "x".repeat(MAX_LINE),
        workload: None,
    };
    let failure = encode_request(&request).expect_err("too long");
    assert_eq!(failure.code, code::LINE_TOO_LONG);
}

#[test]
fn a_reply_that_fits_is_one_line() {
    let reply = analysis_with_warning("short".to_owned());
    let bytes = encode_reply(&reply).expect("encodable");
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(assemble(&bytes), [reply]);
}

#[test]
fn a_reply_longer_than_a_line_goes_through_in_parts() {
    // Quotes and backslashes are escaped twice, 'ü' must not be cut in two.
    for filling in ["x", "\"\\", "ü\u{1}", "\n"] {
        let reply = analysis_with_warning(filling.repeat(3 * MAX_LINE / filling.len()));
        let bytes = encode_reply(&reply).expect("encodable");
        assert_eq!(assemble(&bytes), [reply], "{filling:?}");
    }
}

#[test]
fn a_reply_of_exactly_the_limit_is_still_one_line() {
    let short = encode_reply(&analysis_with_warning(String::new())).expect("encodable");
    let reply = analysis_with_warning("x".repeat(MAX_LINE - short.len()));
    let bytes = encode_reply(&reply).expect("encodable");
    assert_eq!(bytes.len(), MAX_LINE);
    let reply = analysis_with_warning("x".repeat(MAX_LINE - short.len() + 1));
    assert!(assemble(&encode_reply(&reply).expect("encodable")) == [reply]);
}

#[test]
fn parts_out_of_order_are_refused() {
    let part = encode_line(&Reply::Part {
        text: "{\"lou".to_owned(),
        last: false,
    })
    .expect("encodable");
    let hello = encode_line(&Reply::Jobs { jobs: Vec::new() }).expect("encodable");
    let mut assembler = Assembler::default();
    assert_eq!(assembler.push(&part), Ok(None));
    assert!(assembler.push(&hello).is_err());
}

#[test]
fn a_failure_keeps_the_chain_of_its_causes_without_repeating_them() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the file")]
    struct Outer(#[source] Middle);
    #[derive(Debug, thiserror::Error)]
    #[error("the disk says: {0}")]
    struct Middle(#[source] std::io::Error);

    let error = Outer(Middle(std::io::Error::other("no")));
    let failure = Failure::from_error(exit::LOUPE_FAILED, &error).hint("buy a disk");
    assert_eq!(failure.message, "cannot open the file");
    assert_eq!(*failure.causes, ["the disk says: no".to_owned()]);
    let reply = Reply::Error(failure);
    assert_eq!(assemble(&encode_reply(&reply).expect("encodable")), [reply]);
}
