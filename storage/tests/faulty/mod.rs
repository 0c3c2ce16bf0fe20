//! A disk in memory that can lose, tear, reorder and refuse, for tests. Clones share the same disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use constellation_storage::{Access, Disk, Region};

/// What is written and lost as a unit, unless it tears.
pub const PAGE_LEN: usize = 4096;
/// What a page tears into.
const SECTOR_LEN: usize = 512;

/// A small generator of arbitrary choices (xorshift64*), so that a crash is a function of one seed.
pub struct Choices(u64);

impl Choices {
    pub fn new(seed: u64) -> Choices {
        Choices(seed | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

#[derive(Default)]
struct File {
    /// What a running process sees.
    current: Vec<u8>,
    /// What the medium holds.
    medium: Vec<u8>,
}

enum NameChange {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct State {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    names_on_medium: BTreeMap<String, usize>,
    /// Changes of names since the directory was last synced, in order.
    unsynced: Vec<NameChange>,
    fail_sync: bool,
    /// Bytes that can still be allocated.
    room_bytes: u64,
    /// Synchronisations asked for.
    syncs: usize,
}

fn apply(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Create(name, file) => {
            names.insert(name.clone(), *file);
        }
        NameChange::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        NameChange::Remove(name) => {
            names.remove(name);
        }
    }
}

#[derive(Clone)]
pub struct FaultyDisk(Rc<RefCell<State>>);

impl FaultyDisk {
    pub fn new() -> FaultyDisk {
        FaultyDisk(Rc::new(RefCell::new(State { room_bytes: u64::MAX, ..State::default() })))
    }

    /// Every sync fails from now on, after having written an arbitrary part.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.borrow_mut().fail_sync = fail;
    }

    pub fn set_room(&self, room_bytes: u64) {
        self.0.borrow_mut().room_bytes = room_bytes;
    }

    pub fn syncs(&self) -> usize {
        self.0.borrow().syncs
    }

    /// The system writes some pages back on its own, as it may at any time.
    pub fn write_back(&self, choices: &mut Choices) {
        for file in &mut self.0.borrow_mut().files {
            for start in (0..file.current.len()).step_by(PAGE_LEN) {
                if choices.below(4) == 0 {
                    let page = start..start + PAGE_LEN;
                    file.medium[page.clone()].copy_from_slice(&file.current[page]);
                }
            }
        }
    }

    /// The power goes: of what was not synced, any pages are kept, lost or torn, and names as of some moment since the
    /// last sync of the directory.
    pub fn crash(&self, choices: &mut Choices) {
        let state = &mut *self.0.borrow_mut();
        for file in &mut state.files {
            for start in (0..file.current.len()).step_by(PAGE_LEN) {
                match choices.below(3) {
                    0 => keep(file, start..start + PAGE_LEN),
                    1 => tear(file, start, choices),
                    _ => {}
                }
            }
            file.current.clone_from(&file.medium);
        }
        let kept = choices.below(state.unsynced.len() + 1);
        for change in &state.unsynced[..kept] {
            apply(&mut state.names_on_medium, change);
        }
        state.unsynced.clear();
        state.names = state.names_on_medium.clone();
        state.fail_sync = false;
        state.room_bytes = u64::MAX;
    }

    fn change(&self, change: NameChange) {
        let mut state = self.0.borrow_mut();
        apply(&mut state.names, &change);
        state.unsynced.push(change);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.0.borrow().names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn refuse_if_failing(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.syncs += 1;
        if state.fail_sync { Err(io::Error::other("the medium does not answer")) } else { Ok(()) }
    }
}

fn keep(file: &mut File, range: Range<usize>) {
    file.medium[range.clone()].copy_from_slice(&file.current[range]);
}

fn tear(file: &mut File, page: usize, choices: &mut Choices) {
    for sector in (page..page + PAGE_LEN).step_by(SECTOR_LEN) {
        if choices.below(2) == 0 {
            keep(file, sector..sector + SECTOR_LEN);
        }
    }
}

impl Disk for FaultyDisk {
    type Region = FaultyRegion;

    fn path(&self) -> &Path {
        Path::new("faulty")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> io::Result<FaultyRegion> {
        assert_eq!(len_bytes as usize % PAGE_LEN, 0);
        let file = {
            let state = &mut *self.0.borrow_mut();
            let Some(room_bytes) = state.room_bytes.checked_sub(len_bytes) else {
                return Err(ErrorKind::StorageFull.into());
            };
            state.room_bytes = room_bytes;
            let zeros = vec![0; len_bytes as usize];
            state.files.push(File { current: zeros.clone(), medium: zeros });
            state.files.len() - 1
        };
        self.change(NameChange::Create(name.to_owned(), file));
        self.open(name, Access::Write)
    }

    fn extend(&mut self, _name: &str, _len_bytes: u64) -> io::Result<()> {
        Err(io::Error::other("files of this disk are never cut short"))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<FaultyRegion> {
        let file = self.find(name)?;
        let bytes = self.0.borrow().files[file].current.clone();
        Ok(FaultyRegion { disk: self.clone(), file, bytes, access })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.find(from)?;
        self.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.refuse_if_failing()?;
        let mut state = self.0.borrow_mut();
        state.names_on_medium = state.names.clone();
        state.unsynced.clear();
        Ok(())
    }
}

pub struct FaultyRegion {
    disk: FaultyDisk,
    file: usize,
    /// A copy of the file's `current`, to be lent out.
    bytes: Vec<u8>,
    access: Access,
}

impl Region for FaultyRegion {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn write(&mut self, offset: usize, head: &[u8], parts: &[&[u8]]) -> io::Result<()> {
        assert_eq!(self.access, Access::Write);
        let bytes = [&[head], parts].concat().concat();
        let range = offset..offset + bytes.len();
        self.bytes[range.clone()].copy_from_slice(&bytes);
        self.disk.0.borrow_mut().files[self.file].current[range].copy_from_slice(&bytes);
        Ok(())
    }

    /// Puts exactly the pages of the range on the medium: a caller that names too short a range loses the rest.
    fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        let pages = range.start / PAGE_LEN * PAGE_LEN..range.end.next_multiple_of(PAGE_LEN);
        let refused = self.disk.refuse_if_failing();
        let file = &mut self.disk.0.borrow_mut().files[self.file];
        if refused.is_err() {
            let half = pages.start..pages.start + pages.len() / PAGE_LEN / 2 * PAGE_LEN;
            keep(file, half);
        } else {
            keep(file, pages);
        }
        refused
    }
}
