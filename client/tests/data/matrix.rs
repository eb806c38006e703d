//! `Matrix`.

use greenroom::collections::{ArrayError, Matrix, Op, OutOfRange, Shape};
use greenroom::{Combine, CombineError, Error, Refusal};
use proptest::prelude::*;

use crate::stage::{self, Stage, scenarios};
use crate::vector::{by_hand, larger, ops};
use crate::{cases, fresh};

scenarios! {
    what_many_merge_at_the_same_time_adds_up,
    elements_are_merged_by_functions_of_the_program,
    a_delta_of_another_shape_is_an_error_and_changes_nothing,
    a_row_larger_than_a_page_is_read_as_it_was_at_one_moment,
    a_matrix_larger_than_a_message_goes_in_pieces,
    a_matrix_without_rows_or_columns_or_too_large_is_refused,
}

fn what_many_merge_at_the_same_time_adds_up(stage: &Stage) {
    let sessions: [_; 3] = stage.sessions();
    let merging: Vec<_> = (0..30_usize)
        .map(|number| {
            let matrix = Matrix::named("m", 3, 4, 0_u32).through(sessions[number % 3].caller());
            stage.start(async move {
                matrix.merge_async(&[[1; 4]; 3], Op::Sum).await?;
                matrix.merge_row_async(number % 3, &[1, 0, 0, 0], Op::Sum).await?;
                matrix.merge_sparse_async(&[(2, 3, number as u32)], Op::Max).await
            })
        })
        .collect();
    for task in merging {
        assert_eq!(task.finish(), Ok(()));
    }
    let matrix = Matrix::named("m", 3, 4, 0_u32).through(sessions[0].caller());
    let row = vec![40, 30, 30, 30];
    let rows = matrix.to_rows().expect("reads");
    assert_eq!(rows[..2], [row.clone(), row.clone()]);
    assert_eq!(rows[2][..3], row[..3]);
    assert!((30..60).contains(&rows[2][3]), "each maximum was at least 29, and each sum came once: {rows:?}");
    assert_eq!(matrix.column(0), Ok(vec![40; 3]));
}

fn elements_are_merged_by_functions_of_the_program(stage: &Stage) {
    let matrix = Matrix::named("m", 2, 2, 1.0_f64).through(stage.session().caller());
    assert_eq!(matrix.merge(&[[-2.0, 0.5], [3.0, -0.5]], larger::combine()), Ok(()));
    assert_eq!(matrix.merge_row(1, &[-4.0, 0.0], larger::combine()), Ok(()));
    assert_eq!(matrix.merge_at(0, 1, -9.0, larger::combine()), Ok(-9.0));
    assert_eq!(matrix.merge_sparse(&[(1, 1, 1.0), (1, 1, 5.0)], Combine::sum()), Ok(()));
    assert_eq!(matrix.to_rows(), Ok(vec![vec![-2.0, -9.0], vec![-4.0, 7.0]]));
    let unknown = matrix.merge_row(0, &[0.0, 0.0], Combine::of_name("other::program"));
    let refused = ArrayError::Combine(CombineError::Unknown("other::program".to_owned()));
    assert_eq!(unknown, Err(Error::Method(refused)));
}

fn a_delta_of_another_shape_is_an_error_and_changes_nothing(stage: &Stage) {
    let matrix = Matrix::named("m", 2, 3, 1.0_f64).through(stage.session().caller());
    let shape = |expected, found| Err(Error::Method(ArrayError::Shape { expected, found }));
    let whole = Shape::Matrix(2, 3);
    assert_eq!(matrix.merge(&[[2.0; 2]; 3], Op::Sum), shape(whole, Shape::Matrix(3, 2)));
    assert_eq!(matrix.merge(&[] as &[Vec<f64>], Op::Sum), shape(whole, Shape::Matrix(0, 0)));
    let ragged = matrix.merge(&[vec![2.0; 3], vec![2.0; 4]], Op::Sum);
    assert_eq!(ragged, shape(Shape::Vector(3), Shape::Vector(4)));
    assert_eq!(matrix.merge_row(1, &[2.0; 4], Op::Sum), shape(Shape::Vector(3), Shape::Vector(4)));
    assert_eq!(matrix.merge_row(1, &[], Op::Sum), shape(Shape::Vector(3), Shape::Vector(0)));
    let row = |index| Error::Method(ArrayError::Row(OutOfRange { index, length: 2 }));
    let column = |index| Error::Method(ArrayError::Column(OutOfRange { index, length: 3 }));
    assert_eq!(matrix.merge_row(2, &[2.0; 3], Op::Sum), Err(row(2)));
    assert_eq!((matrix.get(2, 0), matrix.get(0, 3)), (Err(row(2)), Err(column(3))));
    assert_eq!((matrix.set(usize::MAX, 0, 2.0), matrix.set(0, 9, 2.0)), (Err(row(usize::MAX)), Err(column(9))));
    assert_eq!(matrix.merge_sparse(&[(0, 0, 2.0), (1, 3, 2.0)], Op::Sum), Err(column(3)));
    assert_eq!((matrix.row(2), matrix.column(3)), (Err(row(3)), Err(column(3))));
    assert_eq!(matrix.row_range(1..3), Err(row(3)));
    assert_eq!(matrix.to_vec(), Ok(vec![1.0; 6]));
    assert_eq!(column(3).to_string(), "column index 3 is out of range for length 3");
}

fn a_row_larger_than_a_page_is_read_as_it_was_at_one_moment(stage: &Stage) {
    const COLUMNS: usize = 300_000;
    let [reader, writer] = stage.sessions();
    let (of_reader, of_writer) = (Matrix::named("m", 2, COLUMNS, 0_u64), Matrix::named("m", 2, COLUMNS, 0_u64));
    let (of_reader, of_writer) = (of_reader.through(reader.caller()), of_writer.through(writer.caller()));
    let writing = stage.start(async move {
        for round in 1..=5 {
            of_writer.fill_async(round).await?;
        }
        Ok::<_, Error<ArrayError>>(())
    });
    while !writing.is_finished() {
        let row = of_reader.row(1).expect("reads");
        assert!(row.len() == COLUMNS && row.iter().all(|&value| value == row[0]), "parts of two moments");
    }
    assert_eq!(writing.finish(), Ok(()));
    let column = of_reader.column(COLUMNS - 1);
    assert_eq!(column, Ok(vec![5, 5]));
}

fn a_matrix_larger_than_a_message_goes_in_pieces(stage: &Stage) {
    const ROWS: usize = 3;
    const COLUMNS: usize = (11 << 20) / 8;
    let matrix = Matrix::named("m", ROWS, COLUMNS, 0_i64).through(stage.session().caller());
    let delta: Vec<i64> = (0..COLUMNS as i64).collect();
    matrix.merge(&[&delta, &delta, &delta], Op::Sum).expect("merges 33 MiB");
    matrix.merge_row(1, &delta, Op::Sum).expect("merges a row");
    let rows = matrix.row_range(1..).expect("reads");
    assert!(rows[0].iter().zip(&delta).all(|(there, came)| *there == 2 * came));
    assert!(rows.len() == 2 && rows[1] == delta);
    let taken = matrix.take().expect("takes");
    assert!(taken.len() == ROWS && taken[0] == delta && taken[2] == delta);
    assert_eq!(matrix.sum(), Ok(0));
}

fn a_matrix_without_rows_or_columns_or_too_large_is_refused(stage: &Stage) {
    let caller = stage.session().caller();
    for (rows, columns) in [(0, 3), (3, 0), (1 << 14, (1 << 14) + 1), (usize::MAX, 2), (usize::MAX, usize::MAX)] {
        let refused = Matrix::named("m", rows, columns, 0_u32).through(caller.clone()).shape();
        assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::Constructor(_), .. })), "{refused:?}");
    }
    let small = Matrix::named("m", 3, 2, 0_u32).through(caller);
    assert_eq!((small.rows(), small.columns()), (Ok(3), Ok(2)));
}

/// What is done to a matrix of both kinds; all have three rows of two columns.
#[derive(Clone, Debug)]
enum Change {
    Merge(Vec<Vec<i64>>, Op),
    Row(usize, Vec<i64>, Op),
    At(usize, usize, i64, Op),
    Sparse(Vec<(usize, usize, i64)>, Op),
    Fill(i64),
    Take,
}

fn change() -> impl Strategy<Value = Change> {
    let row = || proptest::collection::vec(any::<i64>(), 2..=2);
    // Some rows and columns are out of range.
    let (rows, columns) = (0..4_usize, 0..3_usize);
    let place = (rows.clone(), columns, any::<i64>());
    prop_oneof![
        (proptest::collection::vec(row(), 3..=3), ops()).prop_map(|(delta, op)| Change::Merge(delta, op)),
        (rows, row(), ops()).prop_map(|(row, delta, op)| Change::Row(row, delta, op)),
        (place.clone(), ops()).prop_map(|((row, column, value), op)| Change::At(row, column, value, op)),
        (proptest::collection::vec(place, 1..=3), ops()).prop_map(|(delta, op)| Change::Sparse(delta, op)),
        any::<i64>().prop_map(Change::Fill),
        Just(Change::Take),
    ]
}

/// As one would do it by hand; says whether the element is there.
fn combine(rows: &mut [Vec<i64>], (row, column): (usize, usize), value: i64, op: Op) -> bool {
    let there = rows.get_mut(row).and_then(|row| row.get_mut(column));
    there.map(|there| *there = by_hand(op, *there, value)).is_some()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_matrix_is_a_vec_of_vecs(changes in proptest::collection::vec(change(), 1..50)) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (matrix, mut rows) = (Matrix::named(key, 3, 2, 7_i64).through(caller), vec![vec![7_i64; 2]; 3]);
        for change in changes {
            let mut after = rows.clone();
            let (said, expected) = match change {
                Change::Merge(delta, op) => {
                    for (row, column) in (0..3).flat_map(|row| [(row, 0), (row, 1)]) {
                        combine(&mut after, (row, column), delta[row][column], op);
                    }
                    (matrix.merge(&delta, op).is_ok(), true)
                }
                Change::Row(row, delta, op) => {
                    let all = delta.iter().enumerate().all(|(column, &value)| combine(&mut after, (row, column), value, op));
                    (matrix.merge_row(row, &delta, op).is_ok(), all)
                }
                Change::At(row, column, value, op) => {
                    let there = combine(&mut after, (row, column), value, op);
                    let said = matrix.merge_at(row, column, value, op);
                    prop_assert_eq!(said.as_ref().ok(), after.get(row).and_then(|row| row.get(column)));
                    (said.is_ok(), there)
                }
                Change::Sparse(delta, op) => {
                    let all = delta.iter().all(|&(row, column, value)| combine(&mut after, (row, column), value, op));
                    (matrix.merge_sparse(&delta, op).is_ok(), all)
                }
                Change::Fill(value) => {
                    after = vec![vec![value; 2]; 3];
                    (matrix.fill(value).is_ok(), true)
                }
                Change::Take => {
                    after = vec![vec![7; 2]; 3];
                    prop_assert_eq!(matrix.take(), Ok(rows.clone()));
                    (true, true)
                }
            };
            prop_assert_eq!(said, expected);
            if expected {
                rows = after;
            }
            prop_assert_eq!(matrix.to_rows(), Ok(rows.clone()));
        }
        prop_assert_eq!(matrix.to_vec(), Ok(rows.concat()));
        prop_assert_eq!(matrix.row_range(1..), Ok(rows[1..].to_vec()));
        prop_assert_eq!((matrix.row(2), matrix.get(1, 1)), (Ok(rows[2].clone()), Ok(rows[1][1])));
        prop_assert_eq!(matrix.column(1), Ok(rows.iter().map(|row| row[1]).collect::<Vec<_>>()));
    }
}
