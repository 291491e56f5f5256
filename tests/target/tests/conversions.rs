//! A conversion gives the same bytes on every kind of processor.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocellus_setup::DeviceToolchain;
use ocellus_target_tests::Target;

/// Graphs that are converted; some are left out.
const GRAPHS: &str = "40";

const EXAMPLE: [&str; 5] = [
    "--release",
    "--package",
    "ocellus-compile",
    "--example",
    "conversions",
];

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn run(emulator: Option<(&Path, &[&str])>, program: &Path) -> String {
    let mut command = match emulator {
        Some((emulator, options)) => {
            let mut command = Command::new(emulator);
            command.args(options).arg(program);
            command
        }
        None => Command::new(program),
    };
    output(command.arg(GRAPHS))
}

/// The example for the PC itself.
fn on_this_pc(root: &Path) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    output(
        Command::new(cargo)
            .current_dir(root)
            .arg("build")
            .args(EXAMPLE),
    );
    // Where tests are built, examples are: `target/release/deps/conversions-…` is this program.
    let folder = env::current_exe().expect("a path");
    let release = folder.ancestors().nth(2).expect("target/release");
    assert_eq!(release.file_name(), Some(OsStr::new("release")));
    release.join("examples/conversions")
}

#[test]
fn a_conversion_is_the_same_without_vectors_and_on_arm() {
    let target = Target::named("qemu-a53");
    let host = &target.host;
    let program = on_this_pc(&host.root);
    let here = run(None, &program);
    assert!(here.lines().count() > 30, "{here}");

    if cfg!(target_arch = "x86_64") {
        let emulator = host.find("qemu-x86_64").expect("of the same package");
        let plain: &[&str] = &["-cpu", "qemu64"];
        assert_eq!(run(Some((&emulator, plain)), &program), here);
    }

    let triple = target.board.triple.as_deref().expect("a device");
    let toolchain = DeviceToolchain::find(host, triple).expect("installed by now");
    let folder = host.root.join("target/conversions");
    let mut build = toolchain.command(host, "build", &[]);
    output(build.args(EXAMPLE).arg("--target-dir").arg(&folder));
    let program = folder
        .join(&toolchain.triple)
        .join("release/examples/conversions");
    let emulator = host.find("qemu-aarch64").expect("installed by now");
    assert_eq!(run(Some((&emulator, &[])), &program), here);
}
