//! By what elements of vectors and matrices are combined.

use serde::{Deserialize, Serialize};

use super::elements::Element;
use crate::combine::{Combine, CombineError, Number, typed};

/// How an element that is there and one that comes make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// The sum; integers wrap around at their ends, as atomics do.
    Sum,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// The product; integers wrap around at their ends.
    Product,
    /// The one that comes.
    Replace,
}

/// What elements of type `T` are merged by: an [`Op`], or a [`Combine`] function, such as one of your own from `#[combine]`.
///
/// A function of your own is called once for each element, which takes longer than an [`Op`], whose loop the processor knows.
pub trait MergeBy<T> {
    /// How it travels.
    #[doc(hidden)]
    fn into_by(self) -> By;
}

/// An [`Op`] or the name of a function, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The operation.
    Op(Op),
    /// The combine function of that name.
    Function(String),
}

impl<T: Element> MergeBy<T> for Op {
    fn into_by(self) -> By {
        By::Op(self)
    }
}

impl<T: Element> MergeBy<T> for Combine<T> {
    fn into_by(self) -> By {
        By::Function(self.name().to_owned())
    }
}

impl By {
    /// The operation: also if it comes under its name as a function.
    fn op<E: Number>(&self) -> Option<Op> {
        match self {
            Self::Op(op) => Some(*op),
            Self::Function(name) => {
                let named = E::NAMES.into_iter().zip([Op::Sum, Op::Min, Op::Max, Op::Product]);
                named.into_iter().find(|(of_op, _)| of_op == name).map(|(_, op)| op)
            }
        }
    }
}

/// Combines each of `values` with the one of `others` in its place; there must be as many.
///
/// The operation is chosen once, outside of the loop over the elements.
pub(super) fn merge<E: Element>(values: &mut [E], others: &[E], by: &By) -> Result<(), CombineError> {
    fn each<E: Element>(values: &mut [E], others: &[E], combine: impl Fn(&mut E, E)) {
        for (value, &other) in values.iter_mut().zip(others) {
            combine(value, other);
        }
    }
    match by.op::<E>() {
        Some(Op::Sum) => each(values, others, |there, comes| *there = there.sum(comes)),
        Some(Op::Min) => each(values, others, |there, comes| *there = there.min(comes)),
        Some(Op::Max) => each(values, others, |there, comes| *there = there.max(comes)),
        Some(Op::Product) => each(values, others, |there, comes| *there = there.product(comes)),
        Some(Op::Replace) => values.copy_from_slice(others),
        None => each(values, others, function(by)?),
    }
    Ok(())
}

/// What combines an element with one that comes.
pub(super) fn function<E: Element>(by: &By) -> Result<fn(&mut E, E), CombineError> {
    Ok(match (by.op::<E>(), by) {
        (Some(Op::Sum), _) => |there, comes| *there = there.sum(comes),
        (Some(Op::Min), _) => |there, comes| *there = there.min(comes),
        (Some(Op::Max), _) => |there, comes| *there = there.max(comes),
        (Some(Op::Product), _) => |there, comes| *there = there.product(comes),
        (Some(Op::Replace), _) | (None, By::Op(_)) => |there, comes| *there = comes,
        (None, By::Function(name)) => typed(name)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::elements::ArrayError;
    use super::*;

    fn merged<E: Element>(there: &[E], came: &[E], by: impl MergeBy<E>) -> Option<Vec<E>> {
        let mut elements = E::wrap(there.to_vec());
        elements.merge(0, &E::wrap(came.to_vec()), &by.into_by()).expect("one type");
        E::from_elements(elements)
    }

    #[test]
    fn elements_are_combined_place_by_place() {
        assert_eq!(merged(&[1.5_f64, -2.0], &[0.5, 4.0], Op::Sum), Some(vec![2.0, 2.0]));
        assert_eq!(merged(&[1.5_f32, -2.0], &[0.5, 4.0], Op::Min), Some(vec![0.5, -2.0]));
        assert_eq!(merged(&[1_i64, -2], &[5, -4], Op::Max), Some(vec![5, -2]));
        assert_eq!(merged(&[3_u32, u32::MAX], &[5, 2], Op::Product), Some(vec![15, u32::MAX - 1]));
        assert_eq!(merged(&[1_u64], &[9], Op::Replace), Some(vec![9]));
    }

    #[test]
    fn elements_are_combined_by_functions_of_the_library() {
        assert_eq!(merged(&[1.5_f64, -2.0], &[0.5, 4.0], Combine::sum()), Some(vec![2.0, 2.0]));
        assert_eq!(merged(&[1_i64, -2], &[5, -4], Combine::max()), Some(vec![5, -2]));
        assert_eq!(merged(&[1_u32, 2], &[5, 4], Combine::last()), Some(vec![5, 4]));
        assert_eq!(merged(&[1_u32, 2], &[5, 4], Combine::first()), Some(vec![1, 2]));
        assert_eq!(merged(&[1_u64, u64::MAX], &[5, 4], Combine::count()), Some(vec![2, 0]));
    }

    #[test]
    fn what_is_no_function_of_such_elements_changes_none() {
        let mut elements = u64::wrap(vec![1, 2]);
        let comes = u64::wrap(vec![3, 4]);
        for (name, known) in [("none", false), ("sum i64", true), ("all", true)] {
            let by = By::Function(name.to_owned());
            let refused = [elements.merge(0, &comes, &by), elements.merge_at(&[0, 1], &comes, &by)];
            for error in refused {
                match error {
                    Err(ArrayError::Combine(CombineError::Value { .. })) => assert!(known, "{name}"),
                    Err(ArrayError::Combine(CombineError::Unknown(_))) => assert!(!known, "{name}"),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(elements, u64::wrap(vec![1, 2]));
    }
}
