//! What a killed, a torn and a shared chain file must come to.

use super::*;
use constellation_chain::{Kind, SecretKey};

const NETWORK: NetworkId = NetworkId([3; 8]);

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed([byte; 32])
}

fn open(path: &Path) -> Result<ChainFile, ChainFileError> {
    ChainFile::open(path, key(1).public_key(), NETWORK, || Ok(StarHead::default()))
}

fn offer(head: StarHead, amount: u64) -> Offer {
    Offer::new(Kind::Transfer, NETWORK, &key(1), head, key(2).public_key(), amount, b"tea").unwrap()
}

fn answer(head: StarHead, amount: u64) -> Transaction {
    Offer::transfer(NETWORK, &key(2), StarHead::default(), key(1).public_key(), amount)
        .countersign(&key(1), head)
        .unwrap()
}

fn place(byte: u8) -> Place {
    Place { id: Hash([byte; 32]), height: Some(7), black_hole: Some(Hash([9; 32])) }
}

#[test]
fn a_client_killed_between_write_and_send_finds_the_same_half_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key.chain");
    let first = offer(StarHead::default(), 5);
    open(&path).unwrap().offered(&first).unwrap();

    let mut again = open(&path).unwrap();
    assert_eq!(again.chain().open().map(|entry| &entry.signed), Some(&Signed::Offer(Box::new(first))));
    assert!(matches!(again.offered(&offer(StarHead::default(), 6)), Err(ChainFileError::Contradiction { .. })));
    assert!(matches!(again.countersigned(&answer(StarHead::default(), 6)), Err(ChainFileError::Contradiction { .. })));
    assert_eq!(again.chain().entries.len(), 1);
}

#[test]
fn everything_written_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key.chain");
    let mut file = open(&path).unwrap();
    file.offered(&offer(StarHead::default(), 5)).unwrap();
    file.finished(1, Place { height: None, black_hole: None, ..place(4) }).unwrap();
    let head = file.chain().head();
    assert_eq!(head, StarHead { sequence: 1, head: Hash([4; 32]) });
    file.countersigned(&answer(head, 8)).unwrap();
    file.voided(2, "fork").unwrap();
    assert_eq!((file.chain().head(), file.chain().open()), (head, None));
    let second = answer(head, 9);
    file.countersigned(&second).unwrap();
    file.finished(2, Place { id: second.id(), ..place(5) }).unwrap();
    file.finished(1, place(4)).unwrap();

    let chain = file.chain().clone();
    drop(file);
    assert_eq!(open(&path).unwrap().chain(), &chain);
    assert_eq!(Chain::read(&path).unwrap(), chain);
    assert_eq!(chain.entries[0].outcome, Outcome::Final(place(4)));
}

#[test]
fn a_torn_last_line_was_never_sent_and_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key.chain");
    let mut file = open(&path).unwrap();
    file.offered(&offer(StarHead::default(), 5)).unwrap();
    file.finished(1, place(4)).unwrap();
    drop(file);
    let whole = std::fs::read(&path).unwrap();
    let last_line = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for len in last_line..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(Chain::read(&path).unwrap().open().is_some());
        let mut file = open(&path).unwrap();
        assert!(file.chain().open().is_some(), "{len}");
        file.finished(1, place(4)).unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), whole, "{len}");
    }
    std::fs::write(&path, b"{\"record\":\"ch").unwrap();
    assert_eq!(open(&path).unwrap().chain().entries, []);
}

#[test]
fn damage_before_the_last_line_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key.chain");
    let mut file = open(&path).unwrap();
    file.offered(&offer(StarHead::default(), 5)).unwrap();
    file.finished(1, place(4)).unwrap();
    drop(file);
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in [text.replace("offered", "offend"), text.replace("\"sequence\":1,\"offer\"", "\"sequence\":2,\"offer\"")]
    {
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(open(&path), Err(ChainFileError::Damaged { line: 2, .. })));
    }
}

#[test]
fn one_process_at_a_time_and_one_star_and_network() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key.chain");
    let file = open(&path).unwrap();
    assert!(matches!(open(&path), Err(ChainFileError::InUse { .. })));
    Chain::read(&path).unwrap();
    drop(file);
    let head = || Ok::<_, ChainFileError>(StarHead::default());
    assert!(matches!(ChainFile::open(&path, key(2).public_key(), NETWORK, head), Err(ChainFileError::Other { .. })));
    assert!(matches!(
        ChainFile::open(&path, key(1).public_key(), NetworkId([4; 8]), head),
        Err(ChainFileError::Other { .. })
    ));
    assert!(matches!(Chain::read(&dir.path().join("none")), Err(ChainFileError::Missing { .. })));
}
