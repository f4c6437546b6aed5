//! Other errnos than ENOSYS.

use loupe_common::analysis::Trial;
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;

use super::{options, plain_app, row, run};
use crate::explore::ExploreOptions;
use crate::explore::simulated::{Effect, SimFeature, Simulator};

#[test]
fn where_enosys_breaks_it_other_errnos_are_tried_on_request() {
    let named = |name: &str| -> Feature { name.parse().expect("a syscall") };
    let errno = |name: &str| -> Errno { name.parse().expect("an errno") };
    let picky = |tolerates| SimFeature {
        tolerates: Some(errno(tolerates)),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    let mut app = plain_app(2);
    app.features.insert(named("ioctl"), picky("ENOTTY"));
    app.features.insert(named("setuid"), picky("EPERM"));
    let options = ExploreOptions {
        errnos: true,
        ..options(2)
    };
    let analysis = run(&Simulator::new(&app, 1), &options).expect("measurable");
    let taken = |name| -> Vec<(Errno, bool)> {
        let errnos = &row(&analysis, &named(name)).expect("used").errnos;
        let decided = |(errno, trial): (&Errno, &Trial)| Some((*errno, trial.works?));
        errnos.iter().filter_map(decided).collect()
    };
    let [eperm, einval, enotty, eopnotsupp] =
        ["EPERM", "EINVAL", "ENOTTY", "EOPNOTSUPP"].map(errno);
    assert_eq!(
        taken("ioctl"),
        [
            (eperm, false),
            (einval, false),
            (enotty, true),
            (eopnotsupp, false)
        ]
    );
    assert_eq!(
        taken("setuid"),
        [(eperm, true), (einval, false), (eopnotsupp, false)]
    );
    assert_eq!(taken("read"), [], "ENOSYS works");
}

#[test]
fn other_errnos_are_tried_of_operations_and_of_pseudo_files() {
    let named = |name: &str| -> Feature { name.parse().expect("a feature") };
    let picky = |tolerates: &str| SimFeature {
        tolerates: Some(tolerates.parse().expect("an errno")),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    let mut app = plain_app(2);
    app.watched = 2;
    for syscall in ["fcntl", "ioctl", "setsockopt"] {
        app.features.insert(named(syscall), picky("ENOTTY"));
    }
    let option = "setsockopt:SOL_TCP/TCP_NODELAY";
    for (name, tolerates) in [
        ("fcntl:F_GETFL", "EINVAL"),
        ("ioctl:TCGETS", "ENOTTY"),
        (option, "ENOPROTOOPT"),
        ("/proc/cpuinfo", "EACCES"),
    ] {
        app.features.insert(named(name), picky(tolerates));
    }
    let free = SimFeature::always(Effect::Works, Effect::Breaks);
    app.features.insert(named("ioctl:FIONBIO"), free);
    for errnos in [false, true] {
        let options = ExploreOptions {
            errnos,
            ..options(2)
        };
        let analysis = run(&Simulator::new(&app, 1), &options).expect("measurable");
        let taken = |name| -> Vec<String> {
            let tried = &row(&analysis, &named(name)).expect("used").errnos;
            assert_eq!(tried.len() > 1, errnos && name != "ioctl:FIONBIO", "{name}");
            let works = tried.iter().filter(|(_, trial)| trial.works == Some(true));
            works.map(|(errno, _)| errno.to_string()).collect()
        };
        for (name, errno) in [
            ("fcntl:F_GETFL", "EINVAL"),
            ("ioctl:TCGETS", "ENOTTY"),
            (option, "ENOPROTOOPT"),
            ("/proc/cpuinfo", "EACCES"),
        ] {
            let expected = if errnos { &[errno][..] } else { &[] };
            assert_eq!(taken(name), expected, "{name}");
        }
        assert_eq!(taken("ioctl:FIONBIO"), [""; 0], "ENOSYS works");
    }
}
