//! `enodev cat`: the content of one attribute, byte for byte.

use std::io::{self, Write};

use enodev::{Errno, KobjectHandle, Store};

use super::Failure;
use super::args::CatArgs;
use super::import::{Found, Import, is_write_only};

/// Prints the attribute that `args` name.
pub(crate) fn run(args: &CatArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let import = Import::read(Some(&args.source))?;
    let content = match import.find(&args.path)? {
        Found::Object(_) => Err("is a directory".to_owned()),
        Found::Attribute(object, name) => content(import.store(), object, name),
    };
    let bytes = content.map_err(|cause| {
        // Why an attribute cannot be read may be that the scan has not.
        import.note_what_is_left();
        Failure::Path { path: args.path.clone(), cause }
    })?;
    out.write_all(&bytes)?;
    Ok(())
}

/// The bytes that a read gives, or why it gives none.
fn content(store: &Store, object: KobjectHandle, name: &str) -> Result<Vec<u8>, String> {
    store.read(object, name).map_err(|error| match error.errno() {
        Errno::EACCES if is_write_only(store, object, name) => "not read: write-only".to_owned(),
        errno => io::Error::from_raw_os_error(errno.raw()).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use enodev_sysfs::builtin;

    #[test]
    fn an_attribute_gives_its_bytes_or_says_why_not() {
        let import = Import::of(builtin()).unwrap();
        let content = |path| {
            let Found::Attribute(object, name) = import.find(path).unwrap() else { panic!("{path} is an attribute") };
            content(import.store(), object, name)
        };
        assert_eq!(content("class/net/weir0/mtu"), Ok(b"1500\n".to_vec()));
        assert_eq!(content("bus/pci/devices/0000:00:02.0/config").map(|bytes| bytes.len()), Ok(256));
        let cause = content("class/net/weir0/carrier").unwrap_err();
        assert!(cause.contains("os error 22"), "{cause}");
        assert_eq!(content("bus/pci/rescan"), Err("not read: write-only".to_owned()));
    }
}
