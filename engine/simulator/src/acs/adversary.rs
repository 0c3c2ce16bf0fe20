//! The adversaries by name. What each does is in `plan`, `nodes` and `siege`.

crate::scenario::adversaries! {
    /// Who orders the messages and what the faulty nodes do. What a name leaves open (order, lies, repeats) the seed chooses.
    up to constellation_acs::MAX_NODES;
    InStep = "in-step": "every message takes one delay; faulty nodes are silent",
    RandomOrder = "random-order": "messages arrive in random order",
    LastFirst = "last-first": "the last message sent arrives first",
    SlowNode = "slow-node": "one node's links deliver when nothing else is left",
    SlowLinks = "slow-links": "some links deliver when nothing else is left",
    Partition = "partition": "two sides that hear each other after a while only",
    Silence = "silence": "faulty nodes say nothing",
    Lies = "lies": "faulty nodes drop, change and invent votes",
    Equivocation = "equivocation": "faulty nodes tell two halves two payloads and opposite votes, or everybody both",
    Hiding = "hiding": "faulty nodes let only some have their payloads, or only who asks",
    WrongShards = "wrong-shards": "faulty nodes send fragments that are wrong, or of no payload",
    Twins = "twins": "a faulty node runs twice, each instance speaking to one half",
    Flood = "flood": "faulty nodes vote up to 10,000 rounds ahead",
    Replay = "replay": "old messages come again and again",
    Restart = "restart": "honest nodes crash at any step and come back from their journals",
    CoinAware = "coin-aware":
        "delays votes to keep a round's value away from its coin, which it sees as soon as it is sent",
    CoinSplitting = "coin-splitting":
        "as coin-aware, and delays coin shares by their values, so that nodes see different coins",
    Unbinding = "unbinding":
        "as coin-aware, and keeps some nodes out of a round until the others' shares show its coin",
    ForgedShares = "forged-shares": "as coin-aware, with forged shares that would be the smallest",
    ScatteredShares = "scattered-shares":
        "every node sees as few coin shares as it must, and others than its neighbours",
    Outrunning = "outrunning": "as coin-splitting, while one node hears nothing; then the others need that node",
    SplitDecision = "split-decision": "delays and forges votes so that some decide what others need not",
    Mixed = "mixed": "each faulty node, the order and the restarts by chance, from all of the above",
}
