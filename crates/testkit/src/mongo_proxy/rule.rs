//! Which commands meet which fault.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{HelloChange, ServerError, message::Command};

/// The commands that change documents.
const WRITES: [&str; 5] = ["insert", "update", "delete", "findAndModify", "bulkWrite"];

/// Further commands that wait for a write concern.
const DEFINITIONS: [&str; 6] = ["create", "createIndexes", "collMod", "drop", "dropDatabase", "dropIndexes"];

/// A fault and the commands that meet it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The commands.
    pub when: When,
    /// What happens to them.
    pub fault: Fault,
    /// How many commands it takes at the most; `None`: any number.
    pub times: Option<u64>,
}

impl Rule {
    /// Every command that matches meets this fault.
    pub fn new(when: When, fault: Fault) -> Self {
        Self { when, fault, times: None }
    }

    /// It takes this many commands and then no more.
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// Which commands a rule takes. A command that an earlier rule has taken is not seen by later ones.
#[derive(Debug, Clone)]
pub struct When {
    /// The commands' names, as on the wire (`insert`, `find`, `findAndModify`); `hello` stands for all its names.
    /// Empty: every command but `hello`.
    pub commands: Vec<String>,
    /// The collection that the command works on.
    pub collection: Option<String>,
    /// Which of the commands that match so far.
    pub turn: Turn,
    /// Commands match only while this is on. Those that pass while it is off are not counted for the turn.
    pub armed: Option<Switch>,
}

impl When {
    /// Every command but `hello`.
    pub fn any() -> Self {
        Self { commands: Vec::new(), collection: None, turn: Turn::Each, armed: None }
    }

    /// Every command of this name.
    pub fn command(name: &str) -> Self {
        Self { commands: vec![name.to_owned()], ..Self::any() }
    }

    /// Every `insert`, `update`, `delete`, `findAndModify` and `bulkWrite`.
    pub fn write() -> Self {
        Self { commands: WRITES.map(str::to_owned).to_vec(), ..Self::any() }
    }

    /// Every `hello`, of monitors and of new connections.
    pub fn hello() -> Self {
        Self::command("hello")
    }

    /// Of these, those on this collection.
    pub fn on(self, collection: &str) -> Self {
        Self { collection: Some(collection.to_owned()), ..self }
    }

    /// Of these, those whose turn it is.
    pub fn turn(self, turn: Turn) -> Self {
        Self { turn, ..self }
    }

    /// Of these, those that come while this is on.
    pub fn while_on(self, switch: &Switch) -> Self {
        Self { armed: Some(switch.clone()), ..self }
    }

    pub(super) fn matches(&self, command: &Command<'_>) -> bool {
        let named = match self.commands.as_slice() {
            [] => !command.is_hello(),
            names => names.iter().any(|name| name == command.name),
        };
        named
            && self.collection.as_deref().is_none_or(|collection| command.collection == Some(collection))
            && self.armed.as_ref().is_none_or(Switch::is_on)
    }
}

/// Which of the commands that match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Turn {
    /// Each.
    Each,
    /// The one of this number, from 1.
    Nth(u64),
    /// Each whose number, from 1, is a multiple of this. None where this is 0.
    Every(u64),
    /// Each with this probability, from 0 to 1. The same seed chooses the same numbers.
    Chance {
        /// The probability.
        probability: f64,
        /// Where the generator begins.
        seed: u64,
    },
}

/// Arms rules and disarms them; clones are one switch.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// A switch that is off.
    pub fn off() -> Self {
        Self::default()
    }

    /// Turns it on or off.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What happens to a command. Where a connection is closed, both its ends are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server works, and its reply is thrown away with the connection.
    DropReply,
    /// Half of the request's bytes reach the server, and the connection is closed.
    CutRequest,
    /// The server works, half of its reply's bytes reach the client, and the connection is closed.
    CutReply,
    /// The request waits before it goes to the server; so does what comes behind it on the connection.
    DelayRequest(Duration),
    /// The reply waits before it goes to the client; so does what comes behind it on the connection.
    DelayReply(Duration),
    /// The client gets this error, and the server nothing.
    AnswerInstead(ServerError),
    /// The server works, and the client gets this error instead of its reply.
    AnswerAfter(ServerError),
    /// The server works, and its reply, where it says `ok: 1`, gets this as its `writeConcernError`. Only for commands
    /// that write: drivers look for it nowhere else.
    WriteConcernError(ServerError),
    /// A reply to `find` that has documents says that there are none: no majority has them yet. Only for `find`. Where
    /// the server keeps a cursor for the rest, it waits until the server gives it up.
    FindNothing,
    /// `hello` says something else. Only for rules of `hello`.
    ChangeHello(Vec<HelloChange>),
}

impl Fault {
    /// As what it is counted.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::DropReply => FaultKind::DropReply,
            Self::CutRequest => FaultKind::CutRequest,
            Self::CutReply => FaultKind::CutReply,
            Self::DelayRequest(_) => FaultKind::DelayRequest,
            Self::DelayReply(_) => FaultKind::DelayReply,
            Self::AnswerInstead(_) => FaultKind::AnswerInstead,
            Self::AnswerAfter(_) => FaultKind::AnswerAfter,
            Self::WriteConcernError(_) => FaultKind::WriteConcernError,
            Self::FindNothing => FaultKind::FindNothing,
            Self::ChangeHello(_) => FaultKind::ChangeHello,
        }
    }

    /// Whether this can be done to the command at all: what is done to a reply needs one.
    pub(super) fn fits(&self, command: &Command<'_>) -> bool {
        match self {
            Self::CutRequest | Self::DelayRequest(_) => true,
            Self::ChangeHello(_) => command.is_hello(),
            Self::FindNothing => command.name == "find" && command.wants_reply,
            Self::WriteConcernError(_) => {
                command.wants_reply && (WRITES.contains(&command.name) || DEFINITIONS.contains(&command.name))
            }
            _ => command.wants_reply,
        }
    }
}

/// The kinds of faults, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// [`Fault::DropReply`], for each reply.
    DropReply,
    /// [`Fault::CutRequest`], for each request.
    CutRequest,
    /// [`Fault::CutReply`], for each reply.
    CutReply,
    /// [`Fault::DelayRequest`], for each request, when it goes on.
    DelayRequest,
    /// [`Fault::DelayReply`], for each reply, when it goes on.
    DelayReply,
    /// [`Fault::AnswerInstead`], for each answer.
    AnswerInstead,
    /// [`Fault::AnswerAfter`], for each reply that was replaced.
    AnswerAfter,
    /// [`Fault::WriteConcernError`], for each reply that it was added to.
    WriteConcernError,
    /// [`Fault::FindNothing`], for each reply that had documents.
    FindNothing,
    /// [`Fault::ChangeHello`], for each reply that was changed.
    ChangeHello,
    /// [`Gate::Refuse`](super::Gate::Refuse), for each connection that was reset.
    Refused,
    /// [`Gate::BlackHole`](super::Gate::BlackHole) and [`Gate::OneWay`](super::Gate::OneWay), for each connection and
    /// each message that was held back.
    HeldBack,
    /// [`MongoProxy::cut`](super::MongoProxy::cut), for each connection that was closed.
    Cut,
    /// Each connection that was closed because the proxy could not go on: at a message that is compressed or longer
    /// than 48 MiB, at a reply to `hello` that is no document, or with 1,024 requests that wait for their replies.
    Unreadable,
}
