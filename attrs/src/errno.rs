//! Error numbers, as Linux gives them.

use std::fmt;
use std::num::NonZeroU16;

use enodev_handles::Stale;

/// What most operations of this crate return: nothing or a value, or an [`Errno`].
pub type Result<T = (), E = Errno> = std::result::Result<T, E>;

/// An error number.
///
/// A plain number rather than an enum: a driver may answer with any number that Linux could pass on,
/// also one that has no constant here.
///
/// # Invariants
///
/// The number is in `1..=Errno::MAX`.
///
/// # Examples
///
/// ```
/// use enodev_attrs::Errno;
///
/// assert_eq!(Errno::ENODEV.raw(), 19);
/// assert_eq!(Errno::ENODEV.to_string(), "no such device (ENODEV)");
/// assert_eq!(Errno::from_raw(0), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(NonZeroU16);

/// Makes the constants, their texts and their names out of one table.
macro_rules! errnos {
    ($($name:ident = $raw:literal, $text:literal;)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "` (", $raw, "): ", $text, ".")]
                pub const $name: Errno = const {
                    assert!($raw >= 1 && $raw <= Errno::MAX);
                    Errno(NonZeroU16::MIN.saturating_add($raw - 1))
                };
            )*

            /// Name and text of a number that is in the table.
            const fn entry(self) -> Option<(&'static str, &'static str)> {
                match self.0.get() {
                    $($raw => Some((stringify!($name), $text)),)*
                    _ => None,
                }
            }
        }

        /// Each constant beside the number that the C library has for the same name.
        #[cfg(test)]
        const AGAINST_LIBC: &[(Errno, &str, i32)] =
            &[$((Errno::$name, stringify!($name), libc::$name)),*];
    };
}

// The numbers are those of asm-generic/errno.h, which x86-64 and AArch64 share.
errnos! {
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such entry";
    ESRCH = 3, "no such process";
    EINTR = 4, "interrupted by a signal";
    EIO = 5, "input or output failed";
    ENXIO = 6, "no such device or address";
    E2BIG = 7, "too much data at once";
    EBADF = 9, "file not open for this";
    EAGAIN = 11, "not possible now, may be later";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "permission denied";
    EFAULT = 14, "bad address";
    EBUSY = 16, "in use";
    EEXIST = 17, "exists already";
    EXDEV = 18, "in another file system";
    ENODEV = 19, "no such device";
    ENOTDIR = 20, "not a directory";
    EISDIR = 21, "is a directory";
    EINVAL = 22, "invalid value";
    ENFILE = 23, "too many open files in the system";
    EMFILE = 24, "too many open files in the process";
    ENOTTY = 25, "request not known to this device";
    EFBIG = 27, "beyond the end that the file may have";
    ENOSPC = 28, "no space left";
    ESPIPE = 29, "has no position to move";
    EROFS = 30, "read-only file system";
    EMLINK = 31, "too many links";
    EPIPE = 32, "nobody at the other end";
    EDOM = 33, "argument outside the domain";
    ERANGE = 34, "result out of range";
    EDEADLK = 35, "would wait for itself";
    ENAMETOOLONG = 36, "name too long";
    ENOSYS = 38, "not implemented";
    ENOTEMPTY = 39, "directory not empty";
    ELOOP = 40, "too many symbolic links on the way";
    ENODATA = 61, "no data to give";
    ETIME = 62, "timer ran out";
    ENOLINK = 67, "link is cut";
    EPROTO = 71, "protocol violated";
    EBADMSG = 74, "malformed message";
    EOVERFLOW = 75, "value too large for its type";
    EILSEQ = 84, "invalid byte sequence";
    EMSGSIZE = 90, "message too long";
    EOPNOTSUPP = 95, "operation not supported";
    ENETDOWN = 100, "network is down";
    ECONNRESET = 104, "connection reset";
    ENOBUFS = 105, "no buffer space";
    ENOTCONN = 107, "not connected";
    ESHUTDOWN = 108, "endpoint is shut down";
    ETIMEDOUT = 110, "timed out";
    EHOSTUNREACH = 113, "host out of reach";
    EALREADY = 114, "already under way";
    EINPROGRESS = 115, "begun, not finished";
    ESTALE = 116, "stale file handle";
    EUCLEAN = 117, "structure needs cleaning";
    EREMOTEIO = 121, "remote input or output failed";
    ENOMEDIUM = 123, "no medium in the drive";
    EMEDIUMTYPE = 124, "wrong type of medium";
    ECANCELED = 125, "cancelled";
    EKEYREJECTED = 129, "key refused";
    ERFKILL = 132, "radio is switched off";
    EHWPOISON = 133, "memory page has a hardware fault";
}

impl Errno {
    /// The highest number that Linux lets a call return as an error.
    pub const MAX: u16 = 4095;

    /// The error with this number, or `None` outside `1..=4095`.
    ///
    /// The number need not have a constant: [`name`](Self::name) tells whether it has one.
    pub fn from_raw(raw: i32) -> Option<Errno> {
        let raw = u16::try_from(raw).ok().filter(|&raw| raw <= Self::MAX)?;
        // INVARIANT: at most `MAX` by the line above, and `NonZeroU16` refuses 0.
        NonZeroU16::new(raw).map(Errno)
    }

    /// The number, positive.
    pub const fn raw(self) -> i32 {
        self.0.get() as i32
    }

    /// The name of the constant, such as `"ENODEV"`, where there is one.
    pub const fn name(self) -> Option<&'static str> {
        match self.entry() {
            Some((name, _)) => Some(name),
            None => None,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some((name, text)) => write!(f, "{text} ({name})"),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl std::error::Error for Errno {}

/// A stale handle is `ENODEV`. Nothing else is turned into that number, here or in the crates above:
/// a full arena, a busy object and a refused mode have numbers of their own.
impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw())
    }
}

impl From<Stale> for Errno {
    fn from(_: Stale) -> Errno {
        Errno::ENODEV
    }
}

/// Formatting into a [`Page`](crate::Page) fails when the page is full, which is `E2BIG`.
impl From<fmt::Error> for Errno {
    fn from(_: fmt::Error) -> Errno {
        Errno::E2BIG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is ours and written by hand; the C library's is the authority.
    #[test]
    fn every_constant_has_the_number_that_libc_has() {
        for &(errno, name, raw) in AGAINST_LIBC {
            assert_eq!(errno.raw(), raw, "{name}");
            assert_eq!(errno.name(), Some(name));
        }
    }

    #[test]
    fn every_number_that_linux_may_return_goes_there_and_back() {
        for raw in 1..=4095 {
            assert_eq!(Errno::from_raw(raw).map(Errno::raw), Some(raw));
        }
        for raw in [i32::MIN, -19, -1, 0, 4096, 65_536, 65_536 + 19, i32::MAX] {
            assert_eq!(Errno::from_raw(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_number_without_a_constant_prints_as_a_number() {
        let defer = Errno::from_raw(517).unwrap();
        assert_eq!(defer.name(), None);
        assert_eq!(defer.to_string(), "error 517");
        assert_eq!(format!("{defer:?}"), "Errno(517)");
        assert_eq!(format!("{:?}", Errno::EIO), "EIO");
        assert_eq!(Errno::EIO.to_string(), "input or output failed (EIO)");
    }

    #[test]
    fn no_two_constants_share_a_text() {
        let mut texts: Vec<_> = AGAINST_LIBC.iter().map(|(errno, ..)| errno.entry()).collect();
        texts.sort_by_key(|entry| entry.map(|(_, text)| text));
        assert!(texts.windows(2).all(|pair| pair[0].map(|e| e.1) != pair[1].map(|e| e.1)));
    }

    #[test]
    fn an_optional_errno_costs_no_room() {
        assert_eq!(size_of::<Option<Errno>>(), 2);
    }

    #[test]
    fn stale_is_enodev() {
        assert_eq!(Errno::from(Stale), Errno::ENODEV);
        assert_eq!(Errno::from(fmt::Error), Errno::E2BIG);
    }
}
