//! `Journal`.

use std::time::Duration;

use greenroom::Error;
use greenroom::collections::{Journal, JournalError, Trimmed};
use proptest::prelude::*;

use crate::anew::Between;
use crate::stage::{self, Stage, scenarios};
use crate::{cases, fresh};

scenarios! {
    a_reader_that_follows_is_woken_by_what_is_appended,
    a_follower_that_joins_late_sees_everything_from_its_index,
    a_wait_for_an_index_ends_when_the_journal_reaches_it,
    a_wait_that_times_out_or_is_given_up_leaves_nothing_behind,
    the_end_of_a_session_ends_its_waits,
    who_waits_in_a_journal_that_is_deleted_learns_of_it,
    a_follower_is_told_that_its_journal_was_made_anew,
    an_iterator_does_not_go_on_in_another_journal,
    what_was_trimmed_is_an_error_that_says_where_the_journal_begins,
    what_one_call_appends_stays_together,
    a_journal_larger_than_a_page_is_read_in_several,
}

fn a_reader_that_follows_is_woken_by_what_is_appended(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    let (of_reader, of_writer) = (Journal::<u64>::named("j"), Journal::<u64>::named("j"));
    let (of_reader, of_writer) = (of_reader.through(reader.caller()), of_writer.through(writer.caller()));
    let object = of_reader.object().clone();
    let reading = stage.start(async move {
        let mut follow = of_reader.follow(0);
        let mut seen = Vec::new();
        while seen.len() < 5 {
            seen.push(follow.next_async().await?);
        }
        Ok::<_, Error<JournalError>>((seen, follow.index()))
    });
    stage.until_parked(&object, 1);
    assert_eq!(of_writer.append(10), Ok(0));
    stage.until_parked(&object, 1);
    assert_eq!(of_writer.append_all([11, 12]), Ok(1));
    stage.until_parked(&object, 1);
    assert_eq!(of_writer.append_all([]), Ok(3), "nothing is appended, and nobody is woken");
    assert_eq!(stage.parked(&object), 1);
    assert_eq!(of_writer.append_all([13, 14, 15]), Ok(3));
    assert_eq!(reading.finish(), Ok((vec![10, 11, 12, 13, 14], 5)));
}

fn a_follower_that_joins_late_sees_everything_from_its_index(stage: &Stage) {
    let journal = Journal::named("j").through(stage.session().caller());
    journal.append_all(0..10_u32).expect("appends");
    let mut follow = journal.follow(7);
    assert_eq!([7, 8, 9].map(|_| follow.next()), [7, 8, 9].map(|entry| Some(Ok(entry))));
    assert_eq!(follow.index(), 10);
    let follow = journal.with_timeout(Duration::from_millis(500)).follow(10);
    let waiting = stage.start(async move {
        let mut follow = follow;
        let nothing = follow.next_async().await;
        (nothing, follow)
    });
    let (nothing, mut follow) = waiting.finish_after(Duration::from_millis(500));
    assert_eq!(nothing, Err(Error::TimedOut { object: "Journal/j".to_owned() }));
    journal.append(10).expect("appends");
    assert_eq!(follow.next(), Some(Ok(10)), "it goes on from where it was");
}

fn a_wait_for_an_index_ends_when_the_journal_reaches_it(stage: &Stage) {
    let [waiter, writer] = stage.sessions();
    let journal = Journal::<u8>::named("j").through(waiter.caller());
    let wait = |index: u64| {
        let journal = journal.clone();
        stage.start(async move { journal.wait_for_async(index).await })
    };
    let (second, fourth, hundredth) = (wait(1), wait(3), wait(99));
    stage.until_parked(journal.object(), 3);
    let writing = Journal::<u8>::named("j").through(writer.caller());
    writing.append(0).expect("appends");
    assert_eq!(stage.parked(journal.object()), 3);
    writing.append(1).expect("appends");
    assert_eq!(second.finish(), Ok(2));
    assert_eq!(stage.parked(journal.object()), 2);
    writing.append_all([2, 3, 4]).expect("appends");
    assert_eq!(fourth.finish(), Ok(5));
    assert_eq!(journal.wait_for(4), Ok(5), "it is there already");
    writing.trim(5).expect("trims");
    assert_eq!(journal.wait_for(0), Ok(5), "it was there, and that is all that is asked");
    assert!(!hundredth.is_finished());
    assert_eq!(stage.describe(journal.object())["state"]["waiting"], 1);
    hundredth.give_up();
    stage.until_parked(journal.object(), 0);
}

fn a_wait_that_times_out_or_is_given_up_leaves_nothing_behind(stage: &Stage) {
    let [waiter, writer] = stage.sessions();
    let journal = Journal::<u8>::named("j").through(waiter.caller());
    let (hasty, given_up) = (journal.with_timeout(Duration::from_millis(500)), journal.clone());
    let given_up = stage.start(async move { given_up.follow(0).next_async().await });
    stage.until_parked(journal.object(), 1);
    given_up.give_up();
    stage.until_parked(journal.object(), 0);
    let second = journal.clone();
    let hasty = stage.start(async move { hasty.wait_for_async(0).await });
    let second = stage.start(async move { second.wait_for_timeout_async(0, Duration::from_millis(500)).await });
    for timed_out in [hasty, second].map(|waiting| waiting.finish_after(Duration::from_millis(500))) {
        assert_eq!(timed_out, Err(Error::TimedOut { object: "Journal/j".to_owned() }));
    }
    stage.until_parked(journal.object(), 0);
    assert_eq!(Journal::named("j").through(writer.caller()).append(7_u8), Ok(0));
    assert_eq!(journal.read_from(0, 10), Ok(vec![7]));
    assert_eq!(journal.wait_for_timeout(0, Duration::from_secs(20)), Ok(1), "it is there");
}

fn the_end_of_a_session_ends_its_waits(stage: &Stage) {
    let [ending, other] = stage.sessions();
    let (of_ending, of_other) = (Journal::<u8>::named("j"), Journal::<u8>::named("j"));
    let (of_ending, of_other) = (of_ending.through(ending.caller()), of_other.through(other.caller()));
    let wait = stage.start(async move { of_ending.wait_for_async(0).await });
    stage.until_parked(of_other.object(), 1);
    ending.end();
    assert!(wait.finish().is_err());
    stage.until_parked(of_other.object(), 0);
    assert_eq!(of_other.append(1), Ok(0));
}

fn who_waits_in_a_journal_that_is_deleted_learns_of_it(stage: &Stage) {
    let [waiter, other] = stage.sessions();
    let journal = Journal::<u8>::named("j").through(waiter.caller());
    let of_other = Journal::<u8>::named("j").through(other.caller());
    let (waiting, following) = (journal.clone(), journal.clone());
    let waiting = stage.start(async move { waiting.wait_for_async(3).await });
    stage.until_parked(journal.object(), 1);
    let following = stage.start(async move {
        let mut follow = following.follow(0);
        let lost = follow.next_async().await;
        (lost, follow.next_async().await)
    });
    stage.until_parked(journal.object(), 2);
    assert_eq!(of_other.object().delete(), Ok(true));
    assert_eq!(waiting.finish(), Err(Error::ObjectLost { object: "Journal/j".to_owned() }));
    let anew = Err(Error::Method(JournalError::MadeAnew));
    assert_eq!(following.finish(), (Err(Error::ObjectLost { object: "Journal/j".to_owned() }), anew));
    assert_eq!((of_other.append(7), journal.wait_for(0)), (Ok(0), Ok(1)));
}

fn a_follower_is_told_that_its_journal_was_made_anew(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    let of_writer = Journal::<u8>::named("j").through(writer.caller());
    let journal = of_writer.through(reader.caller());
    for by_force in [false, true] {
        of_writer.append_all([0, 1, 2]).expect("appends");
        let (mut idle, mut follow) = (journal.follow(0), journal.follow(0));
        assert_eq!(idle.next(), Some(Ok(0)));
        assert!(follow.by_ref().take(3).all(|entry| entry.is_ok()));
        let waiting = stage.start(async move {
            let lost = follow.next_async().await;
            // It would wait for a fourth entry, and the three before it would have passed unseen.
            (lost, follow.next_async().await, follow.next_async().await)
        });
        stage.until_parked(journal.object(), 1);
        if by_force {
            journal.object().force_new().expect("is made anew");
        } else {
            assert_eq!(journal.object().delete(), Ok(true));
        }
        let anew = || Err(Error::Method(JournalError::MadeAnew));
        let lost = Err(Error::ObjectLost { object: "Journal/j".to_owned() });
        assert_eq!(waiting.finish(), (lost, anew(), anew()));
        of_writer.append_all([10, 11, 12, 13, 14]).expect("appends");
        assert_eq!([idle.next(), idle.next()], [Some(Ok(1)), Some(Ok(2))], "they had been brought");
        assert_eq!(idle.next(), Some(anew()));
        assert_eq!(journal.follow(3).next(), Some(Ok(13)), "a new reader reads the new journal");
        assert_eq!(journal.object().delete(), Ok(true));
    }
}

fn an_iterator_does_not_go_on_in_another_journal(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    let of_writer = Journal::named("j").through(writer.caller());
    let entries = |text: &str| vec![text.repeat(1 << 18); 9];
    of_writer.append_all(entries("old")).expect("appends");
    let between = Between::new(reader.caller(), move || {
        assert_eq!(of_writer.object().delete(), Ok(true));
        of_writer.append_all(entries("new")).expect("appends");
    });
    let mut iterator = Journal::<String>::named("j").through(between).iter(0);
    let read: Vec<_> = iterator.by_ref().collect();
    let (last, before) = read.split_last().expect("there is something");
    assert_eq!(*last, Err(Error::Method(JournalError::MadeAnew)));
    assert!(
        !before.is_empty() && before.iter().all(|entry| entry.as_ref().is_ok_and(|entry| entry.starts_with("old")))
    );
    assert_eq!(iterator.next(), None);
}

fn what_was_trimmed_is_an_error_that_says_where_the_journal_begins(stage: &Stage) {
    let journal = Journal::named("j").through(stage.session().caller());
    journal.append_all(0..10_u8).expect("appends");
    let mut slow = journal.iter(0);
    assert_eq!(journal.trim(4), Ok(4));
    assert_eq!(journal.trim(2), Ok(0), "it has been already");
    assert_eq!((journal.first_index(), journal.end_index(), journal.len()), (Ok(4), Ok(10), Ok(6)));
    let trimmed = Error::Method(JournalError::Trimmed(Trimmed { index: 3, first: 4 }));
    assert_eq!(trimmed.to_string(), "entry 3 has been trimmed, the journal begins at 4");
    assert_eq!(journal.read_from(3, 1), Err(trimmed.clone()));
    assert_eq!(journal.follow(3).next(), Some(Err(trimmed)));
    let at_first = Error::Method(JournalError::Trimmed(Trimmed { index: 0, first: 4 }));
    assert_eq!((slow.next(), slow.next()), (Some(Err(at_first)), None));
    assert_eq!(journal.read_from(4, 2), Ok(vec![4, 5]));
    assert_eq!(journal.trim(u64::MAX), Ok(6), "no further than to its end");
    assert_eq!((journal.first_index(), journal.is_empty()), (Ok(10), Ok(true)));
    assert_eq!(journal.append(10), Ok(10));
    assert_eq!(journal.read_from(u64::MAX, usize::MAX), Ok(Vec::new()));
}

fn what_one_call_appends_stays_together(stage: &Stage) {
    let sessions: [_; 3] = stage.sessions();
    let appending: Vec<_> = (0..30_u32)
        .map(|number| {
            let journal = Journal::named("j").through(sessions[number as usize % 3].caller());
            stage.start(async move { (number, journal.append_all_async([number, number + 100]).await) })
        })
        .collect();
    let journal = Journal::<u32>::named("j").through(sessions[0].caller());
    for task in appending {
        let (number, index) = task.finish();
        let there = journal.read_from(index.expect("appends"), 2);
        assert_eq!(there, Ok(vec![number, number + 100]));
    }
    assert_eq!(journal.len(), Ok(60));
}

fn a_journal_larger_than_a_page_is_read_in_several(stage: &Stage) {
    let journal = Journal::named("j").through(stage.session().caller());
    let entries = || (0..250_usize).map(|number| (number, "x".repeat(10_000)));
    journal.append_all(entries()).expect("appends");
    let page = journal.read_from(0, usize::MAX).expect("reads");
    assert!((90..250).contains(&page.len()), "{} entries are about 1 MiB", page.len());
    assert!(journal.iter(0).map(|entry| entry.expect("reads")).eq(entries()));
    assert!(journal.follow(0).take(250).map(|entry| entry.expect("reads")).eq(entries()));
    assert_eq!(journal.iter(250).next(), None);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_journal_is_a_vec_whose_beginning_is_forgotten(
        ops in proptest::collection::vec((proptest::collection::vec(any::<u16>(), 0..4), 0..60_u64), 1..25),
    ) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (journal, mut all, mut first) = (Journal::named(key).through(caller), Vec::<u16>::new(), 0_u64);
        for (entries, place) in ops {
            prop_assert_eq!(journal.append_all(entries.clone()), Ok(all.len() as u64));
            all.extend(entries);
            let end = all.len() as u64;
            if place % 5 == 0 {
                let to = first.max(place.min(end));
                prop_assert_eq!(journal.trim(place), Ok(to - first));
                first = to;
            }
            let read = journal.read_from(place, 3);
            if place < first {
                prop_assert_eq!(read, Err(Error::Method(JournalError::Trimmed(Trimmed { index: place, first }))));
            } else {
                let expected: Vec<u16> = all.iter().skip(place as usize).take(3).copied().collect();
                prop_assert_eq!(read, Ok(expected));
            }
            prop_assert_eq!((journal.first_index(), journal.end_index()), (Ok(first), Ok(end)));
            let kept: Result<Vec<u16>, _> = journal.iter(first).collect();
            prop_assert_eq!(kept, Ok(all[first as usize..].to_vec()));
        }
    }
}
