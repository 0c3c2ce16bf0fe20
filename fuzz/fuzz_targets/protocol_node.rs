//! A node survives whatever its peers say, in any order and at any time, even when every signature counts as good; what it sends
//! and journals reads back, and it comes back from its log and journal.
#![no_main]

use constellation_fuzz::{Driver, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut driver = Driver::new(0);
    let mut rest = input;
    while let Some(step) = Step::read(&mut rest) {
        driver.step(step);
    }
    driver.restart();
    driver.step(Step::Connected(1));
    driver.step(Step::Time(1000));
});
