//! A short run under faults, with real processes: the long one is `loadtest chaos --minutes 3`.

use std::process::Command;

#[test]
fn nothing_is_lost_when_nodes_are_killed_paused_and_join() {
    let kept = tempfile::tempdir().expect("a folder");
    let run = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["chaos", "--minutes", "0.25", "--faults", "kill,pause", "--slots", "24", "--shards", "1"])
        .arg("--folder")
        .arg(kept.path())
        .output()
        .expect("starts");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{err}");
    assert!(out.contains("0 lost, 0 doubled, 0 forgotten\nlinearizable: yes"), "{out}\n{err}");
    for fault in ["kill -9", "pause", "join"] {
        assert!(out.contains(fault), "{fault}: {out}");
    }
}
