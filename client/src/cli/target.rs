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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) id: JobId,
    /// Its name, if that is known.
    pub(super) name: Option<String>,
}

impl Job {
    /// A job that a node tells of.
    pub(super) fn seen(id: u64, name: Option<String>) -> Self {
        Self { id: JobId(id), name }
    }

    /// Its id, as one can write it.
    pub(super) fn hex(&self) -> String {
        format!("0x{:016x}", self.id.0)
    }
}

impl FromStr for Job {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix("0x")
            && digits.len() == 16
            && let Ok(id) = u64::from_str_radix(digits, 16)
        {
            return Ok(Self { id: JobId(id), name: None });
        }
        // A variable that is set to nothing is as good as none.
        let name = if text.is_empty() { "default" } else { text };
        Ok(Self { id: JobId::named(name), name: Some(name.to_owned()) })
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            _ if self.id == JobId::DEFAULT => f.write_str("default"),
            // Whoever reads it must be able to write it.
            Some(name) if name.parse().is_ok_and(|read: Self| read.id == self.id) => f.write_str(&readable::text(name)),
            Some(_) | None => f.write_str(&self.hex()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_meant_by_its_name_or_by_its_id() {
        let id = |text: &str| text.parse().map(|job: Job| job.id);
        assert_eq!(id("default"), Ok(JobId::DEFAULT));
        assert_eq!(id(" "), Ok(JobId::DEFAULT));
        assert_eq!(id("night"), Ok(JobId::named("night")));
        assert_eq!(id("0x12"), Ok(JobId::named("0x12")), "an id has all its digits");
        for number in [0, 1, JobId::named("night").0] {
            assert_eq!(id(&Job::seen(number, None).to_string()), Ok(JobId(number)));
        }
    }

    #[test]
    fn a_job_is_shown_by_its_name_if_that_is_its_own() {
        let night = JobId::named("night").0;
        assert_eq!(Job::seen(night, Some("night".to_owned())).to_string(), "night");
        for other in ["day", "0x0000000000000001", " night\u{1b}"] {
            assert_eq!(Job::seen(night, Some(other.to_owned())).to_string(), format!("0x{night:016x}"));
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
