//! Why an operation of the baseline failed.

use std::fmt;

/// What an operation of the baseline returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why an operation of the baseline failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The object has left the store, and nobody holds it any more.
    Gone,
    /// No such path, or no such attribute on the object there.
    NotFound,
    /// The name is taken, by an object, a link or an attribute.
    Exists,
    /// A name is empty, longer than 255 bytes, `.` or `..`, or holds a slash or a NUL.
    InvalidName,
    /// The operation needs an object, and the path is that of the root, which is none.
    Root,
    /// The attribute's mode or the lack of a callback refuses this direction.
    Access,
    /// The attribute's callback failed with this errno.
    Callback(i32),
}

impl Error {
    /// The errno that Linux gives in this case, as a positive number.
    #[must_use]
    pub fn errno(self) -> i32 {
        match self {
            Self::Gone => 19,
            Self::NotFound => 2,
            Self::Exists => 17,
            Self::InvalidName => 22,
            Self::Root => 16,
            Self::Access => 13,
            Self::Callback(errno) => errno,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the object is gone"),
            Self::NotFound => f.write_str("no such object or attribute"),
            Self::Exists => f.write_str("the name is taken"),
            Self::InvalidName => f.write_str("not a valid name"),
            Self::Root => f.write_str("the root is not an object"),
            Self::Access => f.write_str("the attribute does not allow this"),
            Self::Callback(errno) => write!(f, "the callback failed with errno {errno}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn errors_have_the_numbers_of_linux() {
        for (error, errno) in [
            (Error::Gone, libc::ENODEV),
            (Error::NotFound, libc::ENOENT),
            (Error::Exists, libc::EEXIST),
            (Error::InvalidName, libc::EINVAL),
            (Error::Root, libc::EBUSY),
            (Error::Access, libc::EACCES),
            (Error::Callback(libc::EIO), libc::EIO),
        ] {
            assert_eq!(error.errno(), errno, "{error}");
        }
    }
}
