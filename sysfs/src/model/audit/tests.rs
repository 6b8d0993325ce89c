//! What is done behind the book's back, and what the auditor says of it.

use super::*;
use crate::model::chip::Chip;
use crate::model::places;

const SEED: u64 = 2;

/// A field where nothing has gone and all is as it should be; what `act` does to it, and what is found then.
fn found_after(act: impl FnOnce(&Field)) -> Vec<String> {
    let book = Arc::new(Book::new(true));
    let field = Field::new(SEED, &book, 100, 50).unwrap();
    audit(&field);
    assert_eq!(book.told(), Vec::<String>::new());
    act(&field);
    audit(&field);
    book.told()
}

/// A place whose device is bound, and is no hub.
fn place(field: &Field) -> usize {
    let is_it = |place: &usize| {
        let tenant = field.scene.tenant(*place).filter(|tenant| field.store.contains(tenant.handle));
        let is_leaf = field.scene.places[*place].hub.is_some();
        is_leaf && tenant.is_some_and(|tenant| tenant.record.driver.get() != 0)
    };
    (0..100).find(is_it).unwrap()
}

#[track_caller]
fn assert_tells(told: &[String], what: &str) {
    assert!(told.iter().any(|told| told.contains(what)), "{what:?} is not in {told:#?}");
}

#[test]
fn a_device_that_nobody_removed_is_missed() {
    let told = found_after(|field| {
        let tenant = field.scene.tenant(place(field)).unwrap();
        drop(field.store.unregister::<Chip>(tenant.handle).unwrap());
    });
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_tells(&told, "is gone, and nobody has removed it");
}

#[test]
fn a_device_that_nobody_registered_is_noticed() {
    let told = found_after(|field| {
        let place = place(field);
        field.scene.places[place].tenant.lock().take();
        field.store.rename(field.store.lookup(&field.scene.places[place].path).unwrap(), "double").unwrap();
        places::plug(&field.store, &field.scene, place).unwrap();
    });
    assert_tells(&told, "nobody has registered it");
}

#[test]
fn a_payload_that_is_not_dropped_is_missed() {
    let told = found_after(|field| {
        let tenant = field.scene.tenant(place(field)).unwrap();
        tenant.record.leaving.raise();
        std::mem::forget(field.store.unregister::<Chip>(tenant.handle).unwrap());
    });
    assert_tells(&told, "and its payload is there");
    assert_tells(&told, "payloads");
}

#[test]
fn a_binding_that_the_driver_knows_nothing_of_is_noticed() {
    let told = found_after(|field| {
        field.scene.tenant(place(field)).unwrap().record.driver.set(u64::MAX);
    });
    // The driver says so, too, as it gives the device up with the store.
    assert_tells(&told, "and was probed by");
}

#[test]
fn a_driver_that_should_have_gone_is_noticed() {
    let told = found_after(|field| {
        let tenants = || (0..50).filter_map(|slot| field.scene.slots[slot].tenant.lock().take());
        tenants().next().unwrap();
    });
    assert_tells(&told, "a bus has");
    assert_tells(&told, "drivers are registered");
}

#[test]
fn addresses_that_are_nobody_s_own_are_noticed() {
    let told = found_after(|field| {
        let tenant = field.scene.tenant(place(field)).unwrap();
        field.store.map(tenant.handle, field.scene.spaces[0], 1 << 40..1 << 41).unwrap();
    });
    assert_tells(&told, "is not the device's");
}

#[test]
fn a_binding_beside_the_observer_s_count_is_noticed() {
    let told = found_after(|field| {
        field.scene.book.observed_bindings.gone.add(1);
        field.scene.book.observed.made.add(1);
    });
    assert_eq!(told.len(), 2, "{told:#?}");
}
