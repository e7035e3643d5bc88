//! Tries the rules of [`super::judge`] on the plugin's examples and on generated jobs, and makes
//! what fails smaller.

use serde_json::Value;

use super::generate::{Generator, smaller};
use super::judge::{CLUSTER, Judge, RULES};
use super::report::Section;
use crate::candidate::{Planned, Stage};
use crate::progress;

/// Judgements that are spent on making one failure smaller: a few seconds.
const SHRINKING: usize = 400;

/// What came of all jobs together.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// Jobs that became manifests.
    pub(crate) converted: usize,
    /// The one with the largest output, and what it became.
    pub(crate) costliest: Option<(Value, Box<Planned>)>,
    /// The first job that a cluster would not take whole, and why.
    pub(crate) cluster: Option<(Value, String)>,
}

/// Tries the examples: all of them must become manifests.
pub(crate) async fn examples(judge: &Judge<'_>, tried: &mut Tried) -> Section {
    let mut section = Section::new("examples");
    for (index, form) in judge.first.info().examples.iter().enumerate() {
        let what = format!("example {index}");
        let judged = judge.judge(form).await;
        let clean = judged.breaches.is_empty();
        if let Some((_, why)) = judged.refused {
            section.fail(&what, format!("it is refused: {why}"));
        }
        for breach in judged.breaches {
            if breach.rule == CLUSTER {
                tried.cluster.get_or_insert_with(|| (form.clone(), breach.why));
            } else {
                section.fail(&what, breach.why);
            }
        }
        if let Some(planned) = judged.planned {
            if clean {
                section.pass(format!("{what} becomes {} manifests", planned.bytes().len()));
            }
            remember(form, planned, tried);
        }
    }
    section
}

fn remember(form: &Value, planned: Box<Planned>, tried: &mut Tried) {
    tried.converted += 1;
    let larger = tried.costliest.as_ref().is_none_or(|(_, known)| planned.size() > known.size());
    if larger {
        tried.costliest = Some((form.clone(), planned));
    }
}

/// Tries generated jobs.
pub(crate) async fn generated(
    judge: &Judge<'_>,
    seed: u64,
    random: usize,
    tried: &mut Tried,
) -> Section {
    let mut section = Section::new("generated jobs");
    let mut generator = Generator::new(judge.first.info(), seed);
    let mut forms = generator.systematic();
    forms.extend((0..random).map(|_| generator.random()));
    let bar = progress::bar(forms.len(), "trying jobs");
    let (mut converted, mut refused, mut unread) = (0, 0, 0);
    // The first job that breaks each rule; one example of a failure is enough.
    let mut broken: Vec<(&'static str, Value, String)> = Vec::new();
    for form in &forms {
        let judged = judge.judge(form).await;
        for breach in judged.breaches {
            if !broken.iter().any(|(rule, _, _)| *rule == breach.rule) {
                broken.push((breach.rule, form.clone(), breach.why));
            }
        }
        match judged.refused {
            // The host itself refuses it: no plugin will ever see such a form.
            Some((Stage::Form | Stage::Schema, _)) => unread += 1,
            Some(_) => refused += 1,
            None => {}
        }
        if let Some(planned) = judged.planned {
            converted += 1;
            remember(form, planned, tried);
        }
        bar.inc(1);
    }
    let what = format!(
        "{} jobs: {converted} converted, {refused} refused by the plugin, {unread} by the host",
        forms.len()
    );
    // Rules that were tried on nothing hold for nothing.
    if converted == 0 {
        section.fail(what, "not one generated job was converted");
    } else {
        section.pass(what);
    }
    for (rule, words) in RULES {
        match broken.iter().find(|(name, _, _)| name == rule) {
            None => section.pass(*words),
            Some((_, form, why)) => {
                let (form, why) = shrink(judge, rule, form.clone(), why.clone()).await;
                section.fail_with(*words, why, form);
            }
        }
    }
    if let Some((_, form, why)) = broken.into_iter().find(|(rule, _, _)| *rule == CLUSTER)
        && tried.cluster.is_none()
    {
        tried.cluster = Some(shrink(judge, CLUSTER, form, why).await);
    }
    section
}

/// The smallest form that can be found by leaving things out and that still breaks the rule.
async fn shrink(
    judge: &Judge<'_>,
    rule: &'static str,
    mut form: Value,
    mut why: String,
) -> (Value, String) {
    let mut left = SHRINKING;
    'again: loop {
        for candidate in smaller(&form) {
            if left == 0 {
                return (form, why);
            }
            left -= 1;
            let judged = judge.judge(&candidate).await;
            if let Some(breach) = judged.breaches.into_iter().find(|breach| breach.rule == rule) {
                (form, why) = (candidate, breach.why);
                continue 'again;
            }
        }
        return (form, why);
    }
}
