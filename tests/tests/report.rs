//! The report in a real browser: it loads without a complaint, its views have addresses, its tables
//! sort and filter, marks and rows open, the back button works, and nothing is wider than a phone or
//! too small to read. What applications print stays text.

use std::path::PathBuf;

use loupe_tests::browser::{self, Browser};
use loupe_tests::ground_truth::victim;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;
use loupe_tests::{binaries, command, require};
use serde_json::json;

/// The views of the page, by their addresses.
const VIEWS: [&str; 9] = [
    "overview",
    "matrix",
    "matrix?order=need&parts=1",
    "syscalls",
    "syscalls/brk",
    "plans/Toy?step=1",
    "applications",
    "verdicts",
    "figures",
];

/// The address, the view that is shown, and what the sheet of evidence says, if it is open.
const WHERE: &str = r##"
const sheet = document.getElementById("evidence");
const shown = [...document.querySelectorAll("section.view")].filter((one) => !one.hidden);
return [location.hash, shown.map((one) => one.id).join(), sheet.open ? sheet.textContent : ""];
"##;

/// What a user does with the verdicts.
const VISIT: &str = r##"
const seen = {};
const rows = () => document.querySelectorAll("#verdict-table tr.row").length;
const type = (id, text) => {
  const input = document.getElementById(id);
  input.value = text;
  input.dispatchEvent(new Event(input.tagName === "SELECT" ? "change" : "input"));
};
seen.all = rows();
type("find", "getpriority");
seen.found = rows();
seen.count = document.getElementById("count").textContent;
document.querySelector("#verdict-table tr.row").click();
seen.evidence = document.querySelector("#verdict-table tr.evidence").textContent;
type("find", "no such syscall");
seen.none = rows();
type("find", "");
type("choose-verdict", "required");
const verdicts = [...document.querySelectorAll("#verdict-table .verdict")].map((cell) => cell.textContent);
seen.verdicts = [...new Set(verdicts)];
type("choose-verdict", "");
const names = () => [...document.querySelectorAll("#verdict-table tr.row code")].map((cell) => cell.textContent);
document.querySelector("#verdict-table thead button").click();
seen.ascending = names();
document.querySelector("#verdict-table thead button").click();
seen.descending = names();
seen.images = document.images.length;
return seen;
"##;

/// Two applications, one of which is called and prints what would be markup.
fn analysed(scene: &Scene) -> PathBuf {
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
    // It has much, and lacks what both need.
    let lacking = ["openat", "brk", "getpriority"];
    let csv = scene.run(&["report", "--csv"]).expect_code(0).stdout;
    let features = csv
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2));
    let has: Vec<&str> = features
        .filter(|name| !name.contains([':', '/']) && !lacking.contains(name))
        .collect();
    let toy = scene.write(
        "toy.toml",
        &format!("name = \"Toy\"\nimplement = {has:?}\n"),
    );
    let page = scene.write("report.html", "");
    let (toy, name) = (toy.to_str().expect("plain"), page.to_str().expect("plain"));
    scene
        .run(&["report", "--html", name, "--os", toy])
        .expect_code(0);
    page
}

#[test]
fn every_view_has_an_address_and_fits_a_phone() {
    require!(Replays, Program(browser::PROGRAM));
    let scene = Scene::new();
    let page = analysed(&scene);
    let mut browser = Browser::start();
    for (width, height) in [(390, 844), (1440, 900)] {
        browser.size(width, height);
        for view in VIEWS {
            browser.load(&page, view);
            let id = view.split(['/', '?']).next().expect("a name");
            assert_eq!(browser.run(WHERE)[1], id, "{view}");
            browser.assert_readable(&format!("{view} at {width} px"));
        }
    }
    browser.load(&page, "overview");
    let headline = browser.run("return document.querySelector('.headline').textContent");
    let headline = headline.as_str().expect("a text");
    assert!(
        headline.starts_with("Toy runs 0 of 2 applications."),
        "{headline}"
    );
    browser.assert_no_complaints();
    scene.assert_nothing_left();
}

/// What was imported tells no replays, but which way works.
#[test]
fn of_what_was_imported_the_page_says_what_works() {
    require!(Replays, Program(browser::PROGRAM));
    let scene = Scene::new();
    let workload = scene.workload(victim("accepts-enosys"));
    let workload = workload.to_str().expect("a plain path");
    scene.run(&["analyze", workload]).expect_code(0);
    let elsewhere = tempfile::tempdir().expect("a directory");
    let place = |name: &str| elsewhere.path().join(name);
    let data = place("data");
    let data = data.to_str().expect("a plain path");
    let export = ["export", "loupedb", data, "accepts-enosys"];
    scene.run(&export).expect_code(0);
    let there = |words: &[&str]| {
        let mut loupe = std::process::Command::new(binaries::loupe());
        loupe.args(words).arg("--db").arg(place("other.db"));
        command::run(loupe).expect_code(0)
    };
    there(&["import", "loupedb", data]);
    let page = place("page.html");
    there(&["report", "--html", page.to_str().expect("plain")]);
    let mut browser = Browser::start();
    browser.load(&page, "verdicts?q=getpriority");
    let cells = browser.run(
        "return [...document.querySelectorAll('#verdict-table tr.row td')].map((one) => one.textContent)",
    );
    let cells = cells.to_string();
    assert!(
        cells.contains(r#""yes","no""#),
        "stub, and not fake: {cells}"
    );
    browser.assert_no_complaints();
    scene.assert_nothing_left();
}

#[test]
fn a_mark_shows_its_evidence_and_the_back_button_goes_back() {
    require!(Replays, Program(browser::PROGRAM));
    let scene = Scene::new();
    let page = analysed(&scene);
    let mut browser = Browser::start();
    browser.size(1440, 900);
    browser.load(&page, "");
    browser.turn("document.querySelector('nav a[href=\"#matrix\"]').click()");
    assert_eq!(browser.run(WHERE), json!(["#matrix", "matrix", ""]));
    let mark = "const mark = [...document.querySelectorAll('#matrix td[tabindex]')]\
                    .find((cell) => cell.getAttribute('aria-label').startsWith('getpriority:'));";
    browser.turn(&format!("{mark} mark.click()"));
    let place = browser.run(WHERE);
    let evidence = place[2].as_str().expect("a text");
    for part in [
        "getpriority in accepts-enosys/truth",
        "stubbed, replay #",
        "Against the baseline",
    ] {
        assert!(evidence.contains(part), "{part}: {evidence}");
    }
    // An address with evidence can be passed on.
    let address = place[0]
        .as_str()
        .expect("an address")
        .trim_start_matches('#');
    let (view, address) = ("matrix", address.to_owned());
    browser.turn("history.back()");
    assert_eq!(browser.run(WHERE), json!(["#matrix", view, ""]));
    // With the keyboard alone.
    browser.turn(&format!(
        "{mark} mark.focus(); \
         mark.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter', bubbles: true }}))"
    ));
    browser.turn("document.querySelector('#evidence .close').click()");
    assert_eq!(browser.run(WHERE), json!(["#matrix", view, ""]));
    // From the evidence to who else needs it, and back to the evidence.
    browser.turn(&format!("{mark} mark.click()"));
    browser.turn("document.querySelector('#evidence .go a').click()");
    assert_eq!(
        browser.run(WHERE),
        json!(["#syscalls/getpriority", "syscalls", ""])
    );
    let told = browser.run("return document.getElementById('syscall').textContent");
    let told = told.as_str().expect("a text");
    assert!(
        told.contains("can do with a fake") && told.contains("Toy lacks it"),
        "{told}"
    );
    browser.turn("history.back()");
    assert!(browser.run(WHERE)[2].as_str() > Some(""));
    browser.load(&page, &address);
    assert_eq!(
        browser.run(WHERE),
        json!([format!("#{address}"), view, evidence])
    );
    browser.assert_no_complaints();
}

#[test]
fn tables_sort_and_filter_and_the_address_says_what_they_show() {
    require!(Replays, Program(browser::PROGRAM));
    let scene = Scene::new();
    let page = analysed(&scene);
    let mut browser = Browser::start();
    browser.load(&page, "verdicts");
    let seen = browser.run(VISIT);
    let number = |key: &str| {
        seen[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {seen:#}"))
    };
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
    assert_eq!(seen["verdicts"], json!(["required"]));
    let list = |key: &str| -> Vec<String> {
        serde_json::from_value(seen[key].clone()).expect("a list of texts")
    };
    let mut backwards = list("descending");
    assert!(list("ascending").is_sorted(), "{seen:#}");
    backwards.reverse();
    assert!(backwards.is_sorted(), "{seen:#}");
    assert_eq!(number("images"), 0, "an application's name became markup");
    assert_eq!(browser.run(WHERE)[0], "#sort=feature&down=1");
    // An address of a view with a row that is open, as pages have had it from the beginning.
    let shown = "const rows = document.querySelectorAll('#verdict-table tr.row').length; \
                 const open = document.querySelector('#verdict-table tr.evidence'); \
                 return [rows, open ? open.textContent : ''];";
    browser.load(&page, "q=getpriority&open=getpriority");
    let one = browser.run(shown);
    assert_eq!(one[0], 1);
    assert!(one[1].as_str() > Some(""), "{one}");
    // What applications are called and print is in the page, as text. Without `brk` it passes, so
    // its test has printed something.
    browser.load(&page, "q=brk&open=brk");
    let body = browser.run("return document.body.textContent");
    let body = body.as_str().expect("a text");
    for number in [1, 2] {
        let text = format!("<img src=x onerror=alert({number})>");
        assert!(body.contains(&text), "{text}: {body}");
    }
    assert_eq!(browser.run("return document.images.length"), 0);
    browser.load(&page, "figure-heat-map");
    assert_eq!(browser.run(WHERE)[1], "figures");
    browser.assert_no_complaints();
}

#[test]
fn the_plan_says_its_steps_and_paper_has_every_row() {
    require!(Replays, Program(browser::PROGRAM));
    let scene = Scene::new();
    let page = analysed(&scene);
    let mut browser = Browser::start();
    browser.size(390, 844);
    browser.load(&page, "plans/Toy");
    let said = |browser: &mut Browser| -> String {
        let said = browser.run("return document.querySelector('#plan-charts .said').textContent");
        said.as_str().expect("a text").to_owned()
    };
    let first = said(&mut browser);
    assert!(first.starts_with("Step 1: "), "{first}");
    browser.run(
        "const stairs = document.querySelector('#plan-charts .chart'); stairs.focus(); \
         stairs.dispatchEvent(new KeyboardEvent('keydown', { key: 'Home', bubbles: true }));",
    );
    assert!(said(&mut browser).starts_with("Step 0: "));
    let hit = "const hits = document.querySelectorAll('#plan-charts .chart')[0].querySelectorAll('.hit'); \
               hits[hits.length - 1].dispatchEvent(new MouseEvent('click', { bubbles: true }));";
    browser.run(hit);
    let last = said(&mut browser);
    assert!(last.contains("2 applications run"), "{last}");
    let address = browser.run(WHERE);
    assert!(
        address[0]
            .as_str()
            .is_some_and(|one| one.starts_with("#plans/Toy?step="))
    );
    browser.load(&page, "matrix");
    let marks = "return document.querySelectorAll('#matrix td[tabindex]').length";
    let on_screen = browser.run(marks);
    browser.run("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(browser.run(marks), on_screen);
    let columns = browser.run(
        "return [...document.querySelectorAll('#matrix table')]\
             .map((table) => table.tHead.rows[0].cells.length)",
    );
    let columns: Vec<u64> = serde_json::from_value(columns).expect("numbers");
    assert!(columns.iter().all(|count| *count <= 31), "{columns:?}");
    browser.run("dispatchEvent(new Event('afterprint'))");
    assert_eq!(
        browser.run("return document.querySelectorAll('#matrix table').length"),
        1
    );
    browser.assert_no_complaints();
}

#[test]
fn what_changed_is_a_page_of_its_own() {
    require!(Replays);
    let scene = Scene::new();
    analysed(&scene);
    let page = scene.write("changed.html", "");
    let name = page.to_str().expect("a plain path");
    let compared = scene.run(&["diff", "--html", name, "accepts-enosys", "1"]);
    assert_eq!(compared.expect_code(0).stdout, "");
    let text = std::fs::read_to_string(&page).expect("the page");
    assert!(text.contains("Nothing changed.</h2>"), "{text}");
    assert!(text.contains("measured by replays"));
    scene
        .run(&["diff", "--html", "/no/such/place", "1", "1"])
        .expect_code(2)
        .expect_message(&["cannot write /no/such/place"]);
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
