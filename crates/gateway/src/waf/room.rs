//! Room for the bodies that are inspected: bounded for all together, and for each client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One client has this part of all room at most, so that it takes many of them to leave the others none.
pub const CLIENT_SHARE: usize = 8;

/// All there is taken now.
#[derive(Debug, Default)]
pub struct Rooms {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    /// Of those who have some: no more entries than there are inspections.
    clients: HashMap<IpAddr, usize>,
}

/// What one inspection has taken; given back when dropped.
#[derive(Debug)]
pub struct Room {
    of: Arc<Rooms>,
    client: IpAddr,
    bytes: usize,
}

impl Rooms {
    /// Bytes taken now.
    pub fn bytes(&self) -> usize {
        self.taken().bytes
    }

    /// For one inspection of this client. Nothing is taken yet.
    pub fn of(self: &Arc<Self>, client: IpAddr) -> Room {
        // A network of 64 bits is one client: its addresses cost nothing.
        let client = match client.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            address => address,
        };
        Room { of: Arc::clone(self), client, bytes: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes or gives back until it is `bytes`. `false`, and nothing is taken: there would be more than `max` of
    /// all, or more than the client's share of that. A client with one inspection alone has all there is.
    pub fn resize(&mut self, bytes: usize, max: usize) -> bool {
        let mut taken = self.of.taken();
        let others =
            taken.clients.get(&self.client).copied().unwrap_or(0).saturating_sub(self.bytes);
        let all = taken.bytes.saturating_sub(self.bytes).saturating_add(bytes);
        let fits =
            all <= max && (others == 0 || others.saturating_add(bytes) <= max / CLIENT_SHARE);
        if bytes > self.bytes && !fits {
            return false;
        }
        taken.bytes = all;
        match others.saturating_add(bytes) {
            0 => drop(taken.clients.remove(&self.client)),
            some => drop(taken.clients.insert(self.client, some)),
        }
        self.bytes = bytes;
        true
    }

    pub fn grow(&mut self, bytes: usize, max: usize) -> bool {
        self.resize(self.bytes.saturating_add(bytes), max)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.resize(0, usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_client_does_not_take_the_others_room() {
        let rooms = Arc::new(Rooms::default());
        let mut greedy: Vec<Room> = (0..100).map(|_| rooms.of(address("192.0.2.1"))).collect();
        let got = greedy.iter_mut().filter_map(|room| room.resize(10, 800).then_some(())).count();
        assert_eq!((got, rooms.bytes()), (10, 100), "an eighth");
        let mut other = rooms.of(address("192.0.2.2"));
        assert!(other.resize(100, 800));
        greedy.pop();
        greedy.remove(0);
        assert!(greedy.iter_mut().any(|room| room.bytes() == 0 && room.resize(10, 800)));
        drop((greedy, other));
        assert_eq!(rooms.bytes(), 0);
        assert!(rooms.taken().clients.is_empty(), "nobody is remembered");
    }

    #[test]
    fn all_together_have_no_more_than_there_is() {
        let rooms = Arc::new(Rooms::default());
        let mut one = rooms.of(address("192.0.2.1"));
        assert!(one.resize(500, 800), "alone it may be more than the share");
        let mut two = rooms.of(address("192.0.2.2"));
        assert!(!two.resize(301, 800));
        assert_eq!((two.bytes(), rooms.bytes()), (0, 500), "nothing is taken");
        assert!(two.resize(300, 800) && !two.grow(1, 800));
        assert!(one.resize(100, 800) && two.grow(1, 800));
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let rooms = Arc::new(Rooms::default());
        let mut one = rooms.of(address("2001:db8:1:2::1"));
        assert!(one.resize(100, 800));
        assert!(!rooms.of(address("2001:db8:1:2::ffff")).resize(1, 800));
        assert!(rooms.of(address("2001:db8:1:3::1")).resize(1, 800));
    }
}
