//! tmp
#[path = "../tests/common/mod.rs"]
mod common;
use constellation_net::*;
use std::time::{Duration, Instant};
fn main() {
    let nodes = common::connected(4, &Limits::default());
    let total: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let start = Instant::now();
    std::thread::scope(|s| {
        for (index, node) in nodes.iter().enumerate() {
            s.spawn(move || {
                let h = node.network.handle();
                let own = total / 4;
                let mut next = own * index as u32;
                let end = next + own;
                let mut got = 0;
                while got < total - own || next < end {
                    if next < end {
                        let items: Vec<_> = (next..(next + 64).min(end))
                            .map(|n| {
                                let mut id = [0u8; 32];
                                id[..4].copy_from_slice(&n.to_le_bytes());
                                (id, vec![n as u8; 320].into())
                            })
                            .collect();
                        let len = items.len() as u32;
                        if h.publish(items).is_ok() {
                            next += len;
                        }
                    }
                    let wait = if next < end { Duration::ZERO } else { Duration::from_secs(5) };
                    while let Some(e) = node.next_within(if next < end { Duration::ZERO } else { wait }) {
                        if let Event::Items { items, .. } = e {
                            got += items.len() as u32;
                            let items: Vec<_> = items.into_iter().map(|(id, b)| (id, b.into())).collect();
                            while h.publish(items.clone()).is_err() {
                                std::thread::yield_now();
                            }
                            if got >= total - own {
                                break;
                            }
                        }
                    }
                    if next >= end && got < total - own {
                        println!("stuck {index} {got} {:?}", node.network.stats());
                        break;
                    }
                }
            });
        }
    });
    let t = start.elapsed();
    println!("{} items/s to all 4, {:?}", f64::from(total) / t.as_secs_f64(), t);
    for n in &nodes {
        println!("{:?}", n.network.stats());
    }
    // bulk
    let start = Instant::now();
    let n = 500usize;
    std::thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..n {
                let m: std::sync::Arc<[u8]> = vec![1u8; 1 << 20].into();
                while nodes[0].network.handle().send(PeerId(1), Channel::Consensus, m.clone()).is_err()
                    || nodes[0].network.stats().channel(Channel::Consensus).sent_messages
                        > nodes[1].network.stats().channel(Channel::Consensus).received_messages + 30
                {
                    std::thread::sleep(Duration::from_micros(200));
                    if nodes[0].network.stats().channel(Channel::Consensus).sent_messages
                        <= nodes[1].network.stats().channel(Channel::Consensus).received_messages + 30
                    {
                        break;
                    }
                }
            }
        });
        for _ in 0..n {
            nodes[1].next_message();
        }
    });
    println!("bulk {} MB/s", n as f64 / start.elapsed().as_secs_f64() * 1.05);
    // ping pong
    let start = Instant::now();
    for _ in 0..5000 {
        nodes[0].send(&nodes[1], Channel::Consensus, vec![1]);
        nodes[1].next_message();
        nodes[1].send(&nodes[0], Channel::Consensus, vec![1]);
        nodes[0].next_message();
    }
    println!("round trip {:?}", start.elapsed() / 5000);
}
