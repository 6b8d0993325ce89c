//! A driver whose devices are all attributes: a fan controller, as under `/sys/class/hwmon`.
//!
//! It shows the table of a type's attributes, a group that only some devices have, a value that the store keeps, a program that waits
//! for an alarm, and an attribute through which a fan removes itself.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use enodev::{Access, DeviceType, Errno, Event, Group, Result, Shared, Store, Type, choices, parse};

choices! {
    /// Who decides how fast a fan turns.
    enum Mode {
        Off = "off",
        Manual = "manual",
        Automatic = "automatic",
    }
}

/// One fan.
struct Fan {
    rpm: AtomicU32,
    rpm_min: AtomicU32,
    has_light: bool,
    light: AtomicU32,
}

impl Fan {
    fn new(has_light: bool) -> Self {
        let (rpm, rpm_min, light) = (AtomicU32::new(1200), AtomicU32::new(300), AtomicU32::new(0));
        Self { rpm, rpm_min, has_light, light }
    }
}

fn define(store: &Store) -> Result<Type<Shared<Fan>>> {
    let light = Group::<Shared<Fan>>::named("light")
        .rw(
            "brightness",
            |fan, page| page.int(fan.light.load(Relaxed)),
            |fan, text| {
                fan.light.store(parse::integer(text)?, Relaxed);
                Ok(())
            },
        )
        .is_shown(|fan| fan.has_light);
    store.define(
        DeviceType::shared::<Fan>("fan")
            .ro("input", |fan, page| page.int(fan.rpm.load(Relaxed)))
            .ro("alarm", |fan, page| page.int(u8::from(fan.rpm.load(Relaxed) < fan.rpm_min.load(Relaxed))))
            .rw(
                "min",
                |fan, page| page.int(fan.rpm_min.load(Relaxed)),
                |fan, text| {
                    fan.rpm_min.store(parse::integer(text)?, Relaxed);
                    Ok(())
                },
            )
            .plain("mode", Mode::Automatic)
            .wo("delete", |fan, text| {
                if !parse::boolean(text)? {
                    return Err(Errno::EINVAL);
                }
                fan.store().unregister_subtree(fan.object())?; // begun; done as this returns
                Ok(())
            })
            .group(light),
    )
}

fn main() -> Result {
    let store = Store::new()?;
    let fan_type = define(&store)?;
    let plain_fan = store.register(store.root(), "fan1", fan_type, Fan::new(false))?;
    let lit_fan = store.register(store.root(), "fan2", fan_type, Fan::new(true))?;
    assert!(store.attribute(plain_fan, "light/brightness").is_err());
    store.write(lit_fan, "light/brightness", b"0x20\n")?;
    println!("fan2: light at {}", String::from_utf8_lossy(&store.read(lit_fan, "light/brightness")?).trim_end());

    // What the store keeps can be read without entering the fan.
    let mode = store.plain::<Mode>(fan_type, "mode")?;
    store.write(lit_fan, "mode", b"manual\n")?;
    assert_eq!(mode.load(&store, lit_fan)?, Mode::Manual);

    // A program reads the alarm, then waits until it has to read it again.
    let mut alarm = store.open(lit_fan, "alarm", Access::READ)?;
    let mut buf = [0; 4];
    assert_eq!(alarm.sole().pread(&store, 0, &mut buf)?, 2);
    let has_read = Barrier::new(2);
    thread::scope(|scope| {
        let program = scope.spawn(|| {
            assert_eq!(alarm.wait(&store, None), Some(Event::Changed));
            let mut buf = [0; 4];
            let read = alarm.pread(&store, 0, &mut buf);
            has_read.wait();
            // Nothing but the end of the fan is left to wait for.
            assert_eq!(alarm.wait(&store, None), Some(Event::Gone));
            read.map(|count| String::from_utf8_lossy(&buf[..count]).into_owned())
        });
        store.enter::<Fan>(lit_fan)?.rpm.store(120, Relaxed);
        store.notify(lit_fan, alarm.attribute())?;
        has_read.wait();
        store.write(lit_fan, "delete", b"1\n")?;
        println!("fan2: gone, and nothing of it runs");
        let text = program.join().map_err(|_| Errno::EIO)??;
        println!("fan2: the alarm said {}", text.trim_end());
        Ok(())
    })
}
