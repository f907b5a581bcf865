//! Where keys come from and how they are kept.

use hale_gateway::secret::store::{Before, remove_secret, restore_secret, store_secret, stored_names};
use hale_gateway::secret::{Error, Secret, Source, resolve};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn found(env: &[(&str, &str)], dir: &Path) -> Result<Option<(String, Source)>, Error> {
    let read = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Ok(resolve("openai", &read, dir)?.map(|(secret, source)| (secret.reveal().to_owned(), source)))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_environment_wins_then_its_files_then_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = dir.path().join("mounted");
    fs::write(&mounted, "from-file\n").unwrap();
    fs::set_permissions(&mounted, fs::Permissions::from_mode(0o444)).unwrap();
    let secrets = dir.path().join("secrets");
    assert_eq!(found(&[], &secrets).unwrap(), None);
    store_secret(&secrets, "openai", &Secret::new("stored")).unwrap();
    let (file, generic) =
        (("OPENAI_API_KEY_FILE", mounted.to_str().unwrap()), ("HALE_SECRET_OPENAI", "generic"));
    let own = ("OPENAI_API_KEY", "own");
    assert_eq!(
        found(&[], &secrets).unwrap(),
        Some(("stored".into(), Source::Stored(secrets.join("openai"))))
    );
    assert_eq!(found(&[file], &secrets).unwrap().unwrap().0, "from-file");
    assert_eq!(found(&[file, generic], &secrets).unwrap().unwrap().0, "generic");
    assert_eq!(
        found(&[file, generic, own], &secrets).unwrap().unwrap().1,
        Source::Env("OPENAI_API_KEY".into())
    );
    assert_eq!(found(&[("OPENAI_API_KEY", "")], &secrets).unwrap().unwrap().0, "stored");
}

#[test]
fn a_stored_secret_is_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    store_secret(&secrets, "openai", &Secret::new("key-1")).unwrap();
    assert_eq!((mode(&secrets), mode(&secrets.join("openai"))), (0o700, 0o600));
    for open in [0o644, 0o640, 0o604] {
        fs::set_permissions(secrets.join("openai"), fs::Permissions::from_mode(open)).unwrap();
        let error = found(&[], &secrets).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_draft_that_a_crash_left_behind_does_not_open_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("openai.new"), "half").unwrap();
    store_secret(dir.path(), "openai", &Secret::new("key-1")).unwrap();
    assert_eq!(mode(&dir.path().join("openai")), 0o600);
    assert_eq!(stored_names(dir.path()).unwrap(), ["openai"]);
}

#[test]
fn a_change_can_be_undone() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, key) = (dir.path(), |dir: &Path| found(&[], dir).unwrap().map(|(key, _)| key));
    assert_eq!(store_secret(dir, "openai", &Secret::new("one")).unwrap(), Before::Absent);
    assert_eq!(store_secret(dir, "openai", &Secret::new("two")).unwrap(), Before::Kept);
    assert_eq!(restore_secret(dir, "openai").unwrap(), Before::Kept);
    assert_eq!(key(dir).as_deref(), Some("one"));
    assert_eq!(restore_secret(dir, "openai").unwrap(), Before::Absent);
    assert_eq!(key(dir).as_deref(), Some("one"));
    assert_eq!(remove_secret(dir, "openai").unwrap(), Before::Kept);
    assert_eq!((key(dir), remove_secret(dir, "openai").unwrap()), (None, Before::Absent));
    restore_secret(dir, "openai").unwrap();
    assert_eq!((key(dir).as_deref(), mode(&dir.join("openai"))), (Some("one"), 0o600));
}

#[test]
fn a_bad_name_or_content_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "../x", "a/b", "A", "a.prev", &"a".repeat(65)] {
        assert!(
            matches!(store_secret(dir.path(), name, &Secret::new("k")), Err(Error::Name { .. })),
            "{name}"
        );
    }
    for content in ["two words", "umläut", "a\nb"] {
        let error = found(&[("OPENAI_API_KEY", content)], dir.path()).unwrap_err();
        assert!(
            error.to_string().contains("OPENAI_API_KEY") && !error.to_string().contains(content),
            "{error}"
        );
    }
    fs::write(dir.path().join("long"), "x".repeat(70_000)).unwrap();
    let long = dir.path().join("long");
    assert!(found(&[("OPENAI_API_KEY_FILE", long.to_str().unwrap())], dir.path()).is_err());
    assert!(found(&[("OPENAI_API_KEY_FILE", "/nonexistent/key")], dir.path()).is_err());
}

// covers: TRAP-04
#[test]
fn a_secret_shows_its_fingerprint_only() {
    let secret = Secret::new("sk-proj-abcdef0123456789");
    assert_eq!(secret.fingerprint(), blake3::hash(b"sk-proj-abcdef0123456789").to_hex()[..8]);
    assert_eq!(format!("{secret:?}"), format!("Secret({})", secret.fingerprint()));
}
