//! What all shards of a node know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use greenroom_actors::{
    Incarnation, JobId, NodeLayout, ObjectType, Refusal, Registry, ShardId, SlotTable, Targets, View, ViewCommand,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::options::NodeOptions;
use crate::raft::LeaseCell;

/// What all shards of a node know.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) options: NodeOptions,
    pub(crate) registry: Registry,
    pub(crate) layout: NodeLayout,
    pub(crate) job_names: JobNames,
    /// The newest view that has come. A shard goes by the one that it has installed.
    pub(crate) newest: ArcSwap<Installed>,
    /// Where changes of the view are asked for; nowhere in a cluster of fixed members.
    pub(crate) proposals: Option<UnboundedSender<ViewCommand>>,
    /// The lease of each shard; none in a cluster of fixed members, where nobody takes another's place.
    pub(crate) leases: Vec<LeaseCell>,
}

/// A view, with what follows from it.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) view: Arc<View>,
    pub(crate) table: SlotTable,
    /// The table, encoded once.
    pub(crate) table_bytes: Bytes,
    /// Which nodes should hold each slot, the primary first.
    pub(crate) targets: Targets,
}

impl Installed {
    /// What follows from `view`; `targets` are those of an earlier one, if there was one.
    pub(crate) fn new(view: Arc<View>, targets: Option<Targets>) -> Arc<Self> {
        let table = view.table();
        let table_bytes = postcard::to_allocvec(&table).map(Bytes::from).unwrap_or_default();
        let mut targets = targets.unwrap_or_else(|| Targets::of(&view));
        targets.refresh(&view);
        Arc::new(Self { view, table, table_bytes, targets })
    }
}

impl Place {
    pub(crate) fn newest(&self) -> Arc<Installed> {
        self.newest.load_full()
    }

    /// Whether the shard may answer what only a primary without a rival may, by the clock as it is now.
    pub(crate) fn is_leased(&self, shard: ShardId) -> bool {
        self.leases.get(usize::from(shard.0)).is_none_or(LeaseCell::is_valid)
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.layout.incarnation
    }

    /// The type of that name in this program.
    pub(crate) fn object_type(&self, name: &str) -> Result<&'static ObjectType, Refusal> {
        self.registry.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.registry.iter().map(|known| known.name).collect();
            Refusal::UnknownType { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

/// The names of jobs, as clients said them: for operators.
#[derive(Debug, Default)]
pub(crate) struct JobNames(Mutex<BTreeMap<JobId, String>>);

/// Names that a node keeps; jobs beyond are shown by their ids.
const JOB_NAMES_MAX: usize = 1024;
/// Bytes of a name that is kept.
const JOB_NAME_BYTES_MAX: usize = 128;

impl JobNames {
    /// A client says the name of its job. The id follows from the name, so nobody can name another's job.
    pub(crate) fn learn(&self, name: &str) {
        if name.is_empty() || name.len() > JOB_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return;
        }
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < JOB_NAMES_MAX {
            names.entry(JobId::named(name)).or_insert_with(|| name.to_owned());
        }
    }

    /// The name of a job, if somebody has said it.
    pub(crate) fn name(&self, job: JobId) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&job).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_are_kept_if_they_can_be_shown_and_are_few() {
        let names = JobNames::default();
        for name in ["night", "", "n\u{1b}[2J", &"n".repeat(129)] {
            names.learn(name);
        }
        assert_eq!(names.name(JobId::named("night")).as_deref(), Some("night"));
        assert_eq!(names.0.lock().expect("nobody panics with it").len(), 1);
        (0..2_000).for_each(|number| names.learn(&number.to_string()));
        assert_eq!(names.0.lock().expect("nobody panics with it").len(), JOB_NAMES_MAX);
    }
}
