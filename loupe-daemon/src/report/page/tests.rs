//! The page holds together whatever applications are called and print.

use loupe_common::analysis::{Conflict, Joint};
use loupe_common::policy::Action;

use super::*;
use crate::report::tests::samples;

const HOSTILE: &str =
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>{{DATA}}\u{2028}";

fn hostile() -> Analysis {
    let mut analysis = samples::analysis();
    analysis.application = HOSTILE.to_owned();
    analysis.warnings = vec![HOSTILE.to_owned()];
    analysis.joint = Some(Joint {
        implement: vec![samples::feature("accept4")],
        runs: 3,
        passes: 3,
        ..Joint::default()
    });
    analysis.conflicts = vec![Conflict {
        policy: loupe_common::policy::Policy::single(samples::feature("brk"), Action::STUB),
        runs: 2,
        passes: 0,
        replays: vec![1],
    }];
    analysis
}

fn page(analysis: &Analysis, output: &str) -> String {
    let mut stored = samples::died(17, 0, Action::STUB);
    stored.replay.application_output.tail = output.to_owned();
    let shown = Shown::new(
        &samples::feature("openat"),
        Action::STUB,
        17,
        &stored.replay,
        &[],
    );
    let entry = Entry {
        analysis,
        finished_ms: None,
        evidence: vec![shown],
    };
    let page = Page {
        entries: vec![entry],
        systems: &[],
        plans: &[],
        profiles: &[],
        written_ms: 1_764_000_000_000,
    };
    page.html().expect("serializable")
}

#[test]
fn what_applications_are_called_and_print_stays_text() {
    let html = page(&hostile(), HOSTILE);
    // The data, the script, and nothing else.
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(html.matches("</script").count(), 2);
    assert!(!html.contains("<img") && !html.contains("<!--"));
    assert!(!html.contains('\u{2028}'));
    let json = html
        .split_once("<script id=\"data\" type=\"application/json\">")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .map(|(json, _)| json)
        .expect("the data");
    let data: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let name = data["applications"][0]["name"].as_str().expect("a name");
    assert!(name.starts_with("</script><script>alert(1)"), "{name}");
    // It was filled in once.
    assert!(name.contains("{{DATA}}"), "{name}");
}

#[test]
fn a_page_loads_nothing() {
    let html = page(&samples::analysis(), "");
    for loading in [
        "src=", "@import", "url(", "<link", "http://", "https://", "fetch(", "import ",
    ] {
        let found = html
            .find(loading)
            .map(|at| &html[at.saturating_sub(40)..at + 40]);
        let namespace = found.is_some_and(|text| text.contains("xmlns="));
        assert!(found.is_none() || namespace, "{found:?}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn every_slot_is_filled() {
    let html = page(&samples::analysis(), "");
    assert!(
        !html.contains("{{"),
        "{:?}",
        html.find("{{").map(|at| &html[at..at + 30])
    );
    for part in [
        "nginx/wrk",
        "1 measured by replays",
        "id=\"matrix\"",
        "id=\"syscalls\"",
        "id=\"figure-cumulative\"",
        "id=\"figure-heat-map\"",
        "id=\"figure-applications\"",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn many_outputs_do_not_make_a_page_grow_for_ever() {
    let analysis = samples::analysis();
    let feature = samples::feature("openat");
    let evidence = (0..10_000).map(|id| Shown {
        feature: feature.clone(),
        action: Action::STUB,
        replay: id,
        outcome: "passed".to_owned(),
        output: format!("{id} {}", "x".repeat(800)),
        injections: 1,
        difference: String::new(),
    });
    let page = Page {
        entries: vec![Entry {
            analysis: &analysis,
            finished_ms: None,
            evidence: evidence.collect(),
        }],
        systems: &[],
        plans: &[],
        profiles: &[],
        written_ms: 0,
    };
    let html = page.html().expect("serializable");
    assert!(html.len() < 2_500_000, "{}", html.len());
    assert!(html.contains("left out, so that this page stays small"));
}

#[test]
fn the_page_of_the_whole_data_set_is_small() {
    let test = "the_page_of_the_whole_data_set_is_small";
    let Some(directory) = crate::testing::loupedb(test) else {
        return;
    };
    let set = crate::loupedb::read(&directory, &[]).expect("readable");
    let analyses: Vec<&Analysis> = set.runs.iter().map(|run| &run.analysis).collect();
    assert!(analyses.len() > 100, "{}", analyses.len());
    let needs = analyses
        .iter()
        .map(|analysis| crate::plan::Need::of(analysis));
    let kind = crate::plan::WorkloadKind::Bench;
    let selection = crate::plan::select::select(needs.collect(), &[], kind).expect("some");
    let plan = |strategy| {
        crate::plan::make(
            &set.profiles[0],
            &selection.needs,
            strategy,
            &Default::default(),
        )
    };
    let plans = [crate::plan::Strategy::Area, crate::plan::Strategy::Paper].map(plan);
    let systems = [System {
        distances: crate::plan::distance::Distances::of(&set.profiles[0], &selection.needs, false),
        profile: set.profiles[0].clone(),
    }];
    let page = Page {
        entries: analyses
            .iter()
            .map(|analysis| Entry {
                analysis,
                finished_ms: None,
                evidence: Vec::new(),
            })
            .collect(),
        systems: &systems,
        plans: &plans,
        profiles: &[],
        written_ms: 0,
    };
    let html = page.html().expect("serializable");
    assert!(html.len() < 1_000_000, "{}", html.len());
    assert!(html.contains("No order has an area below"));
}

#[test]
fn the_first_sentence_says_what_an_os_runs_and_what_makes_it_more() {
    let analysis = samples::analysis();
    let need = crate::plan::Need::asked_of_os(&analysis);
    let needs = [crate::plan::Named {
        name: "nginx".to_owned(),
        need: need.clone(),
    }];
    let mut missing = need.required.iter();
    let lacks = missing.next().expect("it requires something").clone();
    let profile = crate::plan::OsProfile {
        name: "<Toy>".to_owned(),
        implement: need
            .used
            .iter()
            .filter(|one| **one != lacks)
            .cloned()
            .collect(),
        verified: Some(crate::plan::os::OsVerified {
            right: 29,
            of: 30,
            on: "<Toy> 3".to_owned(),
            date: "2026-11-29".to_owned(),
        }),
        ..Default::default()
    };
    let plans = [crate::plan::make(
        &profile,
        &needs,
        crate::plan::Strategy::Area,
        &Default::default(),
    )];
    let systems = [System {
        distances: crate::plan::distance::Distances::of(&profile, &needs, false),
        profile,
    }];
    let page = Page {
        entries: vec![Entry {
            analysis: &analysis,
            finished_ms: Some(1_764_000_000_000),
            evidence: Vec::new(),
        }],
        systems: &systems,
        plans: &plans,
        profiles: &[],
        written_ms: 0,
    };
    let html = page.html().expect("serializable");
    let headline = "&lt;Toy&gt; runs 0 of 1 application. One syscall makes it 1.</h2>";
    assert!(html.contains(headline), "{html}");
    assert!(html.contains("href=\"#plans/%3CToy%3E\""));
    let next = format!("<li>Next: implement {lacks}.</li>");
    assert!(html.contains(&next), "{next}: {html}");
    let tried = "<li>Tried on the OS itself, predictions right: 29 of 30 on &lt;Toy&gt; 3 (2026-11-29).</li>";
    assert!(html.contains(tried), "{html}");
    assert!(!html.contains("<Toy>"));
}

#[test]
fn a_page_of_a_difference_says_what_is_newly_required_and_how_both_were_made() {
    let mut before = hostile();
    before
        .features
        .retain(|row| row.feature != samples::feature("openat"));
    let mut after = samples::analysis();
    after.origin = Some(loupe_common::analysis::Origin {
        format: "loupedb".to_owned(),
        run: HOSTILE.to_owned(),
    });
    for row in &mut after.features {
        if row.feature == samples::feature("openat") {
            row.verdict = loupe_common::verdict::Verdict::Required;
        }
    }
    let difference = crate::plan::change::Difference::between(&before, &after, [Some(1), None]);
    assert_eq!(difference.newly_required, [samples::feature("openat")]);
    let [from, to] = [&before, &after].map(|analysis| Entry {
        analysis,
        finished_ms: Some(1_764_000_000_000),
        evidence: Vec::new(),
    });
    let html = difference_page(&difference, [&from, &to], 0);
    for part in [
        "One syscall is newly required: openat.</h2>",
        "<strong>newly required</strong>",
        "measured by replays",
        "imported: loupedb",
        "(a file)",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert_eq!(html.matches("<script").count(), 2);
    assert!(!html.contains("<img") && !html.contains("<!--"));
}

#[test]
fn last_words_are_the_last_and_few() {
    let output = |text: String| loupe_common::replay::OutputTail {
        total_bytes: text.len() as u64,
        tail: text,
    };
    let lines: String = (0..100).map(|line| format!("line {line}\n")).collect();
    let words = last_words(&output(lines), &output("bad\u{1b}[2J\n".to_owned()));
    assert!(words.contains("line 99\ntest:\nbad\\x1b[2J"), "{words}");
    assert!(!words.contains("line 80\n"));
    assert_eq!(
        last_words(&output(String::new()), &output(String::new())),
        ""
    );
}

fn page_of_profiles(profiles: &[Profile]) -> String {
    let page = Page {
        entries: Vec::new(),
        systems: &[],
        plans: &[],
        profiles,
        written_ms: 1_764_000_000_000,
    };
    page.html().expect("serializable")
}

#[test]
fn profiles_have_their_figures_without_any_script() {
    use crate::plan::samples::{DAY_MS, NGINX, SYSTEMD, profile, used};
    use loupe_common::profile::CurvePoint;

    let mut nginx = profile("nginx.service", NGINX, &[("read", 5), ("sendfile", 9)]);
    nginx
        .features
        .push(used("futex", 7, 10 * DAY_MS, 11 * DAY_MS));
    nginx.curve = vec![
        CurvePoint {
            observed_ms: 60_000,
            features: 2,
        },
        CurvePoint {
            observed_ms: 7_200_000,
            features: 3,
        },
    ];
    nginx.lost.calls = 17;
    let html = page_of_profiles(&[nginx, profile("nginx.service", SYSTEMD, &[("prctl", 1)])]);
    for part in [
        "id=\"figure-profiles\"",
        "id=\"figure-first-seen-0\"",
        "id=\"figure-completeness-0\"",
        "nginx.service: 4 syscalls; observed 14 d of 14 d",
        "lost: 17 calls",
        "1 new, 0 not seen any more",
        "href=\"#profiles\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("id=\"applications\"") && !html.contains("{{"));
    let with_analyses = page(&samples::analysis(), "");
    assert!(!with_analyses.contains("id=\"profiles\""));
}

#[test]
fn what_a_new_version_began_and_stopped_to_use_is_said() {
    use crate::plan::samples::{DAY_MS, NGINX, profile, version};

    let old = profile("nginx.service", NGINX, &[("read", 5), ("select", 9)]);
    let mut new = profile("nginx.service", NGINX, &[("read", 5), ("epoll_wait", 9)]);
    new.observation.from_ms = 7 * DAY_MS;
    let html = page_of_profiles(&[version(new, "1.27"), version(old, "1.26")]);
    let (_, table) = html
        .split_once("<h4>Versions of /usr/sbin/nginx</h4>")
        .expect("the table");
    let (table, _) = table.split_once("</table>").expect("its end");
    let (old, new) = (table.find("1.26"), table.find("1.27"));
    assert!(old.is_some() && old < new, "{table}");
    let (_, new) = table.split_at(new.expect("both"));
    let cells = "<td class=\"wrap\">epoll_wait</td><td class=\"wrap\">select</td>";
    assert!(new.contains(cells), "{new}");
}

#[test]
fn what_services_are_called_stays_text() {
    let mut hostile = crate::plan::samples::profile(HOSTILE, HOSTILE, &[("read", 1)]);
    hostile.subject.executable.package = Some(HOSTILE.to_owned());
    let html = page_of_profiles(&[hostile]);
    assert_eq!(html.matches("<script").count(), 2);
    assert!(!html.contains("<img") && !html.contains("<!--"));
    // It was filled in once, wherever it stands.
    assert!(html.contains("{{DATA}}"));
}
