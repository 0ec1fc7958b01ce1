//! Curves as inline SVG: axes from 0 to 1, in the page's own colours.

use std::fmt::Write as _;

use super::figures::escape;

const SIDE: f64 = 240.0;
const LEFT: f64 = 44.0;
const TOP: f64 = 10.0;

/// A square plot.
pub(super) struct Plot {
    title: String,
    body: String,
    x: &'static str,
    y: &'static str,
}

impl Plot {
    pub fn new(title: impl Into<String>, x: &'static str, y: &'static str) -> Self {
        Self { title: title.into(), body: String::new(), x, y }
    }

    /// From (0, 0) to (1, 1): chance, or perfect calibration.
    pub fn diagonal(mut self) -> Self {
        self.path([(0.0, 0.0), (1.0, 1.0)].into_iter(), "chance");
        self
    }

    /// Straight between the points.
    pub fn line(mut self, points: impl Iterator<Item = (f64, f64)>) -> Self {
        self.path(points, "curve");
        self
    }

    /// A precision stays what it is until the next recall.
    pub fn steps(mut self, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut corners: Vec<(f64, f64)> = Vec::new();
        for (x, y) in points {
            corners.push((corners.last().map_or(0.0, |last| last.0), y));
            corners.push((x, y));
        }
        self.path(corners.into_iter(), "curve");
        self
    }

    /// A point with the interval of its y.
    pub fn point(mut self, (x, y): (f64, f64), interval: Option<[f64; 2]>, words: &str) -> Self {
        let (px, py) = place(x, y);
        if let Some([low, high]) = interval {
            let ((_, low), (_, high)) = (place(x, low), place(x, high));
            let _ = write!(self.body, "<path class=\"bar\" d=\"M{px:.1} {low:.1}V{high:.1}\"/>");
        }
        let words = escape(words);
        let _ = write!(self.body, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\"><title>{words}</title></circle>");
        self
    }

    fn path(&mut self, points: impl Iterator<Item = (f64, f64)>, class: &str) {
        let mut d = String::new();
        let mut before = (f64::NAN, f64::NAN);
        for (i, (x, y)) in points.filter(|(x, y)| x.is_finite() && y.is_finite()).enumerate() {
            let (x, y) = place(x, y);
            let at = ((x * 10.0).round(), (y * 10.0).round());
            // Thousands of cases lie on a few hundred pixels.
            if at != before {
                let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
                before = at;
            }
        }
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{d}\"/>");
    }

    pub fn finish(self) -> String {
        let (width, height) = (LEFT + SIDE + 12.0, TOP + SIDE + 44.0);
        let mut axes = String::new();
        for tick in 0..=4 {
            let value = f64::from(tick) / 4.0;
            let ((x, bottom), (left, y)) = (place(value, 0.0), place(0.0, value));
            let (right, top) = place(1.0, 1.0);
            let _ = write!(
                axes,
                "<path class=\"grid\" d=\"M{x:.1} {bottom:.1}V{top:.1}M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                bottom + 15.0,
                left - 5.0,
                y + 4.0,
            );
        }
        let (title, x, y) = (escape(&self.title), escape(self.x), escape(self.y));
        let (middle, bottom) = (LEFT + SIDE / 2.0, TOP + SIDE + 34.0);
        let centre = TOP + SIDE / 2.0;
        format!(
            "<figure><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">{axes}{}\
             <text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{x}</text>\
             <text transform=\"translate(10 {centre}) rotate(-90)\" text-anchor=\"middle\">{y}</text></svg>\
             <figcaption>{title}</figcaption></figure>",
            self.body,
        )
    }
}

fn place(x: f64, y: f64) -> (f64, f64) {
    (LEFT + x.clamp(0.0, 1.0) * SIDE, TOP + (1.0 - y.clamp(0.0, 1.0)) * SIDE)
}
