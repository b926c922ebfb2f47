//! What is shipped beside the binary: its configuration is valid, and the image, the unit and
//! the example for Kubernetes agree with it, with each other and with the binary.

use std::path::Path;

use serde_json::Value;

use crate::rig::{Certs, free_address, palisade, python, run};

/// What the configuration calls its folders.
const FOLDERS: [&str; 2] = ["/etc/palisade", "/var/lib/palisade"];
/// What an end may take at most with the default `drain_timeout`; supervised.rs looks at what
/// the binary says of it.
const END_S: u64 = 40;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a unit or a Dockerfile that begin with that word, without it.
fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect()
}

/// Whether the binary knows this command with these options.
fn is_command(words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = palisade();
    command.args(words).arg("--help");
    let (status, said) = run(command, dir.path());
    assert!(status.success(), "palisade {words:?}: {said}");
}

#[test]
fn the_configuration_is_valid_once_it_has_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::issue(dir.path());
    std::fs::create_dir(dir.path().join("tls")).unwrap();
    for from in [&certs.server.0, &certs.server.1, &certs.ca, &certs.crl] {
        std::fs::copy(from, dir.path().join("tls").join(from.file_name().unwrap())).unwrap();
    }
    let place = dir.path().display().to_string();
    let text = file("packaging/palisade.toml");
    let text = FOLDERS.iter().fold(text, |text, folder| text.replace(folder, &place));
    let config = dir.path().join("palisade.toml");
    std::fs::write(&config, text.replace("0.0.0.0:9443", &free_address().to_string())).unwrap();
    let check = |id: Option<&str>| {
        let mut command = palisade();
        command.arg("check").arg(&config).env("STORE_SECRET_ACCESS_KEY", "hush");
        match id {
            Some(id) => command.env("STORE_ACCESS_KEY_ID", id),
            None => command.env_remove("STORE_ACCESS_KEY_ID"),
        };
        run(command, dir.path())
    };
    let (status, said) = check(Some("id"));
    assert!(status.success(), "{said}");
    let (status, said) = check(None);
    assert!(!status.success() && said.contains("STORE_ACCESS_KEY_ID"), "{said}");
}

#[test]
fn the_unit_gives_what_the_configuration_asks_for() {
    let unit = file("packaging/palisade.service");
    let one = |key: &str| {
        let found = lines(&unit, &format!("{key}="));
        assert_eq!(found.len(), 1, "{key} in the unit: {found:?}");
        found[0].to_owned()
    };
    assert_eq!(one("Type"), "notify");
    assert_eq!(one("ExecStart"), "/usr/bin/palisade run --config /etc/palisade/palisade.toml");
    assert_eq!(one("StateDirectory"), "palisade");
    assert_eq!(one("ConfigurationDirectory"), "palisade");
    // Exit codes after which nobody wants it back: see src/cli/run.rs.
    assert_eq!(one("RestartPreventExitStatus"), "3 130");
    assert_eq!(one("CapabilityBoundingSet"), "");
    let environment = file("packaging/palisade.default");
    for name in ["STORE_ACCESS_KEY_ID", "STORE_SECRET_ACCESS_KEY"] {
        assert!(file("packaging/palisade.toml").contains(name));
        assert!(environment.contains(&format!("#{name}=")), "{environment}");
    }
}

#[test]
fn the_image_runs_as_nobody_and_asks_itself() {
    let text = file("Dockerfile");
    assert_eq!(lines(&text, "USER"), ["65532:65532"]);
    assert_eq!(lines(&text, "VOLUME"), ["/var/lib/palisade"]);
    assert_eq!(lines(&text, "ENTRYPOINT"), [r#"["/bin/palisade"]"#]);
    let command: Vec<String> = serde_json::from_str(lines(&text, "CMD")[0]).unwrap();
    is_command(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let health = lines(&text, "HEALTHCHECK")[0];
    assert!(health.ends_with(r#"CMD ["/bin/palisade", "health"]"#), "{health}");
    is_command(&["health"]);
    let label = format!("image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&label), "the Dockerfile has no {label}");
}

/// The objects of a file for Kubernetes.
fn objects(name: &str) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = python("python");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    command.arg("-c").arg(
        "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)",
    );
    let (status, text) = run(
        {
            command.arg(path);
            command
        },
        dir.path(),
    );
    assert!(status.success(), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_example_of_replicas_rolls_and_lets_them_drain() {
    let objects = objects("packaging/kubernetes-replicas.yaml");
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let deployment = &of("Deployment")["spec"];
    assert_eq!(deployment["replicas"], 3);
    assert_eq!(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let pod = &deployment["template"]["spec"];
    let container = &pod["containers"][0];
    let probe = &container["readinessProbe"];
    let seen_s =
        probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
    let page = file("docs/deploy.md");
    assert!(page.contains(&format!("`drain_delay = \"{seen_s}s\"`")), "{seen_s}");
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= seen_s + END_S);
    let labels = &deployment["template"]["metadata"]["labels"];
    for selector in [
        &deployment["selector"]["matchLabels"],
        &of("Service")["spec"]["selector"],
        &of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    // In all else a pod is as the one that runs alone.
    let alone = self::objects("packaging/kubernetes.yaml");
    let alone = alone.iter().find(|object| object["kind"] == "StatefulSet").unwrap();
    let alone = &alone["spec"]["template"]["spec"]["containers"][0];
    for key in ["image", "args", "env", "ports", "livenessProbe", "resources", "securityContext"] {
        assert_eq!(container[key], alone[key], "{key}");
    }
    let items = pod["volumes"][0]["projected"]["sources"][1]["secret"]["items"].clone();
    let (_, block) = page.split_once("[ledger.etcd]").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    for path in ["tls/etcd-ca.pem", "tls/palisade.pem", "tls/palisade.key"] {
        assert!(block.contains(path), "{path} is not on the page");
        let is_there = items.as_array().unwrap().iter().any(|item| item["path"] == path);
        assert!(is_there, "{path} is not in the pod");
    }
}

#[test]
fn the_example_for_kubernetes_runs_one_pod_and_lets_it_drain() {
    let objects = objects("packaging/kubernetes.yaml");
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let set = &of("StatefulSet")["spec"];
    assert_eq!(set["replicas"], 1, "the ledger is a file of one process");
    let pod = &set["template"]["spec"];
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > END_S);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    for id in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert_eq!(pod["securityContext"][id], 65532, "{id} is that of the image");
    }
    let labels = &set["template"]["metadata"]["labels"];
    assert_eq!(&set["selector"]["matchLabels"], labels);
    assert_eq!(&of("Service")["spec"]["selector"], labels);
    let container = &pod["containers"][0];
    let words = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let words = words(&container[probe]["exec"]["command"]);
        assert_eq!(words[0], "/bin/palisade");
        is_command(&words[1..].iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(words(&container["args"]), ["run", "--config", "/etc/palisade/palisade.toml"]);
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted: Vec<_> = mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
    assert_eq!(mounted, FOLDERS);
    let config = file("packaging/palisade.toml");
    for item in pod["volumes"][0]["projected"]["sources"][1]["secret"]["items"].as_array().unwrap()
    {
        let path = format!("/etc/palisade/{}", item["path"].as_str().unwrap());
        assert!(config.contains(&path), "{path} is not in the configuration");
    }
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(config.contains(name), "{name} is not in the configuration");
    }
}
