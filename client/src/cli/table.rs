//! Tables for people: aligned columns, two spaces apart.

use std::borrow::Cow;

/// Letters of a cell; what is longer is cut. It is far below the largest width that `format!` takes, 65,535.
const CELL_LENGTH_MAX: usize = 200;

/// To which side a column's cells go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// The lines of a table.
pub(super) fn render(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> = rows.iter().map(|row| row.iter().map(|cell| cut(cell)).collect()).collect();
    let width = |column: usize, title: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).chain([title.chars().count()]).max().unwrap_or(0)
    };
    let columns: Vec<_> =
        columns.iter().enumerate().map(|(place, &(title, align))| (title, align, width(place, title))).collect();
    let line = |cells: &[&str]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&columns)
            .map(|(cell, &(_, align, width))| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let titles: Vec<&str> = columns.iter().map(|&(title, _, _)| title).collect();
    let mut lines = vec![line(&titles)];
    lines.extend(rows.iter().map(|row| line(&row.iter().map(AsRef::as_ref).collect::<Vec<_>>())));
    lines.join("\n")
}

/// A cell as it is, or its beginning, with a sign that there is more.
fn cut(cell: &str) -> Cow<'_, str> {
    match cell.char_indices().nth(CELL_LENGTH_MAX - 1) {
        Some((end, last)) if end + last.len_utf8() < cell.len() => format!("{}…", &cell[..end]).into(),
        _ => cell.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_are_cut() {
        let whole = "ü".repeat(CELL_LENGTH_MAX);
        for long in [format!("{whole}ü"), "ü".repeat(70_000)] {
            let text = render(&[("KEY", Align::Left), ("N", Align::Right)], &[vec![long, "7".to_owned()]]);
            let line = text.lines().last().expect("is a line");
            assert_eq!(line, format!("{}…  7", "ü".repeat(CELL_LENGTH_MAX - 1)));
        }
        assert_eq!(render(&[("KEY", Align::Left)], &[vec![whole.clone()]]).lines().last(), Some(&*whole));
    }

    #[test]
    fn numbers_stand_below_each_other() {
        let rows = [vec!["n1".to_owned(), "7".to_owned()], vec!["total".to_owned(), "1024".to_owned()]];
        let text = render(&[("NODE", Align::Left), ("SLOTS", Align::Right)], &rows);
        assert_eq!(text, "NODE   SLOTS\nn1         7\ntotal   1024");
    }
}
