//! Whole nodes in virtual time: [`Network`] runs [`constellation_protocol::Node`]s with disks that survive kills, over links that keep order
//! and take a random time; [`Stars`] are its clients; a [`Scenario`] puts an adversary against them and checks what must hold.

mod churn;
mod deceit;
mod logs;
mod network;
mod remembered;
mod scenario;
mod sent;
mod stars;
mod watch;

pub use deceit::Deceit;
pub use logs::Changes;
pub use network::{Disk, LATENCY_MIN_US, LATENCY_SPREAD_US, Network, Options, STEP_US};
pub use scenario::{Adversary, Outcome, Report, Scenario};
pub use sent::Sent;
pub use stars::{Stars, star_key};
pub use watch::Violation;
