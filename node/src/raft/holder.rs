//! Keeps the lease of this node: asks whoever leads for it, again and again.

use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::{NodeId, RenewalId};
use greenroom_rpc::group::Renewal;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::group::{Group, Led, Standing};
use super::questions::{Answer, Question};

/// Renews the lease of `node` until the cluster says that it is no member, or its part in the group has failed.
pub(super) async fn hold(group: Arc<Group>, node: NodeId) {
    let settings = group.options.lease();
    let mut ticks = interval(Duration::from_millis(settings.renewal_ms().max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut metrics = group.raft.metrics();
    let mut led = group.led(&metrics.borrow_and_update());
    // An answer is waited for as long as it could be of use, so there are a handful of them at most.
    let mut asked = JoinSet::new();
    let patience = Duration::from_millis(settings.holder_ms());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = metrics.changed() => {
                let now_led = group.led(&metrics.borrow_and_update());
                if changed.is_err() {
                    return;
                }
                if now_led == led {
                    continue;
                }
                led = now_led;
            }
            Some(answer) = asked.join_next() => {
                match answer {
                    Ok(Some((id, Renewal::Granted(version)))) => group.holding.granted(id, version),
                    Ok(Some((_, Renewal::NotMember))) => return removed(&group, node),
                    Ok(None) | Err(_) => {}
                }
                continue;
            }
        }
        if matches!(*group.standing.borrow(), Standing::Failed(_)) {
            return group.holding.forget();
        }
        if led != Led::Nowhere {
            let id = group.holding.renewal_sent();
            asked.spawn(renew(Arc::clone(&group), node, id, patience));
        }
    }
}

async fn renew(group: Arc<Group>, node: NodeId, id: RenewalId, patience: Duration) -> Option<(RenewalId, Renewal)> {
    match timeout(patience, group.ask_once(&Question::Renew(node, id))).await {
        Ok(Ok(Answer::Renewal(renewal))) => Some((id, renewal)),
        Ok(Ok(_)) => None,
        Ok(Err(refusal)) => {
            tracing::debug!(%node, %refusal, "the lease was not renewed");
            None
        }
        Err(_) => None,
    }
}

fn removed(group: &Group, node: NodeId) {
    tracing::warn!(%node, "the cluster has given this node up");
    group.holding.forget();
    group.standing.send_if_modified(|standing| {
        let was_member = *standing == Standing::Member(node);
        if was_member {
            *standing = Standing::Removed(node);
        }
        was_member
    });
}
