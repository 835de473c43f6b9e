//! What a seed is about: the contract, the jobs and their rows, and how bad the weather is.

use bytes::Bytes;
use ensemble_contract::{
    Keep,
    row::{RowWriter, Value},
};
use ensemble_store::{JobId, ShardId};
use ensemble_testkit::sim_store::{Random, Weather};

/// The silver collection of all jobs.
pub(crate) const SILVER: &str = "numbers";

const HEADER: &str = "id,colour,amount\n";
const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// A seed's scenario.
pub(crate) struct Scenario {
    seed: u64,
    pub(crate) contract: String,
    pub(crate) keep: Keep,
    /// Jobs of one wave run at the same time; a wave begins when the one before is over.
    pub(crate) waves: Vec<Vec<Submission>>,
    pub(crate) rates: Rates,
}

/// A job to be.
pub(crate) struct Submission {
    pub(crate) id: JobId,
    pub(crate) text: Bytes,
    pub(crate) rows: Vec<Row>,
    pub(crate) shard_bytes: usize,
    /// When somebody cancels it, in steps.
    pub(crate) cancel_at: Option<i64>,
}

/// A row as it was written into the text.
pub(crate) struct Row {
    /// The first byte in the text.
    pub(crate) offset: u64,
    pub(crate) key: String,
    pub(crate) colour: Option<&'static str>,
    pub(crate) amount: i64,
    /// A rule rejects it.
    pub(crate) is_bad: bool,
}

/// How often things happen, most of them for one step.
#[derive(Clone, Copy)]
pub(crate) struct Rates {
    /// A worker dies, or is cut off from its supervisor.
    pub(crate) kill: f64,
    /// The majority gets a write.
    pub(crate) replicate: f64,
    pub(crate) fail_over: f64,
    /// The primary is cut off from the majority for a while.
    pub(crate) partition: f64,
    /// For at most so many steps.
    pub(crate) partition_steps: usize,
    /// The supervisor dies.
    pub(crate) death: f64,
    /// The supervisor is succeeded while it lives.
    pub(crate) coup: f64,
    /// Somebody sets the machine's clock.
    pub(crate) jump: f64,
    /// A shard brings its workers down.
    pub(crate) poison: f64,
    /// Who had the last step has the next one, too.
    pub(crate) sticky: f64,
    pub(crate) weather: Weather,
    /// When the weather clears, in steps.
    pub(crate) clear_at: i64,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let keep = if random.chance(0.5) { Keep::First } else { Keep::Last };
        let tolerance = random.pick(&["1", "1", "1", "0.15"]);
        let waves = random.within(1, 3);
        let keys = random.within(1, 12);
        let mut number = 0;
        let mut wave = |random: &mut Random| {
            (0..random.within(1, 3))
                .map(|_| {
                    number += 1;
                    Submission::new(u128::from(seed) << 64 | number, keys, random)
                })
                .collect()
        };
        let waves = (0..waves).map(|_| wave(&mut random)).collect();
        Self { seed, contract: contract(keep, tolerance), keep, waves, rates: Rates::new(&mut random) }
    }

    pub(crate) fn submissions(&self) -> impl Iterator<Item = &Submission> {
        self.waves.iter().flatten()
    }

    pub(crate) fn submission(&self, id: JobId) -> Option<&Submission> {
        self.submissions().find(|s| s.id == id)
    }

    /// Whether a shard brings its workers down.
    pub(crate) fn is_poison(&self, shard: ShardId) -> bool {
        let seed = self.seed ^ (shard.job.0 << 40) ^ (u64::from(shard.number) << 20) ^ 0x5eed;
        Random::new(seed).chance(self.rates.poison)
    }
}

impl Submission {
    fn new(id: u128, keys: usize, random: &mut Random) -> Self {
        let bad = random.pick(&[0.0, 0.1, 0.3]);
        // Few keys and many small shards make long chains of displaced claims.
        let keys = random.within(1, keys);
        let mut text = HEADER.to_owned();
        let rows = (0..random.within(1, 28))
            .map(|_| {
                let row = Row {
                    offset: text.len() as u64,
                    key: format!("k{}", random.below(keys)),
                    colour: COLOURS.get(random.below(COLOURS.len() + 1)).copied(),
                    amount: random.within(0, 999_999) as i64,
                    is_bad: random.chance(bad),
                };
                let amount = if row.is_bad { "many".to_owned() } else { row.amount.to_string() };
                text += &format!("{},{},{amount}\n", row.key, row.colour.unwrap_or_default());
                row
            })
            .collect();
        Self {
            id: JobId(uuid::Uuid::from_u128(id)),
            text: text.into(),
            rows,
            shard_bytes: random.within(20, 160),
            cancel_at: random.chance(0.25).then(|| random.within(50, 1500) as i64),
        }
    }

    /// The header's bytes.
    pub(crate) fn header_bytes() -> u32 {
        HEADER.len() as u32
    }
}

impl Row {
    /// The standardised row as this version or another makes it.
    pub(crate) fn encode(&self, other_version: bool) -> Bytes {
        let mut out = Vec::new();
        let mut row = RowWriter::new(&mut out);
        let colour = if other_version { Some("violet") } else { self.colour };
        row.push(Value::Str(&self.key));
        row.push(colour.map_or(Value::Null, Value::Str));
        row.push(Value::Int(self.amount + i64::from(other_version) * 7));
        out.into()
    }
}

impl Rates {
    fn new(random: &mut Random) -> Self {
        let replicate = random.pick(&[0.05, 0.2, 1.0]);
        Self {
            kill: random.pick(&[0.0, 0.003, 0.02]),
            replicate,
            fail_over: random.pick(&[0.0, 0.003, 0.02]),
            partition: random.pick(&[0.0, 0.001, 0.005]),
            partition_steps: random.pick(&[100, 400, 1_500]),
            death: random.pick(&[0.0, 0.0003, 0.001]),
            coup: random.pick(&[0.0, 0.0003, 0.001]),
            jump: random.pick(&[0.0, 0.0, 0.01]),
            poison: random.pick(&[0.0, 0.1, 0.3]),
            sticky: random.pick(&[0.0, 0.7, 0.95]),
            weather: Weather {
                refuse: random.pick(&[0.0, 0.0, 0.01]),
                lose_reply: random.pick(&[0.0, 0.02, 0.06]),
                linger: random.pick(&[0.0, 0.1, 0.4]),
                self_replicating: false,
            },
            clear_at: random.within(2_000, 7_000) as i64,
        }
    }
}

fn contract(keep: Keep, tolerance: &str) -> String {
    let keep = match keep {
        Keep::First => "first",
        Keep::Last => "last",
    };
    format!(
        r#"
name = "numbers"
key = "id"
keep = "{keep}"
silver = "{SILVER}"
bronze = "numbers_raw"
unknown_columns = "ignore"

[limits]
max_reject_ratio = {tolerance}
after_rows = 10

[columns]
id = {{ type = "string", required = true }}
colour = {{ type = "string" }}
amount = {{ type = "int", required = true, range = "0..=2000000" }}

[gold]
by_colour = {{ by = ["colour"], measures = ["amount"] }}
by_size = {{ by = ["amount/250000"] }}
everything = {{ by = [], measures = ["amount"] }}
"#
    )
}
