//! Fields of pods, containers and of what stands around them.

use super::*;

const POD: &str = "/0/spec/rayClusterSpec/headGroupSpec/template/spec";

/// The refusals of a pod, with pointers below it.
fn pod(pod: Value, policy: &Policy) -> Vec<String> {
    let found = refusals(run(vec![workload(pod)], policy));
    found.into_iter().map(|line| line.strip_prefix(POD).unwrap_or(&line).to_owned()).collect()
}

#[test]
fn what_reaches_for_the_node_is_refused_in_any_mode() {
    let pods = [
        (json!({"hostNetwork": true}), "/hostNetwork host-access"),
        (json!({"hostPID": "yes"}), "/hostPID host-access"),
        (json!({"hostIPC": true}), "/hostIPC host-access"),
        (json!({"shareProcessNamespace": true}), "/shareProcessNamespace host-access"),
        (json!({"nodeName": "n"}), "/nodeName host-access"),
        (json!({"hostAliases": [{"ip": "192.0.2.1"}]}), "/hostAliases host-access"),
        (json!({"ephemeralContainers": [{}]}), "/ephemeralContainers host-access"),
        (json!({"resourceClaims": [{"name": "gpu"}]}), "/resourceClaims host-access"),
        (json!({"overhead": {"cpu": "8"}}), "/overhead host-access"),
        (
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
            "/volumes/0/hostPath volume-not-allowed",
        ),
        (json!({"volumes": [{"name": "v", "nfs": {}}]}), "/volumes/0/nfs volume-not-allowed"),
        (json!({"volumes": [{"name": "v", "csi": {}}]}), "/volumes/0/csi volume-not-allowed"),
        (
            json!({"volumes": [{"name": "v",
                "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
            "/volumes/0/projected/sources/0/serviceAccountToken volume-not-allowed",
        ),
        (json!({"volumes": [{"name": "V"}]}), "/volumes/0/name invalid-name"),
        (json!({"volumes": {}}), "/volumes type"),
        (json!({"initContainers": {}}), "/initContainers type"),
        (json!({"initContainers": [7]}), "/initContainers/0 type"),
    ];
    let containers = [
        (
            json!({"ports": [{"containerPort": 1, "hostPort": 1}]}),
            "/containers/0/ports/0/hostPort host-access",
        ),
        (
            json!({"livenessProbe": {"httpGet": {"host": "192.0.2.1", "port": 1}}}),
            "/containers/0/livenessProbe/httpGet/host host-access",
        ),
        (json!({"name": "x\ny"}), "/containers/0/name invalid-name"),
    ];
    let cases = pods.into_iter().map(|(extra, refusal)| (pod_with(extra), refusal));
    let cases = cases
        .chain(containers.into_iter().map(|(extra, refusal)| (container_with(extra), refusal)));
    for (case, refusal) in cases {
        for pod_security in [PodSecurity::Restricted, PodSecurity::Baseline] {
            let policy = Policy { pod_security, ..lenient() };
            assert_eq!(pod(case.clone(), &policy), [refusal], "{case}");
        }
    }
    let harmless = json!({
        "hostNetwork": false, "hostAliases": [], "overhead": {}, "nodeName": null,
        "volumes": [
            {"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}},
            {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}},
        ],
    });
    assert!(pod(pod_with(harmless), &lenient()).is_empty());
    let harmless = json!({"ports": [{"containerPort": 1, "hostPort": 0}]});
    assert!(pod(container_with(harmless), &lenient()).is_empty());
    // Parts of a pod outside of any pod.
    let loose = with_spec(json!({"override": {"hostNetwork": true, "mount": {"hostPath": {}}}}));
    assert_eq!(
        refusals(run(vec![loose], &lenient())),
        [
            "/0/spec/override/hostNetwork host-access",
            "/0/spec/override/mount/hostPath volume-not-allowed"
        ]
    );
}

#[test]
fn pod_security_is_complete() {
    // Each with whether baseline refuses it as well.
    let table = [
        (json!({"privileged": true}), "privileged", true),
        (json!({"procMount": "Unmasked"}), "procMount", true),
        (json!({"seccompProfile": {"type": "Unconfined"}}), "seccompProfile/type", true),
        (json!({"seccompProfile": "x"}), "seccompProfile/type", true),
        (json!({"appArmorProfile": {"type": "Unconfined"}}), "appArmorProfile/type", true),
        (json!({"seLinuxOptions": {"type": "spc_t"}}), "seLinuxOptions/type", true),
        (json!({"seLinuxOptions": {"user": "system_u"}}), "seLinuxOptions/user", true),
        (json!({"seLinuxOptions": {"role": "r"}}), "seLinuxOptions/role", true),
        (json!({"windowsOptions": {"hostProcess": true}}), "windowsOptions/hostProcess", true),
        (json!({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), "sysctls/0", true),
        (json!({"sysctls": "x"}), "sysctls", true),
        (
            json!({"capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}}),
            "capabilities/add",
            true,
        ),
        (json!({"capabilities": {"add": "ALL", "drop": ["ALL"]}}), "capabilities/add", true),
        (json!({"capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}), "capabilities/add", false),
        (json!({"capabilities": {"drop": ["KILL"]}}), "capabilities/drop", false),
        (json!({"capabilities": {"drop": "ALL"}}), "capabilities/drop", false),
        (json!({"allowPrivilegeEscalation": true}), "allowPrivilegeEscalation", false),
        (json!({"runAsNonRoot": false}), "runAsNonRoot", false),
        (json!({"runAsNonRoot": "true"}), "runAsNonRoot", false),
        (json!({"runAsUser": 0}), "runAsUser", false),
        (json!({"runAsUser": "0"}), "runAsUser", false),
        (json!({"runAsUser": -0.0}), "runAsUser", false),
    ];
    let restricted = lenient();
    let baseline = Policy { pod_security: PodSecurity::Baseline, ..lenient() };
    for (context, field, also_baseline) in table {
        let extra = json!({"securityContext": context});
        let refusal = format!("/containers/0/securityContext/{field} pod-security");
        let case = container_with(extra.clone());
        assert_eq!(pod(case.clone(), &restricted), [refusal.as_str()], "{context}");
        assert_eq!(pod(case, &baseline).len(), usize::from(also_baseline), "{context}");
        // Wherever a context stands, with or without a pod around it.
        let at = format!("/securityContext/{field} pod-security");
        assert!(pod(pod_with(extra.clone()), &restricted).contains(&at), "{context}");
        let loose = refusals(run(vec![with_spec(json!({"options": extra}))], &restricted));
        assert_eq!(loose, [format!("/0/spec/options{at}")], "{context}");
    }
    for context in [
        json!({"runAsUser": 1000, "runAsGroup": 0}),
        json!({"runAsNonRoot": null, "capabilities": null, "seccompProfile": null}),
        json!({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}),
        json!({"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}),
        json!({"seLinuxOptions": {"type": "container_t", "level": "s0"}}),
        json!({"appArmorProfile": {"type": "RuntimeDefault"}}),
    ] {
        let extra = json!({"securityContext": context});
        assert!(pod(container_with(extra), &restricted).is_empty(), "{context}");
    }
    let case = container_with(json!({"securityContext": []}));
    assert_eq!(pod(case, &restricted), ["/containers/0/securityContext type"]);
}

#[test]
fn absent_and_null_are_filled_in_for_start_up_containers_too() {
    let mut case = pod_with(json!({
        "automountServiceAccountToken": null,
        "securityContext": {"runAsNonRoot": null},
        "initContainers": [{"name": "i", "image": "a/b:1", "securityContext": null}],
    }));
    case["containers"][0]["securityContext"] = json!({"allowPrivilegeEscalation": null});
    let admitted = admitted_pod(&run(vec![workload(case)], &lenient()).unwrap());
    assert_eq!(admitted["automountServiceAccountToken"], false);
    assert_eq!(admitted["securityContext"]["runAsNonRoot"], true);
    for container in ["/initContainers/0", "/containers/0"] {
        let context = admitted.pointer(&format!("{container}/securityContext")).unwrap();
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{container}");
    }
    let baseline = Policy { pod_security: PodSecurity::Baseline, ..lenient() };
    let admitted = admitted_pod(&run(vec![workload(good_pod())], &baseline).unwrap());
    assert_eq!(admitted.get("securityContext"), None);
    assert_eq!(admitted["automountServiceAccountToken"], false);
}

#[test]
fn identities_ranks_and_runtimes_come_from_the_operators_lists() {
    let token = "/automountServiceAccountToken service-account";
    for (extra, found) in [
        (json!({"serviceAccountName": "trainer"}), vec!["/serviceAccountName service-account"]),
        (json!({"serviceAccount": "trainer"}), vec!["/serviceAccount service-account"]),
        (json!({"serviceAccountName": 7}), vec!["/serviceAccountName service-account"]),
        (json!({"automountServiceAccountToken": true}), vec![token]),
        (json!({"automountServiceAccountToken": "false"}), vec![token]),
        (json!({"priorityClassName": "high"}), vec!["/priorityClassName priority-class"]),
        (json!({"priorityClass": "high"}), vec!["/priorityClass priority-class"]),
        (json!({"runtimeClassName": "gpu"}), vec!["/runtimeClassName runtime-class"]),
        (json!({"serviceAccountName": "", "imagePullSecrets": [{"name": "x"}]}), vec![]),
    ] {
        assert_eq!(pod(pod_with(extra), &lenient()), found);
    }
    let policy = Policy {
        service_accounts: vec!["trainer".to_owned()],
        priority_classes: vec!["high".to_owned()],
        runtime_classes: vec!["gpu".to_owned()],
        ..lenient()
    };
    let case = pod_with(json!({
        "serviceAccountName": "trainer", "priorityClassName": "high", "runtimeClassName": "gpu",
    }));
    let admitted = run(vec![workload(case)], &policy).unwrap();
    // Who may have the account may have its token.
    assert_eq!(admitted_pod(&admitted).get("automountServiceAccountToken"), None);
    let case = pod_with(json!({"automountServiceAccountToken": true}));
    assert_eq!(pod(case, &policy), [token]);
}

#[test]
fn jobs_stay_off_the_nodes_that_run_the_cluster() {
    let role = "node-role.kubernetes.io/control-plane";
    let term = json!({"matchExpressions": [{"key": role, "operator": "Exists"}]});
    let required = json!({"nodeSelectorTerms": [term]});
    let affinity =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}});
    for (extra, at) in [
        (
            json!({"nodeSelector": {role: ""}}),
            "/nodeSelector/node-role.kubernetes.io~1control-plane",
        ),
        (json!({"tolerations": [{"key": role}]}), "/tolerations/0/key"),
        (json!({"tolerations": [{"operator": "Exists"}]}), "/tolerations/0"),
        (
            json!({"affinity": affinity}),
            "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
             /nodeSelectorTerms/0/matchExpressions/0/key",
        ),
    ] {
        assert_eq!(pod(pod_with(extra), &lenient()), [format!("{at} node-role")]);
    }
    let fine = json!({
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    });
    assert!(pod(pod_with(fine), &lenient()).is_empty());
}

#[test]
fn images_come_from_allowed_repositories_wherever_they_stand() {
    let policy = Policy { allowed_images: vec!["trainyard".to_owned()], ..lenient() };
    assert!(run(vec![workload(good_pod())], &policy).is_ok());
    let policy = Policy { allowed_images: vec!["train".to_owned()], ..lenient() };
    assert_eq!(pod(good_pod(), &policy), ["/containers/0/image image-not-allowed"]);
    let start = pod_with(json!({"initContainers": [{"name": "i", "image": "elsewhere/x:1"}]}));
    let policy = Policy { allowed_images: vec!["trainyard/".to_owned()], ..lenient() };
    assert_eq!(pod(start, &policy), ["/initContainers/0/image image-not-allowed"]);
    let loose = with_spec(json!({"options": {"image": "elsewhere/x:1"}, "initImage": "a/b"}));
    assert_eq!(
        refusals(run(vec![loose], &policy)),
        ["/0/spec/initImage image-not-allowed", "/0/spec/options/image image-not-allowed"]
    );
    let case = container_with(json!({"image": "a b"}));
    assert_eq!(pod(case, &lenient()), ["/containers/0/image image-unreadable"]);
    let case = container_with(json!({"image": 7}));
    assert_eq!(pod(case, &lenient()), ["/containers/0/image image-unreadable"]);
}

#[test]
fn secrets_travel_by_reference() {
    let policy = lenient();
    for (extra, at) in [
        (json!({"env": [{"name": "S3_SECRET_KEY", "value": "x"}]}), "/env/0/value"),
        (json!({"env": [{"name": "DB", "value": "pg://me:pw@db/x"}]}), "/env/0/value"),
        (json!({"args": ["--password=x"]}), "/args"),
        (json!({"args": ["--api-key", "x"]}), "/args"),
        (json!({"command": ["sh", "-c", "TOKEN=abc train"]}), "/command"),
        (
            json!({"lifecycle": {"postStart": {"exec": {"command": ["login", "--token=x"]}}}}),
            "/lifecycle/postStart/exec/command",
        ),
    ] {
        let refusal = format!("/containers/0{at} secret-literal");
        assert_eq!(pod(container_with(extra.clone()), &policy), [refusal], "{extra}");
    }
    for extra in [
        json!({"env": [{"name": "S3_SECRET_KEY",
            "valueFrom": {"secretKeyRef": {"name": "s", "key": "secret-key"}}}]}),
        json!({"env": [{"name": "S3_SECRET_KEY", "value": ""}]}),
        json!({"env": [{"name": "TOKENIZER", "value": "bert"}]}),
        json!({"args": ["--password=$(PASSWORD)", "--tokenizer", "bert"]}),
    ] {
        assert!(pod(container_with(extra.clone()), &policy).is_empty(), "{extra}");
    }
    for (spec, at) in [
        (json!({"runtimeEnvYAML": "env_vars:\n  API_TOKEN: 'x'\n"}), "/runtimeEnvYAML"),
        (json!({"runtimeEnv": "{\"env_vars\": {\"DB_PASSWORD\": 1}}"}), "/runtimeEnv"),
        (json!({"entrypoint": "python train.py --password=x"}), "/entrypoint"),
        (json!({"rayStartParams": {"redis-password": "x"}}), "/rayStartParams/redis-password"),
    ] {
        let refusal = format!("/0/spec{at} secret-literal");
        assert_eq!(refusals(run(vec![with_spec(spec.clone())], &policy)), [refusal], "{spec}");
    }
    for spec in [
        json!({"runtimeEnvYAML": "env_vars:\n  TOKENIZER: 'x'\n  SECRET: ''\n"}),
        json!({"authSecret": "name-of-one", "tokenFile": "/run/token", "entrypoint": "python x"}),
    ] {
        assert!(run(vec![with_spec(spec.clone())], &policy).is_ok(), "{spec}");
    }
    // No refusal repeats what it refuses.
    let case = container_with(json!({"args": ["--password=hunter2"],
        "env": [{"name": "TOKEN", "value": "hunter2"}]}));
    let errors = run(vec![workload(case)], &policy).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
}

#[test]
fn references_stay_in_the_namespace_and_on_the_list() {
    let policy = lenient();
    for (spec, refusal) in [
        (json!({"ref": {"namespace": "kube-system"}}), "/ref/namespace foreign-namespace"),
        (json!({"ref": {"namespace": 7}}), "/ref/namespace foreign-namespace"),
        (json!({"term": {"namespaces": ["team-a", "b"]}}), "/term/namespaces/1 foreign-namespace"),
        (json!({"term": {"namespaceSelector": {}}}), "/term/namespaceSelector foreign-namespace"),
        (
            json!({"env": [{"valueFrom": {"secretKeyRef": {"name": "../x", "key": "k"}}}]}),
            "/env/0/valueFrom/secretKeyRef/name invalid-name",
        ),
        (
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "A"}}]}),
            "/volumes/0/persistentVolumeClaim/claimName invalid-name",
        ),
        (
            json!({"envFrom": [{"configMapRef": {"name": 1}}]}),
            "/envFrom/0/configMapRef/name invalid-name",
        ),
    ] {
        let found = refusals(run(vec![with_spec(spec.clone())], &policy));
        assert_eq!(found, [format!("/0/spec{refusal}")], "{spec}");
    }
    let fine = json!({"ref": {"namespace": "team-a"}, "labels": {"namespace": "anything"}});
    assert!(run(vec![with_spec(fine)], &policy).is_ok());

    let narrow = Policy { allowed_secrets: vec!["mine".to_owned()], ..lenient() };
    let secrets = |name: &str| {
        with_spec(json!({
            "env": [{"valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}],
            "envFrom": [{"secretRef": {"name": name}}],
            "volumes": [
                {"name": "v", "secret": {"secretName": name}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": name}}]}},
            ],
            "imagePullSecrets": [{"name": "any"}],
        }))
    };
    assert!(run(vec![secrets("mine")], &narrow).is_ok());
    assert!(run(vec![secrets("theirs")], &policy).is_ok());
    assert_eq!(codes(run(vec![secrets("theirs")], &narrow)), ["secret-not-allowed"; 4]);
}

#[test]
fn a_form_is_told_what_no_bundle_may_hold() {
    let spec = JobSpec {
        head_image: Some("elsewhere/x:1".to_owned()),
        image_uri: Some("trainyard/x:1".to_owned()),
        entrypoint: Some("python x --token=abc".to_owned()),
        custom_hyperparameters: json!({"api_key": "x", "depth": 3, "pad_token": "y", "secret": ""})
            .as_object()
            .unwrap()
            .clone(),
        ..crate::testing_values::spec("iris")
    };
    let policy = Policy { allowed_images: vec!["trainyard/".to_owned()], ..lenient() };
    let found: Vec<String> = check_form(&spec, &policy)
        .into_iter()
        .map(|error| format!("{} {}", error.pointer, error.code))
        .collect();
    assert_eq!(
        found,
        [
            "/customHyperparameters/api_key secret-literal",
            "/entrypoint secret-literal",
            "/headImage image-not-allowed",
        ]
    );
}
