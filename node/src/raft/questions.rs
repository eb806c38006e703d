//! Asking whoever leads the group, and asking again when that is another one.

use std::time::Duration;

use greenroom_actors::{Changed, NodeId, RenewalId, ViewCommand};
use greenroom_rpc::group::{Admitted, GroupRefusal, Renewal, decode_result};
use greenroom_rpc::proto::{JoinRequest, ProposeRequest, RenewRequest};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::group::{Ask, Group, Led};
use super::network::unreachable;

/// How long a question that has no answer yet waits before it is asked again, unless another node leads by then.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long one try takes at most: whoever leads may have stopped.
const TRY_MAX: Duration = Duration::from_secs(2);

/// Something that only who leads can do.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// A change of the view.
    Propose(ViewCommand),
    /// A process wants to be a member.
    Join(JoinRequest),
    /// A member wants a lease.
    Renew(NodeId, RenewalId),
}

/// The answer, by question.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Changed(Changed),
    Admitted(Admitted),
    Renewal(Renewal),
}

impl Group {
    /// Asks whoever leads, until there is an answer or the time is over.
    pub(super) async fn ask(&self, question: &Question, within: Duration) -> Result<Answer, GroupRefusal> {
        let deadline = Instant::now() + within;
        let mut metrics = self.raft.metrics();
        let mut last = None;
        loop {
            let led = self.led(&metrics.borrow_and_update());
            // Whoever is asked may be cut off, while another one leads already.
            let is_led_elsewhere = async {
                while self.led(&metrics.borrow_and_update()) == led {
                    if metrics.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                }
            };
            let answered = async {
                let answer = timeout(TRY_MAX, self.ask_at(&led, question)).await;
                match answer {
                    Ok(Err(refusal)) if refusal.is_passing() => last = Some(Box::new(refusal)),
                    Ok(answer) => return answer,
                    Err(_) => {}
                }
                sleep(ASK_AGAIN).await;
                Err(GroupRefusal::NotLeader)
            };
            let asked = async {
                tokio::select! {
                    answer = answered => Some(answer).filter(|answer| !matches!(answer, Err(GroupRefusal::NotLeader))),
                    () = is_led_elsewhere => None,
                }
            };
            match timeout_at(deadline, asked).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => {}
                Err(_) => return Err(GroupRefusal::Expired { last }),
            }
        }
    }

    /// Asks once, where the group is led now.
    pub(super) async fn ask_once(&self, question: &Question) -> Result<Answer, GroupRefusal> {
        let led = self.led(&self.raft.metrics().borrow());
        self.ask_at(&led, question).await
    }

    async fn ask_at(&self, led: &Led, question: &Question) -> Result<Answer, GroupRefusal> {
        match led {
            Led::Here => self.ask_here(question).await,
            Led::At(address) => self.ask_there(address, question).await,
            Led::Nowhere => Err(GroupRefusal::NotLeader),
        }
    }

    /// Asks this process, which may lead.
    pub(super) async fn ask_here(&self, question: &Question) -> Result<Answer, GroupRefusal> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { question: question.clone(), reply };
        if self.asks.send(ask).await.is_err() {
            return Err(GroupRefusal::NotReady);
        }
        answer.await.unwrap_or(Err(GroupRefusal::Deposed))
    }

    /// Asks the node at `address`, once.
    pub(super) async fn ask_there(&self, address: &str, question: &Question) -> Result<Answer, GroupRefusal> {
        let mut client = self.peers.client(address)?;
        let cluster = self.peers.cluster().0;
        let failed = |status: tonic::Status| unreachable(address, status.message());
        match question {
            Question::Propose(command) => {
                let command = postcard::to_allocvec(command);
                let command = command.map_err(|error| GroupRefusal::Malformed(error.to_string()))?.into();
                let timeout_ms = u64::try_from(TRY_MAX.as_millis()).unwrap_or(u64::MAX);
                let request = ProposeRequest { cluster, command, timeout_ms, forwarded: true };
                let reply = client.propose(self.peers.request(request)).await.map_err(failed)?;
                decode_result(&reply.into_inner().result).map(Answer::Changed)
            }
            Question::Join(request) => {
                let reply = client.join(self.peers.request(request.clone())).await.map_err(failed)?;
                decode_result(&reply.into_inner().result).map(Answer::Admitted)
            }
            Question::Renew(node, id) => {
                let request = RenewRequest { cluster, node: node.0, seq: id.0 };
                let reply = client.renew(self.peers.request(request)).await.map_err(failed)?;
                decode_result(&reply.into_inner().result).map(Answer::Renewal)
            }
        }
    }
}
