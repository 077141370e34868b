//! A study in tasks, as engines run them: the bytes of `study`, whoever did which part of it, and no merge of what does not belong together.

#[path = "common/command.rs"]
mod command;
#[path = "common/trees.rs"]
mod trees;

use command::{command, refusal, stdout};
use std::path::Path;
use std::process::Stdio;
use trees::assert_same;

const SMALL: &str = "--ecgs 60 --epochs 2 --arch standardconv --targets t_v5,pr --method saliency,random --heatmap-ecgs 2 --perturb-ecgs 5 \
                     --iterations 20 --seed 3";
/// What work takes, so that no test depends on the machine: tasks of 20 ECGs, and of one chunk.
const BENCH: &str = r#"{"generation_ms": 3000, "joining_ms": 1, "forward_ms": 1, "training_ms": 1, "judging_ms": 3000, "memory_mb": 100}"#;

#[test]
fn tasks_make_the_study_byte_for_byte() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    std::fs::write(folder.join("bench.json"), BENCH).unwrap();
    stdout(folder, &format!("study {SMALL} -o whole --threads 1 --quiet"));
    let planned = stdout(folder, &format!("plan {SMALL} --task-minutes 1 --calibration bench.json -o plan"));
    assert!(planned.contains("data                   0-2") && planned.contains("8 tasks"), "{planned}");
    let table = std::fs::read_to_string(folder.join("plan/tasks.csv")).unwrap();
    assert!(table.contains("\n3,dataset,dataset,0-2,") && table.contains("\n4,train-pr,train,3-3,"), "{table}");
    assert_eq!(stdout(folder, "status plan --missing").trim(), "0-7");

    // Shares out of order, the last first: it does what it needs itself. One worker is killed on the way.
    stdout(folder, "run plan --shard 2/3 --threads 2 --quiet");
    let mut killed = command(folder, "run plan --shard 1/3 --quiet").stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(150));
    killed.kill().unwrap();
    killed.wait().unwrap();
    // Two at once, one as an array job; they share what is left.
    let other = command(folder, "run plan --quiet").spawn().unwrap();
    let own = command(folder, "run plan --quiet").env("SLURM_ARRAY_TASK_ID", "1").env("SLURM_ARRAY_TASK_COUNT", "3").output().unwrap();
    assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));
    assert!(other.wait_with_output().unwrap().status.success());
    assert!(stdout(folder, "status plan").contains("all is done"));
    assert_eq!(stdout(folder, "run plan --json").trim(), "[]", "what is done is not done again");
    assert_eq!(stdout(folder, "status plan --missing").trim(), "");
    stdout(folder, "merge plan -o merged --quiet");
    assert_same(&folder.join("whole"), &folder.join("merged"));
    assert!(stdout(folder, "verify merged --digests").contains("digests as recorded"));
    what_tasks_share_is_waited_for(folder);
    nothing_wrong_is_merged(folder);
}

/// Tasks of one target write one mark, which says whose judgements lie there: who comes while another writes it waits; a mark of other work is refused.
fn what_tasks_share_is_waited_for(folder: &Path) {
    let judged = folder.join("plan/judged/pr");
    let mark = std::fs::read(judged.join("digest")).unwrap();
    std::fs::remove_file(folder.join("plan/done/6.json")).unwrap();
    std::fs::remove_dir_all(&judged).unwrap();
    std::fs::create_dir_all(&judged).unwrap();
    let lock = cardiograd::atomic::OutputLock::beside(judged.join("digest")).unwrap();
    let worker = command(folder, "run plan --task 6").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    drop(lock);
    let worker = worker.wait_with_output().unwrap();
    assert!(worker.status.success(), "{}", String::from_utf8_lossy(&worker.stderr));
    assert_eq!(std::fs::read(judged.join("digest")).unwrap(), mark);
    let record = std::fs::read(folder.join("plan/done/6.json")).unwrap();
    std::fs::remove_file(folder.join("plan/done/6.json")).unwrap();
    std::fs::write(judged.join("digest"), "another's").unwrap();
    assert!(refusal(folder, "run plan --task 6", 1).contains("plan/judged/pr: it holds judgements of another network"));
    std::fs::write(judged.join("digest"), &mark).unwrap();
    std::fs::write(folder.join("plan/done/6.json"), record).unwrap();
}

/// Each fault is named by its task, and leaves no folder.
fn nothing_wrong_is_merged(folder: &Path) {
    let plan = folder.join("plan");
    let refused = |words: &[&str]| {
        let text = refusal(folder, "merge plan -o wrong", 1);
        assert!(words.iter().all(|word| text.contains(word)) && text.contains("nothing is merged"), "{text}");
        assert!(!folder.join("wrong").exists());
    };
    let with = |file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>, words: &[&str]| {
        let path = plan.join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let changed = change(bytes.clone());
        if !changed.is_empty() {
            std::fs::write(&path, changed).unwrap();
        }
        refused(words);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
    };
    let flipped = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let instead = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replacen(&from, &to, 1).into_bytes()
    };
    with("judged/pr/000000.npz", &flipped, &["task 6 (judge-pr-0-0)", "judged/pr/000000.npz have changed"]);
    with("models/t_v5.cgm", &flipped, &["task 5 (train-t_v5)", "have changed"]);
    with("data/20-39/rhythm.npy", &flipped, &["task 1 (data-20-39)"]);
    with("done/6.json", &|_| Vec::new(), &["task 6 (judge-pr-0-0) is not done"]);
    with("done/6.json", &instead("cardiograd 0", "cardiograd 99"), &["task 6", "done by cardiograd 99"]);
    let kernel = cardiograd::audit::digest::kernel();
    with("done/6.json", &instead(&kernel, "avx1024"), &["task 6", "kernel avx1024"]);
    let seventh = std::fs::read(plan.join("done/7.json")).unwrap();
    with("done/6.json", &|_| seventh.clone(), &["task 7", "twice"]);
    with("done/6.json", &instead("judged/pr/000000.npz", "../whole/results.json"), &["task 6", "outside"]);
    // A record from which a file was left out would let any bytes of that file pass.
    let without = |file: &'static str| {
        move |bytes: Vec<u8>| {
            let mut record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(record["outputs"].as_object_mut().unwrap().remove(file).is_some(), "{file}: {record}");
            serde_json::to_vec(&record).unwrap()
        }
    };
    for (record, file) in [
        ("done/1.json", "data/20-39/rhythm.npy"),
        ("done/3.json", "dataset/measurements.csv"),
        ("done/5.json", "models/t_v5.cgm"),
        ("done/6.json", "judged/pr/000000.npz"),
        ("done/6.json", "judged/pr/digest"),
    ] {
        with(record, &without(file), &["does not list", file]);
    }
}

/// Criteria of the challenge are tasks; what they found is what `challenge` finds, and is not asked again.
#[test]
#[cfg(unix)]
fn criteria_of_the_challenge_are_tasks_too() {
    use std::os::unix::fs::MetadataExt;
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    std::fs::write(folder.join("bench.json"), BENCH).unwrap();
    let small =
        "--ecgs 40 --epochs 1 --arch standardconv --targets t_v5 --method saliency,random --heatmap-ecgs 2 --perturb-ecgs 2 --iterations 5";
    let planned =
        stdout(folder, &format!("plan {small} --challenge likeness,localisation --task-minutes 60 --calibration bench.json -o plan"));
    assert!(planned.contains("challenge              4-5") && planned.contains("6 tasks"), "{planned}");
    stdout(folder, "run plan --quiet");
    stdout(folder, "merge plan -o out --quiet");
    let ask = "challenge out --criteria localisation,likeness --quiet";
    stdout(folder, &format!("{ask} -o asked"));
    stdout(folder, &format!("{ask} --tasks plan -o taken"));
    assert_same(&folder.join("asked"), &folder.join("taken"));
    let file = |of: &str| std::fs::metadata(folder.join(of).join("values/t_v5/likeness.json")).unwrap().ino();
    assert!(file("taken") == file("plan/challenge") && file("asked") != file("plan/challenge"));
    let without = format!("plan {small} --task-minutes 60 --calibration bench.json -o without --quiet");
    stdout(folder, &without);
    assert!(refusal(folder, &format!("{ask} --tasks without -o none"), 2).contains("--challenge LIST"));
    assert!(!folder.join("none").exists());
}

#[test]
fn what_fails_says_so_and_can_be_tried_again() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    std::fs::write(folder.join("bench.json"), BENCH).unwrap();
    let plan = format!("plan {SMALL} --task-minutes 1 --calibration bench.json");
    assert!(stdout(folder, &format!("{plan} -o plan --dry-run")).contains("8 tasks"));
    assert!(!folder.join("plan").exists());
    stdout(folder, &format!("{plan} -o plan --quiet"));
    stdout(folder, &format!("{plan} -o plan --quiet"));
    let other = plan.replace("--seed 3", "--seed 4");
    assert!(refusal(folder, &format!("{other} -o plan"), 2).contains("another plan"));
    // Something lies where a task's result belongs.
    std::fs::create_dir_all(folder.join("plan/data")).unwrap();
    std::fs::write(folder.join("plan/data/0-19"), "mine").unwrap();
    assert!(refusal(folder, "run plan --task 0", 1).contains("task 0 (data-0-19)"));
    assert_eq!(std::fs::read_to_string(folder.join("plan/data/0-19")).unwrap(), "mine");
    let status: serde_json::Value = serde_json::from_str(&stdout(folder, "status plan --json")).unwrap();
    assert_eq!((status["failed"][0]["task"].as_u64(), status["missing"].as_str()), (Some(0), Some("0-7")));
    std::fs::remove_file(folder.join("plan/data/0-19")).unwrap();
    assert!(stdout(folder, "run plan --task 0").contains("task 0 (data-0-19): done"));
    assert_eq!(stdout(folder, "status plan --missing").trim(), "1-7");
    assert!(refusal(folder, "run plan --task 8", 2).contains("0 to 7"));
    assert!(refusal(folder, "run bench.json", 1).contains("bench.json"));
    assert!(refusal(folder, "run .", 2).contains("holds no plan"));
    assert!(refusal(folder, "merge plan -o out", 1).contains("is not done"));
    assert!(!folder.join("out").exists());
    let bench: serde_json::Value = serde_json::from_str(&stdout(folder, &format!("bench {SMALL} --json"))).unwrap();
    assert!(["generation_ms", "forward_ms", "training_ms", "judging_ms"].iter().all(|name| bench[name].as_f64().unwrap() > 0.0), "{bench}");
    assert!(stdout(folder, &format!("study {SMALL} --dry-run -o nothing")).contains("on one machine like this"));
    assert!(!folder.join("nothing").exists());
}
