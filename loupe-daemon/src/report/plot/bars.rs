//! Bars inside each other: parts of parts, one group for each thing that has them.

use super::{Anchor, Canvas, Caption, Frame};

/// One group.
#[derive(Clone, Debug)]
pub struct Bar {
    pub name: String,
    /// One value for each of the parts, the outermost first; what is not known is not drawn.
    pub values: Vec<Option<f64>>,
    /// What it says when it is pointed at.
    pub title: String,
}

/// Draws the groups side by side, each part narrower than the one around it, with the names of
/// the parts above and those of the groups below.
pub fn bars(
    parts: &[(&str, &str)],
    groups: &[Bar],
    y: &str,
    caption: &Caption,
    alone: bool,
) -> String {
    let pitch = (660.0 / groups.len().max(1) as f64).clamp(12.0, 90.0);
    let left = 46.0;
    let inside = (pitch * groups.len() as f64).max(480.0);
    let names = 118.0;
    let (width, height) = (left + inside + 20.0, 400.0 + names);
    let values = groups
        .iter()
        .flat_map(|group| group.values.iter().flatten());
    let frame = Frame {
        left,
        top: 54.0,
        width: inside,
        height: 320.0,
        most: (groups.len() as f64, values.copied().fold(1.0, f64::max)),
    };
    let mut canvas = Canvas::new(width, height);
    frame.draw_y(&mut canvas);
    canvas.text(left - 34.0, frame.top - 10.0, Anchor::Start, "label", y);
    let mut key = left;
    for (name, class) in parts {
        canvas.rect((key, 8.0), (14.0, 12.0), &format!("fill-{class}"), 1.0, "");
        canvas.text(key + 20.0, 18.0, Anchor::Start, "", name);
        key += 42.0 + 6.6 * name.chars().count() as f64;
    }
    let bottom = frame.top + frame.height;
    for (index, group) in groups.iter().enumerate() {
        let middle = left + pitch * (index as f64 + 0.5);
        canvas.push(format_args!("<g>"));
        canvas.push(format_args!(
            "<title>{}</title>",
            super::escape(&group.title)
        ));
        for (depth, (value, (_, class))) in group.values.iter().zip(parts).enumerate() {
            if let Some(value) = value {
                let wide = (pitch - 2.0) * (1.0 - 0.28 * depth as f64);
                let top = frame.y(*value);
                let at = (middle - wide / 2.0, top);
                canvas.rect(at, (wide, bottom - top), &format!("fill-{class}"), 1.0, "");
            }
        }
        canvas.push(format_args!("</g>"));
        let (x, y) = (middle + 3.0, bottom + 8.0);
        let name = super::escape(&shortened(&group.name));
        canvas.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" class=\"name\" \
             transform=\"rotate(-60 {x:.1} {y:.1})\">{name}</text>"
        ));
    }
    canvas.finish(caption, alone)
}

/// What fits below a bar.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(22) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
