//! A look at one object: asked of its node, and told to people.

use std::fmt;

use greenroom_actors::SlotTable;
use greenroom_rpc::proto::DescribeObjectRequest;
use greenroom_rpc::proto::control_client::ControlClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::reach::{self, ANSWER_TIMEOUT, NoAnswer};
use super::table::{self, Align};
use super::target::{Job, Target};
use super::{ClusterArgument, Failure, names, readable};

/// The way to the node of an object.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    job: Job,
    table: SlotTable,
    node: String,
    address: String,
    slot: u16,
    control: Option<ControlClient<Channel>>,
}

/// What an object said of itself.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) version: u64,
    /// The node's clock when it answered.
    pub(super) now_ms: u64,
    name: String,
    json: Value,
}

/// What is new of an object, with the node's clock.
#[derive(Debug)]
pub(super) enum News {
    /// It may have changed.
    Changed(Look),
    /// It has not.
    Same { now_ms: u64 },
}

impl Link {
    /// Finds the node of the object. Nobody is asked about the object yet.
    pub(super) async fn open(cluster: &ClusterArgument, target: &Target, job: &Job) -> Result<Self, Failure> {
        let table = reach::find_table(&cluster.cluster.0).await?;
        Self::to(table, target.clone(), job.clone()).map_err(Failure::Failed)
    }

    fn to(table: SlotTable, target: Target, job: Job) -> Result<Self, String> {
        let slot = table.slot_of(target.hash(job.id));
        let member = table.place(slot).and_then(|place| table.member(place.primary));
        let member = member.ok_or_else(|| format!("slot {slot} has no node"))?;
        let (node, address) = (member.name.clone(), member.address.clone());
        Ok(Self { target, job, table, node, address, slot: slot.0, control: None })
    }

    /// Which object is looked at: of the type behind a name of the library, if the node knows none of that name.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Asks the node for a description, or, if `known` is still the object's version, for its clock.
    pub(super) async fn look(&mut self, known: Option<u64>) -> Result<News, NoAnswer> {
        let answer = self.ask(known).await;
        let behind = names::type_behind(&self.target.type_name);
        let (Err(NoAnswer::Senseless(_)), Some(behind)) = (&answer, behind) else { return answer };
        let target = Target { type_name: behind.to_owned(), key: self.target.key.clone() };
        *self = Self::to(self.table.clone(), target, self.job.clone()).map_err(NoAnswer::Down)?;
        self.ask(known).await
    }

    async fn ask(&mut self, known: Option<u64>) -> Result<News, NoAnswer> {
        let control = match &mut self.control {
            Some(control) => control,
            none => none.insert(reach::connect(&self.address).await?),
        };
        let request = DescribeObjectRequest { id: Some(self.target.id(self.job.id)), known };
        let answer = reach::answer(&self.address, ANSWER_TIMEOUT, control.describe_object(request)).await;
        if answer.is_err() {
            self.control = None;
        }
        let reply = answer?;
        self.job.name = self.job.name.take().or(reply.job_name);
        let Some(description) = reply.description else { return Ok(News::Same { now_ms: reply.now_ms }) };
        let unreadable = |why: &dyn fmt::Display| NoAnswer::Down(format!("{} describes it badly: {why}", self.address));
        let mut json: Value = serde_json::from_str(&description).map_err(|error| unreadable(&error))?;
        let fields = json.as_object_mut().ok_or_else(|| unreadable(&"it is no JSON object"))?;
        fields.extend([
            ("key".to_owned(), json!(self.target.key)),
            ("job".to_owned(), json!(self.job.to_string())),
            ("job_id".to_owned(), json!(self.job.hex())),
            ("node".to_owned(), json!(self.node)),
            ("address".to_owned(), json!(self.address)),
            ("shard".to_owned(), json!(reply.shard)),
            ("slot".to_owned(), json!(self.slot)),
        ]);
        let (version, now_ms) = (reply.version, reply.now_ms);
        Ok(News::Changed(Look { version, now_ms, name: self.target.to_string(), json }))
    }
}

impl Look {
    /// The description for programs.
    pub(super) fn json(&self) -> &Value {
        &self.json
    }

    pub(super) fn exists(&self) -> bool {
        self.json["exists"] == true
    }

    /// Why there is no object to speak of, if there is none.
    pub(super) fn absence(&self) -> Option<String> {
        let name = &self.name;
        if self.exists() {
            None
        } else if self.json["lost"] == true {
            Some(format!("`{name}` is lost: a panic could not be undone; delete it, and it can be made anew"))
        } else {
            Some(format!("`{name}` does not exist"))
        }
    }

    /// Whether both say the same, but for the time that has passed.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.timeless() == other.timeless()
    }

    fn timeless(&self) -> Value {
        let mut json = self.json.clone();
        for rows in ["holders", "parked"] {
            for row in json[rows].as_array_mut().into_iter().flatten() {
                row["for_ms"].take();
            }
        }
        json
    }

    /// The description in one line.
    pub(super) fn line(&self) -> String {
        if let Some(why) = self.absence() {
            return why;
        }
        let [holders, parked] = ["n_holders", "n_parked"].map(|count| self.json[count].as_u64().unwrap_or(0));
        let state = match &self.json["no_state"] {
            Value::String(why) => format!("state is not shown ({})", readable::text(why)),
            _ => readable::text(&self.json["state"].to_string()),
        };
        let (holders, parked) = (readable::count(holders, "holder"), readable::count(parked, "parked call"));
        format!("`{}`: {state}; {holders}; {parked}", self.name)
    }

    /// The description for people, as of `now_ms`.
    pub(super) fn text(&self, now_ms: u64) -> String {
        if let Some(why) = self.absence() {
            return why;
        }
        let part = |name: &str| plain(&self.json[name]);
        let place = format!(
            "node {} at {}, shard {}, slot {}, job {}",
            part("node"),
            part("address"),
            part("shard"),
            part("slot"),
            part("job")
        );
        let mut text = format!("{}\n{place}\n\n", self.name);
        match &self.json["no_state"] {
            Value::String(why) => text.push_str(&format!("state is not shown: {}", readable::text(why))),
            _ => {
                let bytes =
                    self.json["state_bytes"].as_u64().map(|bytes| format!(", {}", readable::count(bytes, "byte")));
                let state = readable::json(&self.json["state"]);
                text.push_str(&format!("state{}:\n{state}", bytes.unwrap_or_default()));
            }
        }
        let holders = [("HELD", "what"), ("OWNER", "owner"), ("FENCE", "fence"), ("FOR", "since_ms")];
        text.push_str(&self.rows("holder", "n_holders", "holders", &holders, now_ms));
        let parked = [("METHOD", "method"), ("OWNER", "owner"), ("FOR", "since_ms"), ("UNTIL", "deadline_ms")];
        text.push_str(&self.rows("parked call", "n_parked", "parked", &parked, now_ms));
        text
    }

    /// A table of the rows of that name, below how many there are; nothing, if there are none.
    fn rows(&self, one: &str, count: &str, rows: &str, columns: &[(&str, &str)], now_ms: u64) -> String {
        let n_rows = self.json[count].as_u64().unwrap_or(0);
        let shown: Vec<Vec<String>> = self.json[rows]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| columns.iter().map(|(_, field)| cell(field, row, now_ms)).collect())
            .collect();
        if n_rows == 0 {
            return String::new();
        }
        let titles: Vec<_> = columns.iter().map(|&(title, _)| (title, Align::Left)).collect();
        let mut text = format!("\n\n{}", readable::count(n_rows, one));
        if n_rows > shown.len() as u64 {
            text.push_str(&format!(", of which the first {}", shown.len()));
        }
        text.push_str(&format!(":\n{}", table::render(&titles, &shown)));
        text
    }
}

/// A field of a row for people: times as durations.
fn cell(field: &str, row: &Value, now_ms: u64) -> String {
    let value = &row[field];
    match (field, value.as_u64()) {
        ("since_ms", Some(since_ms)) => readable::duration(now_ms.saturating_sub(since_ms)),
        ("deadline_ms", Some(deadline_ms)) => match deadline_ms.saturating_sub(now_ms) {
            0 => "now".to_owned(),
            left_ms => format!("in {}", readable::duration(left_ms)),
        },
        ("deadline_ms", None) => "no deadline".to_owned(),
        ("owner", _) => owner(row, now_ms),
        _ => plain(value),
    }
}

/// An owner for people: what its process says of itself, its id, and when it ends if its process is away.
fn owner(row: &Value, now_ms: u64) -> String {
    let id = plain(&row["owner"]);
    let name = match &row["process"] {
        Value::String(process) => format!("{} ({id})", readable::text(process)),
        _ => id,
    };
    match row["ends_at_ms"].as_u64() {
        Some(ends_ms) => {
            let left = readable::duration(ends_ms.saturating_sub(now_ms));
            format!("{name}, away: released in {left} unless it comes back")
        }
        None => name,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => readable::text(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(said: Value) -> Look {
        Look { version: 1, now_ms: 10_000, name: "Desks/hall".to_owned(), json: said }
    }

    /// Two of three holders, and a call that waits.
    fn desks() -> Look {
        let holder =
            |owner: &str| json!({ "what": "desk", "owner": owner, "fence": 7, "since_ms": 8_700, "for_ms": 1_300 });
        look(json!({
            "exists": true, "lost": false, "node": "n2", "address": "host:7400", "shard": 1, "slot": 517, "job": "default",
            "state": { "free": 0 }, "no_state": null, "state_bytes": 34,
            "holders": [holder("session 1"), holder("session 2")], "n_holders": 3,
            "parked": [{ "method": "sit", "owner": "session 3", "since_ms": 9_650, "for_ms": 350, "deadline_ms": 190_000 }],
            "n_parked": 1,
        }))
    }

    #[test]
    fn people_read_tables_with_times_as_durations() {
        let expected = "Desks/hall\n\
                        node n2 at host:7400, shard 1, slot 517, job default\n\n\
                        state, 34 bytes:\n\
                        {\"free\":0}\n\n\
                        3 holders, of which the first 2:\n\
                        HELD  OWNER      FENCE  FOR\n\
                        desk  session 1  7      1.3 s\n\
                        desk  session 2  7      1.3 s\n\n\
                        1 parked call:\n\
                        METHOD  OWNER      FOR     UNTIL\n\
                        sit     session 3  350 ms  in 3 min";
        assert_eq!(desks().text(10_000), expected);
        assert_eq!(desks().line(), "`Desks/hall`: {\"free\":0}; 3 holders; 1 parked call");
    }

    #[test]
    fn owners_are_shown_as_their_processes_say() {
        let mut desks = desks();
        desks.json["holders"][0]["process"] = json!("4711@host\u{1b}[2J");
        desks.json["parked"][0]["process"] = json!("12@other");
        desks.json["parked"][0]["ends_at_ms"] = json!(17_000);
        let text = desks.text(10_000);
        assert!(text.contains("\ndesk  4711@host\\u{1b}[2J (session 1)  7  "), "{text}");
        let away = "\nsit     12@other (session 3), away: released in 7.0 s unless it comes back  350 ms";
        assert!(text.contains(away), "{text}");
    }

    #[test]
    fn times_go_on_without_another_description() {
        assert!(desks().text(200_000).ends_with("sit     session 3  3 min  now"), "{}", desks().text(200_000));
    }

    #[test]
    fn what_cannot_be_shown_has_its_reason() {
        let hidden = look(json!({ "exists": true, "state": null, "no_state": "it has 70000 bytes" }));
        assert!(hidden.text(0).ends_with("\n\nstate is not shown: it has 70000 bytes"));
        assert!(hidden.line().contains("state is not shown (it has 70000 bytes)"));
        let lost = look(json!({ "exists": false, "lost": true }));
        assert!(lost.text(0).contains("`Desks/hall` is lost"));
        assert_eq!(look(json!({ "exists": false })).line(), "`Desks/hall` does not exist");
    }

    #[test]
    fn time_alone_is_no_change() {
        let mut later = desks();
        later.json["parked"][0]["for_ms"] = json!(900);
        assert!(desks().says_the_same(&later));
        later.json["parked"][0]["owner"] = json!("session 4");
        assert!(!desks().says_the_same(&later));
    }
}
