//! The plugin: what QEMU calls, and the state between its calls.
//!
//! At translation each block is cut at its markers into segments, which are interned by address and
//! content: QEMU throws translations away and makes them again, and the pointers that it holds must
//! stay good. At execution the hot path is [`on_segment`]. A bracket is counted on the virtual CPU
//! that opened it; others are ignored until it is closed.

mod api;

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use api::{Api, Block, Id, Info, InsnRef};

use crate::decode::{Marker, aarch64, thumb};
use crate::model::{Class, Insn};
use crate::recorder::{Recorder, Segment};
use crate::report::{Report, Target};

/// The version of the interface that this plugin speaks; QEMU reads it before it calls anything.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // QEMU looks for this very name.
pub(crate) static qemu_plugin_version: c_int = 1;

/// No virtual CPU has this number.
const NOBODY: u32 = u32::MAX;

static PLUGIN: OnceLock<Plugin> = OnceLock::new();
/// The virtual CPU whose bracket is open.
static OWNER: AtomicU32 = AtomicU32::new(NOBODY);
/// The segment that the owner executed last.
static LAST: AtomicPtr<Segment> = AtomicPtr::new(null_mut());
/// Every instruction executed, where `check=on`.
static CHECKED: AtomicU64 = AtomicU64::new(0);
static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

struct Plugin {
    api: Api,
    target: Target,
    out: PathBuf,
    check: bool,
    blocks: Mutex<Blocks>,
}

/// The pieces of each block, by its address and content.
type Blocks = HashMap<(u64, Vec<u8>), &'static [Piece]>;

/// A part of a block.
enum Piece {
    Run { first_insn: usize, segment: Segment },
    Mark { insn: usize, site: Site },
}

/// A marker in the code.
struct Site {
    address: u64,
    marker: Marker,
}

/// A lock that goes on after a panic elsewhere: the panic has ended the process by then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// QEMU's entry: reads the arguments, registers the callbacks. Not zero means: do not start.
///
/// # Safety
/// - `info` points to QEMU's description of itself.
/// - `argv` points to `argc` C strings.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: by contract `info` is QEMU's, and `Info` is its beginning in version 1.
    let info = unsafe { &*info.cast::<Info>() };
    let arguments = (0..usize::try_from(argc).unwrap_or(0)).map(|index| {
        // SAFETY: by contract there are `argc` C strings.
        unsafe { CStr::from_ptr(*argv.add(index)) }
            .to_string_lossy()
            .into_owned()
    });
    match Plugin::new(info, arguments) {
        Ok(plugin) => {
            let plugin = PLUGIN.get_or_init(|| plugin);
            plugin.api.register(id, on_translate, on_exit);
            0
        }
        Err(reason) => {
            eprintln!("ocellus-cycles: {reason}");
            1
        }
    }
}

impl Plugin {
    fn new(info: &Info, arguments: impl Iterator<Item = String>) -> Result<Plugin, String> {
        if !(info.version_min..=info.version_current).contains(&qemu_plugin_version) {
            return Err(format!(
                "this QEMU speaks plugin interface {} to {}, not {qemu_plugin_version}; use QEMU 7.2",
                info.version_min, info.version_current
            ));
        }
        // SAFETY: QEMU's description holds a C string.
        let target_name = unsafe { CStr::from_ptr(info.target_name) }.to_string_lossy();
        let (mut out, mut check, mut isa) = (None, false, None);
        for argument in arguments {
            match argument.split_once('=') {
                Some(("out", path)) if !path.is_empty() => out = Some(PathBuf::from(path)),
                Some(("check", "on")) => check = true,
                Some(("check", "off")) => check = false,
                Some(("isa", "thumb")) => isa = Some(Target::Thumb),
                Some(("isa", "aarch64")) => isa = Some(Target::Aarch64),
                _ => {
                    return Err(format!(
                        "unknown argument `{argument}`; known: out=PATH check=on|off isa=thumb|aarch64"
                    ));
                }
            }
        }
        let out = out.ok_or("where to? Give out=PATH")?;
        let target = match (isa, &*target_name, info.system_emulation) {
            (Some(isa), _, _) => isa,
            (None, "arm", true) => Target::Thumb,
            (None, "aarch64", _) => Target::Aarch64,
            (None, name, _) => {
                return Err(format!(
                    "no decoder for `{name}` here; run M-profile under qemu-system-arm, A64 under qemu-aarch64"
                ));
            }
        };
        // A report of an earlier run must not pass for this one's if this one is killed.
        if let Err(error) = std::fs::remove_file(&out)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("{}: {error}", out.display()));
        }
        let api = Api::find().map_err(|name| {
            format!(
                "{} is missing; this is no QEMU with plugins",
                name.to_string_lossy()
            )
        })?;
        Ok(Plugin {
            api,
            target,
            out,
            check,
            blocks: Mutex::default(),
        })
    }

    /// Decodes one instruction, or reads the marker that it is.
    fn decode(&self, bytes: &[u8]) -> Result<Insn, Marker> {
        let unknown = |size_bytes| Ok(Insn::new(Class::Other, 1).sized(size_bytes));
        let half = |at: usize| {
            bytes
                .get(at..at + 2)
                .map(|b| u16::from_le_bytes([b[0], b[1]]))
        };
        match (self.target, half(0), half(2)) {
            (Target::Thumb, Some(first), _) if !thumb::is_wide(first) => Ok(thumb::narrow(first)),
            (Target::Thumb, Some(first), Some(second)) => match thumb::marker(first, second) {
                Some(marker) => Err(marker),
                None => Ok(thumb::wide(first, second)),
            },
            (Target::Thumb, _, _) => unknown(2),
            (Target::Aarch64, Some(low), Some(high)) => {
                let word = u32::from(high) << 16 | u32::from(low);
                aarch64::marker(word).map_or_else(|| Ok(aarch64::decode(word)), Err)
            }
            (Target::Aarch64, _, _) => unknown(4),
        }
    }

    /// Cuts a block at its markers.
    fn cut(&self, insns: &[InsnRef<'_>]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut run: Vec<Insn> = Vec::new();
        let close = |run: &mut Vec<Insn>, pieces: &mut Vec<Piece>, end: usize| {
            if !run.is_empty() {
                let first_insn = end - run.len();
                pieces.push(Piece::Run {
                    first_insn,
                    segment: Segment::new(insns[first_insn].address(), run),
                });
                run.clear();
            }
        };
        for (index, insn) in insns.iter().enumerate() {
            match self.decode(insn.bytes()) {
                Ok(decoded) => run.push(decoded),
                Err(marker) => {
                    close(&mut run, &mut pieces, index);
                    pieces.push(Piece::Mark {
                        insn: index,
                        site: Site {
                            address: insn.address(),
                            marker,
                        },
                    });
                }
            }
        }
        close(&mut run, &mut pieces, insns.len());
        pieces
    }

    /// The pieces of a block, the same ones each time it is translated.
    fn pieces(&self, insns: &[InsnRef<'_>]) -> &'static [Piece] {
        let Some(first) = insns.first() else {
            return &[];
        };
        let content = insns
            .iter()
            .flat_map(|insn| insn.bytes().iter().copied())
            .collect();
        lock(&self.blocks)
            .entry((first.address(), content))
            .or_insert_with(|| Vec::leak(self.cut(insns)))
    }
}

extern "C" fn on_translate(_: Id, block: *mut Block) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: QEMU hands over a live block, and the instructions are dropped before this returns.
    let insns = unsafe { plugin.api.insns(block) };
    let pieces = plugin.pieces(&insns);
    for piece in pieces {
        match piece {
            Piece::Run {
                first_insn,
                segment,
            } => insns[*first_insn].on_execute(on_segment, segment),
            Piece::Mark { insn, site } => insns[*insn].on_execute(on_marker, site),
        }
    }
    if plugin.check {
        let is_marker = |index| {
            pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Mark { insn, .. } if *insn == index))
        };
        for (_, insn) in insns
            .iter()
            .enumerate()
            .filter(|(index, _)| !is_marker(*index))
        {
            insn.count_in(&CHECKED);
        }
    }
}

/// Tells the segment executed last where execution went.
fn arrive(address: u64, now: *mut Segment) {
    let last = LAST.load(Ordering::Relaxed);
    LAST.store(now, Ordering::Relaxed);
    // SAFETY: `LAST` is null or comes from `on_segment`, whose segments are never freed.
    if let Some(last) = unsafe { last.as_ref() } {
        last.continued_at(address);
    }
}

extern "C" fn on_segment(vcpu: c_uint, data: *mut c_void) {
    if OWNER.load(Ordering::Relaxed) != vcpu {
        return;
    }
    // SAFETY: `on_translate` registers this function with interned segments only, which are never freed.
    let segment: &'static Segment = unsafe { &*data.cast::<Segment>() };
    arrive(segment.start(), data.cast());
    if segment.execute() {
        lock(&RECORDER).get_or_insert_default().touch(segment);
    }
}

extern "C" fn on_marker(vcpu: c_uint, data: *mut c_void) {
    // SAFETY: `on_translate` registers this function with interned sites only, which are never freed.
    let site: &'static Site = unsafe { &*data.cast::<Site>() };
    let mut recorder = lock(&RECORDER);
    let recorder = recorder.get_or_insert_default();
    match OWNER.load(Ordering::Acquire) {
        owner if owner == vcpu => arrive(site.address, null_mut()),
        NOBODY => {}
        _ => {
            recorder.warn(format!(
                "CPU or thread {vcpu} passed a marker while another was being counted; ignored"
            ));
            return;
        }
    }
    recorder.mark(site.marker, CHECKED.load(Ordering::Relaxed));
    OWNER.store(
        if recorder.is_counting() { vcpu } else { NOBODY },
        Ordering::Release,
    );
}

extern "C" fn on_exit(_: Id, _: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    let report = lock(&RECORDER)
        .get_or_insert_default()
        .report(plugin.target, plugin.check);
    if let Err(error) = write(&report, &plugin.out) {
        eprintln!("ocellus-cycles: {}: {error}", plugin.out.display());
    }
}

/// Writes beside the target and renames, so that a reader never sees half a report.
fn write(report: &Report, path: &Path) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, serde_json::to_vec(report)?)?;
    std::fs::rename(&beside, path)
}
