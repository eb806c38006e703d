//! `greenroom objects`: what there is in a cluster.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use greenroom_actors::objects::CloudThreadObject;
use greenroom_actors::{JobId, Object};
use greenroom_rpc::proto::{ListObjectsRequest, ObjectId, ObjectRow};
use serde::Serialize;

use super::reach::{self, NoAnswer};
use super::table::{self, Align};
use super::target::{Job, JobArgument};
use super::{ClusterArgument, Failure, Tool, client_runtime, names, output, readable};

/// How long a node may take for a page: it may have to look at millions of objects, or to encode large ones.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most objects that a node is asked for at once.
const PAGE_ROWS_MAX: usize = 1000;

/// The words after `objects`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Objects that come or go meanwhile may be in the list or not. HOLDERS is - where the type does not say.\n\
                        `describe TYPE/KEY` says more of one.\n\n\
                        Exit status: 0, also if nothing matches or some nodes are down; 1 if no node answers; 2 if no node knows the type."
)]
pub(super) struct ObjectsCommand {
    /// Only objects of this type.
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,

    /// Only objects whose keys begin so.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    #[command(flatten)]
    job: JobArgument,

    /// The objects of all jobs, whatever --job says.
    #[arg(long)]
    all_jobs: bool,

    /// Show how large the states are; each is encoded for it.
    #[arg(long)]
    sizes: bool,

    /// Show so many objects, the first by type and key, and how many more there are.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// The objects of a cluster, as `--json` shows them.
#[derive(Debug, Serialize)]
struct Listing {
    /// The first ones, by type, key and job.
    objects: Vec<ObjectPart>,
    /// How many there are, shown or not.
    count: u64,
    /// Nodes whose objects are missing.
    down: Vec<DownNode>,
}

#[derive(Debug, Serialize)]
struct ObjectPart {
    r#type: String,
    key: String,
    /// Its name, if the node knows it, and else its id.
    job: String,
    job_id: String,
    /// `exists` or `lost`.
    state: &'static str,
    state_bytes: Option<u64>,
    holders: Option<u64>,
    parked: u32,
    queued: u32,
}

#[derive(Debug, Serialize)]
struct DownNode {
    name: String,
    reason: String,
}

/// An object's place in a listing.
type Rank = (String, String, u64);

/// The first objects of a node, and how many it has.
#[derive(Debug, Default)]
struct NodeListing {
    first: BTreeMap<Rank, ObjectRow>,
    count: u64,
}

/// Lists the objects of a cluster.
pub(super) fn run(tool: &Tool, command: &ObjectsCommand) -> Result<ExitCode, Failure> {
    let listing = client_runtime()?.block_on(async {
        let type_name = command.type_name.as_deref();
        match (listing(command, type_name).await, type_name) {
            (Err(Failure::Usage(why)), Some(name)) => match names::type_behind(name) {
                Some(behind) => listing(command, Some(behind)).await,
                None => Err(Failure::Usage(names::unknown_type(&tool.registry, name, why))),
            },
            (listing, _) => listing,
        }
    })?;
    for DownNode { name, reason } in &listing.down {
        output::note(format_args!("{name} is down, its objects are missing: {reason}"));
    }
    if command.json {
        output::json(&listing);
    } else {
        output::line(listing.text(command));
    }
    Ok(ExitCode::SUCCESS)
}

/// The cloud threads of a job, or of all, in the order of their ids.
pub(super) async fn threads(cluster: &ClusterArgument, job: Option<JobId>) -> Result<Vec<(Job, String)>, Failure> {
    let request = ListObjectsRequest {
        type_name: Some(CloudThreadObject::TYPE.name.to_owned()),
        job: job.map(|job| job.0),
        limit: u32::try_from(PAGE_ROWS_MAX).unwrap_or(u32::MAX),
        ..ListObjectsRequest::default()
    };
    let gathered = gather(cluster, request, usize::MAX).await?;
    for DownNode { name, reason } in &gathered.down {
        output::note(format_args!("{name} is down, its threads are missing: {reason}"));
    }
    let rows = gathered.all.first.into_values().map(|row| {
        let id = row.id.unwrap_or_default();
        (Job::seen(id.job, row.job_name), id.key)
    });
    Ok(rows.collect())
}

/// Lists what the words after `objects` ask for.
async fn listing(command: &ObjectsCommand, type_name: Option<&str>) -> Result<Listing, Failure> {
    let limit = usize::try_from(command.limit).unwrap_or(usize::MAX);
    let request = ListObjectsRequest {
        type_name: type_name.map(str::to_owned),
        prefix: command.prefix.clone(),
        job: (!command.all_jobs).then_some(command.job.job.id.0),
        sizes: command.sizes,
        limit: u32::try_from(limit.min(PAGE_ROWS_MAX)).unwrap_or(u32::MAX),
        ..ListObjectsRequest::default()
    };
    let Gathered { all, down } = gather(&command.cluster, request, limit).await?;
    let objects = all.first.into_values().take(limit).map(ObjectPart::new).collect();
    Ok(Listing { objects, count: all.count, down })
}

/// What the nodes that answer have, and which do not.
struct Gathered {
    all: NodeListing,
    down: Vec<DownNode>,
}

/// Asks all nodes of the cluster at once.
async fn gather(cluster: &ClusterArgument, request: ListObjectsRequest, limit: usize) -> Result<Gathered, Failure> {
    let table = reach::find_table(&cluster.cluster.0).await?;
    let ask = |address: &String| tokio::spawn(list(address.clone(), request.clone(), limit));
    let asked: Vec<_> = table.members.iter().map(|member| ask(&member.address)).collect();
    let (mut all, mut down, mut senseless, mut n_answers) = (NodeListing::default(), Vec::new(), None, 0);
    for (member, answer) in table.members.iter().zip(asked) {
        match answer.await.unwrap_or_else(|error| Err(NoAnswer::Down(error.to_string()))) {
            Ok(listing) => {
                n_answers += 1;
                all.count += listing.count;
                all.first.extend(listing.first);
            }
            Err(NoAnswer::Down(reason)) => down.push(DownNode { name: member.name.clone(), reason }),
            Err(NoAnswer::Senseless(why)) => senseless = Some(why),
        }
    }
    match senseless {
        // While programs are replaced, some nodes may know a type and others not.
        Some(why) if n_answers == 0 => Err(Failure::Usage(why)),
        None if n_answers == 0 => {
            let reasons: Vec<_> = down.into_iter().map(|node| node.reason).collect();
            Err(Failure::Failed(super::no_cluster(reasons.join("; "))))
        }
        _ => Ok(Gathered { all, down }),
    }
}

/// Reads all pages of a node, and keeps the first objects.
async fn list(address: String, mut request: ListObjectsRequest, limit: usize) -> Result<NodeListing, NoAnswer> {
    let mut control = reach::connect(&address).await?;
    let mut listing = NodeListing::default();
    loop {
        let page = reach::answer(&address, PAGE_TIMEOUT, control.list_objects(request.clone())).await?;
        listing.count += page.count;
        for row in page.rows {
            let id = row.id.clone().unwrap_or_default();
            listing.first.insert((id.type_name, id.key, id.job), row);
        }
        while listing.first.len() > limit {
            listing.first.pop_last();
        }
        if listing.first.len() == limit {
            // What comes after the last one is not shown, so the node need only count it.
            let last = listing.first.last_key_value().map(|(rank, _)| rank.clone());
            request.below = last.map(|(type_name, key, job)| ObjectId { job, type_name, key });
        }
        if page.next.is_none() {
            return Ok(listing);
        }
        request.from = page.next;
    }
}

impl Listing {
    /// The list for people.
    fn text(&self, command: &ObjectsCommand) -> String {
        let mut columns = vec![("TYPE", Align::Left), ("KEY", Align::Left)];
        columns.extend(command.all_jobs.then_some(("JOB", Align::Left)));
        columns.extend([
            ("STATE", Align::Left),
            ("HOLDERS", Align::Right),
            ("PARKED", Align::Right),
            ("QUEUED", Align::Right),
        ]);
        columns.extend(command.sizes.then_some(("BYTES", Align::Right)));
        let rows: Vec<_> = self.objects.iter().map(|object| object.cells(command)).collect();
        let mut text = table::render(&columns, &rows);
        let shown = self.objects.len();
        if self.count > shown as u64 {
            text.push_str(&format!("\n\n{} more; --limit {} shows all", self.count - shown as u64, self.count));
        }
        text
    }
}

impl ObjectPart {
    fn new(row: ObjectRow) -> Self {
        let id = row.id.unwrap_or_default();
        let job = Job::seen(id.job, row.job_name);
        Self {
            r#type: id.type_name,
            key: id.key,
            job: job.to_string(),
            job_id: job.hex(),
            state: if row.lost { "lost" } else { "exists" },
            state_bytes: row.state_bytes,
            holders: row.holders,
            parked: row.parked,
            queued: row.queued,
        }
    }

    fn cells(&self, command: &ObjectsCommand) -> Vec<String> {
        let optional = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let mut cells = vec![readable::text(&self.r#type), readable::text(&self.key)];
        cells.extend(command.all_jobs.then(|| self.job.clone()));
        cells.extend([self.state.to_owned(), optional(self.holders), self.parked.to_string(), self.queued.to_string()]);
        cells.extend(command.sizes.then(|| optional(self.state_bytes)));
        cells
    }
}
