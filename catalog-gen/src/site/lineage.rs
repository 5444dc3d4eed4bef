//! One hop of lineage as a drawing. The page lists every neighbour beside it, so the drawing may
//! stop at a size that still reads.

use std::fmt::Write as _;

use neurolake_model::Input;

use super::atlas::Atlas;
use super::html::{escape, escaped, page_address};
use super::markdown::Tables as _;

/// Boxes on each side.
const MOST: usize = 14;
const WIDTH: usize = 720;
/// Size of a box; `site.css` says it again for all boxes at once.
const BOX: usize = 204;
const HEIGHT: usize = 30;
const STEP: usize = 38;
/// Characters of 12 px monospace that fit a box.
const LETTERS: usize = 26;

/// Draws the tables that `name` reads (left) and that read it (right).
pub(crate) fn draw(
    atlas: &Atlas<'_>,
    database: &str,
    name: &str,
    inputs: &[Input],
    outputs: &[Input],
) -> String {
    let rows = rows(inputs).max(rows(outputs)).max(1);
    let height = rows * STEP - (STEP - HEIGHT);
    let middle = height / 2;
    let mut svg = format!(
        r#"<svg class="graph" viewBox="-.5 -.5 {} {}" role="group" aria-label="Lineage, one step">"#,
        WIDTH + 1,
        height + 1
    );
    let mut edges = String::new();
    let mut boxes = String::new();
    for (side, neighbours) in [(0, inputs), (WIDTH - BOX, outputs)] {
        let count = self::rows(neighbours);
        let top = middle - (count * STEP).saturating_sub(STEP - HEIGHT) / 2;
        for row in 0..count {
            let y = top + row * STEP;
            let center = y + HEIGHT / 2;
            let (from, to) = if side == 0 {
                ((BOX, center), ((WIDTH - BOX) / 2, middle))
            } else {
                ((usize::midpoint(WIDTH, BOX), middle), (side, center))
            };
            let bend = usize::midpoint(from.0, to.0);
            let _ = write!(
                edges,
                "M{} {}C{bend} {},{bend} {},{} {}",
                from.0, from.1, from.1, to.1, to.0, to.1
            );
            if row + 1 == count && neighbours.len() > MOST {
                let text = format!("and {} more", neighbours.len() + 1 - MOST);
                node(&mut boxes, side, y, &text, "more");
                continue;
            }
            neighbour(&mut boxes, atlas, &neighbours[row], database, side, y);
        }
    }
    let _ = write!(svg, r#"<path d="{edges}"/>"#);
    svg.push_str(&boxes);
    node(
        &mut svg,
        (WIDTH - BOX) / 2,
        middle - HEIGHT / 2,
        &shortened(name),
        "here",
    );
    svg.push_str("</svg>");
    svg
}

fn rows(neighbours: &[Input]) -> usize {
    neighbours.len().min(MOST)
}

fn neighbour(
    out: &mut String,
    atlas: &Atlas<'_>,
    table: &Input,
    database: &str,
    x: usize,
    y: usize,
) {
    let full = table.to_string();
    let label = if table.database == database {
        &table.table
    } else {
        &full
    };
    let short = shortened(label);
    if !atlas.has_page(&table.database, &table.table) {
        return node(out, x, y, &short, "more");
    }
    let address = page_address(database, &table.database, &table.table);
    let _ = write!(out, r#"<a href="{address}">"#);
    if short != full {
        let _ = write!(out, "<title>{}</title>", escaped(&full));
    }
    node(out, x, y, &short, "");
    out.push_str("</a>");
}

fn node(out: &mut String, x: usize, y: usize, label: &str, class: &str) {
    if !class.is_empty() {
        let _ = write!(out, r#"<g class="{class}">"#);
    }
    let _ = write!(
        out,
        r#"<rect x="{x}" y="{y}"/><text x="{}" y="{}">"#,
        x + BOX / 2,
        y + HEIGHT / 2 + 4
    );
    escape(out, label);
    out.push_str(if class.is_empty() {
        "</text>"
    } else {
        "</text></g>"
    });
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(LETTERS - 1).collect();
    short.push('…');
    short
}
