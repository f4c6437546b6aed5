//! Stairs: how a count grows with another.

use super::{Anchor, Canvas, Caption, Frame};

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    /// The class of its colour and dashes, such as `required`.
    pub class: &'static str,
    /// The points at which the line rises, and to what, sorted. It begins at 0.
    pub points: Vec<(f64, f64)>,
}

/// Draws some lines over the same axes, with their names above.
pub fn steps(lines: &[Line], x: &str, y: &str, caption: &Caption, alone: bool) -> String {
    let (width, legend) = (720.0, 20.0 * lines.len() as f64);
    let height = 380.0 + legend;
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max);
    let frame = Frame {
        left: 46.0,
        top: legend + 34.0,
        width: width - 66.0,
        height: height - legend - 78.0,
        most: (most(|point| point.0), most(|point| point.1)),
    };
    let mut canvas = Canvas::new(width, height);
    frame.draw_y(&mut canvas);
    frame.draw_x(&mut canvas);
    frame.label(&mut canvas, x, y);
    for (index, line) in lines.iter().enumerate() {
        let key = 14.0 + 20.0 * index as f64;
        let class = format!("line line-{}", line.class);
        canvas.line((frame.left, key), (frame.left + 30.0, key), &class);
        canvas.text(frame.left + 38.0, key + 4.0, Anchor::Start, "", &line.name);
        let mut path = format!("M{:.1} {:.1}", frame.x(0.0), frame.y(0.0));
        let mut level = None;
        for (at, value) in &line.points {
            if level != Some(value) {
                path.push_str(&format!("H{:.1}V{:.1}", frame.x(*at), frame.y(*value)));
                level = Some(value);
            }
        }
        path.push_str(&format!("H{:.1}", frame.x(frame.most.0)));
        canvas.push(format_args!("<path d=\"{path}\" class=\"{class}\"/>"));
    }
    canvas.finish(caption, alone)
}
