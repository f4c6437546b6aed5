//! How the table of priors is made of the paper's data set. The tests alone do that: the table
//! itself is committed.

use std::collections::BTreeMap;

use loupe_common::syscalls::Arch;

use super::Counts;

/// Makes the table from the contents of the data set's `dyn.csv` files. Their columns are the
/// x86-64 number, used, works faked, works stubbed, works both ways (`Y` or `N`); a feature
/// that works both ways has the last one set, and the others not always.
pub(super) fn derive(files: impl IntoIterator<Item = String>) -> String {
    let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
    for file in files {
        for line in file.lines() {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let [number, "Y", fake, stub, both] = cells[..] else {
                continue;
            };
            let names = Arch::X86_64.table();
            let name = number.parse().ok().and_then(|number: u16| {
                let index = names.binary_search_by_key(&number, |entry| entry.0).ok()?;
                Some(names[index].1)
            });
            let Some(name) = name else {
                continue;
            };
            let both = both == "Y" || (stub == "Y" && fake == "Y");
            table.entry(name).or_default().add(Counts {
                used: 1,
                stub: u32::from(both || stub == "Y"),
                fake: u32::from(both || fake == "Y"),
            });
        }
    }
    let mut text = String::from(
        "# Derived from https://github.com/unikraft/loupedb (CC BY 4.0, Lefeuvre et al.): data sets\n\
         # in which a syscall was used, and of these, in which it worked stubbed and faked.\n\
         syscall,used,stub,fake\n",
    );
    for (name, counts) in table {
        let Counts { used, stub, fake } = counts;
        text.push_str(&format!("{name},{used},{stub},{fake}\n"));
    }
    text
}
