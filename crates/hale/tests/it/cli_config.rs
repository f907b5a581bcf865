//! The configuration: precedence, sources, and what is refused.

use hale::config::env::{Environment, SETTING};
use hale::config::value::{LogLevel, Setting, Size};
use hale::config::{Config, Flag, Order, Problems, keys, load};
use hale_core::time::Millis;
use std::path::Path;
use tempfile::TempDir;

struct World {
    dir: TempDir,
    env: Vec<(&'static str, String)>,
    flags: Vec<Flag>,
}

/// A working folder with this `hale.toml`, a home of its own, and an empty environment.
fn world(file: &str) -> World {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("cwd")).unwrap();
    if !file.is_empty() {
        std::fs::write(dir.path().join("cwd/hale.toml"), file).unwrap();
    }
    let home = dir.path().join("home").display().to_string();
    World { dir, env: vec![("HOME", home)], flags: Vec::new() }
}

impl World {
    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn flag(mut self, key: &'static str, flag: &'static str, value: &str) -> Self {
        self.flags.push(Flag { key, flag, value: value.to_owned() });
        self
    }

    fn cwd(&self) -> std::path::PathBuf {
        self.dir.path().join("cwd")
    }

    fn load(&self) -> Result<Config, Problems> {
        let env: Environment =
            self.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        load(Order { flags: self.flags.clone(), file: None, cwd: self.cwd(), env })
    }

    /// The first problem as `file:line:column: message | hint`, with the working folder left out.
    fn problem(&self) -> String {
        let problems = self.load().expect_err("a problem");
        let first = &problems.0[0];
        format!("{first} | {}", first.hint).replace(&format!("{}/", self.cwd().display()), "")
    }
}

fn source(config: &Config, key: &str) -> String {
    let entry = config.entries.iter().find(|entry| entry.key == key).unwrap_or_else(|| panic!("no {key}"));
    let name = Path::new(&entry.source).file_name().unwrap_or_default();
    if entry.source.contains("hale.toml:") {
        name.to_string_lossy().into_owned()
    } else {
        entry.source.clone()
    }
}

#[test]
fn every_key_has_a_default_or_is_optional_and_a_doc() {
    let config = world("").load().unwrap();
    for key in keys::KEYS {
        assert!(key.doc().len() > 20, "{} has no documentation", key.name);
        assert!(config.entries.iter().any(|entry| entry.key == key.name), "{} is not shown", key.name);
    }
}

// covers: AO-195, AO-196, AO-197, AO-198, AO-199
#[test]
fn the_defaults_are_those_of_the_guides() {
    let settings = world("").load().unwrap().settings;
    assert_eq!(settings.run_timeout, Millis::seconds(60));
    assert_eq!(settings.worker_concurrency, 5);
    assert_eq!(settings.queue_visibility_timeout, Millis::seconds(300));
    assert_eq!(settings.run_retries_max, 3);
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.files_allow.show(), "/var/log:ro");
}

// covers: AO-195, AO-196, AO-197, AO-198, AO-199
#[test]
fn the_names_of_the_guides_set_our_keys() {
    let config = world("")
        .env("AGENT_TIMEOUT", "90s")
        .env("WORKER_CONCURRENCY", "9")
        .env("QUEUE_VISIBILITY_TIMEOUT", "400s")
        .env("MAX_RETRIES", "1")
        .env("LOG_LEVEL", "debug")
        .env("AXONFLOW_LLM_TIMEOUT", "80s")
        .load()
        .unwrap();
    let settings = &config.settings;
    assert_eq!(settings.run_timeout, Millis::seconds(90));
    assert_eq!(settings.worker_concurrency, 9);
    assert_eq!(settings.queue_visibility_timeout, Millis::seconds(400));
    assert_eq!(settings.run_retries_max, 1);
    assert_eq!(settings.log_level, LogLevel::Debug);
    assert_eq!(settings.model_timeout, Millis::seconds(80));
    assert_eq!(source(&config, "run.timeout"), "env AGENT_TIMEOUT (alias of HALE_RUN_TIMEOUT)");
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let file = "listen = \"127.0.0.1:1\"\n[run]\ntimeout = \"10s\"\n[worker]\nconcurrency = 2\n";
    let config = world(file)
        .env("HALE_LISTEN", "127.0.0.1:2")
        .env("HALE_RUN_TIMEOUT", "20s")
        .flag("listen", "--listen", "127.0.0.1:3")
        .load()
        .unwrap();
    assert_eq!(config.settings.listen.port(), 3);
    assert_eq!(config.settings.run_timeout, Millis::seconds(20));
    assert_eq!(config.settings.worker_concurrency, 2);
    assert_eq!(config.settings.run_retries_max, 3);
    assert_eq!(source(&config, "listen"), "flag --listen");
    assert_eq!(source(&config, "run.timeout"), "env HALE_RUN_TIMEOUT");
    assert_eq!(source(&config, "worker.concurrency"), "hale.toml:5");
    assert_eq!(source(&config, "run.retries_max"), "default");
}

#[test]
fn our_own_variable_wins_over_its_alias() {
    let config = world("").env("AGENT_TIMEOUT", "90s").env("HALE_RUN_TIMEOUT", "30s").load().unwrap();
    assert_eq!(config.settings.run_timeout, Millis::seconds(30));
}

#[test]
fn the_file_in_the_data_folder_lies_below_the_one_in_the_working_folder() {
    let world = world("[run]\nretries_max = 1\n");
    let data = world.cwd().join(".hale");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("hale.toml"), "[run]\nretries_max = 2\n[worker]\nconcurrency = 7\n").unwrap();
    let config = world.load().unwrap();
    assert_eq!((config.settings.run_retries_max, config.settings.worker_concurrency), (1, 7));
    assert_eq!(config.data, data);
    assert_eq!(source(&config, "data"), "./.hale exists");
}

#[test]
fn the_data_folder_is_named_by_flag_then_environment_then_file_then_found() {
    let found = world("").load().unwrap();
    assert!(found.data.ends_with("home/.local/state/hale"), "{}", found.data.display());
    assert_eq!(world("data = \"a\"").load().unwrap().data.file_name().unwrap(), "a");
    assert_eq!(world("data = \"a\"").env("HALE_DATA", "b").load().unwrap().data.file_name().unwrap(), "b");
    let flagged = world("data = \"a\"").env("HALE_DATA", "b").flag("data", "--data", "c").load().unwrap();
    assert_eq!(flagged.data.file_name().unwrap(), "c");
    assert_eq!(flagged.packs, flagged.data.join("packs"));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_key_that_was_meant() {
    let cases = [
        (
            "[run]\n  timout = \"60s\"\n",
            "hale.toml:2:3: unknown key `run.timout` | did you mean `run.timeout`?",
        ),
        ("lisen = \"127.0.0.1:1\"", "hale.toml:1:1: unknown key `lisen` | did you mean `listen`?"),
        ("run = 5", "hale.toml:1:1: `run` is a table, not a value | it holds run.timeout, run.retries_max"),
        (
            "[providers.x]\nbase_ur = \"http://h\"",
            "hale.toml:2:1: unknown key `providers.x.base_ur` | did you mean `providers.x.base_url`?",
        ),
        ("[zzz]\nqqq = 1", "hale.toml:2:1: unknown key `zzz.qqq` | see every key with: hale config explain"),
    ];
    for (file, expected) in cases {
        assert_eq!(world(file).problem(), expected);
    }
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_what_to_write() {
    let cases = [
        (
            "[run]\ntimeout = 60",
            "hale.toml:2:1: run.timeout: \"60\" is not a span such as 250ms, 60s, 5m or 30d",
        ),
        (
            "[worker]\nconcurrency = \"many\"",
            "hale.toml:2:1: worker.concurrency: \"many\" is not a whole number",
        ),
        (
            "listen = \"8080\"",
            "hale.toml:1:1: listen: \"8080\" is not an address such as 127.0.0.1:8080; port 0 takes a free one",
        ),
        (
            "[log]\nlevel = \"LOUD\"",
            "hale.toml:2:1: log.level: \"LOUD\" is not one of ERROR, WARN, INFO, DEBUG and TRACE",
        ),
        (
            "[retention]\nmax = 10",
            "hale.toml:2:1: retention.max: \"10\" is not a size such as 512 MiB or 10 GiB",
        ),
        (
            "[files]\nallow = [\"var/log\"]",
            "hale.toml:2:1: files.allow: read the grant \"var/log\": the folder is not absolute; write an absolute folder and a mode, for example \"/var/log:ro\"",
        ),
        ("[access]\nrequire_key = []", "hale.toml:2:1: access.require_key: a list is not true or false"),
    ];
    for (file, expected) in cases {
        let problem = world(file).problem();
        assert_eq!(problem.split(" | ").next().unwrap(), expected);
    }
}

#[test]
fn broken_toml_is_refused_with_line_and_column() {
    let problem = world("[run]\ntimeout = 60s\n").problem();
    assert!(problem.starts_with("hale.toml:2:"), "{problem}");
}

#[test]
fn every_problem_is_reported_not_only_the_first() {
    let problems = world("a = 1\nb = 2\n[run]\ntimeout = 1\n").load().expect_err("problems");
    assert_eq!(problems.0.len(), 3);
}

// covers: CONF-08
#[test]
fn a_limit_above_its_parents_is_refused() {
    let problem = world("[model]\ntimeout = \"5m\"\n").problem();
    assert_eq!(
        problem,
        "hale.toml:2:1: model.timeout is 5m, longer than run.timeout of 60s | lower it to 60s, or raise run.timeout (AGENT_TIMEOUT) to 5m"
    );
    assert!(world("[model]\ntimeout = \"5m\"\n[run]\ntimeout = \"10m\"\n").load().is_ok());
    assert!(world("").load().is_ok(), "the two guides' defaults stand together");
    assert!(world("[run]\ntimeout = \"2d\"\n").problem().contains("at most 1d"));
    assert!(
        world("[queue]\nvisibility_timeout = \"5s\"\n").problem().contains("shorter than a lease of 15s")
    );
    assert!(world("[worker]\nconcurrency = 0\n").problem().contains("it may be 1 to 1024"));
    assert!(world("[queue]\ndepth_max = 0\n").problem().contains("no run could ever wait"));
}

#[test]
fn without_a_key_the_simulated_model_is_the_default_and_with_one_a_real_one() {
    let config = world("").load().unwrap();
    assert_eq!((config.settings.model_default.as_str(), config.needs_sim()), ("sim/small", true));
    let config = world("").env("OPENAI_API_KEY", "sk-test").load().unwrap();
    assert_eq!((config.settings.model_default.as_str(), config.needs_sim()), ("openai/gpt-5-mini", false));
    assert_eq!(source(&config, "model.default"), "default, because a key for openai is set");
    let config = world("")
        .env("HALE_MODEL_BASE_URL", "http://127.0.0.1:9/v1")
        .env("HALE_MODEL", "local-8b")
        .load()
        .unwrap();
    assert_eq!(config.settings.model_default, "openai/local-8b");
    assert_eq!(config.settings.providers["openai"].base_url, "http://127.0.0.1:9/v1");
    let config = world("[model]\ndefault = \"sim/small\"").env("OPENAI_API_KEY", "sk-test").load().unwrap();
    assert_eq!(config.settings.model_default, "sim/small", "what was set on purpose stays");
}

#[test]
fn a_model_without_its_provider_is_refused() {
    let cases = [
        ("[model]\ndefault = \"local/x\"", "add [providers.local] with its base_url"),
        ("[model]\ndefault = \"gpt\"", "write provider/model, for example sim/small or openai/gpt-5-mini"),
        ("[sim]\nenabled = \"off\"", "set sim.enabled = \"auto\", or another model.default"),
        (
            "[providers.x]\nbase_url = \"ftp://h\"",
            "write for example https://api.openai.com/v1; keys stand elsewhere",
        ),
        ("[providers.x]\nkey_env = \"K\"", "add base_url = \"https://…/v1\" to [providers.x]"),
    ];
    for (file, hint) in cases {
        let problem = world(file).problem();
        assert_eq!(problem.split(" | ").nth(1).unwrap(), hint, "{problem}");
    }
}

#[test]
fn a_secret_is_shown_by_its_fingerprint_only() {
    let file = "[providers.local]\nbase_url = \"http://127.0.0.1:9/v1\"\nkey_env = \"MY_KEY\"\n";
    let config =
        world(file).env("MY_KEY", "very-secret").env("OPENAI_API_KEY", "also-secret").load().unwrap();
    let shown = serde_json::to_string(&config.entries).unwrap();
    assert!(!shown.contains("very-secret") && !shown.contains("also-secret"), "{shown}");
    let key = config.entries.iter().find(|entry| entry.key == "providers.local.key").unwrap();
    let fingerprint = hale_gateway::secret::Secret::new("very-secret").fingerprint();
    assert_eq!(key.value, format!("fingerprint {fingerprint}"));
    assert!(config.secrets().resolve("local").unwrap().is_some());
}

#[test]
fn a_key_in_a_file_is_found_by_its_file_variable() {
    let world = world("");
    let path = world.cwd().join("key.txt");
    std::fs::write(&path, "sk-from-file\n").unwrap();
    let world = world.env("OPENAI_API_KEY_FILE", &path.display().to_string());
    let config = world.load().unwrap();
    let (secret, source) = config.secrets().resolve("openai").unwrap().unwrap();
    assert_eq!(secret.reveal(), "sk-from-file");
    assert!(source.to_string().contains("OPENAI_API_KEY_FILE"));
}

#[test]
fn a_variable_that_looks_like_ours_and_is_not_is_a_warning() {
    let config = world("").env("HALE_LISTN", "127.0.0.1:1").load().unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].hint, "did you mean HALE_LISTEN?");
    let quiet = world("")
        .env("HALE_SECRET_LOCAL", "x")
        .env("HALE_PROVIDERS_LOCAL_BASE_URL", "http://h/v1")
        .load()
        .unwrap();
    assert_eq!(quiet.warnings, []);
    assert!(quiet.settings.providers.contains_key("local"));
}

#[test]
fn every_variable_sets_a_key_that_exists() {
    for variable in &SETTING {
        let provider = variable.key.starts_with("providers.");
        assert!(provider || keys::find(variable.key).is_some(), "{} sets {}", variable.name, variable.key);
    }
    for key in keys::KEYS {
        assert!(SETTING.iter().any(|variable| variable.key == key.name), "no variable sets {}", key.name);
    }
}

#[test]
fn a_named_file_must_exist() {
    let world = world("");
    let env: Environment = [("HOME".to_owned(), "/nowhere".to_owned())].into_iter().collect();
    let order = Order { flags: Vec::new(), file: Some("absent.toml".into()), cwd: world.cwd(), env };
    let problems = load(order).expect_err("no such file");
    assert!(problems.0[0].place.ends_with("absent.toml"));
}

#[test]
fn the_file_in_the_data_folder_cannot_move_the_data_folder() {
    let world = world("");
    let data = world.cwd().join(".hale");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("hale.toml"), "data = \"elsewhere\"\n").unwrap();
    assert!(world.problem().contains("cannot say where the data folder is"), "{}", world.problem());
}

#[test]
fn sizes_are_read_and_written_as_people_do() {
    for (text, bytes) in [("512 MiB", 512 << 20), ("10GiB", 10 << 30), ("1 GB", 1_000_000_000), ("7 B", 7)] {
        let size = Size::read(text).unwrap();
        assert_eq!(size, Size(bytes));
        assert_eq!(Size::read(&size.show()), Some(size));
    }
    for text in ["", "10", "GiB", "-1 B", "99999999999 TiB", "1 QB"] {
        assert_eq!(Size::read(text), None, "{text}");
    }
}

#[test]
fn the_config_page_has_every_key_and_variable() {
    let page = include_str!("../../../../docs/config.md");
    for key in keys::KEYS {
        assert!(page.contains(&format!("| `{}` |", key.name)), "docs/config.md has no {}", key.name);
        assert!(
            page.contains(&key.doc().replace('|', "\\|")),
            "docs/config.md says something else about {}",
            key.name
        );
    }
    for variable in &SETTING {
        assert!(page.contains(&format!("`{}`", variable.name)), "docs/config.md has no {}", variable.name);
    }
    for (name, _) in &hale::config::env::OTHER {
        assert!(page.contains(&format!("`{name}`")), "docs/config.md has no {name}");
    }
}
