//! A table as a Parquet file: rows in, columns on the disk, some ten thousand rows at a time. Knows nothing
//! of fleets.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::FleetError;

/// Rows of a group: what is kept in memory before it is written.
const GROUP_ROWS: usize = 64 << 10;

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    /// UTC, in Unix milliseconds.
    Moment,
    Text,
}

/// The columns of a table: what they are called, and what is in them.
pub type Columns = &'static [(&'static str, Kind)];

/// A cell; `None` is a null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Number(Option<i64>),
    Text(Option<String>),
}

impl From<i64> for Cell {
    fn from(number: i64) -> Cell {
        Cell::Number(Some(number))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(Some(text))
    }
}

/// A file that is being written. It has its name only when it is whole.
pub struct Table {
    path: PathBuf,
    draft: PathBuf,
    columns: Columns,
    writer: SerializedFileWriter<File>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn create(path: &Path, columns: Columns) -> std::result::Result<Table, FleetError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let begin = || -> Result<SerializedFileWriter<File>> {
            let fields: String = columns
                .iter()
                .map(|(name, kind)| match kind {
                    Kind::Number => format!("OPTIONAL INT64 {name};\n"),
                    Kind::Moment => format!("OPTIONAL INT64 {name} (TIMESTAMP(MILLIS,true));\n"),
                    Kind::Text => format!("OPTIONAL BYTE_ARRAY {name} (UTF8);\n"),
                })
                .collect();
            let schema = parse_message_type(&format!("message loupe {{\n{fields}}}"))?;
            let properties = WriterProperties::builder()
                .set_compression(Compression::GZIP(GzipLevel::default()))
                .set_created_by(format!("loupe {}", env!("CARGO_PKG_VERSION")))
                .build();
            let file = File::options().write(true).create_new(true).open(&draft)?;
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
        };
        let writer = begin().map_err(|error| unwritten(path, error))?;
        Ok(Table {
            path: path.to_owned(),
            draft,
            columns,
            writer,
            rows: Vec::new(),
        })
    }

    /// As many cells as there are columns, each of its column's kind.
    pub fn push(&mut self, row: Vec<Cell>) -> std::result::Result<(), FleetError> {
        self.rows.push(row);
        match self.rows.len() < GROUP_ROWS {
            true => Ok(()),
            false => self.write().map_err(|error| unwritten(&self.path, error)),
        }
    }

    /// Writes what there is, and gives the file its name.
    pub fn finish(mut self) -> std::result::Result<(), FleetError> {
        let finish = |table: &mut Table| -> Result<()> {
            if !table.rows.is_empty() {
                table.write()?;
            }
            table.writer.finish()?;
            table.writer.inner().sync_all()?;
            Ok(fs::rename(&table.draft, &table.path)?)
        };
        finish(&mut self).map_err(|error| unwritten(&self.path, error))
    }

    fn write(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group()?;
        for (at, (_, kind)) in self.columns.iter().enumerate() {
            let cells = || rows.iter().filter_map(|row| row.get(at));
            let Some(mut column) = group.next_column()? else {
                break;
            };
            let is_there = |cell: &Cell| match cell {
                Cell::Number(number) => i16::from(number.is_some()),
                Cell::Text(text) => i16::from(text.is_some()),
            };
            let there: Vec<i16> = cells().map(is_there).collect();
            match kind {
                Kind::Number | Kind::Moment => {
                    let numbers = cells().filter_map(|cell| match cell {
                        Cell::Number(number) => *number,
                        Cell::Text(_) => None,
                    });
                    let numbers: Vec<i64> = numbers.collect();
                    let typed = column.typed::<Int64Type>();
                    typed.write_batch(&numbers, Some(&there), None)?;
                }
                Kind::Text => {
                    let texts = cells().filter_map(|cell| match cell {
                        Cell::Text(Some(text)) => Some(ByteArray::from(text.as_str())),
                        _ => None,
                    });
                    let texts: Vec<ByteArray> = texts.collect();
                    let typed = column.typed::<ByteArrayType>();
                    typed.write_batch(&texts, Some(&there), None)?;
                }
            }
            column.close()?;
        }
        group.close()?;
        Ok(())
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // After its renaming it is not there; else what was begun is of no use, and that it cannot be
        // removed either is no news.
        drop(fs::remove_file(&self.draft));
    }
}

fn unwritten(path: &Path, error: ParquetError) -> FleetError {
    FleetError::Write {
        path: path.to_owned(),
        source: io::Error::other(error),
    }
}
