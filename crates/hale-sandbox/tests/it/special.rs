//! Files that are no files, and files that may not be read.

use crate::place::{Place, RESOLVERS, refusal};
use rustix::fs::{CWD, FileType, Mode};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for any machine, short enough to say "it hangs".
const HANGS: Duration = Duration::from_secs(20);

#[test]
fn a_fifo_is_refused_and_never_waited_for() {
    let place = Place::new();
    rustix::fs::mknodat(CWD, place.inside("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (done, waited) = mpsc::channel();
    std::thread::spawn(move || {
        for resolver in RESOLVERS {
            for tool in ["files.read", "files.list", "files.search"] {
                let mut args = json!({"path": "fifo"});
                if tool == "files.search" {
                    args["pattern"] = json!(".");
                }
                assert_eq!(refusal(place.call_by(resolver, tool, args)), "E013 tool.refused");
            }
            let found = place.call_by(resolver, "files.search", json!({"pattern": "needle"})).unwrap();
            assert_eq!(found["returned"], 2, "{found}");
        }
        done.send(()).unwrap();
    });
    waited.recv_timeout(HANGS).expect("the tool should not wait for the FIFO's other end");
}

#[test]
fn sockets_and_devices_are_refused() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.inside("socket")).unwrap();
    let device = rustix::fs::mknodat(CWD, place.inside("zero"), FileType::CharacterDevice, Mode::RUSR, 0x105);
    for resolver in RESOLVERS {
        let socket = place.call_by(resolver, "files.read", json!({"path": "socket"})).unwrap_err();
        assert_eq!(
            (socket.cause.as_str(), socket.message.contains("socket")),
            ("tool.refused", true),
            "{socket}"
        );
        // Only root may make a device.
        if device.is_ok() {
            let device = place.call_by(resolver, "files.read", json!({"path": "zero"})).unwrap_err();
            assert_eq!(
                (device.cause.as_str(), device.message.contains("device")),
                ("tool.refused", true),
                "{device}"
            );
        }
    }
}

#[test]
fn kernel_windows_below_a_granted_root_are_refused() {
    use hale_sandbox::{Folder, call};
    let folder = [Folder::open(&"/:ro".parse().unwrap()).unwrap()];
    for path in ["/proc/self/environ", "/proc/self/mem", "/proc/self/root/etc/passwd", "/sys/kernel"] {
        let tool = "files.read";
        let error = call(tool, &json!({"path": path}), &folder, &crate::place::plenty()).unwrap_err();
        assert_eq!(error.failure(tool).cause, "tool.refused", "{path}: {error}");
    }
    assert!(call("files.read", &json!({"path": "/etc/passwd"}), &folder, &crate::place::plenty()).is_ok());
}

#[test]
fn a_file_that_may_not_be_read_is_an_io_error_that_no_retry_mends() {
    let place = Place::new();
    for path in ["a.txt", "sub/deep"] {
        fs::set_permissions(place.inside(path), fs::Permissions::from_mode(0o000)).unwrap();
    }
    // For root nothing is forbidden, so the thread reads as nobody.
    std::thread::spawn(move || {
        open_up(&place);
        as_nobody();
        for resolver in RESOLVERS {
            let failure = place.call_by(resolver, "files.read", json!({"path": "a.txt"})).unwrap_err();
            assert_eq!((failure.code.to_string().as_str(), failure.cause.as_str()), ("E006", "tool.io"));
            assert_eq!(failure.retry, hale_core::retry::RetryClass::Never);
            assert!(failure.chain[0].contains("ermission denied"), "{failure}");
            assert_eq!(
                refusal(place.call_by(resolver, "files.list", json!({"path": "sub/deep"}))),
                "E006 tool.io"
            );
            let found = place.call_by(resolver, "files.search", json!({"pattern": "needle"})).unwrap();
            assert_eq!((&found["returned"], &found["unreadable"]), (&json!(1), &json!(2)), "{found}");
            let listed = place.call_by(resolver, "files.list", json!({"depth": 3})).unwrap();
            assert_eq!(listed["folders_unreadable"], 1, "{listed}");
        }
    })
    .join()
    .unwrap();
}

/// Lets others reach the granted folder, which temporary folders forbid.
fn open_up(place: &Place) {
    for dir in [place.inside(".."), place.inside(""), place.inside("sub")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[expect(unsafe_code, reason = "changes whose files this one thread may open; no safe wrapper is at hand")]
fn as_nobody() {
    // SAFETY: two plain system calls on the calling thread, no memory involved.
    unsafe {
        libc::setfsgid(65534);
        libc::setfsuid(65534);
    }
}
