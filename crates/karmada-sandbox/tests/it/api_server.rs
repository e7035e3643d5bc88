//! What every API server answers, whoever it belongs to.

use super::*;

#[tokio::test]
async fn discovery_lists_every_group() {
    let (_sandbox, client) = stepped().await;
    let plain = Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    for discovery in [plain, aggregated] {
        for group in ["ray.io", "work.karmada.io", "policy.karmada.io", "batch", "apps"] {
            assert!(discovery.has_group(group), "{group}");
        }
        let gvk = GroupVersionKind::gvk("ray.io", "v1", "RayJob");
        assert_eq!(discovery.resolve_gvk(&gvk).unwrap().0.plural, "rayjobs");
    }
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
}

#[tokio::test]
async fn create_twice_is_already_exists_and_stale_update_is_conflict() {
    let (_sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NS);
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).unwrap();
    let first = maps.create(&PostParams::default(), &map).await.unwrap();
    let error = status_of(maps.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "AlreadyExists"));

    let merge = json!({"data": {"k": "2"}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(merge)).await.unwrap();
    let error = status_of(maps.replace("a", &PostParams::default(), &first).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "Conflict"));

    let elsewhere: Api<ConfigMap> = Api::namespaced(client.clone(), "nowhere");
    let error = status_of(elsewhere.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let error = status_of(maps.get("b").await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (404, "configmaps \"b\" not found"));
    let unknown = dynamic(&client, "nothing.example/v1", "Thing");
    let error = status_of(unknown.get("x").await.unwrap_err());
    assert_eq!(error.code, 404);
    assert!(error.message.contains("404 page not found"), "{error:?}");
}

#[tokio::test]
async fn dry_run_and_generated_names() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "gen-"}})).unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    maps.create(&dry, &map).await.unwrap();
    assert!(sandbox.list(None, "v1", "ConfigMap").is_empty());
    let name = maps.create(&PostParams::default(), &map).await.unwrap().metadata.name.unwrap();
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
}

#[tokio::test]
async fn apply_owns_fields_per_manager() {
    let (_sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let body = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let apply = async |manager: &str, force: bool, data: Value| {
        let mut params = PatchParams::apply(manager);
        params.force = force;
        maps.patch("a", &params, &Patch::Apply(body(data))).await
    };
    let first = apply("one", false, json!({"x": "1", "y": "1"})).await.unwrap();
    let again = apply("one", false, json!({"x": "1", "y": "1"})).await.unwrap();
    assert_eq!(first.metadata.resource_version, again.metadata.resource_version);

    let error = status_of(apply("two", false, json!({"x": "2"})).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "Conflict"));
    let cause = &error.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.x"));

    apply("two", true, json!({"x": "2", "z": "2"})).await.unwrap();
    // `one` no longer owns x; giving up y removes it.
    let left = apply("one", true, json!({})).await.unwrap().data.unwrap();
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        [("x".into(), "2".into()), ("z".into(), "2".into())]
    );
}

#[tokio::test]
async fn apply_with_a_uid_does_not_resurrect() {
    let (_sandbox, client) = stepped().await;
    let jobs = rayjobs(&client);
    let mut job = rayjob("j", json!({}), json!({}));
    let created = jobs.create(&PostParams::default(), &job).await.unwrap();
    jobs.delete("j", &DeleteParams::default()).await.unwrap();
    job.metadata.uid = created.metadata.uid;
    let params = PatchParams::apply("svc").force();
    let error = status_of(jobs.patch("j", &params, &Patch::Apply(&job)).await.unwrap_err());
    assert_eq!(error.code, 409);
}

#[tokio::test]
async fn pages_are_one_snapshot() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    for number in 0..5 {
        let map = serde_json::from_value(json!({"metadata": {"name": format!("m{number}"), "labels": {"n": number.to_string()}}})).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    let token = first.metadata.continue_.clone().unwrap();
    maps.delete("m3", &DeleteParams::default()).await.unwrap();
    let rest = maps.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    assert_eq!(rest.items.len(), 3, "m3 was there when the list began");
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    let some = maps.list(&ListParams::default().labels("n in (0,1),n!=1")).await.unwrap();
    assert_eq!(some.items.len(), 1);
    sandbox.faults().expire_watches();
    let error = maps.list(&ListParams::default().limit(10).continue_token(&token)).await;
    assert_eq!(status_of(error.unwrap_err()).code, 410);
    let error = maps.list(&ListParams::default().fields("spec.x=1")).await;
    assert_eq!(status_of(error.unwrap_err()).code, 400);
}

#[tokio::test]
async fn finalizers_hold_and_preconditions_refuse() {
    let (_sandbox, client) = stepped().await;
    let jobs = rayjobs(&client);
    let mut job = rayjob("j", json!({}), json!({}));
    job.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    jobs.create(&PostParams::default(), &job).await.unwrap();
    let wrong = DeleteParams {
        preconditions: Some(Preconditions { uid: Some("other".into()), resource_version: None }),
        ..DeleteParams::default()
    };
    assert_eq!(status_of(jobs.delete("j", &wrong).await.unwrap_err()).code, 409);
    let held = jobs.delete("j", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    assert_eq!(held.metadata.generation, Some(2));
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    let error = jobs.patch("j", &PatchParams::default(), &Patch::Merge(more)).await.unwrap_err();
    assert_eq!(status_of(error).code, 422);
    let none = json!({"metadata": {"finalizers": null}});
    jobs.patch("j", &PatchParams::default(), &Patch::Merge(none)).await.unwrap();
    assert_eq!(status_of(jobs.get("j").await.unwrap_err()).code, 404);
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let (_sandbox, client) = stepped().await;
    let jobs = rayjobs(&client);
    jobs.create(&PostParams::default(), &rayjob("j", json!({}), json!({}))).await.unwrap();
    let both = json!({"spec": {"entrypoint": "b"}, "status": {"jobStatus": "RUNNING"}});
    let main = jobs.patch("j", &PatchParams::default(), &Patch::Merge(both.clone())).await.unwrap();
    assert_eq!((main.data["status"].clone(), main.metadata.generation), (Value::Null, Some(2)));
    let other = json!({"spec": {"entrypoint": "c"}, "status": {"jobStatus": "RUNNING"}});
    let sub = jobs.patch_status("j", &PatchParams::default(), &Patch::Merge(other)).await.unwrap();
    assert_eq!(sub.data["spec"]["entrypoint"], "b");
    assert_eq!(
        (sub.data["status"]["jobStatus"].clone(), sub.metadata.generation),
        (json!("RUNNING"), Some(2))
    );
}

#[tokio::test]
async fn watch_maps_selectors_and_expires() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let start = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("on=yes").timeout(20);
    let mut events = maps.watch(&params, &start).await.unwrap().boxed();
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    for label in [json!("yes"), json!("no")] {
        let patch = json!({"metadata": {"labels": {"on": label}}});
        maps.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
    let first = events.try_next().await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Added(_)), "{first:?}");
    let second = events.try_next().await.unwrap().unwrap();
    assert!(matches!(second, WatchEvent::Deleted(_)), "{second:?}");

    sandbox.faults().expire_watches();
    assert!(events.try_next().await.unwrap().is_none(), "the stream ends");
    let mut events = maps.watch(&params, &start).await.unwrap().boxed();
    let WatchEvent::Error(error) = events.try_next().await.unwrap().unwrap() else { panic!() };
    assert_eq!((error.code, error.reason.as_str()), (410, "Expired"));
}
