//! The sleeping barber: customers who find a free chair wait for their haircut, the others go away unshorn.

use std::thread;
use std::time::Instant;

use clap::Parser;
use greenroom::sync::channel::{Channel, Receiver, Sender, TrySendError};
use greenroom::sync::{Event, Promise};
use greenroom::{Counter, Error};
use serde_json::json;

/// Customers come all at once to a shop with a few chairs; barbers sleep while nobody waits.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of barbers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    barbers: u32,
    /// Chairs to wait on; without any, a customer needs a barber who sleeps.
    #[arg(long, default_value_t = 20)]
    chairs: u32,
    /// Number of customers.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    customers: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The haircut that a customer waits for: who gave it.
fn haircut(customer: u64) -> Promise<u32> {
    Promise::named(format!("haircut {customer}"))
}

/// Takes a chair if one is free, and waits; returns the barber.
fn visit(customer: u64, chairs: &Sender<u64>) -> Result<Option<u32>, Error> {
    match chairs.try_send(customer) {
        Ok(()) => Ok(Some(haircut(customer).get()?)),
        Err(Error::Method(TrySendError::Full(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Cuts the hair of one customer after the other, until the shop is closed; returns of how many.
fn work(barber: u32, waiting: &Receiver<u64>, haircuts: &Counter) -> Result<u64, Error> {
    let mut done = 0;
    for customer in waiting {
        let customer = customer?;
        haircuts.increment()?;
        haircut(customer).set(barber)?;
        done += 1;
    }
    Ok(done)
}

/// What a day in the shop came to.
struct Day {
    seconds: f64,
    turned_away: u64,
    /// The haircuts of each barber, as the shop's counter, the barbers and the customers have counted them.
    counted: u64,
    given: Vec<u64>,
    received: Vec<u64>,
}

/// Opens the shop, lets everybody in at once, and closes it when the last customer has left.
fn open(barbers: u32, chairs: u32, customers: u64) -> Result<Day, Error> {
    let (haircuts, doors) = (Counter::named("haircuts"), Event::named("doors"));
    let waiting_room = Channel::bounded("waiting room", chairs as usize);
    // What an earlier day left in a job that outlived it is swept out.
    for object in [haircuts.object(), doors.object(), waiting_room.object()] {
        object.force_new()?;
    }
    for customer in 0..customers {
        haircut(customer).object().force_new()?;
    }

    let (chair, waiting) = (waiting_room.sender()?, waiting_room.receiver());
    let staff: Vec<_> = (0..barbers)
        .map(|barber| {
            let (waiting, haircuts) = (waiting.clone(), haircuts.clone());
            thread::spawn(move || work(barber, &waiting, &haircuts))
        })
        .collect();
    let guests: Vec<_> = (0..customers)
        .map(|customer| {
            let (chair, doors) = (chair.clone(), doors.clone());
            thread::spawn(move || {
                doors.wait()?;
                visit(customer, &chair)
            })
        })
        .collect();
    let started = Instant::now();
    doors.set()?;
    let (mut turned_away, mut received) = (0, vec![0; staff.len()]);
    for guest in guests {
        match guest.join().expect("a customer does not panic")? {
            Some(barber) => received[barber as usize] += 1,
            None => turned_away += 1,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    // With the last sender gone the barbers go home.
    drop(chair);
    let given = staff.into_iter().map(|barber| barber.join().expect("a barber does not panic"));
    let given = given.collect::<Result<_, _>>()?;
    Ok(Day { seconds, turned_away, counted: haircuts.get()?.unsigned_abs(), given, received })
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    let Arguments { barbers, chairs, customers, json } = Arguments::parse();
    let Day { seconds, turned_away, counted, given, received } = open(barbers, chairs, customers)?;
    let shorn: u64 = received.iter().sum();
    let exact = given == received && counted == shorn && shorn + turned_away == customers;
    if json {
        let report = json!({
            "application": "barbershop", "barbers": barbers, "chairs": chairs, "customers": customers,
            "shorn": shorn, "turned_away": turned_away, "by_barber": given, "exact": exact, "seconds": seconds,
        });
        println!("{report}");
    } else {
        println!("of {customers} customers {shorn} were shorn and {turned_away} turned away, in {seconds:.3} s");
        let given: Vec<_> = given.iter().map(u64::to_string).collect();
        println!("haircuts of each barber: {}", given.join(", "));
    }
    assert!(exact, "a haircut was lost, or given twice");
    Ok(())
}
