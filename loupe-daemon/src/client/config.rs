//! `~/.config/loupe/config.toml`: what is usual for a user, and the variables that go before it. Says
//! nothing that a command line cannot say, and a command line goes before it.

use std::io;
use std::path::{Path, PathBuf};

use loupe_common::wire::Failure;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::args::{Cli, Color, Command, Global, Parallel, UsualDatabase};
use crate::text::Wrong;

/// Below the directory of configurations.
const FILE: &str = "loupe/config.toml";

/// What the file may say.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// As `--db` and `LOUPE_DB`.
    #[serde(deserialize_with = "place")]
    db: Option<PathBuf>,
    /// As `--socket` and `LOUPE_SOCKET`.
    #[serde(deserialize_with = "place")]
    socket: Option<PathBuf>,
    /// As `--color`.
    color: Option<Color>,
    /// As `--jobs` of `loupe analyze`.
    #[serde(deserialize_with = "jobs")]
    jobs: Option<Parallel>,
    /// As `--full` of `loupe analyze`, `show` and `plan`.
    full: bool,
}

/// Absolute, or below the home directory.
fn place<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let path = match text.strip_prefix("~/") {
        Some(rest) => home().map(|home| home.join(rest)),
        None => Some(PathBuf::from(&text)),
    };
    match path.filter(|path| path.is_absolute()) {
        Some(path) => Ok(Some(path)),
        None => Err(D::Error::custom(
            "the path must be absolute, or begin with `~/`",
        )),
    }
}

fn jobs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Parallel>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(usize),
        Word(String),
    }
    match Value::deserialize(deserializer)? {
        Value::Number(count) if count > 0 => Ok(Some(Parallel::Count(count))),
        Value::Word(word) if word == "auto" => Ok(Some(Parallel::Auto)),
        _ => Err(D::Error::custom("a number from 1, or \"auto\"")),
    }
}

fn home() -> Option<PathBuf> {
    variable("HOME").filter(|home| home.is_absolute())
}

/// An empty variable is as good as none.
fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// Reads the file, and completes what the command line says.
pub fn complete(cli: &mut Cli) -> Result<(), Failure> {
    apply(cli, read()?, variable("LOUPE_DB"));
    Ok(())
}

/// Completes what every command takes.
pub fn settle(global: &mut Global) -> Result<(), Failure> {
    apply_to_all(global, &read()?, variable("LOUPE_DB"));
    Ok(())
}

fn read() -> Result<Config, Failure> {
    let directory = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let directory = directory.or_else(|| home().map(|home| home.join(".config")));
    match directory {
        Some(directory) => load(&directory.join(FILE)),
        None => Ok(Config::default()),
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        // `HOME` is somebody else's, as after `setpriv` or in a service; or it is no directory.
        Err(_) if path.symlink_metadata().is_err() => Ok(Config::default()),
        Err(error) => {
            Err(Failure::usage(format!("cannot read {}", path.display())).because(Some(&error)))
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<Config, Failure> {
    let hint = "docs/commands.md has its keys".to_owned();
    let config: Config = toml::from_str(text).map_err(|error| {
        let wrong = Wrong::new(text, path, &error);
        Failure::usage(wrong.to_string()).explained(Some(hint.clone()), Some(wrong.picture()))
    })?;
    match config.db.is_some() && config.socket.is_some() {
        false => Ok(config),
        true => Err(Failure::usage(format!(
            "{}: `db` works without a daemon, `socket` with one: it can only be one of them",
            path.display()
        ))
        .hint(hint)),
    }
}

fn apply_to_all(global: &mut Global, config: &Config, variable: Option<PathBuf>) {
    let says_db = variable.is_some() || global.db.is_some();
    if !global.insists_on_daemon() && !says_db && !global.local {
        global.chosen_socket.clone_from(&config.socket);
    }
    let by = |path, said_by| UsualDatabase { path, said_by };
    let configured = config
        .db
        .clone()
        .map(|path| by(path, "`db` in config.toml"));
    global.usual_db = variable.map(|path| by(path, "LOUPE_DB")).or(configured);
    global.color = global.color.or(config.color);
}

fn apply(cli: &mut Cli, config: Config, variable: Option<PathBuf>) {
    apply_to_all(&mut cli.global, &config, variable);
    match &mut cli.command {
        Command::Analyze(args) => {
            args.measuring.jobs = args.measuring.jobs.or(config.jobs);
            args.full |= config.full && !args.json;
        }
        Command::Study(args) => args.measuring.jobs = args.measuring.jobs.or(config.jobs),
        Command::Show(args) => args.full |= config.full && !args.json,
        Command::Plan(args) => args.full |= config.full,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn completed(line: &str, text: &str, variable: Option<&str>) -> Cli {
        let mut cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        let config = parse(text, Path::new("config.toml")).expect("a configuration");
        apply(&mut cli, config, variable.map(PathBuf::from));
        cli
    }

    #[test]
    fn an_option_goes_before_the_variable_and_that_before_the_file() {
        let text = "db = \"/file\"\ncolor = \"always\"\n";
        let db = |line: &str, variable: Option<&str>| {
            let global = completed(line, text, variable).global;
            let chosen = global.chosen_db();
            chosen.map(|(path, by)| format!("{} {by}", path.display()))
        };
        assert_eq!(
            db("loupe list --db /o", Some("/v")).as_deref(),
            Some("/o --db")
        );
        assert_eq!(db("loupe list", Some("/v")).as_deref(), Some("/v LOUPE_DB"));
        let file = Some("/file `db` in config.toml");
        assert_eq!(db("loupe list", None).as_deref(), file);
        assert_eq!(db("loupe list --socket /s", Some("/v")), None);
        let color = |line: &str| completed(line, text, None).global.color;
        assert_eq!(color("loupe list --color never"), Some(Color::Never));
        assert_eq!(color("loupe list"), Some(Color::Always));
    }

    #[test]
    fn a_socket_in_the_file_is_used_where_nobody_says_which_database() {
        let socket = |line: &str, variable: Option<&str>| {
            let cli = completed(line, "socket = \"/s\"\njobs = 3\n", variable);
            cli.global.insists_on_daemon()
        };
        assert!(socket("loupe list", None));
        for (line, variable) in [
            ("loupe list --db /d", None),
            ("loupe list --local", None),
            ("loupe list", Some("/v")),
        ] {
            assert!(!socket(line, variable), "{line}");
        }
        let cli = completed("loupe analyze x.toml", "jobs = 3\nfull = true\n", None);
        let Command::Analyze(args) = cli.command else {
            panic!("another command");
        };
        assert_eq!(args.measuring.jobs, Some(Parallel::Count(3)));
        assert!(args.full);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_shown_in_its_line() {
        let wrong = |text: &str| {
            let failure = parse(text, Path::new("/c/config.toml")).expect_err("it is wrong");
            crate::report::failure_text("loupe", &failure)
        };
        let text = wrong("color = \"auto\"\ncolour = \"auto\"\n");
        assert!(
            text.contains("/c/config.toml:2:1: unknown key `colour` (did you mean color?)"),
            "{text}"
        );
        assert!(text.contains("  |   | ^^^^^^"), "{text}");
        assert!(wrong("db = \"x.db\"").contains("absolute"));
        assert!(wrong("jobs = 0").contains("a number from 1"));
        assert!(wrong("db = \"/a\"\nsocket = \"/b\"").contains("only be one"));
        assert_eq!(parse("", Path::new("x")).expect("empty"), Config::default());
    }

    #[test]
    fn a_home_that_is_none_has_no_settings_and_a_file_that_cannot_be_read_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        let below = file.join("config.toml");
        assert_eq!(load(&below).expect("none"), Config::default());
        load(directory.path()).expect_err("a directory is no file");
    }
}
