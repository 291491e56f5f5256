//! The page of `ocellus report`, as a browser shows it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use ocellus_setup::{Host, Need, Terminal, ensure};
use serde_json::Value;

use crate::onnx::{Onnx, weights};
use crate::workspace::Workspace;

/// A page after a browser without network has read it.
struct Shown {
    dom: String,
    console: String,
}

/// Loads a page in the browser; a screenshot of it goes beside.
fn show(w: &Workspace, page: &str) -> Shown {
    let host = Host::here().unwrap();
    ensure(&[Need::Browser], &host, &Terminal::new()).unwrap();
    let browser = host
        .find("chromium")
        .expect("the browser was just installed");
    let run = |what: &str| {
        let output = Command::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            // Every name resolves to nothing: a page that fetches shows an error.
            .args([
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--enable-logging=stderr",
                "--v=0",
            ])
            .arg(format!("--user-data-dir={}", w.path("browser").display()))
            .args(["--window-size=1240,3000", what])
            .arg(format!("file://{}", w.path(page).display()))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (dom, log) = run("--dump-dom");
    run(&format!("--screenshot={}", w.path("page.png").display()));
    let console = log.lines().filter(|line| line.contains("CONSOLE"));
    Shown {
        dom,
        console: console.collect::<Vec<_>>().join("\n"),
    }
}

/// Attributes of the elements of a name, from the serialized document.
fn elements<'d>(dom: &'d str, name: &str) -> Vec<HashMap<&'d str, &'d str>> {
    let begin = format!("<{name} ");
    let tags = dom
        .split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split('>').next());
    tags.map(|tag| {
        let mut attributes = HashMap::new();
        let mut rest = tag;
        while let Some((key, after)) = rest.split_once("=\"") {
            let Some((value, next)) = after.split_once('"') else {
                break;
            };
            attributes.insert(key.trim(), value);
            rest = next;
        }
        attributes
    })
    .collect()
}

/// The text between the first `from` and the next `to`.
fn between<'d>(dom: &'d str, from: &str, to: &str) -> &'d str {
    let rest = dom
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from}"))
        .1;
    rest.split_once(to)
        .unwrap_or_else(|| panic!("no {to} behind {from}"))
        .0
}

fn grouped(value: &Value) -> String {
    let digits = value.as_u64().unwrap().to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|g| std::str::from_utf8(g).unwrap())
        .collect();
    groups.join(",")
}

/// Names that a careless page would take for its own.
fn hostile() -> Vec<u8> {
    let (input, output) = ("<script>alert(1)</script>", "\"onload=\"x' & <b>");
    Onnx::new()
        .input(input, &[1, 3, 8, 8])
        .conv(input, "a", [3, 8], &weights(1, 8 * 3 * 9))
        .conv("a", output, [8, 4], &weights(2, 4 * 8 * 9))
        .with_output(output)
}

#[test]
fn a_browser_shows_every_section_with_the_figures_of_inspect() {
    let w = Workspace::converted();
    w.picture("data/a.ppm", 1);
    w.picture("data/b.ppm", 2);
    let report = w.json(&[
        "report",
        "model.oce",
        "--board",
        "host",
        "--against",
        "model.onnx",
        "--data",
        "data",
        "-o",
        "r.html",
    ]);
    let inspect = w.json(&["inspect", "model.oce", "--board", "host"]);
    let shown = show(&w, "r.html");
    assert_eq!(shown.console, "", "the browser complains");
    let dom = &shown.dom;

    for section in [
        "cost",
        "memory",
        "errors",
        "weights",
        "activations",
        "fits",
        "provenance",
    ] {
        let body = between(dom, &format!("<section id=\"{section}\">"), "</section>");
        assert!(
            body.contains("<h2>") && body.len() > 200,
            "{section}: {body}"
        );
    }
    // Without a measurement of accuracy there is no section on it.
    assert!(!dom.contains("id=\"accuracy\""));
    for field in ["macs", "model_bytes", "arena_bytes"] {
        assert_eq!(report["headline"][field], inspect[field]);
        let tile = between(
            dom,
            &format!("id=\"{}\"", field.replace('_', "-")),
            "<div class=\"tile\"",
        );
        assert!(tile.contains(&grouped(&inspect[field])), "{field}: {tile}");
    }
    let table = between(dom, "<table class=\"layers\">", "</table>");
    for layer in inspect["layers"].as_array().unwrap() {
        let name = layer["name"].as_str().unwrap();
        let row = table
            .split("<tr>")
            .find(|row| row.contains(name))
            .unwrap_or_else(|| panic!("no row for {name}"));
        for figure in [layer["kernel"].as_str().unwrap(), &grouped(&layer["macs"])] {
            assert!(row.contains(figure), "{figure}: {row}");
        }
    }
    // Every tensor of the arena is a box in the map, with its bytes.
    let map = between(dom, "<section id=\"memory\">", "</section>");
    for tensor in inspect["tensors"].as_array().unwrap() {
        let title = format!("{} (", tensor["name"].as_str().unwrap());
        let found = map
            .split("<title>")
            .find(|text| text.starts_with(&title))
            .unwrap_or_else(|| panic!("no box for {title}"));
        assert!(
            found.contains(&format!(
                "{} bytes at {}",
                grouped(&tensor["bytes"]),
                grouped(&tensor["offset"])
            )),
            "{found}"
        );
    }

    let charts = elements(dom, "svg");
    assert!(charts.len() >= 6, "{} charts", charts.len());
    for chart in &charts {
        let sizes: Vec<f64> = chart["viewBox"]
            .split(' ')
            .map(|size| size.parse().unwrap())
            .collect();
        assert!(sizes[2] > 100.0 && sizes[3] > 50.0, "{chart:?}");
    }
    let marks = elements(dom, "rect");
    let real = |mark: &&HashMap<&str, &str>| {
        ["x", "y", "width", "height"]
            .iter()
            .all(|key| mark[key].parse::<f64>().is_ok_and(f64::is_finite))
    };
    assert_eq!(
        marks.iter().filter(real).count(),
        marks.len(),
        "a mark without a place: {marks:?}"
    );
    assert!(marks.len() > 30, "{} marks", marks.len());
    let png = std::fs::read(w.path("page.png")).unwrap();
    assert!(
        png.len() > 20_000,
        "the picture of the page has {} bytes",
        png.len()
    );
}

/// No script, and nothing that a browser would fetch.
fn stands_alone(page: &str) {
    for word in [
        "<script", "src=", "href=", "url(", "@import", "http://", "https://", "<link", "<iframe",
    ] {
        assert!(!page.contains(word), "`{word}` is in the page");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_page_stands_alone_and_is_the_same_each_time() {
    let w = Workspace::converted();
    for page in ["a.html", "b.html"] {
        w.succeed(&["report", "model.oce", "-o", page]);
    }
    assert!(w.read("a.html") == w.read("b.html"));
    stands_alone(&String::from_utf8(w.read("a.html")).unwrap());
}

#[test]
fn names_out_of_files_are_text() {
    let w = Workspace::new();
    w.write("hostile.onnx", &hostile());
    w.convert("hostile.onnx", "hostile.oce");
    w.picture("p.ppm", 3);
    w.succeed(&[
        "report",
        "hostile.oce",
        "--against",
        "hostile.onnx",
        "--data",
        "p.ppm",
        "-o",
        "r.html",
    ]);
    stands_alone(&String::from_utf8(w.read("r.html")).unwrap());
    let shown = show(&w, "r.html");
    assert_eq!(shown.console, "");
    assert!(
        shown.dom.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "the name is shown"
    );
    assert!(
        !shown.dom.contains("onload=\"x"),
        "a name became an attribute"
    );
}

#[test]
fn what_cannot_be_reported_is_said() {
    let w = Workspace::converted();
    w.write("empty/readme.txt", b"no picture");
    w.refused(&["report", "model.oce", "-o", "r.pdf"], &["r.pdf", ".html"]);
    w.refused(
        &["report", "model.oce", "--data", "empty"],
        &["empty", "no pictures"],
    );
    w.refused(&["report", "none.oce"], &["none.oce"]);
    w.refused(
        &["report", "model.oce", "-o", "none/r.html"],
        &["none/r.html"],
    );
    assert!(!Path::new(&w.path("report.html")).exists());
}

/// Bytes of a part, out of all regions of a board.
fn part(regions: &Value, what: &str) -> (u64, String) {
    let found = regions.as_array().unwrap().iter().find_map(|region| {
        let part = region["parts"]
            .as_array()?
            .iter()
            .find(|part| part["what"] == what)?;
        Some((part["bytes"].as_u64()?, region["name"].as_str()?.to_owned()))
    });
    found.unwrap_or_else(|| panic!("no {what}: {regions}"))
}

#[test]
fn sizes_before_flashing_are_those_that_the_board_measures() {
    let w = Workspace::converted();
    for board in ["qemu-m4"] {
        let converted = w.json(&[
            "convert",
            "model.onnx",
            "-o",
            "board.oce",
            "--calibrate",
            "synthetic:7",
            "--board",
            board,
        ]);
        let inspect = w.json(&["inspect", "board.oce", "--board", board]);
        let report = w.json(&["report", "board.oce", "--board", board, "-o", "r.html"]);
        let bench = w.json(&["bench", "board.oce", "--board", board]);
        let flash = w.json(&["flash", "board.oce", "--board", board]);
        for regions in [
            &converted["regions"],
            &inspect["regions"],
            &report["board"]["regions"],
        ] {
            assert_eq!(part(regions, "code").0, bench["code_bytes"], "{board}");
            assert_eq!(part(regions, "model").0, bench["model_bytes"], "{board}");
            let arena = part(regions, "arena");
            assert_eq!(
                (arena.0.into(), arena.1.into()),
                (flash["arena_bytes"].clone(), flash["arena_region"].clone()),
                "{board}"
            );
            let variables = part(regions, "variables").0;
            let measured =
                [&bench["arena_bytes"], &bench["stack_bytes"]].map(|bytes| bytes.as_u64().unwrap());
            assert_eq!(
                variables + measured.iter().sum::<u64>(),
                bench["ram_bytes"],
                "{board}"
            );
            assert!(
                part(regions, "stack").0 >= measured[1],
                "{board}: the stack is a reserve"
            );
        }
        assert_eq!(
            report["headline"]["instructions"], bench["instructions"],
            "{board}"
        );
    }
}

#[test]
fn a_file_keeps_what_auto_tried_and_its_report_shows_it() {
    let w = Workspace::converted();
    let convert = w.json(&[
        "convert",
        "model.onnx",
        "--calibrate",
        "synthetic:1",
        "--quantize",
        "auto:3",
        "-o",
        "auto.oce",
    ]);
    let report = w.json(&["report", "auto.oce", "-o", "r.html"]);
    let rows = report["accuracy"].as_array().unwrap();
    let attempts = convert["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3);
    for attempt in attempts {
        let row = rows
            .iter()
            .find(|row| row["method"] == attempt["way"] && row["measure"] == "snr_db")
            .unwrap_or_else(|| panic!("{attempt} is not in {rows:?}"));
        assert_eq!(row["chosen"], attempt["taken"]);
        let (value, expected) = (row["value"].as_f64(), attempt["snr_db"].as_f64());
        assert!((value.unwrap() - expected.unwrap()).abs() <= 0.005);
    }
    let page = std::fs::read_to_string(w.path("r.html")).unwrap();
    let section = between(&page, "<section id=\"accuracy\">", "</section>");
    assert_eq!(section.matches("this file").count(), 1);
    for row in rows {
        let value = row["value"].as_f64().unwrap();
        let figure = match row["measure"].as_str() {
            Some("snr_db") => format!("{value:.2} dB"),
            _ => format!("{:.2} %", 100.0 * value),
        };
        assert!(section.contains(&figure), "{figure}: {section}");
    }
}
