//! Tables: columns as wide as they need, rows that may go on over pages, the head again on each.

use super::font::Weight;
use super::layout::{ACCENT, INK, LEFT, LINE, Layout, SOFT, WIDTH};
use super::page::{Color, Style};
use crate::document::{Cell, Table, rgb};

const HEAD: Style = Style::new(Weight::Bold, 8.0, SOFT);
const CELL: Style = Style::new(Weight::Regular, 9.0, INK);
const BAR: Color = [214, 231, 239];
/// Left and right in a cell; above and below.
const PADDING: [f32; 2] = [5.0, 2.5];
const SWATCH: f32 = 10.0;

struct Columns {
    /// Left edge and width of each.
    places: Vec<[f32; 2]>,
}

impl Layout<'_> {
    pub fn table(&mut self, table: &Table) {
        if table.rows.is_empty() {
            return;
        }
        let columns = self.columns(table);
        let first = self.row_lines(&table.rows[0], &columns).1;
        self.need(40.0 + first.min(Self::room() / 2.0));
        self.table_head(table, &columns);
        for row in &table.rows {
            self.row(table, row, &columns);
        }
        self.y += 9.0;
    }

    /// Each column as wide as its widest cell; where that is too much all give way, the widest most.
    fn columns(&self, table: &Table) -> Columns {
        let mut wanted: Vec<f32> = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let cells = table.rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| self.canvas.width(&cell.text, CELL) + indent(cell)).fold(0.0, f32::max);
            wanted.push(widest.max(self.canvas.width(&column.name, HEAD)) + 2.0 * PADDING[0] + 1.0);
        }
        let total: f32 = wanted.iter().sum();
        if total <= WIDTH {
            let more = (WIDTH - total) / wanted.len().max(1) as f32;
            wanted.iter_mut().for_each(|width| *width += more);
        } else {
            shrink(&mut wanted, WIDTH);
        }
        let mut x = LEFT;
        let mut place = |width: f32| {
            x += width;
            [x - width, width]
        };
        Columns { places: wanted.into_iter().map(&mut place).collect() }
    }

    fn table_head(&mut self, table: &Table, columns: &Columns) {
        let lines: Vec<Vec<String>> = table
            .columns
            .iter()
            .zip(&columns.places)
            .map(|(column, [_, width])| self.canvas.wrap(&column.name, HEAD, width - 2.0 * PADDING[0]))
            .collect();
        let most = lines.iter().map(Vec::len).max().unwrap_or(1) as f32;
        let height = most * HEAD.line() + 2.0 * PADDING[1];
        for ((lines, column), place) in lines.iter().zip(&table.columns).zip(&columns.places) {
            for (n, line) in lines.iter().enumerate() {
                let y = self.y + PADDING[1] + (n as f32 + 0.72) * HEAD.line();
                self.cell_text(line, y, *place, 0.0, column.numeric, HEAD);
            }
        }
        self.y += height;
        self.canvas.fill(LEFT, self.y - 1.0, [WIDTH, 1.0], ACCENT);
    }

    /// Each cell's lines, and the row's height.
    fn row_lines(&self, row: &[Cell], columns: &Columns) -> (Vec<Vec<String>>, f32) {
        let lines: Vec<Vec<String>> = row
            .iter()
            .zip(&columns.places)
            .map(|(cell, [_, width])| self.canvas.wrap(&cell.text, CELL, width - 2.0 * PADDING[0] - indent(cell)))
            .collect();
        let most = lines.iter().map(Vec::len).max().unwrap_or(1) as f32;
        (lines, most * CELL.line() + 2.0 * PADDING[1])
    }

    /// Line by line, so that a row higher than a page goes on.
    fn row(&mut self, table: &Table, row: &[Cell], columns: &Columns) {
        let (lines, height) = self.row_lines(row, columns);
        if self.need(height.min(Self::room() / 2.0)) {
            self.table_head(table, columns);
        }
        let most = lines.iter().map(Vec::len).max().unwrap_or(1);
        for n in 0..most {
            let above = if n == 0 { PADDING[1] } else { 0.0 };
            if self.need(above + CELL.line() + PADDING[1]) {
                self.table_head(table, columns);
            }
            self.y += above;
            let foot = self.y + 0.72 * CELL.line();
            for (((cell, lines), column), place) in row.iter().zip(&lines).zip(&table.columns).zip(&columns.places) {
                if n == 0 {
                    self.marks(cell, *place);
                }
                if let Some(line) = lines.get(n) {
                    self.cell_text(line, foot, *place, indent(cell), column.numeric, CELL);
                }
            }
            self.y += CELL.line();
        }
        self.y += PADDING[1];
        self.canvas.fill(LEFT, self.y - 0.5, [WIDTH, 0.5], LINE);
    }

    /// Bar and swatch.
    fn marks(&mut self, cell: &Cell, [x, width]: [f32; 2]) {
        if let Some(share) = cell.share {
            let bar = (width - 4.0) * share.clamp(0.0, 1.0) as f32;
            self.canvas.fill(x + width - 2.0 - bar, self.y - 0.5, [bar, CELL.line()], BAR);
        }
        if let Some(color) = &cell.color {
            self.canvas.fill(x + PADDING[0], self.y + 3.4, [6.5, 6.5], rgb(color));
        }
    }

    fn cell_text(&mut self, line: &str, y: f32, [x, width]: [f32; 2], indent: f32, numeric: bool, style: Style) {
        let x = if numeric { x + width - PADDING[0] - self.canvas.width(line, style) } else { x + PADDING[0] + indent };
        self.canvas.text(x, y, line, style);
    }
}

fn indent(cell: &Cell) -> f32 {
    if cell.color.is_some() { SWATCH } else { 0.0 }
}

/// Cuts the widest to one common width, so that all together take `total`.
fn shrink(widths: &mut [f32], total: f32) {
    let mut sorted = widths.to_vec();
    sorted.sort_by(f32::total_cmp);
    let mut left = total;
    let mut common = total;
    for (index, width) in sorted.iter().enumerate() {
        common = left / (sorted.len() - index) as f32;
        if *width >= common {
            break;
        }
        left -= width;
    }
    widths.iter_mut().for_each(|width| *width = width.min(common));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_give_way() {
        let mut widths = [50.0, 600.0, 300.0, 20.0];
        shrink(&mut widths, 470.0);
        assert_eq!(widths, [50.0, 200.0, 200.0, 20.0]);
        let mut widths = [100.0, 100.0];
        shrink(&mut widths, 50.0);
        assert_eq!(widths, [25.0, 25.0]);
    }
}
