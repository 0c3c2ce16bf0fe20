//! `config.toml`: a node's settings. Unknown and contradictory settings are errors that name the line.

use constellation_verify::BackendChoice;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;

/// A node's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Where other nodes connect.
    pub listen: SocketAddr,
    /// Where clients and operators connect.
    pub api: SocketAddr,
    /// What a node's journal survives.
    pub journal_sync: JournalSync,
    /// The verification backend.
    pub backend: BackendChoice,
    /// Threads that verify signatures; 0 for half of the machine's cores.
    pub verify_threads: u64,
    /// Whether a software GPU will do for the GPU backends: for tests.
    pub software_gpu: bool,
    /// Whether consensus gets a CPU to itself, on machines with 8 or more.
    pub pin_core: bool,
    /// Least time between the starts of two cluster rounds.
    pub round_interval_ms: u64,
    /// Length of the log's segment files.
    pub segment_mib: u64,
}

/// What the journal of votes survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalSync {
    /// Synced before anything leaves: a power cut included.
    Power,
    /// Written before anything leaves: a killed process, but not a power cut.
    Process,
}

impl fmt::Display for JournalSync {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Power => "power",
            Self::Process => "process",
        })
    }
}

impl FromStr for JournalSync {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let levels = [Self::Power, Self::Process];
        let found = levels.into_iter().find(|level| level.to_string() == name);
        found.ok_or_else(|| format!("no journal sync is called {name:?}; there are power and process"))
    }
}

/// Why a `config.toml` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFileError {
    /// Not the TOML expected; the text shows line and column.
    #[error("config.toml: {0}")]
    Toml(String),
    /// A value that cannot be, or contradicts another.
    #[error("config.toml, line {line}: {what}")]
    Value {
        /// The line, from 1.
        line: usize,
        /// What is wrong, and the remedy.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    listen: Spanned<SocketAddr>,
    api: Spanned<SocketAddr>,
    journal_sync: Option<JournalSync>,
    backend: Option<Spanned<String>>,
    verify_threads: Option<Spanned<u64>>,
    software_gpu: Option<bool>,
    pin_core: Option<bool>,
    round_interval_ms: Option<Spanned<u64>>,
    segment_mib: Option<Spanned<u64>>,
}

/// Segments must hold the largest black hole.
const SEGMENT_MIB: Range<u64> = 40..2048;
const VERIFY_THREADS: Range<u64> = 0..1025;
const ROUND_INTERVAL_MS: Range<u64> = 1..60_001;

impl NodeConfig {
    /// The default settings with the given addresses.
    pub fn new(listen: SocketAddr, api: SocketAddr) -> Self {
        NodeConfig {
            listen,
            api,
            journal_sync: JournalSync::Power,
            backend: BackendChoice::default(),
            verify_threads: 0,
            software_gpu: false,
            pin_core: true,
            round_interval_ms: constellation_protocol::ROUND_INTERVAL_US / 1000,
            segment_mib: 64,
        }
    }

    /// Reads the text of a `config.toml`.
    pub fn from_toml(text: &str) -> Result<Self, ConfigFileError> {
        let raw: Unchecked = toml::from_str(text).map_err(|error| ConfigFileError::Toml(error.to_string()))?;
        let at = |span: Range<usize>, what: String| {
            let line = 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
            ConfigFileError::Value { line, what }
        };
        let within = |name: &str, value: Option<Spanned<u64>>, range: Range<u64>, default: u64| match value {
            None => Ok(default),
            Some(value) if range.contains(value.get_ref()) => Ok(*value.get_ref()),
            Some(value) => {
                let what = format!("{name} = {} is not within {} to {}", value.get_ref(), range.start, range.end - 1);
                Err(at(value.span(), what))
            }
        };
        if raw.listen.get_ref() == raw.api.get_ref() {
            let what = format!("api = {} is the address that listen has: choose another port", raw.api.get_ref());
            return Err(at(raw.api.span(), what));
        }
        let defaults = NodeConfig::new(*raw.listen.get_ref(), *raw.api.get_ref());
        let backend = match raw.backend {
            Some(name) => name.get_ref().parse().map_err(|error| at(name.span(), format!("{error}")))?,
            None => defaults.backend,
        };
        Ok(NodeConfig {
            journal_sync: raw.journal_sync.unwrap_or(defaults.journal_sync),
            backend,
            verify_threads: within("verify_threads", raw.verify_threads, VERIFY_THREADS, defaults.verify_threads)?,
            software_gpu: raw.software_gpu.unwrap_or(defaults.software_gpu),
            pin_core: raw.pin_core.unwrap_or(defaults.pin_core),
            round_interval_ms: within(
                "round_interval_ms",
                raw.round_interval_ms,
                ROUND_INTERVAL_MS,
                defaults.round_interval_ms,
            )?,
            segment_mib: within("segment_mib", raw.segment_mib, SEGMENT_MIB, defaults.segment_mib)?,
            ..defaults
        })
    }

    /// The text of a `config.toml` with every setting explained.
    pub fn to_commented_toml(&self) -> String {
        let journal_sync = match self.journal_sync {
            JournalSync::Power => "power",
            JournalSync::Process => "process",
        };
        format!(
            r#"# Settings of one Constellation node. The node's key is in node.key, its network in genesis.toml, beside this file.

# Where other nodes connect (TCP, encrypted). The genesis file tells the others this address.
listen = "{listen}"

# Where clients and operators connect (HTTP and WebSocket, not encrypted): keep it on loopback, or behind a proxy.
api = "{api}"

# What the journal of this node's votes survives: "power" (synced before anything leaves; also a power cut) or "process"
# (a killed process, but not a power cut: a node that comes back from one could then contradict itself).
journal_sync = "{journal_sync}"

# Verification backend: "auto" (the CPU's fastest, joined by a GPU where there is one), or one by name: "avx512", "avx2", "portable",
# "gpu" (the CPU only stands by), "gpu+cpu". The node starts on the CPU and takes the GPU in when it is ready and has passed a test.
backend = "{backend}"

# Threads that verify signatures: 0 for half of the machine's cores.
verify_threads = {verify_threads}

# Whether a software GPU will do for the GPU backends. For tests: it is slower than the CPU itself.
software_gpu = {software_gpu}

# Whether consensus gets a CPU to itself, which no other thread of this node then uses. Heeded on machines where the node may use 8 CPUs or
# more; the listen port picks which one. Set it to false if something else on this machine binds itself to CPUs.
pin_core = {pin_core}

# Least time between the starts of two cluster rounds, in milliseconds. Lower: less latency. Higher: larger, cheaper rounds.
round_interval_ms = {round_interval_ms}

# Length of the log's files in MiB. One more than is in use is kept allocated, so that a full disk is met before it hurts.
segment_mib = {segment_mib}
"#,
            listen = self.listen,
            api = self.api,
            backend = self.backend,
            verify_threads = self.verify_threads,
            software_gpu = self.software_gpu,
            pin_core = self.pin_core,
            round_interval_ms = self.round_interval_ms,
            segment_mib = self.segment_mib,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use constellation_verify::Backend;

    fn config() -> NodeConfig {
        NodeConfig::new("127.0.0.1:7000".parse().unwrap(), "127.0.0.1:8800".parse().unwrap())
    }

    #[test]
    fn the_commented_text_reads_back() {
        let mut config = config();
        assert_eq!(NodeConfig::from_toml(&config.to_commented_toml()), Ok(config.clone()));
        (config.journal_sync, config.backend) = (JournalSync::Process, BackendChoice(Some(Backend::Portable)));
        (config.verify_threads, config.software_gpu, config.pin_core) = (3, true, false);
        assert_eq!(NodeConfig::from_toml(&config.to_commented_toml()), Ok(config));
    }

    #[test]
    fn errors_name_the_line() {
        let good = config().to_commented_toml();
        let error = |from: &str, to: &str| {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            NodeConfig::from_toml(&text).unwrap_err().to_string()
        };
        let line = |of: &str| format!("line {}", 1 + good.lines().position(|line| line.starts_with(of)).unwrap());
        for (message, key, word) in [
            (error("segment_mib =", "segment_mb ="), "segment_mib", "segment_mb"),
            (error("8800", "7000"), "api", "choose another port"),
            (error("= 64", "= 3"), "segment_mib", "not within"),
            (error("= 40", "= 0"), "round_interval_ms", "not within"),
            (error("backend = \"auto\"", "backend = \"cuda\""), "backend", "cuda"),
            (error("verify_threads = 0", "verify_threads = 5000"), "verify_threads", "not within"),
            (error("\"power\"", "\"never\""), "journal_sync", "never"),
            (error("\"127.0.0.1:7000\"", "\"here\""), "listen", "invalid"),
        ] {
            assert!(message.contains(&line(key)) && message.contains(word), "{message}");
        }
    }
}
