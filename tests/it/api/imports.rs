//! SageMaker's documents, over HTTP.

use serde_json::{Value, json};

use crate::harness::Setup;

fn document(name: &str) -> Value {
    json!({
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": "registry.example/team/xgboost-churn:3",
            "TrainingInputMode": "File",
        },
        "RoleArn": "arn:aws:iam::123456789012:role/train",
        "HyperParameters": {"eta": "0.2", "num_round": "50", "objective": "reg:squarederror"},
        "InputDataConfig": [{
            "ChannelName": "train",
            "ContentType": "text/csv",
            "DataSource": {"S3DataSource": {
                "S3DataType": "S3Prefix", "S3Uri": "s3://churn/train/data.csv",
            }},
        }],
        "OutputDataConfig": {"S3OutputPath": "s3://churn/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    })
}

const PATH: &str = "/api/v1/import/sagemaker";

#[tokio::test]
async fn imported_document_is_not_submitted_and_its_form_runs_as_it_is() {
    let app = Setup::sqlite().start().await;
    let answer = app.post(PATH, &document("churn")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["errors"], json!([]), "{}", answer.body);
    assert_eq!(answer.body["unmapped"][0]["pointer"], "/RoleArn");
    assert_eq!(answer.body["unmapped"].as_array().unwrap().len(), 1, "{}", answer.body);
    let form = answer.body["form"].clone();
    assert_eq!(form["algorithm"]["algorithmName"], "xgboost");
    let expected = json!({"eta": 0.2, "num_round": 50, "objective": "reg:squarederror"});
    assert_eq!(form["hyperparameters"]["xgboost"], expected);
    assert_eq!(app.get("/api/v1/jobs").await.body, json!([]), "nothing is stored");
    let id = app.submit(&form).await;
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn mistakes_of_the_form_are_listed_and_those_of_the_document_refused() {
    let app = Setup::sqlite().start().await;
    let mut wrong = document("churn");
    wrong["HyperParameters"] = json!({"eta": "seven", "num_round": "0"});
    wrong["ResourceConfig"]["InstanceCount"] = json!(5000);
    let answer = app.post(PATH, &wrong).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut pointers: Vec<&str> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    let expected = [
        "/hyperparameters/xgboost/eta",
        "/hyperparameters/xgboost/num_round",
        "/resources/instanceCount",
    ];
    assert_eq!(pointers, expected);

    let mut unnamed = document("churn");
    unnamed["AlgorithmSpecification"]["TrainingImage"] = json!("registry.example/team/churn:3");
    let answer = app.post(PATH, &unnamed).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[0]["code"]), (1, &json!("required")), "{}", answer.body);
    assert_eq!(errors[0]["pointer"], "/algorithm/algorithmName");
    assert!(errors[0]["detail"].as_str().unwrap().contains("xgboost"), "{}", answer.body);
    let answer = app.post(&format!("{PATH}?algorithm=xgboost"), &unnamed).await;
    assert_eq!(answer.body["errors"], json!([]), "{}", answer.body);
    let answer = app.post(&format!("{PATH}?algorithm=jungle"), &unnamed).await;
    assert_eq!(answer.body["errors"][0]["code"], "unknown-algorithm", "{}", answer.body);

    let mut broken = document("churn");
    broken["ResourceConfig"]["InstanceCount"] = json!("1");
    let answer = app.post(PATH, &broken).await;
    assert_eq!((answer.status, answer.pointers()), (400, vec!["/ResourceConfig/InstanceCount"]));
}
