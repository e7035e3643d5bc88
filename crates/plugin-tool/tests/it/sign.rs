//! Keys, signatures, and what breaks them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guests::Guest;
use crate::tool::{command, finish, run};

struct Signed {
    dir: tempfile::TempDir,
    file: PathBuf,
    public: PathBuf,
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A signed plugin, and the key that signed it.
fn signed() -> Signed {
    let dir = tempfile::tempdir().unwrap();
    let file = Guest::good().write(dir.path(), "toy.wasm");
    let key = dir.path().join("k.key");
    run(&["keygen", "--no-password", "--out", path(&key)]).ends(0);
    run(&["sign", path(&file), "--key", path(&key)]).ends(0);
    let public = dir.path().join("k.pub");
    Signed { dir, file, public }
}

#[test]
fn signature_is_verified_with_the_file_or_the_line_of_the_key() {
    let signed = signed();
    let mode = fs::metadata(signed.dir.path().join("k.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = fs::read_to_string(&signed.public).unwrap();
    let line = key.lines().nth(1).unwrap();
    for key in [path(&signed.public), line] {
        let report = run(&["verify", path(&signed.file), "--key", key, "--json"]).ends(0).json();
        assert_eq!(
            (report["name"].as_str(), report["version"].as_str()),
            (Some("toy"), Some("1.0.0"))
        );
        assert_eq!(report["key"].as_str(), Some(line));
        let comment = report["comment"].as_str().unwrap();
        assert!(comment.contains(report["digest"].as_str().unwrap()), "{comment}");
    }
}

#[test]
fn changed_file_and_strangers_key_do_not_count() {
    let signed = signed();
    let stranger = signed.dir.path().join("s.key");
    run(&["keygen", "--no-password", "--out", path(&stranger)]).ends(0);
    let stranger = stranger.with_extension("pub");
    let run_with = |key: &Path| run(&["verify", path(&signed.file), "--key", path(key)]);
    assert!(run_with(&stranger).ends(1).stderr.contains("none of the 1 trusted keys"));
    let mut bytes = fs::read(&signed.file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&signed.file, bytes).unwrap();
    assert!(run_with(&signed.public).ends(1).stderr.contains("was changed after it was signed"));
    fs::remove_file(signed.dir.path().join("toy.wasm.minisig")).unwrap();
    assert!(run_with(&signed.public).ends(1).stderr.contains("hint: `trainyard-plugin sign`"));
}

#[test]
fn protected_key_needs_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let file = Guest::good().write(dir.path(), "toy.wasm");
    let key = dir.path().join("k.key");
    let with_password = |args: &[&str], password: &str| {
        let mut command = command(args);
        command.env("TRAINYARD_KEY_PASSWORD", password);
        finish(command)
    };
    with_password(&["keygen", "--out", path(&key)], "right").ends(0);
    let sign = ["sign", path(&file), "--key", path(&key)];
    assert!(with_password(&sign, "wrong").ends(1).stderr.contains("Wrong password"));
    let mut without = command(&sign);
    without.stdin(std::process::Stdio::null());
    assert!(finish(without).ends(1).stderr.contains("hint: set TRAINYARD_KEY_PASSWORD"));
    with_password(&sign, "right").ends(0);
    let public = key.with_extension("pub");
    run(&["verify", path(&file), "--key", path(&public)]).ends(0);
}

#[test]
fn keys_are_neither_overwritten_nor_used_when_others_can_read_them() {
    let signed = signed();
    let key = signed.dir.path().join("k.key");
    let again = run(&["keygen", "--no-password", "--out", path(&key)]).ends(1);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let open = run(&["sign", path(&signed.file), "--key", path(&key)]).ends(1);
    assert!(open.stderr.contains("hint: chmod 600"), "{}", open.stderr);
}

#[test]
fn what_is_no_plugin_is_not_signed() {
    let signed = signed();
    let other = signed.dir.path().join("other.wasm");
    fs::write(&other, "x").unwrap();
    let key = signed.dir.path().join("k.key");
    run(&["sign", path(&other), "--key", path(&key)]).ends(1);
    assert!(!signed.dir.path().join("other.wasm.minisig").exists());
}

/// The other direction, and the proof that the format is the well-known one.
#[test]
fn minisign_itself_accepts_our_signature_and_we_accept_its() {
    let signed = signed();
    let verified = Command::new("minisign")
        .args(["-V", "-m", path(&signed.file), "-p", path(&signed.public)])
        .output();
    let Ok(verified) = verified else {
        eprintln!("SKIPPED: minisign is not installed, so only our own reading was tested");
        return;
    };
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("name=toy version=1.0.0"));
    let made = Command::new("minisign")
        .args(["-S", "-W", "-m", path(&signed.file), "-s", path(&signed.dir.path().join("k.key"))])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    run(&["verify", path(&signed.file), "--key", path(&signed.public)]).ends(0);
}
