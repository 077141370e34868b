//! Models from PyTorch state dicts: the right tensors are taken, the wrong ones named.

use cardiograd::files::state_dict::{self, StateDict, Tensor, Values};
use cardiograd::nn::{Model, architecture, initialise, load_model, load_program, to_state_dict};
use cardiograd::tape::Network;
use std::path::{Path, PathBuf};

fn network(arch: &str) -> Network<f32> {
    let program = architecture(arch).unwrap();
    let parameters = initialise(&program, 5, 0).unwrap();
    Network::new(program, parameters).unwrap()
}

/// What becomes of a tensor: another name, other values, or nothing.
type Change = dyn Fn(&str, &Tensor) -> Option<(String, Tensor)>;

/// The state dict of a network, changed, as a file.
fn saved(folder: &Path, extension: &str, change: impl Fn(&str, &Tensor) -> Option<(String, Tensor)>) -> PathBuf {
    let mut dict = StateDict::new();
    for (name, tensor) in to_state_dict(&network("standardconv")).unwrap().iter() {
        if let Some((name, tensor)) = change(name, tensor) {
            dict.insert(name, tensor).unwrap();
        }
    }
    let path = folder.join(format!("m.{extension}"));
    state_dict::write(&path, &dict).unwrap();
    path
}

fn keep(name: &str, tensor: &Tensor) -> Option<(String, Tensor)> {
    Some((name.to_owned(), tensor.clone()))
}

fn refusal(path: &Path) -> String {
    let error = load_model(path, Some("standardconv")).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn every_format_gives_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let original = network("standardconv").parameters();
    for extension in ["pt", "safetensors"] {
        let path = saved(folder.path(), extension, keep);
        assert_eq!(load_model(&path, Some("standardconv")).unwrap().network.parameters(), original);
    }
    let without_counters = |name: &str, tensor: &Tensor| keep(name, tensor).filter(|(name, _)| !name.contains("num_batches"));
    assert!(load_model(saved(folder.path(), "pt", without_counters), Some("standardconv")).is_ok());
    let published = |name: &str, tensor: &Tensor| Some((name.replace("model.16.", "model.17."), tensor.clone()));
    assert_eq!(load_model(saved(folder.path(), "pt", published), Some("standardconv")).unwrap().network.parameters(), original);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let with = |change: &Change| refusal(&saved(folder.path(), "safetensors", change));
    let error = with(&|name, tensor| keep(name, tensor).filter(|(name, _)| name != "model.7.running_var"));
    assert!(error.contains("parameter 'model.7.running_var'") && error.contains("missing"), "{error}");
    let error = with(&|name, tensor| Some((name.replace("model.0.bias", "model.0.beta"), tensor.clone())));
    assert!(error.contains("model.0.b"), "{error}");
    let extra = |name: &str, tensor: &Tensor| Some((name.replace("12.num_batches_tracked", "13.num_batches_tracked"), tensor.clone()));
    let error = with(&extra);
    assert!(error.contains("left over: 'model.13.num_batches_tracked', which has no place in the network"), "{error}");
    let error = with(&|name, tensor| {
        let wrong = Tensor::new(vec![1, 33], Values::F32(vec![0.0; 33])).unwrap();
        Some((name.to_owned(), if name == "model.16.weight" { wrong } else { tensor.clone() }))
    });
    assert!(error.contains("'model.16.weight': expected shape [1, 32], found [1, 33]"), "{error}");
    let error = with(&|name, tensor| Some((format!("module.{}", name.replace("model.0.", "model.zero.")), tensor.clone())));
    assert!(error.contains("parameters 'model.0.weight', 'model.0.bias' of the network missing"), "{error}");
    assert!(
        error.contains("'module.model.zero.weight'") && error.contains("left over: ") && error.contains("have no place in the network"),
        "{error}"
    );
    assert!(error.contains("match under 'module.'") && error.contains("module.model.1.bias → model.1.bias"), "{error}");
    let error = with(&|name, tensor| {
        let nan = Tensor::new(vec![1], Values::F32(vec![f32::NAN])).unwrap();
        Some((name.to_owned(), if name == "model.16.bias" { nan } else { tensor.clone() }))
    });
    assert!(error.contains("'model.16.bias': element 0 is not finite"), "{error}");
}

/// What stands before all names is taken off: DataParallel, Lightning, modules within modules; or put there, of a part that was saved alone.
#[test]
fn weights_are_found_under_any_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let original = network("standardconv").parameters();
    for prefix in ["module.", "model.", "net.backbone.module."] {
        let path = saved(folder.path(), "pt", |name, tensor| Some((format!("{prefix}{name}"), tensor.clone())));
        assert_eq!(load_model(&path, Some("standardconv")).unwrap().network.parameters(), original, "{prefix}");
    }
    let inner = saved(folder.path(), "pt", |name, tensor| Some((name.strip_prefix("model.")?.to_owned(), tensor.clone())));
    assert_eq!(load_model(&inner, Some("standardconv")).unwrap().network.parameters(), original);
    // Two copies of the network, as of an averaged model: none is chosen silently.
    let path = folder.path().join("twice.safetensors");
    let mut twice = StateDict::new();
    for prefix in ["student.", "teacher."] {
        for (name, tensor) in to_state_dict(&network("standardconv")).unwrap().iter() {
            twice.insert(format!("{prefix}{name}"), tensor.clone()).unwrap();
        }
    }
    state_dict::write(&path, &twice).unwrap();
    assert!(refusal(&path).contains("it holds the network 2 times, under 'student.' and 'teacher.'"));
}

#[test]
fn the_network_of_a_file_is_asked_for_and_never_contradicted() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path(), "pt", keep);
    let error = load_model(&path, None).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("--arch stevennet|standardconv|PROGRAM.json"), "{error}");
    assert_eq!(load_model(&path, Some("resnet")).unwrap_err().exit_code(), 2);
    assert!(refusal(&path.with_file_name("absent.pt")).contains("absent.pt"));

    let own = folder.path().join("m.cgm");
    Model::new(network("standardconv")).save(&own).unwrap();
    assert!(load_model(&own, None).is_ok() && load_model(&own, Some("standardconv")).is_ok());
    assert_eq!(load_model(&own, Some("stevennet")).unwrap_err().exit_code(), 2);
}

#[test]
fn a_program_file_is_a_network_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program.json");
    let arch = file.to_str().unwrap();
    std::fs::write(&file, serde_json::to_string(&architecture("standardconv").unwrap()).unwrap()).unwrap();
    assert_eq!(load_program(arch).unwrap(), architecture("standardconv").unwrap());
    assert!(load_model(saved(folder.path(), "pt", keep), Some(arch)).is_ok());
    std::fs::write(&file, r#"{"nodes": [], "output": "y"}"#).unwrap();
    let error = load_program(arch).unwrap_err().to_string();
    assert!(error.contains("program.json: not a program: line 1, column 25: the output 'y'"), "{error}");
    assert!(load_program("absent.json").unwrap_err().to_string().contains("absent.json"));
}
