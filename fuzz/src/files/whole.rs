//! Attributes shown by their handles, or read and written as a whole by their names.

use enodev::{AttrHandle, Errno, Error, KobjectHandle, Page};

use crate::files::call::{Called, Met};
use crate::files::defs::ATTRS;
use crate::files::io::{called, data, sort};
use crate::files::machine::Here;
use crate::files::op::{Action, Op};
use crate::opened::{Need, Sort, Way, need_text};

pub(crate) fn perform(here: Here<'_>, op: Op) {
    let (object, attr) = {
        let state = here.side.state();
        let object = state.object(op.a);
        (object, state.attr(op.c, object))
    };
    let way = if op.action == Action::WriteWhole { Way::Write } else { Way::Read };
    let by_handle = op.action == Action::ShowByHandle;
    let Some(met) = whole_met(here, op, object, attr, way) else { return };
    let data = here.side.state().model.attr(attr).map_or_else(|_| Vec::new(), |attr| data(attr, op));
    let path = here.side.state().model.attr(attr).map_or_else(|_| "gone".into(), |attr| ATTRS[attr].path());
    let got = match (by_handle, way) {
        (true, _) => {
            let mut page = Page::new();
            let shown = here.store.show(object, attr, &mut page);
            here.side.same(|| "a page after an error".into(), shown.is_ok() || page.is_empty(), true);
            shown.map(|()| page.as_bytes().to_vec()).map_err(Error::from)
        }
        (_, Way::Read) => here.store.read(object, &path),
        (_, Way::Write) => here.store.write(object, &path, &data).map(|()| Vec::new()),
    };
    let expected = match met {
        Err(error) => Err(error),
        Ok(met) => match called(here, &met, &data) {
            None => met.known().map(|(_, read)| read).map_err(Error::from),
            Some(Called::Read(read)) => read.map_err(Error::from),
            Some(Called::Written(count)) => count.map(|_| Vec::new()).map_err(Error::from),
        },
    };
    here.side.same(|| format!("{op:?}"), got, expected);
}

/// None where it is not to be tried.
fn whole_met(here: Here<'_>, op: Op, object: KobjectHandle, attr: AttrHandle, way: Way) -> Option<Result<Met, Error>> {
    let mut state = here.side.state();
    let by_handle = op.action == Action::ShowByHandle;
    let known = state.model.attr(attr);
    if !by_handle {
        // Binary ones would be called page by page.
        let attr = known.ok().filter(|attr| sort(*attr) == Sort::Text)?;
        let found = state.model.get(object).map(|object| (object, state.model.find(object, &ATTRS[attr].path())));
        let (object, found) = match found {
            Err(error) => return Some(Err(error)),
            Ok((_, None)) => return Some(Err(Error::NotFound)),
            Ok((object, Some(found))) => (object, found),
        };
        let bits = if way == Way::Read { 0o444 } else { 0o222 };
        let has = if way == Way::Read { ATTRS[found].has_read() } else { ATTRS[found].has_write() };
        if !has || state.model.shown(object, found).is_none_or(|mode| mode.bits() & bits == 0) {
            return Some(Err(Error::Errno(Errno::EACCES)));
        }
        let len = if way == Way::Read { 4096 } else { data(found, op).len() };
        let need = if way == Way::Read { Need::Code { offset: 0, len } } else { need_text(len) };
        return Some(Ok(state.enter(op, object, found, way, need)));
    }
    let (object, attr) = match state.model.enter(object, attr) {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    let may = sort(attr) == Sort::Text && ATTRS[attr].has_read();
    let need = if may { Need::Code { offset: 0, len: 4096 } } else { Need::Entered(Err(Errno::EIO)) };
    Some(Ok(state.enter(op, object, attr, Way::Read, need)))
}
