//! Points with labels, from comma-separated values.

use std::borrow::Cow;
use std::path::PathBuf;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use super::points::Points;

/// Where the points are: rows of numbers, of which the last is the label. A first line that is not numbers is a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The handwritten digits that are part of the program (`data/digits.csv`).
    Digits,
    /// A file.
    File(PathBuf),
}

/// Points and the class that each really is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// The points.
    pub points: Points,
    /// The label of each point.
    pub labels: Vec<u32>,
}

/// Why the points could not be read.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read {origin}: {why}")]
    Read {
        /// The file.
        origin: String,
        /// Why.
        why: String,
    },
    /// A row does not have the form of the others.
    #[error("line {line} of {origin}: {why}")]
    Row {
        /// The file.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// There are fewer points than clusters.
    #[error("{points} points cannot make {clusters} clusters")]
    TooFew {
        /// How many points there are.
        points: usize,
        /// How many clusters are asked for.
        clusters: usize,
    },
}

impl Source {
    /// All points.
    ///
    /// # Errors
    /// When the file cannot be read, or is not rows of numbers.
    pub fn all(&self) -> Result<Data, DataError> {
        self.part(0, 1)
    }

    /// Part `part` of `parts`; all parts together are all points.
    ///
    /// # Errors
    /// When the file cannot be read, or is not rows of numbers.
    pub fn part(&self, part: u32, parts: u32) -> Result<Data, DataError> {
        let text = self.text()?;
        let mut rows: Vec<(usize, &str)> = text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()).collect();
        if rows.first().is_some_and(|(_, row)| numbers(row).is_err()) {
            rows.remove(0);
        }
        let dimensions = rows.first().map_or(0, |(_, row)| row.split(',').count().saturating_sub(1));
        let [start, end] = [part, part + 1].map(|part| rows.len() * part as usize / parts as usize);

        let mut data = Data { points: Points::new(dimensions), labels: Vec::new() };
        for &(line, row) in &rows[start..end] {
            data.push(row).map_err(|why| DataError::Row { origin: self.to_string(), line: line + 1, why })?;
        }
        Ok(data)
    }

    fn text(&self) -> Result<Cow<'static, str>, DataError> {
        match self {
            Self::Digits => Ok(Cow::Borrowed(include_str!("../../data/digits.csv"))),
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(error) => Err(DataError::Read { origin: self.to_string(), why: error.to_string() }),
            },
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits.csv"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Data {
    fn push(&mut self, row: &str) -> Result<(), String> {
        let Some((coordinates, label)) = row.rsplit_once(',') else {
            return Err("a row is at least one coordinate and the label".to_owned());
        };
        let coordinates = numbers(coordinates)?;
        if coordinates.len() != self.points.dimensions() {
            return Err(format!("{} coordinates, unlike the {} before", coordinates.len(), self.points.dimensions()));
        }
        let label = label.trim().parse().map_err(|error| format!("the label `{label}`: {error}"))?;
        self.points.push(&coordinates);
        self.labels.push(label);
        Ok(())
    }
}

fn numbers(row: &str) -> Result<Vec<f64>, String> {
    let number = |text: &str| match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("`{text}` is not a finite number")),
    };
    row.split(',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Data, String> {
        let mut data = Data { points: Points::new(2), labels: Vec::new() };
        text.lines().try_for_each(|row| data.push(row))?;
        Ok(data)
    }

    #[test]
    fn parts_together_are_all_points() {
        let all = Source::Digits.all().expect("the digits are well-formed");
        assert_eq!((all.labels.len(), all.points.dimensions()), (1797, 64));
        let parts: Vec<_> = (0..8).map(|part| Source::Digits.part(part, 8).expect("is well-formed")).collect();
        let points: Vec<_> = parts.iter().flat_map(|part| part.points.iter()).collect();
        assert_eq!(points, all.points.iter().collect::<Vec<_>>());
        let labels: Vec<_> = parts.into_iter().flat_map(|part| part.labels).collect();
        assert_eq!(labels, all.labels);
    }

    #[test]
    fn a_row_of_another_form_is_refused() {
        assert_eq!(parse("1,2.5,3").expect("is well-formed").labels, [3]);
        assert!(parse("1,2,0\n1,0").is_err(), "a coordinate is missing");
        assert!(parse("1,x,0").is_err());
        assert!(parse("1,inf,0").is_err());
        assert!(parse("1,2,zero").is_err());
        assert!(parse("1").is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Source::File("no/such.csv".into()).all().expect_err("there is no such file");
        assert!(error.to_string().starts_with("cannot read no/such.csv: "), "{error}");
    }
}
