//! What the seed scenarios say, one line each, by number of document and number within it.

/// One seed scenario: `S{document}-{number}` and what it asks for.
pub(crate) struct Seed {
    pub(crate) document: u16,
    pub(crate) number: u16,
    pub(crate) text: &'static str,
}

const fn seed(document: u16, number: u16, text: &'static str) -> Seed {
    Seed { document, number, text }
}

/// All of them, in order.
#[rustfmt::skip]
pub(crate) const SEEDS: [Seed; 58] = [
    // The lifetime problems of objects that outlive their drivers.
    seed(0, 1, "Hardware, model object and driver code live and die each on their own; the object neither lives longer because a program looks at it nor holds the code in place"),
    seed(0, 2, "An open attribute does not prolong the life of its object"),
    seed(0, 3, "When unregister returns, nothing above still refers to the object"),
    seed(0, 4, "A driver frees its resources straight after unregistering, and nothing touches them again"),
    seed(0, 5, "Registering and unregistering at once is the store's work; a driver holds no code about lifetimes"),
    seed(0, 6, "Refuse, drain and kill serve any source of requests, not attributes alone"),
    seed(0, 7, "Unregistering cuts the node off its object; later accesses fail rather than follow it"),
    seed(0, 8, "A callback that a module deferred is cancelled or waited for by its unloading, and never entered after"),
    seed(0, 9, "An attribute of one module on a device of another: both devices' modules unload under the open file, which then answers ENODEV and closes without running their code"),
    seed(0, 10, "The same for every mixture of owners: of the attribute, of its device, of an ancestor"),
    seed(0, 11, "Looking a handle up counts nothing on any module"),
    seed(0, 12, "Once a module has unregistered its things, nothing refers to it and it may go"),
    seed(0, 13, "After unregister, a check that nobody is inside the object or the module"),
    seed(0, 14, "Only an explicit pin keeps a module loaded, never an access"),
    seed(0, 15, "A store callback unregisters its own object without deadlock"),
    seed(0, 16, "Attributes go on anything registered; no object exists only to carry a count"),
    // The locks of the driver model.
    seed(1, 1, "Four lists are guarded: devices and drivers of a bus, children of a device, devices of a driver"),
    seed(1, 2, "Callbacks of one device exclude each other"),
    seed(1, 3, "Adding and removing a device happen under its parent's lock and its own"),
    seed(1, 4, "Moves on a bus list happen under the bus's lock and change the list's version"),
    seed(1, 5, "A new device is probed outside the bus's lock; if the drivers changed meanwhile, the walk starts over, and every driver gets its turn"),
    seed(1, 6, "The same for a new driver over the devices"),
    seed(1, 7, "A device that binds is linked to its driver under the bus's lock"),
    seed(1, 8, "Unregistering a driver against probing with it, and unregistering a device against being probed, both end well"),
    seed(1, 9, "Callbacks may add and remove devices"),
    seed(1, 10, "A parent is locked before its child, always, and a checker says so"),
    seed(1, 11, "A child can be added or removed by one who holds its parent already"),
    seed(1, 12, "Children and members can be walked while they change"),
    seed(1, 13, "Work handed to a queue, and waited for from inside the queue, does not wait for itself"),
    // Active references.
    seed(2, 1, "A device is unplugged under an open attribute; what the file does next fails cleanly"),
    seed(2, 2, "A node's life is apart from its object's"),
    seed(2, 3, "A reference is active during an operation only, never because a file is open"),
    seed(2, 4, "Taking an active reference never waits; refusal is ENODEV"),
    seed(2, 5, "It is refused only where the object is going or gone"),
    seed(2, 6, "Removal refuses newcomers, then waits for those inside"),
    seed(2, 7, "Nothing enters after removal has returned; the object may be freed"),
    seed(2, 8, "An access takes no module reference, and an attribute names no owner"),
    seed(2, 9, "Every operation that reaches the object goes through the same door"),
    seed(2, 10, "Entering is quick, and a slow callback shows as a slow removal"),
    // Objects that come again, and who frees them.
    seed(3, 1, "The same place is registered again and again; a holder of one incarnation never reaches the next"),
    seed(3, 2, "Removal, cleaning up and a new device of the same name race, and none sees another's"),
    seed(3, 3, "The release callback only tells; who made the object frees it"),
    seed(3, 4, "A removal that waits until all references are gone"),
    seed(3, 5, "A removal that does not wait, and a way to ask whether all is quiet"),
    seed(3, 6, "Marked dead first, released after, and every access looks at the mark"),
    seed(3, 7, "Unregistering takes an object off its bus, its driver and its directory before the last references go"),
    seed(3, 8, "References belong to reads and writes, not to open and close"),
    seed(3, 9, "One guard covers several objects, all of them or none"),
    seed(3, 10, "A bus stays reachable when a device on it goes"),
    seed(3, 11, "A payload is embedded or allocated apart, as its owner likes"),
    // Modules.
    seed(4, 1, "A module's count counts uses under way, not objects"),
    seed(4, 2, "A module with live objects may unload if its exit removes them"),
    seed(4, 3, "Exit removes attributes, then devices, then the controller, then resources"),
    seed(4, 4, "The last drop inside a removal runs the release at once"),
    seed(4, 5, "Exit returns after every release of that module has returned"),
    seed(4, 6, "Unloading can refuse, keep the release code elsewhere, or release all"),
    seed(4, 7, "An open attribute does not hold up the unloading of its module"),
    seed(4, 8, "Removing what is not there is a typed error and harms nothing"),
];
