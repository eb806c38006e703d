//! Control calls to the nodes of a cluster.

use std::time::Duration;

use greenroom_actors::{Incarnation, SlotTable, View};
use greenroom_rpc::group::{self, GroupView};
use greenroom_rpc::proto::control_client::ControlClient;
use greenroom_rpc::{FRAME_BYTES_MAX, describe, dial};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::Failure;

/// How long a node may take to answer before it counts as down.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a node did not answer what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It cannot be reached, or fails.
    Down(String),
    /// The question makes no sense there.
    Senseless(String),
}

/// Asks any of the nodes for the slot table.
pub(super) async fn find_table(seeds: &[String]) -> Result<SlotTable, Failure> {
    let mut faults = Vec::new();
    for seed in seeds {
        match describe(seed, ANSWER_TIMEOUT).await {
            Ok((table, _)) => return Ok(table),
            Err(error) => faults.push(error.to_string()),
        }
    }
    Err(Failure::Failed(super::no_cluster(faults.join("; "))))
}

/// Asks any of the nodes for the view; of a cluster with fixed members it is made from their table.
pub(super) async fn find_view(seeds: &[String]) -> Result<GroupView, Failure> {
    let mut faults = Vec::new();
    for seed in seeds {
        match group::view(seed, ANSWER_TIMEOUT).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                let table = find_table(std::slice::from_ref(seed)).await?;
                let view = View::fixed(&table, Incarnation(0));
                return Ok(GroupView { view, leader: None, voters: Vec::new() });
            }
            Err(error) => faults.push(error.to_string()),
        }
    }
    Err(Failure::Failed(super::no_cluster(faults.join("; "))))
}

/// Connects to the node at `address`.
pub(super) async fn connect(address: &str) -> Result<ControlClient<Channel>, NoAnswer> {
    let channel = dial(address, ANSWER_TIMEOUT).await.map_err(|error| NoAnswer::Down(error.to_string()))?;
    Ok(ControlClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX))
}

/// Waits for what the node at `address` answers.
pub(super) async fn answer<T>(
    address: &str,
    timeout: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, NoAnswer> {
    let in_time = tokio::time::timeout(timeout, answer).await;
    let Ok(answer) = in_time else {
        return Err(NoAnswer::Down(format!("{address} does not answer within {} s", timeout.as_secs())));
    };
    match answer {
        Ok(response) => Ok(response.into_inner()),
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => {
            Err(NoAnswer::Senseless(status.message().to_owned()))
        }
        Err(status) if status.message().is_empty() => {
            Err(NoAnswer::Down(format!("{address} answers: {}", status.code())))
        }
        Err(status) => Err(NoAnswer::Down(format!("{address} answers: {}", status.message()))),
    }
}
