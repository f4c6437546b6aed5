use super::*;

const GOOD: &str = r#"
application = "nginx"
workload = "wrk"
mode = "server"
command = ["nginx", "-g", "daemon off;"]
test = "curl -f http://127.0.0.1/"
"#;

fn parse(text: &str) -> Result<Workload, WorkloadError> {
    Workload::parse(text, Path::new("w.toml"), PathBuf::from("/work"))
}

fn error_of(text: &str) -> String {
    parse(text).expect_err("must be refused").to_string()
}

#[test]
fn a_minimal_file_gets_the_documented_defaults() {
    let workload = parse(GOOD).expect("valid");
    assert_eq!(workload.kind, Kind::Benchmark);
    assert_eq!(workload.replica_count(), 3);
    assert_eq!(workload.working_directory(), PathBuf::from("/work"));
    assert_eq!(workload.test.words()[..2], ["/bin/sh", "-c"]);
}

#[test]
fn an_unknown_key_is_refused_with_line_and_column() {
    let text = GOOD.replace("mode =", "moode = 1\nmode =");
    let error = error_of(&text);
    assert!(
        error.starts_with("w.toml:4:1: unknown key `moode` (did you mean mode?)"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_is_refused_with_line_and_column() {
    let error = error_of(&GOOD.replace("\"server\"", "7"));
    assert!(error.starts_with("w.toml:4:8: "), "{error}");
}

#[test]
fn a_bad_metric_is_refused_with_line_and_column() {
    let error = error_of(&GOOD.replace("mode", "metric = \"rate: ([0-9]+\"\nmode"));
    let expected = "w.toml:4:10: `metric` is not a regular expression: unclosed group";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_bad_word_on_readiness_is_refused_with_line_and_column() {
    let error = |ready: &str| error_of(&GOOD.replace("mode", &format!("ready = {ready}\nmode")));
    for (ready, expected) in [
        ("{}", "w.toml:4:9: `ready` needs at least one of `port`"),
        ("{ port = 0 }", "w.toml:4:18: invalid value: integer `0`"),
        (
            "{ port = 70000 }",
            "w.toml:4:18: invalid value: integer `70000`",
        ),
        (
            "{ prot = 80 }",
            "w.toml:4:11: unknown key `prot` (did you mean port?)",
        ),
        ("{ command = [] }", "w.toml:4:9: `ready.command` is empty"),
        (
            "{ port = 80, output = 'up (' }",
            "w.toml:4:31: `ready.output` is not a regular expression: unclosed group",
        ),
    ] {
        let error = error(ready);
        assert!(error.starts_with(expected), "{error}");
    }
    let batch = GOOD.replace("\"server\"", "\"batch\"\nready = { port = 80 }");
    assert!(error_of(&batch).contains("`ready` is of servers"));
}

#[test]
fn a_word_on_readiness_survives_the_way_to_the_daemon() {
    let ready = "ready = { port = 80, output = '^up', command = 'test -e /run/up' }\nmode";
    let with = parse(&GOOD.replace("mode", ready)).expect("valid");
    let json = serde_json::to_value(&with).expect("serializable");
    assert_eq!(json["ready"]["port"], 80);
    let back: Workload = serde_json::from_value(json).expect("readable");
    assert_eq!(back.ready, with.ready);
    let json = serde_json::to_value(parse(GOOD).expect("valid")).expect("serializable");
    assert_eq!(json.get("ready"), None);
}

#[test]
fn a_metric_survives_the_way_to_the_daemon_and_its_absence_leaves_no_trace() {
    let with = parse(&GOOD.replace("mode", "metric = 'rate: (\\S+)'\nmode")).expect("valid");
    let json = serde_json::to_value(&with).expect("serializable");
    assert_eq!(json["metric"], r"rate: (\S+)");
    let back: Workload = serde_json::from_value(json).expect("readable");
    assert_eq!(back.metric, with.metric);
    let json = serde_json::to_value(parse(GOOD).expect("valid")).expect("serializable");
    assert_eq!(json.get("metric"), None);
}

#[test]
fn a_missing_key_is_named() {
    let error = error_of(&GOOD.replace("workload = \"wrk\"\n", ""));
    assert!(error.contains("missing field `workload`"), "{error}");
}

#[test]
fn what_types_cannot_say_is_checked() {
    for (from, to, expected) in [
        ("\"nginx\"\nw", "\"\"\nw", "`application` must be a name"),
        (
            "[\"nginx\", \"-g\", \"daemon off;\"]",
            "[]",
            "`command` is empty",
        ),
        (
            "[\"nginx\", \"-g\", \"daemon off;\"]",
            "\"nginx\"",
            "set `target`",
        ),
        (
            "mode",
            "replicas = 0\nmode",
            "`replicas` must be at least 1",
        ),
        (
            "mode",
            "limits.test = -1.0\nmode",
            "`limits.test` must be above 0",
        ),
        (
            "mode",
            "replicas = 1001\nmode",
            "`replicas` must be at most 1000",
        ),
        (
            "mode",
            "limits.cpu = -1.0\nmode",
            "`limits.cpu` must be above 0",
        ),
        ("mode", "limits.cpu = nan\nmode", "`limits.cpu` must be"),
        ("mode", "limits.cpu = inf\nmode", "`limits.cpu` must be"),
        ("\"nginx\"\nw", "\"a\u{202E}b\"\nw", "holds U+202E"),
        ("\"wrk\"", "\"a\u{009B}b\"", "holds U+009B"),
        (
            "mode",
            "directory = \"/a\u{2066}b\"\nmode",
            "`directory` must not hold",
        ),
        (
            "mode",
            "files = [{ from = \"/a\\nb\", to = \"/c\" }]\nmode",
            "`files` must not hold",
        ),
        ("mode", "env.\"a=b\" = \"\"\nmode", "name of a variable"),
        ("mode", "env.A = \"\\u0000\"\nmode", "holds a NUL"),
        ("\"-g\"", "\"\\u0000\"", "`command` holds a NUL"),
        (
            "mode",
            "limits.memory = 1\nmode",
            "`limits.memory` must be at least 32",
        ),
        (
            "mode",
            "limits.processes = 0\nmode",
            "`limits.processes` must be at least 8",
        ),
        ("mode", "writable = [\"x\"]\nmode", "must be absolute"),
        (
            "mode",
            "writable = [\"/srv/../etc\"]\nmode",
            "`writable` paths must be without `..`: /srv/../etc",
        ),
        (
            "mode",
            "files = [{ from = \"../x\", to = \"/tmp/../x\" }]\nmode",
            "`files`: `to` must be without `..`: /tmp/../x",
        ),
    ] {
        let error = error_of(&GOOD.replacen(from, to, 1));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn more_paths_than_can_be_held_open_are_refused() {
    let with = |count: usize| {
        let paths = vec!["\"/srv\""; count].join(", ");
        GOOD.replace("mode", &format!("writable = [{paths}]\nmode"))
    };
    assert!(parse(&with(MOST_WRITABLE)).is_ok());
    let error = error_of(&with(MOST_WRITABLE + 1));
    assert!(error.contains("65 entries, and 64 at most"), "{error}");
}
