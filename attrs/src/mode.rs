//! Permission bits.

use std::fmt;

use bitflags::bitflags;

bitflags! {
    /// The nine permission bits of an entry, named as in `<linux/stat.h>` without the `S_I`.
    ///
    /// `Display` is the usual octal number, such as `0644`.
    ///
    /// # Examples
    ///
    /// ```
    /// use enodev_attrs::Mode;
    ///
    /// assert_eq!(Mode::RW, Mode::RO | Mode::WUSR);
    /// assert_eq!(Mode::RW.to_string(), "0644");
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Mode: u16 {
        /// Its user may read.
        const RUSR = 0o400;
        /// Its user may write.
        const WUSR = 0o200;
        /// Its user may search (a directory).
        const XUSR = 0o100;
        /// Its group may read.
        const RGRP = 0o040;
        /// Its group may write.
        const WGRP = 0o020;
        /// Its group may search (a directory).
        const XGRP = 0o010;
        /// Others may read.
        const ROTH = 0o004;
        /// Others may write.
        const WOTH = 0o002;
        /// Others may search (a directory).
        const XOTH = 0o001;
    }
}

impl Mode {
    /// 0444, what an attribute that can only be read has.
    pub const RO: Mode = Mode::RUSR.union(Mode::RGRP).union(Mode::ROTH);
    /// 0200, what an attribute that can only be written has.
    pub const WO: Mode = Mode::WUSR;
    /// 0644, what an attribute that can be read and written has.
    pub const RW: Mode = Mode::RO.union(Mode::WO);

    /// Whether anybody may read.
    pub const fn readable(self) -> bool {
        self.intersects(Mode::RO)
    }

    /// Whether anybody may write.
    pub const fn writable(self) -> bool {
        self.intersects(Mode::WUSR.union(Mode::WGRP).union(Mode::WOTH))
    }

    /// Whether anybody may search or execute.
    pub(crate) const fn executable(self) -> bool {
        self.intersects(Mode::XUSR.union(Mode::XGRP).union(Mode::XOTH))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_linux() {
        assert_eq!(Mode::all().bits(), 0o777);
        for (mode, bits) in [
            (Mode::RUSR, libc::S_IRUSR),
            (Mode::WUSR, libc::S_IWUSR),
            (Mode::XUSR, libc::S_IXUSR),
            (Mode::RGRP, libc::S_IRGRP),
            (Mode::WGRP, libc::S_IWGRP),
            (Mode::XGRP, libc::S_IXGRP),
            (Mode::ROTH, libc::S_IROTH),
            (Mode::WOTH, libc::S_IWOTH),
            (Mode::XOTH, libc::S_IXOTH),
        ] {
            assert_eq!(libc::mode_t::from(mode.bits()), bits);
        }
    }

    #[test]
    fn display_is_four_octal_digits() {
        let shown = [Mode::RO, Mode::WO, Mode::RW, Mode::empty(), Mode::all()].map(|m| m.to_string());
        assert_eq!(shown, ["0444", "0200", "0644", "0000", "0777"]);
    }

    #[test]
    fn one_bit_of_three_is_enough() {
        for bits in 0..=0o777 {
            let mode = Mode::from_bits(bits).unwrap();
            assert_eq!(mode.readable(), bits & 0o444 != 0, "{mode}");
            assert_eq!(mode.writable(), bits & 0o222 != 0, "{mode}");
            assert_eq!(mode.executable(), bits & 0o111 != 0, "{mode}");
        }
    }

    #[test]
    fn there_is_no_bit_beyond_the_nine() {
        assert_eq!(Mode::from_bits(0o1644), None);
    }
}
