//! Groups: what they are made of, and what of them is there for whom.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enodev_attrs::{Attribute, DefineError, Errno, Group, InvalidName, Mode, Name, Owner, Page, Parts, Visibility};

/// An owner that says itself what of a group it wants.
struct Disk {
    group: bool,
    attributes: Visibility,
}

impl Owner for Disk {
    type Ref<'a> = &'a Disk;
}

const PLAIN: Disk = Disk { group: true, attributes: Visibility::AsDefined };

/// One attribute of each sort.
fn one_of_each(group: Group<Disk>) -> Group<Disk> {
    group
        .ro("ro", |_, page| page.line("shown"))
        .wo("wo", |_, _| Ok(()))
        .rw("rw", |_, _| Ok(()), |_, _| Ok(()))
        .bin_ro("bin_ro", 64, |_, _, _| Ok(0))
        .bin_wo("bin_wo", 0, |_, _, _| Ok(0))
        .bin_rw("bin_rw", 8192, |_, _, _| Ok(0), |_, _, _| Ok(0))
}

fn as_the_owner_wants() -> Result<Parts<Disk>, DefineError> {
    let group = one_of_each(Group::named("each"));
    group.is_shown(|disk| disk.group).is_visible(|disk, _| disk.attributes).into_parts()
}

fn error_of(group: Group<Disk>) -> Option<DefineError> {
    group.into_parts().err()
}

#[test]
fn a_group_has_what_was_put_into_it_in_that_order() {
    let group = one_of_each(Group::named("power")).mode(Mode::RUSR).attribute(Attribute::ro("more", |_, _| Ok(())));
    let told: Vec<_> = group.attributes().iter().map(|a| (a.name().as_str(), a.mode().bits())).collect();
    let each = [
        ("ro", 0o444),
        ("wo", 0o200),
        ("rw", 0o644),
        ("bin_ro", 0o444),
        ("bin_wo", 0o200),
        ("bin_rw", 0o400),
        ("more", 0o444),
    ];
    assert_eq!(told, each);
    assert_eq!(group.name().map(Name::as_str), Some("power"));
    assert_eq!(Group::<Disk>::default().name(), None);

    let parts = group.into_parts().unwrap();
    assert_eq!(parts.name.as_deref(), Some("power"));
    let mut page = Page::new();
    parts.attributes[0].show(&PLAIN, &mut page).unwrap();
    assert_eq!((parts.attributes.len(), page.as_bytes()), (7, &b"shown\n"[..]));
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    let ok = |group: Group<Disk>| group.ro("size", |_, _| Ok(()));
    assert_eq!(error_of(ok(Group::new())), None);
    assert_eq!(error_of(ok(Group::named("a/b"))), Some(DefineError::Name(InvalidName::Slash)));
    assert_eq!(error_of(ok(Group::named("")).mode(Mode::RW)), Some(DefineError::Name(InvalidName::Empty)));
    assert_eq!(error_of(ok(Group::new()).mode(Mode::RW)), Some(DefineError::Unwritable(Mode::RW)));
    assert_eq!(error_of(Group::new().mode(Mode::RO)), Some(DefineError::NoAttribute(Mode::RO)));
    let both = ok(Group::new()).mode(Mode::XUSR).wo(".", |_, _| Ok(()));
    assert_eq!(error_of(both), Some(DefineError::Executable(Mode::XUSR)));
}

#[test]
fn two_attributes_of_one_name_are_refused() {
    let group = one_of_each(Group::new()).bin_ro("wo", 1, |_, _, _| Ok(0)).ro("ro", |_, _| Ok(()));
    let error = error_of(group);
    assert_eq!(error, Some(DefineError::Twice(6)));
    assert_eq!(error.map(Errno::from), Some(Errno::EEXIST));
    assert_eq!(error.map(|error| error.to_string()), Some("attribute 6 has the name of one before it".into()));
}

/// F20: without callbacks everything is there as it was defined.
#[test]
fn without_callbacks_all_is_as_defined() {
    let parts = one_of_each(Group::new()).mode(Mode::empty()).into_parts().unwrap();
    assert!(parts.visible.is_plain());
    assert_eq!(parts.visible.is_shown(&PLAIN), Ok(true));
    for attribute in &parts.attributes {
        assert_eq!(parts.visible.mode(&PLAIN, attribute), Ok(Some(attribute.mode())));
    }
}

/// F20: the callback is asked once for each attribute, may give another mode, and hides with a mode of no bits.
#[test]
fn each_owner_may_have_other_attributes_of_the_group() {
    let parts = as_the_owner_wants().unwrap();
    assert!(!parts.visible.is_plain());
    for attribute in &parts.attributes {
        for (attributes, mode) in [
            (Visibility::AsDefined, Some(attribute.mode())),
            (Visibility::Mode(attribute.mode()), Some(attribute.mode())),
            (Visibility::Mode(Mode::empty()), None),
            (Visibility::Hidden, None),
        ] {
            assert_eq!(parts.visible.mode(&Disk { group: true, attributes }, attribute), Ok(mode));
        }
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let parts = one_of_each(Group::new()).is_visible(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        Visibility::AsDefined
    });
    let parts = parts.into_parts().unwrap();
    for (before, attribute) in parts.attributes.iter().enumerate() {
        assert_eq!(asked.load(Ordering::Relaxed), before);
        assert_eq!(parts.visible.mode(&PLAIN, attribute), Ok(Some(attribute.mode())));
    }
}

/// E-24: to hide every attribute and to hide the group are two answers, and neither implies the other.
#[test]
fn hiding_all_attributes_is_not_hiding_the_group() {
    let parts = as_the_owner_wants().unwrap();
    let no_files = Disk { group: true, attributes: Visibility::Hidden };
    let no_group = Disk { group: false, attributes: Visibility::AsDefined };
    let first = &parts.attributes[0];
    assert_eq!((parts.visible.is_shown(&no_files), parts.visible.mode(&no_files, first)), (Ok(true), Ok(None)));
    assert_eq!(parts.visible.is_shown(&no_group), Ok(false));
    assert_eq!(parts.visible.mode(&no_group, first), Ok(Some(Mode::RO)));
    assert!(!one_of_each(Group::new()).is_shown(|disk| disk.group).into_parts().unwrap().visible.is_plain());
}

/// F20: no answer makes an attribute promise more than its callbacks keep.
#[test]
fn a_mode_for_one_owner_promises_no_more_than_the_callbacks_keep() {
    let parts = as_the_owner_wants().unwrap();
    for bits in 1..=0o777 {
        let mode = Mode::from_bits(bits).unwrap();
        let owner = Disk { group: true, attributes: Visibility::Mode(mode) };
        for attribute in &parts.attributes {
            let kept = bits & 0o111 == 0
                && (bits & 0o444 == 0 || attribute.has_read())
                && (bits & 0o222 == 0 || attribute.has_write());
            let told = if kept { Ok(Some(mode)) } else { Err(Errno::EINVAL) };
            assert_eq!(parts.visible.mode(&owner, attribute), told, "{mode}");
        }
    }
}

#[test]
fn a_callback_that_panics_is_eio_and_counted() {
    let carried = Arc::new(());
    let (files, group) = (Arc::clone(&carried), Arc::clone(&carried));
    let parts = one_of_each(Group::new())
        .is_visible(move |_, _| panic_any(Arc::clone(&files)))
        .is_shown(move |_| panic_any(Arc::clone(&group)))
        .into_parts()
        .unwrap();
    assert_eq!(parts.visible.mode(&PLAIN, &parts.attributes[0]), Err(Errno::EIO));
    assert_eq!(parts.visible.is_shown(&PLAIN), Err(Errno::EIO));
    assert_eq!((parts.visible.panics(), parts.attributes[0].panics()), (2, 0));
    assert_eq!(Arc::strong_count(&carried), 3);
}

#[test]
fn a_group_may_be_shared_and_prints_without_its_callbacks() {
    fn check<T: Send + Sync>(_: &T) {}
    let group = Group::<Disk>::named("power").ro("size", |_, _| Ok(())).is_shown(|_| true);
    check(&group);
    let printed = format!("{group:?}");
    assert!(printed.contains(r#"name: Some("power")"#) && printed.contains("is_shown: true"), "{printed}");
    let parts = group.into_parts().unwrap();
    check(&parts);
    assert!(format!("{parts:?}").contains("is_visible: false"));
}
