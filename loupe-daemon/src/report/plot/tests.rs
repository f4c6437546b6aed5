//! Plots are well-formed whatever the names in them, and say what they show.

use super::*;

fn caption() -> Caption {
    Caption {
        title: "A <title> & more".to_owned(),
        description: "desc \u{0}\"'".to_owned(),
    }
}

/// Checks that every element is closed by its own name, and that no text is markup.
fn check(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .expect("a name");
        assert!(
            [
                "svg", "title", "desc", "style", "text", "line", "rect", "path", "g"
            ]
            .contains(&name),
            "<{tag}>"
        );
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{svg}"),
            (false, false) => open.push(name),
            (false, true) => {}
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(!svg.contains('\u{0}'));
}

#[test]
fn every_plot_is_well_formed_with_hostile_names_and_without_data() {
    let hostile = "</text><script>alert(1)</script>&\"'".to_owned();
    for alone in [true, false] {
        let line = Line {
            name: hostile.clone(),
            class: "ours",
            points: vec![(0.0, 0.0), (3.0, 1.0), (9.0, 40.0)],
        };
        let empty = Line {
            points: Vec::new(),
            ..line.clone()
        };
        check(&steps(&[line, empty], &hostile, "y", &caption(), alone));
        check(&steps(&[], "x", "y", &caption(), alone));
        let bar = Bar {
            name: hostile.repeat(3),
            values: vec![None, Some(7.0), Some(0.0)],
            title: hostile.clone(),
        };
        let parts = [("a", "static"), ("b", "used"), ("c", "required")];
        check(&bars(&parts, &vec![bar; 130], "n", &caption(), alone));
        check(&bars(&parts, &[], "n", &caption(), alone));
        let tile = Tile {
            number: 450,
            share: 0.5,
            title: hostile.clone(),
        };
        check(&heat(&[("h", "used", vec![tile])], &caption(), alone));
        check(&heat(&[], &caption(), alone));
    }
}

#[test]
fn a_plot_alone_brings_its_style_and_one_in_a_page_does_not() {
    let alone = steps(&[], "x", "y", &caption(), true);
    assert!(alone.contains("<style>") && alone.starts_with("<svg xmlns="));
    assert!(alone.contains("prefers-color-scheme: dark"));
    assert!(!steps(&[], "x", "y", &caption(), false).contains("<style>"));
}

#[test]
fn ticks_are_round_and_few() {
    assert_eq!(ticks(100.0, 6), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    assert_eq!(ticks(7.0, 6), [0.0, 2.0, 4.0, 6.0]);
    assert_eq!(ticks(1.0, 6), [0.0, 1.0]);
    assert!(ticks(1e6, 8).len() <= 9);
}

#[test]
fn stairs_rise_where_they_should() {
    let line = Line {
        name: "n".to_owned(),
        class: "used",
        points: vec![(1.0, 1.0), (2.0, 1.0), (4.0, 2.0)],
    };
    let svg = steps(&[line], "x", "y", &caption(), false);
    let path = svg
        .lines()
        .find(|line| line.starts_with("<path"))
        .expect("a path");
    // It rises twice, and ends level.
    assert_eq!(path.matches('V').count(), 2, "{path}");
    assert_eq!(path.matches('H').count(), 3, "{path}");
}
