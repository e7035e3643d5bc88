//! How the control plane reads a kind: what is installed goes before what it knows itself.

use super::*;

const CONFIG: &str = "config.karmada.io/v1alpha1";
const KIND: &str = "ResourceInterpreterCustomization";

fn interpreter(name: &str, kind: (&str, &str), scripts: &[(&str, &str)]) -> DynamicObject {
    let scripts: serde_json::Map<String, Value> = scripts
        .iter()
        .map(|(operation, script)| ((*operation).to_owned(), json!({"luaScript": script})))
        .collect();
    object(json!({
        "apiVersion": CONFIG, "kind": KIND, "metadata": {"name": name},
        "spec": {"target": {"apiVersion": kind.0, "kind": kind.1}, "customizations": scripts},
    }))
}

fn all(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("config.karmada.io", "v1alpha1", KIND);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

fn held(sandbox: &Sandbox, name: &str) -> bool {
    let job = sandbox.get(Some("member1"), RAY, "RayJob", NS, name).unwrap();
    job["spec"]["suspend"].as_bool().unwrap_or_default()
}

/// The member writes; the round makes it a change in any case.
async fn hold(sandbox: &Sandbox, name: &str, round: &str) {
    let change = json!({"metadata": {"labels": {"round": round}}, "spec": {"suspend": true}});
    let change = Patch::Merge(change);
    let member = rayjobs(&member_client(sandbox, "member1"));
    member.patch(name, &PatchParams::default(), &change).await.unwrap();
    sandbox.settle().await;
}

const RETAIN: &str = "function Retain(desiredObj, observedObj)
  desiredObj.spec.suspend = observedObj.spec.suspend
  return desiredObj
end";

#[tokio::test]
async fn what_a_script_retains_is_not_reverted() {
    let (sandbox, client) = stepped().await;
    submit(&client, rayjob("a", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    hold(&sandbox, "a", "1").await;
    assert!(!held(&sandbox, "a"), "Karmada writes the template's value over it");
    let before = sandbox.get(Some("member1"), RAY, "RayJob", NS, "a").unwrap();
    let made = interpreter("keep", (RAY, "RayJob"), &[("retention", RETAIN)]);
    all(&client).create(&PostParams::default(), &made).await.unwrap();
    hold(&sandbox, "a", "2").await;
    assert!(held(&sandbox, "a"));
    let after = sandbox.get(Some("member1"), RAY, "RayJob", NS, "a").unwrap();
    assert_eq!(after["spec"]["rayClusterSpec"], before["spec"]["rayClusterSpec"]);
    // It is gone with its interpreter.
    all(&client).delete("keep", &DeleteParams::default()).await.unwrap();
    hold(&sandbox, "a", "3").await;
    assert!(!held(&sandbox, "a"));
}

#[tokio::test]
async fn script_that_fails_is_told_by_the_work() {
    let (sandbox, client) = stepped().await;
    let bad = "function Retain(d, o) return d.spec.none.suspend end";
    let made = interpreter("bad", (RAY, "RayJob"), &[("retention", bad)]);
    all(&client).create(&PostParams::default(), &made).await.unwrap();
    submit(&client, rayjob("a", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    hold(&sandbox, "a", "1").await;
    let works = sandbox.list(None, WORK, "Work");
    let work = works
        .iter()
        .find(|work| work["spec"]["workload"]["manifests"][0]["kind"] == "RayJob")
        .unwrap();
    let applied = condition(work, "Applied");
    let message = applied["message"].as_str().unwrap();
    assert_eq!(
        (&applied["status"], &applied["reason"]),
        (&json!("False"), &json!("AppliedFailed"))
    );
    assert!(message.starts_with("Failed to apply all manifests (0/1): "), "{message}");
    assert!(message.contains("attempt to index field 'none'"), "{message}");
    assert!(held(&sandbox, "a"), "nothing was written");
}

#[tokio::test]
async fn status_and_health_of_a_kind_are_read_by_its_scripts() {
    let (sandbox, client) = stepped().await;
    let scripts = [
        ("statusReflection", "function ReflectStatus(o) return {word = o.status.jobStatus} end"),
        ("healthInterpretation", "function InterpretHealth(o) return o.status == nil end"),
        (
            "statusAggregation",
            "function AggregateStatus(o, items)
               o.status = {word = items[1].status.word, from = items[1].clusterName}
               return o
             end",
        ),
    ];
    let made = interpreter("words", (RAY, "RayJob"), &scripts);
    all(&client).create(&PostParams::default(), &made).await.unwrap();
    submit(&client, rayjob("a", json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(60.0)).await;
    let item = &binding(&sandbox, "a")["status"]["aggregatedStatus"][0];
    assert_eq!(item["status"], json!({"word": "SUCCEEDED"}));
    assert_eq!(item["health"], "Unhealthy", "as the script says, whatever the sandbox knows");
    let template = sandbox.get(None, RAY, "RayJob", NS, "a").unwrap();
    assert_eq!(template["status"], json!({"word": "SUCCEEDED", "from": "member1"}));
}

#[tokio::test]
async fn second_answer_to_a_question_and_what_is_no_lua_are_refused() {
    let (_sandbox, client) = stepped().await;
    let create = async |made: &DynamicObject| {
        all(&client).create(&PostParams::default(), made).await.map_err(status_of)
    };
    let retention = [("retention", RETAIN)];
    create(&interpreter("one", (RAY, "RayJob"), &retention)).await.unwrap();
    let refused = create(&interpreter("two", (RAY, "RayJob"), &retention)).await.unwrap_err();
    assert_eq!(refused.code, 403);
    let why = "conflicting with InterpreterOperation(Retain) of existing \
               ResourceInterpreterCustomization(one)";
    assert!(refused.message.contains(why), "{}", refused.message);
    let health = [("healthInterpretation", "function InterpretHealth(o) return true end")];
    create(&interpreter("two", (RAY, "RayJob"), &health)).await.unwrap();
    create(&interpreter("three", ("batch/v1", "Job"), &retention)).await.unwrap();
    let broken = [("retention", "function Retain(")];
    let refused = create(&interpreter("four", (RAY, "RayCluster"), &broken)).await.unwrap_err();
    assert!(refused.message.contains("Lua script error"), "{}", refused.message);
}
