//! What a store answers into which a scanned tree was loaded, compared with what the scan found.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]

mod recordings;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::SeekFrom;
use std::path::Path;

use enodev::{Access, AttrHandle, EntryKind, Errno, Error, KobjectHandle, Mode, PAGE_SIZE, Store};
use enodev_sysfs::{Content, Dir, Imported, LoadError, Loaded, Scanned, ScannedAttribute, builtin, load};
use recordings::scanned;
use tempfile::TempDir;

/// What the scan says of an attribute, as it makes a type: name, mode, size of a binary one.
type Shape<'t> = Vec<(&'t str, u16, Option<usize>)>;

fn loaded(tree: &Scanned) -> (Store, Loaded<Imported>) {
    let store = Store::new().unwrap();
    let loaded = load(&store, tree, |_, dir| Imported::new(dir)).unwrap();
    (store, loaded)
}

/// All that the scan found is in the store, and nothing else, and answers as it did.
fn check(tree: &Scanned) {
    let (store, loaded) = loaded(tree);
    assert_eq!(store.len(), tree.dirs.len() - 1);
    assert_eq!(loaded.objects.len(), tree.dirs.len());
    let places: HashMap<&str, usize> =
        tree.dirs.iter().enumerate().map(|(index, dir)| (dir.path.as_str(), index)).collect();
    let mut links_left = 0;
    for (index, dir) in tree.dirs.iter().enumerate() {
        let object = loaded.objects[index];
        assert_eq!(store.lookup(&dir.path), Ok(object), "{}", dir.path);
        assert_eq!(store.path(object).unwrap(), format!("/{}", dir.path));
        links_left += dir.links.len() - check_links(&store, dir, &loaded.objects, &places);
        let below = tree.dirs.iter().skip(index + 1).take_while(|dir| dir.parent >= Some(index));
        let children = below.filter(|dir| dir.parent == Some(index)).map(|dir| dir.name.as_str());
        let listed = store.list(object).unwrap();
        let objects = listed.iter().filter(|entry| matches!(entry.kind, EntryKind::Object(_)));
        assert!(children.eq(objects.map(|entry| entry.name.as_str())), "{}", dir.path);
        if index > 0 {
            check_attributes(&store, dir, object);
        }
    }
    assert_eq!((loaded.links.len(), loaded.links_left), (tree.links_len() - links_left, links_left));
    check_types(&store, tree, &loaded.objects);
}

/// A link leads to the very object to which the scan says that it does. Says how many there are.
fn check_links(store: &Store, dir: &Dir, objects: &[KobjectHandle], places: &HashMap<&str, usize>) -> usize {
    let object = store.lookup(&dir.path).unwrap();
    let mut found: BTreeMap<String, KobjectHandle> = BTreeMap::new();
    for entry in store.list(object).unwrap() {
        if let EntryKind::Link(target) = entry.kind {
            found.insert(entry.name.to_string(), target);
        }
    }
    let count = found.len();
    for link in &dir.links {
        let target = link.resolved.as_deref().and_then(|path| places.get(path)).map(|target| objects[*target]);
        let path = format!("{}/{}", dir.path, link.name);
        assert_eq!(found.remove(&link.name), target, "{path}");
        assert_eq!(store.lookup(&path), target.ok_or(Error::NotFound), "{path}");
    }
    assert_eq!(found, BTreeMap::new(), "{}", dir.path);
    count
}

fn check_attributes(store: &Store, dir: &Dir, object: KobjectHandle) {
    let mut listed = BTreeMap::new();
    for entry in store.list(object).unwrap() {
        if let EntryKind::Attribute { mode, size, .. } = entry.kind {
            listed.insert(entry.name.to_string(), (mode, size));
        }
    }
    for attribute in &dir.attributes {
        let path = format!("{}/{}", dir.path, attribute.name);
        let size = binary_size(attribute).unwrap_or(PAGE_SIZE);
        // A mode of 0755, of a file in a recording, is 0644: an attribute is no program.
        let mode = Mode::from_bits(attribute.mode & 0o666).unwrap();
        assert_eq!(listed.remove(&attribute.name), Some((mode, size as u64)), "{path}");
        let expected = match &attribute.content {
            Content::Bytes(bytes) => Ok(bytes.to_vec()),
            Content::Errno(errno) => Err(Error::Errno(Errno::from_raw(*errno).unwrap())),
            Content::Unread(_) => Err(Error::Errno(Errno::EACCES)),
        };
        assert_eq!(store.read(object, &attribute.name), expected, "{path}");
        for (access, may) in [(Access::READ, mode.readable()), (Access::WRITE, mode.writable())] {
            let opened = store.open(object, &attribute.name, access).map(drop);
            assert_eq!(opened, if may { Ok(()) } else { Err(Error::Errno(Errno::EACCES)) }, "{path}");
        }
    }
    assert_eq!(listed, BTreeMap::new(), "{}", dir.path);
}

/// The size that a binary attribute is to have: 0, no bound, where the scan has no content.
fn binary_size(attribute: &ScannedAttribute) -> Option<usize> {
    let size = if let Content::Bytes(bytes) = &attribute.content { bytes.len() } else { 0 };
    attribute.binary.then_some(size)
}

/// Directories with the same attributes have a type in common: the store holds each attribute of theirs once.
fn check_types(store: &Store, tree: &Scanned, objects: &[KobjectHandle]) {
    let mut types: HashMap<Shape<'_>, Vec<AttrHandle>> = HashMap::new();
    let mut all = BTreeSet::new();
    for (dir, object) in tree.dirs.iter().zip(objects).skip(1) {
        let shape = dir.attributes.iter().map(|it| (it.name.as_str(), it.mode, binary_size(it))).collect();
        let attribute = |it: &ScannedAttribute| store.attribute(*object, &it.name).unwrap();
        let handles: Vec<AttrHandle> = dir.attributes.iter().map(attribute).collect();
        all.extend(handles.iter().copied());
        assert_eq!(*types.entry(shape).or_insert_with(|| handles.clone()), handles, "{}", dir.path);
    }
    assert_eq!(all.len(), types.values().map(Vec::len).sum::<usize>(), "no two types share an attribute");
}

#[test]
fn the_builtin_tree_answers_from_the_store_as_it_was_made() {
    check(&builtin());
}

#[test]
fn every_recorded_tree_answers_from_the_store_as_it_was_scanned() {
    recordings::each(|archive, tree| {
        eprintln!("{archive}: {} directories", tree.dirs.len());
        check(&tree);
    });
}

#[test]
fn the_tree_of_the_machine_answers_from_the_store_as_it_was_scanned() {
    let sys = Path::new("/sys");
    if !sys.join("kernel").is_dir() {
        eprintln!("skipped: live tree: no /sys");
        return;
    }
    check(&scanned(sys));
}

/// The builtin machine has four queues and two sorts of them, and two partitions.
#[test]
fn a_type_is_defined_once_for_directories_with_the_same_attributes() {
    let (store, _) = loaded(&builtin());
    let attribute = |path: &str, name| store.attribute(store.lookup(path).unwrap(), name).unwrap();
    let size = |partition| attribute(&format!("class/block/tarn0n1{partition}"), "size");
    assert_eq!(size("p1"), size("p2"));
    assert_ne!(size("p1"), size(""), "a disk has other attributes");
    let cpus = |queue| attribute(&format!("class/net/weir0/queues/{queue}"), "xps_cpus");
    assert_eq!(cpus("tx-0"), cpus("tx-1"));
}

/// A tree made by hand, with one directory `d` of the given attributes, and the root's own.
fn tree_of(attributes: Vec<ScannedAttribute>) -> Scanned {
    let dir = |path: &str, parent, attributes| {
        let (path, name) = (path.to_owned(), path.to_owned());
        Dir { path, parent, name, attributes, links: Vec::new() }
    };
    let dirs = vec![dir("", None, attributes.clone()), dir("d", Some(0), attributes)];
    Scanned { dirs, ..builtin() }
}

fn attribute(name: &str, mode: u16, content: &[u8], binary: bool) -> ScannedAttribute {
    ScannedAttribute { name: name.to_owned(), mode, content: Content::Bytes(content.into()), binary }
}

#[test]
fn attributes_of_the_root_are_left_out() {
    let (store, _) = loaded(&tree_of(vec![attribute("x", 0o444, b"1\n", false)]));
    assert_eq!(store.read(store.root(), "x"), Err(Error::NotFound));
    assert_eq!(store.read(store.lookup("d").unwrap(), "x").unwrap(), b"1\n");
    let kinds: Vec<_> = store.list(store.root()).unwrap().into_iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Object(store.lookup("d").unwrap())]);
}

#[test]
fn a_binary_attribute_longer_than_a_page_is_read_in_pieces_and_at_any_offset() {
    let content: Vec<u8> = (0..3 * PAGE_SIZE as u32 + 5).map(|n| (n % 251) as u8).collect();
    let (store, loaded) = loaded(&tree_of(vec![attribute("config", 0o444, &content, true)]));
    let file = store.open(loaded.objects[1], "config", Access::READ).unwrap();
    let mut buf = vec![0; content.len() + 1];
    assert_eq!(file.read(&store, &mut buf), Ok(PAGE_SIZE));
    assert_eq!(file.pread(&store, content.len() as u64 - 3, &mut buf), Ok(3));
    assert_eq!(buf[..3], content[content.len() - 3..]);
    assert_eq!(file.pread(&store, content.len() as u64, &mut buf), Ok(0));
    assert_eq!(file.seek(&store, SeekFrom::End(0)), Ok(content.len() as u64));
    assert_eq!(store.read(loaded.objects[1], "config").unwrap(), content);
}

#[test]
fn what_is_written_to_text_is_all_that_is_read_from_then_on() {
    let tree = builtin();
    let (store, loaded) = loaded(&tree);
    let all = || tree.dirs.iter().zip(&loaded.objects).skip(1);
    let mut written = 0;
    for (dir, object) in all() {
        for it in dir.attributes.iter().filter(|it| !it.binary) {
            let path = format!("{}/{}", dir.path, it.name);
            let text = format!("{path} is written\n");
            let result = store.write(*object, &it.name, text.as_bytes());
            if it.mode & 0o222 == 0 {
                assert_eq!(result, Err(Error::Errno(Errno::EACCES)), "{path}");
                continue;
            }
            assert_eq!(result, Ok(()), "{path}");
            written += 1;
        }
    }
    assert!(written > 10, "{written}");
    // Only afterwards, so that a write which reaches another object or attribute is found.
    for (dir, object) in all() {
        for it in dir.attributes.iter().filter(|it| !it.binary) {
            let path = format!("{}/{}", dir.path, it.name);
            let expected = match &it.content {
                _ if it.mode & 0o444 == 0 => Err(Error::Errno(Errno::EACCES)),
                _ if it.mode & 0o222 != 0 => Ok(format!("{path} is written\n").into_bytes()),
                Content::Bytes(bytes) => Ok(bytes.to_vec()),
                Content::Errno(errno) => Err(Error::Errno(Errno::from_raw(*errno).unwrap())),
                Content::Unread(_) => Err(Error::Errno(Errno::EACCES)),
            };
            assert_eq!(store.read(*object, &it.name), expected, "{path}");
        }
    }
}

#[test]
fn an_error_is_answered_until_something_is_written() {
    let failing = ScannedAttribute { content: Content::Errno(5), ..attribute("x", 0o644, b"", false) };
    let (store, loaded) = loaded(&tree_of(vec![failing]));
    assert_eq!(store.read(loaded.objects[1], "x"), Err(Error::Errno(Errno::EIO)));
    store.write(loaded.objects[1], "x", b"1\n").unwrap();
    assert_eq!(store.read(loaded.objects[1], "x").unwrap(), b"1\n");
}

#[test]
fn what_is_written_to_a_binary_attribute_takes_the_place_of_as_many_bytes() {
    let (store, loaded) = loaded(&tree_of(vec![attribute("config", 0o644, b"0123456789", true)]));
    let file = store.open(loaded.objects[1], "config", Access::READ | Access::WRITE).unwrap();
    assert_eq!(file.pwrite(&store, 3, b"abc"), Ok(3));
    assert_eq!(store.read(loaded.objects[1], "config").unwrap(), b"012abc6789");
    // Its size is what it was.
    assert_eq!(file.pwrite(&store, 8, b"abc"), Ok(2));
    assert_eq!(store.read(loaded.objects[1], "config").unwrap(), b"012abc67ab");
    assert_eq!(file.pwrite(&store, 10, b"a"), Err(Errno::EFBIG));
}

#[test]
fn a_binary_attribute_without_a_size_grows_with_what_is_written_but_not_without_end() {
    let (store, loaded) = loaded(&tree_of(vec![attribute("data", 0o644, b"", true)]));
    let file = store.open(loaded.objects[1], "data", Access::WRITE).unwrap();
    assert_eq!(file.pwrite(&store, 2, b"ab"), Ok(2));
    assert_eq!(store.read(loaded.objects[1], "data").unwrap(), b"\0\0ab");
    for offset in [8 << 20, 1 << 62, i64::MAX as u64] {
        assert_eq!(file.pwrite(&store, offset, b"x"), Err(Errno::EFBIG), "{offset}");
    }
    assert_eq!(store.read(loaded.objects[1], "data").unwrap(), b"\0\0ab");
}

#[test]
fn a_directory_that_was_unregistered_can_be_registered_again() {
    let tree = builtin();
    let (store, mut loaded) = loaded(&tree);
    let index = tree.dirs.iter().position(|dir| dir.path.ends_with("/tarn0n1p1")).unwrap();
    let (first, path) = (loaded.objects[index], &tree.dirs[index].path);
    let again =
        |loaded: &mut Loaded<Imported>, index| loaded.register(&store, &tree, index, Imported::new(&tree.dirs[index]));
    assert_eq!(again(&mut loaded, index), Err(Error::Exists));
    store.unregister_subtree(first).unwrap();
    let second = again(&mut loaded, index).unwrap();
    assert_eq!((store.lookup(path), loaded.objects[index]), (Ok(second), second));
    assert_eq!(store.read(first, "size"), Err(Error::Errno(Errno::ENODEV)));
    assert_eq!(store.read(second, "size").unwrap(), b"1048576\n");
    assert_eq!(again(&mut loaded, 0), Err(Error::Root));
    let beyond = loaded.register(&store, &tree, tree.dirs.len(), Imported::new(&tree.dirs[0]));
    assert_eq!(beyond, Err(Error::NotFound));
}

/// The scan of a file system does not yield such trees; a program may make them.
#[test]
fn a_tree_that_the_store_refuses_is_told_with_the_path() {
    let refused = |change: &dyn Fn(&mut Vec<Dir>)| {
        let mut tree = tree_of(Vec::new());
        change(&mut tree.dirs);
        load(&Store::new().unwrap(), &tree, |_, dir| Imported::new(dir)).map(drop)
    };
    let twice = refused(&|dirs| dirs.push(dirs[1].clone()));
    assert_eq!(twice, Err(LoadError { path: "d".into(), cause: Error::Exists }));
    let name = refused(&|dirs| dirs[1].name = "a/b".into()).unwrap_err();
    assert_eq!((name.path.as_str(), name.cause.errno()), ("d", Errno::EINVAL));
    let nameless = refused(&|dirs| dirs[1].attributes.push(attribute("", 0o444, b"", false)));
    assert_eq!(nameless.unwrap_err().cause.errno(), Errno::EINVAL);
    let lost = refused(&|dirs| dirs[1].parent = Some(7));
    assert_eq!(lost, Ok(()), "what has no parent is the root's");
}

#[test]
fn names_of_any_sort_and_every_byte_come_through_files_scan_and_store() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join(format!("devices/{}/a b:c,;\u{fc}\u{1b}\n", "n".repeat(255)));
    fs::create_dir_all(&dir).unwrap();
    let every: Vec<u8> = (0..=255).collect();
    for name in ["x".repeat(255).as_str(), " ", "...", "-", "\\", "\u{1f980}"] {
        fs::write(dir.join(name), &every).expect("a file of that name");
    }
    let tree = scanned(temp.path());
    assert_eq!(tree.attributes_len(), 6);
    check(&tree);
}
