//! Handles that leave their process.

use std::collections::BTreeSet;

use enodev::{
    AsKobject, DeviceHandle, DeviceType, Errno, Error, Handle, InvalidPortable, KobjectHandle, Portable, Store, kind,
};

use crate::common::GONE;

/// A small machine, the same each time.
fn machine() -> Store {
    let store = Store::new().unwrap();
    let ty = store.define(DeviceType::shared::<u8>("disk")).unwrap();
    let pci = store.create(store.root(), "pci0").unwrap();
    for name in ["sda", "sdb"] {
        store.register(pci, name, ty, 0).unwrap();
    }
    store
}

/// What a store gave out comes back as what it was, through text and through serde, whether it is stale or not; the null handle too.
#[test]
fn a_portable_handle_comes_back() {
    let store = machine();
    let sda = store.device(store.lookup("/pci0/sda").unwrap()).unwrap();
    let null = DeviceHandle::null();
    for handle in [sda, null] {
        let portable = store.portable(handle);
        assert_eq!(portable.to_string().parse(), Ok(portable));
        let json = serde_json::to_string(&portable).unwrap();
        assert_eq!(json, format!("\"{portable}\""));
        let back: Portable<kind::Device> = serde_json::from_str(&json).unwrap();
        assert_eq!((back, store.recall(back)), (portable, Ok(handle)));
        assert_eq!(serde_json::from_reader::<_, Portable<kind::Device>>(json.as_bytes()).unwrap(), portable);
    }
    let portable = store.portable(sda);
    store.unregister::<u8>(sda).unwrap();
    assert_eq!(store.recall(portable), Ok(sda));
    assert_eq!(store.path(store.recall(portable).unwrap()), Err(GONE));
    assert!(portable.to_string().starts_with("Device:"));
}

/// E-43: of another store, alive or not, a handle is foreign, also where its bits are those of a handle that is good here.
#[test]
fn another_stores_handle_is_foreign() {
    let [here, there] = [(); 2].map(|()| Store::new().unwrap());
    let foreign = there.portable(here.root());
    assert_eq!(here.recall(foreign), Err(Error::Foreign));
    assert_eq!(here.recall(foreign).unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(here.recall(here.portable(here.root())), Ok(here.root()));
    drop(there);
    assert_eq!(here.recall(foreign), Err(Error::Foreign));
    let next = Store::new().unwrap();
    assert_eq!(next.recall(foreign), Err(Error::Foreign));
}

/// What is no portable handle is refused as a text, and one of another kind is not taken for one of this.
#[test]
fn other_texts_are_no_portable_handles() {
    let store = Store::new().unwrap();
    let good = store.portable(store.root()).to_string();
    let (kind, rest) = good.split_once(':').unwrap();
    assert_eq!((kind, rest.len()), ("Kobject", 32 + 1 + 16));
    let parse = |text: &str| text.parse::<Portable<kind::Kobject>>();
    assert!(parse(&good).is_ok() && parse(&format!("{kind}:{}", rest.to_uppercase())) == parse(&good));
    let longer = format!("{good}0");
    let signed = format!("{kind}:+{}", &rest[1..]);
    for text in ["", "Kobject", "::", kind, rest, &good[..good.len() - 1], &longer, &signed, &format!("{good}:")] {
        assert_eq!(parse(text), Err(InvalidPortable::Form), "{text}");
    }
    assert_eq!(parse(&format!("Device:{rest}")), Err(InvalidPortable::Kind));
    assert!(serde_json::from_str::<Portable<kind::Attr>>(&format!("\"{good}\"")).is_err());
    assert!(serde_json::from_str::<Portable<kind::Kobject>>("17").is_err());
    // Any number is as safe as any handle.
    let (store_part, _) = rest.split_once(':').unwrap();
    let forged = parse(&format!("{kind}:{store_part}:{:016x}", u64::MAX)).unwrap();
    assert_eq!(store.recall(forged).and_then(|forged| store.path(forged)), Err(GONE));
}

/// After a restart the objects are found again by their paths: the handles of before are foreign, and would mean something else.
#[test]
fn a_restored_store_finds_its_objects_by_path() {
    let saved = {
        let store = machine();
        let paths = ["/", "/pci0", "/pci0/sda", "/pci0/sdb"];
        let saved = paths.map(|path| (store.portable(store.lookup(path).unwrap()), path));
        serde_json::to_string(&saved).unwrap()
    };
    let store = machine();
    let saved: Vec<(Portable<kind::Kobject>, String)> = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved.len(), 4);
    for (portable, path) in saved {
        assert_eq!(store.recall(portable), Err(Error::Foreign));
        let again: KobjectHandle = store.lookup(&path).unwrap();
        assert_eq!(store.path(again), Ok(path));
        assert_eq!(store.recall(store.portable(again)), Ok(again));
    }
}

/// No two stores have one number, by whichever threads they are made.
#[test]
fn stores_are_told_apart() {
    let texts = || {
        let make = |_| Store::new().unwrap().portable(Handle::<kind::Kobject>::null().kobject()).to_string();
        (0..20).map(make).collect::<Vec<_>>()
    };
    let threads = [(); 4].map(|()| std::thread::spawn(texts));
    let all: BTreeSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(all.len(), 80);
    // Each half differs, so both have something to say.
    for half in [8..24, 24..40] {
        let halves: BTreeSet<_> = all.iter().map(|text| &text[half.clone()]).collect();
        assert_eq!(halves.len(), 80);
    }
}
