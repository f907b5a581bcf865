//! Owner and mode of pack files: judged by their bits for any user, set without following a link.

use hale_engine::registry::modes::{Change, File, Folder, Standing, User, Wrong, back, set};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

const SERVER: u32 = 998;
const DEPLOYER: u32 = 1000;
const STRANGER: u32 = 1001;
const TEAM: u32 = 500;

fn server() -> User {
    User { uid: SERVER, gid: SERVER, groups: vec![TEAM] }
}

fn root() -> User {
    User { uid: 0, gid: 0, groups: Vec::new() }
}

fn file(mode: u32, uid: u32, gid: u32) -> File {
    File { name: "a.md".to_owned(), standing: Standing { mode, uid, gid } }
}

/// What is wrong with one file, in a folder of the deployer.
fn wrong(file: &File, user: &User) -> Vec<Wrong> {
    let standing = Standing { mode: 0o755, uid: DEPLOYER, gid: DEPLOYER };
    let folder = Folder { path: "/nowhere".into(), standing, files: vec![file.clone()] };
    [Wrong::Unreadable, Wrong::Open]
        .into_iter()
        .filter(|wrong| folder.wrong(*wrong, user).next().is_some())
        .collect()
}

// covers: CX-61
#[test]
fn owner_and_mode_decide_for_every_user_also_for_root() {
    let cases: [(File, &[Wrong], &[Wrong]); 12] = [
        (file(0o644, SERVER, SERVER), &[], &[Wrong::Open]),
        (file(0o600, SERVER, SERVER), &[], &[Wrong::Unreadable, Wrong::Open]),
        (file(0o644, DEPLOYER, DEPLOYER), &[], &[]),
        (file(0o644, 0, 0), &[], &[]),
        (file(0o600, 0, 0), &[Wrong::Unreadable], &[]),
        (file(0o600, DEPLOYER, DEPLOYER), &[Wrong::Unreadable], &[Wrong::Unreadable]),
        (file(0o640, DEPLOYER, TEAM), &[], &[Wrong::Unreadable]),
        (file(0o000, SERVER, SERVER), &[Wrong::Unreadable], &[Wrong::Unreadable, Wrong::Open]),
        (file(0o664, DEPLOYER, DEPLOYER), &[], &[]),
        (file(0o664, DEPLOYER, TEAM), &[Wrong::Open], &[Wrong::Open]),
        (file(0o666, DEPLOYER, DEPLOYER), &[Wrong::Open], &[Wrong::Open]),
        (file(0o644, STRANGER, STRANGER), &[Wrong::Open], &[Wrong::Open]),
    ];
    for (file, for_server, for_root) in cases {
        assert_eq!(wrong(&file, &server()), for_server, "{} for the server's user", file.standing);
        assert_eq!(wrong(&file, &root()), for_root, "{} for root", file.standing);
    }
}

#[test]
fn a_user_mends_its_own_files_and_root_gives_a_strangers_to_the_folders_owner() {
    let standing = Standing { mode: 0o755, uid: DEPLOYER, gid: DEPLOYER };
    let folder = Folder { path: "/nowhere".into(), standing, files: Vec::new() };
    let shown = |file: &File, user: &User| folder.mended(file, user).map(|change| change.to_string());
    let (own, strange) = (file(0o000, SERVER, SERVER), file(0o600, STRANGER, STRANGER));
    assert_eq!(shown(&own, &server()).as_deref(), Some("a.md: mode 0000 -> 0644"));
    assert_eq!(shown(&strange, &server()), None, "only root may");
    let by_root = shown(&strange, &root());
    assert_eq!(by_root.as_deref(), Some("a.md: mode 0600 -> 0644, owner 1001:1001 -> 1000:1000"));
}

fn write(path: &Path, mode: u32) {
    std::fs::write(path, "x").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

// covers: CX-63
#[test]
fn only_files_of_the_folder_itself_are_touched_and_never_through_a_link() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inside = |name: &str| dir.path().join(name);
    write(&inside("own.md"), 0o000);
    write(&inside("notes.txt"), 0o000);
    let secret = out.path().join("secret.md");
    write(&secret, 0o000);
    symlink(&secret, inside("linked.md")).unwrap();
    std::fs::hard_link(&secret, inside("second-name.md")).unwrap();
    std::fs::create_dir(inside("folder.md")).unwrap();
    let folder = Folder::look(dir.path()).unwrap();
    let names: Vec<&str> = folder.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["own.md"]);
    let before = folder.files[0].standing;
    let change =
        |name: &str| Change { name: name.to_owned(), before, after: Standing { mode: 0o644, ..before } };
    for name in ["linked.md", "second-name.md", "folder.md", "../secret.md", "gone.md"] {
        assert!(set(dir.path(), &[change(name)]).is_err(), "{name}");
        assert_eq!(mode(&secret), 0o000, "{name}");
    }
    // All or none: what was set before the one that fails is taken back.
    assert!(set(dir.path(), &[change("own.md"), change("linked.md")]).is_err());
    assert_eq!(mode(&inside("own.md")), 0o000);
    set(dir.path(), &[change("own.md")]).unwrap();
    assert_eq!(mode(&inside("own.md")), 0o644);
    assert!(set(dir.path(), &[change("own.md")]).is_err(), "it is not as it was looked at");
    set(dir.path(), &[back(&change("own.md"))]).unwrap();
    assert_eq!((mode(&inside("own.md")), mode(&inside("notes.txt"))), (0o000, 0o000));
}
