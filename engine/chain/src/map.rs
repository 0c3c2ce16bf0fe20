//! Hash maps and sets for keys that others choose, and that are spread evenly or not as they please.
//!
//! Every map has a key of its own, drawn by the process, so that nobody can make public keys or ids that crowd each other out; and the
//! hash is several times faster than the standard library's. The order in which a map is walked differs from node to node: nothing
//! that nodes must agree on may depend on it.

/// Makes the hashers of a map.
pub type KeyState = foldhash::quality::RandomState;
/// A hash map for such keys.
pub type KeyMap<K, V> = std::collections::HashMap<K, V, KeyState>;
/// A hash set for such keys.
pub type KeySet<K> = std::collections::HashSet<K, KeyState>;
