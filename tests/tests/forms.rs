//! What a command prints is had in every form: the rows of its table as comma-separated values and as
//! Markdown, under the same names, on standard output or in a file.

use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;

/// The cells of comma-separated values (RFC 4180).
fn cells(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let row = rows.last_mut().expect("a row");
        let cell = row.last_mut().expect("a cell");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            other => cell.push(other),
        }
    }
    assert!(!quoted, "a quote is open: {text}");
    assert_eq!(
        rows.pop(),
        Some(vec![String::new()]),
        "no line break: {text}"
    );
    rows
}

/// The rows below the names of the columns, each as long as these are.
#[track_caller]
fn table(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut rows = cells(text);
    let names = rows.remove(0);
    assert!(
        names.len() > 1 && names.iter().all(|name| !name.is_empty()),
        "{text}"
    );
    for row in &rows {
        assert_eq!(row.len(), names.len(), "{row:?} is another row: {text}");
    }
    (names, rows)
}

#[test]
fn every_table_is_had_as_values_and_as_markdown_under_the_same_names() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("accepts-enosys");
    let workload = scene.workload(truth);
    let path = workload.to_str().expect("a plain path");
    let with = |words: &[&str], form: &str| {
        let words: Vec<&str> = [words, &["--format", form]].concat();
        scene.run(&words)
    };
    let analyzed = with(&["analyze", path], "csv").expect_code(0).stdout;
    let (names, rows) = table(&analyzed);
    let verdict = names
        .iter()
        .position(|name| name == "verdict")
        .expect("a column");
    let row = rows.iter().find(|row| row[0] == "getpriority");
    assert_eq!(row.expect("a row")[verdict], "stub", "{analyzed}");

    let commands: [&[&str]; 8] = [
        &["list"],
        &["list", truth.name],
        &["show", truth.name],
        &["os", "list"],
        &["os", "show", "gvisor"],
        &["os", "diff", "Kerla", "gvisor"],
        &["os", "compare"],
        &["doctor"],
    ];
    for words in commands {
        let values = with(words, "csv").expect_code(0).stdout;
        let (names, rows) = table(&values);
        assert!(!rows.is_empty(), "{words:?}");
        let markdown = with(words, "markdown").expect_code(0).stdout;
        // Where several tables are one, the first columns tell them apart; a document has columns of its own.
        let shown = match words {
            ["os", "list"] => &names[1..],
            ["os", "compare"] => &names[..1],
            _ => &names[..],
        };
        let head = format!("| {} |", shown.join(" | "));
        assert!(
            markdown.contains(&head) || words == ["os", "compare"],
            "{words:?}: {head}\n{markdown}"
        );
        let file = scene.write("table.csv", "");
        let output = file.to_str().expect("plain");
        let said = with(&[words, &["--output", output]].concat(), "csv").expect_code(0);
        assert_eq!(said.stdout, "", "{words:?}");
        let written = std::fs::read_to_string(&file).expect("written");
        // What is free on the host is another number each time.
        if words != ["doctor"] {
            assert_eq!(written, values, "{words:?}");
        }
    }
    // They have columns of their own, and more than people are shown.
    let own: [&[&str]; 5] = [
        &["gap", "--os", "Kerla"],
        &["plan", "--os", "Kerla"],
        &["stats"],
        &["report"],
        &["diff", "1", "1"],
    ];
    for words in own {
        table(&with(words, "csv").stdout);
    }
    // What stands behind the command is its own.
    let traced = ["trace", "--format", "csv", "--operations", "true"];
    let traced = scene.run(&traced).expect_code(0);
    let (_, rows) = table(&traced.stderr);
    let features: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert!(features.contains(&"mmap:MAP_PRIVATE"), "{features:?}");
    scene.assert_nothing_left();
}

#[test]
fn values_of_an_os_are_read_back_as_the_same_os() {
    let scene = Scene::new();
    let values = scene.path("mine.csv");
    let file = values.to_str().expect("plain");
    let show = [
        "os",
        "show",
        "asterinas",
        "--format",
        "csv",
        "--output",
        file,
    ];
    scene.run(&show).expect_code(0);
    let difference = scene.run(&["os", "diff", "asterinas", file]).expect_code(0);
    assert!(
        difference.stdout.contains("answer everything alike"),
        "{}",
        difference.stdout
    );
}

#[test]
fn what_has_no_table_says_which_forms_it_has() {
    let scene = Scene::new();
    for form in ["csv", "markdown"] {
        scene
            .run(&["explain", "a", "futex", "--format", form])
            .expect_code(2)
            .expect_message(&["no such form", "text, json"]);
    }
}
