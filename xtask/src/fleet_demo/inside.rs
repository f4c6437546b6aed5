//! The demo itself, as root in its namespaces. What it starts and makes needs no clearing away.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, step};

const HUB: &str = "10.87.0.1";
/// The hosts, with their addresses, and what nginx does on one of them only.
const HOSTS: [(&str, &str, &str); 2] = [
    ("web1", "10.87.0.11", "sendfile off;"),
    ("web2", "10.87.0.12", "sendfile on;"),
];
const URL: &str = "tls://hub:4222";
/// Only what never comes takes as long.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(300);

struct Demo<'a> {
    place: &'a Path,
    binaries: &'a Path,
}

pub fn run(place: &Path, binaries: &Path) -> Result<()> {
    let demo = Demo { place, binaries };
    demo.lay_cables()?;
    let mut running = Vec::new();

    step("Where the hub is: found the fleet, start the server and the hub");
    let mut init = demo.loupe("hub", &["fleet", "init", "fleet", "--server", "hub"]);
    for (name, ..) in HOSTS {
        init.args(["--host", name]);
    }
    type_out("hub", &init);
    workspace::output(&mut init)?;
    let mut server = demo.in_directory("hub", "nats-server");
    server.args(["-c", "fleet/server/nats-server.conf"]);
    running.push(demo.start("hub", &mut server)?);
    wait_for("the server", || TcpStream::connect((HUB, 4222)).is_ok())?;
    let credentials = ["--credentials", "fleet/hub.credentials"];
    let mut hub = demo.loupe("hub", &["fleet", "hub", URL]);
    running.push(demo.start("hub", hub.args(credentials).args(DATABASE))?);

    for (name, _, setting) in HOSTS {
        step(&format!(
            "On {name}: its credentials, louped, and nginx ({setting})"
        ));
        running.extend(demo.host(name, setting)?);
    }

    step("Somebody uses the services; each host tells what it sees");
    let asked = |feature: &str| demo.hosts_with(feature).unwrap_or_default();
    wait_for("what the hosts see", || {
        for (_, address, _) in HOSTS {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--output", "/dev/null"])
                .arg(format!("http://{address}/"))
                .stderr(Stdio::null());
            // Until nginx listens, it fails; what counts is what comes of it.
            drop(curl.status());
        }
        asked("epoll_wait") == HOSTS.len() && asked("sendfile") == 1
    })?;

    step("Where the hub is: ask");
    for (words, code) in [
        (&["fleet", "hosts"][..], 0),
        (&["fleet", "who", "sendfile"], 0),
        (&["fleet", "show", "nginx"], 0),
        // A gap is a finding: exit code 1.
        (&["fleet", "gap", "--os", "kerla"], 1),
    ] {
        let mut ask = demo.loupe("hub", words);
        ask.args(DATABASE);
        type_out("hub", &ask);
        let status = ask.status().context("cannot run loupe")?;
        if status.code() != Some(code) {
            bail!("`loupe {}` ended with {status}", words.join(" "));
        }
    }

    step("The end: hosts first, so that they tell what there still is");
    running.reverse();
    for child in running {
        end(child)?;
    }
    Ok(())
}

/// What a user leaves out: there, the hub's database is that of the user.
const DATABASE: [&str; 2] = ["--fleet-db", "fleet.db"];

/// Which options are there only because several hosts share one machine here.
const OF_THE_DEMO: [&str; 4] = ["--fleet-db", "--socket", "--db", "--config"];

impl Demo<'_> {
    /// A directory in memory, a switch, and a host at the end of each cable.
    fn lay_cables(&self) -> Result<()> {
        let place = self.place.display().to_string();
        run_quietly(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "mode=0755",
            "fleet-demo",
            &place,
        ])?;
        fs::create_dir_all("/run/netns").context("cannot make /run/netns")?;
        run_quietly(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "mode=0755",
            "netns",
            "/run/netns",
        ])?;
        let names: Vec<String> = [("hub", HUB)]
            .into_iter()
            .chain(HOSTS.map(|(name, address, _)| (name, address)))
            .map(|(name, address)| format!("{address} {name}\n"))
            .collect();
        let table = self.place.join("names");
        fs::write(&table, format!("127.0.0.1 localhost\n{}", names.concat()))
            .context("cannot write the names of the hosts")?;
        run_quietly(&[
            "mount",
            "--bind",
            &table.display().to_string(),
            "/etc/hosts",
        ])?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", "switch", "type", "bridge"])?;
        ip(&["address", "add", &format!("{HUB}/24"), "dev", "switch"])?;
        ip(&["link", "set", "switch", "up"])?;
        self.directory("hub")?;
        for (name, address, _) in HOSTS {
            self.directory(name)?;
            ip(&["netns", "add", name])?;
            ip(&[
                "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name,
            ])?;
            ip(&["link", "set", name, "master", "switch", "up"])?;
            ip(&[
                "-n",
                name,
                "address",
                "add",
                &format!("{address}/24"),
                "dev",
                "eth0",
            ])?;
            ip(&["-n", name, "link", "set", "eth0", "up"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    fn directory(&self, host: &str) -> Result<PathBuf> {
        let directory = self.place.join(host);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(directory)
    }

    /// A program that runs on this host, in its directory.
    fn in_directory(&self, host: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match host {
            "hub" => Command::new(program),
            host => {
                // `ip netns exec` would hide the cgroups.
                let mut nsenter = Command::new("nsenter");
                nsenter.arg(format!("--net=/run/netns/{host}"));
                nsenter.arg("--").arg(program);
                nsenter
            }
        };
        command.current_dir(self.place.join(host));
        command
    }

    fn loupe(&self, host: &str, words: &[&str]) -> Command {
        let mut command = self.in_directory(host, self.binaries.join("loupe"));
        command.args(words);
        command
    }

    /// Starts it, and shows how a user would; what it says goes to a file.
    fn start(&self, host: &str, command: &mut Command) -> Result<Child> {
        type_out_background(host, command);
        let log = self.place.join(host).join("log");
        let log = fs::File::options().create(true).append(true).open(log);
        let log = log.context("cannot make a log")?;
        let errors = log.try_clone().context("cannot share a log")?;
        command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot run `{}`", workspace::shown(command)))
    }

    /// louped as the fleet's agent, and an nginx of its own that it watches.
    fn host(&self, name: &str, setting: &str) -> Result<Vec<Child>> {
        let directory = self.directory(name)?;
        let credentials = format!("fleet/hosts/{name}.credentials");
        let from = self.place.join("hub").join(&credentials);
        eprintln!("    {name}# scp hub:{credentials} fleet.credentials");
        fs::copy(&from, directory.join("fleet.credentials")).context("cannot copy credentials")?;
        // Once a second instead of once a minute, and without the measurement of louped's own cost: nobody
        // wants to wait for a demo.
        let config = "[profile]\nduty = \"100%\"\n[fleet]\ninterval_seconds = 1\n";
        fs::write(directory.join("louped.toml"), config).context("cannot write louped.toml")?;
        let own = [
            "--socket",
            "louped.sock",
            "--db",
            "loupe.db",
            "--config",
            "louped.toml",
        ];
        let mut louped = self.in_directory(name, self.binaries.join("louped"));
        louped
            .args(["--agent", URL, "--credentials", "fleet.credentials"])
            .args(own);
        let mut running = vec![self.start(name, &mut louped)?];
        // Each host has an executable of its own: louped knows programs by their paths.
        let nginx = directory.join("nginx");
        fs::copy("/usr/sbin/nginx", &nginx).context("cannot copy nginx")?;
        let mut add = self.loupe(name, &["profile", "add", "--executable"]);
        add.arg(&nginx).args(["--socket", "louped.sock"]);
        type_out(name, &add);
        wait_for("louped", || workspace::output(&mut add).is_ok())?;
        let site = format!(
            "daemon off; pid nginx.pid; error_log stderr; user root;\nevents {{}}\nhttp {{\n access_log off;\n \
             {setting}\n server {{ listen 80; root {0}/site; }}\n}}\n",
            directory.display()
        );
        fs::create_dir_all(directory.join("site")).context("cannot make a site")?;
        fs::write(directory.join("site/index.html"), "<p>A page.</p>\n").context("cannot write")?;
        fs::write(directory.join("nginx.conf"), site).context("cannot write nginx.conf")?;
        let mut nginx = self.in_directory(name, nginx);
        nginx.arg("-p").arg(&directory).args(["-c", "nginx.conf"]);
        running.push(self.start(name, &mut nginx)?);
        Ok(running)
    }

    /// On how many hosts anything was seen to use this.
    fn hosts_with(&self, feature: &str) -> Option<usize> {
        let mut ask = self.loupe("hub", &["fleet", "who", feature, "--json"]);
        let answer = workspace::output(ask.args(DATABASE).stderr(Stdio::null())).ok()?;
        let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
        answer["hosts"].as_array().map(Vec::len)
    }
}

/// As a user would type it on that host.
fn typed(host: &str, command: &Command) -> String {
    let shown = workspace::shown(command);
    let shown = match shown.split_once(" -- ") {
        Some((enter, rest)) if enter.starts_with("nsenter") => {
            let (program, words) = rest.split_once(' ').unwrap_or((rest, ""));
            let name = program.rsplit('/').next().unwrap_or(program);
            format!("{name} {words}")
        }
        _ => shown,
    };
    let mut words = Vec::new();
    let mut all = shown.split(' ');
    while let Some(word) = all.next() {
        match OF_THE_DEMO.contains(&word) {
            true => drop(all.next()),
            false => words.push(word),
        }
    }
    format!("    {host}# {}", words.join(" "))
}

fn type_out(host: &str, command: &Command) {
    eprintln!("{}", typed(host, command));
}

fn type_out_background(host: &str, command: &Command) {
    eprintln!("{} &", typed(host, command));
}

fn ip(words: &[&str]) -> Result<()> {
    let all: Vec<&str> = ["ip"].into_iter().chain(words.iter().copied()).collect();
    run_quietly(&all)
}

fn run_quietly(words: &[&str]) -> Result<()> {
    let (program, words) = words.split_first().context("no command")?;
    workspace::output(Command::new(program).args(words)).map(drop)
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_there() {
        if begun.elapsed() > PATIENCE {
            bail!("{what} did not come");
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Asks a program to end, and waits until it has.
fn end(mut child: Child) -> Result<()> {
    let pid = child.id().to_string();
    // A program that has ended already needs no signal.
    drop(workspace::output(Command::new("/bin/sh").args([
        "-c",
        "kill -TERM \"$0\"",
        &pid,
    ])));
    child.wait().context("cannot wait for a program")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_a_user_types_on_that_host() {
        let mut command = Command::new("nsenter");
        command.args(["--net=/run/netns/web1", "--", "/a/louped", "--agent", URL]);
        command.args(["--socket", "louped.sock"]);
        assert_eq!(
            typed("web1", &command),
            "    web1# louped --agent tls://hub:4222"
        );
    }
}
