//! A message of a host: a bundle, packed, known by the hash of its content. What comes is judged here
//! before anybody merges it.

use std::io;

use flate2::Compression;
use sha2::{Digest as _, Sha256};

use super::server_conf::MAX_PAYLOAD;
use super::stream;
use crate::fleet::{Bundle, Known, hexadecimal, pack, unpack};

/// Bytes of a message that is made here: half of what the server takes, which its headers are in, too.
const MOST_BYTES: usize = MAX_PAYLOAD / 2;
/// Subjects of one message, to begin with.
const MOST_SUBJECTS: usize = 512;
/// Bytes that a message may grow to when it is unpacked.
const MOST_UNPACKED: u64 = 64 << 20;

/// A message that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub id: String,
    pub payload: Vec<u8>,
}

impl Piece {
    pub fn of(bundle: &Bundle) -> io::Result<Piece> {
        let payload = pack(bundle, Compression::default())?;
        Ok(Piece {
            id: hexadecimal(&Sha256::digest(&payload)),
            payload,
        })
    }

    /// All of this, in messages that the server takes.
    pub fn all_of(known: &Known) -> io::Result<Vec<Piece>> {
        let mut subjects = MOST_SUBJECTS;
        loop {
            let pieces: Vec<Piece> = known
                .bundles(subjects)
                .iter()
                .map(Piece::of)
                .collect::<io::Result<_>>()?;
            let fit = |piece: &Piece| piece.payload.len() <= MOST_BYTES;
            if subjects == 1 || pieces.iter().all(fit) {
                return Ok(pieces);
            }
            subjects /= 2;
        }
    }
}

/// What came to this subject, or why it is refused.
pub fn read(subject: &str, payload: &[u8]) -> Result<Bundle, String> {
    let bundle = match unpack(payload, MOST_UNPACKED) {
        Ok(read) => read.map_err(|unfit| unfit.to_string())?,
        Err(error) => return Err(format!("it cannot be unpacked ({error})")),
    };
    match stream::host_of(subject) {
        Some(host) if host == bundle.host.id => Ok(bundle),
        _ => Err(format!(
            "it tells of host {}, which is not the one that sent it",
            bundle.host.id
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;

    #[test]
    fn a_message_is_read_as_it_was_made_and_only_from_its_own_host() {
        let bundle = sample::bundle(7, 1, &["read", "futex"]);
        let piece = Piece::of(&bundle).expect("packed");
        let own = stream::facts_of(&bundle.host.id);
        assert_eq!(read(&own, &piece.payload), Ok(bundle.clone()));
        let other = stream::facts_of(&"0".repeat(32));
        let refused = read(&other, &piece.payload).expect_err("refused");
        assert!(refused.contains("not the one that sent it"), "{refused}");
        assert!(read(&own, b"rubbish").is_err());
        assert!(read(&own, &piece.payload[..30]).is_err());
        assert_eq!(piece, Piece::of(&bundle).expect("packed"));
    }

    #[test]
    fn what_is_too_large_for_one_message_goes_in_several() {
        // Names that hardly shrink: two hashes each.
        let names: Vec<String> = (0..30_000_u32)
            .map(|at| hexadecimal(&Sha256::digest(at.to_le_bytes())))
            .collect();
        let known = Known::of(&sample::units(1, &names));
        let pieces = Piece::all_of(&known).expect("packed");
        assert!(pieces.len() > 1);
        assert!(pieces.iter().all(|piece| piece.payload.len() <= MOST_BYTES));
        let own = stream::facts_of(&known.host.id);
        let mut joined: Option<Known> = None;
        for piece in &pieces {
            let bundle = read(&own, &piece.payload).expect("read");
            match &mut joined {
                Some(joined) => joined.join(&bundle),
                None => joined = Some(Known::of(&bundle)),
            }
        }
        assert_eq!(joined, Some(known));
    }
}
