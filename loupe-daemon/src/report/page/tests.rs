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
    );
    let entry = Entry {
        analysis,
        evidence: vec![shown],
    };
    let page = Page {
        entries: vec![entry],
        plans: &[],
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
    });
    let page = Page {
        entries: vec![Entry {
            analysis: &analysis,
            evidence: evidence.collect(),
        }],
        plans: &[],
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
    let page = Page {
        entries: analyses
            .iter()
            .map(|analysis| Entry {
                analysis,
                evidence: Vec::new(),
            })
            .collect(),
        plans: &plans,
        written_ms: 0,
    };
    let html = page.html().expect("serializable");
    assert!(html.len() < 3_000_000, "{}", html.len());
    assert!(html.contains("No order has an area below"));
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
