//! Test suites out of Debian's source packages, for the tests that measure an application by its
//! own suite: which are missing, and their fetching. They are not copied into this repository.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace::{self, step};

/// Where the workload files and the tests look for them.
const PLACE: &str = "/var/cache/loupe/suites";

/// The release whose sources are taken, on a later Debian too: the tests know what is in them.
const RELEASE: &str = "bookworm";

/// The upstream sources of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub package: &'static str,
    /// Without Debian's revision, which changes none of the sources' own tests.
    pub version: &'static str,
}

/// Every suite that a test needs.
pub const ALL: &[Suite] = &[Suite {
    package: "gzip",
    version: "1.12",
}];

impl Suite {
    fn place(&self) -> PathBuf {
        Path::new(PLACE).join(format!("{}-{}", self.package, self.version))
    }

    pub fn is_missing(&self) -> bool {
        !self.place().is_dir()
    }

    pub fn describe(&self) -> String {
        format!(
            "the sources of Debian's {} (into {})",
            self.package,
            self.place().display()
        )
    }
}

/// Arguments: the package, its version, the release, where to put it.
///
/// apt verifies what it downloads, and is told to use lists and sources of its own, so that nothing
/// of the host's changes. The host's mirror comes first: there may be no way to another one.
const SCRIPT: &str = r#"
set -eu
umask 022
package=$1 version=$2 release=$3 place=$4
mkdir -p "$place"
work=$(mktemp -d "$place/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# apt downloads as a user of its own.
chmod 755 "$work"
mkdir -p "$work/download" "$work/lists/partial"
if id _apt > /dev/null 2>&1; then chown _apt "$work/download" "$work/lists/partial"; fi
apt() {
    apt-get -qq -o Dir::Etc::SourceList="$work/debian.sources" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= \
        -o Acquire::Retries=3 -o APT::Update::Error-Mode=any "$@"
}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    "Codename: $release" 'Component: main' | head -n 1)
default=http://deb.debian.org/debian
if [ "${mirror%/}" = "$default" ]; then mirror=; fi
cd "$work/download"
for source in $mirror $default; do
    printf '%s\n' 'Types: deb-src' "URIs: $source" "Suites: $release" 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' > "$work/debian.sources"
    if apt update && apt source --download-only --tar-only "$package"; then break; fi
done
for tarball in "${package}_$version".orig.tar.[gx]z; do
    if [ ! -f "$tarball" ]; then
        echo "no ${package}_$version.orig.tar came from $release" >&2
        exit 1
    fi
    tar --extract --no-same-owner --directory="$work" --file="$tarball"
done
chmod -R a+rX "$work/$package-$version"
mv -T "$work/$package-$version" "$place/$package-$version"
"#;

/// Fetches suites. A test without its suite is skipped, loudly, so it is no reason to run none at
/// all; but where nothing may be skipped it is a failure already here.
pub fn fetch(suites: &[Suite]) -> Result<()> {
    for suite in suites {
        step(&format!("Set-up: fetching {}", suite.describe()));
        let fetched = fetch_one(suite);
        match fetched {
            Err(error) if workspace::in_ci() => return Err(error),
            Err(error) => eprintln!("warning: {error:#}; tests that need it will be skipped"),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn fetch_one(suite: &Suite) -> Result<()> {
    if !workspace::has_program("apt-get") {
        bail!("there is no apt-get here to fetch {}", suite.describe());
    }
    let mut command = workspace::as_root("/bin/sh", &[])?;
    command.args([
        "-c",
        SCRIPT,
        "sh",
        suite.package,
        suite.version,
        RELEASE,
        PLACE,
    ]);
    let sudo = if workspace::is_root() { "" } else { "sudo " };
    eprintln!(
        "    $ {sudo}apt-get source --download-only --tar-only {}",
        suite.package
    );
    // The script is too long to be shown as a command.
    let status = command.status()?;
    if !status.success() || suite.is_missing() {
        bail!(
            "could not fetch {} ({status}); apt-get's messages are above",
            suite.describe()
        );
    }
    Ok(())
}
