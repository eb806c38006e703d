//! The names that people use, and what they may have meant.

use greenroom_actors::Registry;
use greenroom_rpc::proto::{ListObjectsRequest, ObjectId, ObjectRow};

use super::ClusterArgument;
use super::reach::{self, ANSWER_TIMEOUT};
use super::target::{Job, Target};

/// Objects of a node among which a name that was meant is looked for.
const LOOKED_AT_MAX: u32 = 1000;

/// The object type behind a name of the library that is not one.
pub(super) fn type_behind(name: &str) -> Option<&'static str> {
    Some(match name {
        "OrderedMap" => "Map",
        "OrderedSet" => "Set",
        "Queue" | "Sender" | "Receiver" | "oneshot" => "Channel",
        "Once" => "OnceCell",
        "Party" => "Phaser",
        _ => return None,
    })
}

/// `why` no such type is known, and which one may have been meant.
pub(super) fn unknown_type(registry: &Registry, name: &str, why: String) -> String {
    match nearest(name, registry.iter().map(|known| known.name)) {
        Some(near) => format!("{why}\nDid you mean `{near}`?"),
        None => why,
    }
}

/// Which object may have been meant instead of one that is not there: what follows the complaint.
///
/// It looks at the first objects of each node; one that does not answer has none.
pub(super) async fn meant(cluster: &ClusterArgument, target: &Target, job: &Job) -> String {
    let of_key = ListObjectsRequest { prefix: target.key.clone(), limit: LOOKED_AT_MAX, ..Default::default() };
    let same_key: Vec<_> = look(cluster, of_key).await.into_iter().filter(|(id, _)| id.key == target.key).collect();
    if let Some((id, other)) = same_key.iter().find(|(id, _)| id.type_name == target.type_name) {
        let job = Job::seen(id.job, other.job_name.clone());
        return format!("\nThere is one in another job: --job {job}");
    }
    if let Some((id, _)) = same_key.into_iter().find(|(id, _)| id.job == job.id.0) {
        return format!("\nDid you mean `{}`?", Target { type_name: id.type_name, key: id.key });
    }
    let of_type = ListObjectsRequest {
        type_name: Some(target.type_name.clone()),
        job: Some(job.id.0),
        limit: LOOKED_AT_MAX,
        ..Default::default()
    };
    let keys = look(cluster, of_type).await;
    match nearest(&target.key, keys.iter().map(|(id, _)| id.key.as_str())) {
        Some(key) => {
            format!("\nDid you mean `{}`?", Target { type_name: target.type_name.clone(), key: key.to_owned() })
        }
        None => String::new(),
    }
}

/// The first page of each node.
async fn look(cluster: &ClusterArgument, request: ListObjectsRequest) -> Vec<(ObjectId, ObjectRow)> {
    let Ok(table) = reach::find_table(&cluster.cluster.0).await else { return Vec::new() };
    let mut rows = Vec::new();
    for member in &table.members {
        let Ok(mut control) = reach::connect(&member.address).await else { continue };
        let page = reach::answer(&member.address, ANSWER_TIMEOUT, control.list_objects(request.clone())).await;
        let found = page.into_iter().flat_map(|page| page.rows);
        rows.extend(found.filter_map(|row| Some((row.id.clone()?, row))));
    }
    rows
}

/// The name that is like this one, but for a letter in three.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distance_max = name.chars().count().div_ceil(3).min(3);
    let distances = known.map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known));
    distances.filter(|&(distance, _)| distance <= distance_max).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_meant_if_few_letters_differ() {
        let known = || ["AtomicI64", "Counter", "Mutex", "hits"].into_iter();
        for (name, meant) in [("counter", "Counter"), ("Conuter", "Counter"), ("hist", "hits"), ("mutx", "Mutex")] {
            assert_eq!(nearest(name, known()), Some(meant));
        }
        assert_eq!(nearest("Centroid", known()), None);
        assert_eq!(nearest("x", known()), None);
    }
}
