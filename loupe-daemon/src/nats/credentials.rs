//! The file by which somebody is known to a fleet's server: one for each host and worker, one for
//! the hub and for whoever coordinates studies. Text that TOML reads, with the certificate of the fleet's authority as PEM in it, so that one file is
//! all that has to be copied. Opens no connection.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::NatsError;

const FORMAT: &str = "loupe.credentials/1";
/// Bits of a mode that let others than the owner read.
const OTHERS_READ: u32 = 0o044;

/// What somebody does in a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Tells facts of itself.
    Host,
    /// Takes in what hosts tell.
    Hub,
    /// Runs replays of studies.
    Worker,
    /// Has replays of studies run.
    Coordinator,
}

impl Part {
    fn describe(self) -> &'static str {
        match self {
            Part::Host => "a host",
            Part::Hub => "a hub",
            Part::Worker => "a worker",
            Part::Coordinator => "a coordinator of studies",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Part::Host => "host",
            Part::Hub => "hub",
            Part::Worker => "worker",
            Part::Coordinator => "coordinator",
        }
    }

    /// What whoever has the file can do.
    fn can(self) -> &'static str {
        match self {
            Part::Host => "tell facts as this host",
            Part::Hub => "read and remove what all hosts tell",
            Part::Worker => "take replays of studies and tell their results",
            Part::Coordinator => "have any workload run on all workers",
        }
    }
}

/// See the module. `Debug` leaves the seed out.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where they were read: the server's certificate is judged by what is in this file.
    pub path: PathBuf,
    pub part: Part,
    /// What people call it.
    pub name: String,
    /// The host's id in the fleet.
    pub id: String,
    pub(super) seed: String,
    /// The keys whose jobs a worker runs.
    pub trusts: Vec<String>,
    /// By which a coordinator signs its jobs. It is another than that of the connection, with which whatever
    /// a server asks for is signed.
    pub signing: Option<SigningSeed>,
}

/// The secret half of a key. `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSeed(pub(super) String);

impl SigningSeed {
    pub fn pair(&self) -> Result<nkeys::KeyPair, NatsError> {
        nkeys::KeyPair::from_seed(&self.0).map_err(|error| NatsError::Key(error.to_string()))
    }
}

impl std::fmt::Debug for SigningSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSeed")
    }
}

/// What a file says beside who it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    pub trusts: &'a [String],
    pub signing_seed: Option<&'a str>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({:?} {} {})", self.part, self.name, self.id)
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    format: String,
    part: Part,
    name: String,
    id: String,
    seed: String,
    #[serde(default)]
    trusts: Vec<String>,
    #[serde(default)]
    signing_seed: Option<String>,
    ca: String,
}

/// A key, of which the server knows the public half.
pub struct KeyPair {
    pub seed: String,
    pub public: String,
}

impl KeyPair {
    pub fn make() -> Result<KeyPair, NatsError> {
        let pair = nkeys::KeyPair::new_user();
        Ok(KeyPair {
            seed: pair
                .seed()
                .map_err(|error| NatsError::Key(error.to_string()))?,
            public: pair.public_key(),
        })
    }
}

impl Credentials {
    /// The text of a file.
    pub fn text(
        part: Part,
        name: &str,
        id: &str,
        seed: &str,
        ca: &str,
        extra: Extra<'_>,
    ) -> String {
        let mut more = String::new();
        if let Some(seed) = extra.signing_seed {
            more += &format!("# By this its jobs are signed.\nsigning_seed = \"{seed}\"\n");
        }
        if !extra.trusts.is_empty() {
            let trusts = extra.trusts.join("\", \"");
            more += &format!("# Whose jobs it runs.\ntrusts = [\"{trusts}\"]\n");
        }
        format!(
            "# Whoever has this file can {}. Made by `loupe fleet`.\n\
             format = \"{FORMAT}\"\npart = \"{}\"\nname = \"{name}\"\nid = \"{id}\"\n\
             seed = \"{seed}\"\n{more}# The authority that the server's certificate is from.\n\
             ca = '''\n{}\n'''\n",
            part.can(),
            part.word(),
            ca.trim()
        )
    }

    /// Reads a file that only its owner can read, for who takes this part.
    pub fn read(path: &Path, wanted: Part) -> Result<Credentials, NatsError> {
        let failed = |source| NatsError::Read {
            path: path.to_owned(),
            source,
        };
        let damaged = |what: String| NatsError::Damaged {
            path: path.to_owned(),
            what,
        };
        let mut file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & OTHERS_READ != 0 {
            return Err(NatsError::Exposed {
                path: path.to_owned(),
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let text: Text =
            toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        if text.format != FORMAT {
            return Err(damaged(format!(
                "its format is {}, this program reads {FORMAT}",
                text.format
            )));
        }
        let id_is_good = !text.id.is_empty() && text.id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !id_is_good {
            return Err(damaged("its id is none".to_owned()));
        }
        nkeys::KeyPair::from_seed(&text.seed)
            .map_err(|error| damaged(format!("its seed is none: {error}")))?;
        if let Some(seed) = &text.signing_seed {
            nkeys::KeyPair::from_seed(seed)
                .map_err(|error| damaged(format!("its signing seed is none: {error}")))?;
        }
        if text.part != wanted {
            return Err(NatsError::OtherPart {
                path: path.to_owned(),
                found: text.part.describe(),
                wanted: wanted.describe(),
            });
        }
        let path = fs::canonicalize(path).map_err(failed)?;
        Ok(Credentials {
            path,
            part: text.part,
            name: text.name,
            id: text.id,
            seed: text.seed,
            trusts: text.trusts,
            signing: text.signing_seed.map(SigningSeed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn write(directory: &Path, text: &str, mode: u32) -> PathBuf {
        let path = directory.join("web1.credentials");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    fn text() -> String {
        let pair = KeyPair::make().expect("a key");
        assert!(pair.public.starts_with('U'));
        Credentials::text(
            Part::Host,
            "web1",
            ID,
            &pair.seed,
            "-----BEGIN CERTIFICATE-----",
            Extra::default(),
        )
    }

    #[test]
    fn credentials_are_read_as_they_were_written_and_never_printed() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = text();
        let path = write(directory.path(), &text, 0o600);
        let read = Credentials::read(&path, Part::Host).expect("read");
        assert_eq!((&*read.name, &*read.id), ("web1", ID));
        assert!(text.contains(&read.seed));
        assert!(!format!("{read:?}").contains(&read.seed));
    }

    #[test]
    fn what_is_exposed_damaged_or_somebody_elses_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let refused = |text: &str, mode, part| {
            let path = write(directory.path(), text, mode);
            Credentials::read(&path, part).expect_err("refused")
        };
        let good = text();
        assert!(matches!(
            refused(&good, 0o640, Part::Host),
            NatsError::Exposed { .. }
        ));
        assert!(matches!(
            refused(&good, 0o600, Part::Hub),
            NatsError::OtherPart { .. }
        ));
        for bad in [
            "",
            "format = 1",
            &good.replace("credentials/1", "credentials/2"),
            &good.replace("seed = \"S", "seed = \"X"),
            &good.replace(ID, "a.>"),
        ] {
            let error = refused(bad, 0o600, Part::Host);
            assert!(matches!(error, NatsError::Damaged { .. }), "{bad}: {error}");
            assert!(error.hint().is_some());
        }
    }
}
