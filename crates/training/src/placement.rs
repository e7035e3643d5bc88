//! Where a job runs: one ready cluster that has the API, is allowed, has room and is least loaded,
//! chosen by us. Karmada would copy a multi-component job to every matching cluster, or take the
//! alphabetically first; so the choice is pinned in the policy, one name, no second run.

use serde_json::{Value, json};

use crate::id::ClusterName;
use crate::job::{Demand, Job, Placement, Spread};
use crate::ports::Cluster;

/// A cluster that cannot take the job, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The cluster.
    pub cluster: String,
    /// Words that continue "cluster X …", the same as long as nothing else stands in the way.
    pub why: String,
    /// The same with the figures of this moment, if there are any.
    pub at_present: Option<String>,
}

impl Unfit {
    fn new(cluster: &ClusterName, why: impl Into<String>) -> Self {
        Self { cluster: cluster.to_string(), why: why.into(), at_present: None }
    }

    fn figures(&self) -> &str {
        self.at_present.as_deref().unwrap_or(&self.why)
    }
}

/// What an operator and the job's past leave of the clusters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds<'a> {
    /// Clusters that jobs of its namespace may use; `None` for all.
    pub allowed: Option<&'a [ClusterName]>,
    /// The cluster that has the volume of an earlier job of its name. It counts while the cluster is
    /// registered, and unless the form asks for other clusters or for all of them.
    pub home: Option<&'a ClusterName>,
    /// Clusters that lack a claim which the job mounts and does not bring along, and that claim.
    pub lacking: &'a [(ClusterName, String)],
}

impl Bounds<'_> {
    /// The cluster that the job has to go to for its volume's sake.
    pub(crate) fn home_of(&self, job: &Job, clusters: &[Cluster]) -> Option<&ClusterName> {
        let home = self.home?;
        let asked = job.target_clusters.is_empty() || job.target_clusters.contains(home);
        let known = clusters.iter().any(|cluster| cluster.name == *home);
        (job.spread == Spread::One && asked && known).then_some(home)
    }
}

/// Why a cluster cannot take the job, or `None` if it can.
fn unfit(
    job: &Job,
    cluster: &Cluster,
    bounds: &Bounds<'_>,
    home: Option<&ClusterName>,
    load: &Demand,
) -> Option<Unfit> {
    let no = |why: String| Some(Unfit::new(&cluster.name, why));
    if bounds.allowed.is_some_and(|allowed| !allowed.contains(&cluster.name)) {
        return no(format!("is not for jobs of namespace {}", job.namespace));
    }
    if let Some(home) = home.filter(|home| **home != cluster.name) {
        return no(format!("does not have the volume of this name, which is on cluster {home}"));
    }
    if let Some((_, claim)) = bounds.lacking.iter().find(|(name, _)| *name == cluster.name) {
        return no(format!("does not have the claim {claim}"));
    }
    if !cluster.ready {
        return no(format!("is not ready ({})", cluster.ready_reason));
    }
    if let Some(taint) = cluster.taints.first() {
        return no(format!("has the taint {taint}"));
    }
    let (api_version, kind) = (&job.workload_api_version, &job.workload_kind);
    if !cluster.has_api(api_version, kind) {
        return no(format!("does not have the API {api_version} {kind}"));
    }
    let Some(free) = &cluster.free else {
        return None;
    };
    let shortages = [
        ("CPU millicores", job.demand.cpu_millis, free.cpu_millis, load.cpu_millis),
        ("bytes of memory", job.demand.memory_bytes, free.memory_bytes, load.memory_bytes),
        ("GPUs", job.demand.gpus, free.gpus, load.gpus),
    ];
    shortages.into_iter().find_map(|(unit, wanted, free, taken)| {
        let left = free.saturating_sub(taken);
        (wanted > left).then(|| {
            let why = format!("has not the {wanted} {unit} free that the job needs");
            let at_present = format!("has {left} {unit} free and the job needs {wanted}");
            Unfit { at_present: Some(at_present), ..Unfit::new(&cluster.name, why) }
        })
    })
}

/// Share of its free room that the job would leave over, scarcest resource first; 1 is empty.
fn headroom(job: &Job, cluster: &Cluster, load: &Demand) -> f64 {
    let Some(free) = &cluster.free else {
        // Nothing is known about its room: better than a full cluster, worse than an empty one.
        return 0.5;
    };
    let share = |wanted: u64, free: u64, taken: u64| {
        if wanted == 0 {
            return 1.0;
        }
        let left = free.saturating_sub(taken).saturating_sub(wanted);
        left as f64 / (free.max(1)) as f64
    };
    share(job.demand.gpus, free.gpus, load.gpus)
        .min(share(job.demand.cpu_millis, free.cpu_millis, load.cpu_millis))
        .min(share(job.demand.memory_bytes, free.memory_bytes, load.memory_bytes))
}

/// Share of the places that the form's `locality` names which are this cluster's; 1 if it names
/// none.
fn locality(job: &Job, cluster: &Cluster) -> f64 {
    let Some(wanted) = job.request.get("locality").and_then(Value::as_object) else { return 1.0 };
    let has = [
        ("region", cluster.region.as_deref()),
        ("zone", cluster.zone.as_deref()),
        ("provider", cluster.provider.as_deref()),
    ];
    let named: Vec<bool> = has
        .into_iter()
        .filter_map(|(key, has)| Some(wanted.get(key)?.as_str()? == has.unwrap_or_default()))
        .collect();
    if named.is_empty() {
        return 1.0;
    }
    named.iter().filter(|same| **same).count() as f64 / named.len() as f64
}

/// What is known of a cluster besides its own figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Demand of jobs that we placed there lately and whose pods its figures may not contain.
    pub load: Demand,
    /// How many of those jobs there are.
    pub waiting: usize,
    /// Share of the jobs that ended there lately which the cluster itself did not spoil.
    pub reliability: f64,
}

impl Default for Standing {
    fn default() -> Self {
        Self { load: Demand::default(), waiting: 0, reliability: 1.0 }
    }
}

/// Looks a cluster's [`Standing`] up by its name.
pub type Standings<'a> = &'a dyn Fn(&str) -> Standing;

/// How good a cluster is for a job, each part from 0 to 1. Room counts most, because a job that does
/// not fit waits; then where the data is; then a cluster that has failed jobs before; then an even
/// spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Share of its free room that the job would leave over.
    pub headroom: f64,
    /// How far it is where the form wants the job to be.
    pub locality: f64,
    /// See [`Standing::reliability`].
    pub reliability: f64,
    /// 1 if none of our jobs waits there for room, and less with each.
    pub spread: f64,
}

impl Score {
    /// The weighted sum, from 0 to 1.
    pub fn total(&self) -> f64 {
        0.5 * self.headroom + 0.25 * self.locality + 0.15 * self.reliability + 0.1 * self.spread
    }
}

/// A candidate, with its score or the reason why it cannot take the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The cluster.
    pub cluster: String,
    /// Its score, or words that continue "cluster X …".
    pub verdict: Result<Score, String>,
}

impl Candidate {
    fn to_value(&self) -> Value {
        let round = |share: f64| (share * 1000.0).round() / 1000.0;
        match &self.verdict {
            Ok(score) => json!({
                "cluster": self.cluster,
                "score": round(score.total()),
                "headroom": round(score.headroom),
                "locality": round(score.locality),
                "reliability": round(score.reliability),
                "spread": round(score.spread),
            }),
            Err(why) => json!({ "cluster": self.cluster, "refused": why }),
        }
    }
}

/// A choice, and everything that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Where the job goes, and why there in a sentence.
    pub placement: Placement,
    /// Every candidate, best first, those that cannot take the job last.
    pub candidates: Vec<Candidate>,
}

impl Choice {
    /// For the history of the job.
    pub fn evidence(&self) -> Value {
        let clusters: Vec<&str> = self.placement.clusters.iter().map(ClusterName::as_str).collect();
        let candidates: Vec<Value> = self.candidates.iter().map(Candidate::to_value).collect();
        json!({ "clusters": clusters, "candidates": candidates })
    }
}

/// Chooses the cluster, or the clusters, for a job. Ties go to the alphabetically first.
///
/// # Errors
/// Every candidate with the reason why it cannot take the job.
pub fn choose(
    job: &Job,
    clusters: &[Cluster],
    bounds: &Bounds<'_>,
    standings: Standings<'_>,
) -> Result<Choice, Vec<Unfit>> {
    let home = bounds.home_of(job, clusters);
    let wanted =
        |name: &ClusterName| job.target_clusters.is_empty() || job.target_clusters.contains(name);
    let mut refused: Vec<Unfit> = job
        .target_clusters
        .iter()
        .filter(|target| !clusters.iter().any(|cluster| cluster.name == **target))
        .map(|target| Unfit::new(target, "is not registered with Karmada"))
        .collect();
    let mut fit: Vec<(&Cluster, Score)> = Vec::new();
    for cluster in clusters.iter().filter(|cluster| wanted(&cluster.name)) {
        let standing = standings(cluster.name.as_str());
        match unfit(job, cluster, bounds, home, &standing.load) {
            Some(unfit) => refused.push(unfit),
            None => fit.push((cluster, score(job, cluster, &standing))),
        }
    }
    if job.spread == Spread::All && !refused.is_empty() || fit.is_empty() {
        return Err(refused);
    }
    fit.sort_by(|(a, score_a), (b, score_b)| {
        score_b.total().total_cmp(&score_a.total()).then_with(|| a.name.cmp(&b.name))
    });
    let placement = if job.spread == Spread::All {
        let clusters: Vec<ClusterName> =
            fit.iter().map(|(cluster, _)| cluster.name.clone()).collect();
        let reason = format!("The job asked for every candidate cluster: {} runs.", clusters.len());
        Placement { clusters, reason }
    } else {
        the_best(&fit, &refused)
    };
    let scored = fit.iter().map(|(cluster, score)| Candidate {
        cluster: cluster.name.to_string(),
        verdict: Ok(*score),
    });
    let unfit = refused.into_iter().map(|unfit| Candidate {
        verdict: Err(unfit.figures().to_owned()),
        cluster: unfit.cluster,
    });
    let candidates = scored.chain(unfit).collect();
    Ok(Choice { placement, candidates })
}

fn score(job: &Job, cluster: &Cluster, standing: &Standing) -> Score {
    Score {
        headroom: headroom(job, cluster, &standing.load),
        locality: locality(job, cluster),
        reliability: standing.reliability,
        spread: 1.0 / (1.0 + standing.waiting as f64),
    }
}

/// The first of the fit, with the reason.
fn the_best(fit: &[(&Cluster, Score)], refused: &[Unfit]) -> Placement {
    let Some((best, score)) = fit.first() else {
        return Placement { clusters: Vec::new(), reason: String::new() };
    };
    let others = match (fit.len() - 1, refused.len()) {
        (0, 0) => "it is the only candidate".to_owned(),
        (0, _) => format!("the only fit one; {}", sentence(refused)),
        (1, 0) => "one other fit candidate scores no better".to_owned(),
        (more, 0) => format!("{more} other fit candidates score no better"),
        (more, _) => format!("{more} other fit, none scores better; {}", sentence(refused)),
    };
    let mut has = vec!["is ready".to_owned(), "has the API".to_owned()];
    if best.free.is_some() {
        has.push(format!("keeps {:.0} % of its free room", score.headroom * 100.0));
    }
    if score.locality < 1.0 {
        has.push("is not where the form would like it".to_owned());
    }
    if score.reliability < 1.0 {
        has.push(format!("spoiled {:.0} % of its last jobs", (1.0 - score.reliability) * 100.0));
    }
    let last = has.pop().unwrap_or_default();
    let reason = format!("Cluster {} {} and {last}: {others}.", best.name, has.join(", "));
    Placement { clusters: vec![best.name.clone()], reason }
}

/// Lists refusals for a sentence: `cluster a is not ready (X); cluster b …`, with the figures of this
/// moment.
pub fn sentence(refused: &[Unfit]) -> String {
    listed(refused, Unfit::figures)
}

/// The same without figures: for history, which would else grow with every sample of a cluster.
pub fn lasting_sentence(refused: &[Unfit]) -> String {
    listed(refused, |unfit| &unfit.why)
}

fn listed<'a>(refused: &'a [Unfit], words: impl Fn(&'a Unfit) -> &'a str) -> String {
    let each = refused.iter().map(|unfit| format!("cluster {} {}", unfit.cluster, words(unfit)));
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_values::{cluster, job};

    fn for_namespace(allowed: &[ClusterName]) -> Bounds<'_> {
        Bounds { allowed: Some(allowed), ..Bounds::default() }
    }

    fn nothing(_: &str) -> Standing {
        Standing::default()
    }

    fn choose(job: &Job, clusters: &[Cluster], at: Standings<'_>) -> Result<Placement, Vec<Unfit>> {
        super::choose(job, clusters, &Bounds::default(), at).map(|choice| choice.placement)
    }

    #[test]
    fn exactly_one_cluster_is_chosen_and_it_is_the_emptiest() {
        let clusters = [cluster("a", 8), cluster("b", 64)];
        let placement = choose(&job("j"), &clusters, &nothing).unwrap();
        assert_eq!(placement.clusters, vec![ClusterName::parse("b").unwrap()]);
    }

    #[test]
    fn unready_tainted_apiless_and_full_clusters_are_refused_with_their_reason() {
        let mut unready = cluster("a", 64);
        unready.ready = false;
        unready.ready_reason = "ClusterNotReachable".to_owned();
        let mut tainted = cluster("b", 64);
        tainted.taints = vec!["maintenance:NoSchedule".to_owned()];
        let mut bare = cluster("c", 64);
        bare.apis.clear();
        let full = cluster("d", 1);
        let refused = choose(&job("j"), &[unready, tainted, bare, full], &nothing).unwrap_err();
        let text = sentence(&refused);
        for words in ["a is not ready (ClusterNotReachable)", "taint", "API", "d has 1000 CPU"] {
            assert!(text.contains(words), "{words} is not in: {text}");
        }
    }

    #[test]
    fn targets_limit_the_candidates_and_unknown_ones_are_named() {
        let mut wanted = job("j");
        wanted.target_clusters =
            vec![ClusterName::parse("a").unwrap(), ClusterName::parse("zz").unwrap()];
        let clusters = [cluster("a", 8), cluster("b", 64)];
        let placement = choose(&wanted, &clusters, &nothing).unwrap();
        assert_eq!(placement.clusters, vec![ClusterName::parse("a").unwrap()]);
        assert!(placement.reason.contains("zz is not registered"), "{}", placement.reason);
    }

    #[test]
    fn what_was_placed_lately_counts_as_taken() {
        let clusters = [cluster("a", 10), cluster("b", 9)];
        let standings = |name: &str| {
            let load = if name == "a" { job("j").demand } else { Demand::default() };
            Standing { load, waiting: usize::from(name == "a"), ..Standing::default() }
        };
        let placement = choose(&job("k"), &clusters, &standings).unwrap();
        assert_eq!(placement.clusters, vec![ClusterName::parse("b").unwrap()]);
    }

    #[test]
    fn place_and_past_decide_between_equal_clusters_and_every_candidate_is_on_record() {
        let mut here = cluster("b", 10);
        here.region = Some("north".to_owned());
        let clusters = [cluster("a", 10), here, cluster("c", 0)];
        let mut picky = job("j");
        picky.request = json!({"locality": {"region": "north"}});
        let choice = super::choose(&picky, &clusters, &Bounds::default(), &nothing).unwrap();
        assert_eq!(choice.placement.clusters[0].as_str(), "b");
        let evidence = choice.evidence();
        let names: Vec<&Value> =
            evidence["candidates"].as_array().unwrap().iter().map(|c| &c["cluster"]).collect();
        assert_eq!(names, ["b", "a", "c"]);
        assert_eq!(evidence["candidates"][1]["locality"], 0.0);
        assert!(evidence["candidates"][2]["refused"].as_str().unwrap().contains("free"));
        let broken = |name: &str| Standing {
            reliability: if name == "a" { 0.5 } else { 1.0 },
            ..Standing::default()
        };
        let placement = choose(&job("j"), &clusters, &broken).unwrap();
        assert_eq!(placement.clusters[0].as_str(), "b", "{}", placement.reason);
    }

    #[test]
    fn namespace_may_use_only_what_it_is_allowed() {
        let clusters = [cluster("a", 10), cluster("b", 64)];
        let allowed = [ClusterName::parse("a").unwrap()];
        let choice =
            super::choose(&job("j"), &clusters, &for_namespace(&allowed), &nothing).unwrap();
        assert_eq!(choice.placement.clusters, allowed);
        let text = &choice.placement.reason;
        assert!(text.contains("b is not for jobs of namespace default"), "{text}");
        let refused =
            super::choose(&job("j"), &clusters, &for_namespace(&[]), &nothing).unwrap_err();
        assert_eq!(refused.len(), 2);
    }

    #[test]
    fn job_goes_to_the_volume_of_its_name_unless_its_form_says_otherwise() {
        let home = ClusterName::parse("b").unwrap();
        let bounds = Bounds { home: Some(&home), ..Bounds::default() };
        let clusters = [cluster("a", 64), cluster("b", 8)];
        let chosen = |job: &Job, clusters: &[Cluster]| {
            super::choose(job, clusters, &bounds, &nothing).map(|choice| choice.placement.clusters)
        };
        let names = |names: &[&str]| -> Vec<ClusterName> {
            names.iter().map(|name| ClusterName::parse(*name).unwrap()).collect()
        };
        assert_eq!(chosen(&job("j"), &clusters).unwrap(), names(&["b"]));
        let mut away = clusters.clone();
        away[1].ready = false;
        let refused = chosen(&job("j"), &away).unwrap_err();
        assert!(sentence(&refused).contains("the volume of this name, which is on cluster b"));
        // The cluster is gone for good, and the volume with it.
        assert_eq!(chosen(&job("j"), &clusters[..1]).unwrap(), names(&["a"]));
        let wanted = Job { target_clusters: names(&["a"]), ..job("j") };
        assert_eq!(chosen(&wanted, &clusters).unwrap(), names(&["a"]));
        let everywhere = Job { spread: Spread::All, ..job("j") };
        assert_eq!(chosen(&everywhere, &clusters).unwrap(), names(&["a", "b"]));
    }

    #[test]
    fn what_is_kept_of_a_refusal_does_not_move_with_the_figures() {
        let refused = |cores: u64| {
            let clusters = [cluster("a", cores)];
            super::choose(&job("j"), &clusters, &Bounds::default(), &nothing).unwrap_err()
        };
        let (two, three) = (refused(2), refused(3));
        assert_ne!(sentence(&two), sentence(&three));
        assert_eq!(lasting_sentence(&two), lasting_sentence(&three));
        assert!(lasting_sentence(&two).contains("the 4000 CPU millicores free that the job needs"));
    }

    #[test]
    fn all_means_all_or_nothing() {
        let mut wanted = job("j");
        wanted.spread = Spread::All;
        let clusters = [cluster("a", 64), cluster("b", 64)];
        assert_eq!(choose(&wanted, &clusters, &nothing).unwrap().clusters.len(), 2);
        let mut down = cluster("b", 64);
        down.ready = false;
        assert!(choose(&wanted, &[cluster("a", 64), down], &nothing).is_err());
    }
}
