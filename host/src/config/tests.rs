//! What wins over what, and what is refused.

use std::io::Write as _;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn error(flags: &Flags, pairs: &[(&str, &str)]) -> String {
    load(flags, &environment(pairs)).unwrap_err().to_string()
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let none = load(&Flags::default(), &Vec::new()).unwrap().config;
    assert_eq!(none.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(none.database.url.expose(), "sqlite://trainyard.db");

    let file =
        file("listen = '0.0.0.0:1'\n[database]\nurl = 'from-file'\n[http]\nmax_requests = 7\n");
    let mut flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    let from_file = load(&flags, &Vec::new()).unwrap().config;
    assert_eq!(from_file.database.url.expose(), "from-file");
    assert_eq!((from_file.http.max_requests, from_file.listen.port()), (7, 1));

    let set = environment(&[
        ("DATABASE_URL", "from-env"),
        ("PORT", "9"),
        ("TRAINYARD__HTTP__MAX_REQUESTS", "8"),
        ("TRAINYARD__HTTP__CORS_ORIGINS", "https://a.example, https://b.example"),
        ("JOB_MONITOR_INTERVAL", "30s"),
    ]);
    let from_env = load(&flags, &set).unwrap().config;
    assert_eq!(from_env.database.url.expose(), "from-env");
    assert_eq!(
        (from_env.http.max_requests, from_env.listen.to_string().as_str()),
        (8, "0.0.0.0:9")
    );
    assert_eq!(from_env.http.cors_origins.len(), 2);
    assert_eq!(from_env.reconcile.interval_seconds, 30);

    flags.database_url = Some("from-flag".to_owned());
    flags.listen = Some("127.0.0.1:5".parse().unwrap());
    let from_flag = load(&flags, &set).unwrap().config;
    assert_eq!(from_flag.database.url.expose(), "from-flag");
    assert_eq!(from_flag.listen.to_string(), "127.0.0.1:5");
}

#[test]
fn mistakes_name_the_key() {
    let unknown = file("[http]\nmax_request = 7\n");
    let flags = Flags { config: Some(unknown.path().to_owned()), ..Flags::default() };
    let text = error(&flags, &[]);
    assert!(text.contains("max_request") && text.contains("http"), "{text}");

    let none = Flags::default();
    for (name, value, part) in [
        ("TRAINYARD__HTTP__MAX_REQUESTS", "many", "TRAINYARD__HTTP__MAX_REQUESTS"),
        ("TRAINYARD__HTTP__MAX_REQUESTS", "0", "http.max_requests"),
        ("TRAINYARD__HTTP__NOPE", "1", "nope"),
        ("TRAINYARD__NOPE", "1", "nope"),
        ("TRAINYARD__HTTP__CORS_ORIGINS", "*", "http.cors_origins"),
        ("TRAINYARD__RECONCILE__LEASE_SECONDS", "3", "reconcile.lease_seconds"),
        ("TRAINYARD__RECONCILE__LEASE_SECONDS", "19", "half of reconcile.lease_seconds"),
        ("TRAINYARD__KARMADA__CALL_TIMEOUT_SECONDS", "0", "karmada.call_timeout_seconds"),
        ("TRAINYARD__LOGS__REDACT", "fine,(", "logs.redact[1]"),
        ("TRAINYARD__LOGS__MAX_STREAMS", "0", "logs.max_streams"),
        ("PORT", "x", "PORT"),
        ("JOB_MONITOR_INTERVAL", "soon", "JOB_MONITOR_INTERVAL"),
        ("TRAINYARD__LISTEN", "nowhere", "listen"),
    ] {
        let text = error(&none, &[(name, value)]);
        assert!(text.contains(part), "{name}: {text}");
    }
    let broken = file("[database]\nurl = 'secret\n");
    let flags = Flags { config: Some(broken.path().to_owned()), ..Flags::default() };
    let text = error(&flags, &[]);
    assert!(text.contains("line 2") && !text.contains("secret"), "{text}");
}

#[test]
fn settings_of_older_deployments_are_accepted_and_ignored_with_a_warning() {
    let loaded = load(&Flags::default(), &environment(&[("MGMT_KUBECONFIG", "/x")])).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn dump_is_readable_and_holds_no_password() {
    let set = environment(&[("DATABASE_URL", "postgres://me:hidden@db/x")]);
    let config = load(&Flags::default(), &set).unwrap().config;
    let dump = config.dump();
    assert!(dump.contains("postgres://me:***@db/x") && !dump.contains("hidden"), "{dump}");
    assert!(!format!("{config:?}").contains("hidden"));
    let file = file(&dump);
    load(&Flags { config: Some(file.path().to_owned()), ..Flags::default() }, &Vec::new()).unwrap();
}

#[test]
fn admission_is_the_policy_key_by_key() {
    let file = file(
        "[admission]\nallowed_images = ['registry.example/team']\nhelpers = 2\n\
         pod_security = 'baseline'\nmember_ttl = 'remove'\n",
    );
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    let set = environment(&[
        ("TRAINYARD__ADMISSION__REQUIRE_IMAGE_DIGEST", "true"),
        ("TRAINYARD__ADMISSION__SERVICE_ACCOUNTS", "trainer, loader"),
        ("TRAINYARD__ADMISSION__MAX_NODES", "5000"),
    ]);
    let config = load(&flags, &set).unwrap().config;
    let policy = config.admission.policy();
    assert_eq!(policy.allowed_images, ["registry.example/team"]);
    assert_eq!(policy.service_accounts, ["trainer", "loader"]);
    assert_eq!((policy.helpers, policy.max_nodes, policy.require_image_digest), (2, 5000, true));
    assert_eq!(policy.pod_security, training::admit::PodSecurity::Baseline);
    // What is exported is what is in force.
    let exported = serde_json::from_str(&config.policy()).unwrap();
    assert_eq!(training::admit::Policy::from_value(&exported).as_ref(), Ok(policy));
    let section = serde_json::to_value(&config.admission).unwrap();
    assert_eq!(section, exported);
}

#[test]
fn admission_that_cannot_work_is_refused_at_start_with_every_key() {
    let file = file(
        "[admission]\nallowed_image = ['x']\nallowed_images = ['a/b:1']\nhelpers = -1\n\
         service_types = ['Outside']\n",
    );
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    let text = error(&flags, &[]);
    for key in ["admission", "allowed_image:", "allowed_images:", "helpers:", "service_types:"] {
        assert!(text.contains(key), "{key}: {text}");
    }
}

#[test]
fn kinds_that_may_be_read_are_listed_and_no_secret_is_among_them() {
    let usual = load(&Flags::default(), &environment(&[])).unwrap().config;
    let inspection = usual.karmada.inspection(usual.placement.allowed()).unwrap();
    assert!(inspection.readable.find("pods").is_some());
    assert!(inspection.readable.find("secrets").is_none());
    let set = environment(&[("TRAINYARD__KARMADA__READABLE_KINDS", "ConfigMap, Pod")]);
    let config = load(&Flags::default(), &set).unwrap().config;
    assert_eq!(config.karmada.readable_kinds, ["ConfigMap", "Pod"]);
    assert!(config.check().is_empty());
    let set = [("TRAINYARD__KARMADA__READABLE_KINDS", "Pod,secrets.v1.")];
    let text = error(&Flags::default(), &set);
    assert!(text.contains("karmada.readable_kinds: `secrets.v1.`"), "{text}");
}

/// The values of all sections, as `section.key`, where the section is empty for `listen`.
fn settings() -> Vec<(String, String, toml::Value)> {
    let mut config = Config::default();
    // What is absent by default is left out of the dump.
    config.karmada.kubeconfig = Some(PathBuf::from("file"));
    config.karmada.context = Some("context".to_owned());
    config.plugins.cache_dir = Some(PathBuf::from("directory"));
    config.plugins.settings.insert("name".to_owned(), serde_json::json!({ "key": 1 }));
    let dump: toml::Table = toml::from_str(&config.dump()).unwrap();
    let mut all = Vec::new();
    for (name, value) in dump {
        match value {
            toml::Value::Table(section) => {
                all.extend(section.into_iter().map(|(key, value)| (name.clone(), key, value)));
            }
            value => all.push((String::new(), name, value)),
        }
    }
    all
}

/// The cells of the row of a key in the table of a section: under its heading, or headed
/// `key of [section]`.
fn row<'a>(page: &'a str, section: &str, key: &str) -> Option<Vec<&'a str>> {
    let (heading, column) = (format!("### `[{section}]`"), format!("| key of `[{section}]` |"));
    let rows = page
        .lines()
        .skip_while(|line| *line != heading && !line.starts_with(&column))
        .skip(1)
        .take_while(|line| !line.starts_with('#'));
    rows.map(|line| line.split('|').map(str::trim).skip(1).collect::<Vec<_>>())
        .find(|cells| cells.first().is_some_and(|names| names.contains(&format!("`{key}`"))))
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let page = include_str!("../../../docs/operations.md");
    let all = settings();
    assert!(all.len() > 60, "{all:?}");
    for (section, key, value) in all {
        let Some(cells) = row(page, &section, &key) else {
            // A few are shown in an example or, as all of `[admission]`, in a table of their own.
            let elsewhere = page.contains(&format!("\n{key} = "))
                || page.contains(&format!("\n[{section}.{key}"))
                || page.contains(&format!("| `{key}`"))
                || page.contains(&format!(", `{key}`"));
            assert!(elsewhere, "{section}.{key} is not in docs/operations.md");
            continue;
        };
        // A literal is the default of one key; words describe what depends on the machine.
        let literal = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        let Some(literal) = literal.filter(|_| cells[0] == format!("`{key}`")) else { continue };
        let documented: toml::Table = toml::from_str(&format!("value = {literal}")).unwrap();
        let unset = matches!(literal, "{}");
        assert!(unset || documented["value"] == value, "{section}.{key}: {literal}, not {value}");
    }
}
