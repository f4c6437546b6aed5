//! What a vDSO may have answered is let through, since another host may have none that can.

use loupe_common::analysis::Origin;

use super::*;

fn clocks() -> Vec<Feature> {
    features(&VDSO)
}

/// Under the profile for these, full and reduced: what happens to a call of the vDSO's.
fn answers(analyses: &[&Analysis], name: &str) -> Vec<Option<Action>> {
    let needs = Needs::of(analyses.iter().copied(), &[]);
    let mut all = Vec::new();
    for starter in [Starter::Container, Starter::Service] {
        for extent in [Extent::Full, Extent::Reduced] {
            let profile = Profile::of(&needs, extent, Errno::ENOSYS, starter);
            all.push(profile.answer(&feature(name)));
        }
    }
    all
}

#[test]
fn unless_it_was_hidden_the_calls_of_the_vdso_are_let_through() {
    let seen = Analysis {
        vdso: true,
        ..server()
    };
    for call in clocks() {
        let name = call.to_string();
        assert_eq!(answers(&[&seen], &name), [None; 4], "{name}");
        // Measured without a vDSO, and never called.
        let known = [Some(Action::STUB); 4];
        assert_eq!(answers(&[&server()], &name), known, "{name}");
        // One of two is enough.
        assert_eq!(answers(&[&server(), &seen], &name), [None; 4], "{name}");
    }
}

#[test]
fn a_stub_of_one_application_takes_no_call_from_the_vdso_of_another() {
    let without = analysis("tool", vec![row("clock_gettime", true, false)]);
    let reduced = |analyses: &[&Analysis]| answers(analyses, "clock_gettime")[1];
    assert_eq!(reduced(&[&without]), Some(Action::STUB));
    let with = Analysis {
        vdso: true,
        ..server()
    };
    assert_eq!(reduced(&[&without, &with]), None);
}

#[test]
fn what_is_executed_has_a_vdso_again_and_of_what_was_imported_nothing_is_known() {
    let executes = analysis("sh", vec![row("execve", false, false)]);
    assert!(Needs::of([&executes], &[]).vdso);
    let imported = Analysis {
        origin: Some(Origin {
            format: "loupedb".to_owned(),
            run: "1".to_owned(),
        }),
        ..server()
    };
    assert!(Needs::of([&imported], &[]).vdso);
    assert!(!Needs::of([&server()], &[]).vdso);
}
