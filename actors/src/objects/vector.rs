//! The object behind `Vector<T>`: numbers in a row, with which the node calculates.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::elements::{ArrayError, Elements, Shape};
use super::merging::By;
use super::pages::{BULK_BYTES, check_index, check_range};
use crate::ids::Fence;
use crate::turn::Turn;

/// The largest vector or matrix, in bytes of its elements.
pub const ARRAY_BYTES_MAX: usize = 1 << 30;

/// Numbers in a row; use it through the client's `Vector<T>`.
#[object(name = "Vector")]
#[derive(Debug, Serialize, Deserialize)]
pub struct VectorObject {
    /// The turn of the last change, so that a reader of several pages sees whether they belong together. It grows even when the
    /// object is deleted and made anew; one that was never changed is as its constructor made it, whichever it is.
    version: Fence,
    /// One element: what the others are at first, and after they were taken.
    initial: Elements,
    elements: Elements,
}

/// Elements that follow each other, as they were at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElementsPage {
    /// The version: pages of one version are of one moment.
    pub version: Fence,
    /// The shape of all of it.
    pub shape: Shape,
    /// Whether what was asked for goes on.
    pub more: bool,
    /// The elements.
    pub elements: Elements,
}

#[object]
impl VectorObject {
    /// A vector of that length, each element of which is the first of `initial`.
    pub fn new(length: usize, initial: Elements) -> Result<Self, String> {
        check_size(length.checked_mul(initial.element_bytes()))?;
        let initial = initial.repeated(1);
        Ok(Self { version: Fence(0), elements: initial.repeated(length), initial })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The element at that index, alone.
    pub fn get(&self, index: usize) -> Result<Elements, ArrayError> {
        let index = self.check(index)?;
        Ok(self.elements.slice(index..index + 1))
    }

    /// The elements from `start` to `end` (or to the end of the vector), as many as fit into so many bytes.
    pub fn page(&self, start: usize, end: Option<usize>, bytes_max: usize) -> Result<ElementsPage, ArrayError> {
        let range = check_range(start, end, self.len()).map_err(ArrayError::Index)?;
        let to = range.end.min(range.start + self.elements.fitting(bytes_max));
        Ok(ElementsPage {
            version: self.version,
            shape: Shape::Vector(self.len()),
            more: to < range.end,
            elements: self.elements.slice(range.start..to),
        })
    }

    /// Combines the element at that index with the first of `value`; returns what came of it.
    pub fn merge_one(
        &mut self,
        index: usize,
        value: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<Elements, ArrayError> {
        let index = self.check(index)?;
        self.elements.merge(index, &value.repeated(1), &by)?;
        self.version = turn.fence();
        self.get(index)
    }

    /// Combines the elements from `start` on with `delta`, which is a piece of something that is as long as the vector.
    pub fn merge(
        &mut self,
        length: usize,
        start: usize,
        delta: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<(), ArrayError> {
        if length != self.len() {
            let (expected, found) = (Shape::Vector(self.len()), Shape::Vector(length));
            return Err(ArrayError::Shape { expected, found });
        }
        self.merge_range(start, delta, by, turn)
    }

    /// Combines the elements from `start` on with `delta`.
    pub fn merge_range(&mut self, start: usize, delta: Elements, by: By, turn: &mut Turn) -> Result<(), ArrayError> {
        check_range(start, Some(start.saturating_add(delta.len())), self.len()).map_err(ArrayError::Index)?;
        self.elements.merge(start, &delta, &by)?;
        self.version = turn.fence();
        Ok(())
    }

    /// Combines the element at each of `indices` with the one of `delta` in that index's place.
    pub fn merge_sparse(
        &mut self,
        indices: Vec<usize>,
        delta: Elements,
        by: By,
        turn: &mut Turn,
    ) -> Result<(), ArrayError> {
        check_pairs(indices.len(), &delta)?;
        indices.iter().try_for_each(|&index| self.check(index).map(drop))?;
        self.elements.merge_at(&indices, &delta, &by)?;
        self.version = turn.fence();
        Ok(())
    }

    /// Sets all elements to the first of `value`.
    pub fn fill(&mut self, value: Elements, turn: &mut Turn) -> Result<(), ArrayError> {
        self.elements.fill(0..self.len(), &value)?;
        self.version = turn.fence();
        Ok(())
    }

    /// The sum of the elements, alone.
    pub fn sum(&self) -> Elements {
        self.elements.sum()
    }

    /// The elements from `start` on, as many as fit into so many bytes; they are what they were at first from now on.
    pub fn take(&mut self, start: usize, bytes_max: usize, turn: &mut Turn) -> Result<ElementsPage, ArrayError> {
        let page = self.page(start, None, bytes_max)?;
        self.elements.fill(start..start + page.elements.len(), &self.initial)?;
        self.version = turn.fence();
        Ok(page)
    }

    fn check(&self, index: usize) -> Result<usize, ArrayError> {
        check_index(index, self.len()).map_err(ArrayError::Index)
    }

    fn summary(&self) -> serde_json::Value {
        summary(&self.elements, Shape::Vector(self.len()), self.version)
    }
}

impl Elements {
    /// How many of them fit into so many bytes: at least one.
    pub(super) fn fitting(&self, bytes_max: usize) -> usize {
        (bytes_max.min(BULK_BYTES) / self.element_bytes()).max(1)
    }
}

pub(super) fn check_size(bytes: Option<usize>) -> Result<(), String> {
    match bytes {
        Some(0..=ARRAY_BYTES_MAX) => Ok(()),
        _ => Err(format!("its elements would have more than {ARRAY_BYTES_MAX} bytes, which is the limit")),
    }
}

/// Each index of a sparse delta has its element.
pub(super) fn check_pairs(indices: usize, delta: &Elements) -> Result<(), ArrayError> {
    if indices == delta.len() {
        return Ok(());
    }
    Err(ArrayError::Shape { expected: Shape::Vector(indices), found: Shape::Vector(delta.len()) })
}

pub(super) fn summary(elements: &Elements, shape: Shape, version: Fence) -> serde_json::Value {
    json!({
        "type": elements.type_name(),
        "shape": shape.to_string(),
        "sum": elements.sum(),
        "version": version,
    })
}
