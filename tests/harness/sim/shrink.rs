//! Makes a failing plan small: steps and troubles are taken out as long as the same promise breaks.

use super::plan::Plan;
use super::run::Failure;

/// The smallest plan found that breaks the same promise, with its failure. `fails` runs a plan.
pub fn shrink(
    plan: &Plan,
    failure: Failure,
    fails: impl Fn(&Plan) -> Option<Failure>,
) -> (Plan, Failure) {
    let (mut plan, mut failure) = (plan.clone(), failure);
    plan.steps.truncate(failure.step + 1);
    let mut part = plan.steps.len();
    while part > 0 {
        let mut from = 0;
        let mut smaller = false;
        while from < plan.steps.len() {
            let mut trial = plan.clone();
            trial.steps.drain(from..(from + part).min(plan.steps.len()));
            match fails(&trial).filter(|found| found.promise == failure.promise) {
                Some(found) => {
                    (plan, failure, smaller) = (trial, found, true);
                }
                None => from += part,
            }
        }
        // Whatever was needed before may be needless now.
        if part > 1 || !smaller {
            part /= 2;
        }
    }
    for place in 0..plan.steps.len() {
        let mut trial = plan.clone();
        if trial.steps[place].trouble.take().is_none() {
            continue;
        }
        if let Some(found) = fails(&trial).filter(|found| found.promise == failure.promise) {
            (plan, failure) = (trial, found);
        }
    }
    (plan, failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::{Act, Step};

    fn wait(seconds: u32) -> Step {
        Step {
            act: Act::Wait { seconds },
            trouble: None,
        }
    }

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let steps = (0..40).map(wait).collect();
        let plan = Plan { seed: 1, steps };
        let both = |plan: &Plan| {
            let has = |seconds| plan.steps.contains(&wait(seconds));
            (has(7) && has(31)).then(|| Failure {
                promise: "x",
                step: 39,
                detail: String::new(),
            })
        };
        let (small, _) = shrink(&plan, both(&plan).unwrap(), both);
        assert_eq!(small.steps, [wait(7), wait(31)]);
    }
}
