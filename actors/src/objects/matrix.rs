//! The object behind `Matrix<T>`: numbers in rows and columns, with which the node calculates.

use std::ops::Range;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use super::elements::{ArrayError, Elements, Shape};
use super::merging::By;
use super::pages::{check_index, check_range};
use super::vector::{ElementsPage, check_pairs, check_size, summary};
use crate::ids::Fence;
use crate::turn::Turn;

/// Numbers in rows and columns; use it through the client's `Matrix<T>`.
#[object(name = "Matrix")]
#[derive(Debug, Serialize, Deserialize)]
pub struct MatrixObject {
    rows: usize,
    columns: usize,
    /// The turn of the last change, so that a reader of several pages sees whether they belong together. It grows even when the
    /// object is deleted and made anew; one that was never changed is as its constructor made it, whichever it is.
    version: Fence,
    /// One element: what the others are at first, and after they were taken.
    initial: Elements,
    /// Row by row.
    elements: Elements,
}

#[object]
impl MatrixObject {
    /// A matrix of so many rows and columns, at least one each, whose elements are the first of `initial`.
    pub fn new(rows: usize, columns: usize, initial: Elements) -> Result<Self, String> {
        if rows == 0 || columns == 0 {
            return Err("a matrix needs at least one row and one column".to_owned());
        }
        let bytes = rows.checked_mul(columns).and_then(|length| length.checked_mul(initial.element_bytes()));
        check_size(bytes)?;
        let initial = initial.repeated(1);
        Ok(Self { rows, columns, version: Fence(0), elements: initial.repeated(rows * columns), initial })
    }

    /// How many rows there are, and how many columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The element in that row and column, alone.
    pub fn get(&self, row: usize, column: usize) -> Result<Elements, ArrayError> {
        let index = self.index(row, column)?;
        Ok(self.elements.slice(index..index + 1))
    }

    /// The elements of the rows from `start` to `end` (or to the last), row by row and without the first `skip`: as many as fit
    /// into so many bytes.
    pub fn page(
        &self,
        start: usize,
        end: Option<usize>,
        skip: usize,
        bytes_max: usize,
    ) -> Result<ElementsPage, ArrayError> {
        let rows = check_range(start, end, self.rows).map_err(ArrayError::Row)?;
        let all = rows.start * self.columns..rows.end * self.columns;
        let from = all.start.saturating_add(skip).min(all.end);
        let to = all.end.min(from + self.elements.fitting(bytes_max));
        Ok(self.paged(self.elements.slice(from..to), to < all.end))
    }

    /// The elements of that column from the row `start` on, as many as fit into so many bytes.
    pub fn column(&self, column: usize, start: usize, bytes_max: usize) -> Result<ElementsPage, ArrayError> {
        let column = check_index(column, self.columns).map_err(ArrayError::Column)?;
        let rows = check_range(start, None, self.rows).map_err(ArrayError::Row)?;
        let to = rows.end.min(rows.start + self.elements.fitting(bytes_max));
        let range = (rows.start * self.columns + column).min(self.elements.len())..to * self.columns;
        Ok(self.paged(self.elements.every(range, self.columns), to < rows.end))
    }

    /// Combines the element in that row and column with the first of `value`; returns what came of it.
    pub fn merge_one(
        &mut self,
        row: usize,
        column: usize,
        value: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<Elements, ArrayError> {
        let index = self.index(row, column)?;
        self.elements.merge(index, &value.repeated(1), &by)?;
        self.version = turn.fence();
        self.get(row, column)
    }

    /// Combines the elements, row by row from number `start` on, with `delta`: a piece of something that has that shape.
    pub fn merge(
        &mut self,
        shape: (usize, usize),
        start: usize,
        delta: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<(), ArrayError> {
        if shape != self.shape() {
            return Err(self.other_shape(shape.0, shape.1));
        }
        self.merge_range(start, &delta, &by, turn)
    }

    /// Combines the elements of a row, from the column `start` on, with `delta`: a piece of a row of so many columns.
    pub fn merge_row(
        &mut self,
        row: usize,
        columns: usize,
        start: usize,
        delta: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<(), ArrayError> {
        let row = check_index(row, self.rows).map_err(ArrayError::Row)?;
        if columns != self.columns {
            let (expected, found) = (Shape::Vector(self.columns), Shape::Vector(columns));
            return Err(ArrayError::Shape { expected, found });
        }
        check_range(start, Some(start.saturating_add(delta.len())), columns).map_err(ArrayError::Column)?;
        self.merge_range(row * self.columns + start, &delta, &by, turn)
    }

    /// Combines the element in each of `places` (row, column) with the one of `delta` that belongs to it.
    pub fn merge_sparse(
        &mut self,
        places: Vec<(usize, usize)>,
        delta: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<(), ArrayError> {
        check_pairs(places.len(), &delta)?;
        let indices: Result<Vec<usize>, ArrayError> =
            places.into_iter().map(|(row, column)| self.index(row, column)).collect();
        self.elements.merge_at(&indices?, &delta, &by)?;
        self.version = turn.fence();
        Ok(())
    }

    /// Sets all elements to the first of `value`.
    pub fn fill(&mut self, value: Elements, turn: &mut Turn) -> Result<(), ArrayError> {
        self.elements.fill(self.all(), &value)?;
        self.version = turn.fence();
        Ok(())
    }

    /// The sum of the elements, alone.
    pub fn sum(&self) -> Elements {
        self.elements.sum()
    }

    /// The elements, row by row from number `start` on, as many as fit into so many bytes; they are what they were at first
    /// from now on.
    pub fn take(&mut self, start: usize, bytes_max: usize, turn: &mut Turn) -> Result<ElementsPage, ArrayError> {
        let page = self.page(0, None, start, bytes_max)?;
        let start = start.min(self.elements.len());
        self.elements.fill(start..start + page.elements.len(), &self.initial)?;
        self.version = turn.fence();
        Ok(page)
    }

    fn all(&self) -> Range<usize> {
        0..self.elements.len()
    }

    fn index(&self, row: usize, column: usize) -> Result<usize, ArrayError> {
        let row = check_index(row, self.rows).map_err(ArrayError::Row)?;
        let column = check_index(column, self.columns).map_err(ArrayError::Column)?;
        Ok(row * self.columns + column)
    }

    fn paged(&self, elements: Elements, more: bool) -> ElementsPage {
        ElementsPage { version: self.version, shape: Shape::Matrix(self.rows, self.columns), more, elements }
    }

    fn other_shape(&self, rows: usize, columns: usize) -> ArrayError {
        ArrayError::Shape { expected: Shape::Matrix(self.rows, self.columns), found: Shape::Matrix(rows, columns) }
    }

    fn merge_range(&mut self, start: usize, delta: &Elements, by: &By, turn: &Turn) -> Result<(), ArrayError> {
        let end = Some(start.saturating_add(delta.len()));
        check_range(start, end, self.elements.len()).map_err(ArrayError::Index)?;
        self.elements.merge(start, delta, by)?;
        self.version = turn.fence();
        Ok(())
    }

    fn summary(&self) -> serde_json::Value {
        summary(&self.elements, Shape::Matrix(self.rows, self.columns), self.version)
    }
}
