//! The data of the invented machine.

use rustix::io::Errno;

pub(super) const DISK: &str = "devices/pci0000:00/0000:00:02.0";
const CONTROLLER: &str = "devices/pci0000:00/0000:00:02.0/tarn/tarn0";
const BLOCK: &str = "devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1";
const NIC: &str = "devices/pci0000:00/0000:00:05.0";
pub(super) const NET: &str = "devices/pci0000:00/0000:00:05.0/net/weir0";

/// Names and contents of attributes in one directory.
pub(super) type Texts = &'static [(&'static str, &'static str)];

/// The configuration space of the disk's controller: 256 bytes, most of them zero.
pub(super) fn config() -> [u8; 256] {
    let mut config = [0; 256];
    let header = [
        // vendor, device, command, status
        0x0d, 0xe0, 0x20, 0x01, 0x06, 0x04, 0x10, 0x00, //
        // revision, class (mass storage), cache line, latency, header type, self-test
        0x03, 0x02, 0x08, 0x01, 0x10, 0x00, 0x00, 0x00, //
        // the one window: 64 bits wide, at 0xfea00000
        0x04, 0x00, 0xa0, 0xfe,
    ];
    config[..header.len()].copy_from_slice(&header);
    config[0x3c] = 11;
    config[0x3d] = 1;
    config
}

pub(super) const TEXTS: &[(&str, u16, Texts)] = &[
    ("devices/pci0000:00", 0o644, &[("uevent", "")]),
    ("devices/pci0000:00/power", 0o644, &[("control", "auto\n")]),
    (DISK, 0o444, DISK_FIXED),
    (
        DISK,
        0o644,
        &[
            ("enable", "1\n"),
            ("msi_bus", "1\n"),
            ("numa_node", "-1\n"),
            ("uevent", "DRIVER=tarn\nPCI_ID=E00D:0120\nPCI_SLOT_NAME=0000:00:02.0\n"),
        ],
    ),
    ("devices/pci0000:00/0000:00:02.0/power", 0o444, POWER),
    ("devices/pci0000:00/0000:00:02.0/power", 0o644, &[("control", "on\n")]),
    (CONTROLLER, 0o444, CONTROLLER_FIXED),
    (CONTROLLER, 0o644, &[("uevent", "MAJOR=241\nMINOR=0\nDEVNAME=tarn0\n")]),
    (BLOCK, 0o444, BLOCK_FIXED),
    (BLOCK, 0o644, &[("uevent", "MAJOR=259\nMINOR=0\nDEVNAME=tarn0n1\nDEVTYPE=disk\nDISKSEQ=1\n")]),
    ("devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/queue", 0o644, QUEUE),
    ("devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/queue", 0o444, QUEUE_FIXED),
    (
        "devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p1",
        0o444,
        &[
            ("dev", "259:1\n"),
            ("inflight", "       0        0\n"),
            ("partition", "1\n"),
            ("ro", "0\n"),
            ("size", "1048576\n"),
            ("start", "2048\n"),
        ],
    ),
    (
        "devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p1",
        0o644,
        &[("uevent", "MAJOR=259\nMINOR=1\nDEVNAME=tarn0n1p1\nDEVTYPE=partition\nPARTN=1\n")],
    ),
    (
        "devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p2",
        0o444,
        &[
            ("dev", "259:2\n"),
            ("inflight", "       0        0\n"),
            ("partition", "2\n"),
            ("ro", "0\n"),
            ("size", "15726592\n"),
            ("start", "1050624\n"),
        ],
    ),
    (
        "devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p2",
        0o644,
        &[("uevent", "MAJOR=259\nMINOR=2\nDEVNAME=tarn0n1p2\nDEVTYPE=partition\nPARTN=2\n")],
    ),
    (NIC, 0o444, NIC_FIXED),
    (NIC, 0o644, &[("enable", "1\n"), ("uevent", "DRIVER=weir\nPCI_ID=E00D:0240\nPCI_SLOT_NAME=0000:00:05.0\n")]),
    (NET, 0o444, NET_FIXED),
    (
        NET,
        0o644,
        &[
            ("flags", "0x1003\n"),
            ("group", "0\n"),
            ("ifalias", ""),
            ("mtu", "1500\n"),
            ("tx_queue_len", "1000\n"),
            ("uevent", "INTERFACE=weir0\nIFINDEX=2\n"),
        ],
    ),
    ("devices/pci0000:00/0000:00:05.0/net/weir0/statistics", 0o444, STATISTICS),
    ("bus/pci", 0o644, &[("drivers_autoprobe", "1\n")]),
    ("kernel", 0o444, &[("uevent_seqnum", "417\n"), ("cpu_byteorder", "little\n")]),
];

const DISK_FIXED: Texts = &[
    ("ari_enabled", "0\n"),
    ("class", "0x010802\n"),
    ("device", "0x0120\n"),
    ("dma_mask_bits", "64\n"),
    ("irq", "11\n"),
    ("local_cpulist", "0-1\n"),
    ("modalias", "pci:v0000E00Dd00000120sv0000E00Dsd00000001bc01sc08i02\n"),
    ("resource", "0x00000000fea00000 0x00000000fea03fff 0x0000000000140204\n"),
    ("revision", "0x03\n"),
    ("subsystem_device", "0x0001\n"),
    ("subsystem_vendor", "0xe00d\n"),
    ("vendor", "0xe00d\n"),
];

const POWER: Texts =
    &[("runtime_active_time", "86400\n"), ("runtime_status", "active\n"), ("runtime_suspended_time", "0\n")];

const CONTROLLER_FIXED: Texts = &[
    ("address", "0000:00:02.0\n"),
    ("cntlid", "0\n"),
    ("dev", "241:0\n"),
    ("firmware_rev", "2.7.1\n"),
    ("model", "Tarn Solid 8G\n"),
    ("queue_count", "3\n"),
    ("serial", "TN-000042\n"),
    ("state", "live\n"),
    ("transport", "pcie\n"),
];

const BLOCK_FIXED: Texts = &[
    ("alignment_offset", "0\n"),
    ("capability", "0\n"),
    ("dev", "259:0\n"),
    ("diskseq", "1\n"),
    ("ext_range", "256\n"),
    ("hidden", "0\n"),
    ("inflight", "       0        0\n"),
    ("range", "0\n"),
    ("removable", "0\n"),
    ("ro", "0\n"),
    ("size", "16777216\n"),
    ("stat", "    1824      311   104958      602      977      820    31384     1406\n"),
];

const QUEUE: Texts = &[
    ("nr_requests", "255\n"),
    ("read_ahead_kb", "128\n"),
    ("rotational", "0\n"),
    ("scheduler", "[none] mq-deadline\n"),
];

const QUEUE_FIXED: Texts = &[
    ("hw_sector_size", "512\n"),
    ("logical_block_size", "512\n"),
    ("max_segments", "127\n"),
    ("physical_block_size", "4096\n"),
];

const NIC_FIXED: Texts = &[
    ("class", "0x020000\n"),
    ("device", "0x0240\n"),
    ("irq", "10\n"),
    ("modalias", "pci:v0000E00Dd00000240sv0000E00Dsd00000002bc02sc00i00\n"),
    ("resource", "0x00000000fea04000 0x00000000fea04fff 0x0000000000140204\n"),
    ("revision", "0x01\n"),
    ("vendor", "0xe00d\n"),
];

const NET_FIXED: Texts = &[
    ("addr_assign_type", "0\n"),
    ("addr_len", "6\n"),
    ("address", "02:e0:0d:00:00:05\n"),
    ("broadcast", "ff:ff:ff:ff:ff:ff\n"),
    ("carrier_changes", "2\n"),
    ("dev_id", "0x0\n"),
    ("ifindex", "2\n"),
    ("operstate", "down\n"),
    ("type", "1\n"),
];

const STATISTICS: Texts = &[
    ("collisions", "0\n"),
    ("rx_bytes", "915072\n"),
    ("rx_dropped", "0\n"),
    ("rx_errors", "0\n"),
    ("rx_packets", "7149\n"),
    ("tx_bytes", "482816\n"),
    ("tx_dropped", "3\n"),
    ("tx_errors", "0\n"),
    ("tx_packets", "3772\n"),
];

/// An interface that is down does not know its link; the others are as real drivers do it.
pub(super) const FAILING: &[(&str, &str, Errno)] = &[
    (NET, "carrier", Errno::INVAL),
    (NET, "duplex", Errno::INVAL),
    (NET, "speed", Errno::INVAL),
    (NET, "phys_port_id", Errno::OPNOTSUPP),
    (DISK, "label", Errno::IO),
];

pub(super) const WRITE_ONLY: &[(&str, &str)] = &[
    (DISK, "remove"),
    (NIC, "remove"),
    (CONTROLLER, "rescan_controller"),
    ("bus/pci", "rescan"),
    ("bus/pci/drivers/tarn", "bind"),
    ("bus/pci/drivers/tarn", "unbind"),
    ("bus/pci/drivers/weir", "bind"),
    ("bus/pci/drivers/weir", "unbind"),
];

pub(super) const LINKS: &[(&str, &str, &str)] = &[
    (DISK, "driver", "../../../bus/pci/drivers/tarn"),
    (DISK, "subsystem", "../../../bus/pci"),
    (CONTROLLER, "device", "../../../0000:00:02.0"),
    (CONTROLLER, "subsystem", "../../../../../class/tarn"),
    (BLOCK, "device", "../../tarn0"),
    (BLOCK, "subsystem", "../../../../../../class/block"),
    ("devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p1", "subsystem", "../../../../../../../class/block"),
    ("devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p2", "subsystem", "../../../../../../../class/block"),
    (NIC, "driver", "../../../bus/pci/drivers/weir"),
    (NIC, "subsystem", "../../../bus/pci"),
    (NET, "device", "../../../0000:00:05.0"),
    (NET, "subsystem", "../../../../../class/net"),
    ("bus/pci/devices", "0000:00:02.0", "../../../devices/pci0000:00/0000:00:02.0"),
    ("bus/pci/devices", "0000:00:05.0", "../../../devices/pci0000:00/0000:00:05.0"),
    ("bus/pci/drivers/tarn", "0000:00:02.0", "../../../../devices/pci0000:00/0000:00:02.0"),
    ("bus/pci/drivers/weir", "0000:00:05.0", "../../../../devices/pci0000:00/0000:00:05.0"),
    ("class/tarn", "tarn0", "../../devices/pci0000:00/0000:00:02.0/tarn/tarn0"),
    ("class/block", "tarn0n1", "../../devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1"),
    ("class/block", "tarn0n1p1", "../../devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p1"),
    ("class/block", "tarn0n1p2", "../../devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1/tarn0n1p2"),
    ("class/net", "weir0", "../../devices/pci0000:00/0000:00:05.0/net/weir0"),
    ("dev/block", "259:0", "../../devices/pci0000:00/0000:00:02.0/tarn/tarn0/tarn0n1"),
    ("dev/char", "241:0", "../../devices/pci0000:00/0000:00:02.0/tarn/tarn0"),
];
