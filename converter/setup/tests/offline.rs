//! Every way of getting something, with clients that are scripts in a folder of the test's own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ocellus_setup::{
    DeviceToolchain, Host, Need, Package, PackedFile, Progress, Quiet, SetupError, Source, Status,
    catalogue, device_toolchain, ensure,
};

/// SHA-256 of `hello\n`.
const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

static WHEEL: Package = Package {
    name: "thing",
    source: Source::Pypi {
        name: "thing",
        version: "1.0",
    },
    about_bytes: 6,
    files: &[PackedFile {
        path: "thing/data/hello.txt",
        sha256: HELLO,
    }],
};
static SDIST: Package = Package {
    name: "sdist",
    ..copy_of(&WHEEL)
};
static DEB: Package = Package {
    name: "deb",
    source: Source::Debian { name: "thing-data" },
    ..copy_of(&WHEEL)
};
static NPM: Package = Package {
    name: "npm",
    source: Source::Npm {
        name: "thing",
        version: "1.0",
    },
    ..copy_of(&WHEEL)
};
static CHANGED: Package = Package {
    name: "changed",
    files: &[PackedFile {
        path: "thing/data/hello.txt",
        sha256: "0000000000000000000000000000000000000000000000000000000000000000",
    }],
    ..copy_of(&WHEEL)
};
static ABSENT: Package = Package {
    name: "absent",
    files: &[PackedFile {
        path: "thing/none.txt",
        sha256: HELLO,
    }],
    ..copy_of(&NPM)
};

const fn copy_of(p: &Package) -> Package {
    Package {
        name: p.name,
        source: p.source,
        about_bytes: p.about_bytes,
        files: p.files,
    }
}

/// A source tree and a folder of programs, both the test's own.
struct Place {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// A program cannot be started while any process holds it open for writing, and a process that another test just
/// started does, for a moment: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().expect("a folder"),
            _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
        };
        fs::create_dir(place.bin()).expect("bin");
        for tool in [
            "sh", "cp", "cat", "mkdir", "touch", "tar", "gzip", "test", "rm", "echo", "env",
        ] {
            let from = ["/usr/bin", "/bin"]
                .map(|d| Path::new(d).join(tool))
                .into_iter()
                .find(|p| p.exists());
            std::os::unix::fs::symlink(from.expect("a basic tool"), place.bin().join(tool))
                .expect("linked");
        }
        let payload = place.dir.path().join("payload/thing/data");
        fs::create_dir_all(&payload).expect("payload");
        fs::write(payload.join("hello.txt"), "hello\n").expect("written");
        place
    }

    fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// Adds a program; in its text `$ROOT` is the test's folder, and each call is noted in `calls`.
    fn program(self, name: &str, text: &str) -> Self {
        self.script(&self.bin().join(name), name, text);
        self
    }

    fn script(&self, path: &Path, name: &str, text: &str) {
        let root = self.dir.path().display();
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(
            path,
            format!("#!/bin/sh\nROOT='{root}'\necho \"{name} $*\" >> \"$ROOT/calls\"\n{text}\n"),
        )
        .expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn host(&self, is_root: bool) -> Host {
        Host::with_path(self.dir.path(), OsString::from(self.bin()), is_root)
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A `python3` whose `pip download` runs `download`, and which is the real one for everything else.
fn python(download: &str) -> String {
    let real = ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|p| Path::new(p).exists());
    let real = real.map_or_else(
        || {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path)
                .map(|d| d.join("python3"))
                .find(|p| p.is_file());
            found
                .expect("python3 is a requirement of this project")
                .display()
                .to_string()
        },
        str::to_owned,
    );
    format!(
        r#"case "$*" in
"-m pip --version") echo "pip 23.0"; exit;;
"-m pip download"*) while [ $# -gt 1 ]; do [ "$1" = --dest ] && DEST=$2; shift; done
{download}
exit;; esac
exec {real} "$@""#
    )
}

fn wheel() -> String {
    python(
        r#"cd $ROOT/payload && exec "$ROOT/bin/python3" -m zipfile -c "$DEST/thing-1.0-py3-none-any.whl" thing"#,
    )
}

const TGZ: &str = r#"tar -czf "$DEST" -C "$ROOT/payload" thing"#;

const APT: &str = r#"case $1 in
download) [ -e "$ROOT/updated" ] || { echo "E: Unable to locate package $2" >&2; exit 100; }
  [ -e partial ] && touch "$ROOT/resumed"
  [ -e "$ROOT/cut" ] && { rm "$ROOT/cut"; touch partial; echo "E: connection lost" >&2; exit 100; }
  tar -cf thing_1_all.deb -C "$ROOT/payload" ./thing;;
update) touch "$ROOT/updated";;
install) shift 3; for p; do touch "$ROOT/installed-$p"; done;;
esac"#;
const DPKG_DEB: &str = r#"cat "$2""#;

#[test]
fn wheel_is_unpacked_checked_and_cached() {
    let place = Place::new().program("python3", &wheel());
    let host = place.host(true);
    let need = Need::Package(&WHEEL);
    assert!(matches!(need.check(&host), Status::Missing { how } if how.contains("PyPI thing 1.0")));
    ensure(std::slice::from_ref(&need), &host, &Quiet).expect("fetched");
    let path = WHEEL.path(&host, "hello.txt").expect("declared");
    assert_eq!(fs::read_to_string(path).expect("there"), "hello\n");
    let calls = place.calls().len();
    ensure(&[need], &host, &Quiet).expect("cached");
    assert_eq!(
        place.calls().len(),
        calls,
        "a cached file starts no program"
    );
}

#[test]
fn source_archive_works_like_a_wheel() {
    let place = Place::new().program(
        "python3",
        &python(&format!("DEST=$DEST/thing-1.0.tar.gz; {TGZ}")),
    );
    let host = place.host(true);
    SDIST.fetch(&host, &Quiet).expect("fetched");
    assert_eq!(SDIST.missing(&host), Vec::<&str>::new());
}

#[test]
fn npm_archive_works_like_a_wheel() {
    let place = Place::new().program("npm", &format!("DEST=$4/thing-1.0.tgz; {TGZ}"));
    let host = place.host(true);
    NPM.fetch(&host, &Quiet).expect("fetched");
    assert_eq!(NPM.missing(&host), Vec::<&str>::new());
    let e = ABSENT.fetch(&host, &Quiet).expect_err("not in it");
    assert!(e.to_string().contains("none.txt"), "{e}");
}

#[test]
fn changed_file_is_refused_and_moved_away() {
    let place = Place::new().program("python3", &wheel());
    let host = place.host(true);
    let e = CHANGED.fetch(&host, &Quiet).expect_err("another content");
    let SetupError::WrongHash {
        found, moved_to, ..
    } = &e
    else {
        panic!("{e}")
    };
    assert_eq!(found, HELLO);
    assert!(moved_to.is_file() && !CHANGED.path(&host, "hello.txt").expect("declared").exists());
    assert_eq!(CHANGED.missing(&host), ["hello.txt"]);
}

#[test]
fn damaged_cache_is_fetched_again() {
    let place = Place::new().program("python3", &wheel());
    let host = place.host(true);
    WHEEL.fetch(&host, &Quiet).expect("fetched");
    let path = WHEEL.path(&host, "hello.txt").expect("declared");
    fs::write(&path, "hell").expect("damaged");
    assert_eq!(WHEEL.missing(&host), ["hello.txt"]);
    WHEEL.fetch(&host, &Quiet).expect("fetched again");
    assert_eq!(fs::read_to_string(path).expect("there"), "hello\n");
}

#[test]
fn debian_package_needs_no_root_where_lists_are_present() {
    let place = Place::new()
        .program("apt-get", APT)
        .program("dpkg-deb", DPKG_DEB);
    fs::write(place.dir.path().join("updated"), "").expect("lists");
    let host = place.host(false);
    DEB.fetch(&host, &Quiet).expect("fetched");
    assert_eq!(DEB.missing(&host), Vec::<&str>::new());
    assert!(
        place
            .calls()
            .iter()
            .all(|c| !c.contains("install") && !c.contains("update")),
        "{:?}",
        place.calls()
    );
}

#[test]
fn list_of_packages_is_updated_when_it_lacks_the_package() {
    let place = Place::new()
        .program("apt-get", APT)
        .program("dpkg-deb", DPKG_DEB);
    let host = place.host(true);
    DEB.fetch(&host, &Quiet).expect("fetched");
    let apt: Vec<_> = place
        .calls()
        .into_iter()
        .filter(|c| c.starts_with("apt-get"))
        .collect();
    assert_eq!(
        apt,
        [
            "apt-get download thing-data",
            "apt-get update",
            "apt-get download thing-data"
        ]
    );
}

#[test]
fn interrupted_download_is_kept_and_resumed() {
    let place = Place::new()
        .program("apt-get", APT)
        .program("dpkg-deb", DPKG_DEB);
    for name in ["updated", "cut"] {
        fs::write(place.dir.path().join(name), "").expect("written");
    }
    // Without root the list cannot be updated, so the first failure stands.
    let host = place.host(false);
    let e = DEB.fetch(&host, &Quiet).expect_err("the line was cut");
    assert!(
        e.to_string().contains("connection lost") && e.to_string().contains("sudo"),
        "{e}"
    );
    assert_eq!(DEB.missing(&host), ["hello.txt"]);
    DEB.fetch(&host, &Quiet).expect("resumed");
    assert!(place.dir.path().join("resumed").exists());
}

#[test]
fn missing_apt_and_missing_root_are_named() {
    let place = Place::new();
    let need = Need::Emulator("qemu-system-arm".to_owned());
    let e = need.fix(&place.host(true), &Quiet).expect_err("no apt-get");
    assert!(
        matches!(&e, SetupError::NoApt { packages } if packages == &["qemu-system-arm"]),
        "{e}"
    );
    let place = place.program("apt-get", APT);
    let e = need.fix(&place.host(false), &Quiet).expect_err("no sudo");
    assert!(matches!(&e, SetupError::NoRoot { .. }), "{e}");
    assert!(
        e.to_string().contains("apt-get install qemu-system-arm"),
        "{e}"
    );
}

#[test]
fn emulator_is_installed_through_sudo() {
    let version = r#"cp "$ROOT/emulator" "$ROOT/bin/qemu-aarch64""#;
    let place = Place::new()
        .program(
            "apt-get",
            &format!("{APT}\n[ -e \"$ROOT/installed-qemu-user\" ] && {version}; exit 0"),
        )
        .program("sudo", "exec \"$@\"");
    place.script(
        &place.dir.path().join("emulator"),
        "qemu-aarch64",
        "echo qemu-aarch64 version 7.2.22 x",
    );
    let host = place.host(false);
    let need = Need::Emulator("qemu-aarch64".to_owned());
    assert!(!need.check(&host).is_present());
    need.fix(&host, &Quiet).expect("installed");
    assert_eq!(
        need.check(&host),
        Status::Present {
            what: "7.2.22".to_owned()
        }
    );
    assert!(
        place
            .calls()
            .iter()
            .any(|c| c == "apt-get install -y --no-install-recommends qemu-user")
    );
}

#[test]
fn what_installs_nothing_is_an_error() {
    let place = Place::new().program("apt-get", APT);
    let e = Need::Pip
        .fix(&place.host(true), &Quiet)
        .expect_err("the fake installs nothing");
    assert!(matches!(e, SetupError::StillMissing { .. }), "{e}");
}

#[test]
fn rustup_target_comes_first() {
    let place = Place::new()
        .program("cargo", "")
        .program("rustc", r#"echo "$ROOT/lib/$4""#)
        .program(
            "rustup",
            r#"mkdir -p "$ROOT/lib/$3" && touch "$ROOT/lib/$3/libcore-1.rlib""#,
        );
    let host = place.host(true);
    let triple = "thumbv7em-none-eabihf";
    assert_eq!(DeviceToolchain::find(&host, triple), None);
    let found = device_toolchain(&host, triple, &Quiet).expect("added");
    assert_eq!(
        (found.origin, found.args),
        ("rustup", vec!["--target".to_owned(), triple.to_owned()])
    );
    assert!(
        place
            .calls()
            .contains(&format!("rustup target add {triple}"))
    );
}

#[test]
fn debian_compiler_takes_over_where_rustup_cannot_fetch() {
    let install = r#"mkdir -p "$ROOT/usr/bin" "$ROOT/usr/lib/rustlib/src" "$ROOT/usr/lib/rustlib/aarch64-unknown-linux-gnu"
touch "$ROOT/usr/bin/cargo" "$ROOT/usr/bin/rustc" "$ROOT/bin/ld.lld" "$ROOT/bin/aarch64-linux-gnu-gcc""#;
    let place = Place::new()
        .program("rustup", "echo no route to host >&2; exit 1")
        .program("dpkg", "")
        .program(
            "apt-get",
            &format!("if [ $1 = install ]; then {install}; fi"),
        );
    let host = place.host(true);
    let bare = device_toolchain(&host, "thumbv8m.main-none-eabihf", &Quiet).expect("installed");
    assert_eq!(bare.origin, "Debian");
    assert!(
        bare.args.contains(&"-Zbuild-std=core,alloc".to_owned()),
        "{:?}",
        bare.args
    );
    assert!(
        bare.env
            .contains(&("RUSTC_BOOTSTRAP".to_owned(), "1".to_owned()))
    );
    let command = bare.command(
        &host,
        "build",
        &["-C".to_owned(), "target-cpu=cortex-m55".to_owned()],
    );
    let flags = command
        .get_envs()
        .find(|(k, _)| *k == "CARGO_ENCODED_RUSTFLAGS")
        .and_then(|(_, v)| v);
    let lld = host.find("ld.lld").expect("installed");
    let expected = format!(
        "-C\x1flinker={}\x1f-C\x1ftarget-cpu=cortex-m55",
        lld.display()
    );
    assert_eq!(flags.and_then(|f| f.to_str()), Some(expected.as_str()));
    let linux = device_toolchain(&host, "aarch64-unknown-linux-musl", &Quiet).expect("installed");
    assert_eq!(linux.triple, "aarch64-unknown-linux-gnu");
    assert!(
        linux
            .rustflags
            .contains(&"target-feature=+crt-static".to_owned())
    );
}

#[test]
fn failing_program_is_quoted() {
    struct Seen(Mutex<Vec<String>>);
    impl Progress for Seen {
        fn begin(&self, what: &str) {
            self.0.lock().expect("lock").push(what.to_owned());
        }
        fn line(&self, line: &str) {
            self.0.lock().expect("lock").push(line.to_owned());
        }
        fn bytes(&self, _: u64, _: Option<u64>) {}
        fn end(&self, succeeded: bool) {
            self.0
                .lock()
                .expect("lock")
                .push(format!("ended {succeeded}"));
        }
    }
    let place = Place::new().program(
        "python3",
        &python("echo 'No matching distribution' >&2; exit 1"),
    );
    let seen = Seen(Mutex::default());
    let e = WHEEL
        .fetch(&place.host(true), &seen)
        .expect_err("pip fails");
    assert!(
        e.to_string().contains("thing==1.0") && e.to_string().contains("No matching distribution"),
        "{e}"
    );
    let seen = seen.0.into_inner().expect("lock");
    assert_eq!(
        seen,
        [
            "fetching PyPI thing 1.0",
            "No matching distribution",
            "ended false"
        ]
    );
}

#[test]
fn catalogue_is_well_formed_and_calibration_leaves_the_tested_picture_out() {
    let mut names = HashSet::new();
    for package in catalogue::ALL {
        assert!(names.insert(package.name), "{} twice", package.name);
        let files: HashSet<_> = package.files.iter().map(PackedFile::name).collect();
        assert_eq!(
            files.len(),
            package.files.len(),
            "{}: names clash in the cache",
            package.name
        );
        let is_hash =
            |h: &str| h.len() == 64 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        assert!(
            package.files.iter().all(|f| is_hash(f.sha256)),
            "{}",
            package.name
        );
    }
    let tested: Vec<_> = catalogue::SOLVAY.files.iter().map(|f| f.sha256).collect();
    let calibration: Vec<_> = catalogue::CALIBRATION
        .iter()
        .flat_map(|p| p.files)
        .collect();
    assert!(calibration.len() >= 32);
    assert!(
        calibration
            .iter()
            .all(|f| !tested.contains(&f.sha256) && !f.path.contains("Solvay"))
    );
    for name in [catalogue::SOLVAY_PICTURE, catalogue::SOLVAY_LABELS] {
        assert!(catalogue::SOLVAY.files.iter().any(|f| f.name() == name));
    }
}

#[test]
fn doctor_lists_each_need_once() {
    let boards = ocellus_board_file::Board::all().expect("board files");
    let titles: Vec<_> = Need::all(&boards).iter().map(Need::title).collect();
    assert_eq!(
        titles.iter().collect::<HashSet<_>>().len(),
        titles.len(),
        "{titles:?}"
    );
    for wanted in [
        "Rust target thumbv8m.main-none-eabihf",
        "emulator qemu-system-arm",
        "emulator qemu-aarch64",
    ] {
        assert!(titles.iter().any(|t| t == wanted), "{titles:?}");
    }
}
