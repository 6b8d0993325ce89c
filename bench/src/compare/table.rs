//! The table: one line for each row.

use super::contenders::{
    ArcAttribute, ArcClone, ArcSwap, Attribute, ColumnJoin, ConcurrentSlotmap, Dashmap, Enodev, HecsJoin, IdrEbr,
    InSession, KernelAttribute, LockedBtreeArc, Papaya, PinEach, PinHeld, PlainAttribute, RangeActive, RangeSession,
    RawIndex, ShardedSlab, Slotmap, StoreEnter, StoreEnterDyn, Text, VmmBtreeWeak, WeakUpgrade,
};
use super::row::Row;
use super::{remove, unregister};

/// All rows, in the order in which they are shown.
pub const ROWS: &[Row] = &[
    Row::get::<RawIndex>("raw_index"),
    Row::get::<Slotmap>("slotmap"),
    Row::get::<Enodev>("enodev_active"),
    Row::get::<InSession>("enodev_session"),
    Row::get::<PinEach>("enodev_pin_each"),
    Row::get::<PinHeld>("enodev_pin_held"),
    Row::get::<IdrEbr>("idr_ebr"),
    Row::get::<ConcurrentSlotmap>("concurrent_slotmap"),
    Row::get::<ShardedSlab>("sharded_slab"),
    Row::get::<Papaya>("papaya"),
    Row::get::<Dashmap>("dashmap"),
    Row::get::<ArcSwap>("arc_swap"),
    Row::get::<WeakUpgrade>("weak_upgrade"),
    Row::get::<ArcClone>("arc_clone"),
    Row::get_by_address::<RangeActive>("enodev_range_active"),
    Row::get_by_address::<RangeSession>("enodev_range_session"),
    Row::get_by_address::<VmmBtreeWeak>("vmm_rwlock_btree_weak"),
    Row::get_by_address::<LockedBtreeArc>("vmm_mutex_btree_arc"),
    Row::get::<StoreEnter>("store_enter"),
    Row::get::<StoreEnterDyn>("store_enter_dyn"),
    Row::get_huge::<RawIndex>("raw_index_10m"),
    Row::get_huge::<Slotmap>("slotmap_10m"),
    Row::get_huge::<Enodev>("enodev_active_10m"),
    Row::get_huge::<PinHeld>("enodev_pin_held_10m"),
    Row::churn::<Enodev>("enodev_churn"),
    Row::churn::<IdrEbr>("idr_ebr_churn"),
    Row::churn::<ShardedSlab>("sharded_slab_churn"),
    Row::churn::<ConcurrentSlotmap>("concurrent_slotmap_churn"),
    Row::churn::<Dashmap>("dashmap_churn"),
    Row::churn_beside_reader::<Enodev>("enodev_churn_readers"),
    Row::removal("enodev_remove_batch", remove::enodev_batch),
    Row::removal("vmm_rwlock_btree_weak_remove", remove::bus),
    Row::read::<Attribute<Text>>("attr_read"),
    Row::load::<PlainAttribute>("attr_read_plain"),
    Row::read::<ArcAttribute>("attr_read_arc"),
    Row::read::<KernelAttribute>("kernel_pread"),
    Row::unregister("unregister_0_open", unregister::without_files),
    Row::unregister("unregister_10k_open", unregister::with_files),
    Row::join::<ColumnJoin>("column_join"),
    Row::join::<HecsJoin>("hecs_join"),
];
