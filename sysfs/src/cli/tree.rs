//! `enodev tree`: a tree, or part of one, as text.

use std::io::Write;

use enodev::{Entry, EntryKind, Errno, KobjectHandle, Store};

use super::Failure;
use super::args::TreeArgs;
use super::import::{Found, Import, is_write_only};
use super::render::{TreeWriter, Value};

/// Prints the tree that `args` name.
pub(crate) fn run(args: &TreeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let import = Import::read(args.source.as_deref())?;
    let found = import.find(args.path.as_deref().unwrap_or(""))?;
    print(import.store(), found, &mut TreeWriter::new(out))?;
    out.flush()?;
    import.note_what_is_left();
    Ok(())
}

/// Prints what was found: an attribute alone, an object with all below it.
fn print(store: &Store, found: Found<'_>, out: &mut TreeWriter<'_>) -> Result<(), Failure> {
    let object = match found {
        Found::Object(object) => object,
        Found::Attribute(object, name) => return Ok(out.attribute(0, name, value(store, object, name))?),
    };
    let path = store.path(object)?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty());
    dir(store, object, name.unwrap_or("."), 0, out)
}

/// Prints an object: its attributes, then its links, then the objects below it. A scan is 64 levels deep at the most.
fn dir(
    store: &Store,
    object: KobjectHandle,
    name: &str,
    depth: usize,
    out: &mut TreeWriter<'_>,
) -> Result<(), Failure> {
    out.dir(depth, name)?;
    let (depth, entries) = (depth + 1, store.list(object)?);
    for Entry { name, kind } in &entries {
        if let EntryKind::Attribute { .. } = kind {
            out.attribute(depth, name, value(store, object, name))?;
        }
    }
    for Entry { name, kind } in &entries {
        if let EntryKind::Link(target) = kind {
            out.link(depth, name, &store.path(*target)?)?;
        }
    }
    for Entry { name, kind } in &entries {
        if let EntryKind::Object(below) = kind {
            dir(store, *below, name, depth, out)?;
        }
    }
    Ok(())
}

/// What to say of an attribute: what reading it gives.
fn value(store: &Store, object: KobjectHandle, name: &str) -> Value {
    match store.read(object, name).map_err(|error| error.errno()) {
        Ok(bytes) => Value::Size(bytes.len()),
        Err(Errno::EACCES) if is_write_only(store, object, name) => Value::WriteOnly,
        Err(errno) => Value::Errno(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use enodev_sysfs::builtin;

    /// What `enodev tree` prints of the builtin tree from `path` on.
    fn printed(path: &str) -> String {
        let import = Import::of(builtin()).unwrap();
        let mut out = Vec::new();
        print(import.store(), import.find(path).unwrap(), &mut TreeWriter::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_directory_shows_its_attributes_then_its_links_then_those_below() {
        assert_eq!(
            printed("bus/pci"),
            "pci/
  drivers_autoprobe  2 bytes
  rescan  write-only
  devices/
    0000:00:02.0 -> /devices/pci0000:00/0000:00:02.0
    0000:00:05.0 -> /devices/pci0000:00/0000:00:05.0
  drivers/
    tarn/
      bind  write-only
      unbind  write-only
      0000:00:02.0 -> /devices/pci0000:00/0000:00:02.0
    weir/
      bind  write-only
      unbind  write-only
      0000:00:05.0 -> /devices/pci0000:00/0000:00:05.0
"
        );
    }

    #[test]
    fn an_attribute_alone_is_one_line_and_links_on_the_way_are_followed() {
        assert_eq!(printed("class/net/weir0/carrier"), "carrier  EINVAL\n");
        assert_eq!(printed("class/net/weir0/ifalias"), "ifalias  0 bytes\n");
        assert_eq!(printed("bus/pci/rescan"), "rescan  write-only\n");
        assert_eq!(printed("bus/pci/devices/0000:00:02.0/config"), "config  256 bytes\n");
    }

    #[test]
    fn the_whole_tree_has_one_line_for_everything_in_it() {
        let tree = builtin();
        let lines = tree.dirs.len() + tree.attributes_len() + tree.links_len();
        let text = printed("");
        assert_eq!(text.lines().count(), lines);
        assert!(text.starts_with("./\n  bus/\n    pci/\n"));
    }
}
