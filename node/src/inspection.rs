//! What a shard tells operators of its objects. It only looks, between turns: nothing is applied, and no actor is started.

use greenroom_actors::{Instance, JobId, ObjectEntry, ObjectName, ObjectType, Refusal, SlotId, hash_object};
use greenroom_rpc::proto::{ObjectId, ObjectRow};

use crate::core::{Core, ObjectAt, now_ms};

/// At how many objects a shard looks in one go, so that calls come in between.
const LOOKED_AT_MAX: usize = 4096;
/// Bytes of states that are encoded in one go, only to be measured, before calls come in between.
const MEASURED_BYTES_MAX: u64 = 4 << 20;
/// Holders, and parked calls, that a description names; it says how many there are.
const ROWS_DESCRIBED_MAX: usize = 1000;

/// Which objects a listing is about.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Of any type, if there is none.
    pub(crate) object_type: Option<&'static ObjectType>,
    pub(crate) prefix: String,
    /// Of any job, if there is none.
    pub(crate) job: Option<JobId>,
    /// What does not come before it is only counted.
    pub(crate) below: Option<ObjectId>,
    /// Whether states are measured.
    pub(crate) sizes: bool,
}

/// A part of a listing: as much as a shard looks at in one go.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    pub(crate) rows: Vec<ObjectRow>,
    /// Objects that were selected, listed or not.
    pub(crate) count: u64,
    /// Where the next stretch begins; nowhere, if this was the shard's last.
    pub(crate) next: Option<ObjectAt>,
}

/// What an object says of itself.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) version: u64,
    pub(crate) now_ms: u64,
    pub(crate) job_name: Option<String>,
    /// JSON; nothing if the asker knows this version.
    pub(crate) description: Option<String>,
}

/// The object that is to be described.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) object_type: &'static ObjectType,
    pub(crate) job: JobId,
    pub(crate) key: String,
}

impl Subject {
    pub(crate) fn name(&self) -> ObjectName<'_> {
        let Self { object_type, job, key } = self;
        ObjectName { hash: hash_object(*job, object_type.name, key), job: *job, object_type, key }
    }
}

impl Selection {
    fn selects(&self, entry: &ObjectEntry) -> bool {
        let of_type = self.object_type.is_none_or(|object_type| std::ptr::eq(entry.object_type(), object_type));
        let of_job = self.job.is_none_or(|job| entry.job() == job);
        of_type && of_job && entry.key().starts_with(&self.prefix) && {
            let instance = entry.instance().borrow();
            instance.exists() || instance.is_lost()
        }
    }

    fn lists(&self, entry: &ObjectEntry) -> bool {
        let name = (entry.object_type().name, entry.key(), entry.job().0);
        self.below.as_ref().is_none_or(|below| name < (below.type_name.as_str(), below.key.as_str(), below.job))
    }
}

impl Core {
    /// The selected objects from `from` on, until a limit is reached.
    pub(crate) fn list(&self, selection: &Selection, from: ObjectAt, rows_max: usize) -> Stretch {
        let mut stretch = Stretch::default();
        let (mut looked_at, mut measured_bytes) = (0, 0);
        for slot in self.host.slots().iter().skip(usize::from(from.0.0)).flatten().filter(|slot| slot.is_primary()) {
            let first = if slot.id() == from.0 { from.1 } else { 0 };
            for (object, entry) in slot.objects().iter_from(first) {
                let full = stretch.rows.len() >= rows_max;
                if full || looked_at >= LOOKED_AT_MAX || measured_bytes >= MEASURED_BYTES_MAX {
                    stretch.next = Some((slot.id(), object));
                    return stretch;
                }
                looked_at += 1;
                if !selection.selects(entry) {
                    continue;
                }
                stretch.count += 1;
                if selection.lists(entry) {
                    let row = ObjectRow { job_name: self.place.job_names.name(entry.job()), ..row(entry, selection) };
                    measured_bytes += row.state_bytes.unwrap_or(0);
                    stretch.rows.push(row);
                }
            }
        }
        stretch
    }

    /// What the object says of itself, unless its version is `known`.
    ///
    /// What has been answered has been applied, so a description follows every call that was answered before it was asked for.
    pub(crate) fn describe(&self, slot: SlotId, subject: &Subject, known: Option<u64>) -> Result<Described, Refusal> {
        let Some(slot) = self.host.slot(slot).filter(|slot| slot.is_primary()) else {
            return Err(Refusal::WrongPlace);
        };
        let name = subject.name();
        let entry = slot.objects().find(name).and_then(|object| slot.objects().get(object));
        let (version, now_ms) = (entry.map_or(0, ObjectEntry::version), now_ms());
        let description = (known != Some(version)).then(|| match entry {
            Some(entry) => entry.instance().borrow_mut().describe_with(now_ms, ROWS_DESCRIBED_MAX, |owner| {
                self.sessions.note(owner, self.place.options.session_grace_ms)
            }),
            None => Instance::vacant(name.object_type, name.hash).describe(now_ms, 0),
        });
        let job_name = self.place.job_names.name(subject.job);
        Ok(Described { version, now_ms, job_name, description: description.map(|said| said.to_string()) })
    }
}

fn row(entry: &ObjectEntry, selection: &Selection) -> ObjectRow {
    let mut instance = entry.instance().borrow_mut();
    ObjectRow {
        id: Some(ObjectId {
            job: entry.job().0,
            type_name: entry.object_type().name.to_owned(),
            key: entry.key().to_owned(),
        }),
        lost: instance.is_lost(),
        holders: instance.holders().map(|holders| holders.len() as u64),
        parked: entry.parked(),
        queued: entry.queued(),
        job_name: None,
        state_bytes: selection.sizes.then(|| instance.state_bytes()).flatten().map(|bytes| bytes as u64),
    }
}
