//! SHA-256 of words and of files, so that somebody else can compare.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;

use sha2::{Digest as _, Sha256};

/// Bytes of a file that are looked at; servers have a few million, browsers a few hundred.
const MOST_FILE_BYTES: u64 = 64 << 20;
/// Read at a time. Chosen, not measured.
const BLOCK_BYTES: usize = 64 << 10;

/// A digest that is being made.
#[derive(Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds a text, so that no two lists of texts look alike.
    pub fn text(&mut self, text: &[u8]) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// Adds what is in a file, as far as it can be read.
    pub fn file(&mut self, file: File) {
        let mut file = file.take(MOST_FILE_BYTES);
        let mut block = vec![0; BLOCK_BYTES];
        while let Ok(count @ 1..) = file.read(&mut block) {
            self.0.update(&block[..count]);
        }
    }

    /// `sha256:` and hexadecimal digits.
    pub fn finish(self) -> String {
        let mut text = "sha256:".to_owned();
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_alone_has_the_digest_that_sha256sum_prints() {
        let place = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(place.path(), "abc").expect("written");
        let mut digest = Digest::default();
        digest.file(place.reopen().expect("there"));
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.finish(), format!("sha256:{known}"));
        let of = |texts: &[&str]| {
            let mut digest = Digest::default();
            for text in texts {
                digest.text(text.as_bytes());
            }
            digest.finish()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
