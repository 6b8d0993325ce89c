//! What must not be read from a running kernel.

use super::find::below;

/// Parts of sysfs that a scan stays out of.
///
/// `kernel/debug` and `kernel/tracing` hold files that act when they are read, and mount
/// themselves when they are touched; `fs/cgroup` and `fs/bpf` are trees of another kind;
/// `kernel/btf` is megabytes of type information; `power/wakeup_count` waits until no wake-up
/// event is being handled, which may be never.
const DENIED: [&str; 6] = ["fs/bpf", "fs/cgroup", "kernel/btf", "kernel/debug", "kernel/tracing", "power/wakeup_count"];

/// Names that are left out wherever they stand: each read of zram's `hot_add` makes a device.
const DENIED_NAMES: [&str; 1] = ["hot_add"];

/// Whether the entry at `path`, counted from where sysfs is mounted, is left out.
pub(super) fn is_denied(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    DENIED_NAMES.contains(&name) || DENIED.iter().any(|denied| below(denied, path).is_some())
}

/// Whether `name` is that of a window onto a PCI device's registers: `resource0`, `resource2_wc`.
/// A read of an I/O window reaches the device, and may change its state.
pub(super) fn is_window(name: &str) -> bool {
    let Some(number) = name.strip_prefix("resource") else {
        return false;
    };
    let number = number.strip_suffix("_wc").unwrap_or(number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deny_list_covers_whole_subtrees_and_nothing_beside_them() {
        for path in [
            "class/zram-control/hot_add",
            "kernel/debug",
            "kernel/debug/x/y",
            "kernel/tracing",
            "fs/cgroup",
            "fs/bpf",
            "kernel/btf/vmlinux",
            "power/wakeup_count",
        ] {
            assert!(is_denied(path), "{path}");
        }
        for path in [
            "kernel",
            "kernel/debugger",
            "devices/x/power/wakeup_count",
            "class/zram-control/hot_remove",
            "class/zram-control/hot_add2",
            "fs",
        ] {
            assert!(!is_denied(path), "{path}");
        }
    }

    #[test]
    fn a_window_is_told_from_the_list_of_windows() {
        assert!(is_window("resource0"));
        assert!(is_window("resource12"));
        assert!(is_window("resource2_wc"));
        assert!(!is_window("resource"));
        assert!(!is_window("resource_wc"));
        assert!(!is_window("resource0_resize"));
    }
}
