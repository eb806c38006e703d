//! Which object is meant, and of which job.

use std::fmt;
use std::str::FromStr;

use greenroom_actors::{JobId, check_key, hash_object};
use greenroom_rpc::proto::ObjectId;

use super::readable;

/// An object: its type, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) type_name: String,
    pub(super) key: String,
}

impl Target {
    pub(super) fn id(&self, job: JobId) -> ObjectId {
        ObjectId { job: job.0, type_name: self.type_name.clone(), key: self.key.clone() }
    }

    pub(super) fn hash(&self, job: JobId) -> u64 {
        hash_object(job, &self.type_name, &self.key)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (type_name, key) = text.split_once('/').ok_or("an object is TYPE/KEY, such as Counter/hits")?;
        check_key(key).map_err(|error| error.to_string())?;
        Ok(Self { type_name: type_name.to_owned(), key: key.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", readable::text(&self.type_name), readable::text(&self.key))
    }
}

/// The job whose objects are meant.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct JobArgument {
    /// The job that is meant: its name, or the id that `objects --all-jobs` shows; objects of the job `default` last as long as the cluster.
    #[arg(long, value_name = "NAME", env = "GREENROOM_JOB", default_value = "default")]
    pub(super) job: Job,
}

/// A job as a person writes it: by its name, or by its id, since jobs that end with a program have no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job(pub(super) JobId);

impl FromStr for Job {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix("0x")
            && digits.len() == 16
            && let Ok(id) = u64::from_str_radix(digits, 16)
        {
            return Ok(Self(JobId(id)));
        }
        // A variable that is set to nothing is as good as none.
        Ok(Self(if text.is_empty() { JobId::DEFAULT } else { JobId::named(text) }))
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            JobId::DEFAULT => f.write_str("default"),
            JobId(id) => write!(f, "0x{id:016x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_meant_by_its_name_or_by_its_id() {
        assert_eq!("default".parse(), Ok(Job(JobId::DEFAULT)));
        assert_eq!(" ".parse(), Ok(Job(JobId::DEFAULT)));
        assert_eq!("night".parse(), Ok(Job(JobId::named("night"))));
        assert_eq!("0x12".parse(), Ok(Job(JobId::named("0x12"))), "an id has all its digits");
        for id in [JobId::DEFAULT, JobId(1), JobId::named("night")] {
            assert_eq!(Job(id).to_string().parse(), Ok(Job(id)));
        }
    }

    #[test]
    fn an_object_is_a_type_and_a_key() {
        let target: Target = "Counter/hits/of/today".parse().expect("names an object");
        assert_eq!((target.type_name.as_str(), target.key.as_str()), ("Counter", "hits/of/today"));
        assert!("Counter".parse::<Target>().is_err());
        assert!("Counter/".parse::<Target>().is_err());
    }
}
