//! A client's settings, from the environment or from a builder.

use std::time::Duration;

use greenroom_actors::JobId;

/// Where a client's objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// In this process: a node of its own, started with the client.
    Embedded,
    /// Behind these nodes (`host:port`), any of which will do to begin with.
    Nodes(Vec<String>),
}

/// The settings of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the objects are.
    pub cluster: Cluster,
    /// The job whose objects are meant; `None` is a fresh one, which ends with the client.
    pub job: Option<JobId>,
    /// The name of the job, by which the operator's tool shows it; it changes nothing else.
    pub job_name: Option<String>,
    /// How long a call may take, unless its handle says otherwise. A call that may wait in an object has no such limit.
    pub timeout: Duration,
    /// How long a call that waits without limit bears a cluster that cannot be reached.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cluster: Cluster::Embedded,
            job: None,
            job_name: None,
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// The settings that the environment gives.
    ///
    /// | variable | unit | default | meaning |
    /// |---|---|---|---|
    /// | `GREENROOM_CLUSTER` | `host:port,…` | embedded | nodes of the cluster; any that answers will do |
    /// | `GREENROOM_JOB` | name | a fresh job | the job of the objects; `default` lasts as long as the cluster |
    /// | `GREENROOM_TIMEOUT_MS` | milliseconds | 30000 | how long a call may take |
    ///
    /// # Errors
    /// When a variable cannot be read.
    pub fn from_env() -> Result<Self, String> {
        let mut settings = Self::default();
        if let Some(list) = variable("GREENROOM_CLUSTER") {
            settings.cluster = Cluster::Nodes(parse_nodes(&list)?);
        }
        settings.job_name = variable("GREENROOM_JOB");
        settings.job = settings.job_name.as_deref().map(JobId::named);
        if let Some(text) = variable("GREENROOM_TIMEOUT_MS") {
            let ms = text.parse().map_err(|error| format!("GREENROOM_TIMEOUT_MS is `{text}`: {error}"))?;
            settings.timeout = Duration::from_millis(ms);
            settings.patience = settings.timeout;
        }
        Ok(settings)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Reads a list of nodes, `host:port,…`.
///
/// # Errors
/// When an item has no port, or there is none.
pub(crate) fn parse_nodes(list: &str) -> Result<Vec<String>, String> {
    let nodes: Vec<String> =
        list.split(',').map(str::trim).filter(|node| !node.is_empty()).map(str::to_owned).collect();
    for node in &nodes {
        let port = node.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            return Err(format!("`{node}` is not HOST:PORT"));
        }
    }
    if nodes.is_empty() { Err("the list of nodes is empty".to_owned()) } else { Ok(nodes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nodes_needs_ports() {
        assert_eq!(parse_nodes("a:1, b:2"), Ok(vec!["a:1".to_owned(), "b:2".to_owned()]));
        assert!(parse_nodes("a").is_err());
        assert!(parse_nodes("a:x").is_err());
        assert!(parse_nodes(" , ").is_err());
    }
}
