//! SQLite on a [`Platter`](super::platter::Platter): a VFS whose files are in memory and whose syncs are logged.
//!
//! It says of itself what the system's own VFS says on Linux (writes do not harm their neighbours in a sector), so that
//! SQLite takes the same path through its code as in production. One process, so locks are plain counters.

#![expect(
    unsafe_code,
    reason = "an SQLite VFS is a table of C functions; each one below says why it is sound"
)]

use super::platter::{self, Deed, FileId, Platter};
use rusqlite::ffi;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, OnceLock};

pub const NAME: &str = "platter";
const NAME_C: &CStr = c"platter";

/// Registers the VFS, once a process.
pub fn register() -> &'static str {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the default VFS exists for the whole process and is only read; ours is leaked, so it does too.
        unsafe {
            let system = ffi::sqlite3_vfs_find(std::ptr::null());
            let mut vfs = *system;
            vfs.iVersion = 2;
            vfs.szOsFile = size_of::<Handle>() as c_int;
            vfs.pNext = std::ptr::null_mut();
            vfs.zName = NAME_C.as_ptr();
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            vfs.xAccess = Some(access);
            vfs.xFullPathname = Some(full_pathname);
            ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0);
        }
    });
    NAME
}

/// What SQLite allocates for each open file; `base` must come first.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    file: *mut Open,
}

struct Open {
    platter: Arc<Platter>,
    id: FileId,
    path: Option<PathBuf>,
    shared: Arc<Mutex<Shared>>,
    /// The lock on the database that this handle holds.
    level: c_int,
    /// The locks on the shared memory that this handle holds: -1 exclusive, 1 shared.
    held: [i8; 8],
    mapped: bool,
    delete_on_close: bool,
    /// A new journal or WAL: its first sync makes its name durable, as the system's VFS does.
    sync_dir: bool,
}

/// What all handles of one file share.
#[derive(Default)]
struct Shared {
    readers: usize,
    reserved: bool,
    exclusive: bool,
    /// Readers of each shared-memory lock, -1 for its writer.
    locks: [i32; 8],
    regions: Vec<Box<[u64]>>,
    maps: usize,
}

fn shared(platter: &Arc<Platter>, id: FileId) -> Arc<Mutex<Shared>> {
    type Table = Mutex<HashMap<(usize, FileId), std::sync::Weak<Mutex<Shared>>>>;
    static TABLE: OnceLock<Table> = OnceLock::new();
    let mut table = TABLE.get_or_init(Mutex::default).lock().unwrap();
    table.retain(|_, entry| entry.strong_count() > 0);
    let key = (Arc::as_ptr(platter) as usize, id);
    if let Some(known) = table.get(&key).and_then(std::sync::Weak::upgrade) {
        return known;
    }
    let fresh = Arc::<Mutex<Shared>>::default();
    table.insert(key, Arc::downgrade(&fresh));
    fresh
}

unsafe fn path(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite passes a terminated string that outlives the call.
    Some(Path::new(unsafe { CStr::from_ptr(name) }.to_str().unwrap()).to_owned())
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes at `file`, which is a `Handle`; `name` is a string or null.
    let (handle, path) = unsafe { (&mut *file.cast::<Handle>(), path(name)) };
    handle.base.pMethods = std::ptr::null();
    let Some(platter) = path.as_deref().and_then(platter::at) else { return ffi::SQLITE_CANTOPEN };
    let mut state = platter.state();
    let known = path.as_ref().and_then(|path| state.names.get(path).copied());
    let (id, is_new) = match (known, &path) {
        (Some(id), _) => (id, false),
        (None, Some(_)) if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
        (None, Some(path)) => (state.create(path), true),
        (None, None) => (state.anonymous(), false),
    };
    drop(state);
    let is_log = flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL) != 0;
    let opened = Open {
        shared: shared(&platter, id),
        platter,
        id,
        path,
        level: 0,
        held: [0; 8],
        mapped: false,
        delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
        sync_dir: is_new && is_log,
    };
    handle.file = Box::into_raw(Box::new(opened));
    handle.base.pMethods = &raw const METHODS;
    if !out.is_null() {
        // SAFETY: not null, so SQLite wants the flags there.
        unsafe { *out = flags };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: `name` is a string.
    let Some(path) = (unsafe { path(name) }) else { return ffi::SQLITE_IOERR_DELETE };
    let Some(platter) = platter::at(&path) else { return ffi::SQLITE_IOERR_DELETE };
    let mut state = platter.state();
    if state.remove(&path).is_err() {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    }
    if sync_dir != 0 {
        let dir = path.parent().unwrap().to_owned();
        state.log.push(Deed::SyncDir { dir });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `name` is a string, `out` a place for the answer.
    unsafe {
        let there = path(name).is_some_and(|path| {
            platter::at(&path).is_some_and(|platter| platter.state().names.contains_key(&path))
        });
        *out = c_int::from(there);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `name` is a string, and `out` has room for `room` bytes; the tests give absolute paths.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

/// The open file behind a handle.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: SQLite calls the methods only between our `open` and `close`, and a connection's calls never overlap.
    unsafe { &mut *(*file.cast::<Handle>()).file }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the box was made by `open` and is not used after this.
    let mut open = unsafe { Box::from_raw((*file.cast::<Handle>()).file) };
    unlock_to(&mut open, ffi::SQLITE_LOCK_NONE);
    if open.mapped {
        unmap(&mut open);
    }
    if open.delete_on_close
        && let Some(path) = &open.path
    {
        let _ = open.platter.state().remove(path);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, n: c_int, at: i64) -> c_int {
    // SAFETY: `to` has room for `n` bytes.
    let (open, to) = unsafe { (opened(file), std::slice::from_raw_parts_mut(to.cast::<u8>(), n as usize)) };
    let state = open.platter.state();
    let content = &state.files[&open.id];
    let from = (at as usize).min(content.len());
    let there = &content[from..content.len().min(from + to.len())];
    to[..there.len()].copy_from_slice(there);
    if there.len() == to.len() {
        return ffi::SQLITE_OK;
    }
    // SQLite asks that the rest be zeros.
    to[there.len()..].fill(0);
    ffi::SQLITE_IOERR_SHORT_READ
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, n: c_int, at: i64) -> c_int {
    // SAFETY: `from` has `n` bytes.
    let (open, data) = unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), n as usize)) };
    match open.platter.state().write(open.id, at as usize, data) {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_FULL,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    open.platter.state().truncate(open.id, len as usize);
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = open.platter.state();
    if state.sync(open.id).is_err() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    if open.sync_dir {
        open.sync_dir = false;
        let dir = open.path.as_deref().and_then(Path::parent).unwrap().to_owned();
        state.log.push(Deed::SyncDir { dir });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: `out` is a place for the answer.
    unsafe {
        let open = opened(file);
        *out = open.platter.state().files[&open.id].len() as i64;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    if open.level >= level {
        return ffi::SQLITE_OK;
    }
    let mut shared = open.shared.lock().unwrap();
    match level {
        ffi::SQLITE_LOCK_SHARED if shared.exclusive => return ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCK_SHARED => shared.readers += 1,
        ffi::SQLITE_LOCK_RESERVED if shared.reserved => return ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCK_RESERVED => shared.reserved = true,
        _ if shared.readers > 1 || shared.exclusive => return ffi::SQLITE_BUSY,
        _ if open.level < ffi::SQLITE_LOCK_RESERVED && shared.reserved => return ffi::SQLITE_BUSY,
        _ => (shared.reserved, shared.exclusive) = (true, true),
    }
    drop(shared);
    open.level = level;
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `opened`.
    unlock_to(unsafe { opened(file) }, level);
    ffi::SQLITE_OK
}

fn unlock_to(open: &mut Open, level: c_int) {
    let mut shared = open.shared.lock().unwrap();
    if open.level >= ffi::SQLITE_LOCK_RESERVED && level < ffi::SQLITE_LOCK_RESERVED {
        shared.reserved = false;
    }
    if open.level == ffi::SQLITE_LOCK_EXCLUSIVE && level < ffi::SQLITE_LOCK_EXCLUSIVE {
        shared.exclusive = false;
    }
    if open.level >= ffi::SQLITE_LOCK_SHARED && level < ffi::SQLITE_LOCK_SHARED {
        shared.readers -= 1;
    }
    drop(shared);
    open.level = open.level.min(level);
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `out` is a place for the answer.
    unsafe { *out = c_int::from(opened(file).shared.lock().unwrap().reserved) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    512
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: `out` is a place for the answer. A region is never moved or freed while a handle has it mapped, and
    // SQLite itself orders the accesses of the connections.
    unsafe {
        let open = opened(file);
        let mut shared = open.shared.lock().unwrap();
        if !open.mapped {
            open.mapped = true;
            shared.maps += 1;
        }
        *out = std::ptr::null_mut();
        while shared.regions.len() <= region as usize {
            if extend == 0 {
                return ffi::SQLITE_OK;
            }
            shared.regions.push(vec![0u64; bytes as usize / 8].into_boxed_slice());
        }
        *out = shared.regions[region as usize].as_mut_ptr().cast();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, first: c_int, n: c_int, flags: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut shared = open.shared.lock().unwrap();
    let slots = first as usize..(first + n) as usize;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        for slot in slots {
            match open.held[slot] {
                -1 => shared.locks[slot] = 0,
                1 => shared.locks[slot] -= 1,
                _ => {}
            }
            open.held[slot] = 0;
        }
    } else if flags & ffi::SQLITE_SHM_EXCLUSIVE != 0 {
        if slots.clone().any(|slot| shared.locks[slot] != 0) {
            return ffi::SQLITE_BUSY;
        }
        for slot in slots {
            (shared.locks[slot], open.held[slot]) = (-1, -1);
        }
    } else {
        let slot = first as usize;
        if shared.locks[slot] < 0 {
            return ffi::SQLITE_BUSY;
        }
        if open.held[slot] == 0 {
            shared.locks[slot] += 1;
            open.held[slot] = 1;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    if open.mapped {
        unmap(open);
    }
    ffi::SQLITE_OK
}

fn unmap(open: &mut Open) {
    let mut shared = open.shared.lock().unwrap();
    shared.maps -= 1;
    if shared.maps == 0 {
        shared.regions.clear();
        shared.locks = [0; 8];
    }
    open.mapped = false;
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
