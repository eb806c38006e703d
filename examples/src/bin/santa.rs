//! The Santa Claus problem (Trono 1994): Santa sleeps until all reindeer are back, or some elves need him together.
//!
//! Nine reindeer deliver toys with him, of ten elves three at a time consult him, and reindeer go first. The same story is
//! played by threads on local objects, by threads on shared objects, and by cloud threads on shared objects.

use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use greenroom::Error;
use greenroom::cloud::Executor;
use greenroom_examples::backend;
use greenroom_examples::santa::{Local, Place, Role, Shared, Size, Tally, Team, Times, play};
use serde_json::json;

/// Santa, his reindeer and elves, thrice: threads and local objects, threads and shared objects, cloud threads.
#[derive(Debug, Parser)]
struct Arguments {
    /// Years, each of which ends when toys are delivered.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    years: u64,
    /// Number of reindeer.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    reindeer: u32,
    /// Number of elves, of whom three come together.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..=1_000))]
    elves: u32,
    /// How long a reindeer is on holiday before it comes back, at most, in milliseconds.
    #[arg(long, default_value_t = 20, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    holiday: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How it went.
struct Played {
    name: &'static str,
    seconds: f64,
    tally: Tally,
    /// Whether everybody was where they should be, as often as they should.
    is_right: bool,
}

impl Played {
    /// Has all roles played, and asks the place what has happened.
    fn on<P: Place>(
        name: &'static str,
        place: P,
        size: Size,
        all: impl FnOnce(Vec<Role>, &P) -> Result<Vec<Times>, Error>,
    ) -> Result<Self, Error> {
        let (roles, started) = (Role::all(size), Instant::now());
        let times = all(roles.clone(), &place)?;
        let seconds = started.elapsed().as_secs_f64();
        let tally = place.change(|pole| pole.tally())?;

        let of =
            |team| roles.iter().zip(&times).filter(move |(role, _)| matches!(role, Role::Member(of, _) if *of == team));
        let each_delivered = of(Team::Reindeer).all(|(_, times)| *times == size.years);
        let consulted: Times = of(Team::Elves).map(|(_, times)| times).sum();
        let is_right = tally.violations == 0
            && tally.deliveries == size.years
            && times[0] == tally.deliveries + tally.consultations
            && each_delivered
            && consulted == tally.consultations * size.elves_together as u64;
        Ok(Self { name, seconds, tally, is_right })
    }
}

/// Each role on a thread of its own.
fn on_threads<P: Place>(roles: Vec<Role>, place: &P, holiday: Duration) -> Result<Vec<Times>, Error> {
    let begin = |role: Role| {
        let place = place.clone();
        thread::spawn(move || role.play(&place, holiday))
    };
    let threads: Vec<_> = roles.into_iter().map(begin).collect();
    threads.into_iter().map(|thread| thread.join().expect("nobody panics")).collect()
}

/// Each role as a cloud thread.
fn on_cloud_threads(roles: Vec<Role>, place: &Shared, holiday: Duration) -> Result<Vec<Times>, Error> {
    Ok(Executor::new().join_all(roles.into_iter().map(|role| play::call(role, place.clone(), holiday)))?)
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    let Arguments { years, reindeer, elves, holiday, json } = Arguments::parse();
    let size = Size { reindeer: reindeer as usize, elves: elves as usize, elves_together: 3, years };
    let rest = Duration::from_millis(holiday);
    let played = [
        Played::on("threads, local objects", Local::new(size), size, |roles, place| on_threads(roles, place, rest))?,
        Played::on("threads, shared objects", Shared::new(size)?, size, |roles, place| on_threads(roles, place, rest))?,
        Played::on("cloud threads, shared objects", Shared::new(size)?, size, |roles, place| {
            on_cloud_threads(roles, place, rest)
        })?,
    ];
    let is_right = played.iter().all(|played| played.is_right);
    if json {
        let played = played.map(|Played { name, seconds, tally, is_right }| {
            let Tally { deliveries, consultations, violations } = tally;
            json!({
                "name": name, "seconds": seconds, "deliveries": deliveries, "consultations": consultations,
                "violations": violations, "exact": is_right,
            })
        });
        let report = json!({
            "application": "santa", "backend": backend(), "years": years, "reindeer": reindeer, "elves": elves,
            "holiday_ms": holiday, "exact": is_right, "played": played,
        });
        println!("{report}");
    } else {
        println!("{years} years, {reindeer} reindeer, {elves} elves; cloud threads are {}\n", backend());
        for Played { name, seconds, tally: Tally { deliveries, consultations, .. }, .. } in &played {
            println!("{name:<30} {deliveries:>4} deliveries {consultations:>6} consultations {seconds:>9.3} s");
        }
        if is_right {
            println!("\nall {reindeer} reindeer pulled each sleigh, elves came in threes, and never both");
        }
    }
    assert!(is_right, "somebody was missing, or too many were there");
    Ok(())
}
