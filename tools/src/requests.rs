//! What a node asks of its galaxy: to join it, or to leave it. The request is a one-sided transaction of the node's key, on that key's own chain.

use std::thread;
use std::time::{Duration, Instant};

use constellation_chain::{Hash, Kind, NetworkId, SecretKey, StarHead, Transaction};
use constellation_node::api::{Admission, Client, TransactionStatus};

use crate::exit::{Exit, Failure};

/// Between two looks at what became of a request.
const POLL: Duration = Duration::from_millis(100);
/// Between two sendings of the same request.
const RESEND: Duration = Duration::from_secs(2);

/// Signs a request to follow what the node's chain holds.
///
/// A second request must not be signed before the first is final: two that follow the same transaction are a fork.
pub fn sign(client: &mut Client, key: &SecretKey, network: NetworkId, kind: Kind) -> Result<Transaction, Failure> {
    let StarHead { sequence, head } = client.star(&key.public_key())?.head;
    Transaction::one_sided(kind, network, key, StarHead { sequence, head }, b"")
        .map_err(|error| Failure::from_error(Exit::BadInput, &error))
}

/// Sends a request until it is final; the height of its black hole, or none when the time is over.
pub fn settle(client: &mut Client, request: &Transaction, deadline: Instant) -> Result<Option<u64>, Failure> {
    let mut sent: Option<Instant> = None;
    while Instant::now() < deadline {
        if sent.is_none_or(|sent| sent.elapsed() >= RESEND) {
            sent = Some(Instant::now());
            send(client, request)?;
        }
        if let TransactionStatus::Applied { height, .. } = client.transaction(&request.id())? {
            return Ok(Some(height));
        }
        thread::sleep(POLL);
    }
    Ok(None)
}

fn send(client: &mut Client, request: &Transaction) -> Result<(), Failure> {
    let admissions = client.submit(std::slice::from_ref(request))?;
    match admissions.first() {
        Some(Admission::Censored { reason }) => Err(refused(request.id(), reason)),
        _ => Ok(()),
    }
}

fn refused(id: Hash, reason: &impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::CheckFailed,
        format_args!("the node refuses request {id}: {reason}; is its key in use elsewhere?"),
    )
}
