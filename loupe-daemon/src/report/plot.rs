//! Plots as SVG: a small canvas, axes, and one file per kind of plot. Knows numbers and labels,
//! nothing of where they come from.
//!
//! Colours are classes, so that a plot in a page follows the page's light or dark theme; a plot
//! in a file of its own brings its own style.

mod bars;
mod heat;
mod steps;

use std::fmt::Write as _;

pub use bars::{Bar, bars};
pub use heat::{Tile, heat};
pub use steps::{Line, steps};

/// The classes that plots use, for both themes.
pub const STYLE: &str = include_str!("plot/plot.css");

/// What a plot is called; the second sentence tells those who cannot see it.
#[derive(Clone, Debug)]
pub struct Caption {
    pub title: String,
    pub description: String,
}

/// A drawing of which only the inside is there yet.
struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

/// Text in XML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write the others.
            control if control.is_control() => escaped.push('\u{fffd}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    fn new(width: f64, height: f64) -> Canvas {
        Canvas {
            width,
            height,
            body: String::new(),
        }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// A rectangle that tells what it is when it is pointed at.
    fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str, strength: f64, title: &str) {
        let ((x, y), (width, height)) = (at, size);
        let opacity = match strength < 1.0 {
            true => format!(" fill-opacity=\"{strength:.2}\""),
            false => String::new(),
        };
        let title = match title.is_empty() {
            true => "/>".to_owned(),
            false => format!("><title>{}</title></rect>", escape(title)),
        };
        self.push(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             class=\"{class}\"{opacity}{title}"
        ));
    }

    /// The whole drawing; alone in a file it has its style with it.
    fn finish(self, caption: &Caption, alone: bool) -> String {
        let (width, height) = (self.width, self.height);
        let style = match alone {
            true => format!(
                "<style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n"
            ),
            false => String::new(),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" class=\"plot\" role=\"img\">\n\
             <title>{}</title>\n<desc>{}</desc>\n{style}{}</svg>\n",
            escape(&caption.title),
            escape(&caption.description),
            self.body
        )
    }
}

/// The part of a canvas between its axes.
#[derive(Clone, Copy, Debug)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    /// The values at the right and upper ends; both axes begin at 0.
    most: (f64, f64),
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        self.left + self.width * value / self.most.0.max(f64::MIN_POSITIVE)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - value / self.most.1.max(f64::MIN_POSITIVE))
    }

    /// Lines across at round values, with their labels on the left.
    fn draw_y(&self, canvas: &mut Canvas) {
        for tick in ticks(self.most.1, 6) {
            let y = self.y(tick);
            let right = self.left + self.width;
            canvas.line(
                (self.left, y),
                (right, y),
                if tick == 0.0 { "axis" } else { "grid" },
            );
            canvas.text(
                self.left - 6.0,
                y + 4.0,
                Anchor::End,
                "tick",
                &format!("{tick}"),
            );
        }
    }

    fn draw_x(&self, canvas: &mut Canvas) {
        let bottom = self.top + self.height;
        for tick in ticks(self.most.0, 8) {
            let x = self.x(tick);
            canvas.line((x, bottom), (x, bottom + 4.0), "axis");
            canvas.text(x, bottom + 17.0, Anchor::Middle, "tick", &format!("{tick}"));
        }
    }

    fn label(&self, canvas: &mut Canvas, x: &str, y: &str) {
        let bottom = self.top + self.height;
        canvas.text(
            self.left + self.width,
            bottom + 33.0,
            Anchor::End,
            "label",
            x,
        );
        canvas.text(self.left - 34.0, self.top - 10.0, Anchor::Start, "label", y);
    }
}

/// Round values from 0 to `most`, at most `steps` of them.
fn ticks(most: f64, steps: usize) -> Vec<f64> {
    let rough = (most / steps as f64).max(1.0);
    let magnitude = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * magnitude >= rough);
    let step = factor.unwrap_or(10.0) * magnitude;
    let count = (most / step).floor() as usize;
    (0..=count).map(|index| index as f64 * step).collect()
}

#[cfg(test)]
mod tests;
