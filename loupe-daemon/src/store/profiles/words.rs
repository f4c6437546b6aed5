//! Features by numbers. The words of a database are few (hundreds, seldom some thousand), so all
//! of them are read at a time; none is ever removed.

use std::collections::HashMap;

use loupe_common::feature::Feature;
use rusqlite::{Connection, Transaction, params};

use super::super::{Store, StoreError};

const FEATURE: &str = "feature";
const FOREIGN: &str = "foreign";

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Feature(Feature),
    /// A call of another ABI: its name there is a number.
    Foreign {
        abi: String,
        number: u32,
    },
}

pub(super) struct Words(HashMap<u32, Word>);

/// The words by what they stand for, for recording; a new word gets its number at once.
pub(super) struct Numbers<'a> {
    store: &'a Store,
    transaction: &'a Transaction<'a>,
    known: HashMap<Word, u32>,
}

impl Words {
    pub fn read(store: &Store, connection: &Connection) -> Result<Words, StoreError> {
        let rows: Vec<(u32, String, String)> = store.sorted(
            connection
                .prepare_cached("SELECT id, kind, word FROM profile_words")
                .and_then(|mut statement| statement.query_map([], |row| row.try_into())?.collect()),
        )?;
        let words = rows.into_iter().map(|(id, kind, word)| {
            let word = match (kind.as_str(), word.split_once(' ')) {
                (FOREIGN, Some((abi, number))) if number.parse::<u32>().is_ok() => Word::Foreign {
                    abi: abi.to_owned(),
                    number: number.parse().unwrap_or_default(),
                },
                _ => Word::Feature(store.decode_word("a feature of a profile", &word)?),
            };
            Ok((id, word))
        });
        Ok(Words(words.collect::<Result<_, StoreError>>()?))
    }

    pub fn get(&self, id: u32) -> Option<&Word> {
        self.0.get(&id)
    }
}

impl<'a> Numbers<'a> {
    pub fn read(store: &'a Store, transaction: &'a Transaction<'a>) -> Result<Self, StoreError> {
        let words = Words::read(store, transaction)?.0;
        Ok(Numbers {
            store,
            transaction,
            known: words.into_iter().map(|(id, word)| (word, id)).collect(),
        })
    }

    /// The number of a feature that has one.
    pub fn number_of(&self, feature: &Feature) -> Option<u32> {
        self.known.get(&Word::Feature(feature.clone())).copied()
    }

    /// The number of a word, new if need be. What a failed transaction has numbered is forgotten with this value.
    pub fn number(&mut self, word: Word) -> Result<u32, StoreError> {
        if let Some(id) = self.known.get(&word) {
            return Ok(*id);
        }
        let (kind, text) = match &word {
            Word::Feature(feature) => (FEATURE, feature.to_string()),
            Word::Foreign { abi, number } => (FOREIGN, format!("{abi} {number}")),
        };
        let id: u32 = self.store.sorted(
            self.transaction
                .prepare_cached(
                    "INSERT INTO profile_words (kind, word) VALUES (?1, ?2) RETURNING id",
                )
                .and_then(|mut statement| {
                    statement.query_row(params![kind, text], |row| row.get(0))
                }),
        )?;
        self.known.insert(word, id);
        Ok(id)
    }
}
