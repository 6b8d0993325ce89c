//! How many stores there can be. A test program of its own: it takes them all.

use enodev::{Errno, Error, Store};

/// 255 stores are alive at once; one more is an error that harms none of them, and there is room again when one goes.
#[test]
fn the_256th_store_is_refused() {
    let mut stores: Vec<Store> = (0..255).map(|_| Store::new().unwrap()).collect();
    for _ in 0..3 {
        let error = Store::new().unwrap_err();
        assert!(matches!(error, Error::Domain(_)));
        assert_eq!(error.errno(), Errno::EAGAIN);
    }
    for (n, store) in stores.iter().enumerate() {
        let child = store.create(store.root(), "child").unwrap();
        let next = &stores[(n + 1) % stores.len()];
        assert!(store.contains(child) && !next.contains(child));
        assert!(!next.contains(store.root()));
    }
    let gone = stores.swap_remove(7).root();
    stores.push(Store::new().unwrap());
    assert!(stores.iter().all(|store| !store.contains(gone)));
    assert!(Store::new().is_err());
}
