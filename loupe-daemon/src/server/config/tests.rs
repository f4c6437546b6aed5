use super::*;
use crate::report::failure_text;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("louped.toml"))
}

/// What a user is shown.
#[track_caller]
fn shown(text: &str) -> String {
    let error = parse(text).expect_err("it is wrong");
    failure_text("louped", &error.failure())
}

#[test]
fn nothing_is_a_configuration_and_so_is_the_one_that_is_installed() {
    assert_eq!(parse("").expect("empty"), Config::default());
    let installed = include_str!("../../../../packaging/louped.toml");
    assert_eq!(parse(installed).expect("as installed"), Config::default());
    // Everything that it shows as an example is right, too.
    let examples: String = installed
        .lines()
        .map(|line| match line.strip_prefix("#") {
            Some(example) if !example.starts_with(' ') => format!("{example}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let all = parse(&examples).expect("the examples");
    assert!(all.daemon.jobs.is_some() && all.daemon.job_hours.is_some());
    assert!(all.metrics.syscalls && all.metrics.listen.is_some() && all.metrics.textfile.is_some());
    assert_ne!(all.profile.settings().bounds, ProfilerBounds::default());
    assert!(all.fleet.url.is_some() && all.fleet.interval().as_secs() == 60);
}

#[test]
fn a_host_is_a_worker_where_a_server_is_named() {
    let none = parse("[worker]\n").expect("right").worker;
    assert_eq!((none.url.as_deref(), none.user()), (None, "nobody"));
    let text = "[worker]\nurl = \"tls://hub:4222\"\nslots = 3\nuser = \"builder\"\n";
    let worker = parse(text).expect("right").worker;
    assert_eq!(worker.url.as_deref(), Some("tls://hub:4222"));
    assert_eq!(
        (worker.slots.map(u16::from), worker.user()),
        (Some(3), "builder")
    );
    assert!(shown("[worker]\nurl = \"hub\"\n").contains("louped.toml:2"));
    assert!(shown("[worker]\nslots = 0\n").contains("louped.toml:2"));
}

#[test]
fn a_host_belongs_to_a_fleet_where_a_server_is_named() {
    assert_eq!(parse("[fleet]\n").expect("right").fleet.url, None);
    let text = "[fleet]\nurl = \"tls://hub:4222\"\nrole = \"hub\"\ninterval_seconds = 5\n\
                credentials = \"/tmp/c\"\ntell_name = false\n";
    let fleet = parse(text).expect("right").fleet;
    assert_eq!((fleet.role, fleet.tell_name), (Role::Hub, false));
    assert_eq!(fleet.credentials(), Path::new("/tmp/c"));
    assert_eq!(fleet.interval().as_secs(), 5);
    for bad in ["hub:4222", "http://hub", "tls://", "tls://user@hub"] {
        let text = shown(&format!("[fleet]\nurl = \"{bad}\"\n"));
        assert!(text.contains("is no address of a NATS server"), "{text}");
    }
}

#[test]
fn what_is_watched_comes_from_units_and_targets() {
    let text = "[profile]\nunits = [\"nginx\", \"*.service\"]\n\
                targets = [\"slice:system.slice\", \"unit:nginx.service\"]\nduty = \"2.5 %\"\n\
                limits.slots = 9\n";
    let settings = parse(text).expect("right").profile.settings();
    let names: Vec<String> = settings.targets.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["unit:*.service", "unit:nginx.service", "slice:system.slice"]
    );
    assert_eq!(settings.duty, Choice::Fixed(0.025));
    assert_eq!(settings.bounds.slots, 9);
    assert_eq!(settings.bounds.calls, ProfilerBounds::default().calls);
}

#[test]
fn an_unknown_key_is_shown_in_its_line_with_the_one_that_was_meant() {
    assert_eq!(
        shown("[profile]\n\tdutty = \"5%\"\n"),
        "louped: louped.toml:2:2: unknown key `dutty` (did you mean duty?)\n  \
         | 2 | \\tdutty = \"5%\"\n  |   | \\t^^^^^\n"
    );
    let text = shown("[profiles]\n");
    assert!(text.contains("louped.toml:1:2: unknown key `profiles` (did you mean profile?)"));
    let text = shown("[daemon]\nelsewhere = 1\n");
    assert!(
        text.contains("`elsewhere`; possible are jobs, job_hours"),
        "{text}"
    );
    let text = shown("[profile]\nlimits = { slotz = 1 }\n");
    assert!(
        text.contains("2:12: unknown key `slotz` (did you mean slots?)"),
        "{text}"
    );
}

#[test]
fn a_wrong_value_is_shown_with_what_is_possible() {
    for (text, place, parts) in [
        (
            "[profile]\nduty = \"0%\"\n",
            "2:8",
            "\"auto\" or a part of the time",
        ),
        (
            "[profile]\nduty = \"105%\"\n",
            "2:8",
            "\"auto\" or a part of the time",
        ),
        (
            "[profile]\nduty = \"NaN%\"\n",
            "2:8",
            "\"auto\" or a part of the time",
        ),
        (
            "[profile]\nduty = 5\n",
            "2:8",
            "\"auto\" or a part of the time",
        ),
        (
            "[profile]\nunits = [\"a.service\", \"/usr/bin/b\"]\n",
            "2:9",
            "executable:PATH",
        ),
        (
            "[profile]\ntargets = [\"nginx\"]\n",
            "2:11",
            "names nothing to watch",
        ),
        (
            "[profile]\ntargets = [\"pid:1\"]\n",
            "2:11",
            "another process after each start",
        ),
        (
            "[profile.limits]\nslots = 65536\n",
            "2:9",
            "more than 65535",
        ),
        ("[profile.limits]\ncalls = 0\n", "2:9", "nonzero"),
        (
            "[metrics]\nlisten = \"0.0.0.0:9777\"\n",
            "2:10",
            "other hosts reach 0.0.0.0",
        ),
        (
            "[metrics]\nlisten = \"[2001:db8::1]:9777\"\n",
            "2:10",
            "other hosts reach 2001:db8::1",
        ),
        (
            "[metrics]\nlisten = \"localhost\"\n",
            "2:10",
            "127.0.0.1:9777",
        ),
        (
            "[metrics]\ntextfile = \"a.prom\"\n",
            "2:12",
            "no absolute path",
        ),
        ("[metrics]\ntextfile = \"/a.txt\"\n", "2:12", "`.prom`"),
        ("[daemon]\njobs = -1\n", "2:8", "-1"),
        ("[daemon\njobs = 1\n", "1:8", "]"),
    ] {
        let shown = shown(text);
        let place = format!("louped: louped.toml:{place}: ");
        assert!(shown.starts_with(&place), "{place} is not in {shown}");
        assert!(shown.contains(parts), "{parts:?} is not in {shown}");
        assert!(shown.contains('^'), "{shown}");
    }
}

#[test]
fn only_the_file_that_nobody_named_may_be_absent() {
    let absent = Path::new("/nonexistent/louped.toml");
    let error = Config::load(Some(absent)).expect_err("it was named");
    assert!(
        error.to_string().contains("cannot read /nonexistent"),
        "{error}"
    );
}

#[test]
fn a_wrong_file_leaves_the_configuration_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("louped.toml");
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    write("[profile]\nunits = [\"a\"]\n");
    let reloader = Reloader::start(Some(path.clone())).expect("right");
    let mut watching = reloader.watch();
    let first = reloader.config();

    write("[profile]\nunits = \"a\"\n");
    reloader.reload().expect_err("wrong");
    assert!(watching.has_changed().expect("it is there"));
    let now = watching.borrow_and_update().clone();
    assert_eq!(now.config, first);
    assert!(now.refused.expect("told").contains("louped.toml:2:9"));

    write("[profile]\nunits = [\"b\"]\n");
    reloader.reload().expect("right");
    let now = watching.borrow_and_update().clone();
    assert_eq!(now.refused, None);
    assert_eq!(
        now.config.profile.settings().targets,
        [Target::Unit("b.service".to_owned())]
    );
}
