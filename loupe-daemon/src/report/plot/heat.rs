//! A grid of tiles, the stronger the more.

use std::collections::BTreeSet;

use super::{Anchor, Canvas, Caption};

/// Tiles in a row.
const TILES_PER_ROW: usize = 32;
const TILE_SIDE_PX: f64 = 20.0;

/// One tile.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Its place in the grid.
    pub number: u32,
    /// 0 to 1.
    pub share: f64,
    /// What it says when it is pointed at.
    pub title: String,
}

/// Draws grids below each other, each with its heading and the class of its colour.
pub fn heat(grids: &[(&str, &str, Vec<Tile>)], caption: &Caption, alone: bool) -> String {
    let left = 40.0;
    let tiles = || grids.iter().flat_map(|(_, _, tiles)| tiles);
    // Rows without any number in them, of which x86-64 has some, are not there.
    let rows: BTreeSet<usize> = tiles()
        .map(|tile| tile.number as usize / TILES_PER_ROW)
        .collect();
    let rows: Vec<usize> = rows.into_iter().collect();
    let panel = 34.0 + rows.len() as f64 * TILE_SIDE_PX + 14.0;
    let width = left + TILES_PER_ROW as f64 * TILE_SIDE_PX + 16.0;
    let mut canvas = Canvas::new(width, panel * grids.len() as f64 + 26.0);
    for (index, (heading, class, tiles)) in grids.iter().enumerate() {
        let top = panel * index as f64 + 34.0;
        canvas.text(left, top - 14.0, Anchor::Start, "", heading);
        for (place, row) in rows.iter().enumerate() {
            let y = top + TILE_SIDE_PX * place as f64 + 14.0;
            let number = format!("{}", row * TILES_PER_ROW);
            canvas.text(left - 6.0, y, Anchor::End, "tick", &number);
        }
        let fill = format!("fill-{class}");
        for tile in tiles {
            let (row, column) = (
                tile.number as usize / TILES_PER_ROW,
                tile.number as usize % TILES_PER_ROW,
            );
            let row = rows.partition_point(|other| *other < row);
            let at = (
                left + TILE_SIDE_PX * column as f64,
                top + TILE_SIDE_PX * row as f64,
            );
            let size = (TILE_SIDE_PX - 2.0, TILE_SIDE_PX - 2.0);
            match tile.share > 0.0 {
                true => canvas.rect(at, size, &fill, 0.18 + 0.82 * tile.share, &tile.title),
                false => canvas.rect(at, size, "empty", 1.0, &tile.title),
            }
        }
    }
    scale(&mut canvas, grids, left, panel * grids.len() as f64 + 6.0);
    canvas.finish(caption, alone)
}

/// What the strengths mean.
fn scale(canvas: &mut Canvas, grids: &[(&str, &str, Vec<Tile>)], left: f64, y: f64) {
    let class = grids.last().map_or("used", |(_, class, _)| class);
    canvas.rect((left, y), (14.0, 12.0), "empty", 1.0, "");
    canvas.text(left + 20.0, y + 10.0, Anchor::Start, "tick", "none");
    for step in 1..=5 {
        let share = f64::from(step) / 5.0;
        let x = left + 40.0 + 16.0 * f64::from(step);
        let fill = format!("fill-{class}");
        canvas.rect((x, y), (14.0, 12.0), &fill, 0.18 + 0.82 * share, "");
    }
    canvas.text(
        left + 142.0,
        y + 10.0,
        Anchor::Start,
        "tick",
        "all applications",
    );
}
