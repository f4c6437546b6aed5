//! What a worker needs to replay a workload: the workload itself, and the files that it brings. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::bench::How;
use crate::executable::Digest;
use crate::replay::Workload;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Package {
    pub workload: Workload,
    /// Where its relative paths start from; empty where that is the worker's to say.
    pub base: PathBuf,
    pub how: How,
    /// What is to be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Shipped>,
}

/// A file below `base`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    pub path: PathBuf,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Directory {
        mode: u32,
    },
    /// Its parts in their order, by their digests.
    File {
        mode: u32,
        parts: Vec<String>,
    },
    Link {
        target: PathBuf,
    },
}

impl Package {
    /// By this it is known.
    pub fn subject(&self) -> String {
        let mut digest = Digest::default();
        // Serializing plain strings and numbers to a string cannot fail; paths that are no UTF-8 are
        // in no workload file, and are refused among what it brings.
        digest.text(serde_json::to_string(self).unwrap_or_default().as_bytes());
        digest.finish()
    }
}

/// Where packages come from.
pub trait Packages: Send + Sync {
    /// The package of a subject; the error says what is missing.
    fn get(&self, subject: &str) -> impl Future<Output = Result<Package, String>> + Send;

    /// It is not used any more.
    fn forget(&self, subject: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_another_one_when_anything_of_it_is() {
        let text = "application = \"a\"\nworkload = \"w\"\nmode = \"batch\"\n\
                    command = [\"true\"]\ntest = [\"true\"]\n";
        let base = PathBuf::from("/");
        let workload = Workload::parse(text, &base, base.clone()).expect("a workload");
        let package = Package {
            workload,
            base,
            how: How::default(),
            files: Vec::new(),
        };
        let elsewhere = Package {
            base: PathBuf::from("/tmp"),
            ..package.clone()
        };
        assert_eq!(package.subject(), package.clone().subject());
        assert_ne!(package.subject(), elsewhere.subject());
    }
}
