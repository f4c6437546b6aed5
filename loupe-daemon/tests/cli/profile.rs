//! `loupe profile`, and profiles as a source of other commands, against a daemon that the test plays.

use std::io::Read as _;
use std::path::Path;
use std::process::Output;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::daemon::{Daemon, Talk};
use super::{analysis, assert_fails, home, loupe, run, stderr, stdout};

const DAY_MS: u64 = 86_400_000;
/// 2026-11-01 00:00 UTC.
const NOVEMBER_MS: u64 = 1_793_491_200_000;

/// 14 days from the first of November on, with one feature that came on the tenth.
fn profile(name: &str) -> Value {
    let used = |feature: &str, first: u64| {
        json!({
            "feature": feature, "counts": {"calls": 5}, "minutes": 3,
            "first_seen_ms": NOVEMBER_MS + first * DAY_MS,
            "last_seen_ms": NOVEMBER_MS + 14 * DAY_MS,
        })
    };
    json!({
        "subject": {"kind": "unit", "name": name, "executable": {"path": "/usr/sbin/it"}, "uid": 0},
        "features": [used("read", 0), used("open", 0), used("sendfile", 9), used("/proc/stat", 0)],
        "observation": {
            "from_ms": NOVEMBER_MS, "until_ms": NOVEMBER_MS + 14 * DAY_MS,
            "observed_ms": 14 * DAY_MS,
        },
        "maturity": {"state": "stable", "since_ms": NOVEMBER_MS + DAY_MS},
        "unseen": {"chance": 0.001, "at_most": 0.004, "minutes": 900},
    })
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => name.starts_with(head),
        None => name == pattern || name == format!("{pattern}.service"),
    }
}

/// Knows nginx and redis, and one analysis, and tells what it was asked of profiles.
fn services(home: &Path) -> (Daemon, Receiver<Value>) {
    let (sender, asked) = channel();
    let daemon = Daemon::start(home, move |mut talk| {
        let request = talk.request().clone();
        if request["request"] != "profile" {
            return answer_others(&mut talk);
        }
        sender.send(request.clone()).expect("the test listens");
        let answer = match request["ask"].as_str().expect("a question") {
            "show" => {
                let pattern = request["name"].as_str().unwrap_or("*");
                let names = ["nginx.service", "redis.service"].into_iter();
                let profiles: Vec<Value> = names
                    .filter(|name| fits(name, pattern))
                    .map(profile)
                    .collect();
                json!({"answer": "profiles", "profiles": profiles})
            }
            "add" | "remove" => {
                let targets = request["targets"].as_array().expect("a list").iter();
                let targets: Vec<Value> = targets
                    .filter(|target| **target != "unit:never.service")
                    .map(|target| {
                        json!({
                            "target": target, "configured": *target == "unit:fixed.service",
                            "cgroups": u64::from(*target == "unit:nginx.service"),
                        })
                    })
                    .collect();
                json!({"answer": "targets", "targets": targets})
            }
            "status" => json!({
                "answer": "status", "since_ms": NOVEMBER_MS, "targets": [], "subjects": [],
                "duty": 0.05, "duty_measured": true, "attached": true, "overhead": 0.002,
                "lost": {}, "store_bytes": 4096,
            }),
            _ => {
                let event = json!({
                    "loupe": 1, "reply": "profile_event", "at_ms": NOVEMBER_MS,
                    "subject": profile("nginx.service")["subject"],
                    "event": "first_seen", "feature": "futex",
                });
                talk.say(&event);
                return talk.say(&event);
            }
        };
        let mut reply = json!({"loupe": 1, "reply": "profile"});
        let fields = answer.as_object().expect("an object").clone();
        reply.as_object_mut().expect("an object").extend(fields);
        talk.say(&reply);
    });
    (daemon, asked)
}

fn answer_others(talk: &mut Talk) {
    let stored = json!({
        "id": 1, "fingerprint": "f", "started_ms": 0, "finished_ms": 0,
        "analysis": analysis("required"),
    });
    match talk.request()["request"].as_str() {
        Some("results") => talk.say(&json!({"loupe": 1, "reply": "results", "entries": [stored]})),
        Some("show") => talk.say(&json!({"loupe": 1, "reply": "shown", "analysis": stored})),
        other => panic!("{other:?}"),
    }
}

fn told(home: &Path, line: &str) -> Output {
    run(loupe(home).current_dir(home).args(line.split(' ')))
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    crate::schema::assert_fits(&document);
    document
}

#[test]
fn without_a_daemon_nobody_watches_and_the_cure_is_told() {
    let home = home();
    for line in ["profile status", "profile add nginx", "profile top --once"] {
        let mut command = loupe(home.path());
        command.env_remove("LOUPE_SOCKET");
        let output = run(command
            .args(["--socket", "/nowhere/louped.sock"])
            .args(line.split(' ')));
        assert_fails(&output, 125, "louped is not running");
        assert!(stderr(&output).contains("hint: start it"), "{line}");
    }
    std::fs::create_dir(home.path().join("db")).expect("made");
    let output = told(home.path(), "profile show nginx --db db/l.db");
    assert_fails(&output, 2, "there is no database at db/l.db");
    let output = told(home.path(), "profile show nginx --local");
    assert_fails(&output, 2, "there is no profile of nginx");
    assert!(stderr(&output).contains("nothing was observed yet"));
    let output = told(home.path(), "profile status --local");
    assert_fails(&output, 2, "the daemon that watches services");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    let home = home();
    for (line, says) in [
        ("profile add", "required"),
        ("profile add /usr/sbin/nginx", "--executable"),
        ("profile add system.slice", "--slice system.slice"),
        ("profile add --pid nginx", "number of a process"),
        ("profile show a --since tomorrow", "7d, 12h, 30m"),
        ("profile show a --since 2026-02-30", "no date"),
        ("profile diff a", "--since"),
        (
            "profile diff a --since 7d --workload b/c",
            "cannot be used with",
        ),
        ("profile diff a --workload absent.toml", "absent.toml"),
        ("trace", "required"),
        ("trace --unit a -- ls", "cannot be used with"),
        ("trace --duration 60s -- ls", "required"),
        ("trace --unit a --duration soon", "length of time"),
        ("trace --unit a --pid 7", "cannot be used with"),
    ] {
        assert_fails(&told(home.path(), line), 2, says);
    }
}

#[test]
fn what_is_added_is_said_and_what_nobody_knows_is_a_finding() {
    let home = home();
    let (_daemon, asked) = services(home.path());
    let output = told(home.path(), "profile add nginx");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "watching unit:nginx.service: 1 cgroup\n");
    let request = asked.recv().expect("asked");
    assert_eq!(request["targets"], json!(["unit:nginx.service"]));
    let line = "profile add loupe-test-no-such-unit --json --container web --cgroup /a --slice s \
                --executable /usr/bin/env --pid 7 --all-services";
    let output = told(home.path(), line);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let json = json_of(&output);
    assert_eq!(json["schema"], "loupe.profile-targets/1");
    assert_eq!(
        asked.recv().expect("asked")["targets"],
        json!([
            "unit:loupe-test-no-such-unit.service",
            "unit:*.service",
            "slice:s.slice",
            "container:web",
            "executable:/usr/bin/env",
            "cgroup:/a",
            "pid:7",
        ])
    );
    let text = stderr(&output);
    assert!(
        text.contains("`loupe profile remove` takes it back"),
        "{text}"
    );
    let output = told(home.path(), "profile remove nginx fixed");
    assert!(output.status.success());
    assert!(stdout(&output).contains("no longer watching unit:nginx.service"));
    assert!(stdout(&output).contains("still watching unit:fixed.service"));
    let output = told(home.path(), "profile remove never");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unit:never.service was not watched"));
}

#[test]
fn a_profile_is_shown_by_its_name_in_short_too_and_others_are_suggested() {
    let home = home();
    let (_daemon, asked) = services(home.path());
    let output = told(home.path(), "profile show nginx --since 2026-11-02");
    let text = stdout(&output);
    assert!(
        text.starts_with("nginx.service: 3 syscalls, 1 pseudo-file; observed 14 d of 14 d;"),
        "{text}"
    );
    assert!(text.contains("at most 0.4 %"), "{text}");
    let names: Vec<Value> = asked
        .try_iter()
        .map(|asked| asked["name"].clone())
        .collect();
    assert_eq!(names, ["nginx"]);
    let output = told(home.path(), "profile show * --json");
    let json = json_of(&output);
    assert_eq!(json["schema"], "loupe.profile/1");
    assert_eq!(json["profiles"].as_array().expect("a list").len(), 2);
    let output = told(home.path(), "profile show ngnix");
    assert_fails(
        &output,
        2,
        "there is no profile of ngnix (did you mean nginx.service?)",
    );
}

#[test]
fn what_is_new_since_a_moment_is_a_finding_and_a_moment_without_a_before_is_told() {
    let home = home();
    let (_daemon, _asked) = services(home.path());
    let output = told(home.path(), "profile diff nginx --since 2026-11-05");
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("sendfile"), "{}", stdout(&output));
    let output = told(home.path(), "profile diff nginx --since 2026-11-12 --json");
    assert!(output.status.success());
    let json = json_of(&output);
    assert_eq!(json["schema"], "loupe.profile-drift/1");
    assert_eq!((&json["new"], &json["known"]), (&json!([]), &json!(4)));
    let output = told(home.path(), "profile diff nginx --since 2026-10-01");
    assert_fails(&output, 2, "nothing was observed of nginx.service before");
    assert!(stderr(&output).contains("2026-11-01 00:00"));
    let output = told(home.path(), "profile diff nginx --since 2027-01-01");
    assert_fails(&output, 3, "nothing was observed of nginx.service since");
    let output = told(home.path(), "profile diff * --since 7d");
    assert_fails(&output, 2, "fits 2 profiles: nginx.service, redis.service");
}

#[test]
fn what_the_workload_never_did_is_a_finding() {
    let home = home();
    let (_daemon, _asked) = services(home.path());
    std::fs::write(home.path().join("w.toml"), super::WORKLOAD).expect("written");
    for workload in ["cat/w", "cat", "w.toml"] {
        let line = format!("profile diff nginx --workload {workload} --json");
        let output = told(home.path(), &line);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let json = json_of(&output);
        assert_eq!(json["schema"], "loupe.profile-coverage/1");
        assert_eq!(json["covered"], 1);
        let missing: Vec<&Value> = json["missing"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| &row["feature"])
            .collect();
        assert_eq!(missing, ["open", "sendfile"]);
    }
}

#[test]
fn a_status_is_printed_once_where_there_is_no_terminal() {
    let home = home();
    let (_daemon, _asked) = services(home.path());
    for line in ["profile status", "profile top", "profile top --once"] {
        let output = told(home.path(), line);
        assert!(stdout(&output).contains("duty 5 %"), "{output:?}");
        assert!(!stdout(&output).contains('\x1b'), "{output:?}");
    }
    let json = json_of(&told(home.path(), "profile top --json"));
    assert_eq!(json["schema"], "loupe.profile-status/1");
}

#[test]
fn events_are_lines_until_the_daemon_is_gone() {
    let home = home();
    let (_daemon, asked) = services(home.path());
    let output = told(home.path(), "profile watch nginx.service --json");
    assert_eq!(output.status.code(), Some(125), "the daemon hung up");
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["schema"], "loupe.profile-event/1");
    assert_eq!(asked.recv().expect("asked")["name"], "nginx.service");
    let output = told(home.path(), "profile watch");
    assert!(
        stdout(&output).starts_with("2026-11-01 00:00:00 nginx.service /usr/sbin/it: first use")
    );
}

#[test]
fn a_profile_is_a_source_of_what_is_used() {
    let home = home();
    let (_daemon, _asked) = services(home.path());
    std::fs::write(home.path().join("mine.toml"), "implement = [\"read\"]\n").expect("written");
    for name in ["nginx.service", "profile:nginx"] {
        let output = told(home.path(), &format!("gap --os mine.toml {name} --json"));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let gap = json_of(&output);
        assert_eq!(gap["application"], "profile:nginx.service");
        assert_eq!(gap["single"]["implement"], json!(["open", "sendfile"]));
        assert_eq!(gap["use_only"], true);
    }
    let output = told(home.path(), "gap --os mine.toml nginx.service");
    assert!(
        stdout(&output).contains("profile:nginx.service on mine"),
        "{output:?}"
    );
    let output = told(
        home.path(),
        "gap --os mine.toml --require profile:*,cat --json",
    );
    let distances = json_of(&output);
    assert_eq!(distances["count"], 3);
    let output = told(home.path(), "plan --os mine.toml --apps profile:* --json");
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert_eq!(
        said.matches("counts as to be implemented").count(),
        1,
        "{said}"
    );
    assert!(said.contains("at most 0.4 %"), "{said}");
    let plan = json_of(&output);
    assert_eq!(
        plan["steps"][1]["unlocks"]
            .as_array()
            .expect("a list")
            .len(),
        2
    );
    std::fs::write(home.path().join("plan.json"), &output.stdout).expect("written");
    let output = told(home.path(), "plan --check plan.json");
    assert!(output.status.success(), "{}", stderr(&output));
    let output = told(home.path(), "gap --os mine.toml profile:zz");
    assert_fails(&output, 2, "there is no profile of zz");
    let output = told(home.path(), "gap --os mine.toml profile:*");
    assert_fails(&output, 2, "fits 2 profiles");
}

#[test]
fn a_profile_is_exported_in_every_form() {
    let home = home();
    let (_daemon, _asked) = services(home.path());
    let filter = told(home.path(), "export seccomp profile:nginx");
    let text = stdout(&filter);
    assert!(text.contains("\"sendfile\""), "{}", stderr(&filter));
    assert!(stderr(&filter).contains("nothing else: profile:nginx.service"));
    let drop_in = stdout(&told(home.path(), "export systemd nginx.service"));
    assert!(drop_in.contains("SystemCallFilter="), "{drop_in}");
    let header = stdout(&told(home.path(), "export c profile:nginx cat"));
    for name in ["sendfile", "profile:nginx.service", "cat/w"] {
        assert!(header.contains(name), "{header}");
    }
    assert!(stdout(&told(home.path(), "export rust profile:nginx")).contains("sendfile"));
    let output = told(home.path(), "export loupedb out profile:nginx");
    assert!(output.status.success(), "{}", stderr(&output));
    let runs = std::fs::read_dir(home.path().join("out/nginx.service/profile"));
    let run = runs
        .expect("there")
        .next()
        .expect("a run")
        .expect("readable");
    let mut table = String::new();
    std::fs::File::open(run.path().join("data/dyn.csv"))
        .and_then(|mut file| file.read_to_string(&mut table))
        .expect("readable");
    assert!(table.contains("\n40,Y,N,N,N\n"), "{table}");
}

#[test]
fn the_page_shows_profiles_beside_analyses_or_alone() {
    let home = home();
    let (_daemon, _asked) = services(home.path());
    let output = told(home.path(), "report --html p.html profile:*");
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("0 workloads, 2 profiles"), "{said}");
    let page = std::fs::read_to_string(home.path().join("p.html")).expect("readable");
    assert!(page.contains("id=\"profiles\"") && page.contains("redis.service"));
    assert!(!page.contains("id=\"applications\""));
    for line in [
        "report profile:nginx",
        "report --html p.html --csv profile:nginx",
    ] {
        assert_fails(&told(home.path(), line), 2, "on its page only");
    }
}
