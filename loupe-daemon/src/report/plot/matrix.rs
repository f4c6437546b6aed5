//! A table of squares: the stronger, the more.

use super::{Anchor, Canvas, Caption};

const SQUARE_PX: f64 = 16.0;
/// Room for names, whose letters are about 6 px wide.
const ROW_NAME_PX: f64 = 220.0;
const COLUMN_NAME_PX: f64 = 150.0;
const ROW_NAME_CHARACTERS: usize = 34;
const COLUMN_NAME_CHARACTERS: usize = 26;

/// Names of rows and columns, and the squares that are not empty.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// Row, column, strength from 0 to 1, and what it says when it is pointed at.
    pub squares: Vec<(usize, usize, f64, String)>,
}

/// Draws it, with the names of the columns above, at a slant.
pub fn matrix(matrix: &Matrix, caption: &Caption, alone: bool) -> String {
    let width = ROW_NAME_PX + SQUARE_PX * matrix.columns.len() as f64 + COLUMN_NAME_PX;
    let height = COLUMN_NAME_PX + SQUARE_PX * matrix.rows.len() as f64 + 10.0;
    let mut canvas = Canvas::new(width, height);
    let x = |column: usize| ROW_NAME_PX + SQUARE_PX * column as f64;
    let y = |row: usize| COLUMN_NAME_PX + SQUARE_PX * row as f64;
    for (column, name) in matrix.columns.iter().enumerate() {
        let (x, y) = (x(column) + 11.0, COLUMN_NAME_PX - 6.0);
        let name = super::escape(&shortened(name, COLUMN_NAME_CHARACTERS));
        canvas.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-50 {x:.1} {y:.1})\" \
             class=\"name\">{name}</text>"
        ));
    }
    for (row, name) in matrix.rows.iter().enumerate() {
        let name = shortened(name, ROW_NAME_CHARACTERS);
        canvas.text(ROW_NAME_PX - 6.0, y(row) + 11.0, Anchor::End, "name", &name);
        // A line for each row, not a frame for each square: there may be tens of thousands.
        let below = y(row) + SQUARE_PX - 1.0;
        let right = x(matrix.columns.len());
        canvas.line((ROW_NAME_PX, below), (right, below), "grid");
    }
    for (row, column, strength, title) in &matrix.squares {
        let size = (SQUARE_PX - 2.0, SQUARE_PX - 2.0);
        let strength = 0.18 + 0.82 * strength.clamp(0.0, 1.0);
        canvas.rect((x(*column), y(*row)), size, "fill-used", strength, title);
    }
    canvas.finish(caption, alone)
}

/// The end of a long name tells more than its beginning: `…/kernel/ngroups_max`.
fn shortened(name: &str, most: usize) -> String {
    let length = name.chars().count();
    match length > most {
        true => {
            let kept: String = name.chars().skip(length - (most - 1)).collect();
            format!("…{kept}")
        }
        false => name.to_owned(),
    }
}
