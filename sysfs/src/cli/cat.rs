//! `enodev cat`: the content of one attribute, byte for byte.

use std::io::{self, Write};

use enodev_sysfs::{Content, Found, ScannedAttribute};

use super::args::CatArgs;
use super::tree::unread_text;
use super::{Failure, source};

/// Prints the attribute that `args` name.
pub(crate) fn run(args: &CatArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let tree = source::read(Some(&args.source))?;
    let failure = |cause: String| Failure::Path { path: args.path.clone(), cause };
    let found = tree.find(&args.path).map_err(|cause| failure(cause.to_string()))?;
    let Found::Attribute { dir, attribute } = found else {
        return Err(failure("is a directory".to_owned()));
    };
    let bytes = content(&tree.dirs[dir].attributes[attribute]).map_err(failure)?;
    out.write_all(bytes)?;
    Ok(())
}

/// The bytes that a read gives, or why it gives none.
fn content(attribute: &ScannedAttribute) -> Result<&[u8], String> {
    match &attribute.content {
        Content::Bytes(bytes) => Ok(bytes),
        Content::Errno(errno) => Err(io::Error::from_raw_os_error(*errno).to_string()),
        Content::Unread(unread) => Err(format!("not read: {}", unread_text(*unread))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use enodev_sysfs::Unread;

    fn attribute(content: Content) -> ScannedAttribute {
        ScannedAttribute { name: "x".to_owned(), mode: 0o444, content, binary: false }
    }

    #[test]
    fn an_attribute_gives_its_bytes_or_says_why_not() {
        let bytes = attribute(Content::Bytes([0, 255].as_slice().into()));
        assert_eq!(content(&bytes), Ok([0, 255].as_slice()));
        let cause = content(&attribute(Content::Errno(5))).unwrap_err();
        assert!(cause.contains("os error 5"), "{cause}");
        let unread = attribute(Content::Unread(Unread::WriteOnly));
        assert_eq!(content(&unread), Err("not read: write-only".to_owned()));
    }
}
