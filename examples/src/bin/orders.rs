//! A shop whose orders come through a queue: functions are triggered by batches of them, and take from a shared stock.
//!
//! The queue delivers batches twice now and then, and functions fail in the middle of one. Each order must be applied once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use clap::Parser;
use greenroom::cloud::events::each_message;
use greenroom::cloud::events::sqs::{SqsBatchResponse, SqsEvent};
use greenroom::{Client, JobId, Settings, cloud, object};
use greenroom_lambda::{Config, Faults, FunctionConfig, InvocationType, Invoke, LocalLambda, LogSink, invoke};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::json;

const ITEMS: [&str; 5] = ["bed", "chair", "lamp", "shelf", "table"];
/// How many messages a queue hands over at once, at most.
const BATCH_MAX: usize = 10;
/// How many batches are under way at once.
const FUNCTIONS: usize = 8;

/// Has orders applied by functions on a local Lambda, and checks the stock against the same orders applied one by one.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of orders.
    #[arg(long, default_value_t = 2_000)]
    orders: usize,
    /// The share of batches that the queue delivers twice, 0 to 1.
    #[arg(long, default_value_t = 0.3)]
    duplicates: f64,
    /// The share of orders at which a function fails when it meets them first, 0 to 1.
    #[arg(long, default_value_t = 0.1)]
    failures: f64,
    /// Seed of the orders and of what goes wrong.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    item: String,
    quantity: i64,
    /// Whether the function that meets it first fails after it has taken from the stock: the queue delivers it again then.
    fails_first: bool,
}

/// The stock of one item.
#[object]
#[derive(Default, Serialize, Deserialize)]
struct Stock {
    left: i64,
    /// The orders that were applied: a redelivery has the id again.
    applied: BTreeSet<String>,
    n_refused: u64,
}

#[object]
impl Stock {
    /// Applies an order, once; returns whether this was the first time.
    pub fn take(&mut self, order: String, quantity: i64) -> bool {
        let is_first = self.applied.insert(order);
        if is_first {
            self.left -= quantity;
        } else {
            self.n_refused += 1;
        }
        is_first
    }

    /// What is left, how many orders were applied, and how often one came again.
    pub fn totals(&self) -> (i64, usize, u64) {
        (self.left, self.applied.len(), self.n_refused)
    }
}

/// What the queue triggers: a function on the local Lambda, in a process of its own.
#[cloud(event)]
fn on_orders(batch: SqsEvent) -> SqsBatchResponse {
    each_message(&batch, |message| {
        let order: Order = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        let is_first = Stock::named(&order.item).take(order.id.clone(), order.quantity)?;
        if order.fails_first && is_first {
            return Err(Failure::from(format!("order {} is applied, and the function fails", order.id)));
        }
        Ok(())
    })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[greenroom::main]
fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let orders = orders(&arguments);
    let job = format!("orders-{}-{}", std::process::id(), arguments.seed);
    let settings = Settings::from_env()?;
    let client = greenroom::init(Settings { job: Some(JobId::named(&job)), job_name: Some(job.clone()), ..settings })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deliveries = runtime.block_on(deliver(&client, &job, &orders, &arguments))?;
    report(&orders, deliveries, arguments.json)
}

fn orders(arguments: &Arguments) -> Vec<Order> {
    let mut random = StdRng::seed_from_u64(arguments.seed);
    let order = |number| Order {
        id: format!("order-{number}"),
        item: ITEMS.choose(&mut random).map(ToString::to_string).unwrap_or_default(),
        quantity: random.random_range(1..=5),
        fails_first: random.random_bool(arguments.failures.clamp(0.0, 1.0)),
    };
    (0..arguments.orders).map(order).collect()
}

/// Plays the queue: hands over batches until each message was answered as handled. Returns how many messages it delivered.
async fn deliver(client: &Client, job: &str, orders: &[Order], arguments: &Arguments) -> Result<usize, Failure> {
    let mut function = FunctionConfig::new("orders", std::env::current_exe()?);
    (function.memory_mb, function.timeout) = (1_024, std::time::Duration::from_secs(60));
    function.environment = vec![
        ("GREENROOM_CLUSTER".to_owned(), client.addresses().join(",")),
        ("GREENROOM_JOB".to_owned(), job.to_owned()),
    ];
    let faults = Faults { duplicate: arguments.duplicates.clamp(0.0, 1.0), ..Faults::default() };
    let config = Config { faults, seed: arguments.seed, log: LogSink::discard(), ..Config::default() };
    let lambda = LocalLambda::start(config.with_function(function)).await?;
    let (mut waiting, mut n_delivered) = (orders.to_vec(), 0);
    while !waiting.is_empty() {
        n_delivered += waiting.len();
        let mut failed = BTreeSet::new();
        for round in waiting.chunks(BATCH_MAX * FUNCTIONS) {
            let mut batches = tokio::task::JoinSet::new();
            for batch in round.chunks(BATCH_MAX) {
                batches.spawn(hand_over(lambda.address(), event(batch)));
            }
            for answer in batches.join_all().await {
                failed.extend(answer?.batch_item_failures.into_iter().map(|failure| failure.item_identifier));
            }
        }
        waiting.retain(|order| failed.contains(&order.id));
    }
    lambda.stop().await;
    Ok(n_delivered)
}

fn event(batch: &[Order]) -> serde_json::Value {
    let message = |order: &Order| {
        json!({
            "messageId": order.id,
            "body": serde_json::to_string(order).unwrap_or_default(),
            "attributes": {},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
        })
    };
    json!({ "Records": batch.iter().map(message).collect::<Vec<_>>() })
}

async fn hand_over(lambda: SocketAddr, event: serde_json::Value) -> Result<SqsBatchResponse, Failure> {
    let invocation = Invoke {
        function: "orders".to_owned(),
        payload: event.to_string().into(),
        invocation_type: InvocationType::RequestResponse,
    };
    let invoked = invoke(lambda, invocation).await?;
    match invoked.function_error {
        Some(kind) => Err(format!("{kind}: {}", String::from_utf8_lossy(&invoked.payload)).into()),
        None => Ok(serde_json::from_slice(&invoked.payload)?),
    }
}

/// Compares the stock with the same orders applied one by one.
fn report(orders: &[Order], n_delivered: usize, json: bool) -> Result<(), Failure> {
    let mut expected: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
    for order in orders {
        let (left, applied) = expected.entry(&order.item).or_default();
        (*left, *applied) = (*left - order.quantity, *applied + 1);
    }
    let mut n_again = 0;
    for (item, expected) in &expected {
        let (left, n_applied, n_refused) = Stock::named(*item).totals()?;
        if (left, n_applied) != *expected {
            return Err(format!("{item}: {left} after {n_applied} orders, where {expected:?} is right").into());
        }
        n_again += n_refused;
    }
    if json {
        println!("{}", json!({ "orders": orders.len(), "delivered": n_delivered, "again": n_again }));
    } else {
        println!("{} orders, each applied once: the stock of all {} items is right", orders.len(), expected.len());
        println!(
            "{n_delivered} messages were delivered, not counting doubled batches; {n_again} came again and were left out"
        );
    }
    Ok(())
}
