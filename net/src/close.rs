//! Why a connection was closed, and whose fault it was. The names are stable: they are metric labels.

/// Whose fault a closed connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The peer broke the protocol or is not who it should be.
    Peer,
    /// This node closed for reasons of its own (limits, shutdown, an order from above).
    Own,
    /// The link or the other host failed; nobody is to blame.
    Link,
}

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $blame:ident;)*) => {
        /// Why a connection was closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum CloseReason { $($(#[$doc])* $variant,)* }

        impl CloseReason {
            /// Every reason, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable snake_case name, for metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }
        }
    };
}

close_reasons! {
    /// The first bytes were not this protocol's.
    BadPreamble, "bad_preamble", Peer;
    /// Another version of this protocol.
    WrongVersion, "wrong_version", Peer;
    /// A node of another network.
    WrongNetwork, "wrong_network", Peer;
    /// The Noise handshake or the identity signature in it is wrong.
    HandshakeFailed, "handshake_failed", Peer;
    /// The handshake was not complete in time.
    HandshakeTimeout, "handshake_timeout", Peer;
    /// The identity is not in the configured peers.
    UnknownPeer, "unknown_peer", Peer;
    /// The dialled address answered with another identity.
    WrongIdentity, "wrong_identity", Peer;
    /// The peer dialled although, of the two, this node dials.
    WrongDirection, "wrong_direction", Peer;
    /// A frame whose length or class is not possible.
    FrameInvalid, "frame_invalid", Peer;
    /// A frame that was not sealed by the session's key, or out of order.
    DecryptFailed, "decrypt_failed", Peer;
    /// A message that is empty, of unknown kind, in the wrong class, or malformed.
    MessageInvalid, "message_invalid", Peer;
    /// A message announced longer than its kind allows.
    MessageTooLarge, "message_too_large", Peer;
    /// Nothing was heard from the peer for too long.
    Idle, "idle", Link;
    /// The peer did not take consensus messages as fast as they were sent.
    SendQueueFull, "send_queue_full", Link;
    /// A newer connection of the same peer took over.
    Replaced, "replaced", Link;
    /// The embedding node asked for it.
    Penalised, "penalised", Peer;
    /// The dialled address did not accept the connection.
    ConnectFailed, "connect_failed", Link;
    /// The socket failed.
    Io, "io", Link;
    /// The peer closed the connection.
    Eof, "eof", Link;
    /// More unauthenticated connections than allowed.
    TooManyConnections, "too_many_connections", Own;
    /// This network was shut down.
    Shutdown, "shutdown", Own;
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_snake_case_and_indexed_in_order() {
        let names: HashSet<_> = CloseReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), CloseReason::ALL.len());
        for (index, reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(reason.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        }
    }
}
