//! The topics: there or made, with the partitions and replicas that were asked for, and led.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
};
use tokio::task::spawn_blocking;

use super::{
    KafkaOptions, config,
    context::Trouble,
    fault,
    parting::Parting,
    session::{Session, Topics},
    topic_settings,
};
use crate::EventsError;

/// How long one question to the brokers may take before it is looked at what went wrong meanwhile.
const ASK: Duration = Duration::from_secs(1);
/// How long to wait before a topic is looked at again.
const POLL: Duration = Duration::from_millis(50);

/// Looks at the topics and makes those that are missing.
pub(super) struct Preparation<'a> {
    pub(super) session: Arc<Session>,
    pub(super) trouble: &'a Trouble,
    pub(super) options: &'a KafkaOptions,
    pub(super) topics: &'a Topics,
    pub(super) deadline: Instant,
}

/// What a topic looks like.
enum Seen {
    Missing,
    /// Not wholly there yet: what is missing, in words.
    Coming(String),
    Ready {
        partitions: usize,
        replicas: usize,
    },
}

impl Preparation<'_> {
    /// Sees to it that all topics can be written.
    ///
    /// # Errors
    /// `Unavailable` where no broker answers in time, or a partition has no leader; `NotAuthorised`, `TopicMissing`,
    /// `BadTopic`.
    pub(super) async fn run(&self) -> Result<(), EventsError> {
        let admin = admin(self.options)?;
        let mut missing = Vec::new();
        for topic in self.topics.all() {
            if let Seen::Missing = self.look(topic).await? {
                missing.push(topic);
            }
        }
        if !missing.is_empty() {
            if !self.options.create_topics {
                return Err(EventsError::TopicMissing { topics: missing.join(", ") });
            }
            self.create(&admin, &missing).await?;
        }
        let mut ready = Vec::new();
        for topic in self.topics.all() {
            ready.push((topic, self.check(topic).await?));
        }
        topic_settings::check(&admin, &ready, self.options, self.left()).await
    }

    /// What the brokers say of a topic. Waits for a broker to answer, until the deadline.
    async fn look(&self, topic: &str) -> Result<Seen, EventsError> {
        loop {
            let (session, name, timeout) = (Arc::clone(&self.session), topic.to_owned(), self.left().min(ASK));
            let asked = spawn_blocking(move || session.metadata(&name, timeout)).await;
            match asked.map_err(|e| EventsError::Unavailable(e.to_string()))? {
                Ok(metadata) => return seen(&metadata, topic),
                Err(error) => self.may_go_on(topic, &error)?,
            }
        }
    }

    /// After a question without an answer: whether to ask again.
    fn may_go_on(&self, topic: &str, error: &KafkaError) -> Result<(), EventsError> {
        let trouble = self.trouble.within(self.options.connect_timeout);
        if let Some((code, reason)) = trouble.as_ref().filter(|(code, _)| fault::is_refusal(*code)) {
            return Err(fault::refusal(*code, reason));
        }
        if !self.left().is_zero() {
            return Ok(());
        }
        let reason = trouble.map_or_else(|| error.to_string(), |(_, reason)| reason);
        let (brokers, waited) = (self.options.url.brokers(), self.options.connect_timeout);
        let what = format!("no broker of {brokers} has said within {waited:?} what topic {topic} looks like: {reason}");
        Err(EventsError::Unavailable(what))
    }

    async fn create(&self, admin: &Admin, missing: &[&str]) -> Result<(), EventsError> {
        let max_message_bytes = self.options.max_message_bytes.to_string();
        let partitions = self.options.partitions.map_or(-1, i32::from);
        let replicas = self.options.replication.map_or(-1, i32::from);
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|name| {
                let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
                let topic = topic.set("cleanup.policy", "delete");
                topic_settings::with_message_limit(topic, self.options.max_message_bytes, &max_message_bytes)
            })
            .collect();
        let left = self.left().max(POLL);
        let options = AdminOptions::new().request_timeout(Some(left)).operation_timeout(Some(left));
        let created = admin.create_topics(&topics, &options).await;
        let created = created.map_err(|e| EventsError::Unavailable(format!("topics cannot be created: {e}")))?;
        for result in created {
            match result {
                Ok(topic) => tracing::info!(topic, "topic created"),
                // Somebody else was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(self.not_created(topic, code)),
            }
        }
        Ok(())
    }

    fn not_created(&self, topic: String, code: RDKafkaErrorCode) -> EventsError {
        let reason = match code {
            code if fault::is_refusal(code) => return fault::refusal(code, &format!("creating topic {topic}")),
            RDKafkaErrorCode::InvalidReplicationFactor => {
                let wanted = self.options.replication.map_or_else(|| "the default".to_owned(), |n| n.to_string());
                format!("it cannot be created with {wanted} replicas: {code}")
            }
            RDKafkaErrorCode::InvalidPartitions
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidRequest => format!("it cannot be created: {code}"),
            code => return EventsError::Unavailable(format!("topic {topic} cannot be created: {code}")),
        };
        EventsError::BadTopic { topic, reason }
    }

    /// Waits until each partition has a leader, then counts. Answers how many replicas there are.
    async fn check(&self, topic: &str) -> Result<usize, EventsError> {
        loop {
            let coming = match self.look(topic).await? {
                Seen::Ready { partitions, replicas } => {
                    self.count(topic, partitions, replicas)?;
                    return Ok(replicas);
                }
                Seen::Coming(what) => what,
                // The broker that was asked has not heard of it yet.
                Seen::Missing => "the brokers do not know it yet".to_owned(),
            };
            if self.left().is_zero() {
                let waited = self.options.connect_timeout;
                return Err(EventsError::Unavailable(format!("topic {topic} is not ready after {waited:?}: {coming}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn count(&self, topic: &str, partitions: usize, replicas: usize) -> Result<(), EventsError> {
        for (what, wanted, found) in
            [("partitions", self.options.partitions, partitions), ("replicas", self.options.replication, replicas)]
        {
            if let Some(wanted) = wanted.filter(|wanted| usize::from(*wanted) > found) {
                let reason =
                    format!("it has {found} {what}, and {wanted} are asked for; change the topic, or ask for {found}");
                return Err(EventsError::BadTopic { topic: topic.to_owned(), reason });
            }
        }
        Ok(())
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The client that makes topics and reads their settings.
type Admin = Parting<AdminClient<DefaultClientContext>>;

fn admin(options: &KafkaOptions) -> Result<Admin, EventsError> {
    config::client(options).create().map(Parting::new).map_err(|e| fault::refused_config(&e))
}

fn seen(metadata: &Metadata, topic: &str) -> Result<Seen, EventsError> {
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(Seen::Missing) };
    if let Some(error) = found.error() {
        return match RDKafkaErrorCode::from(error) {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Ok(Seen::Missing),
            code if fault::is_refusal(code) => Err(fault::refusal(code, &format!("topic {topic}"))),
            RDKafkaErrorCode::InvalidTopic => Err(EventsError::BadTopic {
                topic: topic.to_owned(),
                reason: "the brokers do not take its name".to_owned(),
            }),
            code => Ok(Seen::Coming(code.to_string())),
        };
    }
    if found.partitions().is_empty() {
        return Ok(Seen::Missing);
    }
    if let Some(partition) = found.partitions().iter().find(|p| p.leader() < 0) {
        return Ok(Seen::Coming(format!("its partition {} has no leader", partition.id())));
    }
    let replicas = found.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or_default();
    Ok(Seen::Ready { partitions: found.partitions().len(), replicas })
}
