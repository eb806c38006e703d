//! Tables for people: aligned columns, two spaces apart.

/// To which side a column's cells go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// The lines of a table.
pub(super) fn render(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
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
    lines.extend(rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_below_each_other() {
        let rows = [vec!["n1".to_owned(), "7".to_owned()], vec!["total".to_owned(), "1024".to_owned()]];
        let text = render(&[("NODE", Align::Left), ("SLOTS", Align::Right)], &rows);
        assert_eq!(text, "NODE   SLOTS\nn1         7\ntotal   1024");
    }
}
