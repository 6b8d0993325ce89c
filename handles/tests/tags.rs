//! Store tags, in a process of their own: it uses all of them.

// `cfg(test)` tells clippy that the helpers are tests too.
#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use enodev_handles::{Arena, Domain, DomainError, Handle, Kind};

    enum Disk {}
    impl Kind for Disk {
        const NAME: &'static str = "Disk";
    }

    type Disks = Arena<Disk, u32, u32>;

    /// The tag that a domain has, seen from a handle of its.
    fn tag(handle: Handle<Disk>) -> u8 {
        (handle.to_bits() >> 56) as u8
    }

    /// At most 255 domains are alive at once: their tags are all different, one more is an error, and a domain that goes gives its
    /// tag to the next.
    fn tags_are_given_out_once_and_come_back() {
        let mut domains: Vec<Domain> = (0..255).map(|_| Domain::new().unwrap()).collect();
        let mut tags: Vec<u8> = domains
            .iter()
            .map(|domain| {
                let arena = Disks::new(domain).unwrap();
                tag(arena.insert(0, 0).unwrap())
            })
            .collect();
        tags.sort_unstable();
        assert!(tags.iter().copied().eq(1..=255));
        assert_eq!(Domain::new().err(), Some(DomainError::Tags));

        let clone = domains[100].clone();
        drop(domains.remove(100));
        assert_eq!(Domain::new().err(), Some(DomainError::Tags), "a clone is the same domain, and alive");
        drop(clone);
        domains.push(Domain::new().unwrap());
        assert_eq!(Domain::new().err(), Some(DomainError::Tags));
    }

    /// E-43: the handles of a domain that has gone are stale in every later one, also in that with the same tag: those of objects
    /// removed, alive or leaving at its end, and of cancelled reservations.
    fn handles_of_a_dropped_domain_are_stale_in_the_next_with_its_tag() {
        let _others: Vec<Domain> = (0..254).map(|_| Domain::new().unwrap()).collect();
        let mut old: HashSet<Handle<Disk>> = HashSet::new();
        let mut tags: HashSet<u8> = HashSet::new();
        for _ in 0..20 {
            let disks = Disks::new(&Domain::new().unwrap()).unwrap();
            for name in 0..200 {
                let handle = disks.insert(name, name).unwrap();
                let cancelled = disks.reserve().unwrap().handle();
                tags.insert(tag(handle));
                assert!(old.insert(handle) && old.insert(cancelled), "{handle:?} or {cancelled:?} is back");
                if name % 3 == 0 {
                    assert_eq!(disks.remove(handle), Ok(name));
                } else if name % 7 == 0 {
                    let mut given_up = disks.leave();
                    given_up.mark(handle).unwrap();
                }
            }
            let good = old.iter().filter(|handle| disks.enter(**handle).is_ok()).count();
            let alive = disks.iter(&disks.domain().pin()).count();
            assert_eq!(good, alive, "a handle of an earlier domain is good");
        }
        assert_eq!(tags.len(), 1, "the domains had different tags: nothing has been shown");
    }

    /// One test, since each of its steps needs all the tags.
    #[test]
    fn tags_are_unique_and_no_handle_of_one_comes_back() {
        tags_are_given_out_once_and_come_back();
        handles_of_a_dropped_domain_are_stale_in_the_next_with_its_tag();
    }
}
