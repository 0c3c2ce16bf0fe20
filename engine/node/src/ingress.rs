//! The clients' door into the node: the API's requests go into the rings, or come back as "busy".

use crate::api::{Backend, Busy, SubmitReply};
use crate::core_stage::CoreInput;
use crate::meter::thread_cpu_us;
use crate::ring::Ring;
use crate::runtime::Gauges;
use crate::verify_stage::VerifyInput;
use constellation_chain::NetworkId;
use constellation_protocol::{Answer, Query};
use std::sync::Arc;
use tokio::sync::oneshot;

/// When a full ring is worth another try.
const RETRY_AFTER_MS: u32 = 50;

pub(crate) struct Ingress {
    pub network: NetworkId,
    pub verify: Arc<Ring<VerifyInput>>,
    pub core: Arc<Ring<CoreInput>>,
    pub gauges: Arc<Gauges>,
}

fn or_busy<T>(pushed: Result<(), T>) -> Result<(), Busy> {
    pushed.map_err(|_| Busy { retry_after_ms: RETRY_AFTER_MS })
}

impl Backend for Ingress {
    fn submit(&self, records: Vec<u8>, reply: oneshot::Sender<SubmitReply>) -> Result<(), Busy> {
        or_busy(self.verify.push(VerifyInput::Client { records, reply }))
    }

    fn offer(&self, record: Vec<u8>, reply: oneshot::Sender<SubmitReply>) -> Result<(), Busy> {
        or_busy(self.verify.push(VerifyInput::ClientOffer { record, reply }))
    }

    fn query(&self, query: Query, reply: oneshot::Sender<Answer>) -> Result<(), Busy> {
        or_busy(self.core.push(CoreInput::Query { query, reply }))
    }

    fn metrics(&self) -> serde_json::Value {
        // Asked for on the API's thread, whose clock this is.
        self.gauges.metrics(thread_cpu_us())
    }

    fn network_id(&self) -> NetworkId {
        self.network
    }
}
