//! A command that is a script, of which nobody has said which program is to be measured: what is measured
//! then, for the user to know. Decides nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::executable;
use crate::launcher::protocol::Identity;
use crate::launcher::with_rights_of;
use crate::replay::Prepared;

/// Bytes of a first line that the kernel looks at.
const MOST_BYTES: u64 = 256;

/// What to say about it, where that is so. The file is looked at with the caller's rights.
pub fn remark(prepared: &Prepared, identity: &Identity) -> Option<String> {
    if prepared.workload.target.is_some() {
        return None;
    }
    let first = with_rights_of(identity, || {
        let file = executable::open_local(Path::new("/proc/self"), &prepared.target)?;
        interpreter(file)
    });
    // Without these rights nothing can be replayed, and that is told elsewhere.
    let interpreter = first.ok()??;
    Some(format!(
        "{} is a script ({interpreter}) and no `target` is named: what is measured is the interpreter and \
         all that it starts; `target = \"/path/of/the/program\"` measures one program",
        prepared.target.components().collect::<PathBuf>().display()
    ))
}

/// `#!/bin/sh`, of a file that begins so.
fn interpreter(file: File) -> Option<String> {
    let mut line = Vec::new();
    BufReader::new(file.take(MOST_BYTES))
        .read_until(b'\n', &mut line)
        .ok()?;
    let line = String::from_utf8_lossy(&line);
    line.starts_with("#!").then(|| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_by_its_first_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = |text: &str| {
            let path = directory.path().join("x");
            std::fs::write(&path, text).expect("written");
            interpreter(File::open(&path).expect("there"))
        };
        assert_eq!(
            told("#!/bin/sh -e\nexit\n").as_deref(),
            Some("#!/bin/sh -e")
        );
        assert_eq!(told("\x7fELF\n"), None);
        assert_eq!(told(""), None);
    }
}
