//! The report in a real browser: it loads without a complaint, its tables sort and filter, rows
//! open, and nothing is wider than a phone. What applications print stays text.

use std::path::Path;
use std::process::Command;

use loupe_tests::command::{self, Finished};
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;
use serde_json::Value;

/// Loads a page and gives back what it is like in the end.
fn browse(url: &str) -> Finished {
    let profile = tempfile::tempdir().expect("a directory");
    let mut chromium = Command::new("chromium");
    chromium
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
        ])
        .args(["--enable-logging=stderr", "--virtual-time-budget=10000"])
        .arg("--window-size=1280,900")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .env("HOME", profile.path());
    let finished = command::run(chromium).expect_code(0);
    let complaints: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    finished
}

/// What a user does, at the width of a phone, and what is seen of it.
const VISIT: &str = r##"
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  const seen = {};
  const rows = () => page.querySelectorAll("#verdict-table tr.row").length;
  const type = (id, text) => {
    const input = page.getElementById(id);
    input.value = text;
    input.dispatchEvent(new Event(input.tagName === "SELECT" ? "change" : "input"));
  };
  const width = () => page.documentElement.scrollWidth;
  seen.all = rows();
  seen.applications = page.querySelectorAll("#application-table tr.row").length;
  type("find", "getpriority");
  seen.found = rows();
  seen.count = page.getElementById("count").textContent;
  page.querySelector("#verdict-table tr.row").click();
  seen.evidence = page.querySelector("#verdict-table tr.evidence").textContent;
  type("find", "no such syscall");
  seen.none = rows();
  type("find", "");
  type("choose-verdict", "required");
  const verdicts = [...page.querySelectorAll("#verdict-table .verdict")].map((cell) => cell.textContent);
  seen.verdicts = [...new Set(verdicts)];
  type("choose-verdict", "");
  const names = () => [...page.querySelectorAll("#verdict-table tr.row code")].map((cell) => cell.textContent);
  page.querySelector("#verdict-table thead button").click();
  seen.ascending = names();
  page.querySelector("#verdict-table thead button").click();
  seen.descending = names();
  page.querySelector("#application-table tbody button").click();
  seen.whole = page.getElementById("whole").textContent;
  seen.width = width();
  seen.figures = page.querySelectorAll("figure svg").length;
  seen.images = page.images.length;
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
"##;

fn attribute(html: &str) -> String {
    html.replace('&', "&amp;").replace('"', "&quot;")
}

fn visit(scene: &Scene, page: &Path) -> Value {
    let html = std::fs::read_to_string(page).expect("the page");
    // As an attribute the page is text, and as `srcdoc` it is the wrapper's to look into.
    let wrapper = format!(
        "<!doctype html><meta charset=\"utf-8\"><body><pre id=\"seen\"></pre>\n\
         <iframe srcdoc=\"{}\" style=\"width:390px;height:800px;border:0\"></iframe>\n\
         <script>{VISIT}</script>\n",
        attribute(&html)
    );
    let file = scene.write("wrapper.html", &wrapper);
    let dom = browse(&format!("file://{}", file.display())).stdout;
    let seen = dom
        .split_once("<pre id=\"seen\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map(|(seen, _)| {
            seen.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
        });
    let seen = seen.filter(|text| !text.is_empty()).expect("it was loaded");
    serde_json::from_str(&seen).expect("JSON")
}

/// Two applications, one of which is called and prints what would be markup.
fn analysed(scene: &Scene) -> std::path::PathBuf {
    let first = scene.workload(victim("accepts-enosys"));
    let first = first.to_str().expect("a plain path");
    scene.run(&["analyze", first]).expect_code(0);
    let hostile = scene.write(
        "hostile.toml",
        "application = \"<img src=x onerror=alert(1)>\"\nworkload = \"<script>\"\n\
         mode = \"batch\"\ncommand = [\"./victim\", \"needs-result\", \"/tmp/victim-result\"]\n\
         test = \"echo '</script><img src=x onerror=alert(2)>'; \
         ./probe works /tmp/victim-result\"\n",
    );
    let hostile = hostile.to_str().expect("a plain path");
    scene.run(&["analyze", hostile]).expect_code(0);
    let page = scene.write("report.html", "");
    let name = page.to_str().expect("a plain path");
    scene.run(&["report", "--html", name]).expect_code(0);
    page
}

#[test]
fn the_page_works_in_a_browser_as_wide_as_a_phone() {
    require!(Replays, Program("chromium"));
    let scene = Scene::new();
    let page = analysed(&scene);
    let seen = visit(&scene, &page);
    let number = |key: &str| {
        seen[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {seen:#}"))
    };
    assert_eq!(number("applications"), 2, "{seen:#}");
    assert!(number("all") > 10, "{seen:#}");
    assert_eq!(number("found"), 1, "{seen:#}");
    assert_eq!(
        seen["count"],
        format!("1 of {} rows", number("all")),
        "{seen:#}"
    );
    let evidence = seen["evidence"].as_str().expect("a text");
    for part in ["stubbed, replay #", "faked, replay #", "no such priority"] {
        assert!(evidence.contains(part), "{part}: {evidence}");
    }
    assert_eq!(number("none"), 0);
    assert_eq!(seen["verdicts"], serde_json::json!(["required"]));
    let list = |key: &str| -> Vec<String> {
        serde_json::from_value(seen[key].clone()).expect("a list of texts")
    };
    let mut backwards = list("descending");
    assert!(list("ascending").is_sorted(), "{seen:#}");
    backwards.reverse();
    assert!(backwards.is_sorted(), "{seen:#}");
    let whole = seen["whole"].as_str().expect("a text");
    assert!(whole.contains("as a whole"), "{whole}");
    assert!(number("width") <= 390, "wider than a phone: {seen:#}");
    assert_eq!(number("figures"), 3);
    assert_eq!(number("images"), 0, "an application's name became markup");
}

#[test]
fn the_address_of_a_page_says_what_it_shows() {
    require!(Replays, Program("chromium"));
    let scene = Scene::new();
    let page = analysed(&scene);
    let url = |fragment: &str| format!("file://{}#{fragment}", page.display());
    let one = browse(&url("q=getpriority&open=getpriority")).stdout;
    assert!(one.contains("data-ready=\"1\"") && one.contains("data-rows=\"1\""));
    assert!(one.contains("class=\"evidence\""));
    // What applications are called and print is in the page, as text. Without `brk` it passes, so
    // its test has printed something.
    let hostile = browse(&url("q=brk&open=brk")).stdout;
    for number in [1, 2] {
        let text = format!("&lt;img src=x onerror=alert({number})&gt;");
        assert!(hostile.contains(&text), "{text}: {hostile}");
    }
    assert!(!hostile.contains("<img"));
    // A section is no filter.
    let all = browse(&url("figures")).stdout;
    assert!(all.contains("data-ready=\"1\"") && !all.contains("data-rows=\"1\""));
}

#[test]
fn plots_and_numbers_come_as_files_and_tables() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("accepts-enosys"));
    let workload = workload.to_str().expect("a plain path");
    scene.run(&["analyze", workload]).expect_code(0);
    let plots = tempfile::tempdir().expect("a directory");
    let directory = plots.path().to_str().expect("a plain path");
    scene.run(&["report", "--svg", directory]).expect_code(0);
    for name in ["cumulative", "heat-map", "applications"] {
        let svg = std::fs::read_to_string(plots.path().join(format!("{name}.svg")));
        assert!(svg.expect("a plot").starts_with("<svg xmlns="), "{name}");
    }
    let table = scene.run(&["report"]).expect_code(0).stdout;
    assert!(table.contains("accepts-enosys/truth"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    let json = scene.run(&["report", "--json"]).expect_code(0).json();
    assert_eq!(json["schema"], "loupe.report/1");
    let used = json["applications"][0]["used"].as_u64().expect("a number");
    let csv = scene.run(&["report", "--csv"]).expect_code(0).stdout;
    let features = csv
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2));
    // The table has a line for each part of a syscall and each pseudo-file, too.
    let syscalls = features.filter(|feature| !feature.contains([':', '/']));
    assert_eq!(syscalls.count() as u64, used, "{csv}");
    scene
        .run(&["report", "nothing"])
        .expect_code(2)
        .expect_message(&["nothing"]);
    scene
        .run(&["report", "--plan", workload])
        .expect_code(2)
        .expect_message(&["is no plan"]);
    scene.assert_nothing_left();
}
