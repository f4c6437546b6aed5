//! Who a host is to a fleet: a keyed hash of its machine id, which tells nobody the id itself who
//! has not the salt. Reads the machine id and the salt; nothing else of the host but what `uname`
//! says.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::FleetError;
use super::bundle::{Host, hexadecimal};

const MACHINE_ID: &str = "/etc/machine-id";
/// Bytes of a salt that is made here, and the fewest of one that is given.
const SALT_BYTES: usize = 32;
const LEAST_SALT_BYTES: usize = 16;

/// The key that host ids are made with. Hosts of one fleet share it, so that the fleet knows a host
/// again; another fleet, with another salt, cannot tell that it is the same.
pub struct Salt(Vec<u8>);

impl Salt {
    /// The fleet's own.
    pub fn read(path: &Path) -> Result<Salt, FleetError> {
        let salt = fs::read(path).map_err(|source| FleetError::Read {
            path: path.to_owned(),
            source,
        })?;
        match salt.len() {
            bytes if bytes < LEAST_SALT_BYTES => Err(FleetError::ShortSalt {
                path: path.to_owned(),
                bytes,
                least: LEAST_SALT_BYTES,
            }),
            _ => Ok(Salt(salt)),
        }
    }

    /// This host's own, made where it is not there: readable by its owner only.
    pub fn read_or_make(path: &Path) -> Result<Salt, FleetError> {
        match Salt::read(path) {
            Err(FleetError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
        make(path).map_err(|source| FleetError::Write {
            path: path.to_owned(),
            source,
        })?;
        Salt::read(path)
    }

    /// Of a host that is known by its name only: never that of a machine id, which has no space.
    pub fn id_of_named(&self, name: &str) -> String {
        self.id_of(&format!("host {name}"))
    }

    /// The id of the host with this machine id.
    pub fn id_of(&self, machine: &str) -> String {
        // HMAC takes keys of every length.
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key will do");
        mac.update(machine.as_bytes());
        hexadecimal(&mac.finalize().into_bytes()[..16])
    }
}

fn make(path: &Path) -> io::Result<()> {
    let mut salt = [0; SALT_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut salt)?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    match made {
        // Another process was first: its salt is as good.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other?.write_all(&salt),
    }
}

/// This host as it is now, by its machine id.
pub fn host_of_this_machine(
    salt: &Salt,
    name: Option<String>,
    made_ms: u64,
) -> Result<Host, FleetError> {
    let no_id = |what: String| FleetError::NoMachineId {
        path: MACHINE_ID.into(),
        what,
    };
    let machine = fs::read_to_string(MACHINE_ID).map_err(|error| no_id(error.to_string()))?;
    let machine = machine.trim();
    // systemd writes `uninitialized` into images that are yet to boot.
    if machine.len() != 32 || !machine.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(no_id("does not hold 32 hexadecimal digits".to_owned()));
    }
    this_machine(salt.id_of(machine), name, made_ms)
}

/// This host as it is now, by an id that was given to it.
pub fn this_machine(id: String, name: Option<String>, made_ms: u64) -> Result<Host, FleetError> {
    let name_of = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    let system = nix::sys::utsname::uname().map_err(|errno| FleetError::Read {
        path: "/proc/sys/kernel".into(),
        source: errno.into(),
    })?;
    Ok(Host {
        made_ms,
        id,
        name,
        kernel: name_of(system.release()),
        arch: name_of(system.machine()),
        loupe: env!("CARGO_PKG_VERSION").to_owned(),
        kept_home: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_salt_and_its_machine_id_together() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("below/salt");
        let id = |salt: &Salt, machine: &str| salt.id_of(machine);
        let salt = Salt::read_or_make(&path).expect("made");
        let again = Salt::read_or_make(&path).expect("read");
        assert_eq!(id(&salt, "a"), id(&again, "a"));
        assert_ne!(id(&salt, "a"), id(&salt, "b"));
        let other = Salt(vec![7; 32]);
        assert_ne!(id(&salt, "a"), id(&other, "a"));
        assert_eq!(id(&salt, "a").len(), 32);
    }

    #[test]
    fn a_salt_that_can_be_guessed_is_refused_with_the_cure() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("salt");
        fs::write(&path, "short").expect("written");
        let error = Salt::read(&path).err().expect("refused");
        assert!(error.hint().is_some_and(|hint| hint.contains("urandom")));
    }
}
