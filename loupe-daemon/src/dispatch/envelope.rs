//! What is in a message: JSON, compressed; and of a job, the signature of who asks for it. A worker runs
//! nothing that is not signed by a key that it trusts.

use std::io::{self, Read as _, Write as _};

use async_nats::{HeaderMap, HeaderValue};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nkeys::KeyPair;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::spread::Job;

const KEY: &str = "Loupe-Key";
const SIGNATURE: &str = "Loupe-Signature";
/// Comes before what is signed, so that the signature means nothing anywhere else.
const PURPOSE: &[u8] = b"loupe.job/1\n";
/// Bytes of a message, unpacked: a replay's record has some 100 kB.
const MOST_BYTES: u64 = 64 << 20;

/// Why a message is no job to be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is not signed by who it says")]
    Forged,
    #[error("it is signed by {0}, whom this worker does not trust")]
    Stranger(String),
    #[error("it cannot be read: {0}")]
    Damaged(String),
}

pub fn pack(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&serde_json::to_vec(what)?)?;
    packed.finish()
}

/// Unpacks what came from wherever: it does not grow beyond a bound.
pub fn unpack<T: DeserializeOwned>(packed: &[u8]) -> io::Result<T> {
    let mut text = Vec::new();
    let length = GzDecoder::new(packed)
        .take(MOST_BYTES)
        .read_to_end(&mut text)?;
    if length as u64 == MOST_BYTES {
        return Err(io::Error::other("it is too large"));
    }
    Ok(serde_json::from_slice(&text)?)
}

fn signed(payload: &[u8]) -> Vec<u8> {
    [PURPOSE, payload].concat()
}

/// A job as a message of who has this key.
pub fn seal(job: &Job, key: &KeyPair) -> io::Result<(Vec<u8>, HeaderMap)> {
    let payload = pack(job)?;
    let signature = key.sign(&signed(&payload)).map_err(io::Error::other)?;
    let digits: String = signature.iter().map(|it| format!("{it:02x}")).collect();
    let mut headers = HeaderMap::new();
    headers.insert(KEY, key.public_key());
    headers.insert(SIGNATURE, digits);
    Ok((payload, headers))
}

/// The job, if somebody asks for it who is trusted. Nothing of it is read before.
pub fn open(payload: &[u8], headers: Option<&HeaderMap>, trusts: &[String]) -> Result<Job, Unfit> {
    let word = |name: &str| headers?.get(name).map(HeaderValue::as_str);
    let (Some(key), Some(signature)) = (word(KEY), word(SIGNATURE)) else {
        return Err(Unfit::Forged);
    };
    if !trusts.iter().any(|trusted| trusted == key) {
        return Err(Unfit::Stranger(key.chars().take(80).collect()));
    }
    let pair = KeyPair::from_public_key(key).map_err(|_| Unfit::Forged)?;
    let signature = bytes_of(signature).ok_or(Unfit::Forged)?;
    pair.verify(&signed(payload), &signature)
        .map_err(|_| Unfit::Forged)?;
    unpack(payload).map_err(|error| Unfit::Damaged(error.to_string()))
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|it| it.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use loupe_common::host_class::HostClass;
    use loupe_common::policy::Policy;

    use super::*;
    use crate::explore::Request;
    use crate::replay::{BaselineFacts, Part};
    use crate::spread::Order;

    fn job() -> Job {
        let class = HostClass {
            kernel: "6.1".to_owned(),
            architecture: "x86_64".to_owned(),
            libc: None,
            root: false,
            target: None,
        };
        let order = Order::new(&Request::new(Policy::baseline(), 0), Part::Whole);
        Job::new(
            ("sha256:0a", "h-1"),
            &class,
            order,
            BaselineFacts::default(),
        )
    }

    #[test]
    fn a_job_of_a_trusted_key_is_read_as_it_was_sent() {
        let key = KeyPair::new_user();
        let (payload, headers) = seal(&job(), &key).expect("sealed");
        let trusts = [key.public_key()];
        assert_eq!(open(&payload, Some(&headers), &trusts), Ok(job()));
    }

    #[test]
    fn what_is_unsigned_changed_or_somebody_elses_is_not_read() {
        let (key, other) = (KeyPair::new_user(), KeyPair::new_user());
        let trusts = [key.public_key()];
        let (payload, headers) = seal(&job(), &key).expect("sealed");
        assert_eq!(open(&payload, None, &trusts), Err(Unfit::Forged));
        let stranger = open(&payload, Some(&headers), &[other.public_key()]);
        assert!(matches!(stranger, Err(Unfit::Stranger(_))), "{stranger:?}");
        let mut changed = payload.clone();
        changed[12] ^= 1;
        assert_eq!(open(&changed, Some(&headers), &trusts), Err(Unfit::Forged));
        // Another's signature below the trusted name.
        let (_, mut forged) = seal(&job(), &other).expect("sealed");
        forged.insert(KEY, key.public_key());
        assert_eq!(open(&payload, Some(&forged), &trusts), Err(Unfit::Forged));
        for digits in ["", "0", "zz", "00"] {
            forged.insert(SIGNATURE, digits);
            assert_eq!(open(&payload, Some(&forged), &trusts), Err(Unfit::Forged));
        }
    }
}
