//! What commands leave when they are killed, meet one another, or find no room: results that are whole or not there, nothing of ours that stays for
//! ever, nothing of anybody else's that goes. Of changed bytes under an unchanged name: that they are seen.
#![cfg(all(unix, feature = "cli"))]

use cardiograd::atomic::OutputLock;
use cardiograd::audit::provenance::Record;
use cardiograd::dataset::{Dataset, InputKind};
use cardiograd::files::npy;
use cardiograd::tape::{Builder, ConvLayer, Op};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A command whose results are looked at, and where they go. `again` is how it is continued after a kill.
struct Job {
    name: &'static str,
    line: &'static str,
    again: &'static str,
    out: &'static str,
    /// What a folder that exists already is refused with.
    folder: bool,
    recorded: bool,
}

const fn job(name: &'static str, line: &'static str, out: &'static str) -> Job {
    Job { name, line, again: "", out, folder: false, recorded: false }
}

/// Every command that writes.
const JOBS: [Job; 17] = [
    Job { folder: true, ..job("generate", "generate -n 20 --seed 3 -o out", "out") },
    Job { folder: true, ..job("import", "import ../asc -o out", "out") },
    Job {
        again: "--resume",
        recorded: true,
        ..job("train", "train ../data --target rate --input median --arch ../net.json --preset quick --epochs 3 -q -o m.cgm", "m.cgm")
    },
    Job { recorded: true, ..job("predict", "predict ../model.cgm -i ../x.npy -q -o y.npy", "y.npy") },
    Job { recorded: true, ..job("explain", "explain ../model.cgm -i ../x.npy -m saliency,random -q -o maps.npz", "maps.npz") },
    Job { folder: true, recorded: true, ..job("trace", "trace ../model.cgm -i ../x.npy -m saliency --node all -q -o out", "out") },
    Job {
        folder: true,
        recorded: true,
        ..job("perturb", "perturb ../model.cgm --data ../data -m saliency,random -n 5 --iterations 20 -q -o out", "out")
    },
    Job {
        folder: true,
        ..job(
            "challenge",
            "challenge ../model.cgm --data ../data -m saliency --criteria localisation,seeds -n 2 --few 1 --seeds 1 -q -o out",
            "out",
        )
    },
    Job { recorded: true, ..job("study", STUDY, "out") },
    job("measure", "measure ../asc -q -o m.csv --medians medians.npy", "m.csv"),
    Job { recorded: true, ..job("merge", "merge ../once/plan -q -o out", "out") },
    job("plan", PLAN, "out"),
    job("convert", "convert ../model.cgm model.pt -q", "model.pt"),
    job("convert a recording", "convert ../asc/0.asc ecg.hea -q", "ecg.hea"),
    job("export", "export ../model.cgm -m saliency -q -o map.onnx", "map.onnx"),
    job("render", "render --input ../x.npy -q -o ecg.svg", "ecg.svg"),
    job("survey", "survey make ../study --ecgs 2 --presentations 2 --raters 1 --seed 4 -q -o out", "out"),
];

const STUDY: &str = "study --ecgs 30 --epochs 1 --arch ../net.json --targets rate -m saliency,inputxgradient --heatmap-ecgs 2 --perturb-ecgs 2 \
                     --iterations 26 --seed 3 -q -o out";

const PLAN: &str = "plan --calibration ../bench.json --ecgs 30 --epochs 1 --arch ../net.json --targets rate -m saliency,inputxgradient \
                    --heatmap-ecgs 2 --perturb-ecgs 2 --iterations 26 --seed 3 -q -o out";

/// A folder with everything that the commands read.
static SITE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let site = tempfile::tempdir().unwrap();
    let folder = site.path();
    let mut build = Builder::new();
    let x = build.input("x", &[Some(12), None]);
    let y = build.conv1d("conv", x, ConvLayer { stride: 4, ..ConvLayer::same(12, 3, 5) });
    let y = build.relu("relu", y);
    let y = build.node("mean", Op::GlobalAvgPool, &[y]);
    let y = build.linear("fc", y, 3, 1, true);
    fs::write(folder.join("net.json"), serde_json::to_string(&build.finish(y).unwrap()).unwrap()).unwrap();
    done(folder, "generate -n 40 --seed 3 -q -o data");
    done(folder, "train data --target rate --input median --arch net.json --preset quick --epochs 1 -q -o model.cgm");
    let data = Dataset::open(folder.join("data")).unwrap();
    npy::write(folder.join("x.npy"), data.inputs(&[0, 1, 2, 3], InputKind::Median).unwrap().view()).unwrap();
    fs::create_dir(folder.join("asc")).unwrap();
    for ecg in 0..4 {
        let text = data.rhythm(ecg).unwrap().columns().into_iter().fold(String::new(), |mut text, column| {
            let line: Vec<String> = column.iter().map(i16::to_string).collect();
            writeln!(text, "{}", line.join(" ")).unwrap();
            text
        });
        fs::write(folder.join(format!("asc/{ecg}.asc")), text).unwrap();
    }
    fs::create_dir(folder.join("once")).unwrap();
    done(&folder.join("once"), STUDY);
    fs::rename(folder.join("once/out"), folder.join("study")).unwrap();
    // Times as `bench` measures them, so that every plan is the same. A plan keeps the folder that its paths go out from.
    let bench = r#"{"generation_ms":5,"joining_ms":0.1,"forward_ms":0.5,"training_ms":1,"judging_ms":50,"memory_mb":50}"#;
    fs::write(folder.join("bench.json"), bench).unwrap();
    done(&folder.join("once"), &PLAN.replace("-o out", "-o plan"));
    done(&folder.join("once"), "run plan -q");
    site
});

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cardiograd"));
    command.current_dir(folder).args(line.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn output(folder: &Path, line: &str) -> (Option<i32>, String) {
    told(command(folder, line).output().unwrap())
}

fn told(Output { status, stderr, .. }: Output) -> (Option<i32>, String) {
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn done(folder: &Path, line: &str) {
    let (code, text) = output(folder, line);
    assert_eq!(code, Some(0), "{line}: {text}");
}

/// The one line with which a command is refused.
fn refused(folder: &Path, line: &str, code: i32, says: &str) {
    let (found, text) = output(folder, line);
    assert!(found == Some(code) && text.contains(says) && text.trim_end().lines().count() == 1, "{line}: {found:?} {text}");
}

/// An empty folder of the site, for one test.
fn place(name: &str) -> PathBuf {
    let place = SITE.path().join(name);
    fs::create_dir(&place).unwrap();
    place
}

/// Every file below a folder, hidden ones among them, with its contents; folders with none.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(path) = left.pop() {
        let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            all.insert(name + "/", Vec::new());
        } else {
            all.insert(name, fs::read(&path).unwrap());
        }
    }
    all
}

fn assert_same(found: &Path, wanted: &BTreeMap<String, Vec<u8>>, what: &str) {
    let found = tree(found);
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{what}");
    let differ: Vec<&String> = found.iter().filter(|(name, bytes)| wanted[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{what}: these differ: {differ:?}");
}

fn clear(folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir(folder).unwrap();
}

/// A record that is there speaks of the result that is there.
fn assert_own_record(result: &Path, what: &str) {
    if let Some(record) = Record::find(result).unwrap() {
        assert_eq!(record.changed_outputs(result).unwrap(), [], "{what}: the record is not the result's");
    }
}

/// Numbers from a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// Ends a process after a while, by SIGKILL or SIGTERM; whether it was still running.
fn end(mut child: Child, after: Duration, signal: &str) -> bool {
    std::thread::sleep(after);
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap().success();
    let status = child.wait().unwrap();
    sent && status.signal().is_some()
}

/// Kills every command `rounds` times at random moments, one to three times in a row, and runs it to its end: the result must be that of a run
/// without a kill, with its record, and nothing else may be there. Half of the rounds have another result to replace.
fn kill_all(folder: &Path, rounds: u64, seed: u64) -> [u64; 2] {
    let mut draw = Draw(seed);
    let mut killed = [0; 2];
    for (number, job) in (0..).zip(&JOBS) {
        clear(folder);
        let started = Instant::now();
        done(folder, job.line);
        let (wanted, takes) = (tree(folder), started.elapsed().as_micros() as u64);
        for round in 0..rounds {
            let what = format!("{}, round {round} of seed {seed}", job.name);
            if job.folder || (round + number) % 2 == 0 {
                clear(folder);
            }
            let mut line = job.line.to_owned();
            for _ in 0..1 + draw.below(3) {
                let signal = ["-KILL", "-TERM"][draw.below(2) as usize];
                let child = command(folder, &line).spawn().unwrap();
                killed[usize::from(end(child, Duration::from_micros(draw.below(takes * 11 / 10)), signal))] += 1;
                assert_own_record(&folder.join(job.out), &what);
                line = format!("{} {}", job.line, job.again);
            }
            match output(folder, &line) {
                (Some(0), _) => {}
                (Some(2), text) if job.folder && text.contains("exists already") => {}
                other => panic!("{what}: {other:?}"),
            }
            assert_same(folder, &wanted, &what);
        }
        if job.recorded {
            done(folder, &format!("verify {} -q", job.out));
        }
    }
    killed
}

#[test]
fn a_killed_command_run_again_gives_what_it_would_have_given() {
    kill_all(&place("kills"), 1, 1);
}

/// `CARDIOGRAD_KILLS=50 cargo test --test durability -- --ignored --nocapture`: as many rounds for each command.
#[test]
#[ignore = "takes long: hundreds of kills"]
fn a_command_killed_hundreds_of_times() {
    let number = |name: &str, other: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(other);
    let (rounds, seed) = (number("CARDIOGRAD_KILLS", 20), number("CARDIOGRAD_SEED", 2));
    let [ended, killed] = kill_all(&place("many_kills"), rounds, seed);
    println!("{} commands, {rounds} rounds each: {killed} kills while at work, {ended} runs had ended before", JOBS.len());
}

/// A lock that another process holds keeps every command out, before it changes anything.
#[test]
fn an_output_in_work_is_refused() {
    let folder = place("locks");
    for job in &JOBS {
        let out = folder.join(job.out);
        let inside = ["study", "survey", "merge", "plan"].contains(&job.name);
        let held = if inside { OutputLock::inside(&out) } else { OutputLock::beside(&out) }.unwrap();
        let before = tree(&folder);
        refused(&folder, job.line, 2, "another run is writing");
        assert_eq!(tree(&folder), before, "{}", job.name);
        drop(held);
        assert_eq!(tree(&folder).len(), 1, "{}", job.name);
    }
    let held = OutputLock::beside(folder.join("c.json")).unwrap();
    refused(&folder, "audit ../model.cgm --data ../data -o c.json", 2, "another run is writing");
    drop(held);
    let held = OutputLock::beside(folder.join("ecg.dat")).unwrap();
    refused(&folder, "convert ../asc/0.asc ecg.hea -q", 2, "another run is writing");
    drop(held);
    let held = OutputLock::beside(folder.join("m.last.cgm")).unwrap();
    refused(&folder, JOBS[2].line, 2, "m.last.cgm");
    drop(held);
}

/// Two at once: one wins, the other says so, and the result is whole.
#[test]
fn two_writers_leave_one_whole_result() {
    let folder = place("pairs");
    for job in JOBS.iter().filter(|job| ["trace", "predict", "perturb"].contains(&job.name)) {
        clear(&folder);
        done(&folder, job.line);
        let wanted = tree(&folder);
        for pair in 0..3 {
            clear(&folder);
            let children = [0, 1].map(|_| command(&folder, job.line).spawn().unwrap());
            let found = children.map(|child| told(child.wait_with_output().unwrap()));
            let won = found.iter().filter(|(code, _)| *code == Some(0)).count();
            let lost =
                found.iter().filter(|(code, text)| *code == Some(2) && (text.contains("another run") || text.contains("exists already")));
            // A file may be written twice, one after the other.
            assert!(won + lost.count() == 2 && (won == 1 || won == 2 && !job.folder), "{} pair {pair}: {found:?}", job.name);
            assert_same(&folder, &wanted, job.name);
        }
    }
}

#[test]
fn a_second_study_on_a_folder_stops_before_it_changes_anything() {
    let folder = place("studies");
    let mut first = command(&folder, &STUDY.replace("--iterations 26", "--iterations 400")).spawn().unwrap();
    while !folder.join("out/study.json").exists() {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    let mark = fs::read(folder.join("out/study.json")).unwrap();
    refused(&folder, STUDY, 2, "another run is writing out");
    assert_eq!(fs::read(folder.join("out/study.json")).unwrap(), mark);
    assert!(first.wait().unwrap().success());
    // One after the other: what is refused leaves every byte, and the times.
    let times = |folder: &Path| -> BTreeMap<String, _> {
        tree(folder)
            .into_keys()
            .filter(|name| !name.ends_with('/'))
            .map(|name| (name.clone(), fs::metadata(folder.join(&name)).unwrap().modified().unwrap()))
            .collect()
    };
    let (before, made) = (tree(&folder), times(&folder));
    refused(&folder, &STUDY.replace("--ecgs 30", "--ecgs 31"), 2, "other settings");
    refused(&folder, &STUDY.replace("--seed 3", "--seed 4"), 2, "other settings");
    refused(&folder, &STUDY.replace("--iterations 26", "--iterations 7201"), 2, "7200");
    refused(&folder, &STUDY.replace("--targets rate", "--targets speed"), 2, "speed");
    assert_same(&folder, &before, "a refused study");
    assert_eq!(times(&folder), made);
    // Other settings that fit take the study over, and leave no record that is not theirs.
    done(&folder, &STUDY.replace("--perturb-ecgs 2", "--perturb-ecgs 3"));
    done(&folder, "verify out -q --digests");
}

/// What has the name that our work once had, or may have, is a user's.
#[test]
fn nothing_is_removed_that_is_not_ours() {
    let folder = place("others");
    for job in JOBS.iter().filter(|job| job.folder) {
        clear(&folder);
        for name in ["out.partial", ".out.partial", "out.tmp", ".out.cardiograd-partial.mine"] {
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("thesis.txt"), "years").unwrap();
        }
        let before = tree(&folder);
        done(&folder, job.line);
        fs::remove_dir_all(folder.join("out")).unwrap();
        assert_same(&folder, &before, job.name);
        fs::create_dir(folder.join(".out.cardiograd-partial")).unwrap();
        fs::write(folder.join(".out.cardiograd-partial/thesis.txt"), "years").unwrap();
        let before = tree(&folder);
        refused(&folder, job.line, 2, "not this program's");
        assert_same(&folder, &before, job.name);
    }
    // The unfinished work of an earlier version is named, and left.
    clear(&folder);
    fs::create_dir(folder.join("out.partial")).unwrap();
    fs::write(folder.join("out.partial/.lock"), "").unwrap();
    let (code, text) = output(&folder, JOBS[0].line);
    assert!(code == Some(0) && text.lines().count() == 1 && text.contains("earlier version"), "{text}");
    assert!(folder.join("out.partial/.lock").exists());
    // A study takes no folder of other things, and one that a kill left at its first write.
    clear(&folder);
    fs::create_dir(folder.join("out")).unwrap();
    fs::write(folder.join("out/thesis.txt"), "years").unwrap();
    refused(&folder, STUDY, 2, "something other than a study");
    fs::remove_file(folder.join("out/thesis.txt")).unwrap();
    // Nor does a plan: a table of that name is whoever's it was.
    fs::write(folder.join("out/tasks.csv"), "mine").unwrap();
    refused(&folder, PLAN, 2, "something other than a plan");
    assert_eq!(fs::read(folder.join("out/tasks.csv")).unwrap(), b"mine");
    fs::remove_file(folder.join("out/tasks.csv")).unwrap();
    fs::write(folder.join("out/.cardiograd-lock"), "").unwrap();
    fs::write(folder.join("out/.study.json.cardiograd-tmp-999999-0"), "{").unwrap();
    done(&folder, STUDY);
    assert_same(&folder.join("out"), &tree(&SITE.path().join("study")), "a study killed at its first write");
}

/// No room: files may not grow beyond a size, as on a full disk. What is left is whole, and the same command goes on.
#[test]
fn a_full_disk_is_one_line_and_costs_nothing() {
    let folder = place("full");
    for (number, job) in JOBS.iter().enumerate() {
        clear(&folder);
        done(&folder, job.line);
        let wanted = tree(&folder);
        let largest = wanted.values().map(Vec::len).max().unwrap() / 1024;
        // Half of the largest file fits, or nothing at all.
        let blocks = [largest / 2, 0][number % 2];
        clear(&folder);
        // Without the signal that goes with it, writing beyond the limit fails as on a full disk does.
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(limited).arg(env!("CARGO_BIN_EXE_cardiograd")).args(job.line.split_whitespace());
        let (code, text) = told(shell.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap());
        assert!(code == Some(1) && text.trim_end().lines().count() == 1, "{} in {blocks} blocks: {code:?} {text}", job.name);
        assert_own_record(&folder.join(job.out), job.name);
        let again = if blocks > 0 { job.again } else { "" };
        done(&folder, &format!("{} {again}", job.line));
        assert_same(&folder, &wanted, job.name);
    }
}

/// Where nothing may be written nothing is, and the line says where.
#[test]
fn a_read_only_folder_is_one_line() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = place("read_only");
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(SITE.path(), 0o755);
    mode(&folder, 0o555);
    let root = fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
    for job in &JOBS {
        let mut command = command(&folder, job.line);
        if root {
            // Root may write everywhere.
            command.uid(65_534).gid(65_534);
        }
        let (code, text) = told(command.output().unwrap());
        let wanted = code == Some(1) && text.trim_end().lines().count() == 1 && text.contains("ermission denied") && text.contains(job.out);
        assert!(wanted, "{}: {code:?} {text}", job.name);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
    mode(&folder, 0o755);
}

/// Identity is the bytes: tables and arrays edited under an unchanged manifest are seen by all whose results carry the dataset's digest.
#[test]
fn changed_data_is_refused_by_name() {
    let folder = place("changed");
    fs::create_dir(folder.join("data")).unwrap();
    for entry in fs::read_dir(SITE.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join("data").join(entry.file_name())).unwrap();
    }
    let study = STUDY.replace("--ecgs 30", "--data data");
    done(&folder, &study);
    let own = STUDY.replace("-o out", "-o own");
    done(&folder, &own);
    let before = tree(&folder.join("out"));
    let train = "train data --target rate --arch ../net.json --preset quick --epochs 1 -q -o m.cgm --input";
    let perturb = "perturb ../model.cgm --data data -m random -n 2 --iterations 20 -q -o curves";
    let challenge = "challenge ../model.cgm --data data -m saliency --criteria localisation -n 2 -q -o challenged";
    let explain = "explain ../model.cgm -i ../x.npy -m deeplift --baseline data -q -o maps.npz";
    let (median, rhythm) = (format!("{train} median"), format!("{train} rhythm"));
    let all = [study.as_str(), &median, perturb, challenge, explain, "evaluate ../model.cgm --data data"];
    // One figure of one ECG; one sample of one.
    for (file, lines) in [("measurements.csv", &all[..]), ("median.npy", &all), ("rhythm.npy", &[rhythm.as_str()])] {
        let path = folder.join("data").join(file);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        let at = if file.ends_with("csv") { good.iter().rposition(|byte| *byte == b'4').unwrap() } else { good.len() - 1 };
        bytes[at] = if file.ends_with("csv") { b'5' } else { bytes[at] ^ 1 };
        fs::write(&path, bytes).unwrap();
        for line in lines {
            refused(&folder, line, 1, &format!("data/{file}: changed since the dataset was made"));
        }
        fs::write(&path, good).unwrap();
    }
    assert_same(&folder.join("out"), &before, "a study whose data changed");
    let names: Vec<String> = tree(&folder).into_keys().filter(|name| !name.contains('/')).collect();
    assert!(names.is_empty(), "{names:?}");
    // A study's own dataset and its own arrays: the one is refused, the others are made again.
    let (table, map) = (folder.join("own/dataset/measurements.csv"), folder.join("own/heatmaps/rate/saliency.npy"));
    let (before, good) = (tree(&folder.join("own")), fs::read(&table).unwrap());
    fs::write(&table, String::from_utf8(good.clone()).unwrap().replacen(",ok", ",no", 1)).unwrap();
    refused(&folder, &own, 1, "measurements.csv: changed");
    fs::write(&table, good).unwrap();
    let mut bytes = fs::read(&map).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&map, bytes).unwrap();
    done(&folder, &own);
    assert_same(&folder.join("own"), &before, "a study with a changed heatmap");
}

/// An import that goes on looks at what it has taken.
#[test]
fn an_import_goes_on_with_the_same_bytes_only() {
    let folder = place("import");
    fs::create_dir(folder.join("asc")).unwrap();
    let of = |ecg: usize| fs::read(SITE.path().join(format!("asc/{ecg}.asc"))).unwrap();
    (0..3).for_each(|ecg| fs::write(folder.join(format!("asc/{ecg}.asc")), of(ecg)).unwrap());
    // A file that cannot be opened stops an import, which is then gone on with.
    std::os::unix::fs::symlink("absent", folder.join("asc/3.asc")).unwrap();
    refused(&folder, "import asc -q -o out", 1, "3.asc");
    fs::remove_file(folder.join("asc/3.asc")).unwrap();
    fs::write(folder.join("asc/3.asc"), of(3)).unwrap();
    fs::write(folder.join("asc/1.asc"), of(2)).unwrap();
    let before = tree(&folder);
    refused(&folder, "import asc -q -o out", 1, "asc/1.asc: it changed since the unfinished import took it");
    assert_same(&folder, &before, "a refused import");
    fs::write(folder.join("asc/1.asc"), of(1)).unwrap();
    done(&folder, "import asc -q -o out");
    done(&folder, "import asc -q -o whole");
    assert_same(&folder.join("out"), &tree(&folder.join("whole")), "an import that went on");
}

/// What replaces a recorded result without a record of its own takes the record away.
#[test]
fn a_result_never_keeps_the_record_of_the_one_before() {
    let folder = place("replaced");
    done(&folder, "predict ../model.cgm -i ../x.npy -q -o y.npy");
    done(&folder, "measure ../asc -q -o m.csv --medians y.npy");
    assert_eq!(tree(&folder).into_keys().collect::<Vec<_>>(), ["/", "m.csv", "y.npy"]);
    done(&folder, JOBS[2].line);
    done(&folder, "convert ../model.cgm m.cgm -q");
    let names: Vec<String> = tree(&folder).into_keys().collect();
    assert_eq!(names, ["/", "m.cgm", "m.csv", "m.last.cgm", "y.npy"]);
    // A file of that name that is no record of ours is a user's.
    fs::write(folder.join("y.npy.provenance.json"), "notes").unwrap();
    done(&folder, "measure ../asc -q -o m.csv --medians y.npy");
    assert_eq!(fs::read(folder.join("y.npy.provenance.json")).unwrap(), b"notes");
}
