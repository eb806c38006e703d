//! Workers that are processes, started in any order: `workerpool work` is one of them, `workerpool` gives out the jobs.

use greenroom::Error;
use greenroom::sync::Barrier;
use greenroom::sync::channel::Channel;

const WORKERS: usize = 2;

/// Types and keys stand in one place, so that all processes say the same.
fn jobs() -> Channel<u64> {
    Channel::unbounded("jobs")
}

fn results() -> Channel<u64> {
    Channel::unbounded("results")
}

/// Returns once all processes are here, and have registered their senders: no channel ends before all have begun.
fn meet() -> Result<(), Error> {
    Barrier::named("all are here", WORKERS + 1).wait()?;
    Ok(())
}

fn work() -> Result<(), Error> {
    let (queue, results) = (jobs().receiver(), results().sender()?);
    meet()?;
    for job in &queue {
        let job = job?;
        results.send(job * job)?;
    }
    Ok(())
}

fn drive() -> Result<u64, Error> {
    let (sender, done) = (jobs().sender()?, results().receiver());
    meet()?;
    sender.send_all(1..=100)?;
    drop(sender); // the last one: the workers end when they have done what is left
    let mut sum = 0;
    for result in &done {
        sum += result?; // until the last of the workers has dropped its sender
    }
    // A channel has one life, and the next run may be in the same job.
    jobs().object().delete()?;
    results().object().delete()?;
    Ok(sum)
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    if std::env::args().nth(1).is_some_and(|word| word == "work") {
        return work();
    }
    println!("{}", drive()?);
    Ok(())
}
