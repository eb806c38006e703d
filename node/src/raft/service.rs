//! The answering side of the group.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use greenroom_actors::wire::WIRE_VERSION;
use greenroom_actors::{Changed, ClusterId, Identity, NodeId, RenewalId, View, ViewCommand};
use greenroom_rpc::group::{Admitted, COMMAND_BYTES_MAX, GroupRefusal, GroupView, Renewal, encode_result};
use greenroom_rpc::proto::group_server::Group as GroupRpc;
use greenroom_rpc::proto::{
    JoinReply, JoinRequest, ProposeReply, ProposeRequest, RaftKind, RaftReply, RaftRequest, RenewReply, RenewRequest,
    ViewReply, ViewRequest,
};
use openraft::Snapshot;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use serde::de::DeserializeOwned;
use tonic::{Request, Response, Status};

use super::group::Group;
use super::questions::{Answer, Question};
use super::state_machine::SavedSnapshot;
use super::types::{Types, Vote};

/// For how long a node that passes a question on tries.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers Raft's messages and the questions to the group.
#[derive(Clone, Debug)]
pub struct GroupService {
    pub(super) group: Arc<Group>,
}

#[tonic::async_trait]
impl GroupRpc for GroupService {
    async fn raft(&self, request: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        let request = request.into_inner();
        let (kind, body) = (request.kind(), &request.body[..]);
        if let Err(refusal) = self.admit(&request).await {
            return Ok(Response::new(RaftReply { result: encode_result::<()>(&Err(refusal)) }));
        }
        let result = match kind {
            RaftKind::Append => encode_result(&self.append(body).await),
            RaftKind::Vote => encode_result(&self.vote(body).await),
            RaftKind::Snapshot => encode_result(&self.snapshot(body).await),
            RaftKind::IsLed => encode_result(&Ok(self.group.is_led())),
            RaftKind::Unspecified => {
                encode_result::<()>(&Err(GroupRefusal::Malformed("no such kind of message".to_owned())))
            }
        };
        Ok(Response::new(RaftReply { result }))
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<ProposeReply>, Status> {
        let result = encode_result(&self.proposed(request.into_inner()).await);
        Ok(Response::new(ProposeReply { result }))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinReply>, Status> {
        let result = encode_result(&self.joined(request.into_inner()).await);
        Ok(Response::new(JoinReply { result }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let result = encode_result(&self.renewed(&request.into_inner()).await);
        Ok(Response::new(RenewReply { result }))
    }

    async fn view(&self, _: Request<ViewRequest>) -> Result<Response<ViewReply>, Status> {
        Ok(Response::new(ViewReply { result: encode_result(&self.group_view()) }))
    }
}

impl GroupService {
    fn group_view(&self) -> Result<GroupView, GroupRefusal> {
        let view = View::clone(&self.group.view.borrow());
        if view.cluster == ClusterId(0) {
            return Err(GroupRefusal::NotReady);
        }
        let metrics = self.group.raft.metrics().borrow().clone();
        let voters = metrics.membership_config.membership().voter_ids().map(Identity).collect();
        Ok(GroupView { view, leader: metrics.current_leader.map(Identity), voters })
    }

    /// A message of Raft is taken from our cluster only, and only if it is meant for this process.
    async fn admit(&self, request: &RaftRequest) -> Result<(), GroupRefusal> {
        if request.to != self.group.identity.0 {
            return Err(GroupRefusal::OtherProcess);
        }
        match self.group.peers.cluster() {
            // Only a cluster that this process has asked to let it in knows its identity.
            ClusterId(0) if request.cluster != 0 => self.group.adopt(ClusterId(request.cluster)).await,
            _ => self.check_cluster(request.cluster),
        }
    }

    fn check_cluster(&self, theirs: u64) -> Result<(), GroupRefusal> {
        let (ours, theirs) = (self.group.peers.cluster(), ClusterId(theirs));
        if ours == ClusterId(0) {
            return Err(GroupRefusal::NotReady);
        }
        if ours == theirs { Ok(()) } else { Err(GroupRefusal::OtherCluster { ours, theirs }) }
    }

    async fn append(&self, body: &[u8]) -> Result<AppendEntriesResponse<u64>, GroupRefusal> {
        let request: AppendEntriesRequest<Types> = decode(body)?;
        let answer = self.group.raft.append_entries(request).await.map_err(not_ready)?;
        if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            self.group.heard.now();
        }
        Ok(answer)
    }

    async fn vote(&self, body: &[u8]) -> Result<VoteResponse<u64>, GroupRefusal> {
        let request: VoteRequest<u64> = decode(body)?;
        self.group.raft.vote(request).await.map_err(not_ready)
    }

    async fn snapshot(&self, body: &[u8]) -> Result<SnapshotResponse<u64>, GroupRefusal> {
        let (vote, saved): (Vote, SavedSnapshot) = decode(body)?;
        let snapshot = Snapshot { meta: saved.meta, snapshot: Box::new(saved.view) };
        self.group.raft.install_full_snapshot(vote, snapshot).await.map_err(not_ready)
    }

    async fn proposed(&self, request: ProposeRequest) -> Result<Changed, GroupRefusal> {
        self.check_cluster(request.cluster)?;
        if request.command.len() > COMMAND_BYTES_MAX {
            return Err(GroupRefusal::Malformed(format!("a command has {COMMAND_BYTES_MAX} bytes at most")));
        }
        let question = Question::Propose(decode::<ViewCommand>(&request.command)?);
        let answer = match request.forwarded {
            true => self.group.ask_here(&question).await?,
            false => self.group.ask(&question, Duration::from_millis(request.timeout_ms).min(PATIENCE)).await?,
        };
        match answer {
            Answer::Changed(changed) => Ok(changed),
            other => Err(odd(&other)),
        }
    }

    async fn joined(&self, request: JoinRequest) -> Result<Admitted, GroupRefusal> {
        self.check_joiner(&request)?;
        let answer = match request.forwarded {
            true => self.group.ask_here(&Question::Join(request)).await?,
            false => {
                let question = Question::Join(JoinRequest { forwarded: true, ..request });
                self.group.ask(&question, PATIENCE).await?
            }
        };
        match answer {
            Answer::Admitted(admitted) => Ok(admitted),
            other => Err(odd(&other)),
        }
    }

    fn check_joiner(&self, request: &JoinRequest) -> Result<(), GroupRefusal> {
        let (ours, theirs) = (u32::from(WIRE_VERSION), request.wire_version);
        if ours != theirs {
            return Err(GroupRefusal::OtherVersion { ours, theirs });
        }
        let ours = &self.group.me.cluster_name;
        if *ours != request.cluster_name {
            return Err(GroupRefusal::OtherName { ours: ours.clone(), theirs: request.cluster_name.clone() });
        }
        let cluster = self.group.peers.cluster();
        self.check_cluster(if request.cluster == 0 { cluster.0 } else { request.cluster })?;
        let (apart_ms, max_ms) = (request.now_ms.abs_diff(clock_ms()), self.group.options.clock_apart_ms_max);
        if !request.forwarded && apart_ms > max_ms {
            return Err(GroupRefusal::Clock { apart_ms, max_ms });
        }
        Ok(())
    }

    async fn renewed(&self, request: &RenewRequest) -> Result<Renewal, GroupRefusal> {
        self.check_cluster(request.cluster)?;
        match self.group.ask_here(&Question::Renew(NodeId(request.node), RenewalId(request.seq))).await? {
            Answer::Renewal(renewal) => Ok(renewal),
            other => Err(odd(&other)),
        }
    }
}

/// The clock of this machine, in milliseconds since the Unix epoch.
pub(super) fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, GroupRefusal> {
    postcard::from_bytes(body).map_err(|error| GroupRefusal::Malformed(error.to_string()))
}

fn not_ready(error: impl std::error::Error) -> GroupRefusal {
    tracing::debug!(%error, "a message of the group comes too late");
    GroupRefusal::NotReady
}

fn odd(answer: &Answer) -> GroupRefusal {
    GroupRefusal::Malformed(format!("an answer to another question: {answer:?}"))
}
